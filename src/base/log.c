/* log.c - formatting of log lines. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void log_line(const struct log *l, enum log_level level, const char *fmt, ...)
{
    if (!l || !l->write || level > l->level) return;
    char text[2000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    l->write(l->cookie, level, text);
}
