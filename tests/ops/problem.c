/* problem.c - reading sample problems and making graphs of them. */
#include "problem.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/rng.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "graph/sequence.h"
#include "ops/registry.h"

struct word {
    enum dtype dtype;
    char mark;     /* 0: none */
    int64_t limit; /* of <K> */
    struct shape shape;
    bool shaped;
    char values[256];
    bool literal;
};

static enum dtype type_named(const char *s, size_t len)
{
    char name[32] = "";
    if (len >= sizeof name) return DT_NONE;
    memcpy(name, s, len);
    enum dtype t = dtype_from_name(name);
    for (char *c = name; *c; c++) *c = (char)toupper((unsigned char)*c);
    return t ? t : dtype_from_name(name);
}

static const char *parse_dims(const char *s, struct shape *shape)
{
    shape->rank = 0;
    for (s++; *s && *s != ']'; s += *s == ',') {
        char *end;
        shape->dim[shape->rank++] = strtoll(s, &end, 10);
        if (end == s || shape->rank == SHAPE_MAX + 1) return NULL;
        s = end;
    }
    return *s == ']' ? s + 1 : NULL;
}

static bool parse_word(const char *s, struct word *w)
{
    size_t len = strcspn(s, "[{+~%^<");
    *w = (struct word){ .dtype = type_named(s, len) };
    s += len;
    if (!w->dtype) return false;
    if (*s == '<') {
        char *end;
        w->mark = *s;
        w->limit = strtoll(s + 1, &end, 10);
        s = end + (*end == '>');
    } else if (strchr("+~%^", *s)) {
        w->mark = *s++;
    }
    if (*s == '[') {
        w->shaped = true;
        if (!(s = parse_dims(s, &w->shape))) return false;
    }
    if (*s != '{') return w->shaped && !*s;
    w->literal = true;
    len = strcspn(++s, "}");
    if (len >= sizeof w->values || s[len] != '}') return false;
    memcpy(w->values, s, len);
    return true;
}

static bool fill_literal(struct word *w, struct tensor **out, struct arena *a, struct err *e)
{
    int64_t n = w->values[0] != 0;
    for (const char *s = w->values; *s; s++) n += *s == ',';
    if (!w->shaped) w->shape = shape_of(1, &n);
    if (shape_count(&w->shape) != n || !(*out = tensor_new(a, w->dtype, &w->shape, e))) return false;
    char *s = w->values;
    for (int64_t i = 0; i < n; i++) {
        size_t len = strcspn(s, ",");
        s[len] = 0;
        char *end = s;
        if (w->dtype == DT_STRING) {
            ((struct string_element *)(*out)->data)[i] = (struct string_element){ arena_strdup(a, s), len };
            end = s + len;
        } else if (dtype_is_float(w->dtype)) {
            tensor_set_f64(*out, i, strtod(s, &end));
        } else {
            tensor_set_i64(*out, i, s[0] == '-' ? strtoll(s, &end, 10) : (int64_t)strtoull(s, &end, 10));
        }
        if (end != s + len) return false;
        s += len + 1;
    }
    return true;
}

static double drawn(const struct word *w, uint64_t stream, uint64_t i)
{
    double u = rng_uniform(1, stream, i);
    switch (w->mark) {
    case '+': return 0.5 + 1.5 * u;
    case '^': return 1.1 + 1.9 * u;
    case '%': return -0.9 + 1.8 * u;
    case '<': return (double)(int64_t)(u * (double)w->limit);
    default: break;
    }
    if (dtype_is_float(w->dtype)) return rng_normal(1, stream, i);
    int low = dtype_kind(w->dtype) == KIND_INT ? -8 : 0;
    return (double)(low + (int)(u * (w->dtype == DT_BOOL ? 2 : 9 - low)));
}

/* Distinct magnitudes in (0.1, 2), shuffled, with random signs; the first `i` places are shuffled already. */
static void fill_distinct(struct tensor *t, uint64_t stream)
{
    int64_t n = tensor_count(t);
    for (int64_t i = 0; i < n; i++) {
        double size = 0.1 + 1.9 * ((double)i + 0.25 + 0.5 * rng_uniform(2, stream, (uint64_t)i)) / (double)n;
        double v = rng_uniform(3, stream, (uint64_t)i) < 0.5 ? -size : size;
        int64_t k = (int64_t)(rng_uniform(4, stream, (uint64_t)i) * (double)(i + 1));
        tensor_set_f64(t, i, tensor_get_f64(t, k));
        tensor_set_f64(t, k, v);
    }
}

