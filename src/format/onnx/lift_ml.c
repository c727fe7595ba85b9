/* lift_ml.c - ai.onnx.ml: linear models, scalers, encoders, in plain operators. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/onnx/forest.h"
#include "format/onnx/lift_emit.h"

static const char *text(const struct lift *l, const char *name, const char *otherwise)
{
    const struct attr *a = lift_attr(l, name);
    return a && a->type == ATTR_STRING ? a->s : otherwise;
}

static int need_input(const struct lift *l, struct err *e)
{
    return lift_in(l, 0) ? 0 : fail(e, ERR_MODEL, "input 0 is missing");
}

struct value *ml_list(struct lift *l, const char *name, enum dtype t, struct err *e)
{
    const struct attr *a = lift_attr(l, name);
    if (e->code || !a || !a->n) return NULL;
    struct shape s = shape_of(1, (int64_t[]){ (int64_t)a->n });
    struct tensor *v = tensor_new(l->b->g->arena, a->type == ATTR_STRINGS ? DT_STRING : t, &s, e);
    if (!v) return NULL;
    if (a->type == ATTR_INTS) store_i64(v->dtype, v->data, (int64_t)a->n, a->ints);
    else if (a->type == ATTR_FLOATS) store_f64(v->dtype, v->data, (int64_t)a->n, a->floats);
    else if (a->type != ATTR_STRINGS) return fail(e, ERR_MODEL, "%s is no list", name), NULL;
    for (size_t i = 0; a->type == ATTR_STRINGS && i < a->n; i++) {
        char *copy = arena_strdup(l->b->g->arena, a->strings[i]);
        if (!copy) return fail_nomem(e), NULL;
        ((struct string_element *)v->data)[i] = (struct string_element){ copy, strlen(copy) };
    }
    return emit_const(l->b, v);
}

struct value *ml_labels(struct lift *l, struct value *index, const char *ints, const char *texts, struct err *e)
{
    struct value *labels = ml_list(l, ints, DT_I64, e);
    if (!labels) labels = ml_list(l, texts, DT_STRING, e);
    if (!labels) return index;
    return emit(l->b, "Gather", ATTRS(attr_int("axis", 0)), labels, index);
}

/* --- post_transform --- */

/* Of what is not zero, as ONNX Runtime has it. */
static struct value *softmax_zero(struct lift *l, struct value *x)
{
    struct value *axis = emit_i64s(l->b, (int64_t[]){ -1 }, 1);
    struct value *top = emit(l->b, "ReduceMax", NO_ATTRS, x, axis);
    struct value *some = lift_two(l, "Greater", lift_one(l, "Abs", x), lift_number(l, x, 1e-7));
    struct value *power = lift_one(l, "Exp", lift_two(l, "Sub", x, top));
    power = emit(
        l->b, "Where", NO_ATTRS, some, power, lift_two(l, "Mul", x, lift_one(l, "Exp", lift_one(l, "Neg", top))));
    struct value *sum = emit(l->b, "ReduceSum", NO_ATTRS, power, axis);
    struct value *none = lift_two(l, "Equal", sum, lift_number(l, sum, 0));
    return lift_two(l, "Div", power, emit(l->b, "Where", NO_ATTRS, none, lift_number(l, sum, 1), sum));
}

/* sqrt(2) erfinv(2 x - 1), by Winitzki's approximation (2008), which is what ONNX Runtime computes. */
static struct value *probit(struct lift *l, struct value *x)
{
    const double a = 0.147;
    struct value *one = lift_number(l, x, 1);
    struct value *v = lift_two(l, "Sub", lift_two(l, "Mul", x, lift_number(l, x, 2)), one);
    struct value *log = lift_one(l, "Log", lift_two(l, "Mul", lift_two(l, "Sub", one, v), lift_two(l, "Add", one, v)));
    struct value *half = lift_two(
        l, "Add", lift_number(l, x, 2 / (M_PI * a)), lift_two(l, "Mul", log, lift_number(l, x, 0.5)));
    struct value *inner = lift_two(
        l, "Sub", lift_two(l, "Mul", half, half), lift_two(l, "Mul", log, lift_number(l, x, 1 / a)));
    struct value *size = lift_one(l, "Sqrt", lift_two(l, "Sub", lift_one(l, "Sqrt", inner), half));
    return lift_two(l, "Mul", lift_two(l, "Mul", size, lift_one(l, "Sign", v)), lift_number(l, x, sqrt(2)));
}

