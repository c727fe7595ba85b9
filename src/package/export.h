/* export.h - a model as a file of another framework; checked before it is announced. */
#ifndef TENREC_PACKAGE_EXPORT_H
#define TENREC_PACKAGE_EXPORT_H

#include "package/export_form.h"

/* Writes the model to `path` in the format its ending names. The file is first written beside it, read back by our own
 * importer, and run on the inputs of `ex` against the model itself; only then it gets its name. Findings go to `say`, a
 * line each, and notes to the model's report.
 * `form` NULL: as the model is. `ex` NULL: it is read back, not run. Errors: ERR_UNSUPPORTED naming the
 * nodes that the format cannot say, ERR_MISMATCH. */
int package_export(struct model *m, const char *path, const struct export_options *o, const struct export_form *form,
    const struct example *ex, void (*say)(void *cookie, const char *line), void *cookie, struct err *e);

#endif
