/* progress.c - rows, rate and the time that is left, on stderr. */
#include "cli/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

/* Seconds between two lines. */
static const double on_terminal = 0.2, first_line = 10, other_lines = 60;

void progress_begin(struct progress *p)
{
    *p = (struct progress){ .terminal = isatty(2), .began = clock_now() };
    p->told = p->began;
}

bool progress_due(struct progress *p, bool last)
{
    double now = clock_now(), wait = p->terminal ? on_terminal : p->told > p->began ? other_lines : first_line;
    if (last && p->terminal) fputs("\r\033[K", stderr);
    if (last || now - p->told < wait) return false;
    p->told = now;
    return true;
}

/* "2 d 03 h", "1 h 05 min", "40 s" */
static const char *human_time(char buf[32], double seconds)
{
    static const struct {
        long unit, less;
        const char *form;
    } forms[] = { { 86400, 3600, "%ld d %02ld h" }, { 3600, 60, "%ld h %02ld min" }, { 60, 1, "%ld min %02ld s" } };
    long s = (long)(seconds < 1e9 ? seconds + 0.5 : 1e9);
    size_t i = 0;
    while (i < 3 && s < forms[i].unit) i++;
    if (i == 3) snprintf(buf, 32, "%ld s", s);
    else snprintf(buf, 32, forms[i].form, s / forms[i].unit, s % forms[i].unit / forms[i].less);
    return buf;
}

void progress_tell(const struct progress *p)
{
    double spent = p->told - p->began, rate = (double)p->done / (spent + 1e-9);
    char left[32];
    fprintf(stderr, "%s%lld", p->terminal ? "\r\033[K" : "tenrec: ", (long long)(p->done + p->before));
    if (p->all > 0) fprintf(stderr, " of %lld", (long long)p->all);
    fputs(" rows", stderr);
    if (p->done > 0) fprintf(stderr, ", %.1f rows/s", rate); /* none yet where an earlier run's are passed over */
    if (p->errors) fprintf(stderr, ", %lld with errors", (long long)p->errors);
    if (p->left >= 0 && p->done > 0 && spent > 2) fprintf(stderr, ", %s left", human_time(left, p->left / rate));
    if (!p->terminal) fputc('\n', stderr);
}
