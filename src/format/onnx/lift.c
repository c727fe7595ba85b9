/* lift.c - the engine of the lifting tables, and the rows that many operators share. */
#include "format/onnx/lift.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"

enum { TABLES_MAX = 8 };
/* Tables by domain; the rows of ONNX's own change what they match, those of others may also rename it. */
static const struct domain {
    const char *name;
    const struct lift_row *tables[TABLES_MAX];
} domains[] = {
    { "",
        { lift_arith_rows, lift_norm_rows, lift_shape_rows, lift_sample_rows, lift_extra_rows, lift_control_rows,
            lift_stream_rows } },
    { "com.microsoft",
        { lift_microsoft_rows, lift_qlinear_rows, lift_packed_rows, lift_experts_rows, lift_attention_rows,
            lift_cache_rows } },
    { "ai.onnx.ml", { lift_ml_rows, lift_map_rows, lift_tree_rows, lift_svm_rows } },
    { "onnx.brevitas", { lift_qonnx_rows } },
    { "qonnx.custom_op.general", { lift_qonnx_rows } },
    { "qonnx.custom_op.channels_last", { lift_channels_last_rows } },
    { "ai.onnx.preview", { lift_preview_rows } },
    { "ai.onnx.preview.training", { lift_training_rows } },
};
enum { N_DOMAINS = sizeof domains / sizeof domains[0] };

static bool matches(const struct lift_row *row, const char *op, int64_t version)
{
    return !strcmp(row->op, op) && version >= row->from && version <= row->to;
}

/* The domain's tables; NULL for one that is not known, as our own is not. */
static const struct lift_row *const *tables_of(const char *domain)
{
    for (size_t i = 0; i < N_DOMAINS; i++)
        if (!strcmp(domains[i].name, domain)) return domains[i].tables;
    return NULL;
}

const char *lift_needs(const char *domain, const char *op, int64_t version)
{
    const char *needs = domain[0] ? NULL : op;
    const struct lift_row *const *table = tables_of(domain);
    for (; table && *table; table++)
        for (const struct lift_row *row = *table; row->op; row++)
            if ((row->needs || domain[0]) && matches(row, op, version)) return row->needs ? row->needs : op;
    return needs;
}

/* A name that stands in several rows is listed with the first. */
static bool is_first(const struct lift_row *const *tables, const struct lift_row *row)
{
    for (;; tables++)
        for (const struct lift_row *r = *tables; r->op; r++) {
            if (r == row) return true;
            if (!strcmp(r->op, row->op)) return false;
        }
}

bool lift_listed(size_t i, const char **domain, const char **op)
{
    for (size_t d = 0; d < N_DOMAINS; d++)
        for (const struct lift_row *const *t = domains[d].tables; *t; t++)
            for (const struct lift_row *row = *t; row->op; row++) {
                if (!(domains[d].name[0] || row->needs) || !is_first(domains[d].tables, row)) continue;
                if (i--) continue;
                *domain = domains[d].name[0] ? domains[d].name : "ai.onnx";
                *op = row->op;
                return true;
            }
    return false;
}

static int apply_rows(struct lift *l, struct err *e)
{
    const char *op = l->op;
    const struct lift_row *const *table = tables_of(l->domain);
    for (; table && *table; table++)
        for (const struct lift_row *row = *table; row->op && !l->done; row++)
            if (row->lift && matches(row, op, l->version)) TRY(row->lift(l, row->arg, e));
    return e->code;
}

int lift_emit(struct lift *l, struct err *e)
{
    enum { LAST_WITH_CONSUMED_INPUTS = 6 };
    if (l->version <= LAST_WITH_CONSUMED_INPUTS) lift_drop(l, "consumed_inputs");
    if (apply_rows(l, e)) return err_prefix(e, "%s (%s)", l->name, l->op);
    if (l->done) return 0;
    l->b->name = l->name;
    struct node *n = builder_node(l->b, l->op, l->attrs, l->in, l->n_in, l->n_out);
    if (!n) return e->code;
    for (int i = 0; i < l->n_out; i++) l->out[i] = n->out[i];
    return 0;
}

