/* quantized.h - the places of the inputs of operators between quantized tensors, and how their products are rounded. */
#ifndef TENREC_OPS_QUANTIZED_H
#define TENREC_OPS_QUANTIZED_H

#include <stdbool.h>
#include <stdint.h>

/* Of QuantizedConv and QuantizedGemm; scales and zero points of x and of the result are single numbers, those of the
 * weight are one or one for each output channel. */
enum { QX, QW, QX_ZERO, QW_ZERO, QX_SCALE, QW_SCALE, QY_SCALE, QY_ZERO, QBIAS, QPRODUCT_INPUTS };
/* How sums of products become a result, to the bit, by what the bias is:
 *
 *   int32, in units of the sums, or none (ONNX Runtime):   round((sum + bias) * (sx sw / sy)) + zero
 *   real (PyTorch's onednn engine):                        round((sum + bias s) * (1/sy / s) + zero), s = 1/sx * 1/sw
 *   no scale of the result:                                (sum + int32 bias) * (sx sw) + real bias
 *
 * all in float32, each operation rounded. low and high bound the real number, before it is rounded. */
struct rescaling {
    float before, factor, after; /* (sum + before) * factor + after, of one output channel */
};
struct step;
void quantized_rescaling(const struct step *s, int64_t channel, struct rescaling *r);
/* Whether the zero point is part of `after`: it is added before rounding. */
bool quantized_adds_first(const struct step *s);
/* Why a product cannot be prepared before it runs, with int8 weights that have no zero points; NULL: it can.
 * zero_comes_late: that of the image may be known in the run only. */
const char *quantized_unsettled(const struct step *s, bool zero_comes_late);

/* Of QuantizedAdd. Its sum is that of the real numbers, or with `ratios` what ONNX Runtime's QLinearAdd computes:
 *
 *   round(fma(a, sa / s, fma(b, sb / s, zero - (sa / s za + sb / s zb))))
 *
 * in float32, as its kernels for AVX2 give to the bit. Such terms may have different shapes. */
enum { QA, QA_SCALE, QA_ZERO, QB, QB_SCALE, QB_ZERO, QS_SCALE, QS_ZERO };

#endif
