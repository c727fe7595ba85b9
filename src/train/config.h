/* config.h - what a training is told: one table of keys for descriptions in YAML, key=value words and help. */
#ifndef TENREC_TRAIN_CONFIG_H
#define TENREC_TRAIN_CONFIG_H

#include "conf/conf.h"

struct str;

extern const struct conf_key train_keys[];

int train_config_init(struct conf *c, struct arena *a, struct err *e);
/* Reads a description: a mapping of the keys; a key `sas` holds one of the older form (dlx.h). Relative paths count
 * from where it was started, as those on the command line. ERR_USAGE with line and column; ERR_IO. */
int train_config_read(struct conf *c, const char *path, struct err *e);
/* One KEY=VALUE word; a list is begun anew by the first word that names it. */
int train_config_set(struct conf *c, const char *word, struct err *e);

#endif
