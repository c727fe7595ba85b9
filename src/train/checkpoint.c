/* checkpoint.c - states out and in. */
#include "train/checkpoint.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"
#include "enc/json.h"
#include "exec/session.h"
#include "format/safetensors.h"
#include "graph/graph.h"

/* The sum goes over the names and bytes of the graph's states in their order, then over what the trainer says. */
static void add_state(struct hash_stream *h, const struct value *v, const struct tensor *t)
{
    hash_add(h, v->name, strlen(v->name) + 1);
    hash_add(h, t->data, (size_t)tensor_bytes(t));
}

static int write_all(
    const char *path, struct session *s, const struct graph *g, const json_t *trainer, struct arena *a, struct err *e)
{
    struct safetensors file;
    struct bytes text;
    char *sum = arena_alloc(a, 65);
    TRY_MEM(sum, e);
    struct hash_stream h;
    hash_begin(&h);
    safetensors_init(&file, a);
    for (size_t i = 0; i < g->n_states; i++) {
        if (!g->states[i]->next) continue;
        const struct tensor *t = session_state(s, i, a, e);
        if (!t) return e->code;
        TRY(safetensors_add(&file, g->states[i]->name, t, e));
        add_state(&h, g->states[i], t);
    }
    TRY(json_print(trainer, JSON_ONE_LINE, a, &text, e));
    char *kept = arena_strndup(a, (const char *)text.data, text.len);
    if (!kept || !map_set(&file.metadata, "trainer", kept)) return fail_nomem(e);
    hash_add(&h, kept, strlen(kept));
    hash_end(&h, sum);
    if (!map_set(&file.metadata, "sha256", sum)) return fail_nomem(e);
    TRY(safetensors_layout(&file, e));
    return safetensors_write(&file, a, path, e);
}

int checkpoint_write(const char *path, struct session *s, const struct graph *g, const json_t *trainer, struct err *e)
{
    struct arena a;
    arena_init(&a, NULL);
    int code = write_all(path, s, g, trainer, &a, e);
    arena_release(&a);
    return code;
}

/* Every state is there, of its type and shape, and as it was written. */
static int check(
    const char *path, const struct graph *g, const struct safetensors *file, const char *trainer, struct err *e)
{
    char sum[65];
    const char *want = map_get(&file->metadata, "sha256");
    struct hash_stream h;
    hash_begin(&h);
    for (size_t i = 0; i < g->n_states; i++) {
        const struct value *v = g->states[i];
        const struct safetensors_entry *entry = v->next ? safetensors_find(file, v->name) : NULL;
        if (v->next && !entry)
            return fail(
                e, ERR_DATA, "%s: %s is missing: the run it belongs to had another model or optimizer", path, v->name);
        if (entry && (entry->tensor.dtype != v->data->dtype || !shape_equal(&entry->tensor.shape, &v->data->shape)))
            return fail(e, ERR_DATA, "%s: %s has another type or shape: it does not belong to this run", path, v->name);
        if (entry) add_state(&h, v, &entry->tensor);
    }
    hash_add(&h, trainer, strlen(trainer));
    hash_end(&h, sum);
    if (want && !strcmp(want, sum)) return 0;
    return fail(e, ERR_DATA,
        "%s: the checkpoint is damaged, its content does not fit its checksum; begin anew, or from the "
        "run's best.tenrec",
        path);
}

static int set_states(struct session *s, const struct graph *g, const struct safetensors *file, struct err *e)
{
    for (size_t i = 0; i < g->n_states; i++)
        if (g->states[i]->next) TRY(session_set_state(s, i, &safetensors_find(file, g->states[i]->name)->tensor, e));
    return 0;
}

int checkpoint_read(
    const char *path, struct session *s, const struct graph *g, struct arena *a, json_t **trainer, struct err *e)
{
    struct bytes bytes;
    struct safetensors file;
    TRY(file_map(a, path, &bytes, e));
    struct blob *blob = blob_wrap(a->mem, bytes.data, bytes.len, NULL, NULL);
    if (!blob || blob_adopt(a, blob)) return fail_nomem(e);
    if (safetensors_read(&file, a, path, bytes, blob, e)) {
        if (e->code == ERR_MODEL || e->code == ERR_UNSUPPORTED) e->code = ERR_DATA;
        return e->code;
    }
    const char *text = map_get(&file.metadata, "trainer");
    if (!text) return fail(e, ERR_DATA, "%s: no checkpoint of a training", path);
    TRY(check(path, g, &file, text, e));
    TRY(json_parse(a, path, (struct bytes){ (const unsigned char *)text, strlen(text) }, trainer, e));
    return set_states(s, g, &file, e);
}
