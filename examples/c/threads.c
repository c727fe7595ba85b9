/* threads.c - one model, a session per thread: threads MODEL N runs N forward passes in each of four threads. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tenrec/tenrec.h>

enum { THREADS = 4 };

struct work {
    struct tenrec_model *model;
    int runs;
    double sum; /* of the first output's float32 values, over all runs */
    struct tenrec_error error;
};

/* Zeros for the first input, a free dimension being 1. */
static float *make_input(const struct tenrec_model *model, struct tenrec_tensor *t, struct tenrec_error *error)
{
    struct tenrec_port port;
    size_t count = 1;
    if (tenrec_input(model, 0, &port, error)) return NULL;
    memset(t, 0, sizeof *t);
    t->dtype = TENREC_FLOAT32;
    t->rank = port.rank;
    for (int i = 0; i < port.rank; i++) count *= (size_t)(t->dim[i] = port.dim[i] < 0 ? 1 : port.dim[i]);
    return t->data = calloc(count, sizeof(float));
}

static void *work(void *cookie)
{
    struct work *w = cookie;
    struct tenrec_session_options o = { .size = sizeof o, .threads = 1 };
    struct tenrec_session *session = tenrec_session_new(w->model, &o, &w->error);
    struct tenrec_tensor in, out;
    float *data = session ? make_input(w->model, &in, &w->error) : NULL;
    for (int i = 0; data && i < w->runs; i++) {
        size_t count = 1;
        if (tenrec_run(session, &in, 1, &out, 1, &w->error)) break;
        for (int k = 0; k < out.rank; k++) count *= (size_t)out.dim[k];
        for (size_t k = 0; k < count; k++) w->sum += ((const float *)out.data)[k];
    }
    free(data);
    tenrec_session_free(session);
    return NULL;
}

int main(int argc, char **argv)
{
    struct tenrec_error error = { 0 };
    struct tenrec_model *model = argc == 3 ? tenrec_open(argv[1], NULL, &error) : NULL;
    struct work list[THREADS];
    pthread_t threads[THREADS];
    int n = 0, failed = !model;
    if (!model) fprintf(stderr, "threads: %s\n", argc == 3 ? error.text : "usage: threads MODEL N");
    for (; model && n < THREADS; n++) {
        memset(&list[n], 0, sizeof list[n]);
        list[n].model = model;
        list[n].runs = atoi(argv[2]);
        if (pthread_create(&threads[n], NULL, work, &list[n])) break;
    }
    for (int i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
        printf("%.9g %s\n", list[i].sum, list[i].error.text);
        if (list[i].error.code) failed = 1;
    }
    tenrec_close(model);
    return failed;
}
