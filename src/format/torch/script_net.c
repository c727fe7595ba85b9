/* script_net.c - convolutions, poolings, normalisations and resampling as TorchScript. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/torch/script.h"
#include "graph/op.h"

enum { AXES = 3 }; /* spatial ones that PyTorch knows */

/* What convolutions and poolings share; lists hold one number per spatial axis. */
struct window {
    const char *x; /* the input, after borders that PyTorch cannot say */
    int axes;
    int64_t kernel[AXES], stride[AXES], pad[AXES], dilation[AXES];
};

static void read_ints(const struct node *n, const char *name, int axes, int64_t otherwise, int64_t *out)
{
    size_t count;
    const int64_t *given = node_ints(n, name, &count);
    for (int i = 0; i < axes; i++) out[i] = given && (size_t)i < count ? given[i] : otherwise;
}

/* SAME_UPPER and SAME_LOWER as numbers: begins of all axes, then ends. With steps they follow from the input's size. */
static bool same_pads(const struct node *n, const struct window *w, bool upper, int64_t *pads)
{
    const struct value *x = value_resolve(n->in[0]);
    for (int i = 0; i < w->axes; i++) {
        int64_t size = x->shape.dim[i + 2], reach = (w->kernel[i] - 1) * w->dilation[i] + 1, total = reach - 1;
        if (w->stride[i] != 1 && size < 0) return false;
        if (w->stride[i] != 1) total = ((size + w->stride[i] - 1) / w->stride[i] - 1) * w->stride[i] + reach - size;
        if (total < 0) total = 0;
        pads[upper ? i : i + w->axes] = total / 2;
        pads[upper ? i + w->axes : i] = total - total / 2;
    }
    return true;
}

/* The same where sizes are open: computed from what comes, and put in front as an own padding with `value`. */
static int pad_by_size(struct script *s, const struct node *n, const char *value, bool upper, struct window *w)
{
    struct str pads = str_in(s->arena);
    const char *x = in(s, n, 0);
    for (int i = w->axes; i-- > 0;) {
        long long stride = w->stride[i], reach = (w->kernel[i] - 1) * w->dilation[i] + 1;
        const char *size = assign(s, say(s, "torch.size(%s, %d)", x, i + 2));
        const char *windows = assign(s, say(s, "torch.floordiv(torch.add(%s, %lld), %lld)", size, stride - 1, stride));
        const char *all = say(s, "torch.add(torch.mul(torch.sub(%s, 1), %lld), %lld)", windows, stride, reach);
        const char *total = assign(s, say(s, "ops.prim.max(torch.sub(%s, %s), 0)", all, size));
        const char *half = assign(s, say(s, "torch.floordiv(%s, 2)", total));
        const char *rest = assign(s, say(s, "torch.sub(%s, %s)", total, half));
        str_addf(&pads, "%s%s, %s", pads.len ? ", " : "", upper ? half : rest, upper ? rest : half);
        w->pad[i] = 0;
    }
    const char *text = str_done(&pads);
    if (!text) return fail_nomem(s->err), 0;
    w->x = assign(s, say(s, "torch.constant_pad_nd(%s, [%s], %s)", x, text, value));
    return 1;
}

/* Borders: begins of all axes, then ends. Where the two differ, what is wanting goes in front as an own padding with
 * `value`. */
