/* nms.c - NonMaxSuppression: boxes that overlap a better one of their class are left out. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "ops/infer.h"
#include "ops/mover.h"

/* in boxes (batch, N, 4), scores (batch, classes, N), boxes per class, overlap, score; out (chosen, 3): batch, class,
 * box */
static int nms_infer(struct node *n, struct err *e)
{
    struct shape s = shape_of(2, (int64_t[]){ DIM_UNKNOWN, 3 });
    const struct shape *boxes = &n->in[0]->shape, *scores = &n->in[1]->shape;
    int64_t center = node_int(n, "center_point_box");
    for (int i = 0; i < 2; i++) {
        TRY(infer_type(n, i, TYPES_FLOAT, e));
        TRY(infer_rank(n, i, 3, 3, e));
    }
    for (int i = 2; i < n->n_in; i++)
        if (n->in[i]) TRY(infer_type(n, i, i == 2 ? TYPES_INTEGER : TYPES_FLOAT, e));
    if (center != 0 && center != 1) return fail(e, ERR_MODEL, "center_point_box is %lld", (long long)center);
    if (boxes->rank == 3 && boxes->dim[2] >= 0 && boxes->dim[2] != 4)
        return fail(e, ERR_SHAPE, "boxes of %lld numbers, expected 4", (long long)boxes->dim[2]);
    if (boxes->rank == 3 && scores->rank == 3)
        for (int d = 0; d < 2; d++) {
            int64_t b = boxes->dim[d], c = scores->dim[2 * d];
            if (b >= 0 && c >= 0 && b != c)
                return fail(
                    e, ERR_SHAPE, "%lld %s, scores for %lld", (long long)b, d ? "boxes" : "batches", (long long)c);
        }
    infer_out(n, 0, DT_I64, &s);
    return 0;
}

struct box {
    float low[2], high[2];
};

static struct box box_of(const float *v, bool center)
{
    struct box b;
    for (int d = 0; d < 2; d++) {
        float first = center ? v[d] - v[d + 2] / 2 : v[d], last = center ? v[d] + v[d + 2] / 2 : v[d + 2];
        b.low[d] = first < last ? first : last; /* corners may come in any order */
        b.high[d] = first < last ? last : first;
    }
    return b;
}

static bool overlap(const struct box *a, const struct box *b, float most)
{
    float shared = 1, size_a = 1, size_b = 1;
    for (int d = 0; d < 2; d++) {
        float low = a->low[d] > b->low[d] ? a->low[d] : b->low[d];
        float high = a->high[d] < b->high[d] ? a->high[d] : b->high[d];
        if (high <= low) return false;
        shared *= high - low;
        size_a *= a->high[d] - a->low[d];
        size_b *= b->high[d] - b->low[d];
    }
    float both = size_a + size_b - shared;
    return both > 0 && shared / both > most;
}

struct candidate {
    float score;
    int64_t index;
};

/* The higher score; of equal ones the first. */
static bool is_better(const struct candidate *a, const struct candidate *b)
{
    return a->score != b->score ? a->score > b->score : a->index < b->index;
}

/* A heap of n candidates, the best on top, that is one again but for the one at i. */
static void sink(struct candidate *heap, int64_t n, int64_t i)
{
    struct candidate moved = heap[i];
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && is_better(&heap[child + 1], &heap[child])) child++;
        if (!is_better(&heap[child], &moved)) break;
        heap[i] = heap[child];
    }
    heap[i] = moved;
}

struct nms {
    int64_t batches, classes, n, most;
    float overlap, score;
    bool has_score;
    const float *boxes, *scores;
    struct box *box;
    struct candidate *list;
    int64_t *chosen, count; /* triples */
};

