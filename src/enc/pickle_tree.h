/* pickle_tree.h - what the pickle machine needs from the file of tree helpers. */
#ifndef TENREC_ENC_PICKLE_TREE_H
#define TENREC_ENC_PICKLE_TREE_H

struct arena;
struct err;
struct pickle_value;

/* Fills in height and in_cycle of all values. Errors: ERR_MODEL when nested deeper than PICKLE_MAX_DEPTH. */
int pickle_measure(struct pickle_value *root, struct arena *a, const char *path, struct err *e);

#endif
