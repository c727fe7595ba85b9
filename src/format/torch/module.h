/* module.h - a torch.nn.Module that was pickled as a whole. */
#ifndef TENREC_FORMAT_TORCH_MODULE_H
#define TENREC_FORMAT_TORCH_MODULE_H

#include "enc/pickle.h"

struct arena;
struct err;
struct format_file;
struct graph;
struct import_options;
struct report;

/* An object with parameters, buffers and modules as every nn.Module has them. */
bool module_is(const struct pickle_value *v);
/* The module that a file holds: the object itself, or the first value of a dictionary ({"model": .., "epoch": 3}) that
 * is one; NULL: none. */
struct pickle_value *module_find(struct pickle_value *root);
/* "torch.nn.modules.conv.Conv2d"; NULL when memory is out. */
const char *module_class(const struct pickle_value *v, struct arena *a);

/* module_hooks.c: weights that hooks make before each call. */
enum { HOOKED_MAX = 8 };
struct hooked {
    const char *names[HOOKED_MAX]; /* self.NAME is NAME_ after these lines of TorchScript */
    size_t n;
    const char *text;
};
/* False: the module has other hooks. */
bool module_hooks(const struct pickle_value *p, struct arena *a, struct hooked *out);

/* Rebuilds the graph of a file that holds a module as a whole, from what is known of the classes of torch.nn and
 * torchvision (nn.c); no code of the file is looked at. ERR_UNSUPPORTED naming all classes that are not known. */
int module_read(struct arena *a, const struct format_file *file, const struct import_options *o, struct graph **g,
    struct report *report, struct err *e);

#endif
