/* detection.c - from a detector's offsets and scores to boxes: decoding, suppression of overlaps, choice (Liu et al.,
 * "SSD: Single Shot MultiBox Detector", 2016; as Caffe's fork of that name has it). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/op.h"
#include "ops/infer.h"
#include "ops/kernel.h"

enum { ROW = 7 }; /* image, class, score, left, top, right, bottom */

static const char *const codes[] = { "corner", "center_size", "corner_size" };

static const struct attr_spec attrs[] = {
    { "background", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "class that is no object; -1: there is none" },
    { "code", ATTR_STRING, ATTR_DEFAULT, .s = "center_size",
        .doc = "what offsets mean: corner, center_size, corner_size" },
    { "eta", ATTR_FLOAT, ATTR_DEFAULT, .f = 1, .doc = "factor of the threshold after each box kept, down to 0.5" },
    { "iou_threshold", ATTR_FLOAT, ATTR_DEFAULT, .f = 0.3, .doc = "overlap above which the weaker box goes" },
    { "keep_top_k", ATTR_INT, ATTR_DEFAULT, .i = -1, .doc = "boxes kept of an image; -1: all" },
    { "num_classes", ATTR_INT, ATTR_REQUIRED, .doc = "classes, the background counted" },
    { "pad", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "1: always keep_top_k rows an image, zeros behind those found" },
    { "score_threshold", ATTR_FLOAT, ATTR_DEFAULT, .f = 0, .doc = "boxes up to this score are left out" },
    { "share_location", ATTR_INT, ATTR_DEFAULT, .i = 1, .doc = "one box for all classes" },
    { "top_k", ATTR_INT, ATTR_DEFAULT, .i = -1, .doc = "boxes of a class that are looked at; -1: all" },
    { "variance_encoded", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "the offsets hold the variances already" },
    { 0 },
};

static int code_of(const struct node *n)
{
    for (int i = 0; i < 3; i++)
        if (!strcmp(node_string(n, "code"), codes[i])) return i;
    return -1;
}

/* Numbers that belong to one prior in offsets and scores. */
static int64_t boxes_of(const struct node *n)
{
    return node_int(n, "share_location") ? 1 : node_int(n, "num_classes");
}

static bool is_padded(const struct node *n)
{
    return node_int(n, "pad") && node_int(n, "keep_top_k") >= 0;
}

static int detection_infer(struct node *n, struct err *e)
{
    struct shape s = shape_of(4, (int64_t[]){ 1, 1, DIM_UNKNOWN, ROW });
    int64_t classes = node_int(n, "num_classes");
    for (int i = 0; i < 3; i++) {
        TRY(infer_type(n, i, TYPES_FLOAT, e));
        TRY(infer_rank(n, i, i == 2 ? 3 : 2, i == 2 ? 4 : SHAPE_MAX, e));
    }
    if (classes < 1 || classes > 1 << 20) return fail(e, ERR_MODEL, "num_classes is %lld", (long long)classes);
    if (code_of(n) < 0) return fail(e, ERR_MODEL, "code \"%s\"", node_string(n, "code"));
    int64_t most = node_int(n, "keep_top_k"), images = n->in[0]->shape.rank > 0 ? n->in[0]->shape.dim[0] : -1;
    if (most > 1 << 24) return fail(e, ERR_MODEL, "keep_top_k is %lld", (long long)most);
    if (is_padded(n) && images >= 0 && images < 1 << 24) s.dim[2] = images * most;
    infer_out(n, 0, n->in[0]->dtype, &s);
    return 0;
}

struct box {
    float x0, y0, x1, y1;
};
struct candidate {
    float score;
    int64_t prior, label;
};
struct work {
    const struct node *n;
    const float *loc, *conf, *prior, *variance; /* of the image in hand; of all */
    int64_t priors, classes, per_prior;
    int code;
    bool encoded;
    struct candidate *list;  /* room for every prior of a class */
    struct box *kept;        /* those of the class in hand */
    struct candidate *found; /* of the image */
    size_t n_found;
};

