/* verify.c - a package proves itself: checksums, then golden examples. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"
#include "data/arrays.h"
#include "exec/session.h"
#include "package/compare.h"
#include "package/model.h"

struct verify {
    struct model *m;
    void (*say)(void *cookie, const char *line);
    void *cookie;
    int n_bad;
};

static void line(struct verify *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void line(struct verify *v, const char *fmt, ...)
{
    char text[1000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    v->say(v->cookie, text);
}

static int check_file(struct verify *v, const json_t *entry, struct err *e)
{
    const char *path = json_string_value(json_object_get(entry, "path"));
    const char *want = json_string_value(json_object_get(entry, "sha256"));
    struct bytes data;
    char got[65];
    if (!path || !want) return fail(e, ERR_MODEL, "manifest: an entry of files has no path or sha256");
    TRY(model_file(v->m, path, &data, e));
    hash_sha256(data.data, data.len, got);
    bool good = !strcmp(got, want);
    v->n_bad += !good;
    line(v, "%-20s %s", path, good ? "sha256 ok" : "sha256 DIFFERS");
    return 0;
}

/* The arrays of one side of an example, in the order of the graph's inputs or outputs. */
static int read_arrays(
    struct model *m, const json_t *list, struct value *const *values, size_t n, struct tensor ***out, struct err *e)
{
    struct arena *a = &m->arena;
    *out = ARENA_ARRAY(a, n, struct tensor *);
    TRY_MEM(*out, e);
    for (size_t i = 0; i < n; i++) {
        struct bytes data;
        struct npy array;
        const char *name = json_string_value(json_object_get(json_array_get(list, i), "name"));
        const char *file = json_string_value(json_object_get(json_array_get(list, i), "file"));
        if (!name || !file || strcmp(name, values[i]->name))
            return fail(e, ERR_MODEL, "manifest: the example has no array for %s", values[i]->name);
        TRY(model_file(m, file, &data, e));
        TRY(npy_read(&array, a, file, data, e));
        TRY(tensor_from_npy(&(*out)[i], a, &array, file, e));
    }
    return 0;
}

int package_example(struct model *m, size_t i, struct example *ex, struct err *e)
{
    const json_t *entry = json_array_get(json_object_get(m->manifest, "examples"), i);
    const struct graph *g = m->graph;
    struct tensor **in, **out;
    if (!entry) return 0;
    const char *by = json_string_value(json_object_get(entry, "made_by"));
    TRY(read_arrays(m, json_object_get(entry, "inputs"), g->inputs, g->n_inputs, &in, e));
    TRY(read_arrays(m, json_object_get(entry, "outputs"), g->outputs, g->n_outputs, &out, e));
    *ex = (struct example){ by ? by : "unknown", (const struct tensor *const *)in, (const struct tensor *const *)out };
    return 1;
}

/* Of an example, as its manifest says it; but a package cannot say that anything is near enough. */
static double tolerance_of(struct verify *v, const json_t *entry)
{
    const double most = 0.02; /* several steps of 8-bit numbers */
    const json_t *said = json_object_get(entry, "rtol");
    double rtol = json_is_number(said) ? json_number_value(said) : 1e-4;
    if (rtol <= most) return rtol;
    line(v, "the manifest's tolerance of %.3g is more than %.3g, which counts", rtol, most);
    return most;
}

static int run_example(struct verify *v, size_t index, const json_t *entry, struct session *s, struct err *e)
{
    const struct graph *g = v->m->graph;
    struct example ex;
    struct tensor *got = ARENA_ARRAY(&v->m->arena, g->n_outputs, struct tensor);
    TRY_MEM(got, e);
    TRY(package_example(v->m, index, &ex, e));
    TRY(session_reset(s, e));
    TRY(session_run(s, ex.in, got, e));
    double rtol = tolerance_of(v, entry);
    for (size_t i = 0; i < g->n_outputs; i++) {
        struct difference d;
        bool same_form = tensor_compare(&got[i], ex.out[i], &d);
        double relative = difference_relative(&d);
        bool good = same_form && (d.exact ? d.max == 0 : relative <= rtol);
        v->n_bad += !good;
        if (!same_form) line(v, "output %s: shape or type DIFFERS", g->outputs[i]->name);
        else
            line(v, "output %s: max |difference| %.3g of scale %.3g = %.3g (%s %.0e)", g->outputs[i]->name, d.max,
                d.scale, relative, good ? "within" : "OVER", rtol);
    }
    return 0;
}

