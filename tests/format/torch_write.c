/* torch_write.c - TorchScript that we write: the samples go out and come back, and answer as they did. */
#include "tap.h"

#include <unistd.h>

#include "base/str.h"
#include "graph/builder.h"
#include "ops/registry.h"
#include "round_trip.h"
#include "shared.h"

enum { MOST_BYTES = 3 << 20 }; /* of a sample: the large ones are run by the samples' own test */

static const struct format *torch(void)
{
    return format_find("torch");
}

static bool is_asked(const char *name)
{
    static const char *const not [] = { "ctl_", "det_", "quant_", "misc_train", "misc_zoo2", "txt_packed" };
    for (size_t i = 0; i < sizeof not / sizeof *not ; i++)
        if (str_starts(name, not [i])) return false;
    return str_ends(name, ".traced.pt");
}

/* The shapes of the inputs, from in0.. of NAME.io.npz. */
static int hints_of(struct arena *a, const char *io, struct import_options *o, struct err *e)
{
    struct bytes file;
    struct zip z;
    struct npy n;
    char name[16];
    struct import_hint *h = ARENA_ARRAY(a, 16, struct import_hint);
    TRY(file_map(a, io, &file, e));
    TRY(zip_open(&z, a, io, file, e));
    for (size_t i = 0; i < 16; i++) {
        snprintf(name, sizeof name, "in%zu.npy", i);
        if (!zip_find(&z, name)) break;
        snprintf(name, sizeof name, "in%zu", i);
        TRY(npz_read(&n, a, &z, name, 1u << 30, e));
        snprintf(name, sizeof name, "%s%u", n.kind == 'f' ? "float" : n.kind == 'u' ? "uint" : "int", n.size * 8);
        h[i] = (struct import_hint){ .dtype = n.kind == 'b' ? DT_BOOL : dtype_from_name(name), .rank = (int)n.rank };
        for (size_t d = 0; d < n.rank; d++) h[i].dim[d].size = n.shape[d];
        o->n_inputs = i + 1;
    }
    o->inputs = h;
    return 0;
}

static bool one(const char *folder, const char *name)
{
    struct arena a;
    struct err e = { 0 };
    struct graph *g;
    struct import_options o = { 0 };
    double most = 0;
    arena_init(&a, NULL);
    struct report r = report_in(&a);
    const char *path = file_join(&a, folder, name);
    const char *io = arena_printf(&a, "%.*s.io.npz", (int)(strlen(path) - strlen(".traced.pt")), path);
    int code = hints_of(&a, io, &o, &e);
    if (!code) code = format_read(&a, path, &o, &g, &r, &e);
    if (!code) code = round_trip(&a, torch(), g, "pt", &most, &e);
    bool right = !code && most <= 1e-5;
    if (!right) printf("# wrong %s %g %s\n", name, most, e.text);
    arena_release(&a);
    return right;
}

TEST(samples_come_back)
{
    struct arena a;
    struct err e = { 0 };
    const char **names;
    size_t n;
    int right = 0, total = 0;
    if (!shared_dir()) SKIP("no shared samples");
    arena_init(&a, NULL);
    const char *folder = file_join(&a, shared_dir(), "samples/ts");
    if (!file_is_dir(folder)) SKIP("no TorchScript samples");
    CHECK_OK(file_list(&a, folder, &names, &n, &e), &e);
    for (size_t i = 0; i < n; i++) {
        struct bytes file;
        if (!is_asked(names[i]) || file_map(&a, file_join(&a, folder, names[i]), &file, &e) || file.len > MOST_BYTES)
            continue;
        total++;
        right += one(folder, names[i]);
    }
    printf("# %d of %d\n", right, total);
    CHECK(total && right == total);
    arena_release(&a);
}

/* A small graph made here: names that are no identifiers, a state that changes, sizes that stay free. */
static struct graph *make_small(struct arena *a, struct err *e)
{
    struct graph *g = graph_new(a, &op_registry, "small", e);
    struct builder b = { .g = g, .err = e };
    struct shape sx = shape_of(3, (int64_t[]){ graph_symbol(g, "N"), 2, 4 }), sw = shape_of(2, (int64_t[]){ 4, 3 });
    struct value *x = graph_input(g, "x:0", DT_F32, &sx, e);
    struct tensor *w = tensor_new(a, DT_F32, &sw, e), *c = tensor_new(a, DT_F32, &(struct shape){ 1, { 3 } }, e);
    for (int i = 0; i < 12; i++) tensor_set_f64(w, i, i - 6);
    static const struct origin key = { .key = "block/0/kernel:0" };
    struct value *weight = graph_state(g, "w", w, VALUE_TRAINABLE, e), *count = graph_state(g, "a.count", c, 0, e);
    weight->origin = &key;
    struct value *y = emit(&b, "MatMul", NO_ATTRS, x, weight);
    struct value *rows = emit(
        &b, "Gather", NO_ATTRS, emit(&b, "Shape", NO_ATTRS, x), emit_i64s(&b, &(int64_t){ 0 }, 1));
    struct value *shape = builder_emit(
        &b, "Concat", ATTRS(attr_int("axis", 0)), (struct value *[]){ rows, emit_i64s(&b, &(int64_t){ -1 }, 1) }, 2);
    y = emit(&b, "Reshape", NO_ATTRS, emit(&b, "Add", NO_ATTRS, y, count), shape);
    count->next = emit(&b, "Add", NO_ATTRS, count, emit_scalar(&b, DT_F32, 1));
    graph_output(g, y, e);
    return graph_tidy(g, e) ? NULL : g;
}

TEST(odd_names_free_sizes_and_states_are_written)
{
    struct arena a;
    struct err e = { 0 };
    struct graph *again, *g;
    char path[64];
    arena_init(&a, NULL);
    struct report r = report_in(&a);
    struct export_options none = { 0 };
    snprintf(path, sizeof path, "/tmp/tenrec-small-%d.pt", (int)getpid());
    CHECK((g = make_small(&a, &e)) != NULL);
    CHECK_OK(torch()->write(g, path, &none, &r, &e), &e);
    struct import_hint h = { .dtype = DT_F32, .rank = 3, .dim = { { .symbol = "N" }, { .size = 2 }, { .size = 4 } } };
    struct import_options o = { .inputs = &h, .n_inputs = 1 };
    CHECK_OK(format_read(&a, path, &o, &again, &r, &e), &e);
    unlink(path);
    CHECK(again->inputs[0]->shape.dim[0] < DIM_UNKNOWN && again->n_guards == 0);
    CHECK(graph_find(again, "block.0.kernel_0") && graph_find(again, "a.count"));
    CHECK(graph_find(again, "a.count")->next && !graph_find(again, "block.0.kernel_0")->next);
    arena_release(&a);
}

TEST(what_it_cannot_say_is_named)
{
    struct arena a;
    struct err e = { 0 };
    arena_init(&a, NULL);
    struct report r = report_in(&a);
    struct graph *g = graph_new(&a, &op_registry, "g", &e);
    struct builder b = { .g = g, .err = &e };
    struct shape s = shape_of(2, (int64_t[]){ 3, 3 });
    struct value *x = graph_input(g, "x", DT_F32, &s, &e);
    b.name = "determinant";
    graph_output(g, emit(&b, "Det", NO_ATTRS, x), &e);
    CHECK(torch()->write(g, "/tmp/never.pt", &(struct export_options){ 0 }, &r, &e) == ERR_UNSUPPORTED);
    CHECK(strstr(e.text, "Det") && strstr(e.text, "determinant") && !file_exists("/tmp/never.pt"));
    arena_release(&a);
}