struct value *ml_transformed(struct lift *l, struct value *x, const char *name, struct err *e)
{
    if (!x || e->code || !name || !strcmp(name, "NONE")) return x;
    if (!strcmp(name, "LOGISTIC")) return lift_one(l, "Sigmoid", x);
    if (!strcmp(name, "SOFTMAX")) return emit(l->b, "Softmax", ATTRS(attr_int("axis", -1)), x);
    if (!strcmp(name, "SOFTMAX_ZERO")) return softmax_zero(l, x);
    if (!strcmp(name, "PROBIT")) return probit(l, x);
    return fail(e, ERR_UNSUPPORTED, "post_transform %s", name), NULL;
}

/* --- linear models: (rows, features) --- */

/* coefficients (outputs, features) and intercepts as lists */
static struct value *linear(struct lift *l, int64_t n, struct err *e)
{
    struct value *w = ml_list(l, "coefficients", DT_F32, e), *b = ml_list(l, "intercepts", DT_F32, e);
    int64_t count = w ? w->shape.dim[0] : 0;
    if (e->code) return NULL;
    if (n < 1 || !count || count % n) return fail(e, ERR_MODEL, "%lld coefficients", (long long)count), NULL;
    struct value *x = emit_cast(l->b, l->in[0], DT_F32);
    if (x && x->shape.rank == 1) x = lift_two(l, "Unsqueeze", x, emit_i64s(l->b, (int64_t[]){ 0 }, 1));
    w = lift_reshaped(l, w, 2, (int64_t[]){ n, count / n });
    return emit(l->b, "Gemm", ATTRS(attr_int("transB", 1)), x, w, b);
}

static int linear_regressor(struct lift *l, const char *arg, struct err *e)
{
    TRY(need_input(l, e));
    struct value *y = linear(l, lift_int(l, "targets", 1), e);
    lift_result(l, ml_transformed(l, y, text(l, "post_transform", "NONE"), e));
    return e->code;
}

static size_t list_length(const struct lift *l, const char *name)
{
    const struct attr *a = lift_attr(l, name);
    return a ? a->n : 0;
}

static int linear_classifier(struct lift *l, const char *arg, struct err *e)
{
    size_t rows = list_length(l, "intercepts");
    size_t labels = list_length(l, "classlabels_ints") + list_length(l, "classlabels_strings");
    TRY(need_input(l, e));
    struct value *y = linear(l, (int64_t)(rows ? rows : labels), e), *best;
    const char *transform = text(l, "post_transform", "NONE");
    if (e->code) return e->code;
    if (rows == 1 && labels == 2) {
        best = emit_cast(l->b, lift_two(l, "Greater", y, lift_number(l, y, 0)), DT_I64);
        best = lift_reshaped(l, best, 1, (int64_t[]){ -1 });
        y = ml_transformed(l, y, strncmp(transform, "SOFTMAX", 7) ? transform : "NONE", e);
        struct value *other = lift_two(l, "Sub", lift_number(l, y, 1), y);
        y = emit(l->b, "Concat", ATTRS(attr_int("axis", 1)), other, y);
    } else {
        best = emit(l->b, "ArgMax", ATTRS(attr_int("axis", 1), attr_int("keepdims", 0)), y);
        y = ml_transformed(l, y, transform, e);
    }
    if (l->n_out > 1) l->out[1] = y;
    lift_result(l, ml_labels(l, best, "classlabels_ints", "classlabels_strings", e));
    return e->code;
}

