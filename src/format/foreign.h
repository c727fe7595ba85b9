/* foreign.h - files that are no model, told by their first bytes. */
#ifndef TENREC_FORMAT_FOREIGN_H
#define TENREC_FORMAT_FOREIGN_H

#include "base/file.h"

/* What packed these bytes, "gzip" and the like, or NULL. */
const char *foreign_packed_by(struct bytes data);
/* What these bytes are and what to do with them, in words for an error, or NULL where nothing is known of them. */
const char *foreign_text(struct bytes data);

#endif
