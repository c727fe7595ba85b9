/* cmd_run.c - raw tensors in, raw tensors out. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/str.h"
#include "cli/inputs.h"
#include "cli/opening.h"
#include "cli/profile.h"
#include "data/arrays.h"
#include "enc/json.h"
#include "exec/session.h"
#include "graph/op.h"
#include "graph/sequence.h"
#include "plan/plan.h"

struct named {
    const char *name;
    struct tensor *tensor;
};

struct job {
    struct args *args;
    struct arena *arena;
    struct model model;
    struct session *session;
    struct tensor **in;
    struct provenance *from;
    struct named *results;
    size_t n_results, cap_results;
    const struct shape *shapes; /* of the last call */
};

/* Items of a sequence are results of their own: NAME/0, NAME/1 ... */
static int keep(struct job *job, const char *name, const struct tensor *t, struct err *e)
{
    if (dtype_is_container(t->dtype)) {
        for (int64_t i = 0; i < tensor_count(t); i++) {
            const char *item = arena_printf(job->arena, "%s/%lld", name, (long long)i);
            TRY_MEM(item, e);
            TRY(keep(job, item, sequence_item(t, i), e));
        }
        return 0;
    }
    struct named r = { name, tensor_keep(job->arena, t, e) };
    if (!r.tensor) return e->code;
    return ARRAY_PUSH(job->arena, job->results, job->n_results, job->cap_results, r) ? 0 : fail_nomem(e);
}

static int keep_outputs(struct job *job, size_t call, const struct tensor *out, struct err *e)
{
    const struct graph *g = job->model.graph;
    for (size_t i = 0; i < g->n_outputs; i++) {
        const char *name = g->outputs[i]->name;
        if (call) TRY_MEM(name = arena_printf(job->arena, "%zu/%s", call + 1, name), e);
        TRY(keep(job, name, &out[i], e));
    }
    return 0;
}

/* One call: the words between two --then. Inputs that a later call does not give keep what they had. */
static int call(struct job *job, size_t number, const char *const *words, size_t n, struct err *e)
{
    const struct graph *g = job->model.graph;
    struct tensor **in = ARENA_ARRAY(job->arena, g->n_inputs, struct tensor *);
    struct tensor *out = ARENA_ARRAY(job->arena, g->n_outputs, struct tensor);
    struct shape *shapes = ARENA_ARRAY(job->arena, g->n_inputs, struct shape);
    if (!in || !out || !shapes) return fail_nomem(e);
    TRY(inputs_read(&job->model, job->arena, words, n, in, job->from, e));
    for (size_t i = 0; i < g->n_inputs; i++)
        if (!in[i]) in[i] = job->in[i];
    TRY(inputs_check(g, job->arena, in, e));
    for (size_t i = 0; i < g->n_inputs; i++) shapes[i] = in[i]->shape, job->in[i] = in[i];
    job->shapes = shapes;
    TRY(session_run(job->session, (const struct tensor *const *)in, out, e));
    return keep_outputs(job, number, out, e);
}

static int call_all(struct job *job, struct err *e)
{
    struct args *args = job->args;
    size_t at = 1;
    for (size_t i = 0; i <= args->n_breaks; i++) {
        size_t end = i < args->n_breaks ? args->breaks[i] : args->n_words;
        if (end < at) return fail(e, ERR_USAGE, "--then: the model's file comes first");
        TRY(call(job, i, args->words + at, end - at, e));
        at = end;
    }
    return 0;
}

/* NumPy has no bfloat16: it goes out as float32. */
static int to_npy(struct job *job, const struct named *r, struct npy *out, struct err *e)
{
    const struct tensor *t = r->tensor;
    if (t->dtype == DT_BF16) {
        fprintf(stderr, "tenrec: note: output %s: bfloat16 is written as float32\n", r->name);
        if (!(t = tensor_converted(job->arena, t, DT_F32, r->name, true, e))) return e->code;
    }
    return npy_from_tensor(out, t, e) ? err_prefix(e, "output %s", r->name) : 0;
}

static int put_results(struct job *job, struct file_writer *w, bool archive, struct err *e)
{
    struct zip_writer zip;
    struct npy array;
    if (archive) zip_writer_init(&zip, job->arena, w);
    for (size_t i = 0; i < job->n_results; i++) {
        TRY(to_npy(job, &job->results[i], &array, e));
        TRY(archive ? npz_add(&zip, job->results[i].name, &array, e) : npy_write(&array, job->arena, w, e));
    }
    return archive ? zip_writer_finish(&zip, e) : 0;
}

static int write_results(struct job *job, const char *path, struct err *e)
{
    struct file_writer w;
    TRY(file_writer_open(&w, job->arena, path, e));
    if (!put_results(job, &w, str_ends(path, ".npz"), e)) return file_writer_commit(&w, e);
    file_writer_abort(&w);
    return e->code;
}

