/* schedule.c - the table of policies. */
#include "train/schedule.h"

#include <math.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

#define PI 3.14159265358979323846

/* Each gives the rate at `t`, in epochs (whole ones) or in updates, as its place in the table says. */
struct policy {
    const char *name;
    bool by_epoch;
    double (*rate)(const struct schedule *s, double t);
};

static double fixed(const struct schedule *s, double t)
{
    return s->o.lr;
}

static double steps(const struct schedule *s, double t)
{
    return s->o.lr * pow(s->o.gamma, floor(t / s->o.step_size));
}

static double multistep(const struct schedule *s, double t)
{
    double rate = s->o.lr;
    for (size_t i = 0; i < s->o.n_milestones && s->o.milestones[i] <= t; i++) rate *= s->o.gamma;
    return rate;
}

static double exponential(const struct schedule *s, double t)
{
    return s->o.lr * pow(s->o.gamma, t);
}

static double poly(const struct schedule *s, double t)
{
    return s->o.lr * pow(fmax(1 - t / s->updates, 0), s->o.power);
}

static double inv(const struct schedule *s, double t)
{
    return s->o.lr * pow(1 + s->o.gamma * t, -s->o.power);
}

static double cosine(const struct schedule *s, double t)
{
    return s->o.min_lr + (s->o.lr - s->o.min_lr) / 2 * (1 + cos(PI * fmin(t / s->updates, 1)));
}

static double top(const struct schedule *s)
{
    return s->o.max_lr > 0 ? s->o.max_lr : 10 * s->o.lr;
}

/* torch.optim.lr_scheduler.CyclicLR, "triangular": from lr up to max_lr and back, step_size updates each way */
static double cyclic(const struct schedule *s, double t)
{
    double cycle = floor(1 + t / (2 * s->o.step_size)), x = fabs(t / s->o.step_size - 2 * cycle + 1);
    return s->o.lr + (top(s) - s->o.lr) * fmax(0, 1 - x);
}

static double swing(double from, double to, double share)
{
    return to + (from - to) / 2 * (1 + cos(PI * share));
}

/* torch.optim.lr_scheduler.OneCycleLR with its defaults; lr is the highest rate */
static double one_cycle(const struct schedule *s, double t)
{
    double low = s->o.lr / 25, end = low / 1e4, turn = 0.3 * s->updates - 1, last = s->updates - 1;
    if (t <= turn) return swing(low, s->o.lr, t / turn);
    return swing(s->o.lr, end, fmin((t - turn) / fmax(last - turn, 1e-9), 1));
}

static double plateau(const struct schedule *s, double t)
{
    return fmax(s->o.lr * s->factor, s->o.min_lr);
}

static const struct policy policies[] = {
    { "fixed", false, fixed },
    { "step", true, steps },
    { "multistep", true, multistep },
    { "exponential", true, exponential },
    { "poly", false, poly },
    { "inv", false, inv },
    { "plateau", true, plateau },
    { "cyclic", false, cyclic },
    { "cosine", false, cosine },
    { "one_cycle", false, one_cycle },
};
enum { N_POLICIES = sizeof policies / sizeof policies[0] };

const char *const *schedule_names(void)
{
    static const char *const names[N_POLICIES + 1] = { "fixed", "step", "multistep", "exponential", "poly", "inv",
        "plateau", "cyclic", "cosine", "one_cycle" };
    return names;
}

int schedule_init(
    struct schedule *s, const struct schedule_options *o, double updates_per_epoch, double updates, struct err *e)
{
    *s = (struct schedule){ .o = *o,
        .kind = -1,
        .updates_per_epoch = fmax(updates_per_epoch, 1),
        .updates = fmax(updates, 1),
        .factor = 1,
        .best = NAN };
    for (int i = 0; i < N_POLICIES; i++)
        if (!strcmp(policies[i].name, o->name)) s->kind = i;
    if (s->kind < 0) {
        const char *near = str_closest(o->name, schedule_names(), N_POLICIES);
        return fail(e, ERR_USAGE, "schedule: there is no \"%s\"%s%s%s", o->name, near ? ", did you mean \"" : "",
            near ? near : "", near ? "\"?" : "");
    }
    if (!(o->lr > 0) || !isfinite(o->lr)) return fail(e, ERR_USAGE, "lr: %g is no learning rate", o->lr);
    if (!(o->step_size > 0)) return fail(e, ERR_USAGE, "step_size: %g, expected more than 0", o->step_size);
    if (!(o->gamma >= 0) || !isfinite(o->gamma)) return fail(e, ERR_USAGE, "gamma: %g is no factor", o->gamma);
    for (size_t i = 0; i + 1 < o->n_milestones; i++)
        if (!(o->milestones[i] < o->milestones[i + 1]))
            return fail(e, ERR_USAGE, "milestones: %g comes before %g", o->milestones[i], o->milestones[i + 1]);
    if (policies[s->kind].rate == multistep && !o->n_milestones)
        return fail(e, ERR_USAGE, "schedule multistep needs milestones, the epochs at which the rate falls");
    return 0;
}

double schedule_rate(const struct schedule *s, int64_t update)
{
    const struct policy *p = &policies[s->kind];
    double t = (double)update, rate = p->rate(s, p->by_epoch ? floor(t / s->updates_per_epoch) : t);
    return s->o.warmup > 0 && t < s->o.warmup ? rate * (t + 1) / s->o.warmup : rate;
}

/* torch.optim.lr_scheduler.ReduceLROnPlateau: progress is a change of 1e-4 of the best value. */
void schedule_tell(struct schedule *s, double value, bool more_is_better)
{
    double margin = 1e-4 * fabs(s->best);
    bool better = isnan(s->best) || (more_is_better ? value > s->best + margin : value < s->best - margin);
    if (better) s->best = value, s->bad = 0;
    else s->bad++;
    if (s->wait > 0) s->wait--, s->bad = 0;
    if (s->bad <= s->o.patience) return;
    s->factor *= s->o.gamma;
    s->wait = s->o.cooldown;
    s->bad = 0;
}
