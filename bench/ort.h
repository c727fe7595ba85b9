/* ort.h - ONNX Runtime through the C interface of the library inside npm's onnxruntime-node.
 *
 * The interface is a table of functions that only ever grows at its end (onnxruntime_c_api.h): what is used of it is
 * declared here, and no header is needed.
 */
#ifndef BENCH_ORT_H
#define BENCH_ORT_H

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { API_VERSION = 16, LOG_ERRORS = 3, ALL_OPTIMIZATIONS = 99, ARENA_ALLOCATOR = 1, FLOAT = 1 };

/* Functions give a status, or NULL when all went well. The numbers are places in the table. */
struct api {
    void *from_0[2];
    const char *(*error_message)(void *status);
    void *(*create_env)(int level, const char *id, void **env);
    void *from_4[3];
    void *(*create_session)(void *env, const char *path, void *options, void **session);
    void *from_8;
    void *(*run)(void *session, void *options, const char *const *in_names, void *const *in, size_t n_in,
        const char *const *out_names, size_t n_out, void **out);
    void *(*create_session_options)(void **options);
    void *from_11[12];
    void *(*set_optimization_level)(void *options, int level);
    void *(*set_intra_op_threads)(void *options, int threads);
    void *(*set_inter_op_threads)(void *options, int threads);
    void *from_26[10];
    void *(*input_name)(void *session, size_t i, void *allocator, const char **name);
    void *(*output_name)(void *session, size_t i, void *allocator, const char **name);
    void *from_38[11];
    void *(*create_tensor)(
        void *memory, void *data, size_t bytes, const int64_t *dims, size_t rank, int type, void **value);
    void *from_50;
    void *(*tensor_data)(void *value, float **data);
    void *from_52[12];
    void *(*element_count)(void *info, size_t *count);
    void *(*type_and_shape)(void *value, void **info);
    void *from_66[3];
    void *(*cpu_memory_info)(int allocator, int type, void **info);
    void *from_70[8];
    void *(*default_allocator)(void **allocator);
    void *from_79[17];
    void (*release_value)(void *value);
};
struct api_base {
    const struct api *(*get_api)(uint32_t version);
    const char *(*get_version)(void);
};

static const struct api *api;
static const struct api_base *api_base;

static void check(void *status)
{
    if (!status) return;
    fprintf(stderr, "ort: %s\n", api->error_message(status));
    exit(1);
}

struct job {
    void *session, *in, *out;
    const char *in_name, *out_name;
};

static void open_session(struct job *j, const char *path, int threads)
{
    void *env, *options, *allocator;
    check(api->create_env(LOG_ERRORS, "bench", &env));
    check(api->create_session_options(&options));
    check(api->set_intra_op_threads(options, threads));
    check(api->set_inter_op_threads(options, 1));
    check(api->set_optimization_level(options, ALL_OPTIMIZATIONS));
    check(api->create_session(env, path, options, &j->session));
    check(api->default_allocator(&allocator));
    check(api->input_name(j->session, 0, allocator, &j->in_name));
    check(api->output_name(j->session, 0, allocator, &j->out_name));
}

static void load_library(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    const struct api_base *(*base)(void) =
        library ? (const struct api_base *(*)(void))dlsym(library, "OrtGetApiBase") : NULL;
    if (base && (api_base = base()) && (api = api_base->get_api(API_VERSION))) return;
    fprintf(stderr, "ort: %s\n", dlerror());
    exit(1);
}

static void set_input(struct job *j, float *x, size_t count, const int64_t *dims, size_t rank)
{
    void *memory;
    check(api->cpu_memory_info(ARENA_ALLOCATOR, 0, &memory));
    check(api->create_tensor(memory, x, count * sizeof *x, dims, rank, FLOAT, &j->in));
}

static void run_once(void *ctx)
{
    struct job *j = ctx;
    if (j->out) api->release_value(j->out);
    j->out = NULL;
    check(api->run(j->session, NULL, &j->in_name, &j->in, 1, &j->out_name, 1, &j->out));
}

static const float *result(struct job *j, size_t *count)
{
    void *info;
    float *data;
    check(api->type_and_shape(j->out, &info));
    check(api->element_count(info, count));
    check(api->tensor_data(j->out, &data));
    return data;
}

#endif
