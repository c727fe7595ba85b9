/* torch_state.c - a run's weights and optimizer in PyTorch's form, out and in. */
#include "train/torch_state.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"
#include "enc/json.h"
#include "format/safetensors.h"
#include "format/torch/pickler.h"
#include "format/weights/weights.h"
#include "train/config.h"
#include "train/optimizer.h"
#include "train/run.h"

#define CHECKPOINT "checkpoint.safetensors"

/* Keys of a group of parameters: ours, PyTorch's, what PyTorch takes where it was not said. */
struct hyper {
    const char *ours, *torch;
    double otherwise;
    bool flag;
};
static const struct {
    const char *optimizer;
    struct hyper keys[8];
} groups[] = {
    { "sgd",
        { { "momentum", "momentum", 0.9 }, { "dampening", "dampening", 0 }, { "nesterov", "nesterov", 0, true } } },
    { "adam", { { "epsilon", "eps", 1e-8 }, { "amsgrad", "amsgrad", 0, true } } },
    { "adamw", { { "epsilon", "eps", 1e-8 }, { "amsgrad", "amsgrad", 0, true } } },
    { "adagrad", { { "lr_decay", "lr_decay", 0 }, { "epsilon", "eps", 1e-8 } } },
    { "rmsprop",
        { { "momentum", "momentum", 0 }, { "alpha", "alpha", 0.99 }, { "epsilon", "eps", 1e-8 },
            { "centered", "centered", 0, true } } },
};

struct out {
    struct arena a;
    struct model model;
    struct conf conf;
    struct safetensors file;
    const json_t *trainer;
    const struct optimizer *optimizer;
    struct pickler p;
    struct err *e;
};

bool torch_state_is_run(const char *folder)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/" CHECKPOINT, folder);
    return file_is_dir(folder) && file_exists(path);
}

static int open_checkpoint(struct out *x, const char *folder)
{
    struct bytes bytes;
    char *path = file_join(&x->a, folder, CHECKPOINT), *args = file_join(&x->a, folder, "args.yaml");
    json_t *trainer;
    if (!path || !args) return fail_nomem(x->e);
    struct blob *blob = mapped_file(&x->a, path, &bytes, x->e);
    if (!blob || safetensors_read(&x->file, &x->a, path, bytes, blob, x->e)) return x->e->code;
    const char *text = map_get(&x->file.metadata, "trainer");
    if (!text) return fail(x->e, ERR_DATA, "%s: no checkpoint of a training", path);
    TRY(json_parse(&x->a, path, (struct bytes){ (const unsigned char *)text, strlen(text) }, &trainer, x->e));
    x->trainer = trainer;
    TRY(train_config_init(&x->conf, &x->a, x->e));
    TRY(train_config_read(&x->conf, args, x->e));
    x->optimizer = optimizer_find(conf_string(&x->conf, "optimizer"), x->e);
    return x->e->code;
}

static const struct tensor *state_of(const struct out *x, const char *prefix, const char *name)
{
    char key[600];
    snprintf(key, sizeof key, "%s%s%s", prefix, prefix[0] ? "/" : "", name);
    const struct safetensors_entry *entry = safetensors_find(&x->file, key);
    return entry ? &entry->tensor : NULL;
}

/* The weights as they were when the checkpoint was written, not their running averages. */
static void take_weights(struct out *x)
{
    struct graph *g = x->model.graph;
    for (size_t i = 0; i < g->n_states; i++) {
        const struct tensor *t = state_of(x, "", g->states[i]->name);
        if (t && t->dtype == g->states[i]->dtype && shape_equal(&t->shape, &g->states[i]->data->shape))
            g->states[i]->data = t;
    }
}

static void put_flag(struct pickler *p, const char *key, bool v)
{
    pickle_put_str(p, key);
    pickle_put_op(p, v ? "\x88" : "\x89");
}

static void put_number(struct pickler *p, const char *key, double v)
{
    pickle_put_str(p, key);
    pickle_put_float(p, v);
}

static double number(const struct out *x, const char *key, double otherwise)
{
    return conf_has(&x->conf, key) ? conf_float(&x->conf, key) : otherwise;
}

