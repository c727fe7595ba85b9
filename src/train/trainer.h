/* trainer.h - a training run: a description, a model and a table in; the best and the last package, curves and numbers
 * out. It can stop at any moment and go on with the same bits.
 */
#ifndef TENREC_TRAIN_TRAINER_H
#define TENREC_TRAIN_TRAINER_H

#include <stdbool.h>
#include <stdint.h>

struct conf;
struct err;

struct train_progress {
    int64_t epoch, epochs, batch, batches; /* from 1 */
    double loss, lr;                       /* mean loss of the epoch so far; the present rate */
    double seconds, left;                  /* of this process; as far as can be told, -1: not yet */
    double samples_per_second;
};

/* How a run talks to whoever started it; any may be NULL. */
struct train_listener {
    void *cookie;
    void (*say)(void *cookie, const char *line);
    void (*progress)(void *cookie, const struct train_progress *p);
    bool (*cancelled)(void *cookie); /* true: stop, to be resumed */
};

/* `conf`: of train_config_init(). `resume`: the folder of a run to go on with (its args.yaml must have been read into
 * conf), or NULL. `force`: resume although threads or program differ. ERR_CANCELLED: stopped and saved. */
int train_run(const struct conf *conf, const char *resume, bool force, const struct train_listener *l, struct err *e);

#endif
