/* weights.c - which variables a layer has, where they are in the file, and how they become states of the graph.
 *
 * Files of Keras 3 keep them by the path of objects: layers/conv2d_1/vars/0, where conv2d_1 is the second layer of
 * class Conv2D, whatever its name. Older files keep a flat list for each layer of the outermost model: first all that
 * is trained, then all that is not.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/str.h"
#include "format/keras/keras.h"
#include "format/keras/weights.h"

enum { BLOCK = 64 };                                 /* elements */
static const uint64_t ZEROS_MAX = UINT64_C(1) << 36; /* bytes of weights that did not come with the model */

/* One condition: KEY, ~KEY, +KEY, KEY=TEXT. */
static bool holds_one(const struct layer *l, const char *key, size_t len)
{
    bool negated = *key == '~', strict = negated || *key == '+';
    const char *equals = memchr(key, '=', len);
    char name[64];
    size_t from = strict, to = equals ? (size_t)(equals - key) : len;
    snprintf(name, sizeof name, "%.*s", (int)(to - from), key + from);
    const json_t *v = json_object_get(l->config, name);
    if (equals) {
        const char *s = json_string_value(v);
        return s && strlen(s) == len - to - 1 && !strncmp(s, equals + 1, strlen(s));
    }
    bool set = v ? !json_is_null(v) && !json_is_false(v) : !strict;
    return set != negated;
}

static bool holds(const struct layer *l, const char *condition, size_t len)
{
    while (len) {
        const char *next = memchr(condition, '&', len);
        size_t one = next ? (size_t)(next - condition) : len;
        if (!holds_one(l, condition, one)) return false;
        condition += one + (next != NULL);
        len -= one + (next != NULL);
    }
    return true;
}

static int plan_one(struct keras *k, struct layer *l, const char *spec, size_t len, size_t *cap)
{
    const char *question = memchr(spec, '?', len);
    bool fixed = spec[len - 1] == '!', unread = *spec == '-';
    if (fixed) len--;
    if (unread) spec++, len--;
    if (question) question = memchr(spec, '?', len);
    size_t path = question ? (size_t)(question - spec) : len;
    if (question && !holds(l, question + 1, len - path - 1)) return 0;
    const char *slash = memchr(spec, '/', path);
    struct weight w = { .trainable = !fixed, .unread = unread };
    size_t head = slash ? (size_t)(slash - spec) : 0;
    w.child = arena_strndup(&k->scratch, spec, head);
    w.role = arena_strndup(&k->scratch, spec + head + (slash != NULL), path - head - (slash != NULL));
    if (!w.child || !w.role || !ARRAY_PUSH(&k->scratch, l->weights, l->n_weights, *cap, w)) return fail_nomem(k->err);
    return 0;
}

int keras_weights_plan(struct keras *k, struct layer *l)
{
    size_t cap = 0;
    const char *spec = l->row && l->row->weights ? l->row->weights : "";
    for (size_t len; *spec; spec += len + (spec[len] == ' ')) {
        len = strcspn(spec, " ");
        if (len) TRY(plan_one(k, l, spec, len, &cap));
    }
    return 0;
}

/* Variables of a layer and of those inside, in Keras' order. */
static int gather(struct keras *k, struct layer *l, bool all, struct weight_list *list)
{
    for (size_t i = 0; i < l->n_weights; i++) {
        struct weight_at at = { l, &l->weights[i] };
        if (at.weight->unread && !all) continue;
        if (!ARRAY_PUSH(&k->scratch, list->items, list->n, list->cap, at)) return fail_nomem(k->err);
    }
    for (size_t i = 0; i < l->n_sub; i++) TRY(gather(k, l->sub[i], all, list));
    return 0;
}

int weight_list_of(struct keras *k, struct layer *l, bool all, struct weight_list *out)
{
    *out = (struct weight_list){ 0 };
    return gather(k, l, all, out);
}

int keras_weights_find(struct keras *k)
{
    if (!k->has_weights) return 0;
    struct hdf5 *h = &k->shards[0]->h5;
    struct hdf5_object *root = hdf5_find(h, NULL, "model_weights", k->err);
    if (k->err->code) return k->err->code;
    if (!root) root = h->root;
    return hdf5_attr(root, "layer_names") || hdf5_attr(root, "layer_names0") ? weights_by_layer(k, root)
                                                                             : weights_by_path(k);
}