static void put_group(struct out *x, size_t n)
{
    struct pickler *p = &x->p;
    const struct hyper *h = NULL;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (!strcmp(groups[i].optimizer, x->optimizer->name)) h = groups[i].keys;
    pickle_put_op(p, "}(");
    put_number(p, "lr", conf_float(&x->conf, "lr"));
    put_number(p, "weight_decay", conf_float(&x->conf, "weight_decay"));
    if (optimizer_has(x->optimizer, "beta1")) {
        pickle_put_str(p, "betas");
        pickle_put_float(p, number(x, "beta1", 0.9));
        pickle_put_float(p, number(x, "beta2", 0.999));
        pickle_put_op(p, "\x86");
    }
    for (; h && h->ours; h++) {
        if (h->flag) put_flag(p, h->torch, conf_has(&x->conf, h->ours) && conf_int(&x->conf, h->ours));
        else put_number(p, h->torch, number(x, h->ours, h->otherwise));
    }
    put_flag(p, "maximize", false);
    pickle_put_str(p, "params");
    pickle_put_op(p, "](");
    for (size_t i = 0; i < n; i++) pickle_put_int(p, (int64_t)i);
    pickle_put_op(p, "eu");
}

/* The moments of one parameter, in the order of axes of its source; nothing for one that was not trained. */
static int put_state(struct out *x, const struct value *v, size_t index, const struct tensor *step, bool *any)
{
    bool open = false;
    for (const struct optimizer_state *s = x->optimizer->states; s->name; s++) {
        const struct tensor *t = state_of(x, s->name, v->name);
        if (!t) continue;
        struct value like = *v;
        like.data = t;
        if (!(t = weights_as_source(&like, &x->a, x->e))) return x->e->code;
        if (!open) {
            pickle_put_int(&x->p, (int64_t)index);
            pickle_put_op(&x->p, "}(");
            if (strcmp(x->optimizer->name, "sgd")) {
                pickle_put_str(&x->p, "step");
                TRY(pickle_put_tensor(&x->p, step, x->e));
            }
            open = *any = true;
        }
        pickle_put_str(&x->p, s->name);
        TRY(pickle_put_tensor(&x->p, t, x->e));
    }
    if (open) pickle_put_op(&x->p, "u");
    return 0;
}

static int put_optimizer(struct out *x)
{
    const struct graph *g = x->model.graph;
    struct shape scalar = shape_of(0, NULL);
    const struct tensor *count = state_of(x, "", "step");
    struct tensor *step = tensor_new(&x->a, DT_F32, &scalar, x->e);
    size_t n = 0;
    bool any = false;
    if (!step) return x->e->code;
    tensor_set_f64(step, 0, count ? tensor_get_f64(count, 0) : 0);
    pickle_put_op(&x->p, "}(");
    pickle_put_str(&x->p, "state");
    pickle_put_op(&x->p, "}(");
    for (size_t i = 0; i < g->n_states; i++)
        if (g->states[i]->flags & VALUE_TRAINABLE) TRY(put_state(x, g->states[i], n++, step, &any));
    pickle_put_op(&x->p, "u");
    pickle_put_str(&x->p, "param_groups");
    pickle_put_op(&x->p, "](");
    put_group(x, n);
    pickle_put_op(&x->p, "eu");
    return any || !strcmp(x->optimizer->name, "sgd") ? 0
                                                     : fail(x->e, ERR_DATA,
                                                           "the checkpoint holds no state of %s for this "
                                                           "model's weights",
                                                           x->optimizer->name);
}

static int put_all(struct out *x)
{
    struct weights w;
    struct pickler *p = &x->p;
    TRY(weights_of_graph(&w, x->model.graph, &x->a, x->e));
    *p = pickler_in(&x->a);
    pickle_put_op(p, "}(");
    pickle_put_str(p, "epoch");
    pickle_put_int(p, json_integer_value(json_object_get(x->trainer, "epoch")));
    pickle_put_str(p, "model_state_dict");
    TRY(weights_put_state_dict(&w, p, x->e));
    pickle_put_str(p, "optimizer_state_dict");
    TRY(put_optimizer(x));
    pickle_put_op(p, "u.");
    return 0;
}

