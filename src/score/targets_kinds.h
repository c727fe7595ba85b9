/* targets_kinds.h - what the kinds of targets share: classes, masks, boxes and numbers are a row each. */
#ifndef TENREC_SCORE_TARGETS_KINDS_H
#define TENREC_SCORE_TARGETS_KINDS_H

#include "enc/json.h"
#include "metric/confusion.h"
#include "metric/ranking.h"
#include "metric/regression.h"
#include "score/targets.h"

enum {
    TARGETS_IGNORED = 255, /* of a mask: "no class", as in Pascal VOC and Cityscapes */
    TARGETS_TOP_K = 5
};

/* What one output is compared with; those of a model's further outputs follow. */
struct targets {
    struct targets *first, *next;
    size_t place; /* in that list */
    struct arena *arena;
    const struct model *model;
    struct table *table;
    const char *folder; /* for what does not fit into memory */
    const struct target_kind *kind;
    bool logits; /* the output becomes probabilities by a softmax or a sigmoid */
    bool both;   /* it is one number, the second of two classes */
    int column;  /* of the truth */
    size_t output; /* the one compared */
    int64_t rows, without;
    double loss, losses;        /* the sum of so many losses */
    int64_t hits;               /* rows whose class is among the first TARGETS_TOP_K */
    struct confusion confusion; /* of classes or pixels */
    struct roc roc;
    struct regression regression;
    uint64_t *truths; /* (classes) boxes that are not ignored */
    int64_t classes;  /* of boxes */
    struct sorter *found;
    uint64_t n_found;
};

struct target_kind {
    char letter; /* that its lines begin with */
    enum role role;
    const char *steps[2], *gives, *wants; /* steps: of the postprocessing that tell it */
    bool together; /* columns of numbers are one target that outputs share, each taking as many as it gives */
    int (*init)(struct targets *j, struct err *e);
    /* Adds one row's line, without its end: 1; 0: the row has no target. */
    int (*row)(struct targets *j, const struct scored *s, struct arena *a, struct str *out, struct err *e);
    int (*add)(struct targets *j, const char *line, struct arena *a, struct err *e); /* behind the letter */
    int (*report)(struct targets *j, struct arena *a, json_t *o, struct err *e);
};
extern const struct target_kind target_class, target_mask, target_boxes, target_numbers;

const json_t *targets_steps(const struct targets *j); /* the postprocessing of the output compared */
int targets_damaged(char letter, const char *line, struct err *e);
/* A number behind a blank, as the hexadecimal digits of its bits: exact, and quickly written and read. */
void targets_write_number(struct str *line, double v);
/* The next number of a line: 1, or 0 at its end. */
int targets_number(const char **line, double *v);
/* A whole number of a line, 0 .. most - 1: 0; else -1. */
int targets_whole(const char **line, int64_t most, int64_t *v);
void targets_put(json_t *o, const char *key, double v); /* unless it is no number */
const char *targets_label(const struct targets *j, int64_t class); /* NULL: it has no name */
int targets_confusion(struct targets *j, int64_t least, struct err *e);
/* What follows from the confusion matrix; `areas` (classes) of the ROC curves may be NULL. */
void targets_report_confusion(const struct targets *j, const char *accuracy, const char *error, const double *areas,
    json_t *o);

#endif
