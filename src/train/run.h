/* run.h - the parts of a running training that its files share. */
#ifndef TENREC_TRAIN_RUN_H
#define TENREC_TRAIN_RUN_H

#include "base/arena.h"
#include "conf/conf.h"
#include "data/augment.h"
#include "exec/session.h"
#include "train/events.h"
#include "train/folder.h"
#include "train/judge.h"
#include "train/samples.h"
#include "train/schedule.h"
#include "train/step.h"
#include "train/trainer.h"

struct train_task {
    const char *name, *loss, *metric;
    enum sample_target target;
};

/* A number that an evaluation gives: one of a head's measures. */
struct measured {
    const char *name; /* as results.csv has it behind "valid_": plain of the first head, HEAD.MEASURE of others */
    const struct judge *of;
    size_t at; /* judge_name(of, at) */
};
/* measured; columns of results.csv */
enum { MEASURED_MAX = MOST_HEADS * JUDGE_MAX, COLUMNS_MAX = MEASURED_MAX + 4 };

struct train_run {
    struct arena a;
    const struct conf *conf;
    const struct train_listener *listener;
    const char *folder;
    bool force;
    bool fresh;  /* the answers come from weights that were drawn */
    bool single; /* the model takes one sample at a time */

    struct model model;
    struct table *data, *judged; /* to learn from, to judge by (may be the same) */
    struct samples train, valid;
    struct augment augment;
    const struct train_task *task;
    struct train_head heads[MOST_HEADS]; /* [0]: of the task, see heads.h */
    size_t n_heads;
    const struct optimizer *optimizer;
    struct graph *step, *judging;
    struct session *session, *judge_session;
    const struct recipe *recipe;     /* NULL: kernels by rules */
    char kernels_hash[65];           /* of what it says */
    struct judge judges[MOST_HEADS]; /* one a head; [0] has the sum of all losses */
    struct judge own;                /* the first head's loss alone, where there are several heads */
    struct measured measured[MEASURED_MAX];
    size_t n_measured;
    struct schedule schedule;
    const struct measured *metric; /* that makes a package the best */
    size_t batch, batches;         /* samples a batch, batches an epoch */
    int accumulate, threads;

    /* what a checkpoint holds beside the states */
    int64_t epoch, at, updates; /* epochs done, batches done of this one, updates in all */
    double loss_sum;
    int64_t loss_n, errors;
    double best;
    int64_t best_epoch, since_best;
    bool done;
    struct history history;
    const char *const *tags; /* of its columns, for TensorBoard */
    struct events *events;

    double began, told, saved; /* clock */
    int64_t seen;              /* samples in this process */
};

void run_say(const struct train_run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* setup.c: model, tables, task, step, sessions; before anything is written. */
int run_setup(struct train_run *r, struct err *e);
/* settle.c, in this order */
int run_choose_task(struct train_run *r, struct err *e);
int run_settle_targets(struct train_run *r, struct err *e);
int run_settle_loss(struct train_run *r, struct err *e);
int run_settle_metric(struct train_run *r, struct err *e);
/* rows.c: all labels; of masks, numbers and further targets some rows, evenly over the table, which are loaded whole */
int run_check_labels(struct train_run *r, struct err *e);
int run_check_rows(struct train_run *r, struct err *e);
/* recipe.c */
int run_settle_schedule(struct train_run *r, struct err *e);
int run_settle_augment(struct train_run *r, struct err *e);
int run_make_step(struct train_run *r, struct err *e);
int run_make_judging(struct train_run *r, struct err *e);
bool run_mixes(const struct train_run *r);
/* estimate.c: plans of full batches, which settle how states are stored, and the memory that the run will take. */
int run_first_plans(struct train_run *r, struct err *e);
/* state.c */
int run_save(struct train_run *r, struct err *e);
int run_restore(struct train_run *r, struct err *e);
bool run_has_checkpoint(const struct train_run *r);
int run_write_package(struct train_run *r, const char *name, struct err *e);
int run_weights_hash(struct train_run *r, char hex[65], struct err *e);
/* trace.c: names the node where a step ceased to be finite. */
int run_trace(struct train_run *r, const struct tensor *const *in, struct err *e);
int run_evaluate(struct train_run *r, struct err *e);
/* pictures.c: curves.png, confusion.png, samples.png; without cairo a note instead. */
int run_pictures(struct train_run *r, struct err *e);
/* The step's inputs beyond the model's, at most: targets, what mixing needs, lr, and what accumulating needs. */
enum { STEP_EXTRA = 2 * MOST_HEADS + 4 };

#endif
