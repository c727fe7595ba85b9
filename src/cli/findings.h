/* findings.h - what a file would have executed if Python had loaded it: pickles wherever they hide, and Keras's
 * Lambda layers. Nothing is run to find out. */
#ifndef TENREC_CLI_FINDINGS_H
#define TENREC_CLI_FINDINGS_H

#include "base/file.h"
#include "enc/pickle.h"

struct arena;
struct err;

/* One pickle, or one other place that holds code. */
struct finding {
    const char *where; /* "archive/data.pkl", "pickle 2"; "" for the file itself */
    const char *what;  /* "pickle", "object array", "Lambda layer" */
    const char *error; /* it could not be read to its end, and why; else NULL */
    struct pickle pickle;
};
struct findings {
    const char *kind; /* of the file, in words: "zip archive", "HDF5", ... */
    struct finding *list;
    size_t n, cap;
    size_t sources; /* files of TorchScript code: Tenrec interprets them, in Python they run inside libtorch */
    size_t n_dangerous, n_unknown, n_broken;
};

int findings_collect(struct findings *f, struct arena *a, const char *path, struct bytes file, struct err *e);

#endif
