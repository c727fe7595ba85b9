/* onnx_cases.c - ONNX's own test cases (Debian's libonnx-testdata): models with inputs and expected outputs.
 *
 * Every group has a number of cases that pass at least; it may only grow. TENREC_ONNX_CASES=all prints each that fails.
 */
#include "tap.h"

#include "base/map.h"
#include "base/report.h"
#include "base/str.h"
#include "exec/session.h"
#include "format/onnx/write.h"
#include "graph/graph.h"
#include "graph/op.h"
#include "ops/interpret.h"
#include "pass/pass.h"
#include "tensors.h"

#define DATA "/usr/share/libonnx-testdata/data"
enum { IO_MAX = 32 };

/* Cases that ask for what the specification does not say. */
static const struct {
    const char *name, *why;
} wrong_cases[] = {
    { "test_adam_multiple", "was made with epsilon 1e-2, the node has the default of 1e-6" },
    { "test_maxunpool_export_with_output_shape", "its indices count in another shape than the one it asks for" },
    { "test_resize_downsample_scales_cubic_align_corners", "divides by a size that was not rounded, as nobody does" },
    { "test_resize_downsample_scales_linear_align_corners", "divides by a size that was not rounded, as nobody does" },
};

static const char *why_wrong(const char *name)
{
    for (size_t i = 0; i < sizeof wrong_cases / sizeof wrong_cases[0]; i++)
        if (!strcmp(wrong_cases[i].name, name)) return wrong_cases[i].why;
    return NULL;
}

enum verdict { PASSED, FAILED, UNSUPPORTED, N_VERDICTS };
struct tally {
    int count[N_VERDICTS];
};

/* The cases' maker had no bfloat16 and wrote its bits as uint16. */
static struct tensor *as_typed(struct tensor *t, enum dtype wanted)
{
    if (t && t->dtype == DT_U16 && wanted == DT_BF16) t->dtype = DT_BF16;
    return t;
}

/* Of the output's scale: what the cases' own runner allows; bfloat16 was cut where it is rounded now. */
static double tolerance(enum dtype t)
{
    return t == DT_BF16 ? 0x1p-7 : 1e-3;
}

/* Draws random numbers, which are the other program's own: Dropout only where it trains. */
static bool is_random(const struct graph *g)
{
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i]->op->flags & OP_RANDOM) return true;
    return false;
}

/* Whether a value is one that some draw gives: Bernoulli 0 or 1, Dropout 0 or the scaled input. */
static bool could_be(const struct graph *g, struct tensor *const *in, const struct tensor *want, int64_t i, double v)
{
    if (v == 0 || (v == 1 && want->dtype == DT_BOOL)) return true;
    const struct tensor *ratio = g->n_inputs > 1 ? in[1] : NULL;
    for (size_t k = 0; k < g->n_nodes; k++)
        if (node_is(g->nodes[k], "Dropout")) {
            double scale = 1 / (1 - (ratio && tensor_count(ratio) == 1 ? tensor_get_f64(ratio, 0) : 0.5));
            return fabs(v - tensor_get_f64(in[0], i) * scale) <= 1e-6 * fabs(v);
        }
    return v == 1;
}

static int check_random(
    const struct graph *g, struct tensor *const *in, const struct tensor *got, const struct tensor *want, struct err *e)
{
    if (got->dtype != want->dtype || !shape_equal(&got->shape, &want->shape))
        return fail(e, ERR_MISMATCH, "another type or shape");
    for (int64_t i = 0; i < tensor_count(got); i++)
        if (!could_be(g, in, want, i, tensor_get_f64(got, i)))
            return fail(
                e, ERR_MISMATCH, "element %lld is %g, which no draw gives", (long long)i, tensor_get_f64(got, i));
    return 0;
}

static int compare(const struct graph *g, struct tensor *const *in, size_t i, const char *how, const struct tensor *got,
    const struct tensor *want, struct err *e)
{
    double d = tensor_difference(got, want);
    if (d <= tolerance(want->dtype)) return 0;
    if (is_random(g)) return check_random(g, in, got, want, e);
    return fail(e, ERR_MISMATCH, "%s differs by %g %s (%s rank %d, expected %s rank %d)", g->outputs[i]->name, d, how,
        dtype_name(got->dtype), got->shape.rank, dtype_name(want->dtype), want->shape.rank);
}

/* Some cases come with inputs of another rank than the model states. */
static bool are_as_stated(const struct graph *g, struct tensor *const *in)
{
    bool fit = true;
    for (size_t i = 0; i < g->n_inputs; i++) {
        const struct value *v = g->inputs[i];
        fit &= dtype_is_container(v->dtype) || v->shape.rank < 0 || v->shape.rank == in[i]->shape.rank;
    }
    return fit;
}

