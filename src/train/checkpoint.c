/* checkpoint.c - states out and in. */
#include "train/checkpoint.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "enc/json.h"
#include "exec/session.h"
#include "format/safetensors.h"
#include "graph/graph.h"

static int write_all(
    const char *path, struct session *s, const struct graph *g, const json_t *trainer, struct arena *a, struct err *e)
{
    struct safetensors file;
    struct bytes text;
    safetensors_init(&file, a);
    for (size_t i = 0; i < g->n_states; i++) {
        if (!g->states[i]->next) continue;
        const struct tensor *t = session_state(s, i, a, e);
        if (!t) return e->code;
        TRY(safetensors_add(&file, g->states[i]->name, t, e));
    }
    TRY(json_print(trainer, JSON_ONE_LINE, a, &text, e));
    char *kept = arena_strndup(a, (const char *)text.data, text.len);
    if (!kept || !map_set(&file.metadata, "trainer", kept)) return fail_nomem(e);
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

static int set_states(
    const char *path, struct session *s, const struct graph *g, const struct safetensors *file, struct err *e)
{
    for (size_t i = 0; i < g->n_states; i++) {
        const struct value *v = g->states[i];
        if (!v->next) continue;
        const struct safetensors_entry *entry = safetensors_find(file, v->name);
        if (!entry)
            return fail(
                e, ERR_DATA, "%s: %s is missing: the run it belongs to had another model or optimizer", path, v->name);
        if (session_set_state(s, i, &entry->tensor, e)) {
            e->code = ERR_DATA;
            return err_prefix(e, "%s: it does not belong to this run", path);
        }
    }
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
        if (e->code == ERR_MODEL) e->code = ERR_DATA;
        return e->code;
    }
    const char *text = map_get(&file.metadata, "trainer");
    if (!text) return fail(e, ERR_DATA, "%s: no checkpoint of a training", path);
    TRY(json_parse(a, path, (struct bytes){ (const unsigned char *)text, strlen(text) }, trainer, e));
    return set_states(path, s, g, &file, e);
}
