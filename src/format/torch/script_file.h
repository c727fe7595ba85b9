/* script_file.h - the archive around a program of TorchScript: modules with the weights, code, constants. */
#ifndef TENREC_FORMAT_TORCH_SCRIPT_FILE_H
#define TENREC_FORMAT_TORCH_SCRIPT_FILE_H

#include "format/torch/script.h"

struct export_options;

/* script.c: the statements of forward. */
int script_body(struct script *s);
/* script_file.c: format_torch.write */
int script_write(
    const struct graph *g, const char *path, const struct export_options *o, struct report *r, struct err *e);
/* Nodes without a row that other nodes can be put in the place of. */
bool script_cannot_say(const struct node *n);

#endif
