/* outputs.h - one rule for everything that commands write, whichever option names it.
 *
 * A file appears when it is whole, and folders that are missing on the way to it are made then (base/file.h). It takes
 * the place of a file of that name, which is told afterwards; but never of one that the same command reads, nor of
 * what is no regular file. What cannot become a file is said before any work. Options of type CONF_WRITE and
 * CONF_PLACE fall under the rule by themselves; a command adds files that it puts into a folder it was given. */
#ifndef TENREC_CLI_OUTPUTS_H
#define TENREC_CLI_OUTPUTS_H

#include "cli/command.h"

/* Of all options that name what is written. ERR_USAGE naming the option, ERR_IO where no file can be made. */
int outputs_check(struct args *args, struct err *e);
/* One more file, named because of `option` ("-o"). */
int output_add(struct args *args, const char *option, const char *path, struct err *e);
/* To stderr: which files of earlier times have been replaced. */
void outputs_tell(const struct args *args);

#endif
