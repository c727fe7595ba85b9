/* config.c - the keys of a training, and reading them. */
#include "train/config.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "enc/yaml.h"
#include "train/dlx.h"

#define PATH_KEY(name, help) \
    { \
        name, 0, CONF_STRING, "PATH", NULL, NULL, 0, 0, help \
    }
#define TEXT_KEY(name, arg, fallback, help) \
    { \
        name, 0, CONF_STRING, arg, fallback, NULL, 0, 0, help \
    }
#define LIST_KEY(name, arg, help) \
    { \
        name, 0, CONF_LIST, arg, NULL, NULL, 0, 0, help \
    }
#define NUMBER_KEY(name, fallback, help) \
    { \
        name, 0, CONF_FLOAT, "X", fallback, NULL, 0, 0, help \
    }
#define COUNT_KEY(name, fallback, min, max, help) \
    { \
        name, 0, CONF_INT, "N", fallback, NULL, min, max, help \
    }
#define BOOL_KEY(name, fallback, help) \
    { \
        name, 0, CONF_BOOL, NULL, fallback, NULL, 0, 0, help \
    }
#define CHOICE_KEY(name, fallback, choices, help) \
    { \
        name, 0, CONF_CHOICE, NULL, fallback, choices, 0, 0, help \
    }

const struct conf_key train_keys[] = {
    PATH_KEY("model", "what is trained: a package, a model file, or zoo:NAME (tenrec zoo list) with fresh weights"),
    PATH_KEY("weights", "the weights of `model`, where they lie in another file"),
    PATH_KEY("optimizer_state", "a checkpoint of PyTorch's whose optimizer's state this run begins with"),
    COUNT_KEY("classes", "0", 0, 1 << 24, "of zoo:NAME; 0: as `data` has them, or as is usual for it"),
    PATH_KEY("data", "the table to learn from: a folder with a folder per class, a CSV, an IDX file ..."),
    PATH_KEY("valid", "the table to judge by; without it a share of `data` is kept back"),
    NUMBER_KEY("valid_share", "0.15", "the share of `data` kept back to judge by, where there is no `valid`; 0: none"),
    LIST_KEY(
        "columns", "ROLE=NAME", "what a column of the tables is for, as in label=species (image, mask, label ...)"),
    PATH_KEY("valid_labels", "IDX: the file of labels of `valid`"),
    PATH_KEY("data_labels", "IDX: the file of labels of `data`"),
    CHOICE_KEY("task", "auto",
        "auto|image-classification|image-segmentation|regression|reconstruction|sequence-classification",
        "what is learnt; auto: as the columns and the model say"),
    CHOICE_KEY("head", "auto", "auto|keep|replace",
        "the last layer: replace it by a fresh one for the classes of `data`; auto: when their number differs"),
    TEXT_KEY("out", "FOLDER", "runs/train", "the run's folder; where it is there already, a number is added"),
    COUNT_KEY("epochs", "10", 1, 1000000, "times through `data`"),
    COUNT_KEY("batch", "32", 1, 1 << 20, "samples a step"),
    COUNT_KEY("accumulate", "1", 1, 1 << 20, "steps whose gradients are gathered for one update"),
    COUNT_KEY("seed", "1", 0, INT64_MAX, "of the order, the augmentations and fresh weights"),
    BOOL_KEY("shuffle", "true", "a new order in every epoch"),
    BOOL_KEY("drop_last", "false", "leave out a last batch that is not full"),
    COUNT_KEY("limit", "0", 0, INT64_MAX, "use so many rows of `data` only; 0: all"),

    TEXT_KEY("loss", "NAME", "auto", "cross_entropy, nll, dice, mse, l1, smooth_l1, bce; auto: as the task has it"),
    NUMBER_KEY("loss_weight", "1", "of `loss` in the sum, where `heads` adds others"),
    LIST_KEY("heads", "OUTPUT=LOSS",
        "further losses, of any output, added up: OUTPUT=LOSS[*WEIGHT] learns what the first output does, "
        "OUTPUT=LOSS[*WEIGHT]:COLUMN+COLUMN what these columns hold"),
    NUMBER_KEY("label_smoothing", "0", "cross_entropy: this share of each label is spread over all classes"),
    LIST_KEY("class_weight", "X", "a weight per class, in order of the classes, or the word balanced"),
    COUNT_KEY("ignore_index", "-100", INT64_MIN + 1, INT64_MAX, "labels of this number count nothing (masks: 255 too)"),
    NUMBER_KEY("beta", "1", "smooth_l1: differences below this are squared"),

    TEXT_KEY("optimizer", "NAME", "adam", "sgd, adam, adamw, adagrad, rmsprop"),
    NUMBER_KEY("lr", "0.001", "the learning rate"),
    NUMBER_KEY("momentum", NULL, "sgd (default 0.9), rmsprop (default 0)"),
    NUMBER_KEY("dampening", NULL, "sgd: taken off the gradient's share in the momentum"),
    BOOL_KEY("nesterov", NULL, "sgd: look ahead along the momentum"),
    NUMBER_KEY("beta1", NULL, "adam, adamw: decay of the first moment (default 0.9)"),
    NUMBER_KEY("beta2", NULL, "adam, adamw: decay of the second moment (default 0.999)"),
    BOOL_KEY("amsgrad", NULL, "adam, adamw: use the largest second moment so far"),
    NUMBER_KEY("epsilon", NULL, "all but sgd: added to the root that divides"),
    NUMBER_KEY("lr_decay", NULL, "adagrad: the rate is divided by 1 + updates * this"),
    NUMBER_KEY("alpha", NULL, "rmsprop: decay of the mean square (default 0.99)"),
    BOOL_KEY("centered", NULL, "rmsprop: divide by the deviation"),
    NUMBER_KEY("weight_decay", "0", "L2 penalty; adamw: shrinks the weights themselves"),
    NUMBER_KEY("l1", "0", "L1 penalty"),
    NUMBER_KEY("clip_norm", "0", "all gradients together are no longer than this; 0: any length"),
    NUMBER_KEY("clip_value", "0", "no element of a gradient is larger than this; 0: any"),
    NUMBER_KEY(
        "ema", "0", "judge and save a running average of the weights with this decay; 0: the weights themselves"),
    LIST_KEY("freeze", "PATTERN", "parameters that stay as they are, by name with * and ?, as in layer1.*"),
    LIST_KEY("freeze_stats", "PATTERN", "batch normalizations that keep their statistics, by name; *: all"),
    LIST_KEY("rate", "PATTERN=X", "times the learning rate for these parameters, as in fc.*=10"),
    LIST_KEY("decay", "PATTERN=X", "the weight decay of these parameters"),

    TEXT_KEY("schedule", "NAME", "fixed",
        "fixed, step, multistep, exponential, poly, inv, plateau, cyclic, cosine, one_cycle"),
    NUMBER_KEY("gamma", "0.1",
        "step, multistep, exponential, plateau: the rate times this; inv: lr * (1 + gamma * updates) ^ -power"),
    NUMBER_KEY("step_size", "10", "step: epochs between falls; cyclic: updates from bottom to top"),
    LIST_KEY("milestones", "EPOCH", "multistep: epochs at which the rate falls"),
    NUMBER_KEY("power", "1", "poly, inv"),
    NUMBER_KEY("min_lr", "0", "cosine, plateau: the lowest rate"),
    NUMBER_KEY("max_lr", "0", "cyclic: the highest rate; 0: 10 times lr"),
    COUNT_KEY("lr_patience", "10", 0, 1000000, "plateau: evaluations without progress before the rate falls"),
    COUNT_KEY("cooldown", "0", 0, 1000000, "plateau: evaluations it then waits"),
    NUMBER_KEY("warmup", "0", "epochs (or parts of one) during which the rate rises from 0"),

    COUNT_KEY("valid_every", "1", 1, 1000000, "epochs between evaluations"),
    TEXT_KEY("metric", "NAME", "auto",
        "what makes a package the best: loss, accuracy, miou, mae ..., of a further head "
        "OUTPUT.accuracy, OUTPUT.mae ...; auto: as the task"),
    COUNT_KEY("patience", "0", 0, 1000000, "stop after so many evaluations without a new best; 0: never"),
    NUMBER_KEY("max_seconds", "0", "stop (to be resumed) after this time; 0: never"),
    COUNT_KEY("checkpoint_updates", "0", 0, INT64_MAX, "updates between checkpoints within an epoch; 0: by the clock"),
    COUNT_KEY("log_updates", "10", 0, INT64_MAX, "updates between points of the loss for TensorBoard; 0: epochs only"),
    COUNT_KEY("max_errors", "100", 0, INT64_MAX, "rows that may fail before the run stops"),
    CHOICE_KEY("precision", "float32", "float32|bf16|bf16-rounded",
        "of products and their gradients; weights, moments, losses and statistics are float32 always. bf16-rounded: "
        "bf16's accuracy on any processor, not its speed"),
    PATH_KEY("recipe", "which kernels to use, as tenrec bench --train --tune found them for `model` on this machine"),
    COUNT_KEY("threads", "0", 0, 4096, "0: as many as this process may use"),
    COUNT_KEY("loaders", "0", 0, 256,
        "threads that make the next batch beside the step; 0: steps and batches take turns on all threads"),

    LIST_KEY("input", "[NAME=]DIMS", "shape of an input of `model`, as Nx3x224x224"),
    CHOICE_KEY("mode", "score", "score|train|saved", "the mode to read a TorchScript model in"),
    CHOICE_KEY("like", NULL, "torchvision|timm|keras|caffe", "prepare images as this framework's classifiers have it"),
    TEXT_KEY("preprocess", "FILE", NULL, "preprocessing steps: a file of YAML or JSON, or [...] itself"),
    LIST_KEY("set", "STEP.PARAMETER=VALUE", "change one step of the preprocessing, as in resize.size=320"),
    PATH_KEY("labels", "class names: text, CSV or JSON"),

    NUMBER_KEY("flip_h", "0", "augmentation: share of images mirrored left to right"),
    NUMBER_KEY("flip_v", "0", "augmentation: share of images turned upside down"),
    NUMBER_KEY("crop_scale", "1", "augmentation: the smallest share of the area a random crop keeps; 1: no crops"),
    NUMBER_KEY("crop_ratio", "1.3333333", "augmentation: the largest aspect ratio of such a crop"),
    NUMBER_KEY("degrees", "0", "augmentation: turned by up to this angle"),
    NUMBER_KEY("translate", "0", "augmentation: moved by up to this share of its sides"),
    NUMBER_KEY("scale", "0", "augmentation: enlarged or shrunk by up to this share"),
    NUMBER_KEY("shear", "0", "augmentation: sheared by up to this angle"),
    NUMBER_KEY("perspective", "0", "augmentation: corners moved by up to this share of the sides"),
    NUMBER_KEY("brightness", "0", "augmentation: up to this share brighter or darker"),
    NUMBER_KEY("contrast", "0", "augmentation: up to this share more or less contrast"),
    NUMBER_KEY("saturation", "0", "augmentation: up to this share more or less colour"),
    NUMBER_KEY("hue", "0", "augmentation: colours turned by up to this share of the circle, at most 0.5"),
    NUMBER_KEY("noise", "0", "augmentation: deviation of Gaussian noise, in shares of white"),
    NUMBER_KEY("blur", "0", "augmentation: largest radius of a Gaussian blur, in pixels"),
    NUMBER_KEY("mixup", "0",
        "samples are mixed in pairs, by a share drawn from Beta(mixup, mixup); 1 at most, 0: none"),
    NUMBER_KEY("cutout", "0", "augmentation: side of a square that is blanked, as a share of the image's"),
    { 0 },
};