const struct attr *lift_attr(const struct lift *l, const char *name)
{
    for (size_t i = 0; i < l->n_attrs; i++)
        if (!strcmp(l->attrs[i].name, name)) return &l->attrs[i];
    return NULL;
}

int64_t lift_int(const struct lift *l, const char *name, int64_t otherwise)
{
    const struct attr *a = lift_attr(l, name);
    return a && a->type == ATTR_INT ? a->i : otherwise;
}

double lift_float(const struct lift *l, const char *name, double otherwise)
{
    const struct attr *a = lift_attr(l, name);
    return a && a->type == ATTR_FLOAT ? a->f : otherwise;
}

void lift_drop(struct lift *l, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n_attrs; i++)
        if (strcmp(l->attrs[i].name, name) != 0) l->attrs[n++] = l->attrs[i];
    l->n_attrs = n;
    if (l->attrs) l->attrs[n] = (struct attr){ 0 };
}

int lift_set(struct lift *l, struct attr attr, struct err *e)
{
    for (size_t i = 0; i < l->n_attrs; i++)
        if (!strcmp(l->attrs[i].name, attr.name)) return l->attrs[i] = attr, 0;
    struct attr end = { 0 };
    if (!ARRAY_PUSH(l->arena, l->attrs, l->n_attrs, l->cap_attrs, attr) ||
        !ARRAY_PUSH(l->arena, l->attrs, l->n_attrs, l->cap_attrs, end))
        return fail_nomem(e);
    l->n_attrs--;
    return 0;
}

void lift_input(struct lift *l, int index, struct value *v)
{
    l->in[index] = v;
    if (index >= l->n_in) l->n_in = index + 1;
}

struct value *lift_ints(struct lift *l, const char *what, const int64_t *v, size_t n)
{
    l->b->name = arena_printf(l->arena, "%s_%s", l->name, what);
    return emit_i64s(l->b, v, n);
}

void lift_result(struct lift *l, struct value *v)
{
    l->out[0] = v;
    l->done = true;
}

bool lift_wants(const struct lift *l, int i)
{
    return i < l->n_out && l->read[i];
}

int lift_drop_attr(struct lift *l, const char *name, struct err *e)
{
    lift_drop(l, name);
    return 0;
}

/* Splits "axes 1". */
static bool name_and_number(const char *arg, char name[32], int *number)
{
    return sscanf(arg, "%31s %d", name, number) == 2;
}

int lift_attr_to_input(struct lift *l, const char *arg, struct err *e)
{
    char name[32];
    int index;
    if (!name_and_number(arg, name, &index)) return fail(e, ERR_FAILED, "bad row \"%s\"", arg);
    const struct attr *a = lift_attr(l, name);
    if (!a) return 0;
    const int64_t *v = a->type == ATTR_INT ? &a->i : a->type == ATTR_INTS ? a->ints : NULL;
    if (!v) return fail(e, ERR_MODEL, "attribute \"%s\" is %s, expected ints", name, attr_type_name(a->type));
    lift_input(l, index, lift_ints(l, name, v, a->type == ATTR_INT ? 1 : a->n));
    lift_drop(l, name);
    return 0;
}

int lift_default_int(struct lift *l, const char *arg, struct err *e)
{
    char name[32];
    int number;
    if (!name_and_number(arg, name, &number)) return fail(e, ERR_FAILED, "bad row \"%s\"", arg);
    if (lift_attr(l, name)) return 0;
    const char *copy = arena_strdup(l->arena, name);
    TRY_MEM(copy, e);
    return lift_set(l, attr_int(copy, number), e);
}

int lift_float_to_int(struct lift *l, const char *name, struct err *e)
{
    const struct attr *a = lift_attr(l, name);
    return a && a->type == ATTR_FLOAT ? lift_set(l, attr_int(name, (int64_t)a->f), e) : 0;
}