struct summary {
    int64_t n, not_finite;
    double min, max, mean;
};

static int summarize(struct arena *a, const struct tensor *t, struct summary *s, struct err *e)
{
    *s = (struct summary){ .n = tensor_count(t), .min = INFINITY, .max = -INFINITY };
    double *v = ARENA_ARRAY(a, s->n, double), sum = 0;
    TRY_MEM(v, e);
    load_f64(t->dtype, t->data, s->n, v);
    for (int64_t i = 0; i < s->n; i++) {
        if (!isfinite(v[i])) {
            s->not_finite++;
            continue;
        }
        s->min = v[i] < s->min ? v[i] : s->min;
        s->max = v[i] > s->max ? v[i] : s->max;
        sum += v[i];
    }
    s->mean = s->n > s->not_finite ? sum / (double)(s->n - s->not_finite) : NAN;
    return 0;
}

static int print_results(struct job *job, struct err *e)
{
    for (size_t i = 0; i < job->n_results; i++) {
        const struct tensor *t = job->results[i].tensor;
        struct summary s;
        struct str shape = str_in(job->arena);
        TRY(summarize(job->arena, t, &s, e));
        shape_print(job->model.graph, &t->shape, &shape);
        printf("%s %s%s", job->results[i].name, dtype_name(t->dtype), str_done(&shape) ? str_done(&shape) : "");
        if (s.n > s.not_finite) printf("  min %.6g  max %.6g  mean %.6g", s.min, s.max, s.mean);
        if (s.not_finite) printf("  %lld not finite", (long long)s.not_finite);
        printf("\n   ");
        for (int64_t k = 0; k < s.n && k < 8; k++) printf(" %.6g", tensor_get_f64(t, k));
        puts(s.n > 8 ? " ..." : "");
    }
    return 0;
}

static int print_results_json(struct job *job, struct err *e)
{
    json_t *root = json_object();
    TRY(json_own(job->arena, root, e));
    for (size_t i = 0; i < job->n_results; i++) {
        const struct tensor *t = job->results[i].tensor;
        struct summary s;
        TRY(summarize(job->arena, t, &s, e));
        json_t *shape = json_array(), *first = json_array();
        for (int d = 0; d < t->shape.rank; d++) json_array_append_new(shape, json_integer((json_int_t)t->shape.dim[d]));
        for (int64_t k = 0; k < s.n && k < 8; k++) {
            double v = tensor_get_f64(t, k);
            json_array_append_new(first, isfinite(v) ? json_real(v) : json_null());
        }
        json_t *o = json_pack("{s:s,s:o,s:o,s:I}", "datatype", dtype_name(t->dtype), "shape", shape, "first", first,
            "not_finite", (json_int_t)s.not_finite);
        if (s.n > s.not_finite) {
            json_object_set_new(o, "min", json_real(s.min));
            json_object_set_new(o, "max", json_real(s.max));
            json_object_set_new(o, "mean", json_real(s.mean));
        }
        json_object_set_new(root, job->results[i].name, o);
    }
    return print_json(job->arena, root, e);
}

/* FILE.png, or FILE.NAME.png when several inputs are images. */
static int save_inputs(struct job *job, const char *path, struct err *e)
{
    const struct graph *g = job->model.graph;
    size_t images = 0;
    for (size_t i = 0; i < g->n_inputs; i++) images += job->from[i].seen.pixels != NULL;
    if (!images) return fail(e, ERR_USAGE, "--save-input: no input was given as an image");
    for (size_t i = 0; i < g->n_inputs; i++) {
        struct image img = job->from[i].seen;
        struct bytes png;
        if (!img.pixels) continue;
        size_t len = strlen(path) - (str_ends(path, ".png") ? 4 : 0),
               bytes = image_row_bytes(&img) * (size_t)img.height;
        const char *name = images == 1 ? path
                                       : arena_printf(job->arena, "%.*s.%s.png", (int)len, path, g->inputs[i]->name);
        uint8_t *pixels = arena_alloc(job->arena, bytes);
        if (!name || !pixels) return fail_nomem(e);
        memcpy(pixels, img.pixels, bytes);
        img.pixels = pixels;
        if (job->model.preprocess[i]->color == IMAGE_BGR) image_swap_red_blue(&img);
        TRY(png_encode(&png, job->arena, &img, e));
        TRY(file_write(job->arena, name, png.data, png.len, e));
    }
    return 0;
}

static int print_profile(struct job *job, struct err *e)
{
    const struct plan *p = session_plan(job->session, job->shapes, e);
    return p ? profile_print(p, job->arena, e) : e->code;
}

