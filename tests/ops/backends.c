/* backends.c - every backend's kernel on the samples of the operators' rows, through plans, against the reference.
 * TENREC_OP=Name in the environment tries one row only; with TENREC_WHY too it tells why kernels refuse. */
#include "tap.h"

#include "backend/backend.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "exec/session.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/interpret.h"
#include "ops/registry.h"
#include "plan/plan.h"
#include "problem.h"

/* float32: rounding of a sum of K terms, relative to the largest value of the result. K is at most the elements of an
 * input. */
#define TOLERANCE(k) (2e-6 * sqrt(k) + 1e-6)

#define WRONG(p, fmt, ...) TAP_FAIL("%s: %s: " fmt, (p)->op->name, (p)->text, __VA_ARGS__)

struct trial {
    struct problem *p;
    struct graph *g;
    struct tensor *in[PROBLEM_MAX], *want[PROBLEM_MAX];
    struct arena *a;
    struct err e;
    double worst;
};

static struct tensor *run(struct trial *t, struct session *s)
{
    struct tensor out[PROBLEM_MAX], *kept = ARENA_ARRAY(t->a, t->p->n_out, struct tensor);
    if (session_run(s, (const struct tensor *const *)t->in, out, &t->e)) return NULL;
    for (int i = 0; i < t->p->n_out; i++)
        kept[i] = *tensor_copy(t->a, out[i].dtype, &out[i].shape, out[i].data, &t->e);
    return kept;
}

static double difference(const struct tensor *a, const struct tensor *b)
{
    double worst = 0, scale = 1e-30;
    for (int64_t i = 0; i < tensor_count(b); i++) {
        double x = tensor_get_f64(a, i), y = tensor_get_f64(b, i);
        if (x == y || (x != x && y != y)) continue;
        worst = fmax(worst, isfinite(x) && isfinite(y) ? fabs(x - y) : INFINITY);
    }
    for (int64_t i = 0; i < tensor_count(b); i++)
        if (isfinite(tensor_get_f64(b, i))) scale = fmax(scale, fabs(tensor_get_f64(b, i)));
    return worst / scale;
}

static bool is_quantized(const struct tensor *t)
{
    return t->dtype == DT_U8 || t->dtype == DT_I8;
}

/* The largest difference of 8-bit numbers, which kernels round as the reference does. */
static int64_t steps(const struct tensor *a, const struct tensor *b)
{
    int64_t worst = 0;
    for (int64_t i = 0; i < tensor_count(b); i++) {
        int64_t d = llabs(tensor_get_i64(a, i) - tensor_get_i64(b, i));
        if (d > worst) worst = d;
    }
    return worst;
}

static void compare(struct trial *t, const struct tensor *got, const struct tensor *again)
{
    double k = 1;
    for (int i = 0; i < t->p->n_in; i++)
        if (t->p->in[i]) k = fmax(k, (double)tensor_count(t->p->in[i]));
    for (int i = 0; i < t->p->n_out; i++) {
        if (got[i].dtype != t->want[i]->dtype || !shape_equal(&got[i].shape, &t->want[i]->shape)) {
            WRONG(t->p, "output %d has another type or shape", i);
            continue;
        }
        double d = difference(&got[i], t->want[i]);
        if (is_quantized(&got[i])) d = steps(&got[i], t->want[i]) > 0 ? INFINITY : 0;
        if (!(d <= TOLERANCE(k))) WRONG(t->p, "output %d differs by %.3g of its scale", i, d);
        if (memcmp(got[i].data, again[i].data, (size_t)tensor_bytes(&got[i])))
            WRONG(t->p, "output %d differs in a second session", i);
        t->worst = fmax(t->worst, d);
    }
}

/* Whether a backend has a kernel for the one node of the graph. */
static bool is_taken(const struct plan *p)
{
    for (size_t i = 0; i < p->n_steps; i++)
        if (p->steps[i]->kind == STEP_KERNEL && p->steps[i]->step.kernel) return true;
    return false;
}

static bool try_problem(struct trial *t, int threads)
{
    struct shape shapes[PROBLEM_MAX];
    struct str why = str_in(t->a);
    struct session_options o = { .threads = threads, .explain = &why };
    struct session *s = session_new(t->g, &o, &t->e), *other = session_new(t->g, &o, &t->e);
    for (size_t i = 0; i < t->g->n_inputs; i++) shapes[i] = t->in[i]->shape;
    const struct plan *p = session_plan(s, shapes, &t->e);
    bool taken = p && is_taken(p);
    if (getenv("TENREC_WHY") && why.len) printf("# %s: %s", t->p->text, str_done(&why));
    if (taken) {
        struct tensor *got = run(t, s), *again = got ? run(t, other) : NULL;
        if (again) compare(t, got, again);
    }
    if (t->e.code) WRONG(t->p, "%s", t->e.text);
    session_free(s);
    session_free(other);
    return taken;
}

/* Written out, and so constants, unless there would be nothing left to give. */
static bool is_all_literal(const struct problem *p)
{
    for (int i = 0; i < p->n_in; i++)
        if (p->in[i] && !p->literal[i]) return false;
    return true;
}

/* Number of the problems that a kernel took: of the row's own, or of others in their place. */
static int try_row(const struct op *row, const char *samples, double *worst)
{
    struct op with = *row, *op = &with;
    int taken = 0, found = 1;
    if (samples) with.samples = samples;
    for (int k = 0; found > 0; k++) {
        static struct problem p;
        struct arena a;
        arena_init(&a, NULL);
        struct trial t = { .p = &p, .a = &a };
        found = problem_get(&p, op, k, &a, &t.e);
        bool open = found > 0 && is_all_literal(&p);
        if (found > 0 && problem_graph(&p, SHAPES_KNOWN, open, &t.g, &a, &t.e) && t.g->n_inputs &&
            !graph_tidy(t.g, &t.e)) {
            problem_inputs(&p, open, t.in);
            if (op->run && graph_interpret(t.g, t.in, t.want, &a, NULL, &t.e)) WRONG(&p, "%s", t.e.text);
            else if (op->run) taken += try_problem(&t, 1), try_problem(&t, 2);
        }
        *worst = fmax(*worst, t.worst);
        arena_release(&a);
    }
    return taken;
}

