/* zoo_model.c - a network of the zoo opened like a file. */
#include "package/zoo_model.h"

#include <string.h>

#include "base/err.h"
#include "enc/json.h"
#include "format/weights/weights.h"
#include "zoo/zoo.h"

static int read_input(const struct import_options *o, struct zoo_options *z, struct err *e)
{
    const struct import_hint *h = import_hint_for(o, "input", 0);
    int64_t *sizes[] = { &z->channels, &z->height, &z->width };
    if (!h) return 0;
    if (h->rank != 3 && h->rank != 4) return fail(e, ERR_USAGE, "input: expected CxHxW, as in 3x224x224");
    for (int i = 0; i < 3; i++) {
        bool free = h->dim[h->rank - 3 + i].symbol != NULL;
        *sizes[i] = free ? -1 : h->dim[h->rank - 3 + i].size;
    }
    return z->channels > 0 ? 0 : fail(e, ERR_USAGE, "input: the number of channels must be known");
}

/* One channel: gray as it is, from 0 to 1. */
static json_t *gray_steps(const struct zoo_options *z)
{
    return json_pack("[{s:s,s:s},{s:s,s:s,s:s,s:[I,I]},{s:s,s:i,s:s},{s:s,s:s}]", "op", "decode", "color_space", "GRAY",
        "op", "resize", "mode", "exact", "interpolation", "bilinear", "size", (json_int_t)z->height,
        (json_int_t)z->width, "op", "rescale", "factor", 255, "arithmetic", "divide", "op", "layout", "layout", "NCHW");
}

int zoo_model(struct model *m, const struct model_options *o, struct manifest_options *mo, struct err *e)
{
    const struct zoo_model *row = zoo_find(m->path + strlen(ZOO_PREFIX), e);
    struct zoo_options z = { .classes = o->classes, .seed = o->seed };
    if (!row) return e->code;
    struct zoo_options found = z;
    if (m->weights && weights_fit(m->weights, row, &found)) {
        if (!z.classes) z.classes = found.classes;
        z.channels = found.channels;
    }
    TRY(read_input(&o->import, &z, e));
    if (!(m->graph = zoo_new(row, &z, &m->arena, e))) return e->code;
    m->format = "zoo";
    if (!mo->task) mo->task = row->task;
    if (!mo->name) mo->name = row->name;
    if (mo->like || mo->preprocess) return 0;
    if (z.channels != 1 || z.height < 1 || z.width < 1) return mo->like = "torchvision", 0;
    json_t *steps = gray_steps(&z);
    TRY(json_own(&m->arena, steps, e));
    mo->preprocess = steps;
    return 0;
}