static int write_zip(struct out *x, const char *path)
{
    struct file_writer f;
    struct zip_writer z;
    TRY(file_writer_open(&f, &x->a, path, x->e));
    zip_writer_init(&z, &x->a, &f);
    int code = pickler_write(&x->p, &z, "archive", "data", x->e);
    if (!code) code = zip_writer_add(&z, "archive/byteorder", "little", 6, x->e);
    if (!code) code = zip_writer_add(&z, "archive/version", "3\n", 2, x->e);
    if (!code) code = zip_writer_finish(&z, x->e);
    if (code) return file_writer_abort(&f), code;
    return file_writer_commit(&f, x->e);
}

static int check(struct out *x, const char *path, char *text, size_t size)
{
    struct weights have;
    struct report quiet = report_in(&x->a);
    struct format_file file = { .path = path };
    if (!(file.blob = mapped_file(&x->a, path, &file.bytes, x->e))) return x->e->code;
    TRY(weights_read(&have, &x->a, &file, "model_state_dict", &quiet, x->e));
    size_t n = have.n;
    if (n != x->p.n) return fail(x->e, ERR_MISMATCH, "%zu tensors are read back, not %zu", n, x->p.n);
    for (size_t i = 0; i < n; i++) {
        const struct tensor *a = have.list[i].tensor, *b = x->p.storages[i];
        if (a->dtype != b->dtype || !shape_equal(&a->shape, &b->shape) ||
            memcmp(a->data, b->data, (size_t)tensor_bytes(a)))
            return fail(x->e, ERR_MISMATCH, "\"%s\" differs when the file is read back", have.list[i].path);
    }
    snprintf(text, size, "%zu weights and %zu tensors of %s, equal in every bit when read back", have.n_chosen,
        n - have.n_chosen, x->optimizer->name);
    return 0;
}

static int export(struct out *x, const char *folder, const char *path, char *text, size_t size)
{
    struct model_options o = { 0 };
    TRY(open_checkpoint(x, folder));
    char *package = file_join(&x->a, folder, "last.tenrec"), *part = arena_printf(&x->a, "%s.part", path);
    if (!package || !part) return fail_nomem(x->e);
    if (!file_exists(package))
        return fail(x->e, ERR_USAGE, "%s: the run has not ended: it has no last.tenrec yet", folder);
    TRY(model_open(&x->model, package, &o, x->e));
    size_t n;
    conf_list(&x->conf, "rate", &n);
    if (n || (conf_list(&x->conf, "decay", &n), n))
        return fail(
            x->e, ERR_UNSUPPORTED, "the run has rates or decays for single parameters, which stay outside one group");
    take_weights(x);
    TRY(put_all(x));
    if (write_zip(x, part) || check(x, part, text, size)) return unlink(part), x->e->code;
    return rename(part, path) ? fail(x->e, ERR_IO, "%s: cannot be given its name: %m", path) : 0;
}

int torch_state_export(const char *folder, const char *path, char *text, size_t text_size, struct err *e)
{
    struct out x = { .e = e };
    arena_init(&x.a, NULL);
    int code = export(&x, folder, path, text, text_size);
    model_close(&x.model);
    arena_release(&x.a);
    return code;
}

/* In. */

/* "optimizer_state_dict.state.4.exp_avg": the tensor of parameter 4. */
static const struct tensor *moment(const struct weights *w, size_t index, const char *name)
{
    char end[100];
    snprintf(end, sizeof end, "state.%zu.%s", index, name);
    for (size_t i = 0; i < w->n; i++) {
        const char *path = w->list[i].path, *at = path + strlen(path);
        if (!str_ends(path, end)) continue;
        at -= strlen(end);
        if (at == path || at[-1] == '.') return w->list[i].tensor;
    }
    return NULL;
}

static int state_index(const struct graph *g, const char *prefix, const char *name)
{
    char full[300];
    snprintf(full, sizeof full, "%s%s%.250s", prefix, prefix[0] ? "/" : "", name);
    for (size_t i = 0; i < g->n_states; i++)
        if (!strcmp(g->states[i]->name, full)) return (int)i;
    return -1;
}

