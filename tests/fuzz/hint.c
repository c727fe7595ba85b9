/* hint.c - fuzz target: what a user says of an input, "NAME=Nx3x224xW:f32". */
#include "format/format.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct import_hint h;
    struct err e = { 0 };
    fuzz_arena(&a);
    const char *text = arena_strndup(&a, (const char *)data, size);
    if (text && fuzz_ok(import_hint_parse(&a, text, &h, &e), &e))
        for (int i = 0; i < h.rank; i++) FUZZ_CHECK(h.rank <= SHAPE_MAX && (h.dim[i].symbol || h.dim[i].size >= 0));
    arena_release(&a);
    return 0;
}
