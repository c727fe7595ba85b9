/* report.c - collecting diagnostics. */
#include "base/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/str.h"

struct report report_in(struct arena *a)
{
    return (struct report){ .arena = a };
}

void report_add(struct report *r, enum report_kind kind, const char *where, const char *fmt, ...)
{
    char what[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    if (kind == REPORT_ERROR) r->n_errors++;
    for (size_t i = 0; i < r->n; i++)
        if (r->items[i].kind == kind && !strcmp(r->items[i].what, what)) {
            r->items[i].count++;
            return;
        }
    struct report_item item = { kind, arena_strdup(r->arena, what), arena_strdup(r->arena, where), 1 };
    if (item.what && item.where) (void)ARRAY_PUSH(r->arena, r->items, r->n, r->cap, item);
}

int report_fail(const struct report *r, int code, const char *title, struct err *e)
{
    if (!r->n_errors) return 0;
    struct str s = str_in(r->arena);
    for (size_t i = 0; i < r->n; i++) {
        const struct report_item *it = &r->items[i];
        if (it->kind != REPORT_ERROR) continue;
        str_addf(&s, "\n  %s", it->what);
        if (it->count > 1) str_addf(&s, " (%zu times)", it->count);
        if (it->where[0]) str_addf(&s, ", %s %s", it->count > 1 ? "first at" : "at", it->where);
    }
    const char *text = str_done(&s);
    return text ? fail(e, code, "%s:%s", title, text) : fail_nomem(e);
}
