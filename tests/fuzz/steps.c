/* steps.c - fuzz target: lists of pre- and postprocessing steps, read and run on a small image and a small tensor. */
#include <string.h>

#include "data/postprocess.h"
#include "data/preprocess.h"
#include "enc/json.h"
#include "fuzz.h"

static void prepare(struct arena *a, const json_t *list, struct provenance *from)
{
    struct preprocess p = { 0 };
    struct image img;
    struct tensor out;
    struct err e = { 0 };
    if (!fuzz_ok(preprocess_parse(&p, a, list, "fuzz", &e), &e)) return;
    if (image_new(&img, a, 5, 4, 3, 8, 0, &e)) return;
    memset(img.pixels, 77, 5 * 4 * 3);
    int code = preprocess_image(&p, a, &img, &out, from, &e); /* a large size may be too large for the arena */
    if (code != ERR_NOMEM) fuzz_ok(code, &e);
}

static void answer(struct arena *a, const json_t *list, const struct provenance *from)
{
    struct postprocess p = { 0 };
    struct answer answer;
    struct err e = { 0 };
    struct shape s = shape_of(4, (int64_t[]){ 1, 3, 4, 5 });
    if (!fuzz_ok(postprocess_parse(&p, a, list, "fuzz", &e), &e)) return;
    struct tensor *t = tensor_new(a, DT_F32, &s, &e);
    struct outputs outputs = { t, 1, NULL };
    if (t) fuzz_ok(postprocess_run(&p, a, &outputs, 0, from, &answer, &e), &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct err e = { 0 };
    json_t *list;
    struct provenance from = { .original = { 5, 4 } };
    fuzz_arena(&a);
    if (fuzz_ok(json_parse(&a, "fuzz", (struct bytes){ data, size }, &list, &e), &e)) {
        struct provenance seen = { 0 };
        prepare(&a, list, &seen);
        answer(&a, list, &from);
    }
    arena_release(&a);
    return 0;
}
