/* quantized.h - the places of the inputs of operators between quantized tensors. */
#ifndef TENREC_OPS_QUANTIZED_H
#define TENREC_OPS_QUANTIZED_H

/* Of QuantizedConv and QuantizedGemm; scales and zero points of x and of the result are single numbers, those of the
 * weight are one or one for each output channel. */
enum { QX, QW, QX_ZERO, QW_ZERO, QX_SCALE, QW_SCALE, QY_SCALE, QY_ZERO, QBIAS, QPRODUCT_INPUTS };
/* Of QuantizedAdd. */
enum { QA, QA_SCALE, QA_ZERO, QB, QB_SCALE, QB_ZERO, QS_SCALE, QS_ZERO };

#endif
