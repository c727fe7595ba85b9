/* table_sqlite.c - the rows of a query on an SQLite database: paths or contents (BLOBs) of images. */
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "data/table_kinds.h"

enum { WAIT_MS = 5000 }; /* for a program that writes */

struct database {
    const char *path;
    sqlite3 *db;
    sqlite3_stmt *rows, *by_number;
    uint64_t at;    /* the row that `rows` gives next */
    uint64_t count; /* once `rows` came to its end; before, UINT64_MAX */
    const char *query;
    pthread_mutex_t lock;
};

static void close_database(void *ptr)
{
    struct database *d = ptr;
    sqlite3_finalize(d->rows);
    sqlite3_finalize(d->by_number);
    sqlite3_close(d->db);
    pthread_mutex_destroy(&d->lock);
}

static bool is_sqlite(const char *path, struct bytes head)
{
    return head.len >= 16 && !memcmp(head.data, "SQLite format 3", 16);
}

static int failed(const struct database *d, struct err *e)
{
    int code = d->db ? sqlite3_errcode(d->db) & 0xff : SQLITE_NOMEM;
    if (code == SQLITE_NOMEM) return fail_nomem(e);
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        return fail(e, ERR_IO, "%s: another program has locked the database for %d seconds: try again when it is done",
            d->path, WAIT_MS / 1000);
    return fail(e, ERR_IO, "%s: %s", d->path, sqlite3_errmsg(d->db));
}

static int prepare(const struct database *d, const char *sql, sqlite3_stmt **out, struct err *e)
{
    TRY_MEM(sql, e);
    const char *rest = "";
    if (sqlite3_prepare_v2(d->db, sql, -1, out, &rest))
        return sqlite3_errcode(d->db) == SQLITE_ERROR
            ? fail(e, ERR_USAGE, "%s: %s (in: %s)", d->path, sqlite3_errmsg(d->db), sql)
            : failed(d, e);
    if (*out && !rest[strspn(rest, " \t\r\n;")] && sqlite3_column_count(*out)) return 0;
    return fail(e, ERR_USAGE, "%s: one SELECT is wanted, not: %s", d->path, sql);
}

/* Without a query: everything of the only table. */
static int only_table(struct table *t, struct database *d, struct err *e)
{
    sqlite3_stmt *s = NULL;
    struct str names = str_in(t->arena);
    int n = 0, code;
    TRY(prepare(
        d, "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'", &s, e));
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(s, 0);
        str_addf(&names, "%s%s", n++ ? ", " : "", name ? name : "");
    }
    if (code != SQLITE_DONE) failed(d, e);
    sqlite3_finalize(s);
    if (e->code) return e->code;
    const char *list = str_done(&names);
    TRY_MEM(list, e);
    if (n != 1)
        return fail(e, ERR_USAGE, "%s: has %d tables (%s): say --query \"SELECT ... FROM ...\"", d->path, n, list);
    char *sql = sqlite3_mprintf("SELECT * FROM \"%w\"", list);
    d->query = sql ? arena_strdup(t->arena, sql) : NULL;
    sqlite3_free(sql);
    TRY_MEM(d->query, e);
    return 0;
}

static int open_sqlite(struct table *t, struct err *e)
{
    struct database *d = t->state = ARENA_NEW(t->arena, struct database);
    TRY_MEM(d, e);
    TRY_MEM(t->folder = file_dir(t->arena, t->path), e);
    *d = (struct database){ .path = t->path, .query = t->options.query, .count = UINT64_MAX };
    pthread_mutex_init(&d->lock, NULL);
    int code = sqlite3_open_v2(t->path, &d->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_FULLMUTEX, NULL);
    if (arena_closer(t->arena, close_database, d)) return fail_nomem(e);
    if (code) return failed(d, e);
    sqlite3_busy_timeout(d->db, WAIT_MS);
    sqlite3_db_config(d->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(d->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL); /* views of a file call no functions that act */
    if (!d->query) TRY(only_table(t, d, e));
    TRY(prepare(d, d->query, &d->rows, e));
    if (!sqlite3_stmt_readonly(d->rows)) return fail(e, ERR_USAGE, "%s: not a SELECT: %s", d->path, d->query);
    for (int i = 0; i < sqlite3_column_count(d->rows); i++)
        TRY(table_add_column(t, sqlite3_column_name(d->rows, i), ROLE_OTHER, e));
    return 0;
}

/* Rows in any order: the query's result is copied once into a table of its own, numbered, in a temporary file. */
static int number_rows(struct database *d, struct arena *a, struct err *e)
{
    const char *sql = arena_printf(a, "CREATE TEMP TABLE tenrec_rows AS %s", d->query);
    TRY_MEM(sql, e);
    if (sqlite3_exec(d->db, sql, NULL, NULL, NULL)) return failed(d, e);
    return prepare(d, "SELECT * FROM temp.tenrec_rows WHERE rowid = ?", &d->by_number, e);
}

static int copy_cell(sqlite3_stmt *s, int i, struct arena *a, struct cell *cell, struct err *e)
{
    int type = sqlite3_column_type(s, i);
    if (type == SQLITE_NULL) return 0;
    const void *from = type == SQLITE_BLOB ? sqlite3_column_blob(s, i) : sqlite3_column_text(s, i);
    size_t n = (size_t)sqlite3_column_bytes(s, i);
    char *copy = arena_strndup(a, "", 0);
    if (n) copy = arena_alloc(a, n + 1);
    TRY_MEM(copy, e);
    if (n) memcpy(copy, from, n);
    if (type == SQLITE_BLOB) cell->bytes = (struct bytes){ (unsigned char *)copy, n };
    else cell->text = copy;
    return 0;
}

static int read_locked(
    struct table *t, struct database *d, struct cursor *c, struct arena *a, struct cell *cells, struct err *e)
{
    sqlite3_stmt *s = d->rows;
    if (c->at >= d->count) return 0;
    if (c->at != d->at || d->by_number) {
        if (!d->by_number) TRY(number_rows(d, a, e));
        s = d->by_number;
        sqlite3_reset(s);
        sqlite3_bind_int64(s, 1, (sqlite3_int64)c->at + 1);
    }
    int code = sqlite3_step(s);
    if (code == SQLITE_DONE) return d->count = c->at, 0;
    if (code != SQLITE_ROW) return failed(d, e);
    c->at++;
    if (s == d->rows) d->at++;
    for (size_t i = 0; i < t->n_columns; i++) TRY(copy_cell(s, (int)i, a, &cells[i], e));
    return 1;
}

static int read_sqlite(
    struct table *t, struct cursor *c, struct arena *a, struct cell *cells, int idle_ms, struct err *e)
{
    struct database *d = t->state;
    pthread_mutex_lock(&d->lock);
    int got = read_locked(t, d, c, a, cells, e);
    pthread_mutex_unlock(&d->lock);
    return got;
}

const struct table_kind table_sqlite = { "sqlite", is_sqlite, open_sqlite, read_sqlite };
