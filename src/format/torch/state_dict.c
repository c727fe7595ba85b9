/* state_dict.c - the tensors of what torch.save saved, by the paths that lead to them; which of them are a model's. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "format/torch/container.h"
#include "format/torch/module.h"
#include "format/weights/weights.h"

enum {
    DEPTH = 64,       /* of dictionaries in dictionaries */
    VISITS = 2000000, /* values looked at, those reached on several ways counted again */
    FACTS = 64,       /* numbers and texts that are kept to be told */
    FACT_DEPTH = 2,
    FACT_TEXT = 200,
};

struct collect {
    struct archive *archive;
    struct weights *w;
    struct report *report;
    struct err *e;
    size_t visits;
};

static bool is_optimizer(const struct pickle_value *v)
{
    return pickle_dict_get(v, "param_groups") != NULL;
}

/* The text of a key; NULL for keys that are neither strings nor numbers. */
static const char *key_text(struct arena *a, const struct pickle_value *key)
{
    if (key->kind == PICKLE_STR) return key->text.s;
    return key->kind == PICKLE_INT ? arena_printf(a, "%lld", (long long)key->integer) : NULL;
}

static const char *join(struct collect *c, const char *path, const char *name)
{
    const char *s = path[0] ? arena_printf(c->archive->arena, "%s.%s", path, name) : name;
    if (!s) fail_nomem(c->e);
    return s;
}

static int add_tensor(struct collect *c, const struct pickle_value *v, const char *path, bool storage)
{
    struct weight x = { .path = path[0] ? path : "tensor" };
    struct pickled_tensor t = { 0 };
    if (storage) t.tensor = archive_storage(c->archive, v, "data");
    else archive_read_tensor(c->archive, v, "data", &t);
    if (c->e->code == ERR_UNSUPPORTED) {
        report_add(c->report, REPORT_WARNING, x.path, "left out: %s", c->e->text);
        return err_clear(c->e), 0;
    }
    if (!t.tensor) return err_prefix(c->e, "tensor \"%s\"", x.path);
    x.tensor = t.tensor;
    x.quantized = t.quantized;
    x.identity = t.identity;
    return weights_add(c->w, &x, c->e);
}

/* What a checkpoint says beside its tensors: epoch = 3. */
static int add_fact(struct collect *c, const struct pickle_value *v, const char *path)
{
    char text[FACT_TEXT + 1];
    double number;
    if (c->w->facts.n >= FACTS || !path[0]) return 0;
    if (v->kind == PICKLE_STR) snprintf(text, sizeof text, "%s", v->text.s);
    else if (v->kind == PICKLE_BOOL) snprintf(text, sizeof text, "%s", v->boolean ? "true" : "false");
    else if (v->kind == PICKLE_INT) snprintf(text, sizeof text, "%lld", (long long)v->integer);
    else if (pickle_get_number(v, &number)) snprintf(text, sizeof text, "%.9g", number);
    else return 0;
    char *kept = arena_strdup(c->w->facts.arena, text);
    return kept && map_set(&c->w->facts, path, kept) ? 0 : fail_nomem(c->e);
}

static int walk(struct collect *c, const struct pickle_value *v, const char *path, int depth);

static int walk_pairs(struct collect *c, const struct pickle_pairs *pairs, const char *path, int depth)
{
    for (size_t i = 0; pairs && i < pairs->n; i++) {
        const char *key = key_text(c->archive->arena, pairs->pairs[i].key);
        const char *below = key ? join(c, path, key) : NULL;
        if (c->e->code || c->archive->arena->failed) return fail_nomem(c->e);
        if (below) TRY(walk(c, pairs->pairs[i].value, below, depth + 1));
    }
    return 0;
}

static int walk_items(struct collect *c, const struct pickle_items *items, const char *path, int depth)
{
    char index[24];
    for (size_t i = 0; items && i < items->n; i++) {
        snprintf(index, sizeof index, "%zu", i);
        const char *below = join(c, path, index);
        if (below) below = arena_strdup(c->archive->arena, below);
        TRY_MEM(below, c->e);
        TRY(walk(c, items->items[i], below, depth + 1));
    }
    return 0;
}

/* Its own tensors first, as a state_dict has them. */
static int walk_module(struct collect *c, const struct pickle_value *v, const char *path, int depth)
{
    static const char *const parts[] = { "_parameters", "_buffers", "_modules" };
    for (size_t i = 0; i < 3; i++) TRY(walk_pairs(c, pickle_pairs(pickle_attr(v, parts[i])), path, depth));
    return 0;
}

static int walk_call(struct collect *c, const struct pickle_value *v, const char *path, int depth)
{
    if (module_is(v)) return walk_module(c, v, path, depth);
    if (pickle_is_call(v, "torch._utils", "_rebuild_sparse_tensor")) {
        report_add(c->report, REPORT_WARNING, path, "left out: a sparse tensor");
        return 0;
    }
    TRY(walk_pairs(c, &v->call->pairs, path, depth));
    TRY(walk_items(c, &v->call->items, path, depth));
    bool plain = pickle_is_call(v, "collections", "OrderedDict"); /* its state is about versions */
    return v->call->state && !plain ? walk(c, v->call->state, path, depth + 1) : 0;
}

