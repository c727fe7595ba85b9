/* input.c - the entry of a TorchScript model: its method, and graph inputs for its parameters. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "format/format.h"
#include "format/torch/entry.h"

const struct ts_def *entry_find(struct eval *v)
{
    const struct ts_class *c = v->root->instance->type;
    const struct ts_def *def = class_find_def(c, "forward"), *only = NULL;
    if (!def) def = class_find_def(c, "forward__0");
    if (def) return def;
    struct str names = str_in(v->arena);
    size_t n = 0;
    for (size_t i = 0; i < c->n_defs; i++) {
        if (c->defs[i]->name[0] == '_') continue;
        str_addf(&names, "%s%s", n++ ? ", " : "", c->defs[i]->name);
        only = c->defs[i];
    }
    const char *list = str_done(&names);
    if (n != 1)
        return fail(
                   v->err, ERR_MODEL, "the module has no method forward (it has: %s)", list && list[0] ? list : "none"),
               NULL;
    report_add(v->t.report, REPORT_NOTE, only->file->path, "no method forward; %s is taken", only->name);
    return only;
}

struct inputs {
    struct eval *v;
    const struct import_options *o;
    size_t n; /* inputs so far */
};

static struct object *make(struct inputs *in, const char *name, const struct ts_type *t, int depth);

/* Numbers that stand for named dimensions while the program is run: the same for the same name. */
static int64_t example_size(const struct import_hint *h, int i)
{
    if (i == 0) return 2;
    for (int k = 0; k < i; k++)
        if (h->dim[k].symbol && !strcmp(h->dim[k].symbol, h->dim[i].symbol)) return example_size(h, k);
    return h->rank >= 4 ? 224 : 16;
}

/* "N = 2, H = 224": told, because a program may refuse them. */
static int add_example(struct eval *v, const char *symbol, int64_t size)
{
    const char *one = arena_printf(v->arena, "%s = %lld", symbol, (long long)size);
    TRY_MEM(one, v->err);
    if (!v->examples) v->examples = one;
    else if (!strstr(v->examples, one)) v->examples = arena_printf(v->arena, "%s, %s", v->examples, one);
    return v->examples ? 0 : fail_nomem(v->err);
}

static struct object *make_tensor(struct inputs *in, const char *name)
{
    struct eval *v = in->v;
    const struct import_hint *h = import_hint_for(in->o, name, in->n++);
    bool shaped = h && h->rank >= 0;
    struct shape s = shaped ? import_hint_shape(h, v->t.g) : shape_unknown(), example = s;
    struct value *x = graph_input(v->t.g, name, h && h->dtype ? h->dtype : DT_F32, &s, v->err);
    if (!x) return NULL;
    if (!h || !h->dtype) x->flags |= VALUE_GUESSED;
    for (int i = 0; i < s.rank; i++)
        if (h->dim[i].symbol) {
            example.dim[i] = example_size(h, i);
            if (add_example(v, h->dim[i].symbol, example.dim[i])) return NULL;
        }
    if (shaped && torch_set_hint(&v->t, x, &example)) return NULL;
    return torch_object(&v->t, x);
}

/* A number: told as NAME=5, which is a hint of one dimension. */
static struct object *make_number(struct inputs *in, const char *name, enum object_kind kind)
{
    struct eval *v = in->v;
    for (size_t i = 0; i < in->o->n_inputs; i++) {
        const struct import_hint *h = &in->o->inputs[i];
        if (!h->name || strcmp(h->name, name) || h->rank != 1 || h->dim[0].symbol) continue;
        int64_t n = h->dim[0].size;
        return kind == OBJECT_INT ? object_int(v->arena, n, NULL)
            : kind == OBJECT_BOOL ? object_bool(v->arena, n != 0, NULL)
                                  : object_float(v->arena, (double)n, NULL);
    }
    return fail(v->err, ERR_USAGE, "the model wants a number for %s; say --input %s=NUMBER", name, name), NULL;
}