static bool has_kernel(const char *op)
{
    for (size_t b = 0; backend_list[b]; b++)
        for (const struct kernel *k = backend_list[b]->kernels; k->op; k++)
            if (!strcmp(k->op, op)) return true;
    return false;
}

/* What matters to fast kernels: channels in blocks and past them, every pattern of broadcasting. */
static const struct {
    const char *op, *samples;
} more[] = {
    { "Conv", "f32[2,32,10,10] f32[40,32,3,3] f32[40] | pads=1,1,1,1; f32[1,3,30,30] f32[17,3,7,7] | "
              "strides=2,2 pads=3,3,3,3; f32[2,24,9,9] f32[24,1,5,5] f32[24] | group=24 "
              "pads=2,2,2,2; f32[2,32,7,7] f32[64,8,3,3] | group=4 dilations=2,2; "
              "f32[2,64,6,5] f32[20,64,1,1] f32[20]; f32[1,16,40] f32[16,16,3] | pads=1,1; "
              "f32[1,8,5,6,7] f32[8,8,3,3,3] | pads=1,1,1,1,1,1; f32[2,5,40,37] f32[5,1,3,3] f32[5] | group=5 "
              "pads=1,1,1,1; f32[1,3,60,61] f32[6,1,5,5] | group=3 pads=2,1,1,2 strides=2,3; f32[2,6,33,45] "
              "f32[6,1,3,3] | group=6 dilations=2,3 strides=3,2; f32[2,4,130] f32[4,1,31] f32[4] | group=4 pads=15,15; "
              "f32[1,8,9,50] f32[8,4,1,1] f32[8] | group=2; f32[1,4,12,30] f32[8,2,1,1] | group=2 strides=2,1; "
              "f32[1,2,300,40] f32[2,1,7,7] | group=2 pads=3,3,3,3" },
    { "FusedConv", "f32[2,5,40,37] f32[5,1,3,3] f32[5] f32[2,5,40,37] | group=5 pads=1,1,1,1 activation=Relu; "
                   "f32[1,6,20,20] f32[6,1,3,3] f32[6] | group=6 activation=Swish alpha=1; f32[1,6,20,20] f32[6,3,1,1] "
                   "f32[6] | group=2 activation=Clip alpha=-0.5 beta=0.75" },
    { "ConvTranspose", "f32[2,16,7,7] f32[16,24,2,2] f32[24] | strides=2,2; f32[2,16,7,7] f32[16,1,4,4] | strides=2,2 "
                       "pads=1,1,1,1 group=16" },
    { "FusedNormalization", "f32[2,19,9,11] f32[70] f32[70] f32[70] f32+[70] f32[2,51,9,11] | activation=Relu" },
    { "ConvGradInput", "f32[2,40,10,10] f32[40,32,3,3] f32[2,32,10,10] | pads=1,1,1,1; f32[2,24,5,5] f32[24,1,3,3] "
                       "f32[2,24,10,10] | group=24 pads=1,1,1,1 strides=2,2" },
    { "ConvGradWeight", "f32[2,40,10,10] f32[2,32,10,10] f32[40,32,3,3] | pads=1,1,1,1; f32[2,24,5,5] f32[2,24,10,10] "
                        "f32[24,1,3,3] | group=24 pads=1,1,1,1 strides=2,2" },
    { "SGDUpdate", "f32[70,40] f32[70,40] i64{1} f32{0.1} bool{1} f32{0.5} f32[70,40] | momentum=0.9 nesterov=1 "
                   "clip=0.2 l1=0.1 weight_decay=0.01" },
    { "AdamUpdate", "f32[70,40] f32[70,40] i64{1} f32{0.1} bool{1} f32{0.5} f32[70,40] f32+[70,40] f32+[70,40] | "
                    "amsgrad=1 decoupled=1 weight_decay=0.1" },
    { "SoftmaxCrossEntropyLoss", "f32[3,70] i64<70>[3]; f32[2,3,9,9] i64<3>[2,9,9] f32+[3] | ignore_index=1" },
    { "SoftmaxCrossEntropyLossGrad", "f32[] f32[2,3,9,9] i64<3>[2,9,9] f32+[3] | ignore_index=1" },
    { "Add", "f32[2,8,5,5] f32[8,1,1]; f32[8,1,1] f32[2,8,5,5]; f32[2,8,5,5] f32[2,8,1,1]; f32[3,7,40] f32[40]; "
             "f32[3,7,40] f32[]; f32[3,7,40] f32[7,40]; f32[2,4,6,6] f32[2,1,1,6]; f32[5,1] f32[1,7]; f32[] f32[]" },
    { "Sub", "f32[2,8,5,5] f32[8,1,1]; f32[8,1,1] f32[2,8,5,5]; f32[3,7,40] f32[40]; f32[40] f32[3,7,40]" },
    { "Mul", "f32[2,8,5,5] f32[2,8,1,1]; f32[1,8,5,5] f32[1,8,1,1]; f32[3,7,40] f32[3,7,1]" },
    { "Div", "f32[2,8,5,5] f32+[8,1,1]; f32[3,7,40] f32+[3,7,1]; f32[3,7,40] f32+[]; f32[] f32+[3,7,40]" },
    { "Max", "f32~[2,3,5] f32~[2,3,5]; f32~[2,3,5] f32~[]" },
    { "Min", "f32~[2,3,5] f32~[2,3,5]; f32~[5] f32~[2,3,5]" },
    { "Sum", "f32[2,3,5] f32[2,3,5] f32[2,3,5]; f32[2,3,5] f32[5]" },
    { "PRelu", "f32~[2,8,5,5] f32[8,1,1]; f32~[2,8,5,5] f32[1]; f32~[2,3,4] f32[2,3,4]" },
    { "SumTo", "f32[3,70,40] f32[40]; f32[200,5] f32[1,5]; f32[4,33,7] f32[33,7]; f32[2,3] f32[2,3]" },
    { "ReduceSum", "f32[2,3,40] i64{-1}; f32[2,3,4,5] i64{2,3} | keepdims=0; f32[40,30] i64{0}; f32[6,7]" },
    { "MaxPool", "f32~[2,16,9,9] | kernel_shape=3,3 strides=2,2 pads=1,1,1,1; f32~[1,8,8,8] | kernel_shape=2,2 "
                 "strides=2,2; f32~[2,3,40,37] | kernel_shape=3,3 pads=1,1,1,1; f32~[1,2,50,60] | kernel_shape=5,2 "
                 "strides=3,2 dilations=2,3 pads=4,0,2,2 ceil_mode=1; f32~[1,2,77] | kernel_shape=4 strides=3 "
                 "ceil_mode=1; f32[1,1,13]{1,2,nan,4,5,inf,-inf,-1,nan,-2,-3,-4,0} | kernel_shape=2; "
                 "f32~[1,1,300,40] | kernel_shape=1,3; f32~[1,1,300,40] | kernel_shape=7,1 strides=2,1" },
    { "AveragePool", "f32[2,16,9,9] | kernel_shape=3,3 strides=2,2 pads=1,1,1,1 count_include_pad=1; f32[2,3,40,37] | "
                     "kernel_shape=3,3 pads=1,1,1,1; f32[1,2,50,60] | kernel_shape=5,2 strides=3,2 dilations=2,3 "
                     "pads=4,0,2,2 ceil_mode=1; f32[1,2,77] | kernel_shape=4 strides=3 ceil_mode=1 pads=1,1 "
                     "count_include_pad=1" },
    { "Resize", "f32[1,3,4,5] - - i64{1,3,8,10} | mode=linear; f32[2,9,7,6] - - i64{2,9,11,4} | mode=linear "
                "coordinate_transformation_mode=pytorch_half_pixel; f32[1,8,4,4] - f32{1,1,2,3} | mode=nearest "
                "coordinate_transformation_mode=asymmetric nearest_mode=floor; f32[1,3,5] - - i64{1,3,15} | "
                "mode=nearest; f32[1,2,3,4,5] - - i64{1,2,6,5,5} | mode=linear; f32[1,2,5,5] - f32{1,1,1.3,1.5} | "
                "mode=linear; f32[1,3,8,10] - - i64{16,15} | mode=linear axes=2,3; "
                "f32[1,3,8,10] - f32{2,1.5} | mode=linear axes=2,-1; f32[2,5,13,17] - - i64{2,5,26,30} | mode=linear "
                "coordinate_transformation_mode=align_corners; f32[1,3,20,11] - - i64{1,3,9,25} | mode=cubic; "
                "f32[1,3,20,31] - - i64{1,3,9,14} | mode=linear antialias=1; f32[2,3,19] - - i64{2,3,40} | mode=cubic "
                "coordinate_transformation_mode=asymmetric; f32[1,2,3,8,9] - - i64{1,2,3,5,20} | mode=linear "
                "coordinate_transformation_mode=align_corners" },
    { "ResizeGrad", "f32[2,5,26,30] f32[2,5,13,17] - - i64{2,5,26,30} | mode=linear "
                    "coordinate_transformation_mode=align_corners; f32[1,3,9,25] f32[1,3,20,11] - - i64{1,3,9,25} | "
                    "mode=cubic; f32[1,3,18,22] f32[1,3,9,11] - f32{1,1,2,2}; f32[2,3,40] f32[2,3,19] "
                    "- - i64{2,3,40} | mode=linear; "
                    "f32[1,3,9,14] f32[1,3,20,31] - - i64{1,3,9,14} | mode=linear antialias=1" },
    { "InstanceNormalization", "f32[2,5,9,11] f32[5] f32[5]; f32[2,3,7] f32[3] f32[3] | epsilon=0.1" },
    { "GroupNormalization", "f32[2,6,9,11] f32[6] f32[6] | num_groups=3; f32[3,4] f32[4] f32[4] | num_groups=2" },
    { "RMSNormalization", "f32[2,3,70] f32[70]; f32[5,4,33] f32[4,33] | axis=1 epsilon=0.1" },
    { "Softmax", "f32[2,21,9,11] | axis=1; f32[70,3,5] | axis=0; f32[3,200]; f32[300,49]; f32[5,64]; f32[1,1]; "
                 "f32[2,9,1]; f32{-inf,0,-200,3}; f32{nan,1,2}; f32{inf,1,2}; f32{-inf,-inf}" },
    { "SoftmaxOrZero", "f32[3,200]; f32[2,3]{-inf,-inf,-inf,-inf,0,1}; f32{nan,-inf,1}" },
    { "LogSoftmax", "f32[2,21,9,11] | axis=1; f32[70,3,5] | axis=0; f32[3,200]; f32[300,49]; f32{-inf,0,-200,3}; "
                    "f32{nan,1,2}; f32{1000,1}" },
    { "SoftmaxGrad", "f32[2,21,9,11] f32[2,21,9,11] | axis=1" },
    { "LogSoftmaxGrad", "f32[2,21,9,11] f32[2,21,9,11] | axis=1" },
    { "LSTM", "f32[6,3,40] f32[1,280,40] f32[1,280,70] f32[1,560] - f32[1,3,70] f32[1,3,70] | hidden_size=70; "
              "f32[5,7,300] f32[2,132,300] f32[2,132,33] f32[2,264] | direction=bidirectional outputs=3; "
              "f32[2,4,3] f32[1,128,3] f32[1,128,32] | direction=reverse layout=1 outputs=3; f32[5,13,9] f32[1,160,9] "
              "f32[1,160,40] f32[1,320]; f32[300,1,5] f32[2,12,5] f32[2,12,3] | direction=bidirectional outputs=3; "
              "f32[70,9,5] f32[2,12,5] f32[2,12,3] f32[2,24] | direction=bidirectional outputs=3; f32[3,130,5] "
              "f32[1,132,5] f32[1,132,33]; f32[9,70,5] f32[1,132,5] f32[1,132,33] f32[1,264] | layout=1 outputs=3" },
    { "GRU", "f32[13,5,9] f32[2,120,9] f32[2,120,40] f32[2,240] | direction=bidirectional layout=1 "
             "linear_before_reset=1; "
             "f32[6,3,40] f32[1,210,40] f32[1,210,70] f32[1,420] - f32[1,3,70] | linear_before_reset=1; f32[5,4,3] "
             "f32[2,99,3] f32[2,99,33] f32[2,198] | direction=bidirectional layout=1 outputs=2 linear_before_reset=1; "
             "f32[70,9,5] f32[2,9,5] f32[2,9,3] f32[2,18] | direction=bidirectional outputs=2 linear_before_reset=1" },
    { "RNN", "f32[6,3,40] f32[1,70,40] f32[1,70,70] f32[1,140] - f32[1,3,70]; f32[5,4,3] f32[1,33,3] f32[1,33,33] | "
             "direction=reverse layout=1 outputs=2" },
    { "LSTMGrad", "f32[4,3,40] f32[1,280,40] f32[1,280,70] f32[1,560] - f32[1,3,70] f32[1,3,70] f32[4,1,3,70] "
                  "f32[1,3,70] f32[1,3,70]; f32[3,7,20] f32[2,132,20] f32[2,132,33] f32[2,264] - - - f32[3,2,7,33] | "
                  "direction=bidirectional; f32[2,4,3] f32[1,128,3] f32[1,128,32] - - - - f32[2,4,1,32] | "
                  "direction=reverse layout=1; "
                  "f32[5,13,9] f32[1,160,9] f32[1,160,40] f32[1,320] - - - f32[5,1,13,40]" },
    { "GRUGrad", "f32[13,5,9] f32[2,120,9] f32[2,120,40] f32[2,240] - - f32[13,5,2,40] | direction=bidirectional "
                 "layout=1 linear_before_reset=1; "
                 "f32[4,3,40] f32[1,210,40] f32[1,210,70] f32[1,420] - f32[1,3,70] f32[4,1,3,70] f32[1,3,70] | "
                 "linear_before_reset=1; f32[5,4,3] f32[2,99,3] f32[2,99,33] f32[2,198] - - f32[5,4,2,33] | "
                 "direction=bidirectional layout=1 linear_before_reset=1" },
    { "RNNGrad", "f32[4,3,40] f32[1,70,40] f32[1,70,70] f32[1,140] - f32[1,3,70] f32[4,1,3,70]; f32[5,4,3] f32[1,33,3] "
                 "f32[1,33,33] - - - f32[5,4,1,33] | direction=reverse layout=1" },
    { "QuantizedConv", "u8<256>[2,32,10,10] u8<256>[40,32,3,3] u8{128} u8{128} f32{0.1} f32{0.05} f32{40} u8{128} "
                       "f32[40] | pads=1,1,1,1; u8<256>[1,3,30,30] i8[17,3,7,7] u8{3} i8{0} | strides=2,2 "
                       "pads=3,3,3,3; u8<256>[2,72,9,9] u8<256>[72,1,5,5] u8{255} u8{9} f32{0.1} f32{0.05} f32{9} "
                       "u8{128} f32[72] | group=72 pads=2,2,2,2 low=0; i8[2,32,7,7] i8[64,8,3,3] i8{-1} - | group=4 "
                       "dilations=2,2; u8<256>[2,64,6,5] u8<256>[20,64,1,1] u8{0} u8{255}; i8[1,16,40] i8[16,16,3] "
                       "i8{0} - f32{0.1} f32{0.2} | pads=1,1; u8<256>[3,18,20,21] i8[36,9,3,2] u8{7} - f32{0.1} "
                       "f32{0.2} f32{2} i8{0} | group=2 strides=1,3 pads=2,0,0,1 high=5; u8<256>[1,32,6,6] "
                       "i8[40,32,1,1] u8{3} - f32{0.1} f32{0.05} f32{0.1} u8{128} | low=-1 high=4; "
                       "u8<256>[1,32,6,6] i8[40,32,1,1] u8{3} - f32{0.1} f32{0.05} f32{0.1} u8{0} | low=0" },
    { "QuantizedGemm", "u8<256>[133,300] u8<256>[300,45] u8{1} u8{254}; u8<256>[2,50,64] i8[70,64] u8{0} - f32{0.1} "
                       "f32{0.1} f32{1} u8{100} f32[70] | transB=1; u8<256>[5,4] "
                       "i8[4,3]{1,-2,3,4,5,-6,7,8,9,-100,11,127} u8<256>[]; "
                       "i8[2,3,4] i8[3,4]{1,-2,3,4,5,-6,7,8,9,-100,11,127} i8[1] | transB=1" },
    { "QuantizeLinear", "f32[3,5,70] f32{0.02} u8{9}; f32{-900,3,nan,0.5,1.5,-2.5,inf} f32{1} i8{0}" },
    { "DequantizeLinear", "u8<256>[3,5,70] f32{0.02} u8{9}; i8[2,70] f32{0.5}" },
    { "Cast", "f32[3,5,70] | to=16; bf16[2,70] | to=1; f32{inf,-inf,nan,1e39,0.00390625,1.00390625,1.01171875} | "
              "to=16; f32[3,300] | to=10; f16[3,300] | to=1; f32[3,300] | to=6; f32{1.9,-1.9,3e9,-3e9,1e30,inf,nan} | "
              "to=6; f32{2.5,300,-1,5e9,nan} | to=2; f32{-0.5,9e18,1e19,-1e30,nan} | to=7; f32{0,-0.0,nan,1e-40} | "
              "to=9; i32<99>[700] | to=1; i32{2147483647,16777217,-5} | to=1; i64{9223372036854775807,-3} | to=1; "
              "u8<256>[70] | to=1; bool<2>[70] | to=1; bool<2>[70] | to=7; i32<99>[70] | to=7; i64{4294967299,-1} | "
              "to=6" },
    { "MaxPool", "u8<256>[2,20,9,9] | kernel_shape=3,3 strides=2,2 pads=1,1,1,1; i8[1,3,8,8] | kernel_shape=2,2 "
                 "strides=2,2 ceil_mode=1; u8<256>[1,5,9] | kernel_shape=3 dilations=2" },
    { "Sin", "f32{0,-0.0,1e4,-99999,1e6,3e38,inf,-inf,nan,1e-40,3.14159274}; f32[2,300]" },
    { "Cos", "f32{0,-0.0,1e4,-99999,1e6,3e38,inf,-inf,nan,1e-40,1.57079637}; f32[2,300]" },
    { "SinGrad", "f32{1,2,3,4} f32{1e4,1e6,nan,-2}; f32[2,300] f32[2,300]" },
    { "CosGrad", "f32{1,2,3,4} f32{1e4,1e6,nan,-2}; f32[2,300] f32[2,300]" },
    { "Log", "f32{0,-0.0,1,1e-45,1e-38,3e38,inf,-1,nan,0.99999994,1.00000012}; f32+[2,300]" },
    { "Erf", "f32{0,-0.0,0.99,1,-1,1.01,3.9,4,-5,inf,-inf,nan,1e-40}; f32[2,300]" },
    { "Sign", "f32{0,-0.0,1,-2,inf,-inf,nan}" },
    { "Floor", "f32{0,-0.0,0.5,-0.5,1e9,inf,nan,-7}" },
    { "Selu", "f32{0,-0.0,-1e-6,-100,50,inf,-inf,nan}; f32[2,300]" },
    { "MishGrad", "f32{1,1,1,1,1,1,1} f32{-100,-20,0,19.9,20.1,100,nan}; f32[2,300] f32[2,300]" },
    { "EluGrad", "f32{1,1,1,1} f32{-100,-inf,nan,3}; f32[2,300] f32[2,300] | alpha=0.5" },
    { "SoftplusGrad", "f32{1,1,1,1} f32{-100,100,nan,3}; f32[2,300] f32[2,300]" },
    { "ErfGrad", "f32{1,1,1,1} f32{-100,9,nan,3}; f32[2,300] f32[2,300]" },
    { "ClipGrad", "f32{inf,2,3,4} f32{-9,0.5,nan,9} f32{0} f32{6}; f32[2,300] f32~[2,300] - f32{0.1}; f32[9] f32[9]" },
    { "ReduceMax", "f32~[3,5,70] i64{-1}; f32~[5,700] i64{0} | keepdims=0; f32~[3,40,7] i64{1}; f32~[1,70000]; "
                   "f32~[2,3,4] i64{0,2}; f32{1,nan,3,-inf}; f32{-inf,-inf}; f32{1,2,nan,inf,5,6}" },
    { "ReduceMin", "f32~[3,5,70] i64{-1}; f32~[5,700] i64{0} | keepdims=0; f32~[3,40,7] i64{1}; f32~[1,70000]; "
                   "f32~[2,3,4] i64{0,2}; f32{1,nan,3,-inf}; f32{inf,inf}" },
    { "ReduceL1", "f32[3,5,70] i64{-1}; f32[5,700] i64{0} | keepdims=0; f32[3,40,7] i64{1}; f32[1,70000]; f32[2,3,4]"
                  " i64{0,2}; f32{-1,inf,2}" },
    { "ReduceL2", "f32[3,5,70] i64{-1}; f32[5,700] i64{0} | keepdims=0; f32[3,40,7] i64{1}; f32[1,70000]; f32[2,3,4]"
                  " i64{0,2}; f32{3e30,4e30}; f32{1,nan}" },
    { "ReduceSumSquare", "f32[3,5,70] i64{-1}; f32[5,700] i64{0} | keepdims=0; f32[3,40,7] i64{1}; f32[1,70000]; "
                         "f32[2,3,4] i64{0,2}; f32{1,-inf}" },
    { "ReduceLogSumExp", "f32[3,5,70] i64{-1}; f32[5,700] i64{0} | keepdims=0; f32[3,40,7] i64{1}; f32[1,70000]; "
                         "f32[2,3,4] i64{0,2}; f32{-inf,-inf}; f32{inf,1,-inf}; f32{nan,1}; f32{800,801}; "
                         "f32{-900,-901}" },
    { "ArgMax", "f32<4>[3,5,70] | axis=-1; f32<4>[5,700] | axis=0; f32<4>[3,40,7] | axis=1; f32<4>[3,40,7] | axis=1 "
                "select_last_index=1; f32<4>[3,5,70] | axis=-1 select_last_index=1; f32{1,nan,3,nan}; "
                "f32{1,nan,3,nan} | select_last_index=1; f32{-inf,-inf}; f32{inf,inf,inf}; f32{inf,inf,inf} | "
                "select_last_index=1; f32~[2,3000] | axis=1" },
    { "ArgMin", "f32<4>[3,5,70] | axis=-1; f32<4>[5,700] | axis=0; f32<4>[3,40,7] | axis=1; f32<4>[3,40,7] | axis=1 "
                "select_last_index=1; f32<4>[3,5,70] | axis=-1 select_last_index=1; f32{1,nan,3,nan}; "
                "f32{1,nan,3,nan} | select_last_index=1; f32{-inf,-inf}; f32{inf,inf,inf}; f32{inf,inf,inf} | "
                "select_last_index=1; f32~[2,3000] | axis=1" },
    { "Less", "f32<5>[2,8,5,5] f32<5>[8,1,1]; f32<5>[3,1500] f32<5>[]; f32<5>[5,1] f32<5>[1,7]; f32<5>[3,7,1] "
              "f32<5>[3,1,40]; i64<5>[3,40] i64<5>[40]; i32<5>[40] i32<5>[3,40]; u8<5>[40] u8<5>[40]; f32[] f32[]; "
              "f32{nan,1,-0.0} f32[3]" },
    { "LessOrEqual", "f32<5>[3,1500] f32<5>[3,1]" },
    { "Greater", "f32<5>[1,1500] f32<5>[3,1]" },
    { "GreaterOrEqual", "f32<5>[3,7,1] f32<5>[1,40]" },
    { "Equal", "f32<5>[2,8,5,5] f32<5>[8,1,1]; f32<5>[3,1500] f32<5>[]; f32<5>[5,1] f32<5>[1,7]; f32<5>[3,7,1] "
               "f32<5>[3,1,40]; i64<5>[3,40] i64<5>[40]; i32<5>[40] i32<5>[3,40]; u8<5>[40] u8<5>[40]; f32[] f32[]; "
               "f32{nan,1,-0.0} f32[3]; bool<2>[3,40] bool<2>[40]" },
    { "Where", "bool<2>[2,8,5,5] f32[8,1,1] f32[]; bool<2>[3,1] f32[1500] f32[3,1500]; bool<2>[3,1500] i64<9>[] "
               "i64<9>[1500]; bool<2>[40] bool<2>[3,40] bool<2>[3,1]; bool<2>[5,1,7] f16[4,1] f16[7]; bool<2>[] "
               "f32[] f32[]" },
    { "Xor", "bool<2>[5,1] bool<2>[1,7]; bool<2>[3,1500] bool<2>[3,1]" },
    { "LayerNormalizationGrad", "f32[70,5,40] f32[70,5,40] f32[40] | outputs=3; f32[3,300] f32[3,300] f32[300] | "
                                "outputs=2; f32[300,7] f32[300,7] f32[7]; f32[9,4,5] f32[9,4,5] f32[4,5] | axis=1 "
                                "outputs=3" },
    { "RMSNormalizationGrad", "f32[70,5,40] f32[70,5,40] f32[40] | outputs=2; f32[3,300] f32[3,300] f32[300]" },
    { "MatMul", "f32[33,300] f32[300,45]; f32[2,4,16,32] f32[2,4,32,16]; f32[1,300] f32[300,700]" },
};

