/* tables.c - the list of the tables of Caffe's layers, made from the build's list. */
#include <stddef.h>
#include <string.h>

#include "format/caffe/layers.h"
#include "format/format.h"

#define X(name) extern const struct caffe_row caffe_##name[];
#include "format/caffe/layer_list.h"
#undef X

const struct caffe_row *const caffe_tables[] = {
#define X(name) caffe_##name,
#include "format/caffe/layer_list.h"
#undef X
    NULL,
};

const struct caffe_row *caffe_row_find(const char *type)
{
    for (int i = 0; caffe_tables[i]; i++)
        for (const struct caffe_row *r = caffe_tables[i]; r->type; r++)
            if (!strcmp(r->type, type)) return r;
    return NULL;
}

bool caffe_knows(size_t i, struct format_item *out)
{
    for (int t = 0; caffe_tables[t]; t++)
        for (const struct caffe_row *r = caffe_tables[t]; r->type; r++) {
            if (i--) continue;
            *out = (struct format_item){ "layers", r->type, strlen(r->type) };
            return true;
        }
    return false;
}
