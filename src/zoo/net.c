/* net.c - layers and the drawing of their weights. */
#include "zoo/net.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/rng.h"

const char *net_name(struct net *n, const char *format, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    const char *name = arena_strdup(n->b.g->arena, text);
    if (!name) fail_nomem(n->b.err);
    return name;
}

void net_call(struct net *n, const char *name)
{
    n->b.name = name;
}

static struct tensor *bare_tensor(struct net *n, const struct shape *s)
{
    struct tensor *t = ARENA_NEW(n->b.g->arena, struct tensor);
    if (!t) return fail_nomem(n->b.err), NULL;
    *t = (struct tensor){ .dtype = DT_F32, .shape = *s };
    return t;
}

/* Draws element i by (seed, name, i). `spread`: half the width of a uniform distribution, or a deviation. */
static struct value *parameter(
    struct net *n, const char *layer, const char *part, const struct shape *s, double spread, bool normal)
{
    const char *name = net_name(n, "%s.%s", layer, part);
    struct tensor *t = !name ? NULL : n->bare ? bare_tensor(n, s) : tensor_new(n->b.g->arena, DT_F32, s, n->b.err);
    if (!t) return NULL;
    uint64_t stream = hash_bytes(name, strlen(name));
    float *to = t->data;
    for (int64_t i = 0, count = tensor_count(t); to && spread > 0 && i < count; i++)
        to[i] = (float)(spread *
            (normal ? rng_normal(n->seed, stream, (uint64_t)i) : 2 * rng_uniform(n->seed, stream, (uint64_t)i) - 1));
    struct value *v = graph_state(n->b.g, name, t, VALUE_TRAINABLE, n->b.err);
    struct origin *origin = v ? ARENA_NEW(n->b.g->arena, struct origin) : NULL;
    if (!origin) return fail_nomem(n->b.err), NULL;
    origin->key = name;
    v->origin = origin;
    return v;
}

/* weight and bias; fans count what a weight is summed over and what it is spread to. */
static void draw(struct net *n, const char *layer, const struct shape *s, int64_t out, double fan_in, double fan_out,
    enum net_init init, bool bias, struct value **in)
{
    struct shape one = shape_of(1, &out);
    double uniform = 1 / sqrt(fan_in), spread = uniform;
    if (init == INIT_HE) spread = sqrt(2 / fan_out);
    if (init == INIT_SMALL) spread = 0.01;
    in[1] = parameter(n, layer, "weight", s, spread, init != INIT_DEFAULT);
    in[2] = bias ? parameter(n, layer, "bias", &one, init == INIT_DEFAULT ? uniform : 0, false) : NULL;
}

struct value *net_conv(struct net *n, struct value *x, struct conv_shape c, const char *name)
{
    struct value *in[3] = { x };
    if (n->b.err->code) return NULL;
    int64_t channels = x->shape.dim[1], area = c.kernel * c.kernel;
    struct shape s = shape_of(4, (int64_t[]){ c.out, channels, c.kernel, c.kernel });
    draw(n, name, &s, c.out, (double)(channels * area), (double)(c.out * area), n->convs, c.bias, in);
    int64_t strides[] = { c.stride, c.stride }, pads[] = { c.pad, c.pad, c.pad, c.pad };
    n->b.name = name;
    return builder_emit(&n->b, "Conv", ATTRS(attr_ints("strides", strides, 2), attr_ints("pads", pads, 4)), in, 3);
}

struct value *net_upsample(struct net *n, struct value *x, int64_t out, const char *name)
{
    struct value *in[3] = { x };
    if (n->b.err->code) return NULL;
    int64_t channels = x->shape.dim[1], strides[] = { 2, 2 };
    struct shape s = shape_of(4, (int64_t[]){ channels, out, 2, 2 });
    draw(n, name, &s, out, (double)(out * 4), (double)(channels * 4), n->convs, true, in);
    n->b.name = name;
    return builder_emit(&n->b, "ConvTranspose", ATTRS(attr_ints("strides", strides, 2)), in, 3);
}

static struct value *filled(struct net *n, const char *layer, const char *part, int64_t count, double v, bool trained)
{
    struct shape s = shape_of(1, &count);
    struct value *state = parameter(n, layer, part, &s, 0, false);
    if (!state) return NULL;
    float *to = ((struct tensor *)(uintptr_t)state->data)->data;
    for (int64_t i = 0; to && i < count; i++) to[i] = (float)v;
    if (!trained) state->flags = 0;
    return state;
}

struct value *net_batch_norm(struct net *n, struct value *x, const char *name)
{
    if (n->b.err->code) return NULL;
    int64_t c = x->shape.dim[1];
    struct value *weight = filled(n, name, "weight", c, 1, true), *bias = filled(n, name, "bias", c, 0, true);
    struct value *mean = filled(n, name, "running_mean", c, 0, false),
                 *var = filled(n, name, "running_var", c, 1, false);
    n->b.name = name;
    return emit(&n->b, "BatchNormalization", ATTRS(attr_float("epsilon", 1e-5), attr_float("momentum", 0.9)), x, weight,
        bias, mean, var);
}

struct value *net_linear(struct net *n, struct value *x, int64_t out, const char *name)
{
    struct value *in[3] = { x };
    if (n->b.err->code) return NULL;
    int64_t columns = x->shape.dim[1];
    if (columns < 1) return fail(n->b.err, ERR_SHAPE, "%s: this network needs an input of known size", name), NULL;
    struct shape s = shape_of(2, (int64_t[]){ out, columns });
    draw(n, name, &s, out, (double)columns, (double)out, n->linears, true, in);
    n->b.name = name;
    return builder_emit(&n->b, "Gemm", ATTRS(attr_int("transB", 1)), in, 3);
}

struct value *net_relu(struct net *n, struct value *x)
{
    return emit(&n->b, "Relu", NO_ATTRS, x);
}

struct value *net_max_pool(struct net *n, struct value *x, int64_t kernel, int64_t stride, int64_t pad)
{
    int64_t k[] = { kernel, kernel }, s[] = { stride, stride }, p[] = { pad, pad, pad, pad };
    return emit(&n->b, "MaxPool",
        ATTRS(attr_ints("kernel_shape", k, 2), attr_ints("strides", s, 2), attr_ints("pads", p, 4)), x);
}

struct value *net_flatten(struct net *n, struct value *x)
{
    return emit(&n->b, "Flatten", ATTRS(attr_int("axis", 1)), x);
}

struct value *net_mean_pool(struct net *n, struct value *x)
{
    return net_flatten(n, emit(&n->b, "GlobalAveragePool", NO_ATTRS, x));
}

struct value *net_dropout(struct net *n, struct value *x, double share)
{
    return emit(&n->b, "Dropout", NO_ATTRS, x, emit_scalar(&n->b, DT_F32, share));
}

struct value *net_add(struct net *n, struct value *x, struct value *y)
{
    return emit(&n->b, "Add", NO_ATTRS, x, y);
}

struct value *net_concat(struct net *n, struct value *x, struct value *y)
{
    return emit(&n->b, "Concat", ATTRS(attr_int("axis", 1)), x, y);
}
