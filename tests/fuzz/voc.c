/* voc.c - fuzz target: boxes in Pascal VOC's XML. */
#include "data/boxes_voc.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct err e = { 0 };
    struct voc_file f;
    fuzz_arena(&a);
    if (fuzz_ok(voc_read(&f, &a, "fuzz", (struct bytes){ data, size }, &e), &e))
        for (size_t i = 0; i < f.n; i++) FUZZ_CHECK(f.objects[i].name);
    arena_release(&a);
    return 0;
}