/* Operators whose kernels take what others left in their layouts: tests of their own, here and in unit/backends.c. */
static bool takes_layouts(const char *op)
{
    return !strcmp(op, "Concat") || !strcmp(op, "Gather") || !strcmp(op, "Slice");
}

TEST(kernels_agree_with_the_reference_and_with_themselves)
{
    const char *only = getenv("TENREC_OP");
    const struct op *op;
    if (!backend_list[0]) SKIP("no backend was built");
    for (size_t i = 0; (op = op_at(i)); i++) {
        double worst = 0;
        if (!has_kernel(op->name) || (only && strcmp(only, op->name))) continue;
        int taken = try_row(op, NULL, &worst);
        for (size_t k = 0; k < sizeof more / sizeof *more; k++)
            if (!strcmp(more[k].op, op->name)) taken += try_row(op, more[k].samples, &worst);
        printf("# %s: %d taken, largest difference %.2g\n", op->name, taken, worst);
        if (!taken && !takes_layouts(op->name)) TAP_FAIL("%s: no sample is taken by a kernel", op->name);
    }
}

static struct value *random_const(struct builder *b, int rank, const int64_t *dims)
{
    struct shape s = shape_of(rank, dims);
    struct tensor *t = tensor_new(b->g->arena, DT_F32, &s, b->err);
    for (int64_t i = 0; t && i < tensor_count(t); i++) tensor_set_f64(t, i, (double)(i * 7919 % 101) / 101 - 0.5);
    return emit_const(b, t);
}