static int read_window(struct script *s, const struct node *n, const char *value, struct window *w)
{
    const char *automatic = node_string(n, "auto_pad");
    int rank = script_rank(value_resolve(n->in[0]));
    int64_t pads[2 * AXES] = { 0 }, uneven[2 * AXES];
    bool even = true, same = automatic && !strncmp(automatic, "SAME", 4);
    w->axes = rank - 2;
    if (rank < 3 || w->axes > AXES) return script_cannot(s, n, "this rank"), 0;
    read_ints(n, "kernel_shape", w->axes, 1, w->kernel);
    const struct value *weight = node_in(n, 1);
    for (int i = 0; !node_has(n, "kernel_shape") && weight && i < w->axes; i++) w->kernel[i] = weight->shape.dim[i + 2];
    read_ints(n, "strides", w->axes, 1, w->stride);
    read_ints(n, "dilations", w->axes, 1, w->dilation);
    if (!same) read_ints(n, "pads", 2 * w->axes, 0, pads);
    bool upper = same && !strcmp(automatic, "SAME_UPPER"), known = !same || same_pads(n, w, upper, pads);
    if (same && (node_is(n, "ConvTranspose") || (!known && !value)))
        return script_cannot(s, n, "padding that follows from the size; fix it with --shape"), 0;
    if (!known) return pad_by_size(s, n, value, upper, w);
    w->x = in(s, n, 0);
    for (int i = 0; i < w->axes; i++) even &= (w->pad[i] = pads[i]) == pads[i + w->axes];
    if (even) return 1;
    if (!value) return script_cannot(s, n, "borders that are not even"), 0;
    for (int i = 0; i < w->axes; i++) {
        uneven[2 * i] = pads[w->axes - 1 - i];
        uneven[2 * i + 1] = pads[2 * w->axes - 1 - i];
        w->pad[i] = 0;
    }
    w->x = assign(
        s, say(s, "torch.constant_pad_nd(%s, %s, %s)", w->x, int_list(s, uneven, 2 * (size_t)w->axes), value));
    return 1;
}

static const char *list(struct script *s, const struct window *w, const int64_t *v)
{
    return int_list(s, v, (size_t)w->axes);
}

static const char *say_conv(struct script *s, const struct node *n)
{
    struct window w;
    if (!read_window(s, n, "0.", &w)) return NULL;
    return say(s, "torch.conv%dd(%s, %s, %s, %s, %s, %s, %lld)", w.axes, w.x, in(s, n, 1), in(s, n, 2),
        list(s, &w, w.stride), list(s, &w, w.pad), list(s, &w, w.dilation), (long long)node_int(n, "group"));
}

static const char *say_conv_transpose(struct script *s, const struct node *n)
{
    struct window w;
    int64_t output[AXES];
    if (node_has(n, "output_shape")) return script_cannot(s, n, "a wanted output size");
    if (!read_window(s, n, NULL, &w)) return NULL;
    read_ints(n, "output_padding", w.axes, 0, output);
    return say(s, "torch.conv_transpose%dd(%s, %s, %s, %s, %s, %s, %lld, %s)", w.axes, w.x, in(s, n, 1), in(s, n, 2),
        list(s, &w, w.stride), list(s, &w, w.pad), list(s, &w, output), (long long)node_int(n, "group"),
        list(s, &w, w.dilation));
}

/* PyTorch pads by at most half a kernel. */
static bool pads_fit(const struct window *w)
{
    for (int i = 0; i < w->axes; i++)
        if (2 * w->pad[i] > w->kernel[i]) return false;
    return true;
}

static const char *say_max_pool(struct script *s, const struct node *n)
{
    struct window w;
    if (output_used(s, n, 1)) return script_cannot(s, n, "places of the maxima");
    if (!read_window(s, n, "-inf", &w)) return NULL;
    if (!pads_fit(&w)) return script_cannot(s, n, "borders of more than half a window");
    return say(s, "torch.max_pool%dd(%s, %s, %s, %s, %s, %s)", w.axes, w.x, list(s, &w, w.kernel),
        list(s, &w, w.stride), list(s, &w, w.pad), list(s, &w, w.dilation),
        node_int(n, "ceil_mode") ? "True" : "False");
}

