/* join.c - pieces of results become the table that was asked for: text, an SQLite database, an array. */
#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/err.h"
#include "base/file.h"
#include "enc/csv.h"
#include "enc/npy.h"
#include "score/writers.h"

static int begin_text(struct join *j, struct err *e)
{
    struct results *r = j->r;
    TRY(file_writer_open(&j->file, &j->arena, r->o.out, e));
    if (r->o.format == RESULTS_JSONL) return 0;
    TRY(result_csv_header(r, &r->page, e));
    return file_writer_put(&j->file, r->text.s, r->text.len, e);
}

static int add_text(struct join *j, struct bytes rows, struct err *e)
{
    return file_writer_put(&j->file, rows.data, rows.len, e);
}

static int end_text(struct join *j, struct err *e)
{
    return file_writer_commit(&j->file, e);
}

static void abort_text(struct join *j)
{
    file_writer_abort(&j->file);
}

const struct join_format join_text = { NULL, begin_text, add_text, end_text, abort_text };

/* The database is made beside its name, and takes the place of one that is there. That one must hold nothing else, and
 * nobody may be at work on it. Columns have types, so that SQLite turns the texts into numbers. */
struct database {
    sqlite3 *db, *old; /* old: what was there, locked until it is replaced */
    sqlite3_stmt *insert;
    const char *temp;
    size_t n_columns;
};

enum { WAIT_MS = 5000 };

static int refuse(const struct database *d, const char *path, struct err *e)
{
    int code = sqlite3_errcode(d->old) & 0xff;
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        return fail(e, ERR_IO, "%s: another program has locked the database for %d seconds: try again when it is done",
            path, WAIT_MS / 1000);
    return fail(e, ERR_IO, "%s: %s", path, sqlite3_errmsg(d->old));
}

