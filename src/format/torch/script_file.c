/* script_file.c - the archive around a program of TorchScript: modules with the weights, code, constants.
 *
 * "layer1.0.conv.weight" is the parameter `weight` of a module `conv` in `0` in `layer1`, so that the state_dict of
 * what is written has the keys of the source. All code is in the forward of the outermost module.
 */
#include "format/torch/script_file.h"

#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "format/format.h"
#include "graph/op.h"

enum { DEPTH = 32 };
#define OUTER "__torch__.Model"

struct script_module {
    const char *class_name; /* "Model_layer1_0" */
    const char *name;       /* "0"; of the outermost: "" */
    const char *access;     /* "self.layer1", "getattr(self.layer1, \"0\")" */
    struct map modules;     /* name -> struct script_module */
    struct map weights;     /* name -> struct value */
};

static bool is_identifier(const char *name)
{
    static const char *const words[] = { "and", "as", "assert", "break", "class", "continue", "def", "del", "elif",
        "else", "except", "False", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "None",
        "nonlocal", "not", "or", "pass", "raise", "return", "True", "try", "while", "with", "yield", "print",
        "training", "forward" };
    if (!isalpha((unsigned char)name[0]) && name[0] != '_') return false;
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_') return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(name, words[i])) return false;
    return true;
}

static struct script_module *new_module(struct script *s, const struct script_module *in, const char *name)
{
    struct script_module *m = ARENA_NEW(s->arena, struct script_module);
    if (!m) return fail_nomem(s->err), NULL;
    m->name = name;
    m->class_name = in ? say(s, "%s_%s", in->class_name, name) : "Model";
    m->access = !in           ? "self"
        : is_identifier(name) ? say(s, "%s.%s", in->access, name)
                              : say(s, "getattr(%s, \"%s\")", in->access, name);
    m->modules = map_in(s->arena);
    m->weights = map_in(s->arena);
    return m;
}