static const char *say_average_pool(struct script *s, const struct node *n)
{
    struct window w;
    bool counted = node_int(n, "count_include_pad");
    int64_t divisor = node_int(n, "divisor");
    if (!read_window(s, n, counted ? "0." : NULL, &w)) return NULL;
    for (int i = 0; i < w.axes; i++)
        if (w.dilation[i] != 1) return script_cannot(s, n, "dilated windows");
    if (!pads_fit(&w)) return script_cannot(s, n, "borders of more than half a window");
    const char *by = divisor ? say(s, ", %lld", (long long)divisor) : "";
    if (divisor && w.axes == 1) return script_cannot(s, n, "a divisor along one axis");
    return say(s, "torch.avg_pool%dd(%s, %s, %s, %s, %s, %s%s)", w.axes, w.x, list(s, &w, w.kernel),
        list(s, &w, w.stride), list(s, &w, w.pad), node_int(n, "ceil_mode") ? "True" : "False",
        counted ? "True" : "False", by);
}

static const char *say_global_pool(struct script *s, const struct node *n)
{
    int rank = script_rank(value_resolve(n->in[0]));
    int64_t axes[SHAPE_MAX];
    if (rank < 2) return script_cannot(s, n, "this rank");
    for (int i = 2; i < rank; i++) axes[i - 2] = i;
    return say(
        s, "torch.%s(%s, %s, True)", script_find(n->op->name)->aten, in(s, n, 0), int_list(s, axes, (size_t)rank - 2));
}

static const char *say_adaptive_pool(struct script *s, const struct node *n)
{
    size_t count;
    const int64_t *size = node_ints(n, "output_size", &count);
    const char *op = script_find(n->op->name)->aten, *x = in(s, n, 0);
    struct str text = str_in(s->arena);
    if (output_used(s, n, 1)) return script_cannot(s, n, "places of the maxima");
    for (size_t i = 0; i < count; i++)
        str_addf(&text, "%s%s", i ? ", " : "",
            size[i] > 0 ? say(s, "%lld", (long long)size[i]) : say(s, "torch.size(%s, %zu)", x, i + 2));
    const char *sizes = str_done(&text);
    if (!sizes) return NULL;
    if (!strcmp(op, "avg")) return say(s, "torch.adaptive_avg_pool%zud(%s, [%s])", count, x, sizes);
    const char *y = say(s, "v%zu", s->n_variables++); /* it gives places, too */
    str_addf(&s->body, "    %s, v%zu = torch.adaptive_max_pool%zud(%s, [%s])\n", y, s->n_variables, count, x, sizes);
    s->n_variables++;
    return y;
}

static const char *say_batch_norm(struct script *s, const struct node *n)
{
    const struct value *mean = value_resolve(n->in[3]), *var = value_resolve(n->in[4]);
    bool states = mean->kind == VALUE_STATE && var->kind == VALUE_STATE;
    if (output_used(s, n, 1) || node_int(n, "training_mode")) return script_cannot(s, n, "its training form");
    return say(s, "torch.batch_norm(%s, %s, %s, %s, %s, %s, %s, %s, True)", in(s, n, 0), in(s, n, 1), in(s, n, 2),
        in(s, n, 3), in(s, n, 4), states ? "self.training" : "False", float_text(s, 1 - node_float(n, "momentum")),
        float_text(s, node_float(n, "epsilon")));
}

static const char *say_layer_norm(struct script *s, const struct node *n)
{
    const struct value *x = value_resolve(n->in[0]);
    int64_t axis = node_int(n, "axis");
    int rank = script_rank(x);
    if (axis < 0) axis += rank;
    if (rank < 0 || axis < 0 || axis >= rank || output_used(s, n, 1)) return script_cannot(s, n, "this form");
    for (int i = (int)axis; i < rank; i++)
        if (x->shape.dim[i] < 0) return script_cannot(s, n, "dimensions that are not known");
    return say(s, "torch.layer_norm(%s, %s, %s, %s, %s)", in(s, n, 0),
        int_list(s, x->shape.dim + axis, (size_t)(rank - axis)), in(s, n, 1), in(s, n, 2),
        float_text(s, node_float(n, "epsilon")));
}

static const char *say_group_norm(struct script *s, const struct node *n)
{
    return say(s, "torch.group_norm(%s, %lld, %s, %s, %s)", in(s, n, 0), (long long)node_int(n, "num_groups"),
        in(s, n, 1), in(s, n, 2), float_text(s, node_float(n, "epsilon")));
}

