/* yaml.c - fuzz target: what is parsed prints as JSON, and its positions are inside the text. */
#include "fuzz.h"

#include "enc/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct err e = { 0 };
    struct yaml y;
    struct bytes text = { 0 };
    fuzz_arena(&a);
    if (fuzz_ok(yaml_parse(&y, &a, "fuzz", (struct bytes){ data, size }, &e), &e)) {
        FUZZ_CHECK(fuzz_ok(json_print(y.root, 0, &a, &text, &e), &e));
        FUZZ_CHECK(yaml_find(&y, NULL, NULL, 0));
        for (size_t i = 0; i < y.n; i++) FUZZ_CHECK(y.marks[i].line <= size + 1 && y.marks[i].column <= size + 1);
    }
    arena_release(&a);
    return 0;
}
