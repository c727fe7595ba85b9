/* pt2.c - programs of torch.export: outputs of the corpus, buffers that a program changes, symbols, damaged ones. */
#include "tap.h"

#include <jansson.h>
#include <unistd.h>

#include "base/report.h"
#include "base/str.h"
#include "enc/zip.h"
#include "format/format.h"
#include "graph/graph.h"
#include "ops/interpret.h"
#include "pass/mode.h"
#include "shared.h"
#include "tensors.h"

static double compare(struct arena *a, const char *folder, const char *name, const struct tensor *got, struct err *e)
{
    const struct tensor *want = tensor_from_npy(a, file_join(a, folder, name), e);
    return want ? tensor_difference(got, want) : INFINITY;
}

/* Exported in training mode: batch norms take the statistics of the batch and move their own. */
TEST(a_program_in_training_mode)
{
    struct arena a;
    struct err e = { 0 };
    struct graph *g;
    struct tensor *in, *out[2] = { 0 }, *states[200] = { 0 };
    const char *folder;
    if (!shared_dir()) SKIP("no corpus");
    arena_init(&a, NULL);
    folder = file_join(&a, shared_dir(), "corpus/pt2/hades_pid");
    if (!file_is_dir(folder)) SKIP("no corpus");
    struct report r = report_in(&a);
    CHECK_OK(format_read(&a, file_join(&a, folder, "exported_program.pt2"), NULL, &g, &r, &e), &e);
    CHECK_OK(graph_training(g, &(struct train_mode){ .unbiased = true }, &e), &e);
    in = tensor_from_npy(&a, file_join(&a, folder, "in_0.npy"), &e);
    struct interpret o = { .states = states };
    CHECK(g->n_states < 200 && g->n_outputs == 2);
    CHECK_OK(graph_interpret(g, &in, out, &a, &o, &e), &e);
    CHECK(compare(&a, folder, "out_0.npy", out[0], &e) <= 1e-4);
    CHECK(compare(&a, folder, "out_1.npy", out[1], &e) <= 1e-4);
    int changed = 0;
    for (size_t i = 0; i < g->n_states; i++) {
        const char *file = arena_printf(&a, "mut_%s.npy", g->states[i]->name);
        if (!file_exists(file_join(&a, folder, file)) || str_ends(g->states[i]->name, "tracked")) continue;
        CHECK(states[i] && compare(&a, folder, file, states[i], &e) <= 1e-4);
        changed++;
    }
    CHECK(changed == 4);
    arena_release(&a);
}

struct made {
    struct arena arena;
    struct err e;
    struct report r;
    struct graph *g;
    char path[64];
};

struct record {
    const char *name, *text;
};

/* An archive of these records, read. */
static int read_records(struct made *m, const struct record *records, size_t n)
{
    struct file_writer w;
    struct zip_writer z;
    arena_init(&m->arena, NULL);
    m->e = (struct err){ 0 };
    m->r = report_in(&m->arena);
    snprintf(m->path, sizeof m->path, "/tmp/tenrec-pt2-%d.pt2", (int)getpid());
    TRY(file_writer_open(&w, &m->arena, m->path, &m->e));
    zip_writer_init(&z, &m->arena, &w);
    for (size_t i = 0; i < n; i++)
        TRY(zip_writer_add(&z, records[i].name, records[i].text, strlen(records[i].text), &m->e));
    TRY(zip_writer_finish(&z, &m->e));
    TRY(file_writer_commit(&w, &m->e));
    int code = format_read(&m->arena, m->path, NULL, &m->g, &m->r, &m->e);
    unlink(m->path);
    return code;
}

/* The old layout with this program and nothing else. */
static int read_made(struct made *m, const char *json)
{
    return read_records(m, &(struct record){ "serialized_exported_program.json", json }, 1);
}

