/* module_read.c - a module that was pickled as a whole, rebuilt: its objects get classes whose code is written here.
 *
 * Each module of the pickle becomes a class of its own in a text of TorchScript, with the forward that nn.c knows for
 * its class; the evaluator then runs that text as it runs an archive's.
 */
#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "format/format.h"
#include "format/torch/container.h"
#include "format/torch/entry.h"
#include "format/torch/module.h"
#include "format/torch/nn.h"
#include "ops/registry.h"

enum { DEPTH = 100, MODULES_MAX = 100000, PLAIN_DEPTH = 4 };

struct rebuilding {
    struct eval eval;
    struct arena scratch;
    struct archive archive;
    struct report *report;
    struct err *err;
    struct str code;
    struct hooked hooked; /* of the class whose text is being written */
    struct instance **made; /* all modules, in the order of their classes M0, M1 .. */
    size_t n, cap;
};

static struct object *rebuild(struct rebuilding *r, struct pickle_value *p, int depth);

/* Numbers, texts, and lists of them; NULL without an error for everything else, which no forward here needs. */
static struct object *plain(struct rebuilding *r, const struct pickle_value *p, int depth)
{
    struct arena *a = &r->scratch;
    if (pickle_is_call(p, "torch", "Size")) p = pickle_arg(p, 0);
    if (!p || depth > PLAIN_DEPTH) return NULL;
    switch (p->kind) {
    case PICKLE_NONE: return object_none(a);
    case PICKLE_BOOL: return object_bool(a, p->boolean, NULL);
    case PICKLE_INT: return object_int(a, p->integer, NULL);
    case PICKLE_FLOAT: return object_float(a, p->real, NULL);
    case PICKLE_STR: return object_str(a, OBJECT_STR, p->text.s);
    case PICKLE_GLOBAL: return object_str(a, OBJECT_STR, p->global->name); /* a function: "relu" */
    case PICKLE_LIST:
    case PICKLE_TUPLE: break;
    default: return NULL;
    }
    struct object *list = object_list(a, OBJECT_LIST);
    for (size_t i = 0; list && i < p->seq->n; i++) {
        struct object *item = plain(r, p->seq->items[i], depth + 1);
        if (!item || !object_append(a, list, item)) return NULL;
    }
    return list;
}

static int add_attribute(struct rebuilding *r, struct instance *x, const struct pickle_value *key, struct object *o)
{
    if (!o) return r->err->code;
    return map_set(&x->attrs, key->text.s, o) ? 0 : fail_nomem(r->err);
}

/* _parameters or _buffers; their names go into the class. */
static int add_tensors(
    struct rebuilding *r, struct instance *x, const struct pickle_value *p, const char *part, const char *list)
{
    const struct pickle_pairs *pairs = pickle_pairs(pickle_attr(p, part));
    str_addf(&r->code, "  %s = [", list);
    for (size_t i = 0; pairs && i < pairs->n; i++) {
        const struct pickle_value *key = pairs->pairs[i].key, *value = pairs->pairs[i].value;
        if (key->kind != PICKLE_STR) continue;
        bool tensor = archive_is_tensor(&r->archive, value);
        struct object *o = tensor ? eval_tensor(&r->eval, value, "data") : object_none(&r->scratch);
        if (!o) return r->err->code ? err_prefix(r->err, "%s", key->text.s) : fail_nomem(r->err);
        TRY(add_attribute(r, x, key, o));
        if (tensor && !strchr(key->text.s, '"')) str_addf(&r->code, "\"%s\", ", key->text.s);
    }
    str_add(&r->code, "]\n");
    return 0;
}

/* Everything else that is plain, and the modules inside. */
static int add_others(struct rebuilding *r, struct instance *x, const struct pickle_value *p, int depth)
{
    const struct pickle_pairs *state = pickle_pairs(p->call->state);
    const struct pickle_pairs *modules = pickle_pairs(pickle_attr(p, "_modules"));
    for (size_t i = 0; state && i < state->n; i++) {
        const struct pickle_value *key = state->pairs[i].key;
        if (key->kind == PICKLE_STR && strcmp(key->text.s, "_modules"))
            TRY(add_attribute(r, x, key, plain(r, state->pairs[i].value, 0)));
    }
    for (size_t i = 0; modules && i < modules->n; i++) {
        const struct pickle_pair *pair = &modules->pairs[i];
        if (pair->key->kind != PICKLE_STR) continue;
        struct object *o = module_is(pair->value) ? rebuild(r, pair->value, depth + 1) : object_none(&r->scratch);
        if (!o) return r->err->code;
        TRY(add_attribute(r, x, pair->key, o));
    }
    return 0;
}

