/* weights.c - BlobProtos become states named LAYER/INDEX, matched by the names of layers. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "format/caffe/caffe.h"

enum { ZEROS_MAX = 34 }; /* log2 of the bytes of one weight that no file gives: 16 GB, larger than any Caffe net has */

int caffe_weights_index(struct caffe *n, const struct caffe_net *net, struct blob *blob)
{
    struct caffe_weights *w = &n->weights;
    w->layers = map_in(n->arena);
    w->blob = blob;
    for (size_t i = 0; i < net->n; i++) {
        const struct caffe_layer *l = &net->layers[i];
        if (l->blobs && !map_set(&w->layers, l->name, (void *)(uintptr_t)l->blobs)) return fail_nomem(n->err);
    }
    n->has_weights = w->layers.n > 0;
    return 0;
}

/* Four dimensions in the old form, a shape in the new. */
static int blob_shape(const struct tree *blob, struct shape *s, struct err *e)
{
    static const char *const old[] = { "num", "channels", "height", "width" };
    const struct tree *shape = tree_message(blob, "shape");
    size_t rank = tree_has(blob, "shape") ? tree_count(shape, "dim") : 4;
    if (rank > SHAPE_MAX) return fail(e, ERR_UNSUPPORTED, "rank %zu, at most %d can be taken", rank, SHAPE_MAX);
    s->rank = (int)rank;
    for (int i = 0; i < s->rank; i++) {
        s->dim[i] = tree_has(blob, "shape") ? tree_int_at(shape, "dim", (size_t)i) : tree_int(blob, old[i], 0);
        if (s->dim[i] < 0) return fail(e, ERR_MODEL, "dimension %d is %lld", i, (long long)s->dim[i]);
    }
    return shape_count(s) < 0 ? fail(e, ERR_MODEL, "its shape has more elements than there can be") : 0;
}

static bool lies_in(const struct blob *file, const struct bytes *span)
{
    const unsigned char *begin = file ? blob_data(file) : NULL;
    return begin && span->data >= begin && span->data + span->len <= begin + blob_size(file);
}

/* Lets the tensor lie in the file when its address allows. */
static int take_packed(
    struct arena *a, const struct tree_field *data, struct blob *file, struct tensor *t, struct err *e)
{
    if (lies_in(file, &data->packed) && (uintptr_t)data->packed.data % 4 == 0) {
        t->data = (void *)(uintptr_t)data->packed.data;
        t->blob = file;
        return 0;
    }
    const struct tensor *copy = tensor_copy(a, DT_F32, &t->shape, data->packed.data, e);
    if (!copy) return e->code;
    *t = *copy;
    return 0;
}

static int take_one_by_one(struct arena *a, const struct tree *blob, const char *name, struct tensor *t, struct err *e)
{
    struct tensor *made = tensor_new(a, DT_F32, &t->shape, e);
    if (!made) return e->code;
    int64_t count = tensor_count(made);
    for (int64_t i = 0; i < count; i++) ((float *)made->data)[i] = (float)tree_float_at(blob, name, (size_t)i);
    *t = *made;
    return 0;
}

const struct tensor *caffe_blob_tensor(struct arena *a, const struct tree *blob, struct blob *file, struct err *e)
{
    struct tensor *t = ARENA_NEW(a, struct tensor);
    if (!t) return fail_nomem(e), NULL;
    *t = (struct tensor){ .dtype = DT_F32 };
    if (blob_shape(blob, &t->shape, e)) return NULL;
    const char *name = tree_has(blob, "double_data") ? "double_data" : "data";
    const struct tree_field *data = tree_field(blob, name);
    size_t given = data ? data->n : 0, want = (size_t)shape_count(&t->shape);
    if (given != want) return fail(e, ERR_MODEL, "%zu numbers of data, its shape needs %zu", given, want), NULL;
    bool packed = data && data->packed.len && data->row->kind == TREE_FLOAT;
    int code = packed ? take_packed(a, data, file, t, e) : take_one_by_one(a, blob, name, t, e);
    return code ? NULL : t;
}

/* All weights that no file gives share one stretch of pages that are never written, and so take no memory. */
static struct blob *zero_blob(struct caffe *n, size_t size)
{
    struct caffe_weights *w = &n->weights;
    if (w->zeros && blob_size(w->zeros) >= size) return w->zeros;
    struct blob *b = blob_zeros(n->keep->mem, size);
    if (!b) return fail_nomem(n->err), NULL;
    if (blob_adopt(n->keep, b)) return fail_nomem(n->err), NULL;
    return w->zeros = b;
}

static const struct tensor *zero_tensor(struct caffe_call *c, const struct shape *s)
{
    int64_t count = shape_count(s);
    struct tensor *t = ARENA_NEW(c->n->keep, struct tensor);
    if (count < 0 || count > (int64_t)1 << (ZEROS_MAX - 2))
        return caffe_fail(
                   c, ERR_MODEL, "a weight of more than %d GB, which the file does not bring", 1 << (ZEROS_MAX - 30)),
               NULL;
    if (!t) return fail_nomem(c->b->err), NULL;
    *t = (struct tensor){ .dtype = DT_F32, .shape = *s };
    if (!(t->blob = zero_blob(c->n, (size_t)count * 4))) return NULL;
    t->data = blob_data(t->blob);
    return t;
}

size_t caffe_n_weights(const struct caffe_call *c)
{
    const struct tree_field *f = map_get(&c->n->weights.layers, c->layer->name);
    return f ? f->n : 0;
}

bool caffe_has_weights(const struct caffe_call *c)
{
    return c->n->has_weights;
}