/* Operators on what convolutions left in a layout of their own. */
static const struct {
    const char *op;
    int n_images, n_out; /* images come first; vectors of one number per channel follow */
    int vectors;
    int64_t out_size;    /* of the first image, when it is a gradient of something smaller; 0: as the others */
    struct attr attrs[3];
} on_layouts[] = {
    { "BatchNormalization", 1, 3, 4, 0, { { .name = "training_mode", .type = ATTR_INT, .i = 1 } } },
    { "BatchNormalizationGrad", 2, 3, 3, 0, { { .name = "training_mode", .type = ATTR_INT, .i = 1 } } },
    { "BatchNormalizationGrad", 2, 3, 3, 0, { { 0 } } },
    { "FusedNormalization", 1, 1, 4, 0, { { .name = "activation", .type = ATTR_STRING, .s = "Relu" } } },
    { "ConvGradBias", 1, 1, 0, 0, { { 0 } } },
    { "AdaptiveAveragePoolGrad", 2, 1, 0, 1, { { 0 } } },
    { "AdaptiveAveragePoolGrad", 2, 1, 0, 4, { { 0 } } },
    { "AdaptiveMaxPoolGrad", 2, 1, 0, 5, { { 0 } } },
    { "Erf", 1, 1, 0, 0, { { 0 } } },
    { "HardSwishGrad", 2, 1, 0, 0, { { 0 } } },
    { "ClipGrad", 2, 1, 0, 0, { { 0 } } },
};