/* As rows say it (nn.h). */
static bool holds(const struct instance *x, const char *when)
{
    char name[64] = "";
    size_t len = when ? strcspn(when, "=") : 0;
    if (!when) return true;
    if (when[0] == '!') return !holds(x, when + 1);
    if (len >= sizeof name) return false;
    memcpy(name, when, len);
    const struct object *o = map_get(&x->attrs, name);
    const char *want = when[len] ? when + len + 1 : NULL;
    if (!o || o->kind == OBJECT_NONE) return false;
    if (!want) return true;
    if (!want[0]) return o->kind == OBJECT_INSTANCE;
    if (o->kind == OBJECT_BOOL) return !strcmp(want, o->boolean ? "True" : "False");
    return o->kind == OBJECT_STR && !strcmp(want, o->text);
}

static const struct nn_row *find_row(const char *class, const struct instance *x)
{
    const char *dot = strrchr(class, '.');
    for (const struct nn_row *row = nn_rows; dot && row->name; row++) {
        if (strcmp(dot + 1, row->name) || !holds(x, row->when)) continue;
        if (!row->module && !strncmp(class, "torch.nn.modules.", 17)) return row;
        if (row->module && strlen(row->module) == (size_t)(dot - class) && str_starts(class, row->module)) return row;
    }
    return NULL;
}

/* A name that may stand in the text as it is. */
static bool is_word(const struct pickle_value *key)
{
    return key->kind == PICKLE_STR && key->text.s[0] && !strpbrk(key->text.s, "\"\\\n.[] ()");
}

/* Modules one after the other. */
static void put_chain(struct rebuilding *r, const struct pickle_value *p)
{
    const struct pickle_pairs *modules = pickle_pairs(pickle_attr(p, "_modules"));
    for (size_t i = 0; modules && i < modules->n; i++)
        if (modules->pairs[i].key->kind == PICKLE_STR && !strpbrk(modules->pairs[i].key->text.s, "\"\\\n"))
            str_addf(&r->code, "    x = (getattr(self, \"%s\")).forward(x)\n", modules->pairs[i].key->text.s);
    str_add(&r->code, "    return x\n");
}

/* One piece of a forward that begins with '@'; what follows it. */
static const char *put_mark(struct rebuilding *r, const struct pickle_value *p, const char *text)
{
    if (str_starts(text, "@weights")) {
        const struct pickle_pairs *all = pickle_pairs(pickle_attr(p, "_parameters"));
        str_add(&r->code, "[");
        for (size_t i = 0; all && i < all->n; i++)
            if (archive_is_tensor(&r->archive, all->pairs[i].value) && is_word(all->pairs[i].key))
                str_addf(&r->code, "self.%s, ", all->pairs[i].key->text.s);
        str_add(&r->code, "]");
        return text + strlen("@weights");
    }
    const char *name = text + strlen("@pair(");
    int len = (int)strcspn(name, ")");
    const char *key = arena_strndup(&r->scratch, name, (size_t)len);
    const struct pickle_value *size = key ? pickle_attr(p, key) : NULL;
    if (size && size->kind == PICKLE_INT) str_addf(&r->code, "[self.%.*s, self.%.*s]", len, name, len, name);
    else str_addf(&r->code, "self.%.*s", len, name);
    return name + len + 1;
}

/* Text without marks; a weight that a hook makes has another name in it. */
static void put_plain(struct rebuilding *r, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *name = NULL;
        for (size_t k = 0; k < r->hooked.n && !name && n - i > 5 && !strncmp(text + i, "self.", 5); k++) {
            size_t len = strlen(r->hooked.names[k]);
            char next = i + 5 + len < n ? text[i + 5 + len] : 0;
            if (i + 5 + len > n || strncmp(text + i + 5, r->hooked.names[k], len)) continue;
            if (!isalnum((unsigned char)next) && next != '_') name = r->hooked.names[k];
        }
        if (name) str_addf(&r->code, "%s_", name), i += 4 + strlen(name);
        else str_addc(&r->code, text[i]);
    }
}