/* --- features --- */

static int scaler(struct lift *l, const char *arg, struct err *e)
{
    TRY(need_input(l, e));
    struct value *x = emit_cast(l->b, l->in[0], DT_F32), *offset = ml_list(l, "offset", DT_F32, e);
    struct value *scale = ml_list(l, "scale", DT_F32, e);
    if (offset) x = lift_two(l, "Sub", x, offset);
    lift_result(l, scale ? lift_two(l, "Mul", x, scale) : x);
    return e->code;
}

static int normalizer(struct lift *l, const char *arg, struct err *e)
{
    const char *norm = text(l, "norm", "MAX");
    const char *op = !strcmp(norm, "L1") ? "ReduceL1" : !strcmp(norm, "L2") ? "ReduceL2" : "ReduceMax";
    TRY(need_input(l, e));
    struct value *x = emit_cast(l->b, l->in[0], DT_F32);
    struct value *size = emit(l->b, op, NO_ATTRS, x, emit_i64s(l->b, (int64_t[]){ -1 }, 1));
    struct value *none = lift_two(l, "Equal", size, lift_number(l, x, 0));
    size = emit(l->b, "Where", NO_ATTRS, none, lift_number(l, x, 1), size);
    lift_result(l, lift_two(l, "Div", x, size));
    return e->code;
}

static int binarizer(struct lift *l, const char *arg, struct err *e)
{
    TRY(need_input(l, e));
    struct value *x = l->in[0], *limit = lift_number(l, x, lift_float(l, "threshold", 0));
    lift_result(l, emit_cast(l->b, lift_two(l, "Greater", x, limit), x->dtype));
    return e->code;
}

static int imputer(struct lift *l, const char *arg, struct err *e)
{
    TRY(need_input(l, e));
    struct value *x = l->in[0];
    bool whole = dtype_is_integer(x->dtype);
    struct value *put = ml_list(l, whole ? "imputed_value_int64s" : "imputed_value_floats", x->dtype, e);
    if (!put) return e->code ? e->code : fail(e, ERR_MODEL, "no imputed values of the input's type");
    double from = lift_float(l, "replaced_value_float", 0);
    struct value *replaced = whole ? emit_cast(l->b, emit_i64(l->b, lift_int(l, "replaced_value_int64", 0)), x->dtype)
                                   : lift_number(l, x, from);
    struct value *missing = !whole && isnan(from) ? lift_one(l, "IsNaN", x) : lift_two(l, "Equal", x, replaced);
    lift_result(l, emit(l->b, "Where", NO_ATTRS, missing, put, x));
    return e->code;
}

static int feature_vectorizer(struct lift *l, const char *arg, struct err *e)
{
    struct value **parts = ARENA_ARRAY(l->arena, l->n_in, struct value *);
    TRY_MEM(parts, e);
    for (int i = 0; i < l->n_in; i++) {
        if (!l->in[i]) return fail(e, ERR_MODEL, "input %d is missing", i);
        parts[i] = emit_cast(l->b, l->in[i], DT_F32);
        if (parts[i] && parts[i]->shape.rank == 1) parts[i] = lift_reshaped(l, parts[i], 2, (int64_t[]){ 1, -1 });
    }
    lift_result(l, builder_emit(l->b, "Concat", ATTRS(attr_int("axis", 1)), parts, l->n_in));
    return e->code;
}

/* Elements along the last axis. */
static int extractor(struct lift *l, const char *arg, struct err *e)
{
    if (!lift_in(l, 0) || !lift_in(l, 1)) return fail(e, ERR_MODEL, "an input is missing");
    struct value *at = lift_reshaped(l, l->in[1], 1, (int64_t[]){ -1 });
    struct value *y = emit(l->b, "Gather", ATTRS(attr_int("axis", -1)), l->in[0], at);
    if (y && l->in[0]->shape.rank == 1) y = lift_reshaped(l, y, 2, (int64_t[]){ 1, -1 });
    lift_result(l, y);
    return e->code;
}

