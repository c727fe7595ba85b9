/* boxes_voc.h - boxes in Pascal VOC's XML. */
#ifndef TENREC_DATA_BOXES_VOC_H
#define TENREC_DATA_BOXES_VOC_H

#include "base/file.h"

struct arena;
struct err;

struct voc_object {
    const char *name;
    double left, top, right, bottom; /* pixels, as the file has them: from 1, right and bottom included */
    bool difficult;                  /* counts neither as a hit nor as a miss */
};
struct voc_file {
    double width, height;
    struct voc_object *objects;
    size_t n;
};
/* ERR_DATA: no XML, no <annotation> with a <size>, an object without its box. `where` begins errors. */
int voc_read(struct voc_file *out, struct arena *a, const char *where, struct bytes text, struct err *e);

#endif