static void put_text(struct rebuilding *r, const struct pickle_value *p, const char *text, size_t n)
{
    const char *end = text + n;
    while (text < end) {
        size_t plain = strcspn(text, "@");
        if (plain > (size_t)(end - text)) plain = (size_t)(end - text);
        put_plain(r, text, plain);
        text += plain;
        if (text < end) text = put_mark(r, p, text);
    }
}

/* "@layers x = (@).forward(x)": once for each module of that list. */
static void put_each(struct rebuilding *r, const struct pickle_value *p, const char *line, size_t n)
{
    size_t name = strcspn(line + 1, " ");
    const struct pickle_pairs *modules = pickle_pairs(pickle_attr(p, "_modules"));
    const struct pickle_value *list = NULL;
    for (size_t i = 0; modules && i < modules->n; i++)
        if (is_word(modules->pairs[i].key) && strlen(modules->pairs[i].key->text.s) == name &&
            !strncmp(modules->pairs[i].key->text.s, line + 1, name))
            list = modules->pairs[i].value;
    const struct pickle_pairs *items = module_is(list) ? pickle_pairs(pickle_attr(list, "_modules")) : NULL;
    const char *text = line + name + 2, *at = strchr(text, '@');
    for (size_t i = 0; items && i < items->n; i++)
        if (is_word(items->pairs[i].key))
            str_addf(&r->code, "    %.*sgetattr(self.%.*s, \"%s\")%.*s", (int)(at - text), text, (int)name, line + 1,
                items->pairs[i].key->text.s, (int)(line + n - at - 1), at + 1);
}

static void put_statements(struct rebuilding *r, const struct pickle_value *p, const char *text)
{
    str_add(&r->code, "   ");
    for (size_t n; *text; text += n) {
        n = strcspn(text, "\n");
        n += text[n] != 0;
        if (text[0] == '@') put_each(r, p, text, n);
        else put_text(r, p, text, n);
    }
}

static void put_head(struct rebuilding *r, size_t number, const char *more)
{
    str_addf(&r->code, "  def forward(self: __torch__.M%zu,\n    x: Tensor", number);
    for (size_t n; more && *more; more += n + (more[n] != 0)) {
        n = strcspn(more, " ");
        str_addf(&r->code, ",\n    %.*s: Tensor", (int)n, more);
    }
    str_add(&r->code, "):\n");
}

static int put_class(struct rebuilding *r, struct instance *x, const struct pickle_value *p, int depth)
{
    const char *class = module_class(p, &r->scratch);
    size_t number = r->n - 1;
    TRY_MEM(class, r->err);
    TRY(add_others(r, x, p, depth)); /* the classes of those inside stand before it in the text */
    str_addf(&r->code, "class M%zu(Module):\n", number);
    TRY(add_tensors(r, x, p, "_parameters", "__parameters__"));
    TRY(add_tensors(r, x, p, "_buffers", "__buffers__"));
    const struct nn_row *row = find_row(class, x);
    if (!row) report_add(r->report, REPORT_ERROR, "", "no forward is known for the class %s", class);
    else if (!module_hooks(p, &r->scratch, &r->hooked) ||
        (r->hooked.n && row->forward && strstr(row->forward, "@weights")))
        report_add(r->report, REPORT_ERROR, "", "a module of the class %s has hooks", class);
    if (row && row->defaults) str_add(&r->code, row->defaults);
    put_head(r, number, row ? row->more : NULL);
    if (row && r->hooked.text) str_add(&r->code, r->hooked.text);
    if (!row) str_add(&r->code, "    return x\n");
    else if (!row->forward) put_chain(r, p);
    else if (row->forward[0] == ' ') put_statements(r, p, row->forward);
    else {
        str_add(&r->code, "    return ");
        put_text(r, p, row->forward, strlen(row->forward));
        str_add(&r->code, "\n");
    }
    return 0;
}