/* --- categories --- */

/* Which of `keys` each element is: (..., keys) of bool */
static struct value *matches(struct lift *l, struct value *x, struct value *keys)
{
    x = lift_two(l, "Unsqueeze", x, emit_i64s(l->b, (int64_t[]){ -1 }, 1));
    struct value *same = lift_two(l, "Equal", x, keys);
    if (!same || !dtype_is_float(keys->dtype)) return same;
    return lift_two(l, "Or", same, lift_two(l, "And", lift_one(l, "IsNaN", x), lift_one(l, "IsNaN", keys)));
}

/* values[k] where x is keys[k], else `otherwise`. Keys are of x's type. */
static struct value *mapped(
    struct lift *l, struct value *x, struct value *keys, struct value *values, struct value *otherwise)
{
    struct value *same = matches(l, x, keys), *last = emit_i64s(l->b, (int64_t[]){ -1 }, 1);
    struct value *number = same ? emit_cast(l->b, same, DT_I32) : NULL;
    struct value *at = emit(l->b, "ArgMax", ATTRS(attr_int("axis", -1), attr_int("keepdims", 0)), number);
    struct value *some = emit(l->b, "ReduceMax", ATTRS(attr_int("keepdims", 0)), number, last);
    struct value *found = emit(l->b, "Gather", ATTRS(attr_int("axis", 0)), values, at);
    return emit(l->b, "Where", NO_ATTRS, some ? emit_cast(l->b, some, DT_BOOL) : NULL, found, otherwise);
}

static struct value *text_const(struct lift *l, const char *s, struct err *e)
{
    struct shape shape = shape_of(0, NULL);
    struct tensor *t = tensor_new(l->b->g->arena, DT_STRING, &shape, e);
    char *copy = arena_strdup(l->b->g->arena, s);
    if (!t || !copy) return fail_nomem(e), NULL;
    *(struct string_element *)t->data = (struct string_element){ copy, strlen(copy) };
    return emit_const(l->b, t);
}

static int one_hot(struct lift *l, const char *arg, struct err *e)
{
    TRY(need_input(l, e));
    bool texts = l->in[0]->dtype == DT_STRING;
    struct value *cats = ml_list(l, texts ? "cats_strings" : "cats_int64s", DT_I64, e);
    if (!cats) return e->code ? e->code : fail(e, ERR_MODEL, "no categories of the input's type");
    struct value *x = texts ? l->in[0] : emit_cast(l->b, l->in[0], DT_I64), *same = matches(l, x, cats);
    lift_result(l, same ? emit_cast(l->b, same, DT_F32) : NULL);
    return e->code;
}

/* Lists by the type of their elements, in versions 2 and 4; version 1 has one list of texts. */
struct label_lists {
    struct value *keys, *values, *otherwise;
};

static struct value *tensor_attr(struct lift *l, const char *name)
{
    const struct attr *a = lift_attr(l, name);
    return a && a->type == ATTR_TENSOR ? emit_const(l->b, a->tensor) : NULL;
}

static int read_labels(struct lift *l, struct label_lists *s, struct err *e)
{
    static const struct {
        const char *keys, *values;
        enum dtype type;
    } kinds[] = { { "keys_strings", "values_strings", DT_STRING }, { "keys_int64s", "values_int64s", DT_I64 },
        { "keys_floats", "values_floats", DT_F32 } };
    *s = (struct label_lists){ tensor_attr(l, "keys_tensor"), tensor_attr(l, "values_tensor"),
        tensor_attr(l, "default_tensor") };
    for (int i = 0; i < 3; i++) {
        if (!s->keys) s->keys = ml_list(l, kinds[i].keys, kinds[i].type, e);
        if (!s->values) s->values = ml_list(l, kinds[i].values, kinds[i].type, e);
    }
    if (e->code) return e->code;
    if (!s->keys || !s->values || !shape_equal(&s->keys->shape, &s->values->shape))
        return fail(e, ERR_MODEL, "keys and values do not fit together");
    if (s->otherwise) s->otherwise = lift_reshaped(l, s->otherwise, 0, NULL);
    else if (s->values->dtype == DT_STRING) s->otherwise = text_const(l, text(l, "default_string", "_Unused"), e);
    else if (dtype_is_integer(s->values->dtype))
        s->otherwise = emit_cast(l->b, emit_i64(l->b, lift_int(l, "default_int64", -1)), s->values->dtype);
    else s->otherwise = lift_number(l, s->values, lift_float(l, "default_float", -0.0));
    return e->code;
}

