/* aten_conv.c - convolutions. */
#include <string.h>

#include "base/err.h"
#include "format/torch/aten.h"

struct conv {
    const int64_t *stride, *padding, *dilation, *output_padding;
    const char *auto_pad; /* "same": padding is made from the kernel's size */
    int64_t groups;
    bool transposed;
};

/* Adds a batch dimension where PyTorch lets it be left out; *batched says whether it was there. */
static struct value *with_batch(struct aten_call *c, struct value *x, int spatial, bool *batched)
{
    *batched = value_rank(c, x) != spatial + 1;
    return *batched ? x : emit_unsqueeze(c, x, 0);
}

/* PyTorch's 'same': d * (k - 1) in all, the smaller half first. */
static void same_padding(struct aten_call *c, const struct value *w, const struct conv *k, int spatial, int64_t *pads)
{
    for (int i = 0; i < spatial; i++) {
        int64_t size = value_dim(c, w, 2 + i);
        if (size < 0) aten_fail(c, ERR_UNSUPPORTED, "'same' padding with a kernel of unknown size");
        int64_t total = k->dilation[i] * (size - 1);
        pads[i] = total / 2;
        pads[spatial + i] = total - total / 2;
    }
}

static struct value *emit_conv(
    struct aten_call *c, struct value *x, struct value *w, struct value *bias, const struct conv *k)
{
    int spatial = value_rank(c, w) - 2;
    if (spatial < 1 || c->b->err->code) return aten_fail(c, ERR_SHAPE, "a kernel of rank %d", spatial + 2), NULL;
    size_t n = (size_t)spatial;
    int64_t pads[2 * SHAPE_MAX] = { 0 };
    if (k->auto_pad) same_padding(c, w, k, spatial, pads);
    for (size_t i = 0; i < n && k->padding; i++) pads[i] = pads[n + i] = k->padding[i];
    bool batched;
    x = with_batch(c, x, spatial, &batched);
    struct attr attrs[] = {
        attr_ints("strides", k->stride, n),
        attr_ints("pads", pads, 2 * n),
        attr_ints("dilations", k->dilation, n),
        attr_int("group", k->groups),
        { 0 },
        { 0 },
    };
    if (k->transposed) attrs[4] = attr_ints("output_padding", k->output_padding, n);
    struct value *y = emit(c->b, k->transposed ? "ConvTranspose" : "Conv", attrs, x, w, bias);
    return batched ? y : emit_squeeze(c, y, 0);
}

static size_t spatial_of(struct aten_call *c, int weight)
{
    int rank = value_rank(c, arg_tensor(c, weight));
    return rank > 2 && rank <= SHAPE_MAX ? (size_t)rank - 2 : 1;
}

static struct value *lower_convolution(struct aten_call *c)
{
    size_t n = spatial_of(c, 1);
    struct conv k = { arg_ints_n(c, 3, n), arg_ints_n(c, 4, n), arg_ints_n(c, 5, n), arg_ints_n(c, 7, n), NULL,
        arg_int(c, 8), arg_bool(c, 6) };
    if (c->b->err->code) return NULL;
    return emit_conv(c, arg_tensor(c, 0), arg_tensor(c, 1), arg_tensor(c, 2), &k);
}

/* conv1d, conv2d, conv3d */
static struct value *lower_conv(struct aten_call *c)
{
    size_t n = spatial_of(c, 1);
    struct conv k = { arg_ints_n(c, 3, n), arg_ints_n(c, 4, n), arg_ints_n(c, 5, n), NULL, NULL, arg_int(c, 6), false };
    if (c->b->err->code) return NULL;
    return emit_conv(c, arg_tensor(c, 0), arg_tensor(c, 1), arg_tensor(c, 2), &k);
}

