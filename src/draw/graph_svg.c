/* graph_svg.c - layered drawing (Sugiyama, Tagawa, Toda, 1981): layer = longest way from an input; edges over several
 * layers run through invisible stops; the order within a layer follows the mean place of the neighbours. */
#include "draw/graph_svg.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/str.h"
#include "graph/graph.h"
#include "graph/op.h"

enum { BOX_W = 150, BOX_H = 34, STOP_W = 14, GAP_X = 18, GAP_Y = 34, MARGIN = 20, SWEEPS = 6 };

struct item { /* a box, or a stop of an edge */
    const struct node *node;
    const struct value *port; /* of a graph input; of an output when `leaves` */
    bool leaves;
    int layer;
    double place, x;
};
struct link { /* between items of neighbouring layers */
    size_t from, to;
    bool arrives; /* at a box, not at a stop */
};
struct drawing {
    struct arena *arena;
    const struct graph *g;
    struct item *items;
    size_t n, cap;
    struct link *links;
    size_t n_links, cap_links;
    size_t *made_by; /* value id -> item + 1; 0: no box (weights, constants, left out) */
    size_t **rows;   /* items per layer, in their order */
    size_t *in_row;
    int n_layers;
    double width;
};

static int add_item(struct drawing *d, struct item it, size_t *index, struct err *e)
{
    it.place = (double)d->n;
    if (!ARRAY_PUSH(d->arena, d->items, d->n, d->cap, it)) return fail_nomem(e);
    *index = d->n - 1;
    if (it.layer >= d->n_layers) d->n_layers = it.layer + 1;
    return 0;
}

static int add_edge(struct drawing *d, size_t from, size_t to, struct err *e)
{
    int last = d->items[to].layer;
    for (int layer = d->items[from].layer + 1; layer <= last; layer++) {
        size_t next = to;
        if (layer < last) TRY(add_item(d, (struct item){ .layer = layer }, &next, e));
        struct link l = { from, next, layer == last };
        if (!ARRAY_PUSH(d->arena, d->links, d->n_links, d->cap_links, l)) return fail_nomem(e);
        from = next;
    }
    return 0;
}

/* The box below everything that `values` come from, and the edges to it. */
static int add_box(struct drawing *d, struct item it, struct value *const *values, int n, size_t *index, struct err *e)
{
    for (int i = 0; i < n; i++) {
        size_t from = values[i] ? d->made_by[values[i]->id] : 0;
        if (from && d->items[from - 1].layer >= it.layer) it.layer = d->items[from - 1].layer + 1;
    }
    TRY(add_item(d, it, index, e));
    for (int i = 0; i < n; i++) {
        size_t from = values[i] ? d->made_by[values[i]->id] : 0;
        bool again = false;
        for (int k = 0; k < i; k++) again = again || values[k] == values[i];
        if (from && !again) TRY(add_edge(d, from - 1, *index, e));
    }
    return 0;
}

static int add_all(struct drawing *d, size_t *left_out, struct err *e)
{
    const struct graph *g = d->g;
    size_t at = 0, shown = g->n_nodes < GRAPH_SVG_NODES ? g->n_nodes : GRAPH_SVG_NODES;
    for (size_t i = 0; i < g->n_inputs && i < GRAPH_SVG_NODES; i++) {
        TRY(add_item(d, (struct item){ .port = g->inputs[i] }, &at, e));
        d->made_by[g->inputs[i]->id] = at + 1;
    }
    for (size_t i = 0; i < shown; i++) {
        const struct node *n = g->nodes[i];
        TRY(add_box(d, (struct item){ .node = n }, n->in, n->n_in, &at, e));
        for (int k = 0; k < n->n_out; k++) d->made_by[n->out[k]->id] = at + 1;
    }
    for (size_t i = 0; i < g->n_outputs && i < GRAPH_SVG_NODES; i++)
        if (d->made_by[g->outputs[i]->id])
            TRY(add_box(d, (struct item){ .port = g->outputs[i], .leaves = true }, &g->outputs[i], 1, &at, e));
    *left_out = g->n_nodes - shown;
    return 0;
}