static struct value *counted(struct lift *l, struct value *like, struct err *e)
{
    struct shape s = like->shape;
    struct tensor *t = tensor_new(l->b->g->arena, DT_I64, &s, e);
    for (int64_t i = 0; t && i < tensor_count(t); i++) tensor_set_i64(t, i, i);
    return t ? emit_const(l->b, t) : NULL;
}

/* Texts to their numbers or the other way round: LabelEncoder-1 counts, CategoryMapper has a second list. */
static int text_or_number(struct lift *l, const char *texts, const char *numbers, struct err *e)
{
    struct value *names = ml_list(l, texts, DT_STRING, e);
    struct value *ids = numbers ? ml_list(l, numbers, DT_I64, e) : names ? counted(l, names, e) : NULL;
    if (!names || !ids) return e->code ? e->code : fail(e, ERR_MODEL, "no categories");
    bool forward = l->in[0]->dtype == DT_STRING;
    struct value *otherwise = forward ? emit_i64(l->b, lift_int(l, "default_int64", -1))
                                      : text_const(l, text(l, "default_string", "_Unused"), e);
    lift_result(l, mapped(l, l->in[0], forward ? names : ids, forward ? ids : names, otherwise));
    return e->code;
}

static int label_encoder(struct lift *l, const char *arg, struct err *e)
{
    struct label_lists s;
    TRY(need_input(l, e));
    if (lift_attr(l, "classes_strings")) return text_or_number(l, "classes_strings", NULL, e);
    TRY(read_labels(l, &s, e));
    lift_result(l, mapped(l, l->in[0], s.keys, s.values, s.otherwise));
    return e->code;
}

static int category_mapper(struct lift *l, const char *arg, struct err *e)
{
    TRY(need_input(l, e));
    return text_or_number(l, "cats_strings", "cats_int64s", e);
}

/* A table of class and score for each row: the scores themselves say the same. */
static int zip_map(struct lift *l, const char *arg, struct err *e)
{
    TRY(need_input(l, e));
    lift_result(l, lift_one(l, "Identity", l->in[0]));
    return e->code;
}

const struct lift_row lift_ml_rows[] = {
    { "LinearRegressor", 1, LIFT_ANY, linear_regressor, NULL, "" },
    { "LinearClassifier", 1, LIFT_ANY, linear_classifier, NULL, "" },
    { "Scaler", 1, LIFT_ANY, scaler, NULL, "" },
    { "Normalizer", 1, LIFT_ANY, normalizer, NULL, "" },
    { "Binarizer", 1, LIFT_ANY, binarizer, NULL, "" },
    { "Imputer", 1, LIFT_ANY, imputer, NULL, "" },
    { "FeatureVectorizer", 1, LIFT_ANY, feature_vectorizer, NULL, "" },
    { "ArrayFeatureExtractor", 1, LIFT_ANY, extractor, NULL, "" },
    { "OneHotEncoder", 1, LIFT_ANY, one_hot, NULL, "" },
    { "LabelEncoder", 1, LIFT_ANY, label_encoder, NULL, "" },
    { "CategoryMapper", 1, LIFT_ANY, category_mapper, NULL, "" },
    { "ZipMap", 1, LIFT_ANY, zip_map, NULL, "" },
    { NULL },
};