static struct object *rebuild(struct rebuilding *r, struct pickle_value *p, int depth)
{
    if (p->user) return p->user;
    if (depth > DEPTH || r->n > MODULES_MAX) return fail(r->err, ERR_MODEL, "modules are nested too deep"), NULL;
    struct instance *x = ARENA_NEW(&r->scratch, struct instance);
    struct object *o = object_none(&r->scratch);
    if (!x || !o || !ARRAY_PUSH(&r->scratch, r->made, r->n, r->cap, x)) return fail_nomem(r->err), NULL;
    size_t number = r->n - 1;
    p->user = o;
    o->kind = OBJECT_INSTANCE;
    o->instance = x;
    x->attrs = map_in(&r->scratch);
    if (!(x->type_name = arena_printf(&r->scratch, "__torch__.M%zu", number))) return fail_nomem(r->err), NULL;
    struct str outer = r->code;
    r->code = str_in(&r->scratch); /* the text of this class, behind those of the classes inside */
    if (put_class(r, x, p, depth)) return NULL;
    return str_add(&outer, str_done(&r->code) ? r->code.s : ""), r->code = outer, o;
}

/* The text is parsed, and every module gets its class. */
static int find_classes(struct rebuilding *r)
{
    const char *text = str_done(&r->code);
    TRY_MEM(text, r->err);
    struct ts_file *file = ts_parse(
        &r->scratch, "torch.nn", "__torch__", (struct bytes){ (const unsigned char *)text, r->code.len }, r->err);
    if (!file) return r->err->code;
    if (!map_set(&r->archive.files, "__torch__", file)) return fail_nomem(r->err);
    for (size_t i = 0; i < r->n; i++) {
        r->made[i]->type = eval_find_class(&r->eval, r->made[i]->type_name);
        if (!r->made[i]->type) return r->err->code ? r->err->code : fail(r->err, ERR_FAILED, "a class is missing");
    }
    return 0;
}

static int run(struct rebuilding *r, const struct import_options *o)
{
    struct eval *v = &r->eval;
    struct map changed = map_in(&r->scratch);
    const struct ts_def *def = entry_find(v);
    struct object **args = def ? entry_arguments(v, def, o) : NULL;
    struct object *result = args ? eval_method(v, v->root, def, args, def->n_params - 1) : NULL;
    if (!result) return v->err->code || !v->stopped ? (v->err->code ? v->err->code : fail_nomem(v->err)) : 0;
    v->t.b.where = NULL;
    TRY(entry_outputs(v, result));
    return entry_states(v, &changed);
}

static int rebuild_all(
    struct rebuilding *r, const struct format_file *file, const struct import_options *o, struct graph **g)
{
    static const struct map none = { 0 };
    struct eval *v = &r->eval;
    *v = (struct eval){ .archive = &r->archive, .arena = &r->scratch, .err = r->err, .mode = o->mode };
    v->settled = &none;
    v->tensors = map_in(&r->scratch);
    struct pickle_value *root = container_open(&r->archive, &r->scratch, (*g)->arena, file, NULL, r->err);
    if (!root) return r->err->code;
    if (!(root = module_find(root))) return fail(r->err, ERR_UNSUPPORTED, "no module");
    TRY(torch_init(&v->t, &r->scratch, *g, r->report, r->err));
    v->t.version = r->archive.version;
    if (!(v->root = rebuild(r, root, 0))) return r->err->code;
    if (r->report->n_errors) return report_fail(r->report, ERR_UNSUPPORTED, "a module without code", r->err);
    TRY(find_classes(r));
    v->constants = object_list(&r->scratch, OBJECT_TUPLE);
    TRY_MEM(v->constants, r->err);
    TRY(eval_bind_root(v));
    TRY(run(r, o));
    if (r->scratch.failed) return fail_nomem(r->err);
    return r->report->n_errors ? report_fail(r->report, ERR_UNSUPPORTED, "a module that cannot be rebuilt", r->err) : 0;
}

int module_read(struct arena *a, const struct format_file *file, const struct import_options *o, struct graph **g,
    struct report *report, struct err *e)
{
    struct rebuilding r = { .report = report, .err = e };
    if (!(*g = graph_new(a, &op_registry, file_base(file->path), e))) return e->code;
    arena_init(&r.scratch, a->mem);
    r.code = str_in(&r.scratch);
    int code = rebuild_all(&r, file, o, g);
    arena_release(&r.scratch);
    return code;
}