/* Does a hint name `name` or something below it ("name.0")? */
static bool is_hinted(const struct inputs *in, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < in->o->n_inputs; i++) {
        const char *h = in->o->inputs[i].name;
        if (h && !strncmp(h, name, n) && (h[n] == 0 || h[n] == '.')) return true;
    }
    return false;
}

/* Lists have as many items as hints name ("arg.0", "arg.1"), at least one; tuples as many as their type says. */
static struct object *make_list(struct inputs *in, const char *name, const struct ts_type *t, int depth)
{
    struct eval *v = in->v;
    bool tuple = !strcmp(t->name, "Tuple");
    struct object *list = object_list(v->arena, tuple ? OBJECT_TUPLE : OBJECT_LIST);
    for (size_t i = 0; list && (tuple ? i < t->n : i < 64); i++) {
        const char *item = arena_printf(v->arena, "%s.%zu", name, i);
        if (!item) return NULL;
        if (!tuple && i && !is_hinted(in, item)) break;
        if (!object_append(v->arena, list, make(in, item, t->args[tuple ? i : 0], depth + 1))) return NULL;
    }
    return list;
}

/* The keys are those of hints: "arg.image". */
static struct object *make_dict(struct inputs *in, const char *name, const struct ts_type *t, int depth)
{
    struct eval *v = in->v;
    struct object *dict = object_dict(v->arena);
    size_t n = strlen(name);
    for (size_t i = 0; dict && i < in->o->n_inputs; i++) {
        const char *h = in->o->inputs[i].name;
        if (!h || strncmp(h, name, n) || h[n] != '.') continue;
        struct object *key = object_str(v->arena, OBJECT_STR, h + n + 1);
        if (!object_dict_set(v->arena, dict, key, make(in, h, t->args[1], depth + 1))) return NULL;
    }
    if (dict && !dict->dict->n)
        fail(v->err, ERR_USAGE, "%s is a dictionary; say its tensors with --input %s.KEY=SHAPE", name, name);
    return dict;
}

static struct object *make(struct inputs *in, const char *name, const struct ts_type *t, int depth)
{
    static const struct {
        const char *type;
        enum object_kind kind;
    } numbers[] = { { "int", OBJECT_INT }, { "float", OBJECT_FLOAT }, { "bool", OBJECT_BOOL } };
    if (depth > 4) return fail(in->v->err, ERR_UNSUPPORTED, "the type of %s is nested too deep", name), NULL;
    if (!t || !strcmp(t->name, "Tensor")) return make_tensor(in, name);
    for (int i = 0; i < 3; i++)
        if (!strcmp(t->name, numbers[i].type)) return make_number(in, name, numbers[i].kind);
    if (!strcmp(t->name, "Optional") && t->n) {
        if (!is_hinted(in, name)) return object_none(in->v->arena);
        return make(in, name, t->args[0], depth + 1);
    }
    if (!strcmp(t->name, "Tuple") || (!strcmp(t->name, "List") && t->n)) return make_list(in, name, t, depth);
    if (!strcmp(t->name, "Dict") && t->n == 2) return make_dict(in, name, t, depth);
    return fail(in->v->err, ERR_UNSUPPORTED, "an input (%s) of type %s", name, t->name), NULL;
}

struct object **entry_arguments(struct eval *v, const struct ts_def *def, const struct import_options *o)
{
    struct inputs in = { v, o, 0 };
    struct object **args = ARENA_ARRAY(v->arena, def->n_params + 1, struct object *);
    for (size_t i = 1; args && i < def->n_params; i++) {
        const struct ts_param *p = &def->params[i];
        if (p->otherwise && !is_hinted(&in, p->name)) args[i - 1] = eval_constant(v, p->otherwise);
        else args[i - 1] = make(&in, p->name, p->type, 0);
        if (args[i - 1]) continue;
        if (!v->err->code) fail_nomem(v->err);
        return NULL;
    }
    if (!args) fail_nomem(v->err);
    return args;
}
