/* report.h - many located diagnostics at once: what an importer could not do, had to guess, or wants to say. */
#ifndef TENREC_BASE_REPORT_H
#define TENREC_BASE_REPORT_H

#include <stddef.h>

struct arena;
struct err;
enum report_kind { REPORT_NOTE, REPORT_GUESS, REPORT_WARNING, REPORT_ERROR };

struct report_item {
    enum report_kind kind;
    const char *what;  /* "unsupported operator aten::foo" */
    const char *where; /* of the first occurrence; may be "" */
    size_t count;      /* equal `what` are counted, not repeated */
};
struct report {
    struct arena *arena;
    struct report_item *items;
    size_t n, cap, n_errors;
};

struct report report_in(struct arena *a);
/* Adds one occurrence; where = "" if unknown. Out of memory drops it; arena->failed tells. */
void report_add(struct report *r, enum report_kind kind, const char *where, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Turns the errors of a report into one error text: all of them, with counts and where. Returns e->code, 0 if none. */
int report_fail(const struct report *r, int code, const char *title, struct err *e);

#endif
