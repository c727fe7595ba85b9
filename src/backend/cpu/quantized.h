/* quantized.h - from sums of products to the numbers that are stored; what kernels of quantized tensors share. */
#ifndef TENREC_BACKEND_CPU_QUANTIZED_H
#define TENREC_BACKEND_CPU_QUANTIZED_H

#include "backend/cpu/bytes_product.h"

/* The result's type decides: int32 the sums, float32 (sum + before) * factor + after, a byte the same, rounded. */
struct finish {
    enum dtype to;
    const float *before, *factor, *after; /* by output channel: struct rescaling */
    float low, high;                      /* of the value before the zero point is added */
    int zero;                             /* what is added after rounding */
};
/* sum[r][0..count) as elements at[r] and on of `y`. */
void finish_rows(const struct finish *f, int64_t channel, int rows, int64_t count, int32_t (*sum)[BYTES_PANEL],
    void *y, const int64_t *at);
/* [low, high] in steps of `scale`, moved by `after`, within what the type holds, less the zero point. */
void finish_range(struct finish *f, double low, double high, double scale, float after);

/* The number a tensor of one element holds; `none` for NULL. */
double single_value(const struct tensor *t, double none);
bool is_byte(const struct tensor *t);
bool is_single(const struct tensor *t); /* true for NULL */

int quantized_conv_prepare(struct step *s, struct err *e);
int quantized_gemm_prepare(struct step *s, struct err *e);
int quantized_product_run(const struct step *s, struct err *e);
bool quantized_product_accepts(const struct step *s, struct str *why);

bool bytes_deep_accepts(const struct step *s, struct str *why);
int bytes_deep_prepare(struct step *s, struct err *e);
int bytes_deep_run(const struct step *s, struct err *e);

bool quantized_add_accepts(const struct step *s, struct str *why);
int quantized_add_prepare(struct step *s, struct err *e);
int quantized_add_run(const struct step *s, struct err *e);
bool bytes_accepts(const struct step *s, struct str *why); /* input 0 and output 0 are bytes */
int lookup_prepare(struct step *s, struct err *e);
int lookup_run(const struct step *s, struct err *e);
int bytes_pool_prepare(struct step *s, struct err *e);
int bytes_pool_run(const struct step *s, struct err *e);
int bytes_spread_prepare(struct step *s, struct err *e);
int bytes_spread_run(const struct step *s, struct err *e);
bool bytes_concat_accepts(const struct step *s, struct str *why);
int bytes_concat_prepare(struct step *s, struct err *e);
int bytes_concat_run(const struct step *s, struct err *e);
int steps_prepare(struct step *s, struct err *e); /* of QuantizeLinear and DequantizeLinear */
bool quantize_accepts(const struct step *s, struct str *why);
int quantize_run(const struct step *s, struct err *e);
bool dequantize_accepts(const struct step *s, struct str *why);
int dequantize_run(const struct step *s, struct err *e);

#endif
