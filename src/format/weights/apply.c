/* apply.c - weights into a graph that has the structure: by the keys its states had in their source. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "format/torch/archive.h"
#include "format/weights/ties.h"
#include "format/weights/weights.h"
#include "graph/graph.h"

enum { SHOWN = 6 };

/* A name in the file is that of the state with `cut` taken from its front and `put` in its place. */
struct renaming {
    const char *put, *cut;
    const json_t *ties; /* of the structure */
};

static const char *key_of(const struct value *state)
{
    return state->origin && state->origin->key ? state->origin->key : state->name;
}

static const struct weight *find_key(
    const struct weights *w, const struct renaming *r, const char *key, struct str *text)
{
    size_t cut = strlen(r->cut);
    if (strncmp(key, r->cut, cut)) return NULL;
    text->len = 0;
    str_add(text, r->put);
    str_add(text, key + cut);
    const char *name = str_done(text);
    return name ? map_get(&w->by_name, name) : NULL;
}

/* Under the key of the state, or under another one that it has in the structure's file. */
static const struct weight *find(
    const struct weights *w, const struct renaming *r, const struct value *state, struct str *text)
{
    const char *other;
    const struct weight *x = find_key(w, r, key_of(state), text);
    for (void *at = NULL; !x && (other = ties_next(r->ties, key_of(state), &at));) x = find_key(w, r, other, text);
    return x;
}

static size_t count(const struct weights *w, const struct graph *g, const struct renaming *r, struct str *text)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n_states; i++) n += find(w, r, g->states[i], text) != NULL;
    return n;
}

/* "backbone." of "backbone.conv1.weight", `words` of them; "" when there are not so many */
static const char *front(struct arena *a, const char *name, int words)
{
    const char *end = name;
    for (int i = 0; i < words; i++) {
        const char *dot = strchr(end, '.');
        if (!dot) return "";
        end = dot + 1;
    }
    return arena_strndup(a, name, (size_t)(end - name));
}

/* Names of one may have words in front that those of the other lack: the way that matches most is taken, and none is
 * preferred. */
static int find_renaming(
    const struct weights *w, const struct graph *g, struct arena *a, struct renaming *best, struct err *e)
{
    enum { TRIED = 16 };
    struct str text = str_in(a);
    *best = (struct renaming){ "", "", ties_of(g, a) };
    size_t most = count(w, g, best, &text), tried = 0;
    if (most == g->n_states) return 0;
    for (size_t i = 0; i < w->n + g->n_states && tried < TRIED; i++) {
        bool of_file = i < w->n;
        const char *name = of_file ? w->list[i].name : key_of(g->states[i - w->n]);
        for (int words = 1; name && words < 3; words++) {
            const char *part = front(a, name, words);
            TRY_MEM(part, e);
            struct renaming r = { of_file ? part : "", of_file ? "" : part, best->ties };
            bool known = !part[0] || !strcmp(part, of_file ? best->put : best->cut);
            size_t n = known ? 0 : count(w, g, &r, &text);
            tried += !known && !n;
            if (n > most) most = n, *best = r;
        }
    }
    return text.oom ? fail_nomem(e) : 0;
}

/* The integers of a quantized tensor as the numbers they stand for. */
static double dequantized(const struct weight *x, int64_t i)
{
    const struct quantization *q = x->quantized;
    const struct shape *s = &x->tensor->shape;
    double v = tensor_get_f64(x->tensor, i);
    if (!q) return v;
    int64_t inner = q->axis < 0 ? 1 : shape_span(s, q->axis + 1, s->rank);
    int64_t k = q->axis < 0 ? 0 : i / inner % s->dim[q->axis];
    return (v - (double)tensor_get_i64(q->zero_points, k)) * tensor_get_f64(q->scales, k);
}

/* Where the state keeps its weight in another order of axes than the file has. */
static int64_t source_index(const struct origin *o, const struct shape *to, const struct shape *from, int64_t i)
{
    int64_t stride[SHAPE_MAX], at = 0;
    shape_strides(from, stride);
    for (int d = to->rank; d-- > 0;) {
        at += i % to->dim[d] * stride[o->perm[d]];
        i /= to->dim[d];
    }
    return at;
}

static bool fits(const struct value *state, const struct tensor *t)
{
    const struct origin *o = state->origin;
    const struct shape *want = &state->data->shape;
    if (!o || !o->rank) return shape_equal(want, &t->shape);
    bool same = want->rank == t->shape.rank && o->rank == want->rank;
    for (int d = 0; same && d < want->rank; d++) same = want->dim[d] == t->shape.dim[o->perm[d]];
    return same;
}