static void choose(struct nms *w, int64_t batch, int64_t class)
{
    const float *score = w->scores + (batch * w->classes + class) * w->n;
    int64_t n = 0, first = w->count;
    for (int64_t i = 0; i < w->n; i++)
        if (score[i] == score[i] && (!w->has_score || score[i] > w->score))
            w->list[n++] = (struct candidate){ score[i], i };
    for (int64_t i = n / 2 - 1; i >= 0; i--) sink(w->list, n, i);
    while (n > 0 && w->count - first < w->most) { /* few of many candidates are looked at */
        int64_t best = w->list[0].index;
        bool hidden = false;
        w->list[0] = w->list[--n];
        if (n) sink(w->list, n, 0);
        for (int64_t k = first; k < w->count && !hidden; k++)
            hidden = overlap(&w->box[best], &w->box[w->chosen[3 * k + 2]], w->overlap);
        if (hidden) continue;
        int64_t *to = w->chosen + 3 * w->count++;
        to[0] = batch, to[1] = class, to[2] = best;
    }
}

/* As float32, whatever the input's type. */
static const float *floats(const struct step *s, int i, struct err *e)
{
    const struct tensor *t = s->in[i];
    int64_t n = tensor_count(t);
    float *v = t->dtype == DT_F32 ? t->data : ARENA_ARRAY(s->scratch, n, float);
    if (!v) return fail_nomem(e), NULL;
    for (int64_t k = 0; k < n && t->dtype != DT_F32; k++) v[k] = (float)tensor_get_f64(t, k);
    return v;
}

static const struct tensor *number(const struct step *s, int i)
{
    const struct tensor *t = i < s->node->n_in ? s->in[i] : NULL;
    return t && tensor_count(t) == 1 ? t : NULL;
}

static int nms_run(const struct step *s, struct err *e)
{
    const struct shape *boxes = &s->in[0]->shape, *scores = &s->in[1]->shape;
    const struct tensor *most = number(s, 2), *overlaps = number(s, 3), *score = number(s, 4);
    struct nms w = { boxes->dim[0], scores->dim[1], boxes->dim[1], most ? tensor_get_i64(most, 0) : 0 };
    if (scores->dim[0] != w.batches || scores->dim[2] != w.n) return fail(e, ERR_SHAPE, "boxes and scores do not fit");
    w.overlap = overlaps ? (float)tensor_get_f64(overlaps, 0) : 0;
    w.has_score = score != NULL;
    w.score = score ? (float)tensor_get_f64(score, 0) : 0;
    int64_t per_class = w.most < 0 ? 0 : w.most < w.n ? w.most : w.n, all = w.batches * w.classes;
    w.boxes = floats(s, 0, e);
    w.scores = floats(s, 1, e);
    if (__builtin_mul_overflow(all, 3 * per_class, &all)) return fail_nomem(e);
    w.box = ARENA_ARRAY(s->scratch, w.n, struct box);
    w.list = ARENA_ARRAY(s->scratch, w.n, struct candidate);
    w.chosen = ARENA_ARRAY(s->scratch, all, int64_t);
    if (e->code || !w.box || !w.list || !w.chosen) return fail_nomem(e);
    for (int64_t b = 0; b < w.batches; b++) {
        for (int64_t i = 0; i < w.n; i++)
            w.box[i] = box_of(w.boxes + 4 * (b * w.n + i), node_int(s->node, "center_point_box") != 0);
        for (int64_t c = 0; c < w.classes && per_class; c++) choose(&w, b, c);
    }
    struct shape shape = shape_of(2, (int64_t[]){ w.count, 3 });
    struct tensor *y = step_resize(s, 0, DT_I64, &shape, e);
    if (!y) return e->code;
    if (w.count) memcpy(y->data, w.chosen, (size_t)w.count * 3 * sizeof *w.chosen);
    return 0;
}

static const struct attr_spec nms_attrs[] = {
    { .name = "center_point_box",
        .type = ATTR_INT,
        .presence = ATTR_DEFAULT,
        .doc = "0: two corners; 1: center, width and height" },
    { 0 },
};

const struct op ops_nms[] = {
    { .name = "NonMaxSuppression",
        .doc = "the boxes of each class that overlap no better one",
        .min_in = 2,
        .max_in = 5,
        .min_out = 1,
        .max_out = 1,
        .attrs = nms_attrs,
        .infer = nms_infer,
        .run = nms_run,
        .samples = "f32+[1,9,4] f32~[1,2,9] i64{3} f32{0.3}; f32[2,5,4] f32+[2,1,5] i64{9} f32{0.5} f32{1} | "
                   "center_point_box=1; f32[1,3,4] f32[1,1,3]" },
    { 0 },
};
