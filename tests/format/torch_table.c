/* torch_table.c - the table of aten operators: its schemas, binding of arguments, and how much of PyTorch it
 * covers. */
#include "tap.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "format/torch/torch.h"
#include "ops/registry.h"
#include "shared.h"

struct bed {
    struct arena a;
    struct err e;
    struct report r;
    struct torch t;
};

static void bed_init(struct bed *b)
{
    b->e.code = 0;
    arena_init(&b->a, NULL);
    b->r = report_in(&b->a);
    struct graph *g = graph_new(&b->a, &op_registry, "t", &b->e);
    CHECK(g && !torch_init(&b->t, &b->a, g, &b->r, &b->e));
}

TEST(every_schema_is_parsed_and_found_by_its_name)
{
    struct bed b;
    int n = 0;
    bed_init(&b);
    for (const struct aten_row *const *table = aten_tables; *table; table++)
        for (const struct aten_row *row = *table; row->schema; row++, n++) {
            const char *name = arena_strndup(&b.a, row->schema, strcspn(row->schema, "("));
            const struct aten_signature *s = aten_find(&b.t, name);
            while (s && s->row != row) s = s->next;
            if (!s) TAP_FAIL("%s is not found by its name", row->schema);
            if (!row->lower) TAP_FAIL("%s has no function", row->schema);
            for (size_t i = 0; s && i < s->n_params; i++)
                if (!s->params[i].name[0]) TAP_FAIL("%s: parameter %zu has no name", row->schema, i);
        }
    printf("# %d rows\n", n);
    CHECK(n > 300);
    arena_release(&b.a);
}

/* "conv2d(x, x, [1], groups=2)" with t tensor, i int, f float, n None, s string and l a list of two ints. */
static struct object *made(struct arena *a, char kind)
{
    switch (kind) {
    case 't': return object_tensor(a, ARENA_NEW(a, struct torch_tensor));
    case 'i': return object_int(a, 7, NULL);
    case 'f': return object_float(a, 0.5, NULL);
    case 's': return object_str(a, OBJECT_STR, "same");
    case 'b': return object_bool(a, true, NULL);
    case 'n': return object_none(a);
    default: break;
    }
    struct object *list = object_list(a, OBJECT_LIST);
    for (int i = 0; i < 2; i++) object_append(a, list, object_int(a, i + 1, NULL));
    return list;
}

/* The overload that takes arguments of these kinds; "" when none does. */
static const char *bound(
    struct bed *b, const char *name, const char *kinds, const char *keyword, char keyword_kind, struct aten_call *c)
{
    struct object *args[8];
    size_t n = strlen(kinds);
    *c = (struct aten_call){ .t = &b->t, .b = &b->t.b };
    for (size_t i = 0; i < n; i++) args[i] = made(&b->a, kinds[i]);
    struct keyword k = { keyword, keyword ? made(&b->a, keyword_kind) : NULL };
    for (const struct aten_signature *s = aten_find(&b->t, name); s; s = s->next)
        if (aten_bind(c, s, args, n, &k, keyword != NULL)) return s->overload;
    return "";
}

TEST(arguments_choose_the_overload)
{
    struct bed b;
    struct aten_call c;
    bed_init(&b);
    CHECK_STR(bound(&b, "add", "tt", NULL, 0, &c), "add.Tensor");
    CHECK_STR(bound(&b, "add", "ti", NULL, 0, &c), "add.Scalar");
    CHECK_STR(bound(&b, "add", "tt", "alpha", 'i', &c), "add.Tensor");
    CHECK_STR(bound(&b, "add", "tti", NULL, 0, &c), "");
    CHECK_STR(bound(&b, "add", "tt", "beta", 'i', &c), "");
    CHECK_STR(bound(&b, "add", "t", NULL, 0, &c), "");
    CHECK_STR(bound(&b, "add.Scalar", "tf", NULL, 0, &c), "add.Scalar");
    CHECK_STR(bound(&b, "conv2d", "ttnll", NULL, 0, &c), "conv2d");
    CHECK_STR(bound(&b, "conv2d", "ttnls", NULL, 0, &c), "conv2d.padding");
    CHECK_STR(bound(&b, "mean", "t", NULL, 0, &c), "mean");
    CHECK_STR(bound(&b, "mean", "tl", NULL, 0, &c), "mean.dim");
    CHECK_STR(bound(&b, "to", "ti", NULL, 0, &c), "to.dtype");
    CHECK_STR(bound(&b, "to", "tt", NULL, 0, &c), "to.other");
    CHECK_STR(bound(&b, "frobnicate", "t", NULL, 0, &c), "");
    arena_release(&b.a);
}

TEST(defaults_fill_what_is_left_out)
{
    struct bed b;
    struct aten_call c;
    size_t n;
    bed_init(&b);
    CHECK_STR(bound(&b, "conv2d", "ttnl", "groups", 'i', &c), "conv2d");
    const int64_t *stride = arg_ints_n(&c, 3, 2), *padding = arg_ints_n(&c, 4, 2);
    CHECK(!arg_given(&c, 2));
    CHECK_INT(stride[0], 1);
    CHECK_INT(stride[1], 2);
    CHECK_INT(padding[1], 0);
    CHECK_INT(arg_int(&c, 6), 7);
    CHECK_STR(bound(&b, "max_pool2d", "ti", NULL, 0, &c), "max_pool2d");
    const int64_t *kernel = arg_ints(&c, 1, &n);
    CHECK_INT(n, 2);
    CHECK_INT(kernel[1], 7);
    arg_ints(&c, 2, &n);
    CHECK_INT(n, 0);
    CHECK_STR(bound(&b, "leaky_relu", "t", NULL, 0, &c), "leaky_relu");
    CHECK_NEAR(arg_float(&c, 1), 0.01, 1e-12);
    CHECK(!b.e.code);
    arg_ints_n(&c, 1, 2);
    arena_release(&b.a);
}

/* Lines of torchscript_ops.txt: six counts (the first two: networks without control flow) and a schema. */
TEST(operators_of_the_shared_inventory)
{
    enum { AT_LEAST = 150 };
    struct arena a;
    struct err e = { 0 };
    struct bytes text;
    int known = 0, total = 0;
    arena_init(&a, NULL);
    const char *path = shared_dir() ? file_join(&a, shared_dir(), "reference/torchscript_ops.txt") : NULL;
    if (!path || !file_exists(path)) SKIP("no inventory");
    CHECK_OK(file_read(&a, path, 1 << 20, &text, &e), &e);
    for (const char *p = arena_strndup(&a, (const char *)text.data, text.len); p && *p;
         p += strcspn(p, "\n"), p += *p == '\n') {
        int traced, scripted;
        char name[100];
        if (sscanf(p, "%d %d %*d %*d %*d %*d aten::%99[A-Za-z0-9_].", &traced, &scripted, name) != 3) continue;
        size_t n = strlen(name);
        if (!(traced + scripted) || !strstr(arena_strndup(&a, p, strcspn(p, "\n")), "Tensor")) continue;
        if (n > 2 && name[n - 1] == '_' && name[n - 2] != '_') name[n - 1] = 0;
        total++;
        known += aten_is_known(name);
        if (!aten_is_known(name)) printf("# not in the table: %s\n", name);
    }
    printf("# %d of %d\n", known, total);
    CHECK(known >= AT_LEAST);
    arena_release(&a);
}
