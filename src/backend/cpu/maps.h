/* maps.h - element-wise functions of one float32 tensor and their gradients: the table of those of our own. */
#ifndef TENREC_BACKEND_CPU_MAPS_H
#define TENREC_BACKEND_CPU_MAPS_H

#include "backend/cpu/cpu.h"

/* An operator of (x) and its value; of (dy, x) or (dy, y) and its slope, by which dy is multiplied: in terms of x (or
 * y, by the name of x too) and the attributes p in the order of the operator's table. What oneDNN does well is not
 * here. */
#define MAP_LIST(VALUE, SLOPE) \
    VALUE(HardSigmoid, clamp(p[0] * x + p[1], 0, 1)) \
    VALUE(Reciprocal, 1 / x) \
    VALUE(Log, fast_log(x)) \
    VALUE(Floor, floorf(x)) \
    VALUE(Ceil, ceilf(x)) \
    VALUE(Sin, fast_sin(x, 0)) \
    VALUE(Cos, fast_sin(x, 1)) \
    VALUE(Erf, fast_erf(x)) \
    VALUE(Sign, x > 0 ? 1 : x < 0 ? -1 : x == 0 ? 0 : x) \
    VALUE(Softsign, x / (1 + fabsf(x))) \
    VALUE(Selu, p[1] * (x < 0 ? p[0] * fast_expm1(x) : x)) \
    VALUE(Celu, x < 0 ? p[0] * fast_expm1(x / p[0]) : x) \
    VALUE(ThresholdedRelu, x > p[0] ? x : 0) \
    VALUE(Shrink, x < -p[1] ? x + p[0] : x > p[1] ? x - p[0] : 0) \
    SLOPE(AbsGrad, x > 0 ? 1 : x < 0 ? -1 : 0) \
    SLOPE(ReciprocalGrad, -x * x) \
    SLOPE(LogGrad, 1 / x) \
    SLOPE(SinGrad, fast_sin(x, 1)) \
    SLOPE(CosGrad, -fast_sin(x, 0)) \
    SLOPE(ErfGrad, 1.12837916709551257390f * gauss(x)) \
    SLOPE(LeakyReluGrad, x < 0 ? p[0] : 1) \
    SLOPE(ThresholdedReluGrad, x > p[0] ? 1 : 0) \
    SLOPE(ShrinkGrad, x < -p[1] || x > p[1] ? 1 : 0) \
    SLOPE(EluGrad, x < 0 ? p[0] * vanishing_exp(x) : 1) \
    SLOPE(SeluGrad, p[1] * (x < 0 ? p[0] * vanishing_exp(x) : 1)) \
    SLOPE(CeluGrad, x < 0 ? vanishing_exp(x / p[0]) : 1) \
    SLOPE(SoftplusGrad, fast_sigmoid(x)) \
    SLOPE(LogSigmoidGrad, fast_sigmoid(-x)) \
    SLOPE(SoftsignGrad, 1 / ((1 + fabsf(x)) * (1 + fabsf(x)))) \
    SLOPE(HardSigmoidGrad, p[0] * x + p[1] > 0 && p[0] * x + p[1] < 1 ? p[0] : 0) \
    SLOPE(HardSwishGrad, x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5f) \
    SLOPE(MishGrad, mish_slope(x))

int map_prepare(struct step *s, struct err *e);
int map_run(const struct step *s, struct err *e);
int clip_grad_map_prepare(struct step *s, struct err *e);
int clip_grad_map_run(const struct step *s, struct err *e);

#endif
