/* dnnl.c - oneDNN's kernels, one row each. */
#include "backend/dnnl/dnnl.h"

#include "backend/dnnl/layout.h"
#include "base/str.h"

#define KERNEL(name, prepare_) { name, "dnnl", false, job_accepts, prepare_, job_run }
#define INPLACE(name, prepare_) { name, "dnnl", true, job_accepts, prepare_, job_run }
/* Those that only a recipe asks for. */
#define NAMED(op, name, prepare_) { op, name, false, named_accepts, prepare_, job_run }
/* Those that take bfloat16 too. */
#define NARROW(name, prepare_) { name, "dnnl", false, job_accepts_bf16, prepare_, job_run }
#define NARROW_INPLACE(name, prepare_) { name, "dnnl", true, job_accepts_bf16, prepare_, job_run }

static bool named_accepts(const struct step *s, struct str *why)
{
    if (s->named) return job_accepts(s, why);
    if (why) str_add(why, "only a recipe asks for it");
    return false;
}

static const struct kernel kernels[] = {
    NARROW("Conv", conv_prepare),
    { "FusedConv", "dnnl", false, job_accepts_bf16, conv_prepare, fused_run },
    NAMED("Conv", "dnnl-blocked", conv_blocked_prepare),
    NAMED("Conv", "dnnl-winograd", conv_winograd_prepare),
    { "FusedMatMul", "dnnl", false, job_accepts_bf16, fused_matmul_prepare, fused_run },
    { "FusedConv", "dnnl-blocked", false, named_accepts, conv_blocked_prepare, fused_run },
    { "FusedConv", "dnnl-winograd", false, named_accepts, conv_winograd_prepare, fused_run },
    KERNEL("ConvTranspose", conv_transpose_prepare),
    { "ConvGradInput", "dnnl", false, conv_grad_accepts, conv_grad_input_prepare, job_run },
    { "ConvGradWeight", "dnnl", false, conv_grad_accepts, conv_grad_weight_prepare, job_run },
    NARROW("MatMul", matmul_prepare),
    NARROW("Gemm", gemm_prepare),
    NARROW("MaxPool", pool_prepare),
    KERNEL("AveragePool", pool_prepare),
    KERNEL("GlobalMaxPool", pool_prepare),
    KERNEL("GlobalAveragePool", pool_prepare),
    NARROW_INPLACE("Relu", eltwise_prepare),
    INPLACE("ReluGrad", eltwise_prepare),
    NARROW_INPLACE("LeakyRelu", eltwise_prepare),
    INPLACE("Elu", eltwise_prepare),
    INPLACE("Sigmoid", eltwise_prepare),
    INPLACE("SigmoidGrad", eltwise_prepare),
    INPLACE("LogSigmoid", eltwise_prepare),
    INPLACE("Tanh", eltwise_prepare),
    INPLACE("TanhGrad", eltwise_prepare),
    INPLACE("HardSwish", eltwise_prepare),
    INPLACE("Swish", eltwise_prepare),
    INPLACE("SwishGrad", eltwise_prepare),
    INPLACE("Mish", eltwise_prepare),
    INPLACE("Gelu", eltwise_prepare),
    INPLACE("GeluGrad", eltwise_prepare),
    INPLACE("Clip", eltwise_prepare),
    INPLACE("Softplus", eltwise_prepare),
    INPLACE("Abs", eltwise_prepare),
    INPLACE("Neg", eltwise_prepare),
    INPLACE("Sqrt", eltwise_prepare),
    INPLACE("SqrtGrad", eltwise_prepare),
    INPLACE("Exp", eltwise_prepare),
    INPLACE("ExpGrad", eltwise_prepare),
    INPLACE("Round", eltwise_prepare),
    NARROW_INPLACE("Add", binary_prepare),
    INPLACE("Sub", binary_prepare),
    INPLACE("Mul", binary_prepare),
    INPLACE("Div", binary_prepare),
    INPLACE("Max", binary_prepare),
    INPLACE("Min", binary_prepare),
    INPLACE("Sum", sum_prepare),
    NARROW("Concat", concat_prepare),
    INPLACE("BatchNormalization", batch_normalization_prepare),
    INPLACE("LayerNormalization", layer_normalization_prepare),
    INPLACE("SoftmaxGrad", softmax_grad_prepare),
    INPLACE("LogSoftmaxGrad", softmax_grad_prepare),
    KERNEL("LRN", lrn_prepare),
    INPLACE("PRelu", prelu_prepare),
    { "Cast", "dnnl", false, cast_accepts, cast_prepare, job_run },
    { "QuantizedConv", "dnnl", false, dnnl_quantized_accepts, dnnl_quantized_conv_prepare, job_run },
    { "QuantizedGemm", "dnnl", false, dnnl_quantized_accepts, dnnl_quantized_gemm_prepare, dnnl_quantized_gemm_run },
    { "Resize", "dnnl", false, job_accepts_first, resize_prepare, job_run },
    { "ReduceSum", "dnnl", false, job_accepts_first, reduce_prepare, job_run },
    { "ReduceMean", "dnnl", false, job_accepts_first, reduce_prepare, job_run },
    { 0 },
};

static enum rate multiplies(enum dtype t)
{
    if (t == DT_BF16) return cpu_multiplies_bf16() ? cpu_halves_bf16() ? RATE_SLOW : RATE_FAST : RATE_NONE;
    return t == DT_F32 || (t == DT_I8 && cpu_multiplies_bytes()) ? RATE_FAST : RATE_NONE;
}

const struct backend backend_dnnl = {
    .name = "dnnl",
    .kernels = kernels,
    .layout_same = layout_same,
    .layout_copy = layout_copy,
    .layout_alike = layout_alike,
    .layout_last = layout_last,
    .reorder_prepare = reorder_prepare,
    .reorder_run = job_run,
    .part_bytes = part_bytes,
    .part_prepare = part_prepare,
    .multiplies = multiplies,
    .version = library_version,
};
