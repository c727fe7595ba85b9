/* packs.c - weights that lie anywhere in a file, large ones packed part by part, and what is computed from weights and
 * constants alone: every use of them gives what the interpreter gives, and nothing is held twice. */
#include "tap.h"

#include <sys/mman.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "exec/session.h"
#include "format/format.h"
#include "graph/aligned.h"
#include "graph/builder.h"
#include "ops/interpret.h"
#include "ops/registry.h"
#include "plan/packs.h"
#include "plan/plan.h"

struct fixture {
    struct arena a;
    struct err e;
    struct graph *g;
    struct builder b;
    struct packs *packs;
};

static void begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    arena_init(&f->a, NULL);
    f->g = graph_new(&f->a, &op_registry, "g", &f->e);
    f->b = (struct builder){ f->g, &f->e };
    f->packs = packs_new(NULL);
}

static void end(struct fixture *f)
{
    CHECK_OK(f->e.code, &f->e);
    packs_free(f->packs);
    arena_release(&f->a);
}

#define SHAPE(...) \
    shape_of(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), (const int64_t[]){ __VA_ARGS__ })

/* Numbers that have a float16 of their own. */
static struct tensor *filled(struct fixture *f, enum dtype type, struct shape s)
{
    struct tensor *t = tensor_new(&f->a, type, &s, &f->e);
    for (int64_t i = 0; i < tensor_count(t); i++) tensor_set_f64(t, i, (double)(i * 7 % 61 - 30) / 32);
    return t;
}

static struct value *weight(struct fixture *f, enum dtype type, struct shape s)
{
    return graph_state(f->g, NULL, filled(f, type, s), VALUE_TRAINABLE, &f->e);
}

/* One whose elements begin at an odd address. */
static struct value *anywhere(struct fixture *f, struct shape s)
{
    struct tensor *from = filled(f, DT_F32, s), *t = ARENA_NEW(&f->a, struct tensor);
    size_t bytes = (size_t)tensor_bytes(from);
    unsigned char *at = arena_alloc(&f->a, bytes + 1);
    memcpy(at + 1, from->data, bytes);
    *t = (struct tensor){ .dtype = DT_F32, .shape = s, .data = at + 1 };
    t->blob = blob_wrap(NULL, at + 1, bytes, NULL, NULL);
    CHECK(t->blob && !blob_adopt(&f->a, t->blob) && !tensor_is_aligned(t));
    return graph_state(f->g, NULL, t, VALUE_TRAINABLE, &f->e);
}

static struct value *input(struct fixture *f, struct shape s)
{
    return graph_input(f->g, NULL, DT_F32, &s, &f->e);
}

static void near(const struct tensor *found, const struct tensor *want)
{
    CHECK(shape_equal(&found->shape, &want->shape));
    double worst = 0, scale = 1e-30;
    for (int64_t i = 0; i < tensor_count(want); i++) {
        scale = fmax(scale, fabs(tensor_get_f64(want, i)));
        worst = fmax(worst, fabs(tensor_get_f64(found, i) - tensor_get_f64(want, i)));
    }
    if (!(worst <= 1e-5 * scale)) TAP_FAIL("differs by %.3g of its scale %.3g", worst / scale, scale);
}

/* Sessions of all kinds, twice each, against the interpreter. */
static void check_sessions(struct fixture *f)
{
    struct tensor *in[4], *want[8], out[8];
    CHECK_OK(graph_tidy(f->g, &f->e), &f->e);
    for (size_t i = 0; i < f->g->n_inputs; i++) in[i] = filled(f, DT_F32, f->g->inputs[i]->shape);
    CHECK_OK(graph_interpret(f->g, in, want, &f->a, NULL, &f->e), &f->e);
    for (int kind = 0; kind < 4 && !f->e.code; kind++) {
        struct session_options o = { .threads = 1 + kind % 2, .reference = kind == 2, .packs = kind ? f->packs : NULL };
        struct session *s = session_new(f->g, &o, &f->e);
        for (int run = 0; run < 2 && s; run++) {
            CHECK_OK(session_run(s, (const struct tensor *const *)in, out, &f->e), &f->e);
            for (size_t k = 0; k < f->g->n_outputs && !f->e.code; k++) near(&out[k], want[k]);
        }
        session_free(s);
    }
}