/* What the file holds as a tensor, in the graph's type; its memory is the file's where nothing has to change. */
static struct tensor *load(struct call *c, const struct weight *w, struct err *e)
{
    struct keras *k = c->k;
    struct hdf5_object *o = w->data;
    struct bytes data;
    struct tensor raw = { .shape = { .rank = o->space.rank } };
    char name[16];
    const struct blob *blob = w->shard->blob;
    if (hdf5_read(&w->shard->h5, o, &data, e)) return NULL;
    snprintf(name, sizeof name, "%s%u",
        o->type.kind == 'f'       ? "float"
            : o->type.kind == 'u' ? "uint"
                                  : "int",
        o->type.size * 8);
    raw.dtype = o->type.kind == 'V' && o->type.size == 2 ? DT_BF16
        : o->type.kind == 'b'                            ? DT_BOOL
                                                         : dtype_from_name(name);
    if (!strchr("fiubV", o->type.kind) || !raw.dtype || o->space.rank > SHAPE_MAX)
        return call_fail(c, ERR_UNSUPPORTED, "the weight %s is of a type that is not read", w->key), NULL;
    for (int d = 0; d < o->space.rank; d++) raw.shape.dim[d] = (int64_t)o->space.dim[d];
    raw.data = (void *)(uintptr_t)data.data;
    bool aligned = (uintptr_t)data.data % (dtype_size(raw.dtype) ? dtype_size(raw.dtype) : 1) == 0;
    bool mapped = blob && data.data >= (unsigned char *)blob_data(blob) &&
        data.data < (unsigned char *)blob_data(blob) + blob_size(blob);
    if (raw.dtype == k->compute && aligned && mapped) {
        struct tensor *t = ARENA_NEW(k->keep, struct tensor);
        if (!t) return fail_nomem(e), NULL;
        *t = raw;
        t->blob = w->shard->blob;
        return t;
    }
    struct tensor *t = tensor_new(k->keep, k->compute, &raw.shape, e);
    int64_t n = t ? tensor_count(t) : 0, size = (int64_t)dtype_size(raw.dtype);
    double block[256];
    uint64_t bytes[256]; /* aligned */
    for (int64_t i = 0; i < n; i += 256) {
        int64_t some = n - i < 256 ? n - i : 256;
        memcpy(bytes, data.data + i * size, (size_t)(some * size));
        load_f64(raw.dtype, bytes, some, block);
        store_f64(t->dtype, (char *)t->data + (size_t)i * dtype_size(t->dtype), some, block);
    }
    return t;
}

/* The next place in row-major order, and where that is in memory of other strides. */
static int64_t step_on(int rank, const int64_t *dim, const int64_t *stride, int64_t *at, int64_t from)
{
    for (int d = rank; d-- > 0;) {
        from += stride[d];
        if (++at[d] < dim[d]) break;
        from -= at[d] * stride[d];
        at[d] = 0;
    }
    return from;
}

/* Kernels: the last axis becomes the first. Blocks of it are read whole, and go to as many places in a row. */
static void turn_floats(
    const uint32_t *from, uint32_t *to, int64_t n, int rank, const int64_t *dim, const int64_t *stride)
{
    int64_t rest = 1;
    for (int d = 0; d < rank; d++) rest *= dim[d];
    for (int64_t first = 0; first < n; first += BLOCK) {
        int64_t some = n - first < BLOCK ? n - first : BLOCK, at[SHAPE_MAX] = { 0 }, place = first;
        for (int64_t i = 0; i < rest; i++) {
            for (int64_t k = 0; k < some; k++) to[(first + k) * rest + i] = from[place + k];
            place = step_on(rank, dim, stride, at, place);
        }
    }
}

/* new[i0][i1].. = old[..] with the axes in the order of `perm`. */
static struct tensor *permuted(struct call *c, const struct tensor *t, const int *perm, struct err *e)
{
    int rank = t->shape.rank;
    int64_t stride[SHAPE_MAX], step[SHAPE_MAX], at[SHAPE_MAX] = { 0 }, from = 0;
    struct shape s = { .rank = rank };
    size_t size = dtype_size(t->dtype);
    shape_strides(&t->shape, stride);
    for (int d = 0; d < rank; d++) s.dim[d] = t->shape.dim[perm[d]], step[d] = stride[perm[d]];
    struct tensor *out = tensor_new(c->k->keep, t->dtype, &s, e);
    int64_t n = out ? tensor_count(out) : 0;
    if (n && size == sizeof(uint32_t) && perm[0] == rank - 1) {
        turn_floats(t->data, out->data, s.dim[0], rank - 1, s.dim + 1, step + 1);
        return out;
    }
    for (int64_t i = 0; i < n; i++) {
        memcpy((char *)out->data + (size_t)i * size, (const char *)t->data + (size_t)from * size, size);
        from = step_on(rank, s.dim, step, at, from);
    }
    return out;
}

static struct weight *find_weight(const struct call *c, const char *role)
{
    const char *slash = strchr(role, '/');
    for (size_t i = 0; i < c->layer->n_weights; i++) {
        struct weight *w = &c->layer->weights[i];
        if (strcmp(w->role, slash ? slash + 1 : role)) continue;
        if (!slash || (strlen(w->child) == (size_t)(slash - role) && !strncmp(w->child, role, strlen(w->child))))
            return w;
    }
    return NULL;
}