static struct value *convolved(struct builder *b, struct trial *t, int64_t channels, int64_t size)
{
    struct shape s = shape_of(4, (int64_t[]){ 3, 16, size, size });
    char name[8];
    int i = t->p->n_in++;
    snprintf(name, sizeof name, "x%d", i);
    t->in[i] = t->p->in[i] = tensor_new(t->a, DT_F32, &s, &t->e);
    for (int64_t k = 0; k < tensor_count(t->in[i]); k++) {
        uint32_t mixed = (uint32_t)(k + 1000 * i) * 2654435761u;
        mixed = (mixed ^ mixed >> 15) * 2246822519u; /* no two windows alike: a maximum must not be a tie */
        tensor_set_f64(t->in[i], k, (double)(mixed >> 8) / (1 << 24) - 0.5);
    }
    struct value *x = graph_input(b->g, name, DT_F32, &s, &t->e);
    return emit(b, "Conv", NO_ATTRS, x, random_const(b, 4, (int64_t[]){ channels, 16, 1, 1 }));
}

static void try_on_layout(size_t k, int64_t channels)
{
    struct arena a;
    struct problem p = { .op = op_registry.find(on_layouts[k].op), .text = "of convolutions" };
    struct value *in[8];
    int n = 0;
    arena_init(&a, NULL);
    struct trial t = { .p = &p, .a = &a };
    t.g = graph_new(&a, &op_registry, "g", &t.e);
    struct builder b = { t.g, &t.e };
    for (; n < on_layouts[k].n_images; n++)
        in[n] = convolved(&b, &t, channels, n || !on_layouts[k].out_size ? 9 : on_layouts[k].out_size);
    for (int i = 0; i < on_layouts[k].vectors; i++) {
        struct value *v = random_const(&b, 1, &channels);
        in[n++] = i < on_layouts[k].vectors - 1 ? v : emit(&b, "Mul", NO_ATTRS, v, v); /* variances are not negative */
    }
    struct node *made = builder_node(&b, on_layouts[k].op, on_layouts[k].attrs, in, n, on_layouts[k].n_out);
    for (int i = 0; made && i < on_layouts[k].n_out; i++) CHECK_OK(graph_output(t.g, made->out[i], &t.e), &t.e);
    p.n_out = on_layouts[k].n_out;
    CHECK_OK(t.e.code ? t.e.code : graph_tidy(t.g, &t.e), &t.e);
    CHECK_OK(graph_interpret(t.g, t.in, t.want, &a, NULL, &t.e), &t.e);
    CHECK(try_problem(&t, 2));
    arena_release(&a);
}

