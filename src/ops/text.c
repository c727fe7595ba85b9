/* text.c - operators on texts: normalising, joining, splitting, matching. Texts are UTF-8. */
#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "graph/sequence.h"
#include "ops/infer.h"
#include "ops/mover.h"
#include "ops/text.h"

int text_wanted(const struct node *n, int i, struct err *e)
{
    const struct value *v = n->in[i];
    if (!v->dtype || v->dtype == DT_STRING) return 0;
    return fail(e, ERR_SHAPE, "input %d (%s) is %s, expected strings", i, v->name, dtype_name(v->dtype));
}

/* Output i, of texts that lie in scratch. */
int text_give(
    const struct step *s, int i, const struct shape *shape, const struct string_element *texts, struct err *e)
{
    const struct tensor *t = tensor_of_texts(s->scratch, shape, texts, e);
    s->out[i] = NULL; /* texts own what they refer to: made here, not in place */
    return t ? step_give(s, i, t, e) : e->code;
}

/* ---- StringNormalizer: (C) or (1, C); stop words go, cases change ---- */

typedef wint_t change_case(wint_t, locale_t);

/* In scratch; bytes that are no UTF-8 stay as they are. NULL without memory. */
static const char *with_case(const struct string_element *x, change_case *change, struct arena *a, locale_t utf8)
{
    struct str out = str_in(a);
    mbstate_t in_state, out_state;
    memset(&in_state, 0, sizeof in_state);
    memset(&out_state, 0, sizeof out_state);
    for (size_t at = 0; at < x->len;) {
        wchar_t c;
        char text[MB_LEN_MAX];
        size_t n = mbrtowc(&c, x->text + at, x->len - at, &in_state), m = (size_t)-1;
        if (n == 0) n = 1;
        if (n <= x->len - at) m = wcrtomb(text, (wchar_t)change((wint_t)c, utf8), &out_state);
        if (m > sizeof text) { /* either was no character */
            memset(&in_state, 0, sizeof in_state);
            str_addn(&out, x->text + at, n = 1);
        } else {
            str_addn(&out, text, m);
        }
        at += n;
    }
    return str_done(&out);
}

struct normalizer {
    const struct step *s;
    change_case *change; /* NULL: texts stay */
    bool sensitive;
    const struct attr *stop;
    locale_t utf8;
};

static int same_text(
    const struct normalizer *w, const struct string_element *x, const char *word, bool *same, struct err *e)
{
    const char *a = w->sensitive ? NULL : with_case(x, towlower_l, w->s->scratch, w->utf8);
    struct string_element y = { word, strlen(word) };
    const char *b = w->sensitive ? NULL : with_case(&y, towlower_l, w->s->scratch, w->utf8);
    if (!w->sensitive && (!a || !b)) return fail_nomem(e);
    *same = w->sensitive ? x->len == y.len && !memcmp(x->text, word, y.len) : !strcmp(a, b);
    return 0;
}

static int normalize(const struct normalizer *w, struct string_element *kept, int64_t *n, struct err *e)
{
    const struct tensor *x = w->s->in[0];
    const struct string_element *from = x->data;
    *n = 0;
    for (int64_t i = 0; i < tensor_count(x); i++) {
        bool stopped = false;
        for (size_t k = 0; w->stop && k < w->stop->n && !stopped; k++)
            TRY(same_text(w, &from[i], w->stop->strings[k], &stopped, e));
        if (stopped) continue;
        struct string_element y = from[i];
        if (w->change) {
            TRY_MEM(y.text = with_case(&from[i], w->change, w->s->scratch, w->utf8), e);
            y.len = strlen(y.text);
        }
        kept[(*n)++] = y;
    }
    if (!*n) kept[(*n)++] = (struct string_element){ "", 0 };
    return 0;
}

static int normalizer_infer(struct node *n, struct err *e)
{
    const struct shape *x = &n->in[0]->shape;
    const char *action = node_string(n, "case_change_action");
    struct shape s = *x;
    TRY(text_wanted(n, 0, e));
    TRY(infer_rank(n, 0, 1, 2, e));
    if (strcmp(action, "NONE") && strcmp(action, "LOWER") && strcmp(action, "UPPER"))
        return fail(e, ERR_MODEL, "case_change_action is \"%s\", expected NONE, LOWER or UPPER", action);
    if (s.rank == 2 && s.dim[0] >= 0 && s.dim[0] != 1)
        return fail(e, ERR_SHAPE, "its input has %lld rows, expected one", (long long)s.dim[0]);
    if (s.rank == 2) s.dim[0] = 1;
    if (s.rank > 0) s.dim[s.rank - 1] = DIM_UNKNOWN;
    infer_out(n, 0, DT_STRING, &s);
    return 0;
}

