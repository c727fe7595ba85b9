/* module.h - a torch.nn.Module that was pickled as a whole. */
#ifndef TENREC_FORMAT_TORCH_MODULE_H
#define TENREC_FORMAT_TORCH_MODULE_H

#include "enc/pickle.h"

struct arena;

/* An object with parameters, buffers and modules as every nn.Module has them. */
bool module_is(const struct pickle_value *v);
/* "torch.nn.modules.conv.Conv2d"; NULL when memory is out. */
const char *module_class(const struct pickle_value *v, struct arena *a);

#endif