TEST(kernels_work_in_the_layouts_of_others)
{
    if (!backend_list[0]) SKIP("no backend was built");
    for (size_t k = 0; k < sizeof on_layouts / sizeof *on_layouts; k++)
        for (size_t c = 0; c < 3; c++) try_on_layout(k, (int64_t[]){ 48, 20, 8 }[c]);
}

/* (N, C, ...) in two groups whose channels are taken by turns, as ShuffleNet writes it. */
static struct value *shuffled(struct builder *b, struct value *x)
{
    int64_t c = x->shape.dim[1], h = x->shape.dim[2], w = x->shape.dim[3];
    struct value *split = emit(b, "Reshape", NO_ATTRS, x, emit_i64s(b, (int64_t[]){ -1, 2, c / 2, h, w }, 5));
    split = emit(b, "Transpose", ATTRS(attr_ints("perm", (int64_t[]){ 0, 2, 1, 3, 4 }, 5)), split);
    return emit(b, "Reshape", NO_ATTRS, split, emit_i64s(b, (int64_t[]){ -1, c, h, w }, 4));
}

static struct value *channels_of(struct builder *b, struct value *x, int64_t start, int64_t end)
{
    int64_t at[3] = { start, end, 1 };
    return emit(b, "Slice", NO_ATTRS, x, emit_i64s(b, at, 1), emit_i64s(b, at + 1, 1), emit_i64s(b, at + 2, 1));
}

