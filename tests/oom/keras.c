/* keras.c - reading Keras models when memory runs out. */
#include "oom.h"

#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/report.h"
#include "format/format.h"
#include "graph/graph.h"

static int job(const struct mem *mem, void *ctx)
{
    struct arena a;
    struct err e = { 0 };
    struct graph *g;
    arena_init(&a, mem);
    struct report r = report_in(&a);
    int result = format_read(&a, ctx, NULL, &g, &r, &e);
    CHECK(result == e.code);
    if (!result && a.failed) result = ERR_NOMEM; /* a report drops what it has no memory for */
    if (result && result != ERR_NOMEM) TAP_FAIL("%s", e.text);
    arena_release(&a);
    return result;
}

static void each(const char *name)
{
    char path[4096];
    const char *source = getenv("TENREC_SOURCE");
    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/keras/%s", source ? source : ".", name);
    if (access(path, R_OK)) SKIP("the seeds of the fuzz target are elsewhere");
    printf("# %s: %ld allocations\n", name, oom_each(job, path));
}

TEST(layers_h5)
{
    each("layers.h5");
}

TEST(calls_keras)
{
    each("calls.keras");
}

TEST(images_json)
{
    each("images.json");
}

/* Read, then written again: as layers, and as operations. */
static int write_job(const struct mem *mem, void *ctx)
{
    struct arena a;
    struct err e = { 0 };
    struct graph *g;
    const char **paths = ctx;
    arena_init(&a, mem);
    struct report r = report_in(&a);
    struct export_options none = { 0 };
    int result = format_read(&a, paths[0], NULL, &g, &r, &e);
    if (!result) result = format_write(g, paths[1], &none, &r, &e);
    if (!result && a.failed) result = ERR_NOMEM;
    if (result && result != ERR_NOMEM) TAP_FAIL("%s", e.text);
    arena_release(&a);
    return result;
}

static void each_written(const char *name, const char *ending)
{
    char path[4096], out[64];
    const char *source = getenv("TENREC_SOURCE");
    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/keras/%s", source ? source : ".", name);
    snprintf(out, sizeof out, "/tmp/tenrec-oom-%d.%s", (int)getpid(), ending);
    if (access(path, R_OK)) SKIP("the seeds of the fuzz target are elsewhere");
    const char *paths[] = { path, out };
    printf("# %s as %s: %ld allocations\n", name, ending, oom_each(write_job, paths));
    unlink(out);
}

TEST(written_as_h5)
{
    each_written("layers.h5", "h5");
}

TEST(written_as_keras)
{
    each_written("images.json", "keras");
}
