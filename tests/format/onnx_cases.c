/* onnx_cases.c - ONNX's own test cases (Debian's libonnx-testdata): models with inputs and expected outputs.
 *
 * Every group has a number of cases that pass at least; it may only grow. Each that does not is listed with its reason.
 */
#include "tap.h"

#include "base/map.h"
#include "base/report.h"
#include "base/str.h"
#include "exec/session.h"
#include "families.h"
#include "format/onnx/write.h"
#include "graph/graph.h"
#include "graph/op.h"
#include "ops/interpret.h"
#include "pass/pass.h"
#include "tensors.h"

#define DATA "/usr/share/libonnx-testdata/data"
enum { IO_MAX = 32 };

/* Other versions of the cases are run by naming their folder; NULL: none is. */
static const char *other_version(void)
{
    return getenv("TENREC_ONNX_CASES");
}

static const char *data_dir(void)
{
    return other_version() ? other_version() : DATA;
}

/* Cases that ask for what the specification does not say, by the beginning of their name. `mended`: a later version of
 * the cases (1.23 at the latest) has other expected outputs, which are met. */
static const struct {
    const char *name, *why;
    bool mended;
} wrong_cases[] = {
    { "test_adam_multiple", "was made with epsilon 1e-2, the node has the default of 1e-6", true },
    { "test_maxunpool_export_with_output_shape", "its indices count in another shape than the one it asks for", false },
    { "test_resize_downsample_scales_cubic_align_corners", "divides by a size that was not rounded, as nobody does",
        false },
    { "test_resize_downsample_scales_linear_align_corners", "divides by a size that was not rounded, as nobody does",
        false },
    { "test_attention_3d", "heads were cut in the wrong order until 1.18", true },
    { "test_attention_4d_gqa", "heads of keys were repeated in the wrong order until 1.18", true },
    { "test_attention_4d_with_", "modes 1 and 2 of qk_matmul_output_mode, and cap and mask, changed places after 1.20",
        true },
    { "test_rotary_embedding_", "tables of cosines as wide as the whole head until 1.18", true },
    { "test_cast_FLOAT_to_INT4", "numbers past the range of 4 bits saturated until 1.18, and wrap around since", true },
    { "test_cast_FLOAT_to_UINT4", "as FLOAT_to_INT4", true },
    { "test_cast_FLOAT16_to_INT4", "as FLOAT_to_INT4", true },
    { "test_cast_FLOAT16_to_UINT4", "as FLOAT_to_INT4", true },
    { "test_qlinearmatmul_", "sums of int8 wrapped around until 1.20", true },
    { "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True",
        "counted padding beyond what ceil_mode adds until 1.17", true },
    { "test_l2normalization_axis_0", "a vector of zeros became NaN until 1.20", true },
};

enum { N_WRONG = sizeof wrong_cases / sizeof *wrong_cases };


enum verdict { PASSED, FAILED, UNSUPPORTED, N_VERDICTS };

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

/* One case: its arena, the graph, the largest error. */
struct one_case {
    struct arena *arena;
    struct graph *g;
    double worst;
};

static int compare(struct one_case *c, struct tensor *const *in, size_t i, const char *how, const struct tensor *got,
    const struct tensor *want, struct err *e)
{
    const struct graph *g = c->g;
    double d = tensor_difference(got, want);
    if (d <= tolerance(want->dtype)) return c->worst = fmax(c->worst, d), 0;
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

static int run_set(struct one_case *c, const char *dir, struct err *e)
{
    struct arena *a = c->arena;
    const struct graph *g = c->g;
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
        code = want ? compare(c, in, i, "node by node", out[i], want, e) : e->code;
        if (!code && fit) code = compare(c, in, i, "in a plan", &planned[i], want, e);
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
    const char *was = text_of(a, g), *is = text_of(a, back), *line = was, *other = is;
    for (; *was && *was == *is; was++, is++)
        if (*was == '\n') line = was + 1, other = is + 1;
    if (!*was && !*is) return 0;
    return fail(e, ERR_MISMATCH, "written and read again, \"%.*s\" is \"%.*s\"", (int)strcspn(line, "\n"), line,
        (int)strcspn(other, "\n"), other);
}

static enum verdict run_case(struct one_case *c, struct map *table, const char *dir, struct err *e)
{
    struct report r = report_in(c->arena);
    int code = format_read(c->arena, arena_printf(c->arena, "%s/model.onnx", dir), NULL, &c->g, &r, e);
    struct family *f = families_find(table, code ? NULL : c->g);
    if (!code && (code = check_round_trip(c->arena, c->g, e))) TAP_FAIL("%s: %s", dir, e->text);
    if (!code) code = pass_run(c->g, PASS_IMPORT, NULL, e);
    if (!code) code = run_set(c, arena_printf(c->arena, "%s/test_data_set_0", dir), e);
    family_count(f, !code, c->worst);
    return !code ? PASSED : code == ERR_UNSUPPORTED ? UNSUPPORTED : FAILED;
}

/* Every case that does not pass is listed with its reason. */
static enum verdict tell_case(struct map *table, const char *root, const char *name)
{
    struct arena a;
    struct err e = { 0 };
    size_t k = 0;
    arena_init(&a, NULL);
    enum verdict v = run_case(&(struct one_case){ .arena = &a }, table, arena_printf(&a, "%s/%s", root, name), &e);
    while (k < N_WRONG && !str_starts(name, wrong_cases[k].name)) k++;
    if (v != PASSED && k < N_WRONG) printf("# %s does not count: %s\n", name, wrong_cases[k].why);
    else if (v != PASSED) TAP_FAIL("%s: %s", name, e.text);
    else if (k < N_WRONG && !wrong_cases[k].mended) TAP_FAIL("%s passes after all", name);
    arena_release(&a);
    return v;
}

static void run_group(struct arena *a, struct map *table, const char *group, int at_least)
{
    struct err e = { 0 };
    const char **names, *root = arena_printf(a, "%s/%s", data_dir(), group);
    size_t n;
    int count[N_VERDICTS] = { 0 };
    CHECK_OK(file_list(a, root, &names, &n, &e), &e);
    for (size_t i = 0; i < n; i++) count[tell_case(table, root, names[i])]++;
    printf("# %-18s %4d passed %4d failed %4d unsupported\n", group, count[PASSED], count[FAILED], count[UNSUPPORTED]);
    if (!other_version() && count[PASSED] < at_least)
        TAP_FAIL("%s: %d passed, expected at least %d", group, count[PASSED], at_least);
}

TEST(every_case_that_is_right)
{
    static const struct {
        const char *name;
        int at_least;
    } groups[] = { { "node", 928 }, { "simple", 23 }, { "pytorch-operator", 35 }, { "pytorch-converted", 82 } };
    struct arena a;
    if (!file_is_dir(data_dir())) SKIP("libonnx-testdata is not installed");
    arena_init(&a, NULL);
    struct map table = map_in(&a);
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        run_group(&a, &table, groups[i].name, groups[i].at_least);
    families_print(&table);
    arena_release(&a);
}
