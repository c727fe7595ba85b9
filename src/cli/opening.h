/* opening.h - the options that every command which opens a model shares, and what it says while it does. */
#ifndef TENREC_CLI_OPENING_H
#define TENREC_CLI_OPENING_H

#include "cli/command.h"
#include "data/table.h"
#include "package/model.h"
#include "pass/precision.h"

struct recipe;

/* Rows for a command's option table: KEYS_OPEN for all that read models. */
#define KEYS_OPEN \
    { "input", 0, CONF_LIST, "[NAME=]DIMS[:TYPE]", NULL, NULL, 0, 0, \
        "shape of an input, as Nx3x224x224; letters are symbols that stay free" }, \
        { "arch", 0, CONF_READ, "MODEL", NULL, NULL, 0, 0, \
            "the structure for a file of weights: a name of the zoo, a package, an ONNX or TorchScript file" }, \
        { "key", 0, CONF_STRING, "NAME", NULL, NULL, 0, 0, \
            "which part of a checkpoint holds the weights, as in model_state_dict" }, \
        { "mode", 0, CONF_CHOICE, NULL, "score", "score|train|saved", 0, 0, \
            "the mode to read a TorchScript model in, where scoring and training differ in structure" }, \
        { "lambda", 0, CONF_LIST, "LAYER=OPERATION", NULL, NULL, 0, 0, \
            "what a layer of Keras does whose Python code is not run, as in lambda_1=relu6, or ctc" }, \
        { "like", 0, CONF_CHOICE, NULL, NULL, \
            "torchvision|timm|keras|keras-unit|keras-raw|keras-torch|keras-caffe|caffe", 0, 0, \
            "prepare images as this framework's classifiers have it" }, \
        { "preprocess", 0, CONF_READ, "FILE", NULL, NULL, 0, 0, \
            "preprocessing steps (YAML or JSON), or a Hugging Face preprocessor_config.json" }, \
        { "labels", 0, CONF_READ, "FILE", NULL, NULL, 0, 0, "class names: text, CSV or JSON" }, \
        { "label-length", 0, CONF_INT, "N", "0", NULL, 0, 1 << 20, \
            "characters of a class name that are kept; 0: all" }, \
        { "task", 0, CONF_CHOICE, NULL, NULL, "image-classification|image-segmentation|object-detection|raw", 0, 0, \
            "what the model is for, where the shapes do not say" }, \
        { "set", 0, CONF_LIST, "STEP.PARAMETER=VALUE", NULL, NULL, 0, 0, \
            "change one step of pre- or postprocessing, as in resize.size=320" }, \
    { \
        "name", 0, CONF_STRING, "NAME", NULL, NULL, 0, 0, "name of the package" \
    }

/* For commands that run models. */
#define KEY_PRECISION \
    { "precision", 0, CONF_CHOICE, NULL, "float32", "float32|bf16|bf16-rounded", 0, 0, \
        "of products: bf16 where the processor has it; bf16-rounded gives its accuracy on any, not its speed" }
/* float32, and a line that says so, where bf16 is asked for and there are no instructions for it. */
enum precision read_precision(const struct args *args);

#define KEY_RECIPE \
    { "recipe", 0, CONF_READ, "FILE", NULL, NULL, 0, 0, "which kernels to use, as bench --tune found them here" }
/* NULL where none is asked for; a line says why one is ignored. */
int read_recipe(const struct args *args, const struct graph *g, const struct recipe **r, struct err *e);

/* The row that every reporting command has. */
#define KEY_JSON { "json", 0, CONF_FLAG, NULL, NULL, NULL, 0, 0, "print JSON" }

/* Opens args->words[word]; prints notes and warnings to stderr. The model must be closed by the caller in any case. */
int open_model(struct model *m, struct args *args, size_t word, struct err *e);
/* A table for the model's inputs, by the options --columns and --query. ERR_USAGE when an input has no column. */
int open_rows(struct table **t, const struct model *m, struct args *args, const char *path, struct err *e);
/* The guesses of a report, or everything else in it. Guesses are for the commands whose answer rests on them. */
void print_report(const struct report *r, bool guesses);
/* "1.5 MB" */
const char *human_bytes(char buf[32], double bytes);
int print_json(struct arena *a, const json_t *root, struct err *e); /* to stdout */

#endif