bool has_weight(const struct call *c, const char *role)
{
    return find_weight(c, role) != NULL;
}

static bool fits(const struct hdf5_object *o, int rank, const int64_t *dims)
{
    bool ok = o->space.rank == rank;
    for (int d = 0; ok && d < rank; d++) ok = dims[d] < 0 || o->space.dim[d] == (uint64_t)dims[d];
    return ok;
}

static int wrong_shape(struct call *c, const struct weight *w, int rank, const int64_t *dims)
{
    struct str have = str_in(&c->k->scratch), want = str_in(&c->k->scratch);
    for (int d = 0; d < w->data->space.rank; d++)
        str_addf(&have, "%s%llu", d ? "," : "", (unsigned long long)w->data->space.dim[d]);
    for (int d = 0; d < rank; d++)
        if (dims[d] < 0) str_addf(&want, "%s?", d ? "," : "");
        else str_addf(&want, "%s%lld", d ? "," : "", (long long)dims[d]);
    const char *h = str_done(&have), *n = str_done(&want);
    return call_fail(c, ERR_MODEL, "its %s (%s) has shape (%s), the architecture wants (%s)", w->role, w->key,
        h ? h : "", n ? n : "");
}

/* No weights came with the model: zeros, which take memory only once somebody looks at them. */
static struct blob *zero_blob(struct keras *k, size_t size)
{
    struct blob *b = blob_zeros(k->keep->mem, size);
    if (!b) return fail(k->err, ERR_NOMEM, "no room for weights of %zu bytes", size), NULL;
    return blob_adopt(k->keep, b) ? fail_nomem(k->err), NULL : b;
}

static struct tensor *zeros(
    struct call *c, const struct weight *w, int rank, const int64_t *dims, const int *perm, struct err *e)
{
    struct shape s = { .rank = rank };
    struct tensor *t = ARENA_NEW(c->k->keep, struct tensor);
    for (int d = 0; d < rank; d++) s.dim[d] = dims[perm ? perm[d] : d];
    if (!t) return fail_nomem(e), NULL;
    if (rank < 0 || !shape_is_known(&s))
        return call_fail(c, ERR_UNSUPPORTED,
                   "the shape of its %s does not follow from the architecture; give the weights as a second file",
                   w->role),
               NULL;
    *t = (struct tensor){ .dtype = c->k->compute, .shape = s };
    int64_t bytes = tensor_bytes(t);
    if (bytes < 0 || (c->k->made += (uint64_t)bytes) > ZEROS_MAX)
        return call_fail(c, ERR_UNSUPPORTED, "weights past all measure"), NULL;
    if (!(t->blob = zero_blob(c->k, (size_t)bytes))) return NULL;
    t->data = blob_data(t->blob);
    for (int64_t i = 0; strstr(w->role, "variance") && i < tensor_count(t); i++) tensor_set_f64(t, i, 1);
    return t;
}

struct value *weight_as(struct call *c, const char *role, int rank, const int64_t *dims, const int *perm, int new_rank,
    const int64_t *new_dims)
{
    struct weight *w = find_weight(c, role);
    struct err *e = c->b->err;
    if (!w || e->code) return NULL;
    if (w->value) return w->value;
    if (c->k->has_weights && !w->data)
        return call_fail(c, ERR_MODEL, "the file holds no weights for it (its %s is missing)", w->role), NULL;
    if (w->data && rank >= 0 && !fits(w->data, rank, dims)) return wrong_shape(c, w, rank, dims), NULL;
    struct tensor *t = w->data ? load(c, w, e) : zeros(c, w, rank, dims, perm, e);
    struct origin *o = ARENA_NEW(c->k->keep, struct origin);
    if (!t || !o) return fail_nomem(e), NULL;
    *o = (struct origin){ .key = w->key, .rank = perm ? t->shape.rank : 0 };
    for (int d = 0; perm && d < t->shape.rank; d++) o->perm[d] = perm[d];
    const struct tensor *was = t;
    if (perm && w->data && !(t = permuted(c, t, perm, e))) return NULL;
    if (t != was) blob_forget(was->blob, was->data, (size_t)tensor_bytes(was));
    if (new_rank >= 0) t->shape = shape_of(new_rank, new_dims);
    unsigned flags = w->trainable ? VALUE_TRAINABLE : 0;
    const char *name = arena_printf(
        &c->k->scratch, "%s%s%s/%s", c->layer->label, *w->child ? "/" : "", w->child, w->role);
    if (!name) return fail_nomem(e), NULL;
    if (!(w->value = graph_state(c->k->g, name, t, flags, e))) return NULL;
    w->value->origin = o;
    return w->value;
}

struct value *weight(struct call *c, const char *role, int rank, const int64_t *dims, const int *perm)
{
    return weight_as(c, role, rank, dims, perm, -1, NULL);
}
