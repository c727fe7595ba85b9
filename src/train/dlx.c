/* dlx.c - the older descriptions: a table from their paths to our keys. */
#include "train/dlx.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "conf/conf.h"
#include "enc/yaml.h"

enum { MOST_DEPTH = 16 };

struct reading {
    struct conf *c;
    const char *path; /* of the file */
    const struct yaml *y;
    const char *where; /* "file:line:column" of the value being read */
    /* gathered until all is known */
    const char *type, *name, *subtype, *file, *size, *resize, *color;
};

struct rule {
    const char *path; /* below sas.dlx, in small letters, without indices of lists */
    int (*take)(struct reading *r, const struct rule *rule, const char *text, struct err *e);
    const char *key; /* of ours, where the value is taken as it is */
};

static int pass_over(struct reading *r, const struct rule *rule, const char *text, struct err *e)
{
    return 0;
}

static int as_it_is(struct reading *r, const struct rule *rule, const char *text, struct err *e)
{
    return conf_set(r->c, rule->key, text, r->where, e);
}

static int must_be_zero(struct reading *r, const struct rule *rule, const char *text, struct err *e)
{
    if (atof(text) == 0) return 0;
    return fail(e, ERR_UNSUPPORTED, "%s: %s: %s: there is no such augmentation", r->where, rule->path, text);
}

static int refuse(struct reading *r, const struct rule *rule, const char *text, struct err *e)
{
    return fail(e, ERR_UNSUPPORTED, "%s: %s: \"%s\" is not supported", r->where, rule->path, text);
}

static int take_task(struct reading *r, const struct rule *rule, const char *text, struct err *e)
{
    static const char *const tasks[][2] = { { "UNIVARIATE", "auto" }, { "SEGMENTATION", "image-segmentation" },
        { "REGRESSION", "regression" }, { "AUTOENCODER", "reconstruction" } };
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++)
        if (!strcasecmp(text, tasks[i][0])) return conf_set(r->c, "task", tasks[i][1], r->where, e);
    return fail(e, ERR_UNSUPPORTED,
        "%s: dataset.type: \"%s\" is none of UNIVARIATE, SEGMENTATION, REGRESSION, "
        "AUTOENCODER",
        r->where, text);
}

static int remember(struct reading *r, const struct rule *rule, const char *text, struct err *e)
{
    const char **slots[] = { &r->type, &r->name, &r->subtype, &r->file, &r->size, &r->resize, &r->color };
    static const char *const names[] = { "type", "name", "subtype", "file", "size", "resize", "color" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!strcmp(rule->key, names[i])) *slots[i] = text;
    return 0;
}

/* Three gains: hue, saturation, brightness. */
static int take_colors(struct reading *r, const struct rule *rule, const char *text, struct err *e)
{
    static const char *const keys[] = { "hue", "saturation", "brightness" };
    char *copy = arena_strdup(r->c->arena, text), *save;
    TRY_MEM(copy, e);
    int n = 0;
    for (char *word = strtok_r(copy, " ,", &save); word; word = strtok_r(NULL, " ,", &save), n++) {
        if (n == 3) break;
        TRY(conf_set(r->c, keys[n], word, r->where, e));
    }
    return n == 3 ? 0 : fail(e, ERR_USAGE, "%s: colorSpace: expected three numbers", r->where);
}