static int run_examples(struct verify *v, struct err *e)
{
    const json_t *examples = json_object_get(v->m->manifest, "examples");
    size_t i;
    json_t *entry;
    if (!json_array_size(examples)) return line(v, "no examples: only the checksums were proved"), 0;
    struct session *s = session_new(v->m->graph, &(struct session_options){ .packs = v->m->packs }, e);
    bool fidelity = true;
    json_array_foreach(examples, i, entry)
    {
        const char *by = json_string_value(json_object_get(entry, "made_by"));
        if (s && !run_example(v, i, entry, s, e)) line(v, "example %zu, made by %s", i, by ? by : "unknown");
        fidelity &= by && strcmp(by, "unknown") && strncmp(by, "tenrec", 6);
    }
    session_free(s);
    if (!e->code && !v->n_bad)
        line(v,
            fidelity ? "proved: fidelity to outputs that the package says are of the source framework"
                     : "proved: self-consistency only (no outputs of the source framework)");
    return e->code;
}

static bool has_checksum(const json_t *files, const char *path)
{
    size_t i;
    json_t *entry;
    json_array_foreach(files, i, entry)
    {
        const char *there = json_string_value(json_object_get(entry, "path"));
        if (there && !strcmp(there, path)) return true;
    }
    return false;
}

/* A package that leaves its graph or its weights out of the list would prove nothing. */
static void want_checksums(struct verify *v, struct str *bad)
{
    static const char *const keys[][2] = { { "graph", "model.onnx" }, { "weights", "model.safetensors" } };
    const json_t *manifest = v->m->manifest;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *path = json_string_value(json_object_get(json_object_get(manifest, keys[i][0]), "file"));
        struct bytes data;
        struct err absent = { 0 };
        if (!path) path = keys[i][1];
        if (has_checksum(json_object_get(manifest, "files"), path) || model_file(v->m, path, &data, &absent)) continue;
        line(v, "%-20s no checksum", path);
        str_addf(bad, "%s%s has no checksum", v->n_bad++ ? ", " : "", path);
    }
}

/* All files are checked; the error names those that differ. */
static int check_files(struct verify *v, struct err *e)
{
    size_t i;
    json_t *entry;
    struct str bad = str_in(&v->m->arena);
    json_array_foreach(json_object_get(v->m->manifest, "files"), i, entry)
    {
        int before = v->n_bad;
        TRY(check_file(v, entry, e));
        if (v->n_bad != before)
            str_addf(&bad, "%s%s", before ? ", " : "", json_string_value(json_object_get(entry, "path")));
    }
    want_checksums(v, &bad);
    return v->n_bad ? fail(e, ERR_MISMATCH, "%s: damaged: %s", v->m->path, str_done(&bad)) : 0;
}

int package_verify_files(struct model *m, void (*say)(void *cookie, const char *line), void *cookie, struct err *e)
{
    struct verify v = { m, say, cookie, 0 };
    if (!m->zip && !m->folder) return fail(e, ERR_USAGE, "%s is no package; verify checks packages", m->path);
    return check_files(&v, e);
}

int package_verify(struct model *m, void (*say)(void *cookie, const char *line), void *cookie, struct err *e)
{
    struct verify v = { m, say, cookie, 0 };
    TRY(package_verify_files(m, say, cookie, e));
    TRY(run_examples(&v, e));
    return v.n_bad ? fail(e, ERR_MISMATCH, "%s: %d outputs differ", m->path, v.n_bad) : 0;
}
