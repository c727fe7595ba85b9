/* schedule.h - the learning rate of each update: a pure function of its number, but for the plateau. */
#ifndef TENREC_TRAIN_SCHEDULE_H
#define TENREC_TRAIN_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

struct schedule_options {
    const char *name;         /* see schedule_names() */
    double lr;                /* the rate it begins with; of one_cycle and cyclic see max_lr */
    double gamma, power;      /* step, multistep, exponential, inv, plateau; poly, inv */
    double min_lr, max_lr;    /* cosine, plateau: the lowest; cyclic: the highest; 0: 10 times lr */
    double step_size;         /* step: epochs; cyclic: updates from bottom to top */
    const double *milestones; /* multistep: epochs, rising */
    size_t n_milestones;
    double warmup;          /* updates during which the rate rises in a line from 0 */
    int patience, cooldown; /* plateau: evaluations without progress until it falls; evaluations it then waits */
};

struct schedule {
    struct schedule_options o;
    int kind;
    double updates_per_epoch, updates; /* `updates`: in the whole run */
    /* of the plateau; saved with a checkpoint */
    double factor, best;
    int bad, wait;
};

/* ERR_USAGE: an unknown name (with a did-you-mean), a rate that cannot be. */
int schedule_init(
    struct schedule *s, const struct schedule_options *o, double updates_per_epoch, double updates, struct err *e);
double schedule_rate(const struct schedule *s, int64_t update); /* of update number `update`, from 0 */
/* After an evaluation; `better` says whether more or less is better. Only the plateau listens. */
void schedule_tell(struct schedule *s, double value, bool more_is_better);
const char *const *schedule_names(void); /* ends with NULL */

#endif
