/* write.c - a model's weights alone, under the names and in the order of axes that its source had: PyTorch's
 * state_dict, safetensors, NumPy's .npz. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "format/safetensors.h"
#include "format/torch/pickler.h"
#include "format/weights/ties.h"
#include "format/weights/weights.h"
#include "graph/graph.h"
#include "graph/npy_tensor.h"

/* new[i0][i1].. = source[..] permuted: undone, element by element. */
const struct tensor *weights_as_source(const struct value *state, struct arena *a, struct err *e)
{
    const struct origin *o = state->origin;
    const struct tensor *t = state->data;
    struct shape s = t->shape;
    int64_t stride[SHAPE_MAX], index[SHAPE_MAX] = { 0 };
    size_t width = dtype_size(t->dtype);
    if (!o || o->rank != s.rank || !o->rank) return t;
    for (int d = 0; d < s.rank; d++) s.dim[o->perm[d]] = t->shape.dim[d];
    struct tensor *out = tensor_new(a, t->dtype, &s, e);
    shape_strides(&s, stride);
    for (int64_t i = 0; out && i < tensor_count(t); i++) {
        int64_t at = 0;
        for (int d = 0; d < s.rank; d++) at += index[d] * stride[o->perm[d]];
        memcpy((char *)out->data + (size_t)at * width, (const char *)t->data + (size_t)i * width, width);
        for (int d = s.rank; d-- > 0 && ++index[d] == t->shape.dim[d];) index[d] = 0;
    }
    return out;
}

static const char *name_of(const struct value *state)
{
    return state->origin && state->origin->key ? state->origin->key : state->name;
}

/* A counter that a model read for training moves on is there twice: as its file had it, and as it moves. */
static bool is_left_behind(const struct graph *g, const struct value *v)
{
    for (size_t i = 0; !v->next && i < g->n_states; i++) {
        const struct value *o = g->states[i];
        if (o->next && !strcmp(name_of(o), name_of(v)) && o->dtype == v->dtype) return true;
    }
    return false;
}

static int add_weight(struct weights *w, const char *name, const struct tensor *t, struct err *e)
{
    if (map_find(&w->by_name, name)) return fail(e, ERR_FAILED, "two weights are called \"%s\"", name);
    TRY(weights_add(w, &(struct weight){ .path = name, .name = name, .tensor = t }, e));
    return map_set(&w->by_name, name, NULL) ? 0 : fail_nomem(e);
}

int weights_of_graph(struct weights *w, const struct graph *g, struct arena *a, struct err *e)
{
    *w = (struct weights){ .key = "", .groups = map_in(a), .by_name = map_in(a), .facts = map_in(a) };
    const json_t *ties = ties_of(g, a);
    for (size_t i = 0; i < g->n_states; i++) {
        if (is_left_behind(g, g->states[i])) continue;
        const struct tensor *t = weights_as_source(g->states[i], a, e);
        if (!t) return e->code;
        TRY(add_weight(w, name_of(g->states[i]), t, e));
        const char *key;
        for (void *at = NULL; (key = ties_next(ties, name_of(g->states[i]), &at));) TRY(add_weight(w, key, t, e));
    }
    w->n_chosen = w->n;
    return w->n ? 0 : fail(e, ERR_UNSUPPORTED, "the model has no weights");
}

static int write_zip(struct arena *a, const char *path, struct err *e,
    int (*fill)(const struct weights *w, struct zip_writer *z, struct err *e), const struct weights *w)
{
    struct file_writer f;
    struct zip_writer z;
    TRY(file_writer_open(&f, a, path, e));
    zip_writer_init(&z, a, &f);
    if (fill(w, &z, e) || zip_writer_finish(&z, e)) return file_writer_abort(&f), e->code;
    return file_writer_commit(&f, e);
}

int weights_put_state_dict(const struct weights *w, struct pickler *p, struct err *e)
{
    pickle_put_global(p, "collections", "OrderedDict");
    pickle_put_op(p, ")R(");
    for (size_t i = 0; i < w->n; i++) {
        pickle_put_str(p, w->list[i].name);
        if (pickle_put_tensor(p, w->list[i].tensor, e)) return err_prefix(e, "weight \"%s\"", w->list[i].name);
    }
    pickle_put_op(p, "u");
    return 0;
}

static int fill_state_dict(const struct weights *w, struct zip_writer *z, struct err *e)
{
    struct pickler p = pickler_in(z->arena);
    TRY(weights_put_state_dict(w, &p, e));
    pickle_put_op(&p, ".");
    TRY(pickler_write(&p, z, "archive", "data", e));
    TRY(zip_writer_add(z, "archive/byteorder", "little", 6, e));
    return zip_writer_add(z, "archive/version", "3\n", 2, e);
}

static int fill_npz(const struct weights *w, struct zip_writer *z, struct err *e)
{
    for (size_t i = 0; i < w->n; i++) {
        struct npy array;
        if (npy_from_tensor(&array, w->list[i].tensor, e)) return err_prefix(e, "weight \"%s\"", w->list[i].name);
        TRY(npz_add(z, w->list[i].name, &array, e));
    }
    return 0;
}

static int write_safetensors(const struct weights *w, struct arena *a, const char *path, struct err *e)
{
    struct safetensors s;
    safetensors_init(&s, a);
    if (!map_set(&s.metadata, "format", (void *)(uintptr_t) "pt")) return fail_nomem(e);
    for (size_t i = 0; i < w->n; i++) TRY(safetensors_add(&s, w->list[i].name, w->list[i].tensor, e));
    TRY(safetensors_layout(&s, e));
    return safetensors_write(&s, a, path, e);
}

int weights_write(
    const struct graph *g, const char *path, const struct export_options *o, struct report *r, struct err *e)
{
    struct arena a;
    struct weights w;
    arena_init(&a, g->arena->mem);
    int code = weights_of_graph(&w, g, &a, e);
    if (!code && str_ends(path, ".npz")) code = write_zip(&a, path, e, fill_npz, &w);
    else if (!code && str_ends(path, ".safetensors")) code = write_safetensors(&w, &a, path, e);
    else if (!code) code = write_zip(&a, path, e, fill_state_dict, &w);
    arena_release(&a);
    return code;
}

int weights_check(const struct graph *g, const char *path, struct arena *a, char *text, size_t text_size, struct err *e)
{
    struct weights have, want;
    struct report quiet = report_in(a);
    struct format_file file = { .path = path };
    if (!(file.blob = mapped_file(a, path, &file.bytes, e))) return e->code;
    TRY(weights_of_graph(&want, g, a, e));
    TRY(weights_read(&have, a, &file, "", &quiet, e));
    for (size_t i = 0; i < want.n; i++) {
        const struct weight *x = map_get(&have.by_name, want.list[i].name);
        const struct tensor *t = want.list[i].tensor;
        bool same = x && x->tensor->dtype == t->dtype && shape_equal(&x->tensor->shape, &t->shape);
        if (!same || memcmp(x->tensor->data, t->data, (size_t)tensor_bytes(t)))
            return fail(e, ERR_MISMATCH, "weight \"%s\" %s when the file is read back", want.list[i].name,
                x ? "differs" : "is missing");
    }
    if (have.n != want.n) return fail(e, ERR_MISMATCH, "%zu weights are read back, not %zu", have.n, want.n);
    snprintf(text, text_size, "%zu tensors, equal in every bit when read back", want.n);
    return 0;
}
