/* hint.c - what a user says of a model's inputs. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/format.h"
#include "graph/graph.h"

static int parse_dim(
    struct arena *a, const char *text, size_t len, struct import_hint *h, const char *whole, struct err *e)
{
    if (!len) return fail(e, ERR_USAGE, "\"%s\": a dimension is empty; write NAME=Nx3x224x224", whole);
    if (h->rank == SHAPE_MAX) return fail(e, ERR_USAGE, "\"%s\": more than %d dimensions", whole, SHAPE_MAX);
    char *word = arena_strndup(a, text, len), *end;
    TRY_MEM(word, e);
    int i = h->rank++;
    h->dim[i].symbol = NULL;
    if (!isdigit((unsigned char)word[0])) {
        h->dim[i].symbol = word;
        return 0;
    }
    h->dim[i].size = strtoll(word, &end, 10);
    if (*end || h->dim[i].size > INT64_MAX / 16)
        return fail(e, ERR_USAGE, "\"%s\": %s is neither a size nor a name", whole, word);
    return 0;
}

int import_hint_parse(struct arena *a, const char *text, struct import_hint *h, struct err *e)
{
    *h = (struct import_hint){ 0 };
    const char *at = strrchr(text, '='), *colon = strrchr(text, ':');
    if (at && !(h->name = arena_strndup(a, text, (size_t)(at - text)))) return fail_nomem(e);
    at = at ? at + 1 : text;
    if (colon && colon >= at && !(h->dtype = dtype_from_name(colon + 1)))
        return fail(e, ERR_USAGE, "\"%s\": unknown element type %s", text, colon + 1);
    const char *end = colon && colon >= at ? colon : at + strlen(at);
    const char *separators = memchr(at, ',', (size_t)(end - at)) ? "," : "x,";
    while (at < end) {
        size_t len = strcspn(at, separators);
        if (at + len > end) len = (size_t)(end - at);
        TRY(parse_dim(a, at, len, h, text, e));
        at += len + 1;
        if (at == end) TRY(parse_dim(a, at, 0, h, text, e)); /* it ended in a separator */
    }
    return 0;
}

const struct import_hint *import_hint_for(const struct import_options *o, const char *name, size_t index)
{
    for (size_t i = 0; i < o->n_inputs; i++)
        if (o->inputs[i].name && !strcmp(o->inputs[i].name, name)) return &o->inputs[i];
    return index < o->n_inputs && !o->inputs[index].name ? &o->inputs[index] : NULL;
}

struct shape import_hint_shape(const struct import_hint *h, struct graph *g)
{
    struct shape s = { h->rank, { 0 } };
    for (int i = 0; i < h->rank; i++) s.dim[i] = h->dim[i].symbol ? graph_symbol(g, h->dim[i].symbol) : h->dim[i].size;
    return s;
}
