/* table_kinds.h - what a kind of table must be able to do; table.c does the rest. */
#ifndef TENREC_DATA_TABLE_KINDS_H
#define TENREC_DATA_TABLE_KINDS_H

#include "data/table.h"

/* TABLE_LOOK: rows that are looked at for the names of columns, where each row brings its own. */
enum { TABLE_COLUMNS_MAX = 4096, TABLE_HEAD = 512, TABLE_MAPS = 16, TABLE_LOOK = 64 };

/* Where a row begins; for a kind with a count, `at` is the row's number. */
struct cursor {
    uint64_t at;
    uint64_t line; /* of a text: lines begun; or the shard */
    uint64_t row;
    uint64_t begun; /* the line on which the row just read begins */
};

struct table_kind {
    const char *name;
    /* Whether it is ours; head: the first bytes of a regular file (at most TABLE_HEAD), empty for all else. */
    bool (*knows)(const char *path, struct bytes head);
    /* Sets columns (names and the roles it is sure of, else ROLE_OTHER), count where known, state. */
    int (*open)(struct table *t, struct err *e);
    /* Reads the row at the cursor and moves it on: text, bytes or array of each column. Must change nothing else but
     * behind a lock. 1, 0 at the end, 2 nothing yet, ERR_DATA with the cursor behind the broken row. */
    int (*read)(struct table *t, struct cursor *c, struct arena *a, struct cell *cells, int idle_ms, struct err *e);
    bool in_order_only; /* cannot be indexed */
};

struct table {
    struct arena *arena;
    const char *path;
    struct table_options options;
    const struct table_kind *kind;
    void *state;        /* of the kind */
    const char *folder; /* relative paths begin here; NULL: they are meant as they stand */
    struct column *columns;
    size_t n_columns, cap_columns;
    int *numbers; /* columns, as table_numbers() gives them; behind them those that feed inputs, input by input */
    size_t n_numbers, n_fed;
    bool said;      /* roles of columns come from the kind or the options: no guess */
    bool lines;     /* the cursor's line means something to people */
    uint64_t stamp; /* set by kinds whose path says too little */
    uint64_t size;  /* where cursors end, for kinds without a count; 0: not known */
    int64_t count;  /* -1: not known */
    struct bytes maps[TABLE_MAPS]; /* files whose pages are given back while rows are read in order */
    size_t n_maps;
    struct cursor cursor;
    struct cursor *index;
    size_t n_index, cap_index;
    struct classes classes;
};

/* For kinds. */
int table_add_column(struct table *t, const char *name, enum role role, struct err *e);
/* The column of this name, or -1. */
int table_find_column(const struct table *t, const char *name);
/* Whether table_options.columns speaks of a column of this name. */
bool table_says(const struct table *t, const char *name);
/* The name that columns of some role usually have, if this is one; `near`: or the one that may be meant. Else NULL. */
const char *table_usual_name(const char *name, bool near);
/* file_map() for what a table is read from: a long one takes no more memory than a short one. */
int table_map(struct table *t, const char *path, struct bytes *out, struct err *e);

#endif
