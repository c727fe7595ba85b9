/* pickle.c - fuzz target: reads pickles that follow each other and walks what they made. */
#include "fuzz.h"

#include "enc/pickle.h"

/* Each value once, by the rules of pickle.h. */
static void walk(struct pickle_value *v, int depth)
{
    static char seen;
    FUZZ_CHECK(depth < PICKLE_MAX_DEPTH);
    v->user = &seen;
    int64_t integer;
    double number;
    pickle_get_int(v, &integer);
    pickle_get_number(v, &number);
    pickle_dict_get(v, "state_dict");
    pickle_attr(v, "_modules");
    pickle_arg(v, 0);
    for (size_t i = 0; pickle_child(v, i); i++) {
        struct pickle_value *child = pickle_child(v, i);
        FUZZ_CHECK(child->in_cycle || v->in_cycle || child->height < v->height || v->height == PICKLE_MAX_DEPTH
            || child->user);
        if (!child->user) walk(child, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct err e = { 0 };
    struct pickle p;
    struct bytes file = { data, size };
    fuzz_arena(&a);
    for (size_t at = 0; at < size; at = p.end) {
        if (!fuzz_ok(pickle_read(&p, &a, "fuzz", file, at, &e), &e)) break;
        FUZZ_CHECK(p.end > at && p.end <= size);
        walk(p.root, 0);
        fuzz_ok(pickle_check(&p, "fuzz", &e), &e);
    }
    arena_release(&a);
    return 0;
}