static int normalizer_run(const struct step *s, struct err *e)
{
    const char *action = node_string(s->node, "case_change_action");
    struct normalizer w = { .s = s,
        .change = *action == 'L' ? towlower_l
            : *action == 'U'     ? towupper_l
                                 : NULL,
        .sensitive = node_int(s->node, "is_case_sensitive") != 0,
        .stop = node_attr(s->node, "stopwords"),
        .utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0) };
    struct string_element *kept = ARENA_ARRAY(s->scratch, tensor_count(s->in[0]) + 1, struct string_element);
    int64_t n = 0;
    if (!w.utf8 || !kept) return w.utf8 ? (freelocale(w.utf8), fail_nomem(e)) : fail_nomem(e);
    locale_t before = uselocale(w.utf8); /* of this thread only */
    int code = normalize(&w, kept, &n, e);
    uselocale(before);
    freelocale(w.utf8);
    TRY(code);
    struct shape shape = s->in[0]->shape;
    shape.dim[shape.rank - 1] = n;
    return text_give(s, 0, &shape, kept, e);
}

/* ---- StringConcat ---- */

static int concat_infer(struct node *n, struct err *e)
{
    for (int i = 0; i < 2; i++) TRY(text_wanted(n, i, e));
    return infer_broadcast_as(n, DT_STRING, e);
}

/* Where element i of `whole` lies in a tensor that is broadcast to it. */
static int64_t broadcast_place(const struct shape *whole, const struct shape *from, int64_t i)
{
    int64_t at = 0, step = 1;
    for (int d = whole->rank - 1, k = from->rank - 1; k >= 0; d--, k--) {
        if (from->dim[k] > 1) at += i % whole->dim[d] * step;
        step *= from->dim[k];
        i /= whole->dim[d];
    }
    return at;
}

static int concat_run(const struct step *s, struct err *e)
{
    struct shape y;
    if (!shape_broadcast(&s->in[0]->shape, &s->in[1]->shape, &y)) return fail(e, ERR_SHAPE, "shapes do not fit");
    int64_t n = shape_count(&y);
    struct string_element *out = n >= 0 ? ARENA_ARRAY(s->scratch, n, struct string_element) : NULL;
    TRY_MEM(out, e);
    for (int64_t i = 0; i < n; i++) {
        const struct string_element *a = s->in[0]->data, *b = s->in[1]->data;
        a += broadcast_place(&y, &s->in[0]->shape, i);
        b += broadcast_place(&y, &s->in[1]->shape, i);
        char *text = arena_alloc(s->scratch, a->len + b->len);
        TRY_MEM(text, e);
        if (a->len) memcpy(text, a->text, a->len);
        if (b->len) memcpy(text + a->len, b->text, b->len);
        out[i] = (struct string_element){ text, a->len + b->len };
    }
    return text_give(s, 0, &y, out, e);
}

/* ---- StringSplit: pieces along a new last axis, and how many there are ---- */

static int split_infer(struct node *n, struct err *e)
{
    struct shape s = n->in[0]->shape;
    TRY(text_wanted(n, 0, e));
    if (s.rank == SHAPE_MAX) return fail(e, ERR_UNSUPPORTED, "the result would have rank %d", SHAPE_MAX + 1);
    infer_out(n, 1, DT_I64, &s);
    if (s.rank >= 0) s.dim[s.rank++] = DIM_UNKNOWN;
    infer_out(n, 0, DT_STRING, &s);
    return 0;
}

static bool is_space(char c)
{
    return c && strchr(" \t\n\v\f\r", c);
}

/* The next piece of [*at, end), of which `left` more may follow; false at the end. Without a delimiter, at runs of
 * white space, as Python does. */
static bool next_piece(
    const char **at, const char *end, const char *delimiter, int64_t left, struct string_element *out)
{
    size_t len = strlen(delimiter);
    const char *p = *at;
    if (!p) return false;
    while (!len && p < end && is_space(*p)) p++;
    if (!len && p == end) return false;
    const char *begin = p, *stop = end;
    *at = NULL;
    for (; left && p < end; p++)
        if (len ? (size_t)(end - p) >= len && !memcmp(p, delimiter, len) : is_space(*p)) {
            stop = p;
            *at = p + (len ? len : 1);
            break;
        }
    while (!len && !*at && stop > begin && is_space(stop[-1])) stop--;
    *out = (struct string_element){ begin, (size_t)(stop - begin) };
    return true;
}

