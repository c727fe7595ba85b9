/* boxes.c - the forms in which detectors give boxes, suppression of overlaps, and the way back to the image. */
#include "data/boxes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "data/postprocess.h"
#include "data/steps.h"
#include "graph/graph.h"

enum { FORM_SEPARATE, FORM_CLASSES, FORM_OBJECTS, FORM_ROWS, FORM_SSD };
enum { XYXY, YXYX, XYWH, CXCYWH };
enum { PIXELS, SHARES };

void boxes_parse(struct boxes_step *s, struct step_reader *r)
{
    static const char *const forms[] = { "separate", "classes", "objects", "rows", "ssd", NULL };
    static const char *const corners[] = { "xyxy", "yxyx", "xywh", "cxcywh", NULL };
    static const char *const units[] = { "pixels", "shares", NULL };
    s->form = step_choice(r, "form", forms, FORM_SEPARATE);
    s->corners = step_choice(r, "corners", corners, XYXY);
    s->units = step_choice(r, "units", units, PIXELS);
    s->scores = step_string(r, "scores", NULL);
    s->labels = step_string(r, "labels", NULL);
    s->count = step_string(r, "count", NULL);
    s->threshold = step_number(r, "threshold", 0.25);
    s->iou = step_number(r, "iou", 0);
    s->max = step_int(r, "max", BOXES_USUAL, 1, BOXES_MAX);
    s->background = step_int(r, "background", -1, -1, 1 << 30);
    if (!r->err->code && s->form == FORM_SEPARATE && !s->scores)
        fail(r->err, ERR_USAGE, "%s: \"scores\" is missing: the name of the output that has them", r->where);
}

/* Numbers of one output as a table; (1, N, M) and (1, 1, N, M) are (N, M). */
struct grid {
    double *v;
    int64_t rows, columns;
};

static int read_grid(const struct tensor *t, struct arena *a, struct grid *g, struct err *e)
{
    int d = 0, rank = t->shape.rank;
    if (dtype_kind(t->dtype) == KIND_OTHER) return fail(e, ERR_USAGE, "%s is no number", dtype_name(t->dtype));
    while (rank - d > 2 && t->shape.dim[d] == 1) d++;
    if (rank - d > 2 || rank < 1) return fail(e, ERR_USAGE, "an output of rank %d is no list of boxes", rank);
    g->rows = rank - d == 2 ? t->shape.dim[d] : t->shape.dim[rank - 1];
    g->columns = rank - d == 2 ? t->shape.dim[rank - 1] : 1;
    TRY_MEM(g->v = ARENA_ARRAY(a, tensor_count(t), double), e);
    load_f64(t->dtype, t->data, tensor_count(t), g->v);
    return 0;
}

static int find_output(
    const struct outputs *o, const char *name, struct arena *a, struct grid *g, struct err *e)
{
    for (size_t i = 0; o->graph && i < o->n; i++)
        if (!strcmp(o->graph->outputs[i]->name, name)) return read_grid(&o->of[i], a, g, e);
    return fail(e, ERR_USAGE, "the model has no output \"%s\"", name);
}

struct candidate {
    double box[4], score; /* as the model gave it */
    int64_t class, order;
};

struct candidates {
    struct candidate *of;
    int64_t n;
};

static void add(struct candidates *c, const struct boxes_step *s, const double *box, double score, double class)
{
    bool finite = isfinite(box[0]) && isfinite(box[1]) && isfinite(box[2]) && isfinite(box[3]);
    if (!(score >= s->threshold) || !finite || !(class >= 0 && class < 1e9) || (int64_t)class == s->background) return;
    struct candidate *x = &c->of[c->n];
    *x = (struct candidate){ { box[0], box[1], box[2], box[3] }, score, (int64_t)class, c->n };
    c->n++;
}

/* The best class of n scores, `step` apart. */
static int64_t best_class(const struct boxes_step *s, const double *scores, int64_t n, int64_t step)
{
    int64_t best = -1;
    for (int64_t k = 0; k < n; k++)
        if (k != s->background && (best < 0 || scores[k * step] > scores[best * step])) best = k;
    return best;
}

static int from_separate(const struct boxes_step *s, const struct outputs *o, const struct grid *g,
    struct candidates *c, struct arena *a, struct err *e)
{
    struct grid scores, labels = { 0 }, count = { 0 };
    int64_t n = g->rows;
    TRY(find_output(o, s->scores, a, &scores, e));
    if (s->labels) TRY(find_output(o, s->labels, a, &labels, e));
    if (s->count) TRY(find_output(o, s->count, a, &count, e));
    if (g->columns == 1 && !n) return 0; /* nothing was found */
    /* one row of n scores: a column of them */
    if (scores.rows == 1 && scores.columns == n && (s->labels || n != 1)) scores.rows = n, scores.columns = 1;
    if (labels.rows == 1 && labels.columns == n) labels.rows = n, labels.columns = 1;
    if (g->columns != 4 || scores.rows != n || (s->labels && labels.rows * labels.columns != n))
        return fail(e, ERR_USAGE, "%lld x %lld boxes, %lld x %lld scores, %lld x %lld labels do not go together",
            (long long)n, (long long)g->columns, (long long)scores.rows, (long long)scores.columns,
            (long long)labels.rows, (long long)labels.columns);
    if (s->count && count.rows * count.columns > 0 && count.v[0] >= 0 && count.v[0] < (double)n)
        n = (int64_t)count.v[0];
    for (int64_t i = 0; i < n; i++) {
        const double *row = scores.v + i * scores.columns;
        int64_t k = s->labels || scores.columns == 1 ? 0 : best_class(s, row, scores.columns, 1);
        if (k >= 0) add(c, s, g->v + i * 4, row[k], s->labels ? labels.v[i] : (double)k);
    }
    return 0;
}

