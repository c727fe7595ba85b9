/* cpu.c - our own fast kernels, one row each: what oneDNN lacks, or does slowly. */
#include "backend/cpu/cpu.h"

#include "backend/cpu/broadcast.h"
#include "backend/cpu/maps.h"
#include "backend/cpu/panel.h"
#include "backend/cpu/quantized.h"
#include "backend/cpu/reduce.h"
#include "backend/cpu/rnn.h"
#include "backend/cpu/winograd.h"
#include "base/str.h"

bool cpu_fuses(void)
{
#if defined __x86_64__ && defined __GNUC__ && !defined __clang__
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#elif defined __x86_64__ && !defined __FMA__
    return false;
#else
    return true;
#endif
}

/* Every kernel's: all tensors are float32 and not empty. */
static bool accepts(const struct step *s, struct str *why)
{
    for (int i = 0; i < s->node->n_in + s->node->n_out; i++) {
        const struct tensor *t = i < s->node->n_in ? s->in[i] : s->out[i - s->node->n_in];
        if (!t || (t->dtype == DT_F32 && tensor_count(t) > 0)) continue;
        if (why) str_add(why, t->dtype == DT_F32 ? "an empty tensor" : "not float32");
        return false;
    }
    return true;
}

#define KERNEL(name, prepare, run) { name, "cpu", false, accepts, prepare, run }
#define MAP(name, expr) { #name, "cpu", true, accepts, map_prepare, map_run },

#define REDUCE(name, accepts) { name, "cpu", false, accepts, reduce_lanes_prepare, reduce_lanes_run }

#define BROADCAST(name, operator) { #name, "cpu", false, broadcast_accepts, NULL, broadcast_run },
#define LAST_BROADCAST(name, operator) { #name, "cpu", false, broadcast_accepts, NULL, broadcast_run, true },

