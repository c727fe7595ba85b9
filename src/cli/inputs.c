/* inputs.c - reading what a model is to be run on. */
#include "cli/inputs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "data/arrays.h"
#include "format/onnx/tensor.h"

enum { NUMBERS_MAX = 4096 };

struct reader {
    struct model *model;
    struct arena *arena;
    struct tensor **in;
    struct provenance *from;
};

struct tensor *tensor_converted(
    struct arena *a, const struct tensor *t, enum dtype dtype, const char *name, bool any, struct err *e)
{
    bool floats = (dtype_is_float(t->dtype) || dtype_is_integer(t->dtype)) && dtype_is_float(dtype);
    bool integers = dtype_is_integer(t->dtype) && dtype_is_integer(dtype);
    if (!floats && !integers && !any) {
        fail(e, ERR_DATA, "input %s is %s, the file has %s", name, dtype_name(dtype), dtype_name(t->dtype));
        return NULL;
    }
    struct tensor *out = tensor_new(a, dtype, &t->shape, e);
    int64_t n = tensor_count(t);
    void *wide = arena_array(a, (size_t)n, 8);
    if (!out || !wide) return fail_nomem(e), NULL;
    if (integers) load_i64(t->dtype, t->data, n, wide), store_i64(dtype, out->data, n, wide);
    else load_f64(t->dtype, t->data, n, wide), store_f64(dtype, out->data, n, wide);
    return out;
}

/* Takes a tensor for an input, in the input's type. */
static int give(struct reader *r, size_t input, struct tensor *t, struct err *e)
{
    const struct value *v = r->model->graph->inputs[input];
    if (v->dtype != DT_NONE && t->dtype != v->dtype) {
        fprintf(stderr, "tenrec: note: input %s: %s is converted to %s\n", v->name, dtype_name(t->dtype),
            dtype_name(v->dtype));
        if (!(t = tensor_converted(r->arena, t, v->dtype, v->name, false, e))) return e->code;
    }
    r->in[input] = t;
    return 0;
}

static int find_input(const struct graph *g, const char *name, size_t len)
{
    for (size_t i = 0; i < g->n_inputs; i++)
        if (strlen(g->inputs[i]->name) == len && !strncmp(g->inputs[i]->name, name, len)) return (int)i;
    return -1;
}

/* Splits NAME=IN. Names may hold '=' too, so every '=' is tried. -1: no name. */
static int split_name(const struct graph *g, const char **word)
{
    for (const char *p = strchr(*word, '='); p; p = strchr(p + 1, '=')) {
        int input = find_input(g, *word, (size_t)(p - *word));
        if (input >= 0) return *word = p + 1, input;
    }
    return -1;
}

static int next_empty(const struct reader *r)
{
    for (size_t i = 0; i < r->model->graph->n_inputs; i++)
        if (!r->in[i]) return (int)i;
    return -1;
}

static int read_tensor_proto(struct arena *a, const char *path, struct tensor **out, struct err *e)
{
    struct format_file file = { .path = path };
    struct onnx_source source;
    struct onnx_tensor proto;
    if (!(file.blob = mapped_file(a, path, &file.bytes, e))) return e->code;
    TRY(onnx_source_init(&source, a, &file, e));
    TRY(onnx_decode_tensor(&proto, a, path, file.bytes, e));
    const struct tensor *t = onnx_tensor_load(&source, &proto, e);
    if (!t) return err_prefix(e, "%s", path);
    *out = (struct tensor *)(uintptr_t)t;
    return 0;
}

/* An archive of arrays: those with names of inputs, or the one named (or alone) for one input. */
static int read_npz(struct reader *r, int input, const char *path, struct bytes file, struct err *e)
{
    const struct graph *g = r->model->graph;
    struct zip z;
    size_t found = 0;
    TRY(zip_open(&z, r->arena, path, file, e));
    for (size_t i = 0; i < g->n_inputs; i++) {
        if (input >= 0 && (size_t)input != i) continue;
        const char *entry = arena_printf(r->arena, "%s.npy", g->inputs[i]->name), *name = g->inputs[i]->name;
        TRY_MEM(entry, e);
        bool only = input >= 0 && z.n == 1 && str_ends(z.entries[0].name, ".npy");
        if (!zip_find(&z, entry) && !only) continue;
        if (only) name = arena_strndup(r->arena, z.entries[0].name, strlen(z.entries[0].name) - 4);
        struct npy array;
        struct tensor *t;
        TRY_MEM(name, e);
        TRY(npz_read(&array, r->arena, &z, name, UINT64_MAX, e));
        TRY(tensor_from_npy(&t, r->arena, &array, path, e));
        TRY(give(r, i, t, e));
        found++;
    }
    if (found) return 0;
    struct str have = str_in(r->arena), want = str_in(r->arena);
    for (size_t i = 0; i < z.n && i < 20; i++) str_addf(&have, " %s", z.entries[i].name);
    for (size_t i = 0; i < g->n_inputs; i++) str_addf(&want, " %s", g->inputs[i]->name);
    return fail(e, ERR_DATA, "%s: no array is named as an input is; it has:%s; the inputs are:%s", path,
        str_done(&have), str_done(&want));
}

/* The shape of `n` numbers for an input: free dimensions are 1, but the last free one takes what is left. */
static struct shape shape_for(const struct value *v, int64_t n)
{
    struct shape s = v->shape;
    int free_dim = -1;
    int64_t known = 1;
    if (s.rank < 0) return shape_of(n > 1, &n);
    for (int d = 0; d < s.rank; d++) {
        if (s.dim[d] < 0) free_dim = d, s.dim[d] = 1;
        else known *= s.dim[d];
    }
    if (free_dim >= 0 && known > 0 && n % known == 0) s.dim[free_dim] = n / known;
    return s;
}

