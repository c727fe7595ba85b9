/* bundle.h - the container: a zip of stored, aligned entries, or the folder it unpacks to. */
#ifndef TENREC_PACKAGE_BUNDLE_H
#define TENREC_PACKAGE_BUNDLE_H

#include "package/model.h"

/* Opens m->path as a package when it is one (*found): container, manifest, graph, labels. When it is not, `file` is
 * what lies there, mapped. */
int package_open(struct model *m, struct format_file *file, bool *found, struct err *e);

#endif
