/* narrow.c - float32 to bfloat16, rounded to even, and back. */
#include <string.h>

#include "backend/cpu/cpu.h"
#include "base/str.h"
#include "base/team.h"

enum { GRAIN = 1 << 14 };

struct job {
    const void *x;
    void *y;
};

bool narrow_accepts(const struct step *s, struct str *why)
{
    enum dtype from = s->in[0]->dtype, to = s->out[0]->dtype;
    if ((from == DT_F32 && to == DT_BF16) || (from == DT_BF16 && to == DT_F32)) return true;
    if (why) str_add(why, "not between float32 and bfloat16");
    return false;
}

/* The upper half, one more when the lower is past the middle, or in the middle and the upper odd. NaN stays one. */
CLONES static void to_narrow(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    const uint32_t *x = j->x;
    uint16_t *y = j->y;
    for (int64_t i = begin; i < end; i++) {
        uint32_t v = x[i], rounded = (v + 0x7fff + (v >> 16 & 1)) >> 16, nan = (v >> 16 & 0x8000) | 0x7fc0;
        y[i] = (uint16_t)((v & 0x7fffffff) > 0x7f800000 ? nan : rounded);
    }
}

CLONES static void to_wide(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    const uint16_t *x = j->x;
    uint32_t *y = j->y;
    for (int64_t i = begin; i < end; i++) y[i] = (uint32_t)x[i] << 16;
}

int narrow_run(const struct step *s, struct err *e)
{
    struct job j = { s->in[0]->data, s->out[0]->data };
    team_run(s->threads, tensor_count(s->in[0]), GRAIN, s->out[0]->dtype == DT_BF16 ? to_narrow : to_wide, &j);
    return 0;
}