static int split_run(const struct step *s, struct err *e)
{
    const struct tensor *x = s->in[0];
    const struct string_element *from = x->data;
    const char *delimiter = node_string(s->node, "delimiter");
    int64_t n = tensor_count(x), most = 0, limit = node_has(s->node, "maxsplit") ? node_int(s->node, "maxsplit") : -1;
    int64_t *count = ARENA_ARRAY(s->scratch, n, int64_t);
    struct string_element piece;
    TRY_MEM(count, e);
    for (int64_t i = 0; i < n; i++) {
        const char *at = from[i].text ? from[i].text : "", *end = at + from[i].len;
        while (next_piece(&at, end, delimiter, limit < 0 ? 1 : limit - count[i], &piece)) count[i]++;
        if (count[i] > most) most = count[i];
    }
    struct shape shape = x->shape;
    shape.dim[shape.rank++] = most;
    int64_t all = shape_count(&shape);
    struct string_element *out = all >= 0 ? ARENA_ARRAY(s->scratch, all, struct string_element) : NULL;
    TRY_MEM(out, e);
    for (int64_t i = 0; i < n; i++) {
        const char *at = from[i].text ? from[i].text : "", *end = at + from[i].len;
        for (int64_t k = 0; k < count[i]; k++)
            next_piece(&at, end, delimiter, limit < 0 ? 1 : limit - k, &out[i * most + k]);
    }
    if (s->node->n_out > 1) {
        struct tensor counts = { .dtype = DT_I64, .shape = x->shape, .data = count };
        TRY(step_give(s, 1, &counts, e));
    }
    return text_give(s, 0, &shape, out, e);
}

/* ---- RegexFullMatch ---- */

enum { PATTERN_MAX = 1000, REPEATS_MAX = 1000 };

/* A number in braces; what they multiply to decides how much a pattern costs. */
static int count_repeats(const char *p, int64_t *cost, struct err *e)
{
    int64_t n = strtoll(p + 1, NULL, 10), m = strchr(p, ',') ? strtoll(strchr(p, ',') + 1, NULL, 10) : 0;
    int64_t most = n > m ? n : m;
    if (most > 1 && (most > REPEATS_MAX || (*cost *= most) > REPEATS_MAX))
        return fail(e, ERR_UNSUPPORTED, "the pattern repeats too often");
    return 0;
}

/* The operator's syntax (RE2's) as POSIX has it: the classes of digits, and groups that are not numbered. */
static int posix_pattern(const char *p, bool whole, struct str *out, struct err *e)
{
    static const struct {
        char letter;
        const char *class;
    } classes[] = { { 'd', "[0-9]" }, { 'D', "[^0-9]" }, { 'w', "[0-9A-Za-z_]" }, { 'W', "[^0-9A-Za-z_]" },
        { 's', "[ \t\n\f\r]" }, { 'S', "[^ \t\n\f\r]" }, { 't', "\t" }, { 'n', "\n" } };
    bool bracket = false;
    int64_t cost = 1;
    if (strlen(p) > PATTERN_MAX) return fail(e, ERR_UNSUPPORTED, "a pattern of %zu bytes", strlen(p));
    if (whole) str_add(out, "^(");
    for (; *p; p++) {
        const char *class = NULL;
        for (size_t i = 0; *p == '\\' && i < sizeof classes / sizeof *classes; i++)
            if (classes[i].letter == p[1]) class = classes[i].class;
        if (*p == '{' && !bracket) TRY(count_repeats(p, &cost, e));
        if (*p == '\\' && (!p[1] || (!class && strchr(bracket ? "0123456789bBAzZpPQEC" : "0123456789AzZpPQEC", p[1]))))
            return fail(e, ERR_UNSUPPORTED, "\\%c in a pattern", p[1]);
        if (*p == '(' && p[1] == '?' && !bracket) {
            if (p[2] != ':') return fail(e, ERR_UNSUPPORTED, "(?%c in a pattern", p[2]);
            str_addc(out, '(');
            p += 2;
        } else if (class && bracket) {
            if (class[0] == '[' && class[1] == '^') return fail(e, ERR_UNSUPPORTED, "\\%c within brackets", p[1]);
            str_addn(out, class + (*class == '['), strlen(class) - 2 * (*class == '['));
            p++;
        } else if (class || *p == '\\') {
            if (class) str_add(out, class);
            else if (!bracket) str_addc(out, '\\');
            if (!class) str_addc(out, p[1]);
            p++;
        } else {
            if (*p == '[') bracket = true;
            if (*p == ']') bracket = false;
            str_addc(out, *p);
        }
    }
    if (whole) str_add(out, ")$");
    return 0;
}