static struct tensor *make_tensor(const char *text, bool *literal, uint64_t stream, struct arena *a, struct err *e);

/* "sequence(f32[2]/f32[3])", "optional()": items between slashes. */
static struct tensor *make_container(const char *text, uint64_t stream, struct arena *a, struct err *e)
{
    const struct tensor *items[PROBLEM_MAX];
    int n = 0;
    enum dtype t = text[0] == 's' ? DT_SEQUENCE : DT_OPTIONAL;
    char *copy = arena_strdup(a, strchr(text, '(') + 1);
    if (!copy || !*copy) return NULL;
    copy[strlen(copy) - 1] = 0;
    for (char *item = copy, *end; item && *item && n < PROBLEM_MAX; item = end) {
        bool literal;
        end = strchr(item, '(') ? NULL : strchr(item, '/');
        if (end) *end++ = 0;
        if (!(items[n] = make_tensor(item, &literal, stream + 1000 + (uint64_t)n, a, e))) return NULL;
        n++;
    }
    return sequence_new(a, t, items, n, e);
}

static struct tensor *make_tensor(const char *text, bool *literal, uint64_t stream, struct arena *a, struct err *e)
{
    struct word w;
    struct tensor *t = NULL;
    *literal = false;
    if (strchr(text, '(')) return make_container(text, stream, a, e);
    if (!parse_word(text, &w)) return NULL;
    *literal = w.literal;
    if (w.literal) return fill_literal(&w, &t, a, e) ? t : NULL;
    t = tensor_new(a, w.dtype, &w.shape, e);
    if (!t || w.dtype == DT_STRING) return NULL;
    if (w.mark == '~') fill_distinct(t, stream);
    else
        for (int64_t i = 0; i < tensor_count(t); i++) tensor_set_f64(t, i, drawn(&w, stream, (uint64_t)i));
    return t;
}

static bool make_input(struct problem *p, const char *text, uint64_t seed, struct arena *a, struct err *e)
{
    int k = p->n_in++;
    if (!strcmp(text, "-")) return true;
    p->in[k] = make_tensor(text, &p->literal[k], seed * PROBLEM_MAX + (uint64_t)k, a, e);
    return p->in[k] != NULL;
}

static const struct attr_spec *spec_named(const struct op *op, const char *name)
{
    for (const struct attr_spec *s = op->attrs; s && s->name; s++)
        if (!strcmp(s->name, name)) return s;
    return NULL;
}

/* Lists of numbers, or of strings, separated by commas. */
static bool make_list(struct attr *out, char *text, struct arena *a)
{
    size_t n = *text != 0;
    for (char *s = text; *s; s++) n += *s == ',';
    int64_t *ints = ARENA_ARRAY(a, n, int64_t);
    double *floats = ARENA_ARRAY(a, n, double);
    const char **strings = ARENA_ARRAY(a, n, const char *);
    if (!ints || !floats || !strings) return false;
    char *s = text;
    for (size_t i = 0; i < n; i++) {
        size_t len = strcspn(s, ",");
        s[len] = 0;
        strings[i] = s;
        ints[i] = strtoll(s, NULL, 10);
        floats[i] = strtod(s, NULL);
        s += len + 1;
    }
    out->n = n;
    if (out->type == ATTR_INTS) out->ints = ints;
    else if (out->type == ATTR_FLOATS) out->floats = floats;
    else out->strings = strings;
    return true;
}

static bool make_attr(struct problem *p, int *count, const char *word, struct arena *a)
{
    char *name = arena_strdup(a, word), *value = name ? strchr(name, '=') : NULL;
    if (!value || *count == PROBLEM_MAX) return false;
    *value++ = 0;
    const struct attr_spec *spec = spec_named(p->op, name);
    if (!spec && !strcmp(name, "outputs")) return (p->n_out = atoi(value)) > 0;
    if (!spec && !strcmp(name, "smooth")) return (p->n_smooth = atoi(value)) > 0;
    if (!spec) return false;
    struct attr *out = &p->attrs[(*count)++];
    *out = (struct attr){ .name = spec->name, .type = spec->type };
    switch (spec->type) {
    case ATTR_INT: return out->i = strtoll(value, NULL, 10), true;
    case ATTR_FLOAT: return out->f = strtod(value, NULL), true;
    case ATTR_STRING: return out->s = value, true;
    case ATTR_INTS:
    case ATTR_FLOATS:
    case ATTR_STRINGS: return make_list(out, value, a);
    default: return false;
    }
}

