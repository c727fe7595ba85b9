/* script_recurrent.c - LSTM, GRU and RNN as TorchScript: ONNX's order of gates and directions put into PyTorch's. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/torch/script.h"
#include "graph/op.h"

static const struct cell {
    const char *op, *torch;
    int gates;
    int order[4];            /* where PyTorch's k-th gate stands in ONNX's: i f g o of i o f c, r z n of z r h */
    const char *activations; /* of one direction, as ONNX has them by default */
} cells[] = {
    { "LSTM", "lstm", 4, { 0, 2, 3, 1 }, "Sigmoid Tanh Tanh" },
    { "GRU", "gru", 3, { 1, 0, 2 }, "Sigmoid Tanh" },
    { "RNN", "rnn_tanh", 1, { 0 }, "Tanh" },
};

struct recurrent {
    const struct cell *cell;
    const struct node *node;
    int64_t hidden;
    int directions;
    bool reversed;
};

/* Rows of one direction of W, R or half of B, gates in PyTorch's order. (G H, ..) */
static const char *gates(struct script *s, const struct recurrent *r, const char *x, int64_t from)
{
    struct str list = str_in(s->arena);
    for (int k = 0; k < r->cell->gates; k++) {
        int64_t at = from + r->cell->order[k] * r->hidden;
        str_addf(&list, "%s%s", k ? ", " : "",
            assign(s, say(s, "torch.slice(%s, 0, %lld, %lld, 1)", x, (long long)at, (long long)(at + r->hidden))));
    }
    const char *text = str_done(&list);
    return text ? assign(s, say(s, "torch.cat([%s])", text)) : "";
}

/* [w_ih, w_hh, b_ih, b_hh] per direction */
static const char *parameters(struct script *s, const struct recurrent *r)
{
    const struct node *n = r->node;
    struct str list = str_in(s->arena);
    int64_t rows = r->cell->gates * r->hidden;
    for (int d = 0; d < r->directions; d++)
        for (int i = 1; i < 4; i++) {
            if (i == 3 && !node_in(n, 3)) continue;
            const char *x = assign(s, say(s, "torch.select(%s, 0, %d)", in(s, n, i), d));
            str_addf(&list, "%s%s", list.len ? ", " : "", gates(s, r, x, 0));
            if (i == 3) str_addf(&list, ", %s", gates(s, r, x, rows));
        }
    const char *text = str_done(&list);
    return text ? text : "";
}

static const char *state(struct script *s, const struct recurrent *r, int i, const char *x)
{
    if (node_in(r->node, i)) return in(s, r->node, i);
    return assign(
        s, say(s, "torch.new_zeros(%s, [%d, torch.size(%s, 1), %lld])", x, r->directions, x, (long long)r->hidden));
}

static const char *read_recurrent(const struct node *n, struct recurrent *r)
{
    const char *direction = node_string(n, "direction");
    const struct value *w = value_resolve(n->in[2]);
    const struct attr *own = node_attr(n, "activations");
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        if (!strcmp(cells[i].op, n->op->name)) r->cell = &cells[i];
    r->node = n;
    r->directions = direction && !strcmp(direction, "bidirectional") ? 2 : 1;
    r->reversed = direction && !strcmp(direction, "reverse");
    if (w->shape.rank != 3 || w->shape.dim[2] < 0) return "a hidden size that is not known";
    r->hidden = w->shape.dim[2];
    for (size_t i = 0; own && own->type == ATTR_STRINGS && i < own->n; i++) {
        const char *want = r->cell->activations;
        for (size_t k = i % (own->n / (size_t)r->directions); k > 0; k--) want = strchr(want, ' ') + 1;
        if (strncasecmp(own->strings[i], want, strlen(own->strings[i]))) return "other activations";
    }
    if (node_in(n, 4)) return "lengths of the sequences";
    if (node_in(n, 7) || node_int(n, "layout") || node_has(n, "clip")) return "this form";
    if (!strcmp(n->op->name, "GRU") && !node_int(n, "linear_before_reset")) return "the reset gate before the product";
    if (!strcmp(n->op->name, "LSTM") && node_int(n, "input_forget")) return "coupled gates";
    return NULL;
}

/* x (T, B, I) to y (T, directions, B, H), h and c (directions, B, H) */
static const char *say_recurrent(struct script *s, const struct node *n)
{
    struct recurrent r = { 0 };
    const char *why = read_recurrent(n, &r), *x = in(s, n, 0);
    if (why) return script_cannot(s, n, why);
    if (r.reversed) x = assign(s, say(s, "torch.flip(%s, [0])", x));
    const char *weights = parameters(s, &r), *h = state(s, &r, 5, x);
    bool lstm = r.cell->gates == 4;
    const char *start = lstm ? say(s, "[%s, %s]", h, state(s, &r, 6, x)) : h;
    size_t y = s->n_variables;
    s->n_variables += 3;
    str_addf(&s->body, "    v%zu, v%zu%s = torch.%s(%s, %s, [%s], %s, 1, 0., False, %s, False)\n", y, y + 1,
        lstm ? say(s, ", v%zu", y + 2) : "", r.cell->torch, x, start, weights, node_in(n, 3) ? "True" : "False",
        r.directions == 2 ? "True" : "False");
    const char *out = say(s, "v%zu", y);
    if (r.reversed) out = assign(s, say(s, "torch.flip(%s, [0])", out));
    out = assign(s,
        say(s, "torch.reshape(%s, [torch.size(%s, 0), torch.size(%s, 1), %d, %lld])", out, x, x, r.directions,
            (long long)r.hidden));
    script_bind(s, n, 0, say(s, "torch.permute(%s, [0, 2, 1, 3])", out));
    for (int i = 1; i < n->n_out && i < 3; i++) s->names[n->out[i]->id] = say(s, "v%zu", y + (size_t)i);
    return NULL;
}

const struct script_row script_recurrent[] = {
    { "LSTM", say_recurrent },
    { "GRU", say_recurrent },
    { "RNN", say_recurrent },
    { 0 },
};