static const struct tree *weight_blob(struct caffe_call *c, size_t i)
{
    const struct tree_field *f = map_get(&c->n->weights.layers, c->layer->name);
    if (!f && c->n->has_weights && !i) c->n->n_without++;
    if (f && i >= f->n) return caffe_fail(c, ERR_MODEL, "%zu weights in the file, the layer needs more", f->n), NULL;
    return f ? f->messages[i] : NULL;
}

double caffe_weight_at(struct caffe_call *c, size_t i, size_t j, double otherwise)
{
    const struct tree *blob = c->b->err->code ? NULL : weight_blob(c, i);
    const char *name = blob && tree_has(blob, "double_data") ? "double_data" : "data";
    return blob && j < tree_count(blob, name) ? tree_float_at(blob, name, j) : otherwise;
}

/* `dims` with its -1 filled in from the number of elements. False when they cannot agree. */
static bool fill_shape(struct shape *s, int64_t count)
{
    int64_t rest = 1;
    int open = -1;
    for (int i = 0; i < s->rank; i++) {
        if (s->dim[i] < 0) open = i;
        else if (__builtin_mul_overflow(rest, s->dim[i], &rest)) return false;
    }
    if (open < 0) return rest == count;
    if (rest < 1 || count % rest) return false;
    s->dim[open] = count / rest;
    return true;
}

static void print_dims(const struct shape *s, char *out, size_t size)
{
    out[0] = 0;
    for (int i = 0; i < s->rank; i++) {
        size_t at = strlen(out);
        snprintf(out + at, size - at, "%s%lld", i ? "x" : "", (long long)s->dim[i]);
    }
}

/* Numbers that were copied out of the file need not stay in memory twice. */
static void let_go(const struct caffe_weights *w, const struct tree *blob, const struct tensor *t)
{
    const struct tree_field *data = tree_field(blob, tree_has(blob, "double_data") ? "double_data" : "data");
    if (data && t->blob != w->blob && lies_in(w->blob, &data->packed))
        blob_forget(w->blob, data->packed.data, data->packed.len);
}

/* The i-th weight in the shape wanted; zeros if there is none. */
static const struct tensor *load(struct caffe_call *c, size_t i, int rank, const int64_t *dims)
{
    struct shape want = shape_of(rank, dims);
    const struct tree *blob = c->b->err->code ? NULL : weight_blob(c, i);
    if (c->b->err->code) return NULL;
    if (!blob)
        return fill_shape(&want, -1) || shape_count(&want) >= 0
            ? zero_tensor(c, &want)
            : (caffe_fail(c, ERR_MODEL, "its weights are needed to know their size"), NULL);
    const struct tensor *t = caffe_blob_tensor(c->n->keep, blob, c->n->weights.blob, c->b->err);
    if (!t) return err_prefix(c->b->err, "weight %zu", i), NULL;
    let_go(&c->n->weights, blob, t);
    if (!fill_shape(&want, tensor_count(t))) {
        char has[200], needs[200];
        print_dims(&t->shape, has, sizeof has);
        print_dims(&want, needs, sizeof needs);
        return caffe_fail(c, ERR_MODEL, "weight %zu is %s in the file, the layer needs %s", i, has, needs), NULL;
    }
    struct tensor *shaped = ARENA_NEW(c->n->keep, struct tensor);
    if (!shaped) return fail_nomem(c->b->err), NULL;
    *shaped = *t;
    shaped->shape = want;
    return shaped;
}

static struct value *add_state(struct caffe_call *c, size_t i, const struct tensor *t, unsigned flags)
{
    char key[300];
    struct origin *origin = ARENA_NEW(c->n->keep, struct origin);
    snprintf(key, sizeof key, "%.280s/%zu", c->layer->name, i);
    if (!t) return NULL;
    if (!origin || !(origin->key = arena_strdup(c->n->keep, key))) return fail_nomem(c->b->err), NULL;
    struct value *v = graph_state(c->b->g, key, t, flags, c->b->err);
    if (v) v->origin = origin;
    return v;
}

/* Weights with one name are one weight, of the layer that comes first. */
struct value *caffe_weight(struct caffe_call *c, size_t i, int rank, const int64_t *dims)
{
    const char *name = i < c->layer->n_shared ? c->layer->shared[i] : "";
    struct value *v = *name ? map_get(&c->n->shared, name) : NULL;
    if (c->b->err->code) return NULL;
    if (v) {
        struct shape want = shape_of(rank, dims);
        if (fill_shape(&want, shape_count(&v->shape)) && shape_equal(&want, &v->shape)) return v;
        return caffe_fail(
            c, ERR_UNSUPPORTED, "it shares the weight \"%s\" with a layer that has it in another shape", name);
    }
    v = add_state(c, i, load(c, i, rank, dims), VALUE_TRAINABLE);
    if (v && *name && !map_set(&c->n->shared, name, v)) return fail_nomem(c->b->err), NULL;
    return v;
}

struct value *caffe_buffer(struct caffe_call *c, size_t i, int rank, const int64_t *dims, double factor)
{
    const struct tensor *t = load(c, i, rank, dims);
    if (t && factor != 1) {
        struct tensor *scaled = tensor_new(c->n->keep, DT_F32, &t->shape, c->b->err);
        if (!scaled) return NULL;
        int64_t n = tensor_count(t);
        for (int64_t k = 0; k < n; k++) ((float *)scaled->data)[k] = (float)factor * ((const float *)t->data)[k];
        t = scaled;
    }
    return add_state(c, i, t, 0);
}
