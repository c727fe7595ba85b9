/* finite.c - whether any number of a list of tensors is infinite or not a number. */
#include "backend/cpu/cpu.h"
#include "base/str.h"
#include "base/team.h"

enum { EXPONENT = 0x7f800000, GRAIN = 1 << 19 };

struct job {
    const uint32_t *bits;
    int found;
};

/* Every bit of the exponent is set, in any of them. */
CLONES static uint32_t any_special(const uint32_t *bits, int64_t n)
{
    uint32_t any = 0;
    for (int64_t i = 0; i < n; i++) any |= (bits[i] & EXPONENT) == EXPONENT;
    return any;
}

static void span(void *ctx, int64_t begin, int64_t end)
{
    struct job *j = ctx;
    if (any_special(j->bits + begin, end - begin)) __atomic_store_n(&j->found, 1, __ATOMIC_RELAXED);
}

bool all_finite_accepts(const struct step *s, struct str *why)
{
    for (int i = 0; i < s->node->n_in; i++) {
        if (s->in[i]->dtype == DT_F32) continue;
        if (why) str_add(why, "not float32");
        return false;
    }
    return true;
}

int all_finite_run(const struct step *s, struct err *e)
{
    struct job j = { NULL, 0 };
    for (int i = 0; i < s->node->n_in && !j.found; i++) {
        j.bits = s->in[i]->data;
        team_run(s->threads, tensor_count(s->in[i]), GRAIN, span, &j);
    }
    tensor_set_i64(s->out[0], 0, !j.found);
    return 0;
}
