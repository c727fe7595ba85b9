/* rnn.h - recurrent layers of float32, many units at a time: what the layers and their gradients share. */
#ifndef TENREC_BACKEND_CPU_RNN_H
#define TENREC_BACKEND_CPU_RNN_H

#include "backend/cpu/panel.h"

/* Vectors of H numbers lie `width` apart, a multiple of PANEL, and hold zeros behind H. */
struct layer {
    const struct cell *cell;
    int64_t steps, batch, inputs, hidden, directions, width;
    int64_t chunk; /* steps whose inputs are multiplied at once */
    bool batch_first, reversed, keep; /* keep: h and c of every step, for the way back */
    int threads;
    const float *x, *w, *r, *bias, *h0, *c0; /* w, r: packed, one matrix per direction and gate; others as ONNX says */
    float *y, *yh, *yc;                      /* may be NULL */
    float *gates; /* (rows, or those of a chunk, gates, width): what goes into them, then what comes out */
    float *h, *c;   /* (steps + 1 or 2, batch, width): after each step, the initial ones first */
    float *inner; /* GRU: (as many, width): R h + bias of the candidate */
    int64_t d;                               /* the present direction */
};
struct cell {
    const char *op;
    int gates;
    bool has_c, has_inner;
    /* One row: p (gates, width) becomes what comes out of the gates. */
    void (*step)(int64_t n, int64_t width, float *p, const float *h, const float *c, const float *inner, float *h_to,
        float *c_to);
};

/* Whether the step is a layer of the usual activations, without lengths, peepholes and the like; ERR_UNSUPPORTED. */
int layer_check(const struct step *s, struct err *e);
/* Sizes from a step whose inputs 0 to 2 are x, w and r. */
void layer_init(struct layer *l, const struct step *s);
/* Asks for w and r as the cells multiply by them. */
int layer_want_weights(struct step *s, const struct layer *l, struct err *e);
/* Memory for gates, h, c and inner of one direction. */
size_t layer_floats(const struct layer *l);
void layer_place(struct layer *l, float *memory);
/* Runs direction l->d. */
void layer_forward(struct layer *l);

/* Samples [sample, sample + samples) by panels of units [begin, end). */
struct share {
    int64_t sample, samples, begin, end;
};
/* What is done at each step k, before the next stage may begin with any of it. */
struct stage {
    void (*run)(const void *ctx, int64_t k, struct share part);
    int64_t work; /* multiplications of one panel */
    int64_t every; /* of so many steps only the first */
};
/* All stages for every step, the last step first when `back`. Many samples are shared out among threads, which then
 * never meet; of few the units are, and threads meet after each stage. */
void layer_walk(const struct layer *l, const struct stage *stages, int n, bool back, const void *ctx);

/* Row of gates (and of x) for sample b at time t, and where y has its H numbers of it. */
static inline int64_t layer_row(const struct layer *l, int64_t t, int64_t b)
{
    return l->batch_first ? b * l->steps + t : t * l->batch + b;
}
static inline int64_t layer_y(const struct layer *l, int64_t t, int64_t b)
{
    int64_t place = l->batch_first ? (b * l->steps + t) * l->directions + l->d
                                   : (t * l->directions + l->d) * l->batch + b;
    return place * l->hidden;
}
static inline int64_t layer_state(const struct layer *l, int64_t b)
{
    return (l->batch_first ? b * l->directions + l->d : l->d * l->batch + b) * l->hidden;
}
static inline int64_t layer_time(const struct layer *l, int64_t k)
{
    return l->reversed || l->d ? l->steps - 1 - k : k;
}
/* Row of gates for step k of a share's sample b; without `keep` only the present chunk has some, share by share. */
static inline int64_t layer_gates(const struct layer *l, int64_t k, struct share part, int64_t b)
{
    if (l->keep) return layer_row(l, layer_time(l, k), part.sample + b);
    return part.sample * l->chunk + k % l->chunk * part.samples + b;
}
/* h or c after step k; -1: the initial one. (batch, width) */
static inline float *layer_after(const struct layer *l, float *v, int64_t k)
{
    return v + (l->keep ? k + 1 : (k + 1) % 2) * l->batch * l->width;
}

/* The data of an input or output that may be absent. */
float *layer_in(const struct step *s, int i);
float *layer_out(const struct step *s, int i);

int rnn_prepare(struct step *s, struct err *e);
int rnn_run(const struct step *s, struct err *e);
int rnn_grad_prepare(struct step *s, struct err *e);
int rnn_grad_run(const struct step *s, struct err *e);

#endif
