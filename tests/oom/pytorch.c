/* pytorch.c - weights, programs and pickled modules of PyTorch, in and out, when memory runs out. */
#include "oom.h"

#include <unistd.h>

#include "base/err.h"
#include "base/report.h"
#include "format/format.h"
#include "format/weights/weights.h"
#include "graph/graph.h"

static const char *seed(struct arena *a, const char *name)
{
    const char *source = getenv("TENREC_SOURCE");
    return arena_printf(a, "%s/tests/fuzz/corpus/%s", source ? source : ".", name);
}

/* What is dropped silently (a line of the report) has failed, too. */
static int result(const struct arena *a, int code)
{
    return !code && a->failed ? ERR_NOMEM : code;
}

static int read_weights(const struct mem *mem, void *ctx)
{
    struct arena a;
    struct err e = { 0 };
    struct weights w;
    struct format_file file = { .path = ctx };
    arena_init(&a, mem);
    struct report r = report_in(&a);
    int code = (file.blob = mapped_file(&a, file.path, &file.bytes, &e)) ? 0 : e.code;
    if (!code) code = weights_read(&w, &a, &file, NULL, &r, &e);
    code = result(&a, code);
    arena_release(&a);
    return code;
}

static int read_and_write(const struct mem *mem, void *ctx)
{
    struct arena a;
    struct err e = { 0 };
    struct graph *g;
    char path[64];
    snprintf(path, sizeof path, "/tmp/tenrec-oom-%d.pt", (int)getpid());
    arena_init(&a, mem);
    struct report r = report_in(&a);
    struct import_hint hint = { .dtype = DT_F32, .rank = 2, .dim = { { .size = 2 }, { .size = 3 } } };
    struct import_options o = { .inputs = &hint, .n_inputs = 1 };
    int code = format_read(&a, ctx, &o, &g, &r, &e);
    if (!code) code = format_write(g, path, NULL, &r, &e);
    unlink(path);
    code = result(&a, code);
    arena_release(&a);
    return code;
}

static void each(int (*job)(const struct mem *mem, void *ctx), const char *name)
{
    struct arena a;
    arena_init(&a, NULL);
    const char *path = seed(&a, name);
    if (access(path, R_OK)) SKIP("no seeds of the fuzz targets");
    printf("# %s: %ld allocations\n", name, oom_each(job, (void *)(uintptr_t)path));
    arena_release(&a);
}

TEST(weights)
{
    each(read_weights, "weights/checkpoint.pt");
    each(read_weights, "weights/legacy.pt");
    each(read_weights, "weights/old.tar");
    each(read_weights, "weights/arrays.npz");
}

TEST(programs)
{
    each(read_and_write, "pt2/old.pt2");
    each(read_and_write, "pt2/new.pt2");
}

TEST(modules)
{
    each(read_and_write, "module/sequence.pt");
}
