/* nn.h - what the forward of a class of torch.nn or torchvision computes, in TorchScript's own words. */
#ifndef TENREC_FORMAT_TORCH_NN_H
#define TENREC_FORMAT_TORCH_NN_H

#include <stdbool.h>
#include <stddef.h>

struct nn_row {
    const char *module; /* "torch.nn.modules.conv"; NULL: any module of torch.nn */
    const char *name;   /* "Conv2d" */
    /* An attribute that must be there for this row: "downsample", or of this value: "padding_mode=zeros", a module:
     * "activation=", or not there: "!activation"; NULL: none. The first row that fits is taken. */
    const char *when;
    /* An expression of x; or, where it begins with a blank, statements, a line each. NULL: its modules one after the
     * other. "@weights" stands for the list of all parameters, "@pair(size)" for self.size as two numbers; a line
     * "@layers TEXT" for TEXT once for each module of self.layers, which is "@" there. */
    const char *forward;
    const char *defaults; /* of attributes that old files lack, as TorchScript declares constants; NULL: none */
    const char *more;     /* further inputs, beside x: "key value"; NULL: none */
};
extern const struct nn_row nn_rows[]; /* ends with a NULL name */

struct format_item;
bool nn_knows(size_t i, struct format_item *out); /* as struct format has it */

#endif