static int refuse_others(const struct database *d, const char *path, struct err *e)
{
    static const char sql[] = "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'results' LIMIT 1";
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v2(d->old, sql, -1, &s, NULL);
    if (!code && sqlite3_step(s) == SQLITE_ROW)
        fail(e, ERR_USAGE, "%s: is a database with a table \"%s\", which would be lost: give another name", path,
            (const char *)sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    return code ? refuse(d, path, e) : e->code;
}

static int lock_old(struct database *d, const char *path, struct err *e)
{
    char head[16] = "";
    FILE *f = fopen(path, "re");
    size_t got = f ? fread(head, 1, sizeof head, f) : 0;
    if (f) fclose(f);
    if (got < sizeof head || memcmp(head, "SQLite format 3", sizeof head)) return 0; /* none, or no database */
    if (sqlite3_open_v2(path, &d->old, SQLITE_OPEN_READWRITE, NULL)) return refuse(d, path, e);
    sqlite3_busy_timeout(d->old, WAIT_MS);
    if (sqlite3_exec(d->old, "BEGIN EXCLUSIVE", NULL, NULL, NULL)) return refuse(d, path, e);
    return refuse_others(d, path, e);
}

static int check_sqlite(const char *path, struct err *e)
{
    struct database d = { 0 };
    int code = lock_old(&d, path, e);
    sqlite3_close(d.old);
    return code;
}

static int sql_failed(const struct join *j, struct err *e)
{
    const struct database *d = j->state;
    return fail(e, ERR_IO, "%s: cannot write: %s", j->r->o.out, d->db ? sqlite3_errmsg(d->db) : "out of memory");
}

static int sql_run(struct join *j, const char *sql, struct err *e)
{
    const struct database *d = j->state;
    if (!sql) return fail_nomem(e);
    return sqlite3_exec(d->db, sql, NULL, NULL, NULL) ? sql_failed(j, e) : 0;
}

static void add_name(struct str *sql, const char *name)
{
    str_addc(sql, '"');
    for (const char *p = name; *p; p++) {
        if (*p == '"') str_addc(sql, '"');
        str_addc(sql, *p);
    }
    str_addc(sql, '"');
}

static int make_table(struct join *j, struct err *e)
{
    struct database *d = j->state;
    const char **names, **types;
    TRY(result_csv_columns(j->r, &j->arena, &names, &types, &d->n_columns, e));
    struct str create = str_in(&j->arena), insert = str_in(&j->arena);
    str_add(&create, "CREATE TABLE results (");
    str_add(&insert, "INSERT INTO results VALUES (");
    for (size_t i = 0; i < d->n_columns; i++) {
        if (i) str_add(&create, ", ");
        const char *name = result_utf8(&j->arena, names[i]);
        TRY_MEM(name, e);
        add_name(&create, name);
        str_addf(&create, " %s", types[i]);
        str_add(&insert, i ? ", ?" : "?");
    }
    str_addc(&create, ')');
    str_addc(&insert, ')');
    TRY(sql_run(j, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN", e));
    TRY(sql_run(j, str_done(&create), e));
    const char *text = str_done(&insert);
    TRY_MEM(text, e);
    return sqlite3_prepare_v2(d->db, text, -1, &d->insert, NULL) ? sql_failed(j, e) : 0;
}

static int begin_sqlite(struct join *j, struct err *e)
{
    struct database *d = j->state = ARENA_NEW(&j->arena, struct database);
    TRY_MEM(d, e);
    TRY(lock_old(d, j->r->o.out, e));
    TRY_MEM(d->temp = arena_printf(&j->arena, "%s.%ld.part", j->r->o.out, (long)getpid()), e);
    unlink(d->temp);
    if (sqlite3_open(d->temp, &d->db)) return sql_failed(j, e);
    return make_table(j, e);
}

static int add_sqlite(struct join *j, struct bytes rows, struct err *e)
{
    const struct database *d = j->state;
    struct arena scratch;
    struct csv csv;
    struct csv_row row;
    csv_init(&csv, j->r->o.out, rows, ',');
    for (int got = 1; got > 0;) {
        arena_init(&scratch, j->arena.mem);
        got = csv_next(&csv, &scratch, &row, e);
        for (size_t i = 0; got > 0 && i < row.n && i < d->n_columns; i++) {
            const char *text = result_utf8(&scratch, row.fields[i]);
            if (!text) got = fail_nomem(e);
            else if (text[0]) sqlite3_bind_text(d->insert, (int)i + 1, text, -1, SQLITE_TRANSIENT);
            else sqlite3_bind_null(d->insert, (int)i + 1);
        }
        if (got > 0 && sqlite3_step(d->insert) != SQLITE_DONE) got = sql_failed(j, e);
        sqlite3_reset(d->insert);
        arena_release(&scratch);
        TRY(got);
    }
    return 0;
}

static void close_database(struct database *d)
{
    sqlite3_finalize(d->insert);
    sqlite3_close(d->db);
    d->insert = NULL, d->db = NULL;
}

static int end_sqlite(struct join *j, struct err *e)
{
    struct database *d = j->state;
    TRY(sql_run(j, "COMMIT; PRAGMA synchronous = FULL", e));
    close_database(d);
    int code = file_replace(d->temp, j->r->o.out, e);
    sqlite3_close(d->old);
    d->old = NULL;
    return code;
}

static void abort_sqlite(struct join *j)
{
    struct database *d = j->state;
    if (!d) return;
    close_database(d);
    sqlite3_close(d->old);
    if (d->temp) unlink(d->temp);
}

const struct join_format join_sqlite = { check_sqlite, begin_sqlite, add_sqlite, end_sqlite, abort_sqlite };

/* The numbers follow a header of fixed length, which is written first with no rows and at last with all. */
enum { NPY_HEAD = 128 };

static int begin_npy(struct join *j, struct err *e)
{
    static const char blank[NPY_HEAD];
    const struct value *v = j->r->o.model->graph->outputs[0];
    j->numbers = v->shape.rank > 1 ? shape_span(&v->shape, 1, v->shape.rank) : v->shape.rank == 1 ? 1 : -1;
    if (j->numbers > (1 << 24)) return fail(e, ERR_USAGE, "rows of %lld numbers: use --tensors", (long long)j->numbers);
    TRY(file_writer_open(&j->file, &j->arena, j->r->o.out, e));
    return file_writer_put(&j->file, blank, NPY_HEAD, e);
}

/* The field that holds the numbers is the last but one; it is empty in a row with an error. */
static int npy_row(struct join *j, const struct csv_row *row, struct arena *a, struct err *e)
{
    const char *p = row->n > 1 ? row->fields[row->n - 2] : "";
    float *v = NULL;
    size_t n = 0, cap = 0;
    for (char *end; *p; p = end + (*end == ' ')) {
        float x = strtof(p, &end);
        if (end == p) return fail(e, ERR_DATA, "%s: \"%.40s\" is no number", j->r->o.out, p);
        if (!ARRAY_PUSH(a, v, n, cap, x)) return fail_nomem(e);
    }
    if (j->numbers < 0 && n) j->numbers = (int64_t)n;
    if (j->numbers < 0)
        return fail(e, ERR_DATA,
            "%s: the first row has an error, and the model does not say how many numbers it gives: "
            "use a CSV",
            j->r->o.out);
    while (!row->fields[row->n - 2][0] && n < (size_t)j->numbers) {
        float none = NAN;
        if (!ARRAY_PUSH(a, v, n, cap, none)) return fail_nomem(e);
    }
    if ((int64_t)n != j->numbers)
        return fail(e, ERR_DATA, "%s: rows differ in length (%zu and %lld numbers): use --tensors", j->r->o.out, n,
            (long long)j->numbers);
    return file_writer_put(&j->file, v, n * sizeof *v, e);
}

static int add_npy(struct join *j, struct bytes rows, struct err *e)
{
    struct csv csv;
    struct csv_row row;
    csv_init(&csv, j->r->o.out, rows, ',');
    for (int got = 1; got > 0;) {
        struct arena scratch;
        arena_init(&scratch, j->arena.mem);
        got = csv_next(&csv, &scratch, &row, e);
        if (got > 0 && npy_row(j, &row, &scratch, e)) got = e->code;
        arena_release(&scratch);
        TRY(got);
    }
    return 0;
}

static int end_npy(struct join *j, struct err *e)
{
    struct npy head = { .kind = 'f', .size = 4, .rank = 2, .shape = { j->rows, j->numbers < 0 ? 0 : j->numbers } };
    struct bytes b;
    TRY(npy_header(&head, &j->arena, &b, e));
    if (b.len != NPY_HEAD) return fail(e, ERR_FAILED, "%s: a header of %zu bytes", j->r->o.out, b.len);
    if (pwrite(j->file.fd, b.data, b.len, 0) != (ssize_t)b.len)
        return fail(e, ERR_IO, "%s: cannot write: %s", j->r->o.out, strerror(errno));
    return file_writer_commit(&j->file, e);
}

const struct join_format join_npy = { NULL, begin_npy, add_npy, end_npy, abort_text };