static int report(struct job *job, struct err *e)
{
    const struct conf *c = &job->args->conf;
    const char *out = conf_string(c, "output"), *saved = conf_string(c, "save-input");
    if (saved) TRY(save_inputs(job, saved, e));
    if (out) TRY(write_results(job, out, e));
    else TRY(conf_flag(c, "json") ? print_results_json(job, e) : print_results(job, e));
    return conf_flag(c, "profile") ? print_profile(job, e) : 0;
}

static int check_output(const struct job *job, struct err *e)
{
    const char *out = conf_string(&job->args->conf, "output");
    size_t n = job->model.graph->n_outputs * (job->args->n_breaks + 1);
    const char *saved = conf_string(&job->args->conf, "save-input");
    if (saved && !str_ends(saved, ".png")) return fail(e, ERR_USAGE, "--save-input %s: it must end in .png", saved);
    if (!out || str_ends(out, ".npz")) return 0;
    if (!str_ends(out, ".npy")) return fail(e, ERR_USAGE, "-o %s: it must end in .npz or .npy", out);
    return n == 1 ? 0 : fail(e, ERR_USAGE, "-o %s: there are %zu outputs; use .npz, which holds them by name", out, n);
}

static int work(struct job *job, struct err *e)
{
    const struct conf *c = &job->args->conf;
    TRY(open_model(&job->model, job->args, 0, e));
    TRY(check_output(job, e));
    size_t n = job->model.graph->n_inputs;
    job->in = ARENA_ARRAY(job->arena, n, struct tensor *);
    job->from = ARENA_ARRAY(job->arena, n, struct provenance);
    if (!job->in || !job->from) return fail_nomem(e);
    struct session_options o = { .threads = (int)conf_int(c, "threads"),
        .reference = conf_flag(c, "reference"),
        .profile = conf_flag(c, "profile"),
        .precision = read_precision(job->args),
        .turns_max = conf_int(c, "max-turns"),
        .packs = conf_flag(c, "reference") ? NULL : job->model.packs };
    TRY(read_recipe(job->args, job->model.graph, &o.recipe, e));
    if (!(job->session = session_new(job->model.graph, &o, e))) return e->code;
    TRY(call_all(job, e));
    bool images = false;
    for (size_t i = 0; i < n; i++) images = images || job->from[i].seen.pixels;
    if (images) print_report(&job->model.report, true); /* of how to prepare them */
    return report(job, e);
}

static int run(struct args *args, struct err *e)
{
    struct job job = { .args = args, .arena = args->arena };
    int code = work(&job, e);
    session_free(job.session);
    model_close(&job.model);
    return code;
}

static const struct conf_key keys[] = {
    { "output", 'o', CONF_WRITE, "OUT.npz|OUT.npy", NULL, NULL, 0, 0,
        "the outputs, by name; without it their shapes and a summary are printed" },
    { "then", 0, CONF_BREAK, "[NAME=]IN ...", NULL, NULL, 0, 0,
        "run again on the same session, for models that keep state; its outputs are called 2/NAME, 3/NAME, ..." },
    { "save-input", 0, CONF_WRITE, "FILE.png", NULL, NULL, 0, 0, "what the model saw of an image" },
    { "reference", 0, CONF_FLAG, NULL, NULL, NULL, 0, 0, "plain C kernels only: slow, always correct" },
    { "profile", 0, CONF_FLAG, NULL, NULL, NULL, 0, 0, "time per node" },
    { "max-turns", 0, CONF_INT, "N", "0", NULL, 0, (int64_t)1 << 62,
        "how often one loop of the model may turn; 0: ten million" },
    { "threads", 't', CONF_INT, "N", "0", NULL, 0, 4096, "0: as many as this process may use" },
    KEY_PRECISION,
    KEY_RECIPE,
    KEY_JSON,
    KEYS_OPEN,
    { 0 },
};

const struct command command_run = {
    .name = "run",
    .synopsis = "FILE [NAME=]IN ... [-o OUT.npz] [--then IN ...]",
    .doc =
        "Run a model once: tensors in, tensors out.\n\n"
        "IN is an array (.npy), arrays by name (.npz), an ONNX TensorProto (.pb), an image (through the model's\n"
        "preprocessing), or numbers, as in 5 or 0.5,2. Without a name it feeds the next input. An input that a later\n"
        "call (--then) does not give keeps what it had.",
    .examples = "  tenrec run resnet18.onnx cat.jpg\n"
                "  tenrec run text.onnx ids=tokens.npy mask=mask.npy -o answers.npz\n"
                "  tenrec run vad.onnx chunk1.npy rate=16000 --then chunk2.npy --then chunk3.npy -o speech.npz\n",
    .min_words = 1,
    .max_words = -1,
    .keys = keys,
    .run = run,
};