static int walk(struct collect *c, const struct pickle_value *v, const char *path, int depth)
{
    if (depth > DEPTH) return fail(c->e, ERR_MODEL, "dictionaries are nested too deep at \"%.80s\"", path);
    if (++c->visits > VISITS) return fail(c->e, ERR_MODEL, "the pickle has too many ways to its values");
    if (archive_is_tensor(c->archive, v)) return add_tensor(c, v, path, false);
    switch (v->kind) {
    case PICKLE_DICT: return walk_pairs(c, v->dict, path, depth);
    case PICKLE_LIST:
    case PICKLE_TUPLE: return walk_items(c, v->seq, path, depth);
    case PICKLE_CALL:
    case PICKLE_OBJECT: return walk_call(c, v, path, depth);
    case PICKLE_PERSISTENT: return pickle_is_str(pickle_item(v->id, 0), "storage") ? add_tensor(c, v, path, true) : 0;
    default: return depth <= FACT_DEPTH ? add_fact(c, v, path) : 0;
    }
}

/* Choosing. */

enum { SEEN_NO = 1, SEEN_YES = 2 };

/* Does the value hold a tensor somewhere? Remembered in `user`, as "no" while it is being found out. */
static bool holds_tensors(const struct collect *c, struct pickle_value *v, int depth)
{
    if (v->user) return (uintptr_t)v->user == SEEN_YES;
    if (archive_is_tensor(c->archive, v)) return true;
    if (depth > DEPTH) return false;
    v->user = (void *)SEEN_NO;
    struct pickle_value *child;
    bool found = false;
    for (size_t i = 0; !found && (child = pickle_child(v, i)); i++) found = holds_tensors(c, child, depth + 1);
    if (found) v->user = (void *)SEEN_YES;
    return found;
}

static bool is_mapping(const struct pickle_value *v)
{
    return v->kind == PICKLE_DICT || pickle_is_call(v, "collections", "OrderedDict") || module_is(v);
}

/* How a training script calls the weights of its model, the best name first. */
static const char *const usual[] = { "state_dict", "model_state_dict", "model_state", "model", "net", "network",
    "state", "module", "weights", "params", "params_ema", "model_ema", "ema_state_dict", "ema", "generator",
    "encoder" };

/* The parts of a dictionary that hold weights and are no optimizer's; *own: it has tensors of its own, numbers alone
 * not counted. */
static size_t find_parts(const struct collect *c, const struct pickle_value *v, const struct pickle_pair **first,
    const struct pickle_pair **named, bool *own)
{
    const struct pickle_pairs *pairs = pickle_pairs(v);
    size_t n = 0, best = sizeof usual / sizeof *usual;
    *own = module_is(v);
    for (size_t i = 0; pairs && i < pairs->n; i++) {
        struct pickle_value *x = pairs->pairs[i].value;
        const struct pickle_value *key = pairs->pairs[i].key;
        if (key->kind != PICKLE_STR) continue;
        *own |= archive_tensor_rank(c->archive, x) > 0;
        if (!is_mapping(x) || is_optimizer(x) || str_starts(key->text.s, "optim") || !holds_tensors(c, x, 0)) continue;
        if (!n++) *first = &pairs->pairs[i];
        for (size_t k = 0; k < best; k++)
            if (!strcmp(key->text.s, usual[k])) best = k, *named = &pairs->pairs[i];
    }
    return n;
}

/* The path to the weights of the model, found by itself. */
static const char *find_model(struct collect *c, const struct pickle_value *v)
{
    const char *path = "";
    for (int depth = 0; depth < DEPTH && is_mapping(v); depth++) {
        const struct pickle_pair *first = NULL, *named = NULL;
        bool own;
        size_t n = find_parts(c, v, &first, &named, &own);
        if (own || !n || (n > 1 && !named)) break;
        const struct pickle_pair *taken = n > 1 ? named : first;
        if (n > 1)
            report_add(c->report, REPORT_GUESS, "",
                "the weights are those of \"%s\", one of %zu parts of the file; say "
                "--key NAME for another",
                taken->key->text.s, n);
        if (!(path = join(c, path, taken->key->text.s))) return NULL;
        v = taken->value;
    }
    return path;
}

static int choose(struct collect *c, const struct pickle_value *root, const char *key)
{
    struct weights *w = c->w;
    const char *path = key ? key : find_model(c, root);
    if (!path || !(w->key = arena_strdup(w->facts.arena, path))) return fail_nomem(c->e);
    size_t len = strlen(path);
    for (size_t i = 0; i < w->n; i++) {
        struct weight *x = &w->list[i];
        if (!len) x->name = x->path;
        else if (!strncmp(x->path, path, len) && x->path[len] == '.') x->name = x->path + len + 1;
        else if (!strcmp(x->path, path)) x->name = x->path;
    }
    return 0;
}

int weights_of_torch(struct weights *w, struct arena *a, const struct format_file *file, const char *key,
    struct report *report, struct err *e)
{
    struct archive archive;
    struct pickle_value *root = container_open(&archive, a, a, file, report, e);
    if (!root) return e->code;
    struct collect c = { &archive, w, report, e, 0 };
    w->format = container_name(container_is(file->bytes));
    const struct pickle_value *module = module_find(root);
    if (module && !(w->class_name = module_class(module, a))) return fail_nomem(e);
    TRY(walk(&c, root, "", 0));
    return choose(&c, root, key);
}