/* The same with padding "same" or "valid". */
static struct value *lower_conv_mode(struct aten_call *c)
{
    size_t n = spatial_of(c, 1);
    bool same = !strcmp(arg_str(c, 4), "same");
    struct conv k = { arg_ints_n(c, 3, n), NULL, arg_ints_n(c, 5, n), NULL, same ? "same" : NULL, arg_int(c, 6),
        false };
    if (c->b->err->code) return NULL;
    return emit_conv(c, arg_tensor(c, 0), arg_tensor(c, 1), arg_tensor(c, 2), &k);
}

static struct value *lower_conv_transpose(struct aten_call *c)
{
    size_t n = spatial_of(c, 1);
    struct conv k = { arg_ints_n(c, 3, n), arg_ints_n(c, 4, n), arg_ints_n(c, 7, n), arg_ints_n(c, 5, n), NULL,
        arg_int(c, 6), true };
    if (c->b->err->code) return NULL;
    return emit_conv(c, arg_tensor(c, 0), arg_tensor(c, 1), arg_tensor(c, 2), &k);
}

const struct aten_row aten_conv[] = {
    { "_convolution(Tensor input, Tensor weight, Tensor? bias, int[] stride, SymInt[] padding, int[] dilation, "
      "bool transposed, SymInt[] output_padding, int groups, bool benchmark, bool deterministic, bool cudnn_enabled, "
      "bool allow_tf32=True) -> Tensor",
        lower_convolution },
    { "convolution(Tensor input, Tensor weight, Tensor? bias, int[] stride, SymInt[] padding, int[] dilation, "
      "bool transposed, SymInt[] output_padding, int groups) -> Tensor",
        lower_convolution },
    { "_convolution_mode(Tensor input, Tensor weight, Tensor? bias, int[] stride, str padding, int[] dilation, int "
      "groups) "
      "-> Tensor",
        lower_conv_mode },
    { "conv1d(Tensor input, Tensor weight, Tensor? bias=None, int[1] stride=1, int[1] padding=0, int[1] dilation=1, "
      "int groups=1) -> Tensor",
        lower_conv },
    { "conv1d.padding(Tensor input, Tensor weight, Tensor? bias=None, int[1] stride=1, str padding=\"valid\", "
      "int[1] dilation=1, int groups=1) -> Tensor",
        lower_conv_mode },
    { "conv2d(Tensor input, Tensor weight, Tensor? bias=None, int[2] stride=1, int[2] padding=0, int[2] dilation=1, "
      "int groups=1) -> Tensor",
        lower_conv },
    { "conv2d.padding(Tensor input, Tensor weight, Tensor? bias=None, int[2] stride=1, str padding=\"valid\", "
      "int[2] dilation=1, int groups=1) -> Tensor",
        lower_conv_mode },
    { "conv3d(Tensor input, Tensor weight, Tensor? bias=None, int[3] stride=1, int[3] padding=0, int[3] dilation=1, "
      "int groups=1) -> Tensor",
        lower_conv },
    { "conv3d.padding(Tensor input, Tensor weight, Tensor? bias=None, int[3] stride=1, str padding=\"valid\", "
      "int[3] dilation=1, int groups=1) -> Tensor",
        lower_conv_mode },
    { "conv_transpose1d(Tensor input, Tensor weight, Tensor? bias=None, int[1] stride=1, int[1] padding=0, "
      "int[1] output_padding=0, int groups=1, int[1] dilation=1) -> Tensor",
        lower_conv_transpose },
    { "conv_transpose2d.input(Tensor input, Tensor weight, Tensor? bias=None, int[2] stride=1, int[2] padding=0, "
      "int[2] output_padding=0, int groups=1, int[2] dilation=1) -> Tensor",
        lower_conv_transpose },
    { "conv_transpose3d.input(Tensor input, Tensor weight, Tensor? bias=None, int[3] stride=1, int[3] padding=0, "
      "int[3] output_padding=0, int groups=1, int[3] dilation=1) -> Tensor",
        lower_conv_transpose },
    { 0 },
};