/* In the order of axes that the graph has: what weights_as_source() undoes. */
static const struct tensor *as_graph(struct train_run *r, const struct value *v, const struct tensor *t, struct err *e)
{
    const struct origin *o = v->origin;
    int64_t stride[SHAPE_MAX], at[SHAPE_MAX] = { 0 };
    if (!o || !o->rank || o->rank != t->shape.rank) return t;
    struct tensor *out = tensor_new(&r->a, t->dtype, &v->data->shape, e);
    shape_strides(&t->shape, stride);
    for (int d = 0; out && d < o->rank; d++)
        if (o->perm[d] < 0 || o->perm[d] >= o->rank || t->shape.dim[o->perm[d]] != out->shape.dim[d]) return t;
    for (int64_t i = 0; out && i < tensor_count(out); i++) {
        int64_t from = 0;
        for (int d = 0; d < o->rank; d++) from += at[d] * stride[o->perm[d]];
        tensor_set_f64(out, i, tensor_get_f64(t, from));
        for (int d = o->rank; d-- > 0 && ++at[d] == out->shape.dim[d];) at[d] = 0;
    }
    return out;
}

static const struct value *by_key(const struct graph *g, const char *key)
{
    for (size_t i = 0; i < g->n_states; i++) {
        const struct value *v = g->states[i];
        if (!strcmp(v->origin && v->origin->key ? v->origin->key : v->name, key)) return v;
    }
    return NULL;
}

/* All states of one parameter; how many were there. */
static int take(
    struct train_run *r, const struct weights *w, const struct value *v, size_t index, int *taken, struct err *e)
{
    for (const struct optimizer_state *s = r->optimizer->states; s->name; s++) {
        int i = state_index(r->step, s->name, v->name);
        const struct tensor *t = i < 0 ? NULL : moment(w, index, s->name);
        if (!t) continue;
        if (!(t = as_graph(r, v, t, e))) return e->code;
        if (!shape_equal(&t->shape, &r->step->states[i]->data->shape) || session_set_state(r->session, (size_t)i, t, e))
            return fail(e, ERR_DATA,
                "the %s of parameter %zu does not fit %s: the parameters are in another order, or "
                "those of another model",
                s->name, index, v->name);
        ++*taken;
    }
    return 0;
}

static int import(struct train_run *r, const struct weights *w, const char *path, struct err *e)
{
    const struct graph *g = r->model.graph;
    size_t index = 0, missing = 0;
    int taken = 0, at = state_index(r->step, "", "step");
    const struct tensor *step = NULL;
    for (size_t i = 0; i < w->n; i++) {
        const struct value *v = w->list[i].name ? by_key(g, w->list[i].name) : NULL;
        if (!v || !(v->flags & VALUE_TRAINABLE)) continue;
        int before = taken;
        if (!step) step = moment(w, index, "step");
        TRY(take(r, w, v, index++, &taken, e));
        missing += taken == before;
    }
    if (!taken)
        return fail(e, ERR_DATA, "%s: no state of %s for this model's parameters (optimizer: says another one?)", path,
            r->optimizer->name);
    bool sgd = !strcmp(r->optimizer->name, "sgd"); /* PyTorch counts nothing there; a momentum is one of later steps */
    if ((step || sgd) && at >= 0) {
        struct shape scalar = shape_of(0, NULL);
        struct tensor *t = tensor_new(&r->a, DT_I64, &scalar, e);
        if (!t) return e->code;
        tensor_set_i64(t, 0, step ? (int64_t)tensor_get_f64(step, 0) : 1);
        TRY(session_set_state(r->session, (size_t)at, t, e));
    } else
        run_say(r, "note: %s does not say how many updates were done; they are counted anew", path);
    run_say(r, "the optimizer goes on from %s: %d tensors, %zu of %zu parameters without state", path, taken, missing,
        index);
    return 0;
}

int torch_state_import(struct train_run *r, const char *path, struct err *e)
{
    struct weights w;
    struct report quiet = report_in(&r->a);
    struct format_file file = { .path = path };
    if (!(file.blob = mapped_file(&r->a, path, &file.bytes, e))) return e->code;
    if (weights_read(&w, &r->a, &file, NULL, &quiet, e)) return err_prefix(e, "optimizer_state");
    return import(r, &w, path, e) ? err_prefix(e, "optimizer_state: %s", path) : 0;
}