static struct box decode(const struct work *w, int64_t prior, int64_t label)
{
    static const float ones[] = { 1, 1, 1, 1 };
    const float *p = w->prior + prior * 4, *v = w->encoded ? ones : w->variance + prior * 4;
    const float *l = w->loc + (prior * w->per_prior + (w->per_prior > 1 ? label : 0)) * 4;
    float width = p[2] - p[0], height = p[3] - p[1];
    if (w->code == 0)
        return (struct box){ p[0] + v[0] * l[0], p[1] + v[1] * l[1], p[2] + v[2] * l[2], p[3] + v[3] * l[3] };
    if (w->code == 2)
        return (struct box){ p[0] + v[0] * l[0] * width, p[1] + v[1] * l[1] * height, p[2] + v[2] * l[2] * width,
            p[3] + v[3] * l[3] * height };
    float cx = v[0] * l[0] * width + (p[0] + p[2]) / 2, cy = v[1] * l[1] * height + (p[1] + p[3]) / 2;
    float half_w = expf(v[2] * l[2]) * width / 2, half_h = expf(v[3] * l[3]) * height / 2;
    return (struct box){ cx - half_w, cy - half_h, cx + half_w, cy + half_h };
}

static float area(const struct box *b)
{
    return b->x1 < b->x0 || b->y1 < b->y0 ? 0 : (b->x1 - b->x0) * (b->y1 - b->y0);
}

static float overlap(const struct box *a, const struct box *b)
{
    struct box both = { fmaxf(a->x0, b->x0), fmaxf(a->y0, b->y0), fminf(a->x1, b->x1), fminf(a->y1, b->y1) };
    if (b->x0 > a->x1 || b->x1 < a->x0 || b->y0 > a->y1 || b->y1 < a->y0) return 0;
    float common = (both.x1 - both.x0) * (both.y1 - both.y0);
    return common > 0 ? common / (area(a) + area(b) - common) : 0;
}

/* The best first; among equals the one that was there first. */
static int by_score(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    if (x->label != y->label) return x->label < y->label ? -1 : 1;
    return (x->prior > y->prior) - (x->prior < y->prior);
}

static int by_label(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return x->label != y->label ? (x->label < y->label ? -1 : 1) : by_score(a, b);
}

/* Appends what is kept of one class to w->found. */
static void suppress(struct work *w, int64_t label)
{
    double threshold = node_float(w->n, "iou_threshold"), eta = node_float(w->n, "eta");
    float least = (float)node_float(w->n, "score_threshold");
    int64_t top_k = node_int(w->n, "top_k"), n = 0, n_kept = 0;
    for (int64_t i = 0; i < w->priors; i++) {
        float score = w->conf[i * w->classes + label];
        if (score > least) w->list[n++] = (struct candidate){ score, i, label };
    }
    qsort(w->list, (size_t)n, sizeof *w->list, by_score);
    if (top_k >= 0 && n > top_k) n = top_k;
    for (int64_t i = 0; i < n; i++) {
        struct box b = decode(w, w->list[i].prior, label);
        bool keep = true;
        for (int64_t k = 0; k < n_kept && keep; k++) keep = (double)overlap(&b, &w->kept[k]) <= threshold;
        if (!keep) continue;
        w->kept[n_kept++] = b;
        w->found[w->n_found++] = w->list[i];
        if (eta < 1 && threshold > 0.5) threshold *= eta;
    }
}

static void detect(struct work *w)
{
    int64_t background = node_int(w->n, "background"), most = node_int(w->n, "keep_top_k");
    w->n_found = 0;
    for (int64_t label = 0; label < w->classes; label++)
        if (label != background) suppress(w, label);
    if (most < 0 || w->n_found <= (size_t)most) return;
    qsort(w->found, w->n_found, sizeof *w->found, by_score);
    w->n_found = (size_t)most;
    qsort(w->found, w->n_found, sizeof *w->found, by_label);
}

/* The numbers of an input as floats; its own when they are. */
static const float *floats_of(const struct step *s, const struct tensor *t, struct err *e)
{
    int64_t n = tensor_count(t);
    if (t->dtype == DT_F32) return t->data;
    float *out = ARENA_ARRAY(s->scratch, n, float);
    if (!out) return fail_nomem(e), NULL;
    for (int64_t i = 0; i < n; i++) out[i] = (float)tensor_get_f64(t, i);
    return out;
}

static void store(struct tensor *y, const float *from, int64_t n)
{
    int64_t all = tensor_count(y);
    for (int64_t i = 0; i < all; i++) tensor_set_f64(y, i, i < n ? (double)from[i] : 0);
}

