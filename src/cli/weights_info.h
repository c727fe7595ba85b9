/* weights_info.h - what `info` says of a file of weights. */
#ifndef TENREC_CLI_WEIGHTS_INFO_H
#define TENREC_CLI_WEIGHTS_INFO_H

#include "cli/command.h"

struct weights;

/* Prints tensors, parts and what else the file says. */
int weights_print(const struct weights *w, const char *path, bool json, struct arena *a, struct err *e);

#endif
