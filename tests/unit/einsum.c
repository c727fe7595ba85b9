/* einsum.c - sums over labels run as products of matrices and say what the plain loops say. */
#include "tap.h"

#include "base/arena.h"
#include "base/err.h"
#include "exec/session.h"
#include "graph/builder.h"
#include "ops/interpret.h"
#include "ops/registry.h"
#include "pass/pass.h"

enum { OPERANDS = 4 };

struct fixture {
    struct arena a;
    struct err e;
    struct builder b;
    struct tensor *in[OPERANDS + 1];
    int n;
};

static struct value *add_input(struct fixture *f, const struct shape *s)
{
    static const char *const names[OPERANDS + 1] = { "a", "b", "c", "d", "dy" };
    struct tensor *t = f->in[f->n] = tensor_new(&f->a, DT_F32, s, &f->e);
    for (int64_t i = 0; i < tensor_count(t); i++) tensor_set_f64(t, i, (double)((i + 5 * f->n) * 37 % 61) / 10 - 3);
    return graph_input(f->b.g, names[f->n++], DT_F32, s, &f->e);
}

/* The loops one by one, and a session; how many nodes of `op` the plan's graph has left. */
static int compare(struct fixture *f, const char *op)
{
    struct tensor *want = NULL, got = { 0 };
    int left = 0;
    CHECK_OK(graph_tidy(f->b.g, &f->e), &f->e);
    CHECK_OK(graph_interpret(f->b.g, f->in, &want, &f->a, NULL, &f->e), &f->e);
    struct session *s = session_new(f->b.g, &(struct session_options){ .threads = 1 }, &f->e);
    CHECK_OK(session_run(s, (const struct tensor *const *)f->in, &got, &f->e), &f->e);
    CHECK(shape_equal(&want->shape, &got.shape));
    for (int64_t i = 0; i < tensor_count(want); i++) {
        double is = tensor_get_f64(want, i);
        CHECK_NEAR(tensor_get_f64(&got, i), is, 1e-5 * (10 + fabs(is)));
    }
    session_free(s);
    CHECK_OK(pass_run(f->b.g, PASS_PLAN, NULL, &f->e), &f->e);
    for (size_t i = 0; i < f->b.g->n_nodes; i++) left += node_is(f->b.g->nodes[i], op);
    return left;
}

/* operand < 0: the sum itself; else its gradient by that operand. */
static int left_of(const char *equation, const char *shapes, int operand)
{
    struct fixture f = { 0 };
    arena_init(&f.a, NULL);
    f.b = (struct builder){ graph_new(&f.a, &op_registry, "g", &f.e), &f.e };
    struct value *in[OPERANDS + 1] = { NULL }, *y;
    struct shape s = { 0 };
    int n = 0;
    for (const char *p = shapes; *p; p++) {
        if (*p != ' ') s.dim[s.rank++] = *p - '0';
        if (p[1] && p[1] != ' ') continue;
        in[++n] = add_input(&f, &s);
        s.rank = 0;
        p += p[1] != 0;
    }
    y = builder_emit(&f.b, "Einsum", ATTRS(attr_string("equation", equation)), in + 1, n);
    if (operand >= 0) {
        in[0] = add_input(&f, &y->shape);
        y = builder_emit(&f.b, "EinsumGrad", ATTRS(attr_string("equation", equation), attr_int("operand", operand)), in,
            n + 1);
    }
    CHECK_OK(graph_output(f.b.g, y, &f.e), &f.e);
    int left = compare(&f, operand < 0 ? "Einsum" : "EinsumGrad");
    arena_release(&f.a);
    return left;
}

/* Shapes are a digit a dimension. stays: bit 0 the sum itself, bit k + 1 its gradient by operand k. */
static const struct {
    const char *equation, *shapes;
    int stays;
} rows[] = {
    { "bij,bjk->bik", "234 245", 0 },
    { "bhid,bhjd->bhij", "2345 2365", 0 },
    { "bhij,bjhd->bihd", "2345 2536", 0 },
    { "abc,cde->abde", "234 456", 0 },
    { "ab,ba->", "34 43", 0 },
    { "bi,bi->b", "34 34", 0 },
    { "bi,bj->jbi", "34 35", 0 },
    { "i,j->ij", "4 5", 0 },
    { "bij,bi->bij", "234 23", 0 },
    { "...ij,...jk->...ik", "2234 2245", 0 },
    { "bij->jb", "234", 2 },                 /* the gradient is broadcast */
    { "ij,kl->il", "34 56", 7 },             /* a sum of one of two */
    { "ij,jk,kl->il", "23 34 45", 15 },      /* three */
    { "ii,ij->j", "33 34", 7 },              /* a diagonal */
    { "bij,bjk->bik", "234 145", 7 },        /* a broadcast dimension */
};

TEST(a_sum_over_labels_is_a_product_of_matrices)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int operands = 1;
        for (const char *p = rows[i].shapes; *p; p++) operands += *p == ' ';
        for (int k = -1; k < operands; k++) {
            int left = left_of(rows[i].equation, rows[i].shapes, k), want = rows[i].stays >> (k + 1) & 1;
            if (left != want) printf("# %s of %s, operand %d\n", rows[i].equation, rows[i].shapes, k);
            CHECK_INT(left, want);
        }
    }
}