static const char *say_instance_norm(struct script *s, const struct node *n)
{
    return say(s, "torch.instance_norm(%s, %s, %s, None, None, True, 0., %s, True)", in(s, n, 0), in(s, n, 1),
        in(s, n, 2), float_text(s, node_float(n, "epsilon")));
}

static const char *say_dropout(struct script *s, const struct node *n)
{
    double ratio = 0.5;
    if (output_used(s, n, 1) || (node_in(n, 1) && !const_number(n, 1, &ratio))) return script_cannot(s, n, "this form");
    return say(s, "torch.dropout(%s, %s, self.training)", in(s, n, 0), float_text(s, ratio));
}

/* How PyTorch calls what Resize does; the sizes are those of the spatial axes. */
static const struct {
    const char *mode, *transform, *nearest, *name;
    int min_axes, max_axes;
    const char *corners; /* the argument align_corners */
} samplings[] = {
    { "nearest", "asymmetric", "floor", "nearest", 1, 3, NULL },
    { "nearest", "half_pixel", "round_prefer_ceil", "_nearest-exact", 1, 3, NULL },
    { "linear", "half_pixel", NULL, "linear", 1, 1, "False" },
    { "linear", "half_pixel", NULL, "bilinear", 2, 2, "False" },
    { "linear", "half_pixel", NULL, "trilinear", 3, 3, "False" },
    { "linear", "pytorch_half_pixel", NULL, "bilinear", 2, 2, "False" },
    { "linear", "align_corners", NULL, "linear", 1, 1, "True" },
    { "linear", "align_corners", NULL, "bilinear", 2, 2, "True" },
    { "linear", "align_corners", NULL, "trilinear", 3, 3, "True" },
    { "cubic", "half_pixel", NULL, "bicubic", 2, 2, "False" },
    { "cubic", "pytorch_half_pixel", NULL, "bicubic", 2, 2, "False" },
    { "cubic", "align_corners", NULL, "bicubic", 2, 2, "True" },
};

/* The last `count` of sizes or scales, as a list; NULL: not known. */
static const char *resize_sizes(struct script *s, const struct node *n, int count)
{
    const struct script_ints *sizes = ints_of(s, node_in(n, 3));
    struct str text = str_in(s->arena);
    if (!sizes || sizes->n < (size_t)count) return NULL;
    for (size_t i = sizes->n - (size_t)count; i < sizes->n; i++)
        str_addf(&text, "%s%s", text.len ? ", " : "", sizes->items[i]);
    const char *out = str_done(&text);
    return out ? say(s, "[%s]", out) : NULL;
}

static const char *resize_scales(struct script *s, const struct node *n, int count)
{
    struct value *v = node_in(n, 2);
    const struct tensor *t = v ? value_const(v) : NULL;
    struct str text = str_in(s->arena);
    if (!t || tensor_count(t) < count) return NULL;
    for (int64_t i = tensor_count(t) - count; i < tensor_count(t); i++)
        str_addf(&text, "%s%s", text.len ? ", " : "", float_text(s, tensor_get_f64(t, i)));
    const char *out = str_done(&text);
    return out ? say(s, "[%s]", out) : NULL;
}