static int make_rows(struct drawing *d, struct err *e)
{
    d->rows = ARENA_ARRAY(d->arena, d->n_layers, size_t *);
    d->in_row = ARENA_ARRAY(d->arena, d->n_layers, size_t);
    if (!d->rows || !d->in_row) return fail_nomem(e);
    for (size_t i = 0; i < d->n; i++) d->in_row[d->items[i].layer]++;
    for (int l = 0; l < d->n_layers; l++) {
        TRY_MEM(d->rows[l] = ARENA_ARRAY(d->arena, d->in_row[l], size_t), e);
        d->in_row[l] = 0;
    }
    for (size_t i = 0; i < d->n; i++) d->rows[d->items[i].layer][d->in_row[d->items[i].layer]++] = i;
    return 0;
}

static bool is_stop(const struct item *it)
{
    return !it->node && !it->port;
}

static int item_width(const struct item *it)
{
    return is_stop(it) ? STOP_W : BOX_W;
}

static double row_width(const struct drawing *d, int layer)
{
    double w = -GAP_X;
    for (size_t i = 0; i < d->in_row[layer]; i++) w += item_width(&d->items[d->rows[layer][i]]) + GAP_X;
    return w;
}

/* Middles of the items of a row, which stands in the middle of the picture. */
static void lay_row(struct drawing *d, int layer)
{
    double x = -row_width(d, layer) / 2;
    for (size_t i = 0; i < d->in_row[layer]; i++) {
        struct item *it = &d->items[d->rows[layer][i]];
        it->x = x + item_width(it) / 2.0;
        x += item_width(it) + GAP_X;
    }
}

static int by_place(const void *a, const void *b, void *cookie)
{
    const struct drawing *d = cookie;
    const struct item *x = &d->items[*(const size_t *)a], *y = &d->items[*(const size_t *)b];
    if (x->place != y->place) return x->place < y->place ? -1 : 1;
    return (x > y) - (x < y);
}

/* Orders every row by the mean of its neighbours above (down) or below. */
static int sweep(struct drawing *d, bool down, struct err *e)
{
    double *sum = ARENA_ARRAY(d->arena, d->n, double);
    int *count = ARENA_ARRAY(d->arena, d->n, int);
    if (!sum || !count) return fail_nomem(e);
    for (int k = 0; k < d->n_layers; k++) {
        int layer = down ? k : d->n_layers - 1 - k;
        for (size_t i = 0; i < d->n_links; i++) {
            size_t me = down ? d->links[i].to : d->links[i].from, other = down ? d->links[i].from : d->links[i].to;
            if (d->items[me].layer == layer) sum[me] += d->items[other].x, count[me]++;
        }
        for (size_t i = 0; i < d->in_row[layer]; i++) {
            size_t me = d->rows[layer][i];
            d->items[me].place = count[me] ? sum[me] / count[me] : d->items[me].x;
        }
        qsort_r(d->rows[layer], d->in_row[layer], sizeof(size_t), by_place, d);
        lay_row(d, layer);
    }
    return 0;
}

static void add_text(struct str *s, const char *text, size_t limit)
{
    for (size_t i = 0; text[i] && i < limit; i++) {
        char c = text[i];
        if (c == '&') str_add(s, "&amp;");
        else if (c == '<') str_add(s, "&lt;");
        else if (c == '>') str_add(s, "&gt;");
        else str_addc(s, (unsigned char)c < 32 || (unsigned char)c > 126 ? '?' : c);
    }
}

static double top_of(const struct item *it)
{
    return MARGIN + it->layer * (double)(BOX_H + GAP_Y);
}

