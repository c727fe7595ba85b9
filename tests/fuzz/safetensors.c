/* safetensors.c - fuzz target: a file that is taken has every tensor inside it, and can be written again. */
#include "format/safetensors.h"

#include "fuzz.h"

static int count(void *cookie, const void *data, size_t len, struct err *e)
{
    const unsigned char *p = data;
    unsigned touched = 0;
    for (size_t i = 0; i < len; i++) touched |= p[i];
    *(uint64_t *)cookie += len + (touched > 255);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct err e = { 0 };
    struct safetensors s, again;
    fuzz_arena(&a);
    struct blob *blob = blob_wrap(NULL, data, size, NULL, NULL);
    safetensors_init(&again, &a);
    if (fuzz_ok(safetensors_read(&s, &a, "fuzz", (struct bytes){ data, size }, blob, &e), &e)) {
        uint64_t total = 0;
        for (size_t i = 0; i < s.n; i++)
            FUZZ_CHECK(!safetensors_add(&again, s.entries[i].name, &s.entries[i].tensor, &e));
        if (fuzz_ok(safetensors_layout(&again, &e), &e)) {
            FUZZ_CHECK(!safetensors_put(&again, count, &total, &e));
            FUZZ_CHECK(total == again.size);
        }
    }
    arena_release(&a);
    blob_unref(blob);
    return 0;
}