static int put(struct value *state, const struct weight *x, struct arena *a, struct err *e)
{
    const struct tensor *t = x->tensor;
    bool permuted = state->origin && state->origin->rank;
    if (t->dtype == state->dtype && !permuted && !x->quantized) return state->data = t, 0;
    struct tensor *out = tensor_new(a, state->dtype, &state->data->shape, e);
    if (!out) return e->code;
    for (int64_t i = 0; i < tensor_count(out); i++) {
        int64_t from = permuted ? source_index(state->origin, &out->shape, &t->shape, i) : i;
        if (dtype_is_float(out->dtype)) tensor_set_f64(out, i, dequantized(x, from));
        else tensor_set_i64(out, i, tensor_get_i64(t, from));
    }
    return state->data = out, 0;
}

/* A list of names that is cut where it gets long. */
struct names {
    struct str text;
    size_t n;
};

static void add_name(struct names *l, const char *fmt, const char *name, const char *more)
{
    if (l->n++ < SHOWN) {
        if (l->text.len) str_add(&l->text, ", ");
        str_addf(&l->text, fmt, name, more);
    } else if (l->n == SHOWN + 1) {
        str_add(&l->text, " and more");
    }
}

static const char *shape_text(struct arena *a, const struct shape *s)
{
    struct str t = str_in(a);
    for (int i = 0; i < s->rank; i++) str_addf(&t, "%s%lld", i ? "x" : "", (long long)s->dim[i]);
    const char *text = str_done(&t);
    return text && s->rank ? text : "scalar";
}

static int refuse_shapes(struct arena *a, const struct names *bad, struct err *e)
{
    return fail(e, ERR_MODEL, "%zu weights have another shape than the structure wants: %s", bad->n,
        bad->text.s ? bad->text.s : "");
}

static void tell(const struct weights *w, const struct graph *g, const struct renaming *by, size_t matched,
    const struct names *missing, const struct names *unexpected, struct report *report)
{
    report_add(report, REPORT_NOTE, "", "%zu of %zu weights of the structure are in the file%s", matched, g->n_states,
        matched == g->n_states && !unexpected->n ? ", and no others" : "");
    if (by->put[0]) report_add(report, REPORT_NOTE, "", "names in the file begin with \"%s\"", by->put);
    if (by->cut[0]) report_add(report, REPORT_NOTE, "", "names in the structure begin with \"%s\"", by->cut);
    if (missing->n)
        report_add(report, REPORT_WARNING, "", "%zu weights are missing in the file and stay as they are: %s",
            missing->n, missing->text.s);
    if (unexpected->n)
        report_add(report, REPORT_WARNING, "", "%zu weights of the file are unexpected and left out: %s", unexpected->n,
            unexpected->text.s);
}

/* The other names of a tied weight are expected, too. */
static int use_ties(const struct weights *w, const struct renaming *by, struct value *state, struct map *used,
    struct str *text, struct err *e)
{
    const char *other;
    for (void *at = NULL; (other = ties_next(by->ties, key_of(state), &at));) {
        const struct weight *x = find_key(w, by, other, text);
        if (x && !map_set(used, x->name, state)) return fail_nomem(e);
    }
    return 0;
}

int weights_apply(const struct weights *w, struct graph *g, struct report *report, struct err *e)
{
    struct arena *a = w->by_name.arena;
    struct renaming by;
    struct names missing = { str_in(a), 0 }, unexpected = { str_in(a), 0 }, bad = { str_in(a), 0 };
    struct str text = str_in(a);
    struct map used = map_in(a);
    size_t matched = 0;
    TRY(find_renaming(w, g, a, &by, e));
    for (size_t i = 0; i < g->n_states; i++) {
        struct value *state = g->states[i];
        const struct weight *x = find(w, &by, state, &text);
        if (!x) add_name(&missing, "%s%s", key_of(state), "");
        else if (!fits(state, x->tensor)) {
            const char *have = arena_printf(
                a, "%s, not %s", shape_text(a, &x->tensor->shape), shape_text(a, &state->data->shape));
            add_name(&bad, "%s (%s)", x->name, have ? have : "");
        } else TRY(put(state, x, g->arena, e));
        if (x && !map_set(&used, x->name, state)) return fail_nomem(e);
        matched += x != NULL;
        TRY(use_ties(w, &by, state, &used, &text, e));
    }
    if (bad.n) return refuse_shapes(a, &bad, e);
    for (size_t i = 0; i < w->n; i++) {
        const char *name = w->list[i].name;
        if (name && !map_get(&used, name) && !str_ends(name, "num_batches_tracked"))
            add_name(&unexpected, "%s%s", name, "");
    }
    if (!used.n)
        return fail(e, ERR_MODEL, "none of the %zu names fits the structure: the file has %s, the structure %s",
            w->n_chosen, unexpected.text.s ? unexpected.text.s : "nothing",
            missing.text.s ? missing.text.s : "no weights");
    tell(w, g, &by, matched, &missing, &unexpected, report);
    return a->failed ? fail_nomem(e) : 0;
}