static void try_shuffle(int64_t channels)
{
    struct arena a;
    struct problem p = { .op = op_registry.find("Gather"), .text = "shuffled channels", .n_out = 2 };
    arena_init(&a, NULL);
    struct trial t = { .p = &p, .a = &a };
    t.g = graph_new(&a, &op_registry, "g", &t.e);
    struct builder b = { t.g, &t.e };
    struct value *x = shuffled(&b, convolved(&b, &t, channels, 9));
    for (int i = 0; i < 2; i++) {
        struct value *half = channels_of(&b, x, i ? -channels / 2 : 0, i ? INT64_MAX : channels / 2);
        CHECK_OK(graph_output(t.g, emit(&b, "Relu", NO_ATTRS, half), &t.e), &t.e);
    }
    CHECK_OK(t.e.code ? t.e.code : graph_tidy(t.g, &t.e), &t.e);
    CHECK_OK(graph_interpret(t.g, t.in, t.want, &a, NULL, &t.e), &t.e);
    CHECK(try_problem(&t, 2));
    struct session *s = session_new(t.g, &(struct session_options){ .threads = 1 }, &t.e);
    const struct plan *plan = session_plan(s, &t.in[0]->shape, &t.e);
    for (size_t i = 0; plan && i < plan->n_steps; i++)
        if (plan->steps[i]->step.node) CHECK(!node_is(plan->steps[i]->step.node, "Transpose"));
    session_free(s);
    arena_release(&a);
}

TEST(shuffled_channels_are_gathered_where_they_lie)
{
    if (!backend_list[0]) SKIP("no backend was built");
    for (size_t c = 0; c < 3; c++) try_shuffle((int64_t[]){ 64, 20, 8 }[c]);
}

/* x -> Conv 1x1 -> a 3x3 convolution, large enough for other ways than the direct one. */
static struct value *large_conv(struct builder *b, struct trial *t, int k, const char *activation, double alpha)
{
    static const int64_t channels[][2] = { { 64, 72 }, { 96, 64 }, { 80, 96 } };
    int64_t c = channels[k][0], n = channels[k][1];
    struct value *x = convolved(b, t, c, 25), *w = random_const(b, 4, (int64_t[]){ n, c, 3, 3 });
    struct value *bias = random_const(b, 1, &n), *residual = NULL;
    if (k == 1) residual = convolved(b, t, n, 25);
    return emit(b, "FusedConv",
        ATTRS(attr_ints("pads", (int64_t[]){ 1, k, 1, 2 - k }, 4), attr_string("activation", activation),
            attr_float("alpha", alpha), attr_float("beta", 0.5)),
        x, w, k == 2 ? NULL : bias, residual);
}

/* A sample's answer has the same bits alone as in its batch. */
static void try_alone(struct trial *t)
{
    struct session *s = session_new(t->g, &(struct session_options){ .threads = 2 }, &t->e);
    struct tensor whole, one[2], *in[2] = { &one[0], &one[1] };
    struct tensor *got = s ? run(t, s) : NULL;
    if (got) whole = got[0];
    for (int i = 0; i < t->p->n_in; i++) {
        one[i] = *t->in[i];
        one[i].shape.dim[0] = 1;
        one[i].data = (unsigned char *)one[i].data + tensor_bytes(&one[i]);
    }
    struct tensor out;
    CHECK_OK(session_run(s, (const struct tensor *const *)in, &out, &t->e), &t->e);
    size_t bytes = (size_t)tensor_bytes(&out);
    CHECK(got && !memcmp(out.data, (unsigned char *)whole.data + bytes, bytes));
    session_free(s);
}

