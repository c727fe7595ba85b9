/* token.c - Tokenizer: texts cut into words, by what lies between them or by what a word is. */
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "graph/op.h"
#include "graph/sequence.h"
#include "ops/infer.h"
#include "ops/kernel.h"
#include "ops/text.h"

enum { PATTERNS_MAX = 64 };

struct words {
    struct string_element *items;
    size_t n, cap;
};

struct tokenizer {
    const struct step *s;
    const struct attr *separators; /* NULL: `word` says what a word is */
    regex_t pattern[PATTERNS_MAX];
    size_t n;
    bool by_character;
    int64_t least; /* characters of a word */
    struct err *e;
};

static bool starts_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

static int keep(const struct tokenizer *t, struct words *to, const char *text, size_t len)
{
    int64_t characters = 0;
    for (size_t i = 0; i < len; i++) characters += starts_character(text[i]);
    if (!len || characters < t->least) return 0;
    struct string_element x = { text, len };
    return ARRAY_PUSH(t->s->scratch, to->items, to->n, to->cap, x) ? 0 : fail_nomem(t->e);
}

static int cut_characters(const struct tokenizer *t, const char *text, struct words *to)
{
    for (size_t i = 0, n; text[i]; i += n) {
        for (n = 1; text[i + n] && !starts_character(text[i + n]);) n++;
        TRY(keep(t, to, text + i, n));
    }
    return 0;
}

/* The words that match, or what lies between separators of one kind; a match of nothing is passed over. */
static int cut(const struct tokenizer *t, const regex_t *by, bool between, const char *text, struct words *to)
{
    regmatch_t m;
    const char *at = text, *from = text;
    while (*at && !regexec(by, at, 1, &m, at == text ? 0 : REG_NOTBOL)) {
        const char *begin = at + m.rm_so, *end = at + m.rm_eo;
        if (begin == end && !*end) break;
        at = begin == end ? end + 1 : end;
        if (begin == end) continue;
        TRY(between ? keep(t, to, from, (size_t)(begin - from)) : keep(t, to, begin, (size_t)(end - begin)));
        from = end;
    }
    return between ? keep(t, to, from, strlen(from)) : 0;
}

/* Each separator cuts what those before it left. */
static int words_of(const struct tokenizer *t, const char *text, struct words *to)
{
    if (t->by_character) return cut_characters(t, text, to);
    if (!t->separators) return cut(t, &t->pattern[0], false, text, to);
    struct string_element whole = { text, strlen(text) };
    struct words left = { &whole, 1, 0 };
    for (size_t i = 0; i < t->n; i++) {
        struct words next = { 0 };
        for (size_t k = 0; k < left.n; k++) {
            const char *piece = arena_strndup(t->s->scratch, left.items[k].text, left.items[k].len);
            TRY_MEM(piece, t->e);
            TRY(cut(t, &t->pattern[i], true, piece, &next));
        }
        left = next;
    }
    *to = left;
    return 0;
}

/* (..., words): padded, and between marks where they are wanted. */
static int give(const struct tokenizer *t, const struct words *all, int64_t n, struct err *e)
{
    const struct step *s = t->s;
    const char *pad = node_string(s->node, "pad_value");
    int64_t mark = node_int(s->node, "mark") != 0, most = 0;
    struct shape shape = s->in[0]->shape;
    for (int64_t i = 0; i < n; i++)
        if ((int64_t)all[i].n > most) most = (int64_t)all[i].n;
    if (most) most += 2 * mark;
    shape.dim[shape.rank++] = most;
    int64_t count = shape_count(&shape);
    struct string_element *out = count >= 0 ? ARENA_ARRAY(s->scratch, count + 1, struct string_element) : NULL;
    TRY_MEM(out, e);
    for (int64_t i = 0; i < n; i++) {
        struct string_element *row = out + i * most;
        int64_t have = (int64_t)all[i].n;
        for (int64_t k = 0; k < most; k++) row[k] = (struct string_element){ pad, strlen(pad) };
        for (int64_t k = 0; k < have; k++) row[k + mark] = all[i].items[k];
        if (!mark || !most) continue;
        row[0] = (struct string_element){ "\x02", 1 };
        row[have + 1] = (struct string_element){ "\x03", 1 };
    }
    return text_give(s, 0, &shape, out, e);
}

static int compile(struct tokenizer *t, struct err *e)
{
    const struct attr *list = t->separators;
    size_t n = list ? list->n : 1;
    const char *word = list ? NULL : node_string(t->s->node, "tokenexp");
    if (n > PATTERNS_MAX) return fail(e, ERR_UNSUPPORTED, "%zu separators, %d are taken", n, PATTERNS_MAX);
    t->by_character = list && n == 1 && !list->strings[0][0];
    for (; t->n < n && !t->by_character; t->n++)
        TRY(text_compile(&t->pattern[t->n], list ? list->strings[t->n] : word, false, t->s->scratch, e));
    return 0;
}

static int run(const struct step *s, struct err *e)
{
    struct tokenizer t = { .s = s, .separators = node_attr(s->node, "separators"), .e = e,
        .least = node_int(s->node, "mincharnum") };
    int64_t n = tensor_count(s->in[0]);
    const struct string_element *x = s->in[0]->data;
    struct words *all = ARENA_ARRAY(s->scratch, n + 1, struct words);
    int code = all ? compile(&t, e) : fail_nomem(e);
    for (int64_t i = 0; i < n && !code; i++) {
        const char *text = arena_strndup(s->scratch, x[i].text ? x[i].text : "", x[i].len);
        code = text ? words_of(&t, text, &all[i]) : fail_nomem(e);
    }
    for (size_t i = 0; i < t.n; i++) regfree(&t.pattern[i]);
    return code ? code : give(&t, all, n, e);
}

static int infer(struct node *n, struct err *e)
{
    struct shape s = n->in[0]->shape;
    TRY(text_wanted(n, 0, e));
    TRY(infer_rank(n, 0, 1, 2, e));
    if (node_has(n, "separators") == node_has(n, "tokenexp"))
        return fail(e, ERR_MODEL, "one of separators and tokenexp must be given");
    if (s.rank >= 0) s.dim[s.rank++] = DIM_UNKNOWN;
    infer_out(n, 0, DT_STRING, &s);
    return 0;
}

static const struct attr_spec attrs[] = {
    { "mark", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "whether words lie between the characters 2 and 3" },
    { "mincharnum", ATTR_INT, ATTR_DEFAULT, .i = 1, .doc = "shorter words are left out" },
    { "pad_value", ATTR_STRING, ATTR_DEFAULT, .s = "", .doc = "after the last word" },
    { "separators", ATTR_STRINGS, ATTR_OPTIONAL, .doc = "patterns of what lies between; one empty text: nothing does" },
    { "tokenexp", ATTR_STRING, ATTR_OPTIONAL, .doc = "the pattern of a word" },
    { 0 },
};

const struct op ops_token[] = {
    { .name = "Tokenizer",
        .doc = "words of texts along a new last axis",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN,
        .attrs = attrs,
        .infer = infer,
        .run = run,
        .samples = "string{ab-c,d-e} | tokenexp=[a-z]+; string[1,2]{ab-c,} | tokenexp=[a-z]+ mark=1 pad_value=#; "
                   "string{a.b-c} | separators=[.] mincharnum=1; string{ab} | separators=x,y" },
    { 0 },
};
