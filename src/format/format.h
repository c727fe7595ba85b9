/* format.h - models of other frameworks <-> graph: one row per format.
 *
 * A reader gives the unfused graph with the source's own names and an honest report: what it guessed, what
 * it warns of, and every unsupported operator at once. Weights stay in the mapped file where they can. */
#ifndef TENREC_FORMAT_FORMAT_H
#define TENREC_FORMAT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"
#include "graph/dtype.h"
#include "graph/shape.h"

struct arena;
struct blob;
struct err;
struct graph;
struct node;
struct report;

/* What a user says of an input. */
struct import_hint {
    const char *name; /* NULL: counts as the hint of the input at the same place in the list */
    enum dtype dtype; /* DT_NONE: as the file has it */
    int rank;
    struct {
        int64_t size;
        const char *symbol; /* NULL: `size` counts; else the dimension's name */
    } dim[SHAPE_MAX];
};

/* Where training and scoring differ in structure. A pass sets the mode of a graph that can do both. */
enum import_mode { IMPORT_AS_SAVED, IMPORT_SCORE, IMPORT_TRAIN };

/* What a user says a layer does whose code cannot be run. */
struct import_lambda {
    const char *name, *op; /* of the layer; of the operation: "relu6", "ctc" */
};

struct import_options {
    const struct import_hint *inputs;
    size_t n_inputs;
    enum import_mode mode;
    const char *weights; /* the second file, where a format keeps structure and weights apart; NULL: none */
    const struct import_lambda *lambdas;
    size_t n_lambdas;
};

struct export_options {
    int opset;  /* of ONNX; 0: the lowest that can say the graph */
    bool exact; /* keep our own operators instead of writing them in standard ones */
};

/* A file being read. The bytes live as long as the arena given to format_read(), and longer while a tensor
 * that lies in them holds `blob`. */
struct format_file {
    const char *path;
    struct bytes bytes;
    struct blob *blob; /* over all of the bytes */
    /* Where another file that this one names is found, when it is no file of the folder of `path`: in the
     * same bytes (a package). NULL: in the folder. */
    int (*beside)(void *cookie, const char *name, struct bytes *out, struct err *e);
    void *cookie;
};

enum format_match { FORMAT_NO, FORMAT_BY_NAME, FORMAT_BY_CONTENT };

/* Something that a reader knows, for lists: a layer, an operator. */
struct format_item {
    const char *kind; /* "layers" */
    const char *name; /* `len` characters; several words: so many names */
    size_t len;
};

struct format {
    const char *name, *doc;
    const char *extensions; /* separated by blanks, without dots: "h5 keras" */
    const char *writes;     /* the same, of files that are written; NULL: all */
    bool whole;             /* what is written holds also weights that nothing reads */
    /* The same of files that hold a structure alone, and of those with its weights; NULL: none. */
    const char *structure, *weights;
    enum format_match (*probe)(struct bytes file, const char *path);
    /* Errors: ERR_MODEL, ERR_UNSUPPORTED (all of it in the text and the report), ERR_UNSAFE. NULL: cannot
     * read. */
    int (*read)(struct arena *a, const struct format_file *file, const struct import_options *o, struct graph **g,
        struct report *r, struct err *e);
    /* Nodes that it cannot say are expanded into simpler ones before the graph is given to write. NULL: as it is. */
    bool (*cannot)(const struct node *n);
    /* All that `read` knows, i = 0, 1, ..; false past the end; NULL: there is no list. */
    bool (*knows)(size_t i, struct format_item *out);
    /* NULL: cannot write. */
    int (*write)(
        const struct graph *g, const char *path, const struct export_options *o, struct report *r, struct err *e);
    /* Compares a written file with the graph, where it is no model that could be run; `text` says what was found. NULL:
     * it is read back and run. ERR_MISMATCH. */
    int (*check)(
        const struct graph *g, const char *path, struct arena *a, char *text, size_t text_size, struct err *e);
};

const struct format *format_at(size_t i); /* NULL past the end */
const struct format *format_find(const char *name);
bool format_has_extension(const struct format *f, const char *path);
/* Are these a model in two files: a structure, and its weights? */
bool format_is_pair(const char *structure, const char *weights);

/* Reads a model of any format (metadata "format" says which): *g, tidy and verified, lies in `a`; so do the
 * texts of `r`. `o` may be NULL. */
int format_read(struct arena *a, const char *path, const struct import_options *o, struct graph **g, struct report *r,
    struct err *e);
/* The same on bytes that are there already; `f` NULL: recognised. */
int format_read_file(struct arena *a, const struct format_file *file, const struct format *f,
    const struct import_options *o, struct graph **g, struct report *r, struct err *e);
/* The format that writes files of this name. NULL: an error that names those that are written. */
const struct format *format_for_writing(const char *path, struct arena *a, struct err *e);
/* Writes `g` in the format that the extension of `path` names. `o` may be NULL. */
int format_write(
    const struct graph *g, const char *path, const struct export_options *o, struct report *r, struct err *e);

/* "[NAME=]Nx3x224xW[:dtype]" as a hint: numbers and symbols between 'x' or ','; nothing before ':' is a
 * scalar. */
int import_hint_parse(struct arena *a, const char *text, struct import_hint *out, struct err *e);
/* The hint for the input `name`, the `index`-th; NULL if there is none. */
const struct import_hint *import_hint_for(const struct import_options *o, const char *name, size_t index);
/* Its shape, with symbols entered in `g`. */
struct shape import_hint_shape(const struct import_hint *h, struct graph *g);

/* Maps a file as a blob adopted by `a`, so that tensors may lie in it and outlive the arena by holding
 * references. What reading it may take is granted to a's budget. */
struct blob *mapped_file(struct arena *a, const char *path, struct bytes *out, struct err *e);

#endif