TEST(large_convolutions_agree_and_do_not_see_their_neighbours)
{
    static const char *const names[] = { "", "Relu", "LeakyRelu", "Swish", "Sigmoid", "Clip", "Tanh" };
    if (!backend_list[0]) SKIP("no backend was built");
    for (int k = 0; k < 3; k++)
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            struct arena a;
            struct problem p = { .op = op_registry.find("FusedConv"), .n_out = 1 };
            snprintf(p.text, sizeof p.text, "then %s", names[i]);
            arena_init(&a, NULL);
            struct trial t = { .p = &p, .a = &a };
            t.g = graph_new(&a, &op_registry, "g", &t.e);
            struct builder b = { t.g, &t.e };
            struct value *y = large_conv(&b, &t, k, names[i], i == 5 ? -0.25 : 0.5);
            CHECK_OK(y ? graph_output(t.g, y, &t.e) : t.e.code, &t.e);
            CHECK_OK(graph_tidy(t.g, &t.e), &t.e);
            CHECK_OK(graph_interpret(t.g, t.in, t.want, &a, NULL, &t.e), &t.e);
            CHECK(try_problem(&t, 2));
            t.g->inputs[0]->shape.dim[0] = DIM_UNKNOWN;
            if (p.n_in > 1) t.g->inputs[1]->shape.dim[0] = DIM_UNKNOWN;
            try_alone(&t);
            arena_release(&a);
        }
}

/* Two convolutions' channels, of which the first has so many. */
static void try_pieces(const char *op, int64_t channels)
{
    struct arena a;
    struct problem p = { .n_in = 1, .n_out = 1, .op = op_registry.find(op), .text = "of convolutions" };
    arena_init(&a, NULL);
    struct trial t = { .p = &p, .a = &a };
    t.g = graph_new(&a, &op_registry, "g", &t.e);
    struct builder b = { t.g, &t.e };
    p.in[0] = t.in[0] = (struct tensor *)(uintptr_t)random_const(&b, 4, (int64_t[]){ 2, 16, 12, 12 })->data;
    struct value *x = graph_input(t.g, "x", DT_F32, &t.in[0]->shape, &t.e), *y[2], *v[4], *both;
    for (int i = 0; i < 2; i++)
        y[i] = emit(&b, "Conv", NO_ATTRS, x, random_const(&b, 4, (int64_t[]){ i ? 16 : channels, 16, 3, 3 }));
    for (int i = 0; i < 4; i++) v[i] = random_const(&b, 1, (int64_t[]){ channels + 16 });
    v[3] = emit(&b, "Abs", NO_ATTRS, v[3]);
    if (!strcmp(op, "Concat")) both = emit(&b, op, ATTRS(attr_int("axis", 1)), y[0], y[1]);
    else both = emit(&b, op, ATTRS(attr_string("activation", "Relu")), y[0], v[0], v[1], v[2], v[3], y[1]);
    CHECK_OK(both ? graph_output(t.g, both, &t.e) : t.e.code, &t.e);
    CHECK_OK(graph_tidy(t.g, &t.e), &t.e);
    CHECK_OK(graph_interpret(t.g, t.in, t.want, &a, NULL, &t.e), &t.e);
    CHECK(try_problem(&t, 2));
    arena_release(&a);
}

TEST(pieces_in_a_layout_are_joined)
{
    if (!backend_list[0]) SKIP("no backend was built");
    for (int i = 0; i < 4; i++) try_pieces(i % 2 ? "FusedNormalization" : "Concat", i / 2 ? 20 : 32);
}

/* x cast to another type by a plan; in the trial's arena. */
static struct tensor *cast_to(struct trial *t, struct tensor *x, enum dtype to)
{
    t->g = graph_new(t->a, &op_registry, "g", &t->e);
    struct builder b = { t->g, &t->e };
    struct value *v = graph_input(t->g, "x", x->dtype, &x->shape, &t->e);
    CHECK_OK(graph_output(t->g, emit_cast(&b, v, to), &t->e), &t->e);
    CHECK_OK(graph_tidy(t->g, &t->e), &t->e);
    t->in[0] = x;
    struct session *s = session_new(t->g, &(struct session_options){ .threads = 2 }, &t->e);
    struct tensor *y = s ? run(t, s) : NULL;
    CHECK_OK(t->e.code, &t->e);
    session_free(s);
    return y;
}

/* Every half to float32; and from there every one, the middle to the next, and what is beside that middle. */
TEST(halves_are_cast_to_the_bit)
{
    enum { ALL = 1 << 16, NEAR = 4 };
    if (!backend_list[0]) SKIP("no backend was built");
    struct arena a;
    struct problem p = { .n_in = 1, .n_out = 1 };
    arena_init(&a, NULL);
    struct trial t = { .p = &p, .a = &a };
    struct shape shape = shape_of(1, (int64_t[]){ ALL }), more_shape = shape_of(1, (int64_t[]){ ALL * NEAR });
    struct tensor *halves = tensor_new(&a, DT_F16, &shape, &t.e), *x = tensor_new(&a, DT_F32, &more_shape, &t.e);
    uint16_t *h = halves->data;
    for (int i = 0; i < ALL; i++) h[i] = (uint16_t)i;
    const uint32_t *wide = cast_to(&t, halves, DT_F32)->data;
    uint32_t *v = x->data;
    int wrong = 0;
    for (int i = 0; i < ALL; i++) {
        float want = half_to_float(h[i]), got, next = half_to_float((uint16_t)(h[i] + 1));
        memcpy(&got, &wide[i], sizeof got);
        wrong += isnan(want) ? !isnan(got) : memcmp(&want, &got, sizeof got) != 0;
        float middle = isfinite(next) ? (want + next) / 2 : 65520;
        memcpy(&v[i * NEAR], &want, sizeof want);
        memcpy(&v[i * NEAR + 1], &middle, sizeof middle);
        v[i * NEAR + 2] = v[i * NEAR + 1] - 1, v[i * NEAR + 3] = v[i * NEAR + 1] + 1;
    }
    const uint16_t *narrow = cast_to(&t, x, DT_F16)->data;
    for (int i = 0; i < ALL * NEAR; i++) {
        float f;
        memcpy(&f, &v[i], sizeof f);
        wrong += float_to_half(f) != narrow[i];
    }
    CHECK(!wrong);
    arena_release(&a);
}