static int run_set(struct arena *a, const struct graph *g, const char *dir, struct err *e)
{
    struct tensor *in[IO_MAX] = { 0 }, *out[IO_MAX] = { 0 };
    if (g->n_inputs > IO_MAX || g->n_outputs > IO_MAX) return fail(e, ERR_FAILED, "too many inputs or outputs");
    for (size_t i = 0; i < g->n_inputs; i++)
        if (!(in[i] = as_typed(tensor_from_pb(a, arena_printf(a, "%s/input_%zu.pb", dir, i), g->inputs[i]->dtype, e),
                  g->inputs[i]->dtype)))
            return e->code;
    TRY(graph_interpret(g, in, out, a, NULL, e));
    struct tensor planned[IO_MAX];
    struct session *s = session_new(g, &(struct session_options){ .threads = 1 }, e);
    bool fit = are_as_stated(g, in);
    int code = s && fit ? session_run(s, (const struct tensor *const *)in, planned, e) : e->code;
    for (size_t i = 0; i < g->n_outputs && !code; i++) {
        const char *path = arena_printf(a, "%s/output_%zu.pb", dir, i);
        const struct tensor *want = as_typed(tensor_from_pb(a, path, out[i]->dtype, e), g->outputs[i]->dtype);
        code = want ? compare(g, in, i, "node by node", out[i], want, e) : e->code;
        if (!code && fit) code = compare(g, in, i, "in a plan", &planned[i], want, e);
    }
    session_free(s);
    return code;
}

static const char *text_of(struct arena *a, const struct graph *g)
{
    struct str s = str_in(a);
    graph_print(g, &s);
    return str_done(&s);
}

/* What our writer makes of the model is read as the same graph. */
static int check_round_trip(struct arena *a, const struct graph *g, struct err *e)
{
    struct report r = report_in(a);
    struct proto_message m;
    struct format_file file = { .path = "written" };
    struct graph *back = NULL;
    TRY(onnx_write(g, a, &(struct onnx_write_options){ .exact = true }, &m, &r, e));
    TRY(proto_bytes(&m, a, &file.bytes, e));
    if (!(file.blob = blob_wrap(NULL, file.bytes.data, file.bytes.len, NULL, NULL))) return fail_nomem(e);
    TRY(blob_adopt(a, file.blob));
    TRY(format_read_file(a, &file, NULL, NULL, &back, &r, e));
    const char *was = text_of(a, g), *is = text_of(a, back);
    return strcmp(was, is) ? fail(e, ERR_MISMATCH, "written and read again, this:\n%.1500s\nis this:\n%.1500s", was, is)
                           : 0;
}

static enum verdict run_case(const char *dir, struct arena *a, struct err *e)
{
    struct report r = report_in(a);
    struct graph *g = NULL;
    if (format_read(a, arena_printf(a, "%s/model.onnx", dir), NULL, &g, &r, e))
        return e->code == ERR_UNSUPPORTED ? UNSUPPORTED : FAILED;
    if (check_round_trip(a, g, e)) {
        TAP_FAIL("%s: %s", dir, e->text);
        return FAILED;
    }
    if (pass_run(g, PASS_IMPORT, NULL, e)) return FAILED;
    int code = run_set(a, g, arena_printf(a, "%s/test_data_set_0", dir), e);
    return !code ? PASSED : code == ERR_UNSUPPORTED ? UNSUPPORTED : FAILED;
}

/* "test_argmax_default_axis" -> "argmax": for the table. */
static const char *family(struct arena *a, const char *name)
{
    const char *p = !strncmp(name, "test_", 5) ? name + 5 : name;
    return arena_strndup(a, p, strcspn(p, "_"));
}

static void print_table(const struct map *table, const struct tally *sum)
{
    for (size_t i = 0; i < table->n; i++) {
        const struct tally *t = table->entries[i].value;
        printf("# %-32s %4d passed %4d failed %4d unsupported\n", table->entries[i].key, t->count[PASSED],
            t->count[FAILED], t->count[UNSUPPORTED]);
    }
    printf("# all %28s %4d passed %4d failed %4d unsupported\n", "", sum->count[PASSED], sum->count[FAILED],
        sum->count[UNSUPPORTED]);
}

static void run_group(const char *group, int at_least)
{
    struct arena a;
    struct err e = { 0 };
    const char **names, *only = getenv("TENREC_ONNX_CASES");
    size_t n;
    arena_init(&a, NULL);
    const char *root = arena_printf(&a, DATA "/%s", group);
    if (!file_is_dir(root)) SKIP("libonnx-testdata is not installed");
    CHECK_OK(file_list(&a, root, &names, &n, &e), &e);
    struct map table = map_in(&a);
    struct tally sum = { 0 };
    for (size_t i = 0; i < n; i++) {
        struct arena one;
        arena_init(&one, NULL);
        enum verdict v = run_case(arena_printf(&one, "%s/%s", root, names[i]), &one, &e);
        const char *why = why_wrong(names[i]);
        if (why && v == PASSED) TAP_FAIL("%s passes after all", names[i]);
        if (why) printf("# %s does not count: %s\n", names[i], why);
        else if (only && v != PASSED && (!strcmp(only, "all") || strstr(names[i], only)))
            printf("# %s: %s\n", names[i], e.text);
        err_clear(&e);
        arena_release(&one);
        const char *key = family(&a, names[i]);
        struct tally *t = map_get(&table, key);
        if (!t) t = ARENA_NEW(&a, struct tally), map_set(&table, key, t);
        t->count[v]++, sum.count[v]++;
    }
    print_table(&table, &sum);
    if (sum.count[PASSED] < at_least) TAP_FAIL("%d passed, expected at least %d", sum.count[PASSED], at_least);
    arena_release(&a);
}

TEST(node)
{
    run_group("node", 928);
}

TEST(simple)
{
    run_group("simple", 23);
}

TEST(pytorch_operator)
{
    run_group("pytorch-operator", 35);
}

TEST(pytorch_converted)
{
    run_group("pytorch-converted", 82);
}
