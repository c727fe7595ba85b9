/* hdf5.c - fuzz target: an HDF5 file is opened, and every object that can be reached is read. */
#include "fuzz.h"

#include <string.h>

#include "enc/hdf5.h"

static void visit(struct hdf5 *h, struct hdf5_object *o, int depth, struct err *e)
{
    struct bytes data;
    const char **text;
    size_t n;
    for (size_t i = 0; i < o->attrs.n; i++) fuzz_ok(hdf5_strings(h, o->attrs.entries[i].value, &text, &n, e), e);
    if (o->kind == HDF5_DATASET && fuzz_ok(hdf5_read(h, o, &data, e), e)) {
        unsigned touched = 0;
        for (size_t i = 0; i < data.len; i += 64) touched |= data.data[i];
        FUZZ_CHECK(touched < 256 && data.len == o->space.count * o->type.size);
    }
    for (size_t i = 0; o->kind == HDF5_GROUP && depth < 6 && i < o->links.n && i < 64; i++) {
        struct hdf5_object *child = hdf5_child(h, o, o->links.entries[i].key, e);
        fuzz_ok(e->code, e);
        if (child) visit(h, child, depth + 1, e);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct err e = { 0 };
    struct hdf5 h;
    fuzz_arena(&a);
    if (fuzz_ok(hdf5_open(&h, &a, "fuzz", (struct bytes){ data, size }, &e), &e)) visit(&h, h.root, 0, &e);
    arena_release(&a);
    return 0;
}
