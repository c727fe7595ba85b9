/* dnnl.c - oneDNN's kernels, one row each. */
#include "backend/dnnl/dnnl.h"

#include "backend/dnnl/layout.h"

#define KERNEL(name, prepare_) { name, "dnnl", false, job_accepts, prepare_, job_run }
#define INPLACE(name, prepare_) { name, "dnnl", true, job_accepts, prepare_, job_run }

static const struct kernel kernels[] = {
    KERNEL("Conv", conv_prepare),
    KERNEL("ConvTranspose", conv_transpose_prepare),
    KERNEL("ConvGradInput", conv_grad_input_prepare),
    KERNEL("ConvGradWeight", conv_grad_weight_prepare),
    KERNEL("MatMul", matmul_prepare),
    KERNEL("Gemm", gemm_prepare),
    KERNEL("MaxPool", pool_prepare),
    KERNEL("AveragePool", pool_prepare),
    KERNEL("GlobalMaxPool", pool_prepare),
    KERNEL("GlobalAveragePool", pool_prepare),
    INPLACE("Relu", eltwise_prepare),
    INPLACE("ReluGrad", eltwise_prepare),
    INPLACE("LeakyRelu", eltwise_prepare),
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
    INPLACE("Log", eltwise_prepare),
    INPLACE("Round", eltwise_prepare),
    { 0 },
};

const struct backend backend_dnnl = {
    .name = "dnnl",
    .kernels = kernels,
    .layout_same = layout_same,
    .layout_copy = layout_copy,
    .reorder_prepare = reorder_prepare,
    .reorder_run = job_run,
};
