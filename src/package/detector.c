/* detector.c - which outputs are boxes, scores and classes: by the names and shapes that frameworks give them. */
#include "package/detector.h"

#include <string.h>
#include <strings.h>

#include "base/map.h"

enum part { BOXES, SCORES, LABELS, COUNT, N_PARTS };

struct detector {
    int at[N_PARTS];  /* outputs; -1: none */
    const char *form; /* of data/boxes.h; NULL: no detector */
};

static bool holds(const char *name, const char *word)
{
    size_t n = strlen(word);
    for (; *name; name++)
        if (!strncasecmp(name, word, n)) return true;
    return false;
}

/* (N, 4), (1, N, 4) */
static bool is_boxes(const struct value *v)
{
    const struct shape *s = &v->shape;
    return dtype_is_float(v->dtype) && s->rank >= 2 && s->rank <= 3 && s->dim[s->rank - 1] == 4;
}

static const struct {
    enum part part;
    const char *word;
} words[] = { { BOXES, "box" }, { SCORES, "score" }, { SCORES, "conf" }, { LABELS, "label" }, { LABELS, "class" },
    { COUNT, "num" } };

/* What an output says by its name, and where that says nothing by its shape. */
static int part_of(const struct value *v)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (holds(v->name, words[i].word) && (words[i].part == BOXES) == is_boxes(v)) return (int)words[i].part;
    if (is_boxes(v)) return BOXES;
    if (v->shape.rank < 1 || v->shape.rank > 3) return -1;
    return dtype_is_float(v->dtype) ? SCORES : v->dtype == DT_I64 || v->dtype == DT_I32 ? LABELS : -1;
}

/* Several outputs: boxes and scores are wanted, each once. */
static void separate(const struct graph *g, struct detector *d)
{
    bool once = true;
    for (size_t i = 0; i < g->n_outputs; i++) {
        int part = part_of(g->outputs[i]);
        if (part < 0) continue;
        once = once && d->at[part] < 0;
        d->at[part] = (int)i;
    }
    if (once && d->at[BOXES] >= 0 && d->at[SCORES] >= 0) d->form = "separate";
}

/* One output: rows of Caffe's DetectionOutput, or what Ultralytics exports and names in its metadata. */
static void single(const struct graph *g, bool said, struct detector *d)
{
    const struct shape *s = &g->outputs[0]->shape;
    const char *task = map_get(&g->metadata, "task");
    bool yolo = s->rank == 3 && (said || (task && !strcmp(task, "detect")));
    if (s->rank == 4 && s->dim[0] == 1 && s->dim[1] == 1 && s->dim[3] == 7) d->form = "ssd";
    if (yolo && s->dim[2] == 6) d->form = "rows";
    else if (yolo) d->form = s->dim[1] > 0 && s->dim[2] > s->dim[1] ? "classes" : "objects";
    if (d->form) d->at[BOXES] = 0;
}

/* `said`: somebody says that it is a detector, so less is asked of its looks. */
static struct detector recognize(const struct graph *g, bool said)
{
    struct detector d = { { -1, -1, -1, -1 }, NULL };
    if (g->n_outputs == 1) single(g, said, &d);
    else separate(g, &d);
    return d;
}

bool is_detector(const struct graph *g)
{
    struct detector d = recognize(g, false);
    if (!d.form || strcmp(d.form, "separate")) return d.form != NULL;
    const char *boxes = g->outputs[d.at[BOXES]]->name, *scores = g->outputs[d.at[SCORES]]->name;
    return d.at[LABELS] >= 0 || (holds(boxes, "box") && holds(scores, "score"));
}

json_t *detector_steps(const struct graph *g, size_t at)
{
    static const char *const keys[N_PARTS] = { NULL, "scores", "labels", "count" };
    struct detector d = recognize(g, true);
    bool part = false;
    for (int i = 0; i < N_PARTS; i++) part = part || d.at[i] == (int)at;
    if (!d.form || !part) return NULL;
    if (d.at[BOXES] != (int)at) return json_pack("[{s:s}]", "op", "omit");
    bool yolo = !strcmp(d.form, "classes") || !strcmp(d.form, "objects"), ssd = !strcmp(d.form, "ssd");
    bool separate = !strcmp(d.form, "separate"), suppressed = !yolo && d.at[LABELS] < 0 && separate;
    bool tensorflow = separate && holds(g->outputs[d.at[BOXES]]->name, "detection_boxes");
    json_t *step = json_pack("{s:s,s:s,s:s,s:s,s:f,s:f}", "op", "boxes", "form", d.form, "corners",
        yolo ? "cxcywh" : tensorflow ? "yxyx" : "xyxy", "units", ssd || tensorflow || suppressed ? "shares" : "pixels",
        "threshold", 0.25, "iou", yolo || suppressed ? 0.45 : 0.0);
    if (suppressed && g->outputs[d.at[SCORES]]->shape.rank == 3 && g->outputs[d.at[SCORES]]->shape.dim[2] > 1)
        json_object_set_new(step, "background", json_integer(0)); /* as SSD has it */
    for (int i = SCORES; i < N_PARTS; i++)
        if (d.at[i] >= 0) json_object_set_new(step, keys[i], json_string(g->outputs[d.at[i]]->name));
    return json_pack("[o]", step);
}
