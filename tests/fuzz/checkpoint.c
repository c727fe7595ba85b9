/* checkpoint.c - fuzz target: the checkpoint of a training of one product; a refused one changes no state. */
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>

#include "exec/session.h"
#include "fuzz.h"
#include "graph/builder.h"
#include "ops/registry.h"
#include "train/checkpoint.h"
#include "train/step.h"

static struct arena lasting;
static struct graph *step;
static struct session *session;

/* (N, 3) -> Gemm -> (N, 2), learnt by Adam. */
static void make(struct err *e)
{
    struct graph *g = graph_new(&lasting, &op_registry, "small", e);
    struct builder b = { g, e };
    struct shape in = shape_of(2, (int64_t[]){ graph_symbol(g, "N"), 3 }), w = shape_of(2, (int64_t[]){ 3, 2 });
    struct value *x = graph_input(g, "x", DT_F32, &in, e);
    struct value *weight = graph_state(g, "weight", tensor_new(&lasting, DT_F32, &w, e), VALUE_TRAINABLE, e);
    FUZZ_CHECK(!graph_output(g, emit(&b, "Gemm", NO_ATTRS, x, weight), e) && !graph_tidy(g, e));
    struct train_head head = { .loss = { .name = "cross_entropy" } };
    struct train_step_options o = { .heads = &head, .n_heads = 1, .optimizer = "adam" };
    step = train_step_new(g, &o, &lasting, e);
    session = step ? session_new(step, &(struct session_options){ .threads = 1 }, e) : NULL;
    FUZZ_CHECK(session);
}

/* The sum of all numbers in all states. */
static double content(void)
{
    struct arena a;
    struct err e = { 0 };
    double sum = 0;
    arena_init(&a, NULL);
    for (size_t i = 0; i < step->n_states; i++) {
        const struct tensor *t = session_state(session, i, &a, &e);
        for (int64_t k = 0; k < tensor_count(t); k++) sum += tensor_get_f64(t, k);
    }
    arena_release(&a);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct err e = { 0 };
    json_t *trainer;
    char path[64];
    if (!session) arena_init(&lasting, NULL), make(&e);
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    fuzz_arena(&a);
    FUZZ_CHECK(!session_reset(session, &e));
    double before = content();
    if (!fuzz_ok(checkpoint_read(path, session, step, &a, &trainer, &e), &e)) FUZZ_CHECK(content() == before);
    arena_release(&a);
    close(fd);
    return 0;
}