/* Whether the kernel tells of pages that cannot be read before they are. */
static bool can_ask(void)
{
#if defined MADV_POPULATE_READ
    void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool can = page != MAP_FAILED && !madvise(page, 4096, MADV_POPULATE_READ);
    if (page != MAP_FAILED) munmap(page, 4096);
    return can;
#else
    return false;
#endif
}

static bool has_backend(const char *name)
{
    for (size_t i = 0; backend_list[i]; i++)
        if (!strcmp(backend_list[i]->name, name)) return true;
    return false;
}

/* As a whole, in parts, at odd addresses, and as a state that a session copies. Without oneDNN nothing is packed, and
 * kernels read what is aligned where it lies. */
TEST(a_file_cut_short_under_its_weights_is_an_error)
{
    static const struct {
        int64_t rows, offset;
        bool changes;
    } cases[] = { { 300, 0, false }, { 300, 1, false }, { 9000, 0, false }, { 9000, 3, false }, { 300, 0, true } };
    char path[64];
    snprintf(path, sizeof path, "/tmp/tenrec-cut-%d", (int)getpid());
    for (size_t i = 0; i < sizeof cases / sizeof *cases && can_ask(); i++) {
        if (!has_backend("dnnl") && !cases[i].offset && !cases[i].changes) continue;
        struct fixture f;
        begin(&f);
        struct shape shape = SHAPE(cases[i].rows, 1000);
        size_t bytes = (size_t)cases[i].rows * 4000;
        struct tensor *t = ARENA_NEW(&f.a, struct tensor), *in = filled(&f, DT_F32, SHAPE(1, cases[i].rows)), out;
        struct bytes file;
        CHECK_OK(file_write(&f.a, path, arena_alloc(&f.a, bytes + 4), bytes + 4, &f.e), &f.e);
        *t = (struct tensor){ .dtype = DT_F32, .shape = shape, .blob = mapped_file(&f.a, path, &file, &f.e) };
        t->data = (void *)(uintptr_t)(file.data + cases[i].offset);
        struct value *w = graph_state(f.g, NULL, t, VALUE_TRAINABLE, &f.e);
        graph_output(f.g, emit(&f.b, "MatMul", NO_ATTRS, input(&f, in->shape), w), &f.e);
        if (cases[i].changes) w->next = emit(&f.b, "Neg", NO_ATTRS, w);
        CHECK_OK(graph_tidy(f.g, &f.e), &f.e);
        CHECK(!truncate(path, 8192));
        struct session *s = session_new(f.g, &(struct session_options){ .packs = f.packs }, &f.e);
        if (s) session_run(s, (const struct tensor *[]){ in }, &out, &f.e);
        CHECK_INT(f.e.code, ERR_IO);
        CHECK(strstr(f.e.text, "was cut short"));
        session_free(s);
        err_clear(&f.e);
        end(&f);
    }
    unlink(path);
}

TEST(weights_may_lie_anywhere_whatever_reads_them)
{
    struct fixture f;
    begin(&f);
    struct value *x = input(&f, SHAPE(2, 16, 12, 12)), *rows = input(&f, SHAPE(3, 40));
    struct value *kernel = anywhere(&f, SHAPE(16, 16, 3, 3)), *w = anywhere(&f, SHAPE(40, 24));
    const struct attr *pads = ATTRS(attr_ints("pads", (int64_t[]){ 1, 1, 1, 1 }, 4));
    struct value *y = emit(&f.b, "Conv", pads, x, kernel, anywhere(&f, SHAPE(16)));
    graph_output(f.g, emit(&f.b, "Add", NO_ATTRS, y, anywhere(&f, SHAPE(16, 1, 1))), &f.e);
    graph_output(f.g, emit(&f.b, "MatMul", NO_ATTRS, rows, w), &f.e);
    graph_output(f.g, emit(&f.b, "CumSum", NO_ATTRS, w, emit_i64(&f.b, 0)), &f.e); /* of weights alone */
    graph_output(f.g, w, &f.e);
    struct value *turned = emit(&f.b, "Reshape", NO_ATTRS, w, emit_i64s(&f.b, (int64_t[]){ 24, 40 }, 2));
    graph_output(f.g, emit(&f.b, "Gemm", ATTRS(attr_int("transB", 1)), rows, turned), &f.e);
    graph_output(f.g, emit(&f.b, "Gather", NO_ATTRS, w, emit(&f.b, "ArgMax", NO_ATTRS, rows)), &f.e);
    check_sessions(&f);
    end(&f);
}

