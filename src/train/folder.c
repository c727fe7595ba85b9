/* folder.c - making a run's folder and its table of results. */
#include "train/folder.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "enc/csv.h"

const char *folder_make(struct arena *a, const char *wanted, struct err *e)
{
    char *parent = file_dir(a, wanted);
    if (!parent) return fail_nomem(e), NULL;
    if (file_mkdirs(parent, e)) return NULL;
    for (int i = 1; i < 100000; i++) {
        char *path = i > 1 ? arena_printf(a, "%s%d", wanted, i) : arena_strdup(a, wanted);
        if (!path) return fail_nomem(e), NULL;
        if (!mkdir(path, 0777)) return path;
        if (errno != EEXIST)
            return fail(e, ERR_IO, "%s: cannot make the run's folder: %s", path, strerror(errno)), NULL;
    }
    return fail(e, ERR_IO, "%s: there are too many runs by that name", wanted), NULL;
}

const char *folder_file(struct arena *a, const char *folder, const char *name, struct err *e)
{
    const char *path = file_join(a, folder, name);
    return path ? path : (fail_nomem(e), NULL);
}

int history_add(struct history *h, const double *row, struct err *e)
{
    for (size_t i = 0; i < h->n_names; i++)
        if (!ARRAY_PUSH(h->arena, h->values, h->n, h->cap, row[i])) return fail_nomem(e);
    return 0;
}

int history_write(const struct history *h, const char *path, struct err *e)
{
    struct arena a;
    arena_init(&a, h->arena->mem);
    struct str s = str_in(&a);
    csv_put(&s, h->names, h->n_names, ','); /* some are names of a model's outputs */
    for (size_t i = 0; i < h->n; i++) {
        if (i) str_addc(&s, i % h->n_names ? ',' : '\n');
        if (!isnan(h->values[i])) str_addf(&s, "%.9g", h->values[i]);
    }
    if (h->n) str_addc(&s, '\n');
    const char *text = str_done(&s);
    int code = text ? file_write(&a, path, text, s.len, e) : fail_nomem(e);
    arena_release(&a);
    return code;
}
