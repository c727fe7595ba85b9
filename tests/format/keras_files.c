/* keras_files.c - Keras files with known outputs, in a table: within 1e-4 of their scale; every tensor of the corpus as
 * its list has it. */
#include "tap.h"

#include <jansson.h>

#include "base/hash.h"
#include "base/report.h"
#include "base/str.h"
#include "enc/hdf5.h"
#include "exec/session.h"
#include "package/model.h"
#include "corpus_line.h"
#include "shared.h"
#include "tensors.h"

enum { IO_MAX = 64 };

struct sample {
    struct arena *arena;
    const char *model, *weights;
    struct tensor *in[IO_MAX], *want[IO_MAX];
    size_t n_in, n_want;
};

static const char *ending(struct arena *a, const char *folder, const char *const *ends)
{
    const char **names;
    size_t n;
    struct err e = { 0 };
    if (file_list(a, folder, &names, &n, &e)) return NULL;
    for (; *ends; ends++)
        for (size_t i = 0; i < n; i++)
            if (str_ends(names[i], *ends) && strcmp(names[i], "refs.json")) return file_join(a, folder, names[i]);
    return NULL;
}

static struct tensor *array_of(struct arena *a, const struct zip *z, const char *kind, int i, struct err *e)
{
    struct npy n;
    char name[16];
    snprintf(name, sizeof name, "%s%d.npy", kind, i);
    if (!zip_find(z, name)) return NULL;
    snprintf(name, sizeof name, "%s%d", kind, i);
    if (npz_read(&n, a, z, name, 1u << 30, e)) return NULL;
    snprintf(name, sizeof name, "%s%u", n.kind == 'f' ? "float" : n.kind == 'u' ? "uint" : "int", n.size * 8);
    struct shape s = shape_of((int)n.rank, n.shape);
    return tensor_copy(a, n.kind == 'b' ? DT_BOOL : dtype_from_name(name), &s, n.data.data, e);
}

/* in0.. and out0.. of NAME.io.npz */
static int load_npz(struct sample *s, const char *path, struct err *e)
{
    struct bytes file;
    struct zip z;
    TRY(file_map(s->arena, path, &file, e));
    TRY(zip_open(&z, s->arena, path, file, e));
    for (int i = 0; i < IO_MAX; i++) {
        struct tensor *in = array_of(s->arena, &z, "in", i, e), *out = array_of(s->arena, &z, "out", i, e);
        if (in) s->in[s->n_in++] = in;
        if (out) s->want[s->n_want++] = out;
    }
    return e->code;
}

static int load_list(
    struct sample *s, const char *folder, const json_t *list, struct tensor **out, size_t *n, struct err *e)
{
    for (size_t i = 0; i < json_array_size(list) && i < IO_MAX; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (!(out[(*n)++] = tensor_from_npy(s->arena, file_join(s->arena, folder, name), e))) return e->code;
    }
    return 0;
}

/* In the model's type: Keras takes whole numbers for floats. */
static struct tensor *in_type(struct arena *a, struct tensor *t, enum dtype to, struct err *e)
{
    if (t->dtype == to) return t;
    struct tensor *made = tensor_new(a, to, &t->shape, e);
    for (int64_t i = 0; made && i < tensor_count(t); i++) tensor_set_f64(made, i, tensor_get_f64(t, i));
    return made;
}

static int run(struct sample *s, struct model *m, double *most, struct err *e)
{
    struct tensor out[IO_MAX] = { { 0 } };
    const struct tensor *in[IO_MAX];
    struct session_options o = { .packs = m->packs, .threads = 1 };
    if (m->graph->n_inputs != s->n_in || m->graph->n_outputs != s->n_want)
        return fail(e, ERR_FAILED, "%zu inputs and %zu outputs, expected %zu and %zu", m->graph->n_inputs,
            m->graph->n_outputs, s->n_in, s->n_want);
    struct session *session = session_new(m->graph, &o, e);
    if (!session) return e->code;
    for (size_t i = 0; i < s->n_in; i++)
        if (!(in[i] = in_type(s->arena, s->in[i], m->graph->inputs[i]->dtype, e)))
            return session_free(session), e->code;
    int code = session_run(session, in, out, e);
    for (size_t i = 0; !code && i < s->n_want; i++) {
        struct tensor *got = tensor_copy(s->arena, out[i].dtype, &out[i].shape, out[i].data, e);
        if (!got) code = e->code;
        else *most = fmax(*most, tensor_difference(got, s->want[i]));
    }
    session_free(session);
    return code;
}

