/* dlx.h - descriptions in the older `sas: dlx:` form, as they are. */
#ifndef TENREC_TRAIN_DLX_H
#define TENREC_TRAIN_DLX_H

struct conf;
struct err;
struct yaml;

/* Sets the keys of train_keys[] from such a document. A range (it would be a tuning) is refused clearly, as is what
 * training cannot do; what says nothing to a training is passed over. ERR_USAGE with line and column. */
int dlx_read(struct conf *c, const char *path, const struct yaml *y, struct err *e);

#endif
