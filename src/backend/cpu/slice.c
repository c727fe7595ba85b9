/* slice.c - parts of images whose channels lie last, which stay so. */
#include "backend/cpu/form.h"
#include "base/err.h"
#include "base/str.h"
#include "graph/op.h"
#include "ops/mover.h"
#include "ops/slice.h"

static bool is_last(const struct tensor *t)
{
    struct form f;
    return t->layout && t->shape.rank > 2 && form_of(t, &f) && f.blocks == 1;
}

bool slice_last_accepts(const struct step *s, struct str *why)
{
    bool taken = is_last(s->in[0]) && tensor_count(s->out[0]) > 0;
    if (!taken && why) str_add(why, "channels do not lie last");
    return taken;
}

int slice_last_prepare(struct step *s, struct err *e)
{
    const struct layout *l = s->in[0]->layout;
    s->want_in[0] = l;
    if (!l->backend->layout_alike) return fail(e, ERR_UNSUPPORTED, "no layout for the part");
    s->want_out[0] = l->backend->layout_alike(l, &s->out[0]->shape, s->arena, e);
    return e->code;
}

/* By the places of the dimensions in memory: from one element to the next of each. */
static void strides_of(const struct tensor *t, int64_t *stride)
{
    int rank = t->shape.rank;
    shape_strides(&t->shape, stride);
    if (!is_last(t)) return;
    for (int d = 2; d < rank; d++) stride[d] *= t->shape.dim[1];
    stride[1] = 1;
}

int slice_last_run(const struct step *s, struct err *e)
{
    const struct tensor *x = s->in[0], *y = s->out[0];
    struct slice_part p;
    struct move m = { 0 };
    int64_t to[SHAPE_MAX];
    strides_of(x, p.stride);
    strides_of(y, to);
    TRY(slice_part_of(s, &p, e));
    for (int i = 0; i < p.shape.rank; i++) {
        int d = i == 0 ? 0 : i + 1 < p.shape.rank ? i + 1 : 1; /* channels are the innermost */
        move_add(&m, p.shape.dim[d], to[d], p.stride[d]);
    }
    move_run(&m, s->threads, dtype_size(x->dtype), y->data, element(x, p.offset));
    return 0;
}