static int open_and_run(struct sample *s, double *most, struct err *e)
{
    struct model m;
    struct model_options o = { .import.weights = s->weights };
    int code = model_open(&m, s->model, &o, e);
    if (!code) code = run(s, &m, most, e);
    model_close(&m);
    return code;
}

struct table {
    int tried, passed, refused, wrong;
    double worst;
};

/* One line of the table. `refuse`: it should be. */
static void tell(
    struct table *t, const char *kind, const char *name, int code, double most, bool refuse, const struct err *e)
{
    bool refused = code == ERR_UNSUPPORTED, right = !code && most <= 1e-4;
    const char *line = strchr(e->text, '\n');
    t->tried++;
    t->passed += right;
    t->refused += refused && refuse;
    t->wrong += !right && !(refused && refuse);
    if (right) t->worst = fmax(t->worst, most);
    corpus_line(str_ends(kind, "v3")       ? "keras v3"
            : str_ends(kind, "h5")           ? "keras h5"
            : str_ends(kind, "golden/keras") ? "keras 3.15 golden"
                                             : "keras samples",
        name,
        right         ? "right"
            : refused ? "refused"
                      : "WRONG",
        right ? most : -1, line ? line + 1 : e->text);
}

/* Every model of a folder, each with its NAME.io.npz. */
static void run_folder(struct arena *a, const char *folder, struct table *t)
{
    struct err e = { 0 };
    const char **names, *only = getenv("TENREC_SAMPLE");
    size_t n;
    CHECK_OK(file_list(a, folder, &names, &n, &e), &e);
    for (size_t i = 0; i < n; i++) {
        struct err failed = { 0 };
        double most = 0;
        if (!(str_ends(names[i], ".keras") || str_ends(names[i], ".h5")) || (only && !strstr(names[i], only))) continue;
        struct sample s = { .arena = a, .model = file_join(a, folder, names[i]) };
        const char *dot = strrchr(names[i], '.');
        int code = load_npz(&s, arena_printf(a, "%s/%.*s.io.npz", folder, (int)(dot - names[i]), names[i]), &failed);
        if (!code) code = open_and_run(&s, &most, &failed);
        tell(t, folder, names[i], code, most, str_starts(names[i], "fn_lambda"), &failed);
    }
    printf("# %d tried, %d passed (worst error %.2g), %d refused as they should be\n", t->tried, t->passed, t->worst,
        t->refused);
}

TEST(samples)
{
    struct arena a;
    struct table t = { 0 };
    arena_init(&a, NULL);
    const char *folder = shared_dir() ? file_join(&a, shared_dir(), "samples/keras") : NULL;
    if (!folder || !file_is_dir(folder)) SKIP("no Keras samples");
    run_folder(&a, folder, &t);
    CHECK_INT(t.wrong, 0);
    arena_release(&a);
}

/* Saved by Keras 3 itself: what less common attributes, calls and operations mean. */
TEST(golden)
{
    struct arena a;
    struct table t = { 0 };
    const char *source = getenv("TENREC_SOURCE");
    arena_init(&a, NULL);
    run_folder(&a, arena_printf(&a, "%s/tests/golden/keras", source ? source : "."), &t);
    CHECK_INT(t.wrong, 0);
    CHECK(t.passed >= 18);
    CHECK(t.worst < 1e-5);
    arena_release(&a);
}