/* A program of x (s0, 3) with these nodes, whose result is y. */
#define S0 "{\"as_expr\": {\"expr_str\": \"Symbol('s0', positive=True, integer=True)\", \"hint\": {\"as_int\": 4}}}"
#define PROGRAM(nodes, ranges) \
    "{\"graph_module\": {\"graph\": {\"inputs\": [{\"as_tensor\": {\"name\": \"x\"}}], \"outputs\": " \
    "[{\"as_tensor\": {\"name\": \"y\"}}], \"nodes\": [" nodes "], \"tensor_values\": {\"x\": {\"dtype\": 7, " \
    "\"sizes\": [" S0 ", {\"as_int\": 3}]}}}, \"signature\": {\"input_specs\": [{\"user_input\": {\"arg\": " \
    "{\"as_tensor\": {\"name\": \"x\"}}}}], \"output_specs\": [{\"user_output\": {\"arg\": {\"as_tensor\": " \
    "{\"name\": \"y\"}}}}]}}, \"range_constraints\": {" ranges "}, \"schema_version\": {\"major\": 8, \"minor\": 1}}"
#define NODE(target, inputs, outputs) \
    "{\"target\": \"" target "\", \"inputs\": [" inputs "], \"outputs\": [" outputs "], \"metadata\": {}}"
#define ARG(name, value) "{\"name\": \"" name "\", \"arg\": " value "}"
#define TENSOR(name) "{\"as_tensor\": {\"name\": \"" name "\"}}"
#define NAMED(name) "{\"as_sym_int\": {\"as_name\": \"" name "\"}}"

/* y = relu(x).view(3 s0), for any s0 up to 64 */
static const char flattened[] = PROGRAM(
    NODE("torch.ops.aten.sym_size.int", ARG("self", TENSOR("x")) "," ARG("dim", "{\"as_int\": 0}"),
        NAMED("n")) "," NODE("_operator.mul",
        ARG("a", "{\"as_sym_int\": {\"as_name\": \"n\"}}") "," ARG("b", "{\"as_int\": 3}"),
        NAMED("m")) "," NODE("torch.ops.aten.relu.default", ARG("self", TENSOR("x")),
        TENSOR("r")) "," NODE("torch.ops.aten.view_copy.default",
        ARG("self", TENSOR("r")) "," ARG("size", "{\"as_sym_ints\": [{\"as_name\": \"m\"}]}"), TENSOR("y")),
    "\"s0\": {\"min_val\": 2, \"max_val\": 64}");

TEST(symbols_stay_free_within_their_range)
{
    struct made m;
    CHECK_OK(read_made(&m, flattened), &m.e);
    CHECK(m.g->inputs[0]->shape.dim[0] < DIM_UNKNOWN && m.g->inputs[0]->shape.dim[1] == 3);
    CHECK(!strcmp(graph_symbol_name(m.g, m.g->inputs[0]->shape.dim[0]), "s0"));
    CHECK(m.g->n_guards == 1);
    for (int n = 1; n < 8; n += 3) {
        struct shape s = shape_of(2, (int64_t[]){ n, 3 });
        struct tensor *x = tensor_new(&m.arena, DT_F32, &s, &m.e), *y = NULL;
        for (int i = 0; i < 3 * n; i++) tensor_set_f64(x, i, i - 2);
        CHECK_OK(graph_interpret(m.g, &x, &y, &m.arena, &(struct interpret){ 0 }, &m.e), &m.e);
        CHECK(y->shape.rank == 1 && y->shape.dim[0] == 3 * n && tensor_get_f64(y, 0) == 0);
        CHECK(n == 1 || tensor_get_f64(y, 5) == 3);
    }
    arena_release(&m.arena);
}

/* Graphs in arguments: of a and b, whose result is z. */
#define GRAPH(nodes) \
    "{\"as_graph\": {\"name\": \"g\", \"graph\": {\"inputs\": [" TENSOR("a") ", " TENSOR( \
        "b") "], " \
             "\"outputs\": [" TENSOR("z") "], \"nodes\": [" nodes "]}}}"
#define BINARY(op) \
    GRAPH(NODE("torch.ops.aten." op ".Tensor", ARG("self", TENSOR("a")) "," ARG("other", TENSOR("b")), TENSOR("z")))