static const struct conf_key *const tables[] = { train_keys, NULL };

int train_config_init(struct conf *c, struct arena *a, struct err *e)
{
    return conf_init(c, a, tables, e);
}

static int set_scalar(struct conf *c, const char *key, const json_t *v, const char *where, struct err *e)
{
    const char *text = yaml_scalar_text(c->arena, v);
    if (!text && (json_is_object(v) || json_is_array(v)))
        return fail(e, ERR_USAGE, "%s: %s: expected a plain value", where, key);
    TRY_MEM(text, e);
    return conf_set(c, key, text, where, e);
}

static int set_key(struct conf *c, const struct yaml *y, const char *path, const char *key, json_t *v, struct err *e)
{
    char where[400];
    const struct yaml_mark *m = yaml_find(y, y->root, key, 0);
    const struct conf_key *k = conf_find(c, key);
    snprintf(where, sizeof where, "%.300s:%u:%u", path, m ? m->line : 0, m ? m->column : 0);
    if (json_is_null(v)) return k ? conf_reset(c, key, e) : conf_set(c, key, "", where, e);
    if (!json_is_array(v)) return set_scalar(c, key, v, where, e);
    if (k && k->type != CONF_LIST) return fail(e, ERR_USAGE, "%s: %s takes one value, not a list", where, key);
    size_t i;
    json_t *item;
    json_array_foreach(v, i, item) TRY(set_scalar(c, key, item, where, e));
    return 0;
}