/* "5" or "0.5,2". 1: numbers, 0: something else. */
static int read_numbers(struct reader *r, size_t input, const char *text, struct err *e)
{
    const struct value *v = r->model->graph->inputs[input];
    double numbers[NUMBERS_MAX];
    int64_t n = 0;
    for (const char *p = text;; p++) {
        char *end;
        numbers[n++] = strtod(p, &end);
        if (end == p || (*end && *end != ',') || n == NUMBERS_MAX) return 0;
        if (!*end) break;
        p = end;
    }
    struct shape s = shape_for(v, n);
    if (shape_count(&s) != n)
        return fail(e, ERR_DATA, "input %s: %lld numbers do not fill its shape", v->name, (long long)n);
    enum dtype dtype = v->dtype == DT_NONE ? DT_F32 : v->dtype;
    struct tensor *t = tensor_new(r->arena, dtype, &s, e);
    if (!t) return e->code;
    store_f64(dtype, t->data, n, numbers);
    r->in[input] = t;
    return 1;
}

static int read_image(struct reader *r, size_t input, const char *path, struct bytes file, struct err *e)
{
    const struct preprocess *pre = r->model->preprocess[input];
    struct provenance from = { 0 };
    if (!pre)
        return fail(e, ERR_DATA,
            "%s: input %s takes a tensor: nothing says how images become one (--like, --preprocess)", path,
            r->model->graph->inputs[input]->name);
    struct tensor *t = ARENA_NEW(r->arena, struct tensor);
    TRY_MEM(t, e);
    if (preprocess_bytes(pre, r->arena, file, t, &from, e)) return err_prefix(e, "%s", path);
    if (r->from) r->from[input] = from;
    return give(r, input, t, e);
}

static int read_file(struct reader *r, int named, size_t input, const char *path, struct err *e)
{
    struct bytes file;
    struct tensor *t;
    TRY(file_map(r->arena, path, &file, e));
    if (zip_is(file)) return read_npz(r, named, path, file, e);
    if (image_recognize(file) != IMAGE_UNKNOWN) return read_image(r, input, path, file, e);
    if (str_ends(path, ".pb")) TRY(read_tensor_proto(r->arena, path, &t, e));
    else TRY(tensor_read_npy(&t, r->arena, path, e));
    return give(r, input, t, e);
}

static int no_such_file(const struct graph *g, struct arena *a, const char *word, struct err *e)
{
    const char *equals = strchr(word, '=');
    if (!equals) return fail(e, ERR_IO, "%s: no such file, and no number", word);
    struct str all = str_in(a);
    for (size_t i = 0; i < g->n_inputs && i < 20; i++) str_addf(&all, " %s", g->inputs[i]->name);
    return fail(e, ERR_USAGE, "there is no input \"%.*s\"; there are:%s", (int)(equals - word), word, str_done(&all));
}

static int read_word(struct reader *r, const char *word, struct err *e)
{
    const struct graph *g = r->model->graph;
    const char *rest = word;
    int named = split_name(g, &rest), input = named < 0 ? next_empty(r) : named;
    if (input < 0) return fail(e, ERR_USAGE, "%s: all %zu inputs have something already", word, g->n_inputs);
    if (file_exists(rest)) return read_file(r, named, (size_t)input, rest, e);
    int numbers = read_numbers(r, (size_t)input, rest, e);
    if (numbers) return numbers < 0 ? numbers : 0;
    return no_such_file(g, r->arena, rest, e);
}

int inputs_read(struct model *m, struct arena *a, const char *const *words, size_t n, struct tensor **in,
    struct provenance *from, struct err *e)
{
    struct reader r = { m, a, in, from };
    for (size_t i = 0; i < n; i++) TRY(read_word(&r, words[i], e));
    return 0;
}

int inputs_check(const struct graph *g, struct arena *a, struct tensor *const *in, struct err *e)
{
    struct str missing = str_in(a);
    for (size_t i = 0; i < g->n_inputs; i++) {
        if (in[i]) continue;
        str_addf(&missing, " %s %s", g->inputs[i]->name, dtype_name(g->inputs[i]->dtype));
        shape_print(g, &g->inputs[i]->shape, &missing);
    }
    return missing.len ? fail(e, ERR_USAGE, "nothing was given for:%s", str_done(&missing)) : 0;
}

int concrete_shapes(const struct graph *g, int64_t batch, int64_t size, struct shape **out, struct err *e)
{
    struct shape *list = ARENA_ARRAY(g->arena, g->n_inputs + 1, struct shape);
    bool *is_batch = ARENA_ARRAY(g->arena, g->n_symbols, bool);
    if (!list || !is_batch) return fail_nomem(e);
    for (size_t i = 0; i < g->n_inputs; i++) {
        const struct shape *s = &g->inputs[i]->shape;
        if (s->rank < 0) return fail(e, ERR_USAGE, "input %s has no known rank; say --input", g->inputs[i]->name);
        if (s->rank && s->dim[0] < DIM_UNKNOWN) is_batch[DIM_SYMBOL_INDEX(s->dim[0])] = true;
    }
    for (size_t i = 0; i < g->n_inputs; i++) {
        list[i] = g->inputs[i]->shape;
        for (int d = 0; d < list[i].rank; d++) {
            int64_t *dim = &list[i].dim[d];
            bool first = !d || (*dim < DIM_UNKNOWN && is_batch[DIM_SYMBOL_INDEX(*dim)]);
            if (*dim < 0) *dim = first ? batch : size;
        }
    }
    *out = list;
    return 0;
}