static void draw_link(const struct drawing *d, const struct link *l, struct str *s)
{
    const struct item *a = &d->items[l->from], *b = &d->items[l->to];
    double x1 = a->x + d->width / 2, x2 = b->x + d->width / 2, y1 = top_of(a) + BOX_H, y2 = top_of(b);
    if (is_stop(a)) str_addf(s, "<path d='M%.1f %.1fV%.1f'/>", x1, y1 - BOX_H, y1);
    str_addf(s, "<path d='M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f'%s/>\n", x1, y1, x1, y1 + GAP_Y / 2.0, x2,
        y2 - GAP_Y / 2.0, x2, y2, l->arrives ? " marker-end='url(#a)'" : "");
}

static void draw_box(const struct drawing *d, const struct item *it, struct str *s)
{
    const struct value *v = it->node ? it->node->out[0] : it->port;
    double x = it->x + d->width / 2 - BOX_W / 2.0, y = top_of(it);
    struct str shape = str_in(d->arena);
    shape_print(d->g, &v->shape, &shape);
    str_addf(s, "<g><title>");
    add_text(s, it->node ? it->node->name : v->name, 200);
    str_addf(s, "</title><rect x='%.1f' y='%.1f' width='%d' height='%d' rx='%d' fill='%s'/>", x, y, BOX_W, BOX_H,
        it->node ? 4 : 16,
        it->node         ? "#eef2f7"
            : it->leaves ? "#fde9d9"
                         : "#dff0d8");
    str_addf(s, "<text class='o' x='%.1f' y='%.1f'>", x + BOX_W / 2.0, y + 14);
    add_text(s, it->node ? it->node->op->name : v->name, 22);
    str_addf(s, "</text><text x='%.1f' y='%.1f'>", x + BOX_W / 2.0, y + 27);
    add_text(s, str_done(&shape) ? str_done(&shape) : "", 26);
    str_add(s, "</text></g>\n");
}

static void draw(const struct drawing *d, size_t left_out, struct str *s)
{
    double height = 2 * MARGIN + d->n_layers * (double)(BOX_H + GAP_Y);
    str_addf(s,
        "<svg xmlns='http://www.w3.org/2000/svg' width='%.0f' height='%.0f' viewBox='0 0 %.0f %.0f'>\n"
        "<style>rect{stroke:#556;stroke-width:.8}text{font:9px sans-serif;text-anchor:middle;fill:#444}"
        ".o{font-size:11px;fill:#000}path{fill:none;stroke:#889}</style>\n"
        "<defs><marker id='a' orient='auto' markerWidth='8' markerHeight='8' refX='6' refY='3'>"
        "<path d='M0 0L6 3L0 6' fill='#889'/></marker></defs>\n"
        "<rect width='100%%' height='100%%' fill='white' style='stroke:none'/>\n",
        d->width, height, d->width, height);
    for (size_t i = 0; i < d->n_links; i++) draw_link(d, &d->links[i], s);
    for (size_t i = 0; i < d->n; i++)
        if (!is_stop(&d->items[i])) draw_box(d, &d->items[i], s);
    if (left_out)
        str_addf(s, "<text class='o' x='%.1f' y='%.1f'>%zu more nodes are left out</text>\n", d->width / 2, height - 8,
            left_out);
    str_add(s, "</svg>\n");
}

int graph_svg(const struct graph *g, struct arena *a, struct str *out, size_t *left_out, struct err *e)
{
    struct drawing d = { .arena = a, .g = g, .made_by = ARENA_ARRAY(a, g->n_values, size_t) };
    TRY_MEM(d.made_by, e);
    TRY(add_all(&d, left_out, e));
    TRY(make_rows(&d, e));
    for (int l = 0; l < d.n_layers; l++) lay_row(&d, l);
    for (int i = 0; i < SWEEPS; i++) TRY(sweep(&d, i % 2 == 0, e));
    for (int l = 0; l < d.n_layers; l++)
        if (row_width(&d, l) > d.width) d.width = row_width(&d, l);
    d.width += 2 * MARGIN;
    draw(&d, *left_out, out);
    return str_done(out) ? 0 : fail_nomem(e);
}