static const char *say_resize(struct script *s, const struct node *n)
{
    const char *mode = node_string(n, "mode"), *transform = node_string(n, "coordinate_transformation_mode");
    const char *nearest = node_string(n, "nearest_mode"), *policy = node_string(n, "keep_aspect_ratio_policy");
    int count = script_rank(value_resolve(n->in[0])) - 2;
    bool wide = node_int(n, "antialias");
    if (count < 1 || count > AXES || strcmp(policy, "stretch")) return script_cannot(s, n, "this form");
    const char *sizes = resize_sizes(s, n, count), *scales = sizes ? NULL : resize_scales(s, n, count);
    if (!sizes && !scales) return script_cannot(s, n, "sizes that are not known");
    if (!strcmp(mode, "cubic") && node_float(n, "cubic_coeff_a") != (wide ? -0.5 : -0.75))
        return script_cannot(s, n, "this cubic coefficient");
    for (size_t i = 0; i < sizeof samplings / sizeof *samplings; i++) {
        if (strcmp(mode, samplings[i].mode) || strcmp(transform, samplings[i].transform)) continue;
        if (samplings[i].nearest && strcmp(nearest, samplings[i].nearest)) continue;
        if (count < samplings[i].min_axes || count > samplings[i].max_axes) continue;
        bool exact = samplings[i].name[0] == '_';
        const char *op = exact
            ? say(s, "_upsample_nearest_exact%dd", count)
            : say(s, "%supsample_%s%dd%s", wide ? "_" : "", samplings[i].name, count, wide ? "_aa" : "");
        return say(s, "torch.%s(%s, %s%s%s, %s)", op, in(s, n, 0), sizes ? sizes : "None",
            samplings[i].corners ? ", " : "", samplings[i].corners ? samplings[i].corners : "",
            scales ? scales : "None");
    }
    return script_cannot(s, n, say(s, "%s, %s, %s", mode, transform, nearest));
}

static const char *say_grid_sample(struct script *s, const struct node *n)
{
    static const char *const modes[] = { "linear", "nearest", "cubic" },
                             *const borders[] = { "zeros", "border", "reflection" };
    int mode = -1, border = -1;
    for (int i = 0; i < 3; i++) {
        if (!strcmp(node_string(n, "mode"), modes[i])) mode = i;
        if (!strcmp(node_string(n, "padding_mode"), borders[i])) border = i;
    }
    if (mode < 0 || border < 0) return script_cannot(s, n, "this mode");
    return say(s, "torch.grid_sampler(%s, %s, %d, %d, %s)", in(s, n, 0), in(s, n, 1), mode, border,
        node_int(n, "align_corners") ? "True" : "False");
}

/* x / (bias + alpha / size sum x^2)^beta over neighbouring channels: a mean along them. */
static const char *say_lrn(struct script *s, const struct node *n)
{
    long long size = node_int(n, "size");
    const char *x = in(s, n, 0);
    if (script_rank(value_resolve(n->in[0])) != 4) return script_cannot(s, n, "this rank");
    const char *squares = assign(s, say(s, "torch.unsqueeze(torch.mul(%s, %s), 1)", x, x));
    squares = assign(
        s, say(s, "torch.constant_pad_nd(%s, [0, 0, 0, 0, %lld, %lld], 0.)", squares, (size - 1) / 2, size / 2));
    squares = assign(s, say(s, "torch.squeeze(torch.avg_pool3d(%s, [%lld, 1, 1], [1, 1, 1]), 1)", squares, size));
    return say(s, "torch.div(%s, torch.pow(torch.add(torch.mul(%s, %s), %s), %s))", x, squares,
        float_text(s, node_float(n, "alpha")), float_text(s, node_float(n, "bias")),
        float_text(s, node_float(n, "beta")));
}

const struct script_row script_net[] = {
    { "Conv", say_conv },
    { "ConvTranspose", say_conv_transpose },
    { "MaxPool", say_max_pool },
    { "AveragePool", say_average_pool },
    { "GlobalAveragePool", say_global_pool, "mean" },
    { "GlobalMaxPool", say_global_pool, "amax" },
    { "AdaptiveAveragePool", say_adaptive_pool, "avg" },
    { "AdaptiveMaxPool", say_adaptive_pool, "max" },
    { "BatchNormalization", say_batch_norm },
    { "LayerNormalization", say_layer_norm },
    { "GroupNormalization", say_group_norm },
    { "InstanceNormalization", say_instance_norm },
    { "Dropout", say_dropout },
    { "Resize", say_resize },
    { "GridSample", say_grid_sample },
    { "LRN", say_lrn },
    { 0 },
};
