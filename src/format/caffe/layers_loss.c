/* layers_loss.c - losses: when scoring they are what they compute of the net's own result, or nothing. */
#include "format/caffe/layers.h"

static struct value *lower_softmax_loss(struct caffe_call *c)
{
    int axis = caffe_axis(c, tree_int(caffe_param(c, "softmax_param"), "axis", 1), caffe_rank(c, c->in[0]));
    struct value *y = emit(c->b, "Softmax", ATTRS(attr_int("axis", axis)), c->in[0]);
    for (size_t i = 1; i < c->layer->n_top; i++) c->out[i] = y; /* the probabilities by themselves */
    return y;
}

static struct value *lower_sigmoid_loss(struct caffe_call *c)
{
    return emit_op(c, "Sigmoid", c->in[0]);
}

const struct caffe_row caffe_loss[] = {
    { "SoftmaxWithLoss", lower_softmax_loss, 1, 3, CAFFE_LOSS, "Softmax" },
    { "SigmoidCrossEntropyLoss", lower_sigmoid_loss, 1, 3, CAFFE_LOSS, "Sigmoid" },
    { "EuclideanLoss", NULL, 1, CAFFE_ANY, CAFFE_LOSS, NULL },
    { "ContrastiveLoss", NULL, 1, CAFFE_ANY, CAFFE_DROP, NULL },
    { "HingeLoss", NULL, 1, CAFFE_ANY, CAFFE_LOSS, NULL },
    { "InfogainLoss", NULL, 1, CAFFE_ANY, CAFFE_LOSS, NULL },
    { "MultinomialLogisticLoss", NULL, 1, CAFFE_ANY, CAFFE_LOSS, NULL },
    { "SmoothL1Loss", NULL, 1, CAFFE_ANY, CAFFE_LOSS, NULL },
    { "MultiBoxLoss", NULL, 1, CAFFE_ANY, CAFFE_DROP, NULL },
    { "TripletLoss", NULL, 1, CAFFE_ANY, CAFFE_DROP, NULL },
    { "CenterLoss", NULL, 1, CAFFE_ANY, CAFFE_LOSS, NULL },
    { 0 },
};
