/* equation.c - reads Einsum's equations. */
#include "ops/equation.h"

#include <string.h>

#include "base/err.h"

static int letter(char c)
{
    return c >= 'a' && c <= 'z' ? c - 'a' : c >= 'A' && c <= 'Z' ? c - 'A' + 26 : -1;
}

static int bad(const char *text, const char *why, struct err *e)
{
    return fail(e, ERR_SHAPE, "equation \"%s\": %s", text, why);
}

/* Reads labels up to ',', '-' or the end; *p moves behind them. `dims` is how many the ellipsis has. */
static int read_term(const char *text, const char **p, int dims, struct equation_term *t, struct err *e)
{
    *t = (struct equation_term){ 0, -1, { 0 } };
    for (; **p && **p != ',' && **p != '-'; ++*p) {
        if (**p == ' ') continue;
        int label = letter(**p), count = 1;
        if (!strncmp(*p, "...", 3)) {
            if (t->ellipsis >= 0) return bad(text, "two ellipses in one term", e);
            t->ellipsis = count = dims;
            label = EQUATION_LETTERS + dims - 1;
            *p += 2;
        } else if (label < 0) return bad(text, "expected letters and \"...\"", e);
        for (; count-- > 0; label--) {
            if (t->rank == SHAPE_MAX) return bad(text, "more dimensions than a tensor can have", e);
            t->label[t->rank++] = (signed char)label;
        }
    }
    return 0;
}

/* How many letters a term has, and whether an ellipsis. */
static int count_letters(const char *p, bool *ellipsis)
{
    int n = 0;
    *ellipsis = false;
    for (; *p && *p != ',' && *p != '-'; p++) {
        n += letter(*p) >= 0;
        *ellipsis |= *p == '.';
    }
    return n;
}

/* Without an arrow: the ellipsis, then every letter that occurs once, in alphabetical order (capitals first). */
static int implied_output(struct equation *q, const char *text, int dims, struct err *e)
{
    int seen[EQUATION_LABELS] = { 0 };
    q->out = (struct equation_term){ 0, dims, { 0 } };
    for (int i = 0; i < q->n; i++)
        for (int d = 0; d < q->in[i].rank; d++) seen[q->in[i].label[d]]++;
    for (int d = dims; d-- > 0;) q->out.label[q->out.rank++] = (signed char)(EQUATION_LETTERS + d);
    for (int k = 0; k < EQUATION_LETTERS; k++) {
        int label = (k + 26) % EQUATION_LETTERS;
        if (seen[label] != 1) continue;
        if (q->out.rank == SHAPE_MAX) return bad(text, "more dimensions than a tensor can have", e);
        q->out.label[q->out.rank++] = (signed char)label;
    }
    return 0;
}

static int check_output(const struct equation *q, const char *text, struct err *e)
{
    bool seen[EQUATION_LABELS] = { false };
    for (int d = 0; d < q->out.rank; d++) {
        int label = q->out.label[d];
        if (!q->used[label]) return bad(text, "the output has a label that no input has", e);
        if (seen[label]) return bad(text, "a label occurs twice in the output", e);
        seen[label] = true;
    }
    return 0;
}

static int add_sizes(struct equation *q, const char *text, int operand, const struct shape *s, struct err *e)
{
    const struct equation_term *t = &q->in[operand];
    for (int d = 0; d < t->rank; d++) {
        int64_t *size = &q->size[t->label[d]], dim = s->dim[d];
        if (!q->used[t->label[d]] || *size == 1) *size = dim;
        else if (dim >= 0 && *size >= 0 && dim != 1 && dim != *size)
            return bad(text, "a label has different sizes in two places", e);
        else if (dim != 1 && (*size < 0 && (dim >= 0 || *size == DIM_UNKNOWN))) *size = dim;
        q->used[t->label[d]] = true;
    }
    return 0;
}

int equation_read(struct equation *q, const char *text, const struct shape *const *shapes, int n, struct err *e)
{
    const char *p = text;
    int ellipsis = 0;
    bool has;
    *q = (struct equation){ .n = n };
    if (n > EQUATION_OPERANDS) return fail(e, ERR_UNSUPPORTED, "%d operands, at most %d", n, EQUATION_OPERANDS);
    for (int i = 0; i < n; i++) {
        int letters = count_letters(p, &has), dims = has ? shapes[i]->rank - letters : 0;
        if (dims < 0) return bad(text, "a term has more letters than its operand has dimensions", e);
        TRY(read_term(text, &p, dims, &q->in[i], e));
        if (q->in[i].rank != shapes[i]->rank) return bad(text, "a term has not as many labels as its operand", e);
        if (dims > ellipsis) ellipsis = dims;
        TRY(add_sizes(q, text, i, shapes[i], e));
        if (i < n - 1 && *p++ != ',') return bad(text, "has not as many terms as operands", e);
    }
    if (*p == ',') return bad(text, "has more terms than operands", e);
    if (!*p) TRY(implied_output(q, text, ellipsis, e));
    else {
        if (p[1] != '>') return bad(text, "expected \"->\"", e);
        p += 2;
        TRY(read_term(text, &p, ellipsis, &q->out, e));
        if (*p) return bad(text, "something follows the output", e);
    }
    return check_output(q, text, e);
}

int equation_of(struct equation *q, const struct node *n, int first, struct err *e)
{
    const struct shape *shapes[EQUATION_OPERANDS];
    for (int i = first; i < n->n_in && i - first < EQUATION_OPERANDS; i++) {
        if (!n->in[i]) return fail(e, ERR_MODEL, "input %d is missing", i);
        shapes[i - first] = &n->in[i]->shape;
    }
    return equation_read(q, node_string(n, "equation"), shapes, n->n_in - first, e);
}
