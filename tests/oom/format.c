/* format.c - ONNX and safetensors files when memory runs out. */
#include "oom.h"

#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "format/onnx/write.h"
#include "format/safetensors.h"
#include "graph/builder.h"
#include "ops/registry.h"

/* x + w, then Relu; a state that changes. */
static int make(struct graph *g, struct err *e)
{
    struct builder b = { g, e };
    struct shape s = shape_of(2, (int64_t[]){ 2, 3 });
    struct value *x = graph_input(g, "x", DT_F32, &s, e);
    struct tensor *t = x ? tensor_new(g->arena, DT_F32, &s, e) : NULL;
    struct value *w = t ? graph_state(g, "w", t, VALUE_TRAINABLE, e) : NULL;
    if (!w) return e->code;
    struct value *y = emit(&b, "Add", NO_ATTRS, x, w);
    w->next = y;
    y = emit(&b, "Relu", NO_ATTRS, y);
    if (!y) return e->code;
    TRY(graph_output(g, y, e));
    return graph_tidy(g, e);
}

static int round_trip(struct arena *a, struct err *e)
{
    struct graph *g = graph_new(a, &op_registry, "g", e), *back = NULL;
    struct report r = report_in(a);
    struct proto_message m;
    struct format_file file = { .path = "nowhere" };
    if (!g) return e->code;
    TRY(make(g, e));
    TRY(onnx_write(g, a, &(struct onnx_write_options){ 0 }, &m, &r, e));
    TRY(proto_bytes(&m, a, &file.bytes, e));
    file.blob = blob_wrap(a->mem, file.bytes.data, file.bytes.len, NULL, NULL);
    TRY_MEM(file.blob, e);
    if (blob_adopt(a, file.blob)) return fail_nomem(e);
    return format_read_file(a, &file, format_find("onnx"), NULL, &back, &r, e);
}

static int write_and_read(const struct mem *mem, void *ctx)
{
    struct arena a;
    struct err e = { 0 };
    (void)ctx;
    arena_init(&a, mem);
    int code = round_trip(&a, &e);
    arena_release(&a);
    return code;
}

TEST(every_allocation_of_an_onnx_round_trip_may_fail)
{
    CHECK(oom_each(write_and_read, NULL) >= 5);
}

static int put_nothing(void *cookie, const void *data, size_t len, struct err *e)
{
    return 0;
}

static int lay_out(struct arena *a, struct err *e)
{
    struct safetensors s;
    struct shape shape = shape_of(1, (int64_t[]){ 700 });
    safetensors_init(&s, a);
    for (int i = 0; i < 40; i++) {
        const char *name = arena_printf(a, "tensor %d", i);
        struct tensor *t = name ? tensor_new(a, DT_F32, &shape, e) : NULL;
        if (!t) return fail_nomem(e);
        TRY(safetensors_add(&s, name, t, e));
    }
    TRY(safetensors_layout(&s, e));
    return safetensors_put(&s, put_nothing, NULL, e);
}

static int lay_out_tensors(const struct mem *mem, void *ctx)
{
    struct arena a;
    struct err e = { 0 };
    (void)ctx;
    arena_init(&a, mem);
    int code = lay_out(&a, &e);
    arena_release(&a);
    return code;
}

TEST(every_allocation_of_a_safetensors_layout_may_fail)
{
    CHECK(oom_each(lay_out_tensors, NULL) > 10);
}