/* 34 MB in rows that are no whole blocks; the dimension that lies outermost is that of the results, then the sums'. */
TEST(large_weights_are_packed_part_by_part)
{
    struct fixture f;
    begin(&f);
    struct value *x = input(&f, SHAPE(1, 8513));
    graph_output(f.g, emit(&f.b, "Gemm", ATTRS(attr_int("transB", 1)), x, anywhere(&f, SHAPE(1003, 8513))), &f.e);
    graph_output(f.g, emit(&f.b, "MatMul", NO_ATTRS, x, weight(&f, DT_F32, SHAPE(8513, 1003))), &f.e);
    check_sessions(&f);
    end(&f);
}

TEST(what_is_made_of_weights_is_not_kept_beside_what_is_packed_of_it)
{
    enum { K = 512, N = 384 };
    struct fixture f;
    begin(&f);
    struct value *x = input(&f, SHAPE(4, K)), *half = weight(&f, DT_F16, SHAPE(K, N));
    struct value *w = emit(&f.b, "Cast", ATTRS(attr_int("to", DT_F32)), half);
    graph_output(f.g, emit(&f.b, "MatMul", NO_ATTRS, x, w), &f.e);
    check_sessions(&f);
    size_t bytes = packs_bytes(f.packs);
    if (bytes > 2 * K * N * sizeof(float)) TAP_FAIL("%zu bytes, not much more than %zu", bytes, K * N * sizeof(float));
    end(&f);
}

/* Packed, then read as it is, turned and cut: computed again where that is needed. */
TEST(what_was_given_back_is_made_again)
{
    struct fixture f;
    begin(&f);
    struct value *x = input(&f, SHAPE(4, 256)), *half = weight(&f, DT_F16, SHAPE(256, 256));
    struct value *w = emit(&f.b, "Cast", ATTRS(attr_int("to", DT_F32)), half);
    graph_output(f.g, emit(&f.b, "MatMul", NO_ATTRS, x, w), &f.e);
    graph_output(f.g, emit(&f.b, "Sin", NO_ATTRS, w), &f.e);
    graph_output(f.g, emit(&f.b, "Gemm", ATTRS(attr_int("transB", 1)), x, w), &f.e);
    struct value *twice = emit(&f.b, "Mul", NO_ATTRS, w, w);
    graph_output(f.g, emit(&f.b, "MatMul", NO_ATTRS, x, emit(&f.b, "Sub", NO_ATTRS, twice, w)), &f.e);
    graph_output(f.g, emit(&f.b, "Gather", NO_ATTRS, w, emit(&f.b, "ArgMax", NO_ATTRS, x)), &f.e);
    check_sessions(&f);
    end(&f);
}

static struct value *constant_of(struct fixture *f, struct value *shape)
{
    struct tensor *v = filled(f, DT_F32, SHAPE(1));
    tensor_set_f64(v, 0, 0.25);
    return emit(&f->b, "ConstantOfShape", ATTRS(attr_tensor("value", v)), shape);
}

/* What the weight of the MatMul is made of is no step of the plan. */
static void check_only_product(struct fixture *f)
{
    struct session *s = session_new(f->g, &(struct session_options){ .packs = f->packs }, &f->e);
    const struct plan *p = s ? session_plan(s, &f->g->inputs[0]->shape, &f->e) : NULL;
    CHECK(p != NULL);
    for (size_t i = 0; p && i < p->n_steps; i++)
        CHECK(p->steps[i]->kind != STEP_KERNEL || node_is(p->steps[i]->step.node, "MatMul"));
    session_free(s);
}

