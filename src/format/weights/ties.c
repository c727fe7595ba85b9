/* ties.c - tied weights in the metadata of a graph. */
#include "format/weights/ties.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "enc/json.h"
#include "graph/graph.h"

int ties_put(struct graph *g, json_t *ties, struct err *e)
{
    if (!ties) return fail_nomem(e);
    char *text = json_object_size(ties) ? json_dumps(ties, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    char *kept = text ? arena_strdup(g->arena, text) : NULL;
    bool lost = json_object_size(ties) && !(kept && map_set(&g->metadata, TIED_WEIGHTS, kept));
    free(text);
    json_decref(ties);
    return lost ? fail_nomem(e) : 0;
}

const json_t *ties_of(const struct graph *g, struct arena *a)
{
    struct err ignored = { 0 };
    const char *text = map_get(&g->metadata, TIED_WEIGHTS);
    json_t *ties = NULL;
    if (!text) return NULL;
    struct bytes bytes = { (const unsigned char *)text, strlen(text) };
    return json_parse(a, TIED_WEIGHTS, bytes, &ties, &ignored) || !json_is_object(ties) ? NULL : ties;
}

const char *ties_next(const json_t *ties, const char *key, void **at)
{
    json_t *all = (json_t *)(uintptr_t)ties;
    if (!all) return NULL;
    for (*at = *at ? json_object_iter_next(all, *at) : json_object_iter(all); *at;
         *at = json_object_iter_next(all, *at)) {
        const char *main = json_string_value(json_object_iter_value(*at));
        if (main && !strcmp(main, key)) return json_object_iter_key(*at);
    }
    return NULL;
}