#define IMAGE "preprocessing.modelinput.imagetransformation."
static const struct rule rules[] = {
    { "label", pass_over, NULL },
    { "dataset.type", take_task, NULL },
    { "preprocessing.modelinput.label", pass_over, NULL },
    { IMAGE "resize.type", remember, "resize" },
    { IMAGE "resize.size", remember, "size" },
    { IMAGE "resize.target_size", pass_over, NULL }, /* masks follow their images */
    { IMAGE "colortransform", remember, "color" },
    { IMAGE "randomtransform.mosaicprob", must_be_zero, NULL },
    { IMAGE "randomtransform.random_flip_h", as_it_is, "flip_h" },
    { IMAGE "randomtransform.random_flip_v", as_it_is, "flip_v" },
    { IMAGE "randomtransform.degree", as_it_is, "degrees" },
    { IMAGE "randomtransform.translation", as_it_is, "translate" },
    { IMAGE "randomtransform.scale", as_it_is, "scale" },
    { IMAGE "randomtransform.shear", as_it_is, "shear" },
    { IMAGE "randomtransform.perspective", as_it_is, "perspective" },
    { IMAGE "randomtransform.colorspace", take_colors, NULL },
    { "preprocessing.modelinput.texttransformation.word_embedding", refuse, NULL },
    { "model.type", remember, "type" },
    { "model.name", remember, "name" },
    { "model.subtype", remember, "subtype" },
    { "model.classnumber", as_it_is, "classes" },
    { "model.num_classes", as_it_is, "classes" },
    { "model.caslib", pass_over, NULL },
    { "model.path", remember, "file" },
    { "model.anchors", refuse, NULL },
    { "model.rnntype", refuse, NULL },
    { "model.inputsize", refuse, NULL },
    { "model.hiddensize", refuse, NULL },
    { "model.numlayers", refuse, NULL },
    { "model.inputs.label", pass_over, NULL },
    { "model.inputs.size", pass_over, NULL },
    { "model.outputs.label", pass_over, NULL },
    { "model.outputs.size", pass_over, NULL },
};
enum { N_RULES = sizeof rules / sizeof rules[0] };

static int locate(struct reading *r, const json_t *parent, const char *key, size_t index, struct err *e)
{
    const struct yaml_mark *m = yaml_find(r->y, parent, key, index);
    r->where = m ? arena_printf(r->c->arena, "%s:%u:%u", r->path, m->line, m->column) : r->path;
    return r->where ? 0 : fail_nomem(e);
}

static int take(struct reading *r, const char *path, const json_t *v, struct err *e)
{
    const char *text = yaml_scalar_text(r->c->arena, v), *names[N_RULES];
    if (!text) return json_is_null(v) ? 0 : fail_nomem(e);
    for (size_t i = 0; i < N_RULES; i++) {
        names[i] = rules[i].path;
        if (!strcmp(rules[i].path, path)) return rules[i].take(r, &rules[i], text, e);
    }
    const char *near = str_closest(path, names, N_RULES);
    return fail(e, ERR_USAGE, "%s: unknown key \"%s\"%s%s%s", r->where, path, near ? ", did you mean \"" : "",
        near ? near : "", near ? "\"?" : "");
}

static bool is_range(const json_t *v)
{
    static const char *const bounds[] = { "lb", "ub", "lowerbound", "upperbound", "valuelist", "logscale" };
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)(uintptr_t)v, key, item)
    {
        for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++)
            if (!strcasecmp(key, bounds[i])) return true;
    }
    return false;
}

static int walk(struct reading *r, const char *path, json_t *v, int depth, struct err *e)
{
    const char *key;
    json_t *item;
    size_t i;
    if (depth > MOST_DEPTH) return fail(e, ERR_USAGE, "%s: too deep", r->where);
    if (is_range(v))
        return fail(
            e, ERR_UNSUPPORTED, "%s: %s is a range, which asks for a tuning: train takes one value", r->where, path);
    json_object_foreach(v, key, item)
    {
        char *longer = arena_printf(r->c->arena, "%s%s%s", path, *path ? "." : "", key);
        TRY_MEM(longer, e);
        for (char *p = longer; *p; p++) *p = (char)tolower((unsigned char)*p);
        TRY(locate(r, v, key, 0, e));
        TRY(walk(r, longer, item, depth + 1, e));
    }
    json_array_foreach(v, i, item)
    {
        TRY(locate(r, v, NULL, i, e));
        TRY(walk(r, path, item, depth + 1, e));
    }
    return json_is_object(v) || json_is_array(v) ? 0 : take(r, path, v, e);
}

