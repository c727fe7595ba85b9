/* tfidf.c - TfIdfVectorizer: how often sequences of words or numbers come in a row. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "ops/infer.h"
#include "ops/mover.h"

/* The sequences looked for: those of length n are pool[first[n - 1] ..], one after another; all are counted through. */
struct pool {
    int64_t n_items; /* of the pool */
    const char *const *texts;
    const int64_t *numbers; /* one of the two */
    size_t n_counts, n_indexes;
    const int64_t *first, *indexes;
    int64_t width; /* of the result */
};

static int read_pool(const struct node *n, struct pool *p, struct err *e)
{
    const struct attr *texts = node_attr(n, "pool_strings"), *weights = node_attr(n, "weights");
    size_t items = 0;
    *p = (struct pool){ .texts = texts ? texts->strings : NULL };
    p->numbers = node_ints(n, "pool_int64s", &items);
    if (texts) items = texts->n;
    p->n_items = (int64_t)items;
    p->first = node_ints(n, "ngram_counts", &p->n_counts);
    p->indexes = node_ints(n, "ngram_indexes", &p->n_indexes);
    if (!texts == !p->numbers) return fail(e, ERR_MODEL, "one of pool_strings and pool_int64s is expected");
    int64_t low = node_int(n, "min_gram_length"), high = node_int(n, "max_gram_length");
    if (low < 1 || high < low || (size_t)high > p->n_counts || node_int(n, "max_skip_count") < 0)
        return fail(
            e, ERR_MODEL, "sequences of %lld to %lld, %zu counts", (long long)low, (long long)high, p->n_counts);
    size_t known = 0;
    for (size_t k = 0; k < p->n_counts; k++) {
        int64_t end = k + 1 < p->n_counts ? p->first[k + 1] : p->n_items;
        if (p->first[k] < 0 || p->first[k] > end || end > p->n_items || (end - p->first[k]) % (int64_t)(k + 1))
            return fail(e, ERR_MODEL, "ngram_counts[%zu] is %lld, the pool has %lld items", k, (long long)p->first[k],
                (long long)p->n_items);
        known += (size_t)(end - p->first[k]) / (k + 1);
    }
    if (known != p->n_indexes)
        return fail(e, ERR_MODEL, "%zu sequences in the pool, %zu ngram_indexes", known, p->n_indexes);
    for (size_t i = 0; i < p->n_indexes; i++) {
        if (p->indexes[i] < 0 || p->indexes[i] > INT32_MAX)
            return fail(e, ERR_MODEL, "ngram_indexes[%zu] is %lld", i, (long long)p->indexes[i]);
        if (p->indexes[i] >= p->width) p->width = p->indexes[i] + 1;
    }
    if (weights && (int64_t)weights->n != p->width)
        return fail(e, ERR_MODEL, "%zu weights for %lld results", weights->n, (long long)p->width);
    return 0;
}

static int tfidf_infer(struct node *n, struct err *e)
{
    struct pool p;
    struct shape s = n->in[0]->shape;
    const char *mode = node_string(n, "mode");
    enum dtype t = n->in[0]->dtype;
    TRY(read_pool(n, &p, e));
    TRY(infer_rank(n, 0, 1, 2, e));
    if (!mode || (strcmp(mode, "TF") && strcmp(mode, "IDF") && strcmp(mode, "TFIDF")))
        return fail(e, ERR_MODEL, "mode is \"%s\", expected TF, IDF or TFIDF", mode ? mode : "");
    if (t && (p.texts ? t != DT_STRING : t != DT_I32 && t != DT_I64))
        return fail(e, ERR_SHAPE, "input 0 (%s) is %s, the pool holds %s", n->in[0]->name, dtype_name(t),
            p.texts ? "texts" : "integers");
    if (s.rank > 0) s.dim[s.rank - 1] = p.width;
    infer_out(n, 0, DT_F32, &s);
    return 0;
}

static bool same_item(const struct pool *p, const struct tensor *x, int64_t at, int64_t item)
{
    if (!p->texts) return tensor_get_i64(x, at) == p->numbers[item];
    const struct string_element *s = (const struct string_element *)x->data + at;
    return s->len == strlen(p->texts[item]) && !memcmp(s->text, p->texts[item], s->len);
}

