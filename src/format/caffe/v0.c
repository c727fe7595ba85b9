/* v0.c - layers of 2013 (V0LayerParameter, all parameters in one message) in the terms of today's. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/caffe/net.h"

static const char *const types[][2] = {
    { "accuracy", "Accuracy" },
    { "bnll", "BNLL" },
    { "concat", "Concat" },
    { "conv", "Convolution" },
    { "data", "Data" },
    { "dropout", "Dropout" },
    { "euclidean_loss", "EuclideanLoss" },
    { "flatten", "Flatten" },
    { "hdf5_data", "HDF5Data" },
    { "hdf5_output", "HDF5Output" },
    { "hinge_loss", "HingeLoss" },
    { "im2col", "Im2col" },
    { "images", "ImageData" },
    { "infogain_loss", "InfogainLoss" },
    { "innerproduct", "InnerProduct" },
    { "lrn", "LRN" },
    { "multinomial_logistic_loss", "MultinomialLogisticLoss" },
    { "padding", "Padding" },
    { "pool", "Pooling" },
    { "relu", "ReLU" },
    { "sigmoid", "Sigmoid" },
    { "softmax", "Softmax" },
    { "softmax_loss", "SoftmaxWithLoss" },
    { "split", "Split" },
    { "tanh", "TanH" },
    { "window_data", "WindowData" },
};

/* Where each parameter went, by type ("": any). */
static const struct move {
    const char *type, *from, *param, *to;
} moves[] = {
    { "conv", "num_output", "convolution_param", "num_output" },
    { "conv", "biasterm", "convolution_param", "bias_term" },
    { "conv", "pad", "convolution_param", "pad" },
    { "conv", "kernelsize", "convolution_param", "kernel_size" },
    { "conv", "group", "convolution_param", "group" },
    { "conv", "stride", "convolution_param", "stride" },
    { "im2col", "pad", "convolution_param", "pad" },
    { "im2col", "kernelsize", "convolution_param", "kernel_size" },
    { "im2col", "stride", "convolution_param", "stride" },
    { "padding", "pad", "convolution_param", "pad" },
    { "innerproduct", "num_output", "inner_product_param", "num_output" },
    { "innerproduct", "biasterm", "inner_product_param", "bias_term" },
    { "pool", "pool", "pooling_param", "pool" },
    { "pool", "pad", "pooling_param", "pad" },
    { "pool", "kernelsize", "pooling_param", "kernel_size" },
    { "pool", "stride", "pooling_param", "stride" },
    { "dropout", "dropout_ratio", "dropout_param", "dropout_ratio" },
    { "lrn", "local_size", "lrn_param", "local_size" },
    { "lrn", "alpha", "lrn_param", "alpha" },
    { "lrn", "beta", "lrn_param", "beta" },
    { "lrn", "k", "lrn_param", "k" },
    { "concat", "concat_dim", "concat_param", "concat_dim" },
    { "images", "new_height", "image_data_param", "new_height" },
    { "images", "new_width", "image_data_param", "new_width" },
    { "data", "source", "data_param", "source" },
    { "images", "source", "image_data_param", "source" },
    { "", "scale", "transform_param", "scale" },
    { "", "meanfile", "transform_param", "mean_file" },
    { "", "cropsize", "transform_param", "crop_size" },
};

static const char *type_of(const char *v0)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i][0], v0)) return types[i][1];
    return v0;
}

/* The field of a message that is made when it is not there. */
static struct tree_field *field_of(struct arena *a, struct tree *t, const char *name)
{
    return tree_field_add(a, t, tree_row(t->schema, name));
}

static int put_text(struct arena *a, struct tree *t, const char *name, const char *text, struct err *e)
{
    struct tree_field *f = field_of(a, t, name);
    return f ? tree_add_text(a, f, text, e) : fail_nomem(e);
}

