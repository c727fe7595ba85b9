/* weights_layer.c - weights of .h5 files: for each layer of the outermost model a list of names. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/str.h"
#include "format/keras/weights.h"

enum { PARTS_MAX = 10000, ORDERS = 3 };

/* The strings of an attribute, which is cut into NAME0, NAME1 .. where it is too long. */
static int read_names(struct keras *k, const struct hdf5_object *o, const char *attr, const char ***out, size_t *n)
{
    size_t cap = 0;
    *out = NULL;
    *n = 0;
    const struct hdf5_attr *a = hdf5_attr(o, attr);
    if (a) return hdf5_strings(&k->shards[0]->h5, a, out, n, k->err);
    for (int i = 0; i < PARTS_MAX; i++) {
        char name[64];
        const char **part;
        size_t some;
        snprintf(name, sizeof name, "%s%d", attr, i);
        if (!(a = hdf5_attr(o, name))) break;
        TRY(hdf5_strings(&k->shards[0]->h5, a, &part, &some, k->err));
        for (size_t s = 0; s < some; s++)
            if (!ARRAY_PUSH(&k->scratch, *out, *n, cap, part[s])) return fail_nomem(k->err);
    }
    return 0;
}

/* Does "conv/conv_3/kernel:0" look like this weight? 2 for its role, 1 more for its layer. */
static int likeness(const char *name, const struct weight_at *w)
{
    const char *last = strrchr(name, '/');
    last = last ? last + 1 : name;
    size_t len = strcspn(last, ":"), role = strlen(w->weight->role);
    bool same = len == role && !strncmp(last, w->weight->role, len);
    bool ends = len > role && !strncmp(last + len - role, w->weight->role, role);
    char layer[256];
    snprintf(layer, sizeof layer, "%s/", w->layer->name);
    return (same ? 2 : ends ? 1 : 0) + (strstr(name, layer) != NULL);
}

/* 0: as training had it; 1: as the layers have it by nature; 2: layer by layer. */
static int in_order(struct keras *k, const struct weight_list *from, int order, struct weight_list *out)
{
    *out = (struct weight_list){ 0 };
    for (int late = 0; late < 2; late++)
        for (size_t i = 0; i < from->n; i++) {
            const struct weight_at *w = &from->items[i];
            bool trained = order == 2 || (w->weight->trainable && (order == 1 || w->layer->trainable));
            if (trained == (late == 1)) continue;
            if (!ARRAY_PUSH(&k->scratch, out->items, out->n, out->cap, *w)) return fail_nomem(k->err);
        }
    return 0;
}

static int find_data(struct keras *k, const struct layer *l, struct hdf5_object *group, const char *root,
    const char *name, struct weight *w)
{
    w->shard = k->shards[0];
    w->data = hdf5_find(&w->shard->h5, group, name, k->err);
    if (k->err->code) return k->err->code;
    if (!w->data || w->data->kind != HDF5_DATASET)
        return fail(k->err, ERR_MODEL, "layer %s: its weight %s is not in the file", l->label, name);
    w->key = arena_printf(k->keep, "%s%s/%s", root, l->name, name);
    return w->key ? 0 : fail_nomem(k->err);
}

/* The order whose names are most like those of the file; the first of equals. */
static int assign(
    struct keras *k, struct layer *l, struct hdf5_object *group, const char *root, const char **names, size_t n)
{
    struct weight_list all, order, best = { 0 };
    long most = -1;
    TRY(weight_list_of(k, l, true, &all));
    if (all.n != n) TRY(weight_list_of(k, l, false, &all));
    if (all.n != n)
        return fail(k->err, ERR_MODEL, "layer %s (%s): the file holds %zu weights for it, the architecture wants %zu",
            l->label, l->class_name, n, all.n);
    for (int o = 0; o < ORDERS; o++) {
        long like = 0;
        TRY(in_order(k, &all, o, &order));
        for (size_t i = 0; i < n; i++) like += likeness(names[i], &order.items[i]);
        if (like > most) most = like, best = order;
    }
    for (size_t i = 0; i < n; i++) TRY(find_data(k, l, group, root, names[i], best.items[i].weight));
    return 0;
}

int weights_by_layer(struct keras *k, struct hdf5_object *root)
{
    struct hdf5 *h = &k->shards[0]->h5;
    const char *prefix = root == h->root ? "" : "model_weights/", **names;
    size_t n;
    for (size_t i = 0; i < k->model->n_sub; i++) {
        struct layer *l = k->model->sub[i];
        struct hdf5_object *group = hdf5_child(h, root, l->name, k->err);
        struct weight_list all;
        if (!group && !k->err->code) group = hdf5_find(h, root, l->name, k->err); /* a name with slashes */
        if (k->err->code) return k->err->code;
        TRY(weight_list_of(k, l, false, &all));
        if (!group && !all.n) continue;
        if (!group)
            return fail(k->err, ERR_MODEL, "layer %s (%s): the file holds no weights for it", l->label, l->class_name);
        TRY(read_names(k, group, "weight_names", &names, &n));
        if (n || all.n) TRY(assign(k, l, group, prefix, names, n));
    }
    return 0;
}
