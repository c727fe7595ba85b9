/* loader.c - batches ahead of their use. What a batch holds depends on (seed, epoch, row) alone, so neither the number
 * of threads nor who makes it changes a bit.
 */
#include "train/loader.h"

#include "train/mixup.h"

void loader_init(struct loader *l, const struct samples *s, const struct loader_options *o)
{
    *l = (struct loader){ .samples = *s, .o = *o, .at = o->begin };
    if (o->threads > 0) l->samples.threads = o->threads;
    arena_init(&l->a[0], NULL);
    arena_init(&l->a[1], NULL);
}

static void *make(void *cookie)
{
    struct loader *l = cookie;
    struct arena *a = &l->a[l->turn];
    size_t left = l->samples.n - l->at, count = left < l->o.batch ? left : l->o.batch;
    if (!samples_batch(&l->samples, l->o.epoch, l->o.order + l->at, count, a, &l->next, &l->err))
        mixup_batch(&l->next, l->o.mixup, l->samples.seed, l->o.epoch, a, &l->err);
    l->at += count;
    return NULL;
}

/* Where no thread can be had, the caller makes the batch. */
static void begin(struct loader *l)
{
    err_clear(&l->err);
    l->turn = !l->turn;
    arena_release(&l->a[l->turn]);
    l->begun = true;
    l->running = l->o.threads > 0 && !pthread_create(&l->thread, NULL, make, l);
    if (!l->running) make(l);
}

static void finish(struct loader *l)
{
    if (l->running) pthread_join(l->thread, NULL);
    l->running = l->begun = false;
}

int loader_next(struct loader *l, struct batch *out, struct err *e)
{
    if (!l->begun) begin(l);
    finish(l);
    *out = l->next;
    if (l->err.code) return fail(e, l->err.code, "%s", l->err.text);
    if (l->o.threads > 0 && l->at < l->samples.n) begin(l);
    return 0;
}

void loader_release(struct loader *l)
{
    finish(l);
    arena_release(&l->a[0]);
    arena_release(&l->a[1]);
}
