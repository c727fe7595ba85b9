/* sorter.h - records in order, in bounded memory: what does not fit lies as sorted runs in a nameless file. */
#ifndef TENREC_BASE_SORTER_H
#define TENREC_BASE_SORTER_H

#include <stddef.h>

struct arena;
struct err;

struct sorter_options {
    size_t size;                                 /* of a record, in bytes */
    int (*compare)(const void *a, const void *b); /* a total order: then how much fits changes nothing */
    size_t memory;                               /* bytes that are held at most */
    const char *folder;                          /* where the file lies; NULL: $TMPDIR, or /tmp */
};

struct sorter;
/* Lives in the arena, and the file as long as it. */
struct sorter *sorter_new(struct arena *a, const struct sorter_options *o, struct err *e);
int sorter_add(struct sorter *s, const void *record, struct err *e); /* ERR_IO: the disk is full */
/* The records from the first one: 1 and *record, which is good until the next call; 0 at the end. None can be added
 * any more. */
int sorter_next(struct sorter *s, const void **record, struct err *e);

#endif