/* Names of other frameworks have slashes, colons and the like: PyTorch's are letters, digits and underscores. */
static const char *cleaned(struct script *s, const char *key)
{
    char *text = arena_strdup(s->arena, key);
    if (!text) return fail_nomem(s->err), "";
    for (char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_' && *c != '.') *c = *c == '/' ? '.' : '_';
    return text;
}

/* Puts a weight where its key leads; a name that is taken gets an underscore. */
static int place(struct script *s, struct script_module *root, struct value *v)
{
    const char *key = cleaned(s, v->origin && v->origin->key ? v->origin->key : v->name), *dot;
    struct script_module *m = root;
    for (int depth = 0; (dot = strchr(key, '.')) && depth < DEPTH; key = dot + 1, depth++) {
        const char *name = dot == key ? "_" : arena_strndup(s->arena, key, (size_t)(dot - key));
        TRY_MEM(name, s->err);
        if (map_get(&m->weights, name)) name = say(s, "%s_", name);
        struct script_module *next = map_get(&m->modules, name);
        if (!next && (!(next = new_module(s, m, name)) || !map_set(&m->modules, name, next))) return fail_nomem(s->err);
        m = next;
    }
    while (!key[0] || map_get(&m->weights, key) || map_get(&m->modules, key) || !strcmp(key, "training"))
        key = say(s, "%s_", key);
    if (s->err->code) return s->err->code;
    s->names[v->id] = is_identifier(key) ? say(s, "%s.%s", m->access, key)
                                         : say(s, "getattr(%s, \"%s\")", m->access, key);
    return map_set(&m->weights, key, v) ? s->err->code : fail_nomem(s->err);
}

/* __parameters__ = ["weight", ] */
static void put_names(struct str *out, const char *list, const struct map *weights, unsigned trainable)
{
    str_addf(out, "  %s = [", list);
    for (size_t i = 0; i < weights->n; i++) {
        const struct value *v = weights->entries[i].value;
        if ((v->flags & VALUE_TRAINABLE) == trainable) str_addf(out, "\"%s\", ", weights->entries[i].key);
    }
    str_add(out, "]\n");
}

static void put_attribute(struct str *out, const char *name, const char *type)
{
    if (is_identifier(name)) str_addf(out, "  %s : %s\n", name, type);
    else str_addf(out, "  __annotations__[\"%s\"] = %s\n", name, type);
}

static void put_class(struct str *out, struct script *s, const struct script_module *m)
{
    bool plain = true;
    str_addf(out, "class %s(Module):\n", m->class_name);
    put_names(out, "__parameters__", &m->weights, VALUE_TRAINABLE);
    put_names(out, "__buffers__", &m->weights, 0);
    for (size_t i = 0; i < m->weights.n; i++) plain &= is_identifier(m->weights.entries[i].key);
    for (size_t i = 0; i < m->modules.n; i++) plain &= is_identifier(m->modules.entries[i].key);
    if (!plain) str_add(out, "  __annotations__ = []\n");
    for (size_t i = 0; i < m->weights.n; i++) put_attribute(out, m->weights.entries[i].key, "Tensor");
    str_add(out, "  training : bool\n");
    for (size_t i = 0; i < m->modules.n; i++) {
        const struct script_module *inner = m->modules.entries[i].value;
        put_attribute(out, inner->name, say(s, "__torch__.%s", inner->class_name));
    }
}

/* Inner classes first. */
static void put_classes(struct str *out, struct script *s, const struct script_module *m)
{
    for (size_t i = 0; i < m->modules.n; i++) put_classes(out, s, m->modules.entries[i].value);
    put_class(out, s, m);
}

static void put_forward(struct str *out, struct script *s, const char *const *inputs)
{
    const struct graph *g = s->graph;
    str_add(out, "  def forward(self: " OUTER);
    for (size_t i = 0; i < g->n_inputs; i++) str_addf(out, ",\n    %s: Tensor", inputs[i]);
    str_add(out, ") -> ");
    if (g->n_outputs > 1) str_add(out, "Tuple[");
    for (size_t i = 0; i < g->n_outputs; i++) str_addf(out, "%sTensor", i ? ", " : "");
    str_add(out, g->n_outputs > 1 ? "]:\n" : ":\n");
    str_add(out, str_done(&s->body) ? s->body.s : "");
}

/* The object of a module: its attributes, then those inside. */
static int put_object(struct pickler *p, const struct script_module *m, struct err *e)
{
    pickle_put_global(p, "__torch__", m->class_name);
    pickle_put_op(p, ")\x81}(");
    for (size_t i = 0; i < m->weights.n; i++) {
        const struct value *v = m->weights.entries[i].value;
        pickle_put_str(p, m->weights.entries[i].key);
        if (pickle_put_tensor(p, v->data, e)) return err_prefix(e, "weight \"%s\"", v->name);
    }
    pickle_put_str(p, "training");
    pickle_put_op(p, "\x89");
    for (size_t i = 0; i < m->modules.n; i++) {
        pickle_put_str(p, m->modules.entries[i].key);
        TRY(put_object(p, m->modules.entries[i].value, e));
    }
    pickle_put_op(p, "ub");
    return 0;
}

static int write_archive(struct script *s, struct zip_writer *z, const struct script_module *root, struct str *code)
{
    struct pickler data = pickler_in(s->arena);
    TRY(put_object(&data, root, s->err));
    pickle_put_op(&data, ".");
    pickle_put_op(&s->constants, "t.");
    TRY(pickler_write(&data, z, "model", "data", s->err));
    TRY(zip_writer_add(z, "model/code/__torch__.py", code->s, code->len, s->err));
    TRY(pickler_write(&s->constants, z, "model", "constants", s->err));
    TRY(zip_writer_add(z, "model/byteorder", "little", 6, s->err));
    return zip_writer_add(z, "model/version", "10\n", 3, s->err);
}

/* Parameters of forward: the inputs' names where these are identifiers that the code does not use. */
static const char **input_names(struct script *s)
{
    const struct graph *g = s->graph;
    const char **names = ARENA_ARRAY(s->arena, g->n_inputs + 1, const char *);
    if (!names) return fail_nomem(s->err), NULL;
    for (size_t i = 0; i < g->n_inputs; i++) {
        const char *own = g->inputs[i]->name;
        bool taken = (own[0] == 'v' && isdigit((unsigned char)own[1])) || !strcmp(own, "self") ||
            !strcmp(own, "torch") || !strcmp(own, "ops") || !strcmp(own, "CONSTANTS") || !strcmp(own, "int") ||
            !strcmp(own, "float");
        names[i] = is_identifier(own) && !taken ? own : say(s, "input_%zu", i);
        s->names[g->inputs[i]->id] = names[i];
    }
    return names;
}

static int write_program(struct script *s, const char *path)
{
    const struct graph *g = s->graph;
    struct str code = str_in(s->arena);
    struct script_module *root = new_module(s, NULL, "");
    const char **inputs = root ? input_names(s) : NULL;
    struct file_writer f;
    struct zip_writer z;
    if (!inputs) return s->err->code;
    for (size_t i = 0; i < g->n_states; i++) TRY(place(s, root, g->states[i]));
    pickle_put_op(&s->constants, "(");
    TRY(script_body(s));
    put_classes(&code, s, root);
    put_forward(&code, s, inputs);
    if (!str_done(&code) || s->arena->failed) return fail_nomem(s->err);
    TRY(file_writer_open(&f, s->arena, path, s->err));
    zip_writer_init(&z, s->arena, &f);
    if (write_archive(s, &z, root, &code) || zip_writer_finish(&z, s->err)) return file_writer_abort(&f), s->err->code;
    return file_writer_commit(&f, s->err);
}

int script_write(
    const struct graph *g, const char *path, const struct export_options *o, struct report *r, struct err *e)
{
    struct arena a;
    arena_init(&a, g->arena->mem);
    struct report report = report_in(&a);
    struct script s = { .arena = &a, .graph = g, .report = &report, .err = e, .body = str_in(&a) };
    s.constants = pickler_in(&a);
    s.names = ARENA_ARRAY(&a, g->n_values + 1, const char *);
    s.ints = ARENA_ARRAY(&a, g->n_values + 1, struct script_ints *);
    s.used = ARENA_ARRAY(&a, g->n_values + 1, bool);
    int code = s.names && s.ints && s.used ? write_program(&s, path) : fail_nomem(e);
    arena_release(&a);
    return code;
}

bool script_cannot_say(const struct node *n)
{
    return !script_find(n->op->name);
}