static int parse(struct problem *p, uint64_t seed, struct arena *a, struct err *e)
{
    char *copy = arena_strdup(a, p->text), *save = NULL;
    bool attrs = false;
    int count = 0;
    TRY_MEM(copy, e);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        if (!strcmp(word, "|")) attrs = true;
        else if (attrs ? !make_attr(p, &count, word, a) : p->n_in == PROBLEM_MAX || !make_input(p, word, seed, a, e))
            return e->code ? e->code : fail(e, ERR_USAGE, "cannot read \"%s\"", word);
    }
    return 1;
}

int problem_get(struct problem *p, const struct op *op, int k, struct arena *a, struct err *e)
{
    const char *s = op->samples;
    *p = (struct problem){ .op = op, .n_out = op->min_out > 0 ? op->min_out : 1, .n_smooth = PROBLEM_MAX };
    for (int i = 0; s && i < k; i++) s = (s = strchr(s, ';')) ? s + 1 : NULL;
    if (!s) return 0;
    s += strspn(s, " ");
    size_t len = strcspn(s, ";");
    if (len >= sizeof p->text) return fail(e, ERR_USAGE, "a problem of %zu bytes", len);
    memcpy(p->text, s, len);
    return parse(p, (uint64_t)k + 1, a, e);
}

int problem_parse(struct problem *p, const struct op *op, const char *text, struct arena *a, struct err *e)
{
    struct op lone = *op;
    lone.samples = text;
    int code = problem_get(p, &lone, 0, a, e);
    p->op = op;
    return code < 0 ? code : 0;
}

struct tensor *problem_tensor(const char *word, struct arena *a, struct err *e)
{
    struct problem p = { .n_in = 0 };
    return make_input(&p, word, 1, a, e) ? p.in[0] : NULL;
}

bool problem_to_f64(struct problem *p, struct arena *a, struct err *e)
{
    bool any = false;
    for (int i = 0; i < p->n_in; i++) {
        struct tensor *t = p->in[i];
        if (!t || !dtype_is_float(t->dtype) || dtype_size(t->dtype) == 1) continue; /* bytes are no variables */
        any = true;
        if (!(p->in[i] = tensor_new(a, DT_F64, &t->shape, e))) return false;
        load_f64(t->dtype, t->data, tensor_count(t), p->in[i]->data);
    }
    return any;
}

/* Equal sizes get the same symbol: a sample must not depend on two dimensions differing. */
static struct shape told(struct graph *g, const struct shape *s, enum problem_shapes shapes)
{
    struct shape t = *s;
    char name[32];
    if (shapes == SHAPES_UNKNOWN_RANK) return shape_unknown();
    for (int d = 0; d < t.rank && shapes != SHAPES_KNOWN; d++) {
        snprintf(name, sizeof name, "D%lld", (long long)s->dim[d]);
        t.dim[d] = shapes == SHAPES_SYMBOLS ? graph_symbol(g, name) : DIM_UNKNOWN;
    }
    return t;
}

struct node *problem_graph(
    const struct problem *p, enum problem_shapes shapes, bool open, struct graph **out, struct arena *a, struct err *e)
{
    struct graph *g = *out = graph_new(a, &op_registry, "problem", e);
    struct value *in[PROBLEM_MAX] = { 0 };
    if (!g) return NULL;
    for (int i = 0; i < p->n_in; i++) {
        if (!p->in[i]) continue;
        struct shape s = told(g, &p->in[i]->shape, p->literal[i] ? SHAPES_KNOWN : shapes);
        in[i] = p->literal[i] && !open ? graph_const(g, NULL, p->in[i], e)
                                       : graph_input(g, NULL, p->in[i]->dtype, &s, e);
        if (!in[i]) return NULL;
        if (dtype_is_container(in[i]->dtype)) in[i]->shape = shape_of(1, (int64_t[]){ DIM_UNKNOWN });
    }
    struct builder b = { g, e };
    struct node *n = builder_node(&b, p->op->name, p->attrs, in, p->n_in, p->n_out);
    for (int i = 0; n && i < p->n_out; i++)
        if (graph_output(g, n->out[i], e)) return NULL;
    return n;
}

void problem_inputs(const struct problem *p, bool open, struct tensor **in)
{
    for (int i = 0, k = 0; i < p->n_in; i++)
        if (p->in[i] && (open || !p->literal[i])) in[k++] = p->in[i];
}
