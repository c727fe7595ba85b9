/* rnn_core.h - recurrent layers as ONNX has them: cells, their sequences, and back through time. */
#ifndef TENREC_OPS_RNN_CORE_H
#define TENREC_OPS_RNN_CORE_H

#include "ops/kernel.h"

enum { RNN_ACTIVATIONS = 3 };

struct rnn_activation {
    const char *name;
    double alpha, beta; /* defaults, then what the node says */
    double (*f)(double x, double alpha, double beta);
    double (*slope)(double y); /* derivative in terms of the result; NULL: no gradient */
};

struct rnn;
/* `save` holds cell->slots vectors of H numbers per step; the last is h, slot `c_slot` is c (-1: the cell has none).
 * `pre` holds W x + bias of W for every gate; the cell adds the recurrent part. */
struct rnn_cell {
    const char *op;
    int gates, activations, slots, c_slot;
    const char *const *defaults; /* names of the activations */
    void (*forward)(const struct rnn *r, int64_t d, double *pre, const double *h, const double *c, double *save);
    /* dh, dc: of this step's state, replaced by those of the state before it. da: of W x; dr: of R h; one per gate. */
    void (*backward)(const struct rnn *r, int64_t d, const double *h, const double *c, const double *save, double *dh,
        double *dc, double *da, double *dr);
};
extern const struct rnn_cell rnn_lstm, rnn_gru, rnn_plain;

struct rnn {
    const struct rnn_cell *cell;
    int64_t steps, batch, inputs, hidden, directions;
    bool batch_first, reversed, linear_before_reset, coupled;
    double clip; /* 0: none */
    struct rnn_activation act[2][RNN_ACTIVATIONS];
    /* As doubles; x (T, B, I), w (D, GH, I), r (D, GH, H), bias (D, 2GH), h0 and c0 (D, B, H), peephole (D, 3H) in
     * the order i, o, f; batch_first changes x, h0 and c0 as ONNX says. All but x, w and r may be NULL. */
    const double *x, *w, *r, *bias, *h0, *c0, *peephole;
    const int64_t *lengths;       /* (B); NULL: all of them T */
    double *y, *yh, *yc;          /* may be NULL; y holds zeros */
    const double *dy, *dyh, *dyc; /* may be NULL */
    double *dx, *dw, *dr, *dbias, *dh0, *dc0;
    double *save, *work, *da, *drec; /* made by rnn_memory() */
    bool keep;                       /* every step's save is kept, for the way back */
};

/* Fills the numbers and activations from the node and the shapes of x, w and r, whose dimensions are known. */
int rnn_init(struct rnn *r, const struct node *n, const struct rnn_cell *cell, const struct shape *x,
    const struct shape *w, struct err *e);
int rnn_memory(struct rnn *r, const struct step *s, bool gradient, struct err *e);
void rnn_forward(struct rnn *r, int threads);
void rnn_backward(struct rnn *r, int threads); /* runs forward itself */
/* y += m (rows, cols) v, and its transpose. */
void rnn_multiply(int64_t rows, int64_t cols, const double *m, const double *v, double *y);
void rnn_multiply_transposed(int64_t rows, int64_t cols, const double *m, const double *v, double *y);
double rnn_apply(const struct rnn *r, int64_t d, int which, double x); /* clips, then activates */
/* The activations of a node: per direction and place, by name, alpha and beta. */
int rnn_activations(struct rnn *r, const struct node *n, struct err *e);
extern const struct attr_spec rnn_attrs[], rnn_gru_attrs[], rnn_lstm_attrs[];

#endif