static struct tree *param_of(struct arena *a, struct tree *t, const char *name, struct err *e)
{
    struct tree_field *f = field_of(a, t, name);
    if (!f) return fail_nomem(e), NULL;
    return f->n ? f->messages[0] : tree_add_message(a, f, t->path, e);
}

static int move(struct arena *a, struct tree *t, const struct tree *v0, const struct move *m, struct err *e)
{
    const struct tree_field *from = tree_field(v0, m->from);
    if (!from || (*m->type && strcmp(m->type, tree_text(v0, "type", "")) != 0)) return 0;
    struct tree *param = param_of(a, t, m->param, e);
    struct tree_field *to = param ? field_of(a, param, m->to) : NULL;
    if (!to) return fail_nomem(e);
    const struct tree_row *row = to->row;
    *to = *from;
    to->row = row;
    return 0;
}

static int borrow(struct arena *a, struct tree *t, const struct tree *from, const char *name, struct err *e)
{
    const struct tree_field *f = tree_field(from, name);
    if (!f) return 0;
    struct tree_field *to = field_of(a, t, name);
    TRY_MEM(to, e);
    const struct tree_row *row = to->row;
    *to = *f;
    to->row = row;
    return 0;
}

static int upgrade(struct arena *a, struct tree *t, const struct tree *outer, struct err *e)
{
    const struct tree *v0 = tree_message(outer, "layer");
    TRY(put_text(a, t, "name", tree_text(v0, "name", ""), e));
    TRY(put_text(a, t, "type", type_of(tree_text(v0, "type", "")), e));
    TRY(borrow(a, t, outer, "bottom", e));
    TRY(borrow(a, t, outer, "top", e));
    TRY(borrow(a, t, v0, "blobs", e));
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++) TRY(move(a, t, v0, &moves[i], e));
    return 0;
}

const struct tree *caffe_upgrade_v0(struct arena *a, const struct tree *outer, struct err *e)
{
    struct tree *t = tree_new(a, &caffe_layer_schema, outer->path);
    if (!t) return fail_nomem(e), NULL;
    t->line = outer->line, t->column = outer->column, t->at = outer->at;
    return upgrade(a, t, outer, e) ? NULL : t;
}

/* Gives the padding of `p` to the layer behind it. */
static int merge(struct caffe_net *net, struct caffe_layer *l, const struct caffe_layer *p, struct err *e)
{
    bool conv = !strcmp(l->type, "Convolution");
    if (!conv && strcmp(l->type, "Pooling") != 0)
        return fail(e, ERR_UNSUPPORTED, "%s: a padding layer before a %s; only convolutions and poolings can pad",
            p->where, l->type);
    const struct tree *param = caffe_layer_param(l, conv ? "convolution_param" : "pooling_param");
    if (tree_has(param, "pad") || !param->schema || p->n_bottom != 1)
        return fail(e, ERR_MODEL, "%s: padding that does not fit the layer \"%s\"", p->where, l->name);
    struct tree_field *pad = field_of(net->arena, (struct tree *)(uintptr_t)param, "pad");
    TRY_MEM(pad, e);
    TRY(tree_add_int(net->arena, pad, tree_int(caffe_layer_param(p, "convolution_param"), "pad", 0), e));
    l->bottom = p->bottom;
    return 0;
}

int caffe_merge_padding(struct caffe_net *net, struct err *e)
{
    for (size_t i = 0; i < net->n; i++) {
        const struct caffe_layer *p = &net->layers[i];
        if (strcmp(p->type, "Padding") != 0 || p->n_top != 1) continue;
        for (size_t k = i + 1; k < net->n; k++)
            if (net->layers[k].n_bottom == 1 && !strcmp(net->layers[k].bottom[0], p->top[0]))
                TRY(merge(net, &net->layers[k], p, e));
    }
    size_t n = 0;
    for (size_t i = 0; i < net->n; i++)
        if (strcmp(net->layers[i].type, "Padding") != 0) net->layers[n++] = net->layers[i];
    net->n = n;
    return 0;
}