/* An archive whose list of weights is `list`, read; the error's text. */
static const char *with_list(struct arena *a, const char *list)
{
    static const char config[] =
        "{\"class_name\": \"Sequential\", \"config\": {\"name\": \"m\", \"layers\": [{\"class_name\": \"Dense\", "
        "\"config\": {\"name\": \"d\", \"units\": 2, \"batch_input_shape\": [null, 3]}}]}}";
    struct err e = { 0 };
    struct file_writer w;
    struct zip_writer z;
    struct graph *g;
    struct report r = report_in(a);
    const char *path = arena_printf(a, "/tmp/tenrec-pieces-%d.keras", (int)getpid());
    CHECK(!file_writer_open(&w, a, path, &e));
    zip_writer_init(&z, a, &w);
    CHECK(!zip_writer_add(&z, "config.json", config, sizeof config - 1, &e));
    CHECK(!zip_writer_add(&z, "model.weights.json", list, strlen(list), &e));
    CHECK(!zip_writer_finish(&z, &e) && !file_writer_commit(&w, &e));
    CHECK(format_read(a, path, NULL, &g, &r, &e) < 0);
    unlink(path);
    return arena_strdup(a, e.text);
}

TEST(lists_of_weights_name_files_beside_them)
{
    struct arena a;
    arena_init(&a, NULL);
    CHECK(strstr(with_list(&a, "{\"weight_map\": {\"/layers/dense/vars\": [\"../x.h5\"]}}"), "is no name of a file"));
    CHECK(strstr(with_list(&a, "{\"weight_map\": {\"/layers/dense/vars\": [\"x\"]}}"), "is no name of a file"));
    CHECK(strstr(with_list(&a, "{\"weight_map\": {\"/layers/dense/vars\": [3]}}"), "is no name of a file"));
    CHECK(strstr(with_list(&a, "{\"weight_map\": {\"/layers/dense/vars\": [\"m.h5\"]}}"), "has no m.h5"));
    CHECK(strstr(with_list(&a, "{\"weight_map\": []}"), "no weight_map that names files"));
    CHECK(strstr(with_list(&a, "{"), "model.weights.json"));
    arena_release(&a);
}

static void one_of_corpus(struct table *t, const char *below, const char *name)
{
    static const char *const models[] = { ".keras", ".json", ".h5", ".hdf5", NULL }, *const weights[] = { ".h5", NULL };
    struct arena a;
    struct err e = { 0 };
    double most = 0;
    arena_init(&a, NULL);
    const char *folder = file_join(&a, below, name);
    struct sample s = { .arena = &a, .model = ending(&a, folder, models) };
    json_t *refs = json_load_file(file_join(&a, folder, "refs.json"), 0, NULL);
    const char *status = json_string_value(json_object_get(refs, "status"));
    if (s.model && str_ends(s.model, ".json")) s.weights = ending(&a, folder, weights);
    int code = load_list(&s, folder, json_object_get(refs, "inputs"), s.in, &s.n_in, &e);
    if (!code) code = load_list(&s, folder, json_object_get(refs, "outputs"), s.want, &s.n_want, &e);
    if (!code && status && strcmp(status, "weights-only")) {
        code = open_and_run(&s, &most, &e);
        tell(t, below, name, code, most, !strcmp(status, "expect-refusal"), &e);
    }
    CHECK_OK(code == ERR_UNSUPPORTED ? 0 : code, &e);
    json_decref(refs);
    arena_release(&a);
}

TEST(corpus)
{
    static const char *const folders[] = { "corpus/keras_h5", "corpus/keras_v3" };
    struct arena a;
    struct err e = { 0 };
    struct table t = { 0 };
    const char **names, *only = getenv("TENREC_SAMPLE");
    size_t n;
    arena_init(&a, NULL);
    if (!shared_dir()) SKIP("no corpus");
    for (int f = 0; f < 2; f++) {
        const char *folder = file_join(&a, shared_dir(), folders[f]);
        if (!file_is_dir(folder)) SKIP("no corpus");
        CHECK_OK(file_list(&a, folder, &names, &n, &e), &e);
        for (size_t i = 0; i < n; i++)
            if (!only || strstr(names[i], only)) one_of_corpus(&t, folder, names[i]);
    }
    printf("# %d tried, %d passed (worst error %.2g), %d refused as they should be\n", t.tried, t.passed, t.worst,
        t.refused);
    CHECK_INT(t.wrong, 0);
    arena_release(&a);
}

