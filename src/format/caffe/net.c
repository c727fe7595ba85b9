/* net.c - the layers of a Caffe net, of any generation. */
#include "format/caffe/net.h"

#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"

/* V1 numbered the types; what V2 calls them. */
static const char *const v1_types[][2] = {
    { "ABSVAL", "AbsVal" },
    { "ACCURACY", "Accuracy" },
    { "ARGMAX", "ArgMax" },
    { "BNLL", "BNLL" },
    { "CONCAT", "Concat" },
    { "CONTRASTIVE_LOSS", "ContrastiveLoss" },
    { "CONVOLUTION", "Convolution" },
    { "DATA", "Data" },
    { "DECONVOLUTION", "Deconvolution" },
    { "DROPOUT", "Dropout" },
    { "DUMMY_DATA", "DummyData" },
    { "ELTWISE", "Eltwise" },
    { "EUCLIDEAN_LOSS", "EuclideanLoss" },
    { "EXP", "Exp" },
    { "FLATTEN", "Flatten" },
    { "HDF5_DATA", "HDF5Data" },
    { "HDF5_OUTPUT", "HDF5Output" },
    { "HINGE_LOSS", "HingeLoss" },
    { "IM2COL", "Im2col" },
    { "IMAGE_DATA", "ImageData" },
    { "INFOGAIN_LOSS", "InfogainLoss" },
    { "INNER_PRODUCT", "InnerProduct" },
    { "LRN", "LRN" },
    { "MEMORY_DATA", "MemoryData" },
    { "MULTINOMIAL_LOGISTIC_LOSS", "MultinomialLogisticLoss" },
    { "MVN", "MVN" },
    { "POOLING", "Pooling" },
    { "POWER", "Power" },
    { "RELU", "ReLU" },
    { "SIGMOID", "Sigmoid" },
    { "SIGMOID_CROSS_ENTROPY_LOSS", "SigmoidCrossEntropyLoss" },
    { "SILENCE", "Silence" },
    { "SLICE", "Slice" },
    { "SOFTMAX", "Softmax" },
    { "SOFTMAX_LOSS", "SoftmaxWithLoss" },
    { "SPLIT", "Split" },
    { "TANH", "TanH" },
    { "THRESHOLD", "Threshold" },
    { "WINDOW_DATA", "WindowData" },
};

static const char *v1_type(const struct tree *t, struct arena *a)
{
    const char *word = tree_word(t, "type", a);
    for (size_t i = 0; word && i < sizeof v1_types / sizeof *v1_types; i++)
        if (!strcmp(v1_types[i][0], word)) return v1_types[i][1];
    return word ? word : "NONE";
}

static void take_texts(const struct tree *t, const char *name, const char ***list, size_t *n)
{
    const struct tree_field *f = tree_field(t, name);
    *list = f ? f->texts : NULL;
    *n = f ? f->n : 0;
}

/* Names of the weights: V1 gives them bare, V2 in messages. */
static int take_shared(struct caffe_layer *l, struct arena *a, struct err *e)
{
    const struct tree_field *f = tree_field(l->tree, "param");
    if (!f) return 0;
    if (f->row->kind == TREE_TEXT) return take_texts(l->tree, "param", &l->shared, &l->n_shared), 0;
    TRY_MEM(l->shared = ARENA_ARRAY(a, f->n, const char *), e);
    for (l->n_shared = 0; l->n_shared < f->n; l->n_shared++)
        l->shared[l->n_shared] = tree_text(f->messages[l->n_shared], "name", "");
    return 0;
}

static int add_layer(struct caffe_net *net, const struct tree *t, bool v1, struct err *e)
{
    struct arena *a = net->arena;
    struct caffe_layer l = { .tree = t, .where = tree_where(t, a) };
    if (v1 && tree_has(t, "layer")) {
        TRY_MEM(l.tree = caffe_upgrade_v0(a, t, e), e);
        v1 = false;
    } else if (net->generation < (v1 ? 1 : 2)) net->generation = v1 ? 1 : 2;
    l.name = tree_text(l.tree, "name", "");
    TRY_MEM(l.type = v1 ? v1_type(l.tree, a) : tree_text(l.tree, "type", ""), e);
    take_texts(l.tree, "bottom", &l.bottom, &l.n_bottom);
    take_texts(l.tree, "top", &l.top, &l.n_top);
    TRY(take_shared(&l, a, e));
    l.blobs = tree_field(l.tree, "blobs");
    return ARRAY_PUSH(a, net->layers, net->n, net->cap, l) ? 0 : fail_nomem(e);
}

int caffe_net_read(struct caffe_net *net, struct arena *a, const struct tree *tree, struct err *e)
{
    *net = (struct caffe_net){ .arena = a, .tree = tree };
    const struct tree_field *v1 = tree_field(tree, "layers"), *v2 = tree_field(tree, "layer");
    for (size_t i = 0; v1 && i < v1->n; i++) TRY(add_layer(net, v1->messages[i], true, e));
    for (size_t i = 0; v2 && i < v2->n; i++) TRY(add_layer(net, v2->messages[i], false, e));
    return caffe_merge_padding(net, e);
}

const struct tree *caffe_layer_param(const struct caffe_layer *l, const char *name)
{
    static const struct tree none;
    return tree_row(l->tree->schema, name) ? tree_message(l->tree, name) : &none;
}

static bool rule_matches(const struct tree *rule, const char *phase)
{
    int64_t now = !strcmp(phase, "TEST");
    bool levels = tree_int(rule, "min_level", 0) <= 0 && tree_int(rule, "max_level", 0) >= 0;
    return tree_int(rule, "phase", now) == now && levels && !tree_has(rule, "stage");
}

/* Caffe's rule: with include rules one of them must match, else no exclude rule may. Level 0, no stages. */
bool caffe_layer_in_phase(const struct caffe_layer *l, const char *phase)
{
    size_t n = tree_count(l->tree, "include"), m = tree_count(l->tree, "exclude");
    for (size_t i = 0; i < n; i++)
        if (rule_matches(tree_message_at(l->tree, "include", i), phase)) return true;
    for (size_t i = 0; i < m && !n; i++)
        if (rule_matches(tree_message_at(l->tree, "exclude", i), phase)) return false;
    return !n;
}