int train_config_read(struct conf *c, const char *path, struct err *e)
{
    struct bytes text;
    struct yaml y;
    TRY(file_read(c->arena, path, (size_t)16 << 20, &text, e));
    if (yaml_parse(&y, c->arena, path, text, e)) {
        if (e->code == ERR_DATA) e->code = ERR_USAGE; /* a description is the user's own words */
        return e->code;
    }
    if (!json_is_object(y.root)) return fail(e, ERR_USAGE, "%s: expected keys and values, as in \"epochs: 10\"", path);
    const char *key;
    json_t *v;
    json_object_foreach(y.root, key, v)
    {
        if (strcmp(key, "sas")) TRY(set_key(c, &y, path, key, v, e));
    }
    return json_object_get(y.root, "sas") ? dlx_read(c, path, &y, e) : 0;
}

int train_config_set(struct conf *c, const char *word, struct err *e)
{
    char key[64];
    const char *equals = strchr(word, '=');
    if (!equals || (size_t)(equals - word) >= sizeof key)
        return fail(e, ERR_USAGE, "%s: expected KEY=VALUE, as in epochs=20", word);
    snprintf(key, sizeof key, "%.*s", (int)(equals - word), word);
    const struct conf_key *k = conf_find(c, key);
    bool list = k && k->type == CONF_LIST;
    return (list ? conf_items : conf_set)(c, key, equals + 1, "command line", e);
}
