/* fuzz.h - what every fuzz target needs: an arena with a small limit, and the promises that any input must keep. */
#ifndef TENREC_TESTS_FUZZ_H
#define TENREC_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Inputs are a few kilobytes: one that wants more than this has found a bomb. */
enum { FUZZ_MEMORY = 64 << 20 };

static inline void fuzz_arena(struct arena *a)
{
    arena_init(a, NULL);
    a->limit = FUZZ_MEMORY;
}

/* Stops unless `code` is a success or an error with words, other than "out of memory". Returns whether it succeeded. */
static inline int fuzz_ok(int code, struct err *e)
{
    if (code == ERR_NOMEM || (code < 0 && (!e->text[0] || e->code != code))) {
        fprintf(stderr, "broken promise: code %d, error %d \"%s\"\n", code, e->code, e->text);
        abort();
    }
    err_clear(e);
    return code >= 0;
}

#define FUZZ_CHECK(cond) ((cond) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond), abort()))

#endif
