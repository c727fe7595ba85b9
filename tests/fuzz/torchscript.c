/* torchscript.c - fuzz target: TorchScript code is parsed. */
#include "fuzz.h"

#include "format/torch/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct err e = { 0 };
    fuzz_arena(&a);
    struct ts_file *file = ts_parse(&a, "fuzz.py", "__torch__", (struct bytes){ data, size }, &e);
    fuzz_ok(file ? 0 : e.code, &e);
    arena_release(&a);
    return 0;
}