#define HIGHER(name, inputs, outputs) NODE("torch.ops.higher_order." name, inputs, outputs)
#define PAIR(a, b) "{\"as_tensors\": [{\"name\": \"" a "\"}, {\"name\": \"" b "\"}]}"
#define WRAPPED(inside) GRAPH(HIGHER("wrap", ARG("", inside) "," ARG("", PAIR("a", "b")), TENSOR("z")))
#define WRAPPED_4(inside) WRAPPED(WRAPPED(WRAPPED(WRAPPED(inside))))

/* y = sum(x) > 0 ? x + x : x * x */
static const char branching[] = PROGRAM(
    NODE("torch.ops.aten.sum.default", ARG("self", TENSOR("x")), TENSOR("s")) "," NODE("torch.ops.aten.gt.Scalar",
        ARG("self", TENSOR("s")) "," ARG("other", "{\"as_int\": 0}"), TENSOR("c")) "," HIGHER("cond",
        ARG("", TENSOR("c")) "," ARG("", BINARY("add")) "," ARG("", BINARY("mul")) "," ARG("", PAIR("x", "x")),
        TENSOR("y")),
    "");

TEST(graphs_in_arguments_become_an_if)
{
    struct made m;
    CHECK_OK(read_made(&m, branching), &m.e);
    size_t ifs = 0;
    for (size_t i = 0; i < m.g->n_nodes; i++) ifs += node_is(m.g->nodes[i], "If");
    CHECK_INT(ifs, 1);
    for (int sign = -1; sign < 2; sign += 2) {
        struct shape s = shape_of(2, (int64_t[]){ 1, 3 });
        struct tensor *x = tensor_new(&m.arena, DT_F32, &s, &m.e), *y = NULL;
        for (int i = 0; i < 3; i++) tensor_set_f64(x, i, sign * 3);
        CHECK_OK(graph_interpret(m.g, &x, &y, &m.arena, &(struct interpret){ 0 }, &m.e), &m.e);
        CHECK_NEAR(tensor_get_f64(y, 0), sign > 0 ? 6 : 9, 0);
    }
    arena_release(&m.arena);
}

/* y = x + w, in the layout of today: a weight by the name that PyTorch's C++ code gives the list of weights, an object
 * beside the constants that nothing takes, and versions that are newer than known. */
TEST(a_newer_archive_is_read_with_a_word)
{
    static const char program[] =
        "{\"graph_module\": {\"graph\": {\"inputs\": [" TENSOR("p_w") ", " TENSOR("x") "], "
        "\"outputs\": [" TENSOR("y") "], \"nodes\": ["
        NODE("torch.ops.aten.add.Tensor", ARG("self", TENSOR("x")) "," ARG("other", TENSOR("p_w")), TENSOR("y"))
        "], \"tensor_values\": {\"x\": {\"dtype\": 7, \"sizes\": [{\"as_int\": 2}]}}}, "
        "\"signature\": {\"input_specs\": [{\"parameter\": {\"arg\": {\"name\": \"p_w\"}, \"parameter_name\": \"w\"}}, "
        "{\"user_input\": {\"arg\": " TENSOR("x") "}}], "
        "\"output_specs\": [{\"user_output\": {\"arg\": " TENSOR("y") "}}]}}, "
        "\"schema_version\": {\"major\": 9, \"minor\": 1}}";
    static const struct record records[] = { { "any/archive_format", "pt2" }, { "any/archive_version", "1" },
        { "any/models/model.json", program }, { "any/data/weights/weight_0", "ABCDEFGH" },
        { "any/data/weights/model_model_param_config.json",
            "{\"config\": {\"w\": {\"path_name\": \"weight_0\", \"is_param\": true, \"use_pickle\": false, "
            "\"tensor_meta\": {\"dtype\": 7, \"sizes\": [{\"as_int\": 2}], \"strides\": [{\"as_int\": 1}], "
            "\"storage_offset\": {\"as_int\": 0}}}}}" },
        { "any/data/constants/custom_obj_0", "no pickle" },
        { "any/data/constants/model_constants_config.json",
            "{\"config\": {\"packed\": {\"path_name\": \"custom_obj_0\", \"is_param\": false, \"use_pickle\": true, "
            "\"tensor_meta\": null}}}" } };
    struct made m;
    CHECK_OK(read_records(&m, records, sizeof records / sizeof *records), &m.e);
    CHECK(m.g->n_inputs == 1 && m.g->n_states == 1 && m.g->n_outputs == 1);
    CHECK_NEAR(tensor_get_f64(m.g->states[0]->data, 0), 781.03521728515625, 1e-4); /* "ABCD" as a float */
    bool archive = false, schema = false;
    for (size_t i = 0; i < m.r.n; i++) {
        archive |= strstr(m.r.items[i].what, "version 1 of .pt2") != NULL;
        schema |= strstr(m.r.items[i].what, "version 9 of torch.export") != NULL;
    }
    CHECK(archive && schema);
    arena_release(&m.arena);
}

