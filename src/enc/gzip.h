/* gzip.h - a gzip file, unpacked whole. */
#ifndef TENREC_ENC_GZIP_H
#define TENREC_ENC_GZIP_H

#include <stdbool.h>

#include "base/file.h"

struct arena;
struct err;

bool gzip_is(struct bytes file);
/* The one member of the file into the arena; its checksum is verified. The size that the file claims is believed only
 * as far as its length allows. `path` is for messages. ERR_DATA. */
int gzip_read(struct bytes *out, struct arena *a, const char *path, struct bytes file, struct err *e);

#endif
