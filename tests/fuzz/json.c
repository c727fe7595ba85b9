/* json.c - fuzz target: what is parsed prints, and what is printed parses to the same tree. */
#include "fuzz.h"

#include "enc/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct err e = { 0 };
    json_t *tree, *again;
    struct bytes text = { 0 };
    fuzz_arena(&a);
    if (fuzz_ok(json_parse(&a, "fuzz", (struct bytes){ data, size }, &tree, &e), &e)) {
        FUZZ_CHECK(fuzz_ok(json_print(tree, 0, &a, &text, &e), &e));
        FUZZ_CHECK(fuzz_ok(json_parse(&a, "again", text, &again, &e), &e));
        FUZZ_CHECK(json_equal(tree, again));
    }
    arena_release(&a);
    return 0;
}