TEST(what_cannot_be_read_is_told)
{
    static const struct {
        const char *json, *words;
    } cases[] = {
        { PROGRAM(NODE("torch.ops.aten.frobnicate.default", ARG("self", TENSOR("x")), TENSOR("y")), ""),
            "unsupported operator aten::frobnicate" },
        { PROGRAM(NODE("torch.ops.aten.relu.default", ARG("self", TENSOR("z")), TENSOR("y")), ""),
            "the name \"z\" is used before it is made" },
        { PROGRAM(NODE("torch.ops.aten.relu.default", ARG("self", TENSOR("x")), TENSOR("z")), ""),
            "the output y is not made" },
        { PROGRAM(NODE("torch.ops.aten.relu.default", ARG("self", "{\"as_int\": \"x\"}"), TENSOR("y")), ""),
            "an argument that is no int" },
        { PROGRAM(NODE("torch.ops.higher_order.cond", ARG("p", "{\"as_graph\": {\"graph\": {}}}"), TENSOR("y")), ""),
            "unsupported operator torch.ops.higher_order.cond" },
        { PROGRAM(HIGHER("cond", ARG("", BINARY("add")) "," ARG("", BINARY("mul")), TENSOR("y")), ""),
            "a condition is missing" },
        { PROGRAM(HIGHER("map_impl", ARG("", BINARY("add")) "," ARG("", "{\"as_tensors\": []}"), TENSOR("y")), ""),
            "goes over nothing that has rows" },
        { PROGRAM(HIGHER("wrap", ARG("", BINARY("add")), TENSOR("y")), ""), "is given 0 arguments, too few" },
        { PROGRAM(HIGHER("scan", ARG("", BINARY("add")) "," ARG("", "{\"as_bool\": true}"), TENSOR("y")), ""),
            "backwards" },
        { PROGRAM(HIGHER("while_loop", ARG("", BINARY("add")) "," ARG("", BINARY("mul")) "," ARG("", PAIR("x", "x")),
                      TENSOR("y")),
              ""),
            "cannot take a shape of 1" },
        { PROGRAM(HIGHER("wrap", ARG("", WRAPPED_4(WRAPPED_4(BINARY("add")))) "," ARG("", PAIR("x", "x")), TENSOR("y")),
              ""),
            "graphs in graphs, too deep" },
        { PROGRAM("{}", ""), "a node without a target" },
        { "{\"graph_module\": 3}", "the program has no graph" },
        { "{\"graph_module\": {\"graph\": {}, \"signature\": {\"input_specs\": [{\"parameter\": {\"arg\": {\"name\": "
          "\"p\"}, \"parameter_name\": \"w\"}}]}}}",
            "the archive has no weight \"w\"" },
        { "{\"graph_module\": ", "serialized_exported_program.json" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made m;
        int code = read_made(&m, cases[i].json);
        if (code >= 0 || !strstr(m.e.text, cases[i].words)) printf("# case %zu: %d %s\n", i, code, m.e.text);
        CHECK(code < 0 && strstr(m.e.text, cases[i].words));
        arena_release(&m.arena);
    }
}