/* The names of native models, and what follows them. */
static int native_model(struct reading *r, struct err *e)
{
    static const char *const names[][2] = { { "SAS_TORCH_LENET", "lenet5" }, { "SAS_TORCH_UNET", "unet" },
        { "SAS_TORCH_RESNET", "" }, { "SAS_TORCH_VGG", "" } };
    if (!r->name) return fail(e, ERR_USAGE, "%s: model.name is missing", r->path);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcasecmp(r->name, names[i][0])) continue;
        const char *which = names[i][1][0] ? names[i][1] : r->subtype;
        if (!which) return fail(e, ERR_USAGE, "%s: model.subtype is missing", r->path);
        char *zoo = arena_printf(r->c->arena, "zoo:%s", which);
        TRY_MEM(zoo, e);
        for (char *p = zoo; *p; p++) *p = (char)tolower((unsigned char)*p);
        TRY(conf_set(r->c, "model", zoo, r->path, e));
        return r->file ? conf_set(r->c, "weights", r->file, r->path, e) : 0;
    }
    return fail(e, ERR_UNSUPPORTED, "%s: model.name: \"%s\" is not in the zoo (tenrec zoo list)", r->path, r->name);
}

static int take_model(struct reading *r, struct err *e)
{
    if (r->type && !strcasecmp(r->type, "TORCHNATIVE")) return native_model(r, e);
    if (r->type && strcasecmp(r->type, "TORCHSCRIPT"))
        return fail(
            e, ERR_UNSUPPORTED, "%s: model.type: \"%s\" is neither TORCHSCRIPT nor TORCHNATIVE", r->path, r->type);
    return r->file ? conf_set(r->c, "model", r->file, r->path, e)
                   : fail(e, ERR_USAGE, "%s: model.path is missing", r->path);
}

/* "28 28" or "640", and how it is reached. Their data have the channels blue, green, red unless it is said. */
static int take_size(struct reading *r, struct err *e)
{
    if (!r->size && !r->color) return 0;
    struct str s = str_in(r->c->arena);
    bool box = r->resize && !strcasecmp(r->resize, "RETAIN_ASPECTRATIO"), known = box;
    known = known || !r->resize || !strcasecmp(r->resize, "To_FIX_DIM");
    if (!known)
        return fail(e, ERR_UNSUPPORTED, "%s: resize.type: \"%s\" is neither To_FIX_DIM nor RETAIN_ASPECTRATIO", r->path,
            r->resize);
    const char *color = r->color && !strcasecmp(r->color, "none") ? NULL : r->color;
    str_add(&s, "[{\"op\": \"decode\", \"color_space\": \"");
    for (const char *p = color ? color : "BGR"; *p; p++)
        if (*p != '"' && *p != '\\') str_addc(&s, (char)toupper((unsigned char)*p));
    str_add(&s, "\"}");
    if (r->size) {
        char *end;
        long first = strtol(r->size, &end, 10), second = strtol(end, &end, 10);
        if (first < 1 || *end) return fail(e, ERR_USAGE, "%s: resize.size: \"%s\" is no size", r->path, r->size);
        str_addf(&s, ", {\"op\": \"resize\", \"mode\": \"%s\", \"size\": [%ld, %ld]}", box ? "letterbox" : "exact",
            first, second > 0 ? second : first);
    }
    str_add(&s, ", {\"op\": \"rescale\", \"factor\": 255}, {\"op\": \"layout\", \"layout\": \"NCHW\"}]");
    const char *steps = str_done(&s);
    TRY_MEM(steps, e);
    return conf_set(r->c, "preprocess", steps, r->path, e);
}

int dlx_read(struct conf *c, const char *path, const struct yaml *y, struct err *e)
{
    struct reading r = { .c = c, .path = path, .y = y, .where = path };
    json_t *sas = json_object_get(y->root, "sas"), *dlx = json_object_get(sas, "dlx");
    static const char *const inner[] = { "train", "score" }; /* as older descriptions have it */
    for (size_t i = 0; i < 2; i++)
        if (json_is_object(json_object_get(dlx, inner[i]))) dlx = json_object_get(dlx, inner[i]), i = 2;
    if (!json_is_object(dlx)) return fail(e, ERR_USAGE, "%s: sas: there is no dlx: below it", path);
    TRY(walk(&r, "", dlx, 0, e));
    TRY(take_model(&r, e));
    return take_size(&r, e);
}