/* A line of tensors.tsv: name, type, shape, sum, first, sha256. */
static bool check_line(struct hdf5 *h, struct arena *a, char *line, struct err *e)
{
    char *save, *field[6], hex[65], shape[300] = "", type[16];
    for (int i = 0; i < 6; i++)
        if (!(field[i] = strtok_r(i ? NULL : line, "\t\n", &save))) return false;
    struct hdf5_object *o = hdf5_find(h, NULL, field[0], e);
    struct bytes data;
    if (!o && !e->code) fail(e, ERR_FAILED, "%s is not there", field[0]);
    if (!o || hdf5_read(h, o, &data, e)) return false;
    for (int d = 0; d < o->space.rank; d++)
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%s%llu", d ? "x" : "",
            (unsigned long long)o->space.dim[d]);
    snprintf(type, sizeof type, "%s%u",
        o->type.kind == 'f'       ? "float"
            : o->type.kind == 'u' ? "uint"
                                  : "int",
        o->type.size * 8);
    hash_sha256(data.data, data.len, hex);
    bool same = !strcmp(type, field[1]) && (!strcmp(shape, field[2]) || !o->space.rank) && !strcmp(hex, field[5]);
    if (!same)
        fail(
            e, ERR_FAILED, "%s: %s %s %s, expected %s %s %s", field[0], type, shape, hex, field[1], field[2], field[5]);
    return same;
}

static int check_tensors(struct arena *a, const char *folder, const char *model)
{
    struct err e = { 0 };
    struct bytes file, list;
    struct hdf5 h;
    struct zip z;
    int n = 0;
    CHECK_OK(file_map(a, model, &file, &e), &e);
    if (zip_is(file)) {
        CHECK_OK(zip_open(&z, a, model, file, &e), &e);
        CHECK_OK(zip_read(&z, zip_find(&z, "model.weights.h5"), a, 1u << 30, 0, &file, &e), &e);
    }
    CHECK_OK(hdf5_open(&h, a, model, file, &e), &e);
    const char *path = file_join(a, folder, "tensors.tsv");
    if (!file_exists(path) || file_read(a, path, 1u << 28, &list, &e)) return 0;
    char *text = arena_strndup(a, (const char *)list.data, list.len), *save, *line = strtok_r(text, "\n", &save);
    while ((line = strtok_r(NULL, "\n", &save))) {
        CHECK(check_line(&h, a, line, &e));
        CHECK_OK(e.code, &e);
        err_clear(&e);
        n++;
    }
    return n;
}

TEST(every_tensor_is_the_one_listed)
{
    static const char *const folders[] = { "corpus/keras_h5", "corpus/keras_v3" };
    static const char *const weights[] = { ".h5", ".hdf5", ".keras", NULL };
    struct arena a;
    struct err e = { 0 };
    const char **names;
    size_t n;
    int files = 0, tensors = 0;
    arena_init(&a, NULL);
    if (!shared_dir()) SKIP("no corpus");
    for (int f = 0; f < 2; f++) {
        const char *below = file_join(&a, shared_dir(), folders[f]);
        if (!file_is_dir(below)) SKIP("no corpus");
        CHECK_OK(file_list(&a, below, &names, &n, &e), &e);
        for (size_t i = 0; i < n; i++) {
            const char *folder = file_join(&a, below, names[i]), *model = ending(&a, folder, weights);
            int found = model ? check_tensors(&a, folder, model) : 0;
            files += found > 0;
            tensors += found;
        }
    }
    printf("# %d tensors of %d files\n", tensors, files);
    CHECK(files >= 20);
    arena_release(&a);
}