/* One number set a box, along the rows or the columns of the grid: the longer side is that of the boxes. */
static int from_anchors(const struct boxes_step *s, const struct grid *g, struct candidates *c, struct err *e)
{
    bool down = s->form == FORM_CLASSES && g->rows < g->columns; /* (4 + classes, N) */
    int64_t n = down ? g->columns : g->rows, m = down ? g->rows : g->columns;
    int64_t step = down ? n : 1, row = down ? 1 : m, head = s->form == FORM_CLASSES ? 4 : 5;
    if (m <= head) return fail(e, ERR_USAGE, "%lld numbers a box are too few", (long long)m);
    for (int64_t i = 0; i < n; i++) {
        const double *v = g->v + i * row, box[4] = { v[0], v[step], v[2 * step], v[3 * step] };
        int64_t k = best_class(s, v + head * step, m - head, step);
        double object = s->form == FORM_OBJECTS ? v[4 * step] : 1;
        if (k >= 0) add(c, s, box, v[(head + k) * step] * object, (double)k);
    }
    return 0;
}

static int from_rows(const struct boxes_step *s, const struct grid *g, struct candidates *c, struct err *e)
{
    bool ssd = s->form == FORM_SSD;
    if (g->columns != (ssd ? 7 : 6))
        return fail(e, ERR_USAGE, "rows of %lld numbers, %d are wanted", (long long)g->columns, ssd ? 7 : 6);
    for (int64_t i = 0; i < g->rows; i++) {
        const double *v = g->v + i * g->columns;
        if (ssd && v[0] >= 0) add(c, s, v + 3, v[2], v[1]); /* image -1: the row is empty */
        else if (!ssd) add(c, s, v, v[4], v[5]);
    }
    return 0;
}

/* To left, top, right, bottom in pixels of the sample's image. */
static void place(const struct boxes_step *s, const struct provenance *from, double box[4])
{
    const struct letterbox *l = &from->letterbox;
    double x0 = box[0], y0 = box[1], x1 = box[2], y1 = box[3];
    double width = (double)from->original.width, height = (double)from->original.height;
    double seen_width = from->seen.width, seen_height = from->seen.height;
    if (s->corners == YXYX) x0 = box[1], y0 = box[0], x1 = box[3], y1 = box[2];
    if (s->corners == CXCYWH) x0 -= x1 / 2, y0 -= y1 / 2;
    if (s->corners >= XYWH) x1 += x0, y1 += y0;
    double v[4] = { x0, y0, x1, y1 };
    for (int i = 0; i < 4 && width > 0 && seen_width > 0 && seen_height > 0; i++) { /* else the sample was no image */
        double side = i & 1 ? seen_height : seen_width, whole = i & 1 ? height : width;
        double pixels = s->units == SHARES ? v[i] * side : v[i];
        double at = l->scale > 0 ? (pixels - (double)(i & 1 ? l->top : l->left)) / l->scale : pixels * (whole / side);
        v[i] = at < 0 ? 0 : at > whole ? whole : at;
    }
    memcpy(box, v, sizeof v);
}

static int best_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return (x->order > y->order) - (x->order < y->order);
}

double boxes_iou(const double a[4], const double b[4])
{
    double w = fmin(a[2], b[2]) - fmax(a[0], b[0]), h = fmin(a[3], b[3]) - fmax(a[1], b[1]);
    double shared = w > 0 && h > 0 ? w * h : 0;
    double all = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared;
    return all > 0 ? shared / all : 0;
}

/* Greedy, best first; at most s->max are left, in their order. */
static int64_t suppress(const struct boxes_step *s, struct candidate *c, int64_t n)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < n && kept < s->max; i++) {
        bool keep = true;
        for (int64_t k = 0; k < kept && keep && s->iou > 0; k++)
            keep = c[k].class != c[i].class || boxes_iou(c[k].box, c[i].box) <= s->iou;
        if (keep) c[kept++] = c[i];
    }
    return kept;
}

int boxes_run(const struct boxes_step *s, const struct outputs *outputs, size_t at, const struct provenance *from,
    struct arena *a, struct answer *answer, struct err *e)
{
    struct grid g;
    TRY(read_grid(&outputs->of[at], a, &g, e));
    struct candidates c = { ARENA_ARRAY(a, g.rows > g.columns ? g.rows : g.columns, struct candidate), 0 };
    TRY_MEM(c.of, e);
    if (s->form == FORM_SEPARATE) TRY(from_separate(s, outputs, &g, &c, a, e));
    else if (s->form == FORM_ROWS || s->form == FORM_SSD) TRY(from_rows(s, &g, &c, e));
    else TRY(from_anchors(s, &g, &c, e));
    for (int64_t i = 0; i < c.n; i++) place(s, from, c.of[i].box);
    if (c.n) qsort(c.of, (size_t)c.n, sizeof *c.of, best_first);
    answer->kind = ANSWER_BOXES;
    answer->width = (int)from->original.width, answer->height = (int)from->original.height;
    answer->n = suppress(s, c.of, c.n);
    answer->index = ARENA_ARRAY(a, answer->n, int64_t);
    answer->score = ARENA_ARRAY(a, answer->n, double);
    answer->box = ARENA_ARRAY(a, answer->n * 4, double);
    if (!answer->index || !answer->score || !answer->box) return fail_nomem(e);
    for (int64_t i = 0; i < answer->n; i++) {
        answer->index[i] = c.of[i].class, answer->score[i] = c.of[i].score;
        memcpy(answer->box + 4 * i, c.of[i].box, sizeof c.of[i].box);
    }
    return 0;
}