/* How often the n items from `item` on come in a row of x, `gap` apart. */
static int64_t count_row(
    const struct pool *p, const struct tensor *x, int64_t row, int64_t length, int64_t item, int64_t n, int64_t gap)
{
    int64_t count = 0;
    for (int64_t i = 0; i + (n - 1) * gap < length; i++) {
        int64_t k = 0;
        while (k < n && same_item(p, x, row + i + k * gap, item + k)) k++;
        count += k == n;
    }
    return count;
}

/* Gaps between items go from 1 to max_skip_count + 1; single items are counted once. */
static void count_all(
    const struct node *n, const struct pool *p, const struct tensor *x, int64_t row, int64_t length, float *y)
{
    int64_t low = node_int(n, "min_gram_length"), high = node_int(n, "max_gram_length");
    int64_t skip = node_int(n, "max_skip_count");
    const int64_t *index = p->indexes;
    if (skip > length) skip = length;
    for (int64_t len = 1; len <= (int64_t)p->n_counts; len++) {
        int64_t end = len < (int64_t)p->n_counts ? p->first[len] : p->n_items;
        for (int64_t item = p->first[len - 1]; item < end; item += len, index++)
            for (int64_t gap = 1; len >= low && len <= high && gap <= (len == 1 ? 1 : skip + 1); gap++)
                y[*index] += (float)count_row(p, x, row, length, item, len, gap);
    }
}

static int tfidf_run(const struct step *s, struct err *e)
{
    struct pool p;
    const struct tensor *x = s->in[0];
    const char *mode = node_string(s->node, "mode");
    const struct attr *weights = node_attr(s->node, "weights");
    TRY(read_pool(s->node, &p, e));
    int64_t length = x->shape.dim[x->shape.rank - 1], rows = x->shape.rank == 2 ? x->shape.dim[0] : 1;
    float *y = s->out[0]->data;
    memset(y, 0, (size_t)tensor_bytes(s->out[0]));
    for (int64_t r = 0; r < rows; r++, y += p.width) {
        count_all(s->node, &p, x, r * length, length, y);
        for (int64_t i = 0; i < p.width && strcmp(mode, "TF") != 0; i++) {
            float weight = weights ? (float)weights->floats[i] : 1;
            y[i] = *mode == 'I' ? (y[i] > 0 ? weight : 0) : y[i] * weight;
        }
    }
    return 0;
}

static const struct attr_spec tfidf_attrs[] = {
    { .name = "max_gram_length", .type = ATTR_INT, .presence = ATTR_REQUIRED, .doc = "the longest sequence" },
    { .name = "max_skip_count", .type = ATTR_INT, .presence = ATTR_REQUIRED, .doc = "items skipped between two" },
    { .name = "min_gram_length", .type = ATTR_INT, .presence = ATTR_REQUIRED, .doc = "the shortest sequence" },
    { .name = "mode", .type = ATTR_STRING, .presence = ATTR_REQUIRED, .doc = "TF, IDF, TFIDF" },
    { .name = "ngram_counts", .type = ATTR_INTS, .presence = ATTR_REQUIRED, .doc = "where each length begins" },
    { .name = "ngram_indexes", .type = ATTR_INTS, .presence = ATTR_REQUIRED, .doc = "the place of each in the result" },
    { .name = "pool_int64s", .type = ATTR_INTS, .presence = ATTR_OPTIONAL, .doc = "the sequences, or" },
    { .name = "pool_strings", .type = ATTR_STRINGS, .presence = ATTR_OPTIONAL, .doc = "the sequences" },
    { .name = "weights", .type = ATTR_FLOATS, .presence = ATTR_OPTIONAL, .doc = "one for each result" },
    { 0 },
};

const struct op ops_tfidf[] = {
    { .name = "TfIdfVectorizer",
        .doc = "how often sequences of words or numbers come",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .attrs = tfidf_attrs,
        .infer = tfidf_infer,
        .run = tfidf_run,
        .samples = "i64<4>[2,9] | mode=TFIDF min_gram_length=1 max_gram_length=2 max_skip_count=1 ngram_counts=0,2 "
                   "ngram_indexes=0,2,1 pool_int64s=2,3,1,2 weights=1,2,0.5; string{a,b,a} | mode=TF min_gram_length=1 "
                   "max_gram_length=1 max_skip_count=0 ngram_counts=0 ngram_indexes=1,0 pool_strings=a,b" },
    { 0 },
};