static int work_init(struct work *w, const struct step *s, struct err *e)
{
    const struct tensor *loc = s->in[0], *conf = s->in[1], *prior = s->in[2];
    int64_t classes = node_int(s->node, "num_classes"), values = shape_span(&prior->shape, 2, prior->shape.rank);
    *w = (struct work){ .n = s->node, .priors = values / 4, .classes = classes, .per_prior = boxes_of(s->node) };
    w->code = code_of(s->node), w->encoded = node_int(s->node, "variance_encoded") != 0;
    int64_t images = loc->shape.dim[0], per_loc = shape_span(&loc->shape, 1, loc->shape.rank);
    int64_t per_conf = shape_span(&conf->shape, 1, conf->shape.rank);
    if (prior->shape.dim[0] != 1 || prior->shape.dim[1] < (w->encoded ? 1 : 2) || values % 4)
        return fail(e, ERR_SHAPE, "priors must be (1, 2, boxes * 4)");
    if (conf->shape.dim[0] != images || per_loc != values * w->per_prior || per_conf != w->priors * classes)
        return fail(e, ERR_SHAPE, "%lld priors of %lld classes, but %lld offsets and %lld scores a sample",
            (long long)w->priors, (long long)classes, (long long)per_loc, (long long)per_conf);
    if (!(w->prior = floats_of(s, prior, e))) return e->code;
    w->variance = w->prior + values;
    w->list = ARENA_ARRAY(s->scratch, w->priors, struct candidate);
    w->kept = ARENA_ARRAY(s->scratch, w->priors, struct box);
    w->found = ARENA_ARRAY(s->scratch, w->priors * classes, struct candidate);
    return w->list && w->kept && w->found ? 0 : fail_nomem(e);
}

static void put_rows(const struct work *w, int64_t image, float *out)
{
    for (size_t i = 0; i < w->n_found; i++, out += ROW) {
        const struct candidate *c = &w->found[i];
        struct box b = decode(w, c->prior, c->label);
        memcpy(
            out, (float[ROW]){ (float)image, (float)c->label, c->score, b.x0, b.y0, b.x1, b.y1 }, sizeof(float[ROW]));
    }
}

/* When nothing is found: a row of -1 for each image. */
static void put_nothing(float *out, int64_t images)
{
    for (int64_t i = 0; i < images * ROW; i++) out[i] = i % ROW ? -1 : (float)(i / ROW);
}

static int detection_run(const struct step *s, struct err *e)
{
    struct work w;
    TRY(work_init(&w, s, e));
    int64_t images = s->in[0]->shape.dim[0], rows = 0, each = w.priors * w.classes;
    int64_t room = each > w.priors ? each : w.priors;
    float *out = ARENA_ARRAY(s->scratch, (room ? room : 1) * (images ? images : 1) * ROW, float);
    TRY_MEM(out, e);
    const float *loc = floats_of(s, s->in[0], e), *conf = floats_of(s, s->in[1], e);
    if (!loc || !conf) return e->code;
    for (int64_t i = 0; i < images; i++) {
        w.loc = loc + i * w.priors * w.per_prior * 4;
        w.conf = conf + i * each;
        detect(&w);
        put_rows(&w, i, out + rows * ROW);
        rows += (int64_t)w.n_found;
    }
    if (is_padded(s->node)) return store(s->out[0], out, rows * ROW), 0;
    if (!rows) put_nothing(out, rows = images);
    struct shape shape = shape_of(4, (int64_t[]){ 1, 1, rows, ROW });
    struct tensor *y = step_resize(s, 0, s->in[0]->dtype, &shape, e);
    if (!y) return e->code;
    return store(y, out, rows * ROW), 0;
}

const struct op ops_detection[] = {
    { .name = "DetectionOutput",
        .doc = "boxes of (offsets, scores, priors): rows of image, class, score, left, top, right, bottom",
        .min_in = 3,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN,
        .attrs = attrs,
        .infer = detection_infer,
        .run = detection_run,
        .samples = "f32[2,16] f32[2,12] f32[1,2,16] | num_classes=3 iou_threshold=0.45 keep_top_k=3; "
                   "f32[2,16] f32[2,12] f32[1,2,16] | num_classes=3 code=corner keep_top_k=5 pad=1" },
    { 0 },
};