TEST(what_comes_from_constants_is_computed_once)
{
    struct fixture f;
    begin(&f);
    struct value *x = input(&f, SHAPE(4, 600));
    struct value *w = constant_of(&f, emit_i64s(&f.b, (int64_t[]){ 600, 640 }, 2)); /* too large to be folded */
    w = emit(&f.b, "Mul", NO_ATTRS, w, weight(&f, DT_F32, SHAPE(640)));
    graph_output(f.g, emit(&f.b, "MatMul", NO_ATTRS, x, w), &f.e);
    check_sessions(&f);
    check_only_product(&f);
    CHECK(packs_bytes(f.packs) < 2 * 600 * 640 * sizeof(float));
    end(&f);
}

/* As quantized training writes weights: the operator that the row becomes has lists of words and numbers. */
TEST(a_row_of_operators_on_weights_is_computed_once)
{
    struct fixture f;
    begin(&f);
    struct value *x = input(&f, SHAPE(4, 60)), *step = weight(&f, DT_F32, SHAPE(1));
    struct value *w = weight(&f, DT_F32, SHAPE(60, 40));
    w = emit(&f.b, "LeakyRelu", ATTRS(attr_float("alpha", 0.3)), emit(&f.b, "Div", NO_ATTRS, w, step));
    w = emit(&f.b, "Mul", NO_ATTRS, emit(&f.b, "Round", NO_ATTRS, w), step);
    graph_output(f.g, emit(&f.b, "MatMul", NO_ATTRS, x, w), &f.e);
    check_sessions(&f);
    check_only_product(&f);
    end(&f);
}

/* x (N, 600) + as many constants */
TEST(what_one_plans_shapes_make_is_not_kept)
{
    struct fixture f;
    begin(&f);
    struct value *x = input(&f, SHAPE(graph_symbol(f.g, "N"), 600));
    struct value *same = constant_of(&f, emit(&f.b, "Shape", NO_ATTRS, x));
    graph_output(f.g, emit(&f.b, "Add", NO_ATTRS, x, emit(&f.b, "Sin", NO_ATTRS, same)), &f.e);
    CHECK_OK(graph_tidy(f.g, &f.e), &f.e);
    struct session *s = session_new(f.g, &(struct session_options){ .packs = f.packs }, &f.e);
    for (int64_t n = 500; n < 503; n++) {
        struct tensor *in = filled(&f, DT_F32, SHAPE(n, 600)), out;
        CHECK_OK(session_run(s, (const struct tensor *[]){ in }, &out, &f.e), &f.e);
        CHECK_NEAR(tensor_get_f64(&out, 0), tensor_get_f64(in, 0) + sin(0.25), 1e-6);
    }
    CHECK_INT(packs_bytes(f.packs), 0);
    session_free(s);
    end(&f);
}

TEST(a_constant_larger_than_memory_is_told_before_the_run)
{
    struct fixture f;
    begin(&f);
    struct value *x = input(&f, SHAPE(1, 4)), *most = constant_of(&f, emit_i64s(&f.b, (int64_t[]){ 1LL << 40, 4 }, 2));
    graph_output(f.g, emit(&f.b, "ReduceMax", NO_ATTRS, emit(&f.b, "Add", NO_ATTRS, x, most)), &f.e);
    CHECK_OK(graph_tidy(f.g, &f.e), &f.e);
    struct session *s = session_new(f.g, &(struct session_options){ .packs = f.packs }, &f.e);
    struct tensor *in = filled(&f, DT_F32, SHAPE(1, 4)), out;
    CHECK_INT(session_run(s, (const struct tensor *[]){ in }, &out, &f.e), ERR_NOMEM);
    CHECK(strstr(f.e.text, "this run needs"));
    session_free(s);
    err_clear(&f.e);
    end(&f);
}