int text_compile(regex_t *to, const char *pattern, bool whole, struct arena *scratch, struct err *e)
{
    struct str out = str_in(scratch);
    TRY(posix_pattern(pattern, whole, &out, e));
    const char *text = str_done(&out);
    TRY_MEM(text, e);
    if (regcomp(to, text, REG_EXTENDED | (whole ? REG_NOSUB : 0)))
        return fail(e, ERR_MODEL, "the pattern \"%s\" cannot be read", pattern);
    return 0;
}

static int match_infer(struct node *n, struct err *e)
{
    TRY(text_wanted(n, 0, e));
    infer_out(n, 0, DT_BOOL, &n->in[0]->shape);
    return 0;
}

static int match_run(const struct step *s, struct err *e)
{
    const struct string_element *x = s->in[0]->data;
    bool *y = s->out[0]->data;
    regex_t compiled;
    TRY(text_compile(&compiled, node_string(s->node, "pattern"), true, s->scratch, e));
    int code = 0;
    for (int64_t i = 0; i < tensor_count(s->in[0]) && !code; i++) {
        const char *line = arena_strndup(s->scratch, x[i].text, x[i].len);
        if (!line) code = fail_nomem(e);
        else y[i] = strlen(line) == x[i].len && !regexec(&compiled, line, 0, NULL, 0);
    }
    regfree(&compiled);
    return code;
}

static const struct attr_spec normalizer_attrs[] = {
    { .name = "case_change_action",
        .type = ATTR_STRING,
        .presence = ATTR_DEFAULT,
        .s = "NONE",
        .doc = "NONE, LOWER, UPPER" },
    { .name = "is_case_sensitive", .type = ATTR_INT, .presence = ATTR_DEFAULT, .doc = "whether stop words are" },
    { .name = "locale", .type = ATTR_STRING, .presence = ATTR_OPTIONAL, .doc = "not looked at: texts are UTF-8" },
    { .name = "stopwords", .type = ATTR_STRINGS, .presence = ATTR_OPTIONAL, .doc = "texts that are left out" },
    { 0 },
};
static const struct attr_spec split_attrs[] = {
    { .name = "delimiter", .type = ATTR_STRING, .presence = ATTR_DEFAULT, .s = "", .doc = "empty: white space" },
    { .name = "maxsplit", .type = ATTR_INT, .presence = ATTR_OPTIONAL, .doc = "how often it is split at most" },
    { 0 },
};
static const struct attr_spec match_attrs[] = {
    { .name = "pattern", .type = ATTR_STRING, .presence = ATTR_REQUIRED, .doc = "a regular expression" },
    { 0 },
};

#define ROW(op_name, text, in, out, ...) \
    { \
        .name = (op_name), .doc = (text), .min_in = (in), .max_in = (in), .min_out = 1, .max_out = (out), __VA_ARGS__ \
    }
const struct op ops_text[] = {
    ROW("StringNormalizer", "without stop words, in one case", 1, 1, .attrs = normalizer_attrs,
        .infer = normalizer_infer, .run = normalizer_run,
        .samples = "string{Ab,cD,x} | stopwords=ab,x; string[1,2]{a,B} | case_change_action=UPPER; "
                   "string{a} | stopwords=a is_case_sensitive=1; string{\xc3\x84rger} | case_change_action=LOWER"),
    ROW("StringConcat", "texts joined", 2, 1, .infer = concat_infer, .run = concat_run,
        .samples = "string{a,b} string{x,y}; string[2,1]{a,b} string{x,y,z}; string[]{a} string{}"),
    ROW("StringSplit", "pieces of texts, and how many", 1, 2, .attrs = split_attrs, .infer = split_infer,
        .run = split_run, .samples = "string{a.b.c,d} | delimiter=. outputs=2; string{a.b.c} | delimiter=. maxsplit=1"),
    ROW("RegexFullMatch", "whether a pattern matches the whole text", 1, 1, .attrs = match_attrs, .infer = match_infer,
        .run = match_run, .samples = "string{ab1,abc,b} | pattern=(?:a|b)+\\d?"),
    { 0 },
};