static const struct kernel kernels[] = {
    { "AllFinite", "cpu", false, all_finite_accepts, NULL, all_finite_run },
    { "BatchNormalization", "cpu", true, accepts, batch_norm_prepare, batch_norm_run },
    { "FusedNormalization", "cpu", true, accepts, fused_norm_prepare, fused_norm_run },
    KERNEL("BatchNormalizationGrad", batch_norm_grad_prepare, batch_norm_grad_run),
    KERNEL("ConvGradBias", conv_grad_bias_prepare, conv_grad_bias_run),
    KERNEL("SumTo", sum_to_prepare, sum_to_run),
    { "Gather", "cpu", false, gather_channels_accepts, gather_channels_prepare, gather_channels_run },
    { "Slice", "cpu", false, slice_last_accepts, slice_last_prepare, slice_last_run },
    KERNEL("MaxPoolGrad", pool_grad_prepare, max_pool_grad_run),
    KERNEL("AdaptiveMaxPoolGrad", pool_grad_prepare, max_pool_grad_run),
    KERNEL("AveragePoolGrad", pool_grad_prepare, average_pool_grad_run),
    KERNEL("AdaptiveAveragePoolGrad", pool_grad_prepare, average_pool_grad_run),
    MAP_LIST(MAP, MAP)
    { "FusedElementwise", "cpu", true, chain_accepts, chain_prepare, chain_run },
    { "ClipGrad", "cpu", true, accepts, clip_grad_map_prepare, clip_grad_map_run },
    REDUCE("ReduceMax", reduce_accepts),
    REDUCE("ReduceMin", reduce_accepts),
    REDUCE("ReduceL1", reduce_accepts),
    REDUCE("ReduceL2", reduce_accepts),
    REDUCE("ReduceSumSquare", reduce_accepts),
    REDUCE("ReduceLogSum", reduce_accepts),
    REDUCE("ReduceLogSumExp", reduce_accepts),
    REDUCE("ReduceSum", reduce_plain_accepts),
    REDUCE("ReduceMean", reduce_plain_accepts),
    { "ArgMax", "cpu", false, arg_accepts, arg_prepare, arg_run },
    { "ArgMin", "cpu", false, arg_accepts, arg_prepare, arg_run },
    COMPARE_LIST(BROADCAST)
    LOGIC_LIST(BROADCAST)
    ARITHMETIC_LIST(LAST_BROADCAST)
    BROADCAST(Not, !)
    BROADCAST(Where, ?)
    { "SGDUpdate", "cpu", true, update_accepts, NULL, sgd_run },
    { "AdamUpdate", "cpu", true, update_accepts, NULL, adam_run },
    { "AverageUpdate", "cpu", true, update_accepts, NULL, average_run },
    { "SoftmaxCrossEntropyLoss", "cpu", false, cross_entropy_accepts, NULL, cross_entropy_run },
    { "SoftmaxCrossEntropyLossGrad", "cpu", false, cross_entropy_grad_accepts, NULL, cross_entropy_grad_run },
    { "InstanceNormalization", "cpu", true, accepts, NULL, group_norm_run },
    { "GroupNormalization", "cpu", true, accepts, NULL, group_norm_run },
    { "RMSNormalization", "cpu", true, accepts, rms_norm_prepare, rms_norm_run },
    { "Softmax", "cpu", true, accepts, softmax_rows_prepare, softmax_rows_run },
    { "SoftmaxOrZero", "cpu", true, accepts, softmax_rows_prepare, softmax_rows_run },
    { "LogSoftmax", "cpu", true, accepts, softmax_rows_prepare, softmax_rows_run },
    { "Softmax", "cpu", true, accepts, softmax_columns_prepare, softmax_columns_run },
    { "LogSoftmax", "cpu", true, accepts, softmax_columns_prepare, softmax_columns_run },
    KERNEL("SoftmaxGrad", softmax_columns_prepare, softmax_columns_run),
    KERNEL("LogSoftmaxGrad", softmax_columns_prepare, softmax_columns_run),
    { "Resize", "cpu", false, resize_rows_accepts, resize_rows_prepare, resize_rows_run },
    { "ResizeGrad", "cpu", false, resize_rows_accepts, resize_grad_prepare, resize_grad_run },
    KERNEL("LayerNormalizationGrad", layer_norm_grad_prepare, layer_norm_grad_run),
    KERNEL("RMSNormalizationGrad", layer_norm_grad_prepare, layer_norm_grad_run),
    KERNEL("LSTM", rnn_prepare, rnn_run),
    KERNEL("GRU", rnn_prepare, rnn_run),
    KERNEL("RNN", rnn_prepare, rnn_run),
    KERNEL("LSTMGrad", rnn_grad_prepare, rnn_grad_run),
    KERNEL("GRUGrad", rnn_grad_prepare, rnn_grad_run),
    KERNEL("RNNGrad", rnn_grad_prepare, rnn_grad_run),
    KERNEL("Conv", plane_conv_prepare, plane_conv_run),
    KERNEL("FusedConv", plane_conv_prepare, plane_conv_run),
    KERNEL("Conv", winograd_prepare, winograd_run),
    KERNEL("FusedConv", winograd_prepare, winograd_run),
    KERNEL("MaxPool", plane_pool_prepare, plane_pool_run),
    KERNEL("AveragePool", plane_pool_prepare, plane_pool_run),
    KERNEL("ConvGradInput", winograd_input_prepare, winograd_run),
    KERNEL("ConvGradWeight", winograd_weight_prepare, winograd_weight_run),
    { "QuantizedConv", "cpu-vnni", false, bytes_deep_accepts, bytes_deep_prepare, bytes_deep_run },
    { "QuantizedConv", "cpu", false, quantized_product_accepts, quantized_conv_prepare, quantized_product_run, true },
    { "QuantizedGemm", "cpu", false, quantized_product_accepts, quantized_gemm_prepare, quantized_product_run, true },
    { "QuantizedAdd", "cpu", false, quantized_add_accepts, quantized_add_prepare, quantized_add_run },
    { "QuantizedLookup", "cpu", false, bytes_accepts, lookup_prepare, lookup_run },
    { "QuantizeLinear", "cpu", false, quantize_accepts, steps_prepare, quantize_run },
    { "DequantizeLinear", "cpu", false, dequantize_accepts, steps_prepare, dequantize_run },
    { "Cast", "cpu", false, casts_accepts, NULL, casts_run, true },
    { "MaxPool", "cpu", false, bytes_accepts, bytes_pool_prepare, bytes_pool_run },
    { "DepthToSpace", "cpu", false, bytes_accepts, bytes_spread_prepare, bytes_spread_run },
    { "Concat", "cpu", false, bytes_concat_accepts, bytes_concat_prepare, bytes_concat_run },
    { 0 },
};

const struct backend backend_cpu = {
    .name = "cpu",
    .kernels = kernels,
    .layout_same = panel_same,
    .layout_copy = panel_copy,
    .layout_last = bytes_last,
    .reorder_prepare = panel_reorder_prepare,
    .reorder_run = panel_reorder_run,
};
