/* protobuf.c - fuzz target: walks a message, taking every span for a message, a text and numbers in turn. */
#include "fuzz.h"

#include "enc/protobuf.h"

static void walk(struct proto *p, struct arena *a, int depth)
{
    struct err e = { 0 };
    struct proto_field f;
    for (int code; fuzz_ok(code = proto_next(p, &f, &e), &e) && code;) {
        struct arena_mark mark = arena_mark(a);
        const char *text;
        FUZZ_CHECK(f.number && p->at <= p->data.len);
        fuzz_ok(proto_text(p, &f, a, &text, &e), &e);
        for (int kind = PROTO_INT32; kind <= PROTO_DOUBLE; kind++) {
            struct proto_list list = { 0 };
            if (fuzz_ok(proto_append(p, &f, a, (enum proto_number)kind, &list, &e), &e))
                FUZZ_CHECK(list.n <= f.span.len + 1);
        }
        arena_rewind(a, mark);
        struct proto inner;
        if (f.wire == PROTO_SPAN && depth) proto_enter(&inner, p, &f), walk(&inner, a, depth - 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct proto p;
    fuzz_arena(&a);
    proto_init(&p, "fuzz", (struct bytes){ data, size });
    walk(&p, &a, 20);
    arena_release(&a);
    return 0;
}
