/* err.c - error records: code and text. */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

int vfail(struct err *e, int code, const char *fmt, va_list ap)
{
    if (e->code) return e->code;
    e->code = code;
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    return code;
}

int fail(struct err *e, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfail(e, code, fmt, ap);
    va_end(ap);
    return e->code;
}

int fail_nomem(struct err *e)
{
    return fail(e, ERR_NOMEM, "out of memory");
}

int err_prefix(struct err *e, const char *fmt, ...)
{
    if (!e->code) return 0;
    char old[sizeof e->text];
    memcpy(old, e->text, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    size_t at = n < 0 ? 0 : (size_t)n;
    if (at + 3 >= sizeof e->text) return e->code;
    size_t len = strnlen(old, sizeof e->text - at - 3);
    memcpy(e->text + at, ": ", 2);
    memcpy(e->text + at + 2, old, len);
    e->text[at + 2 + len] = 0;
    return e->code;
}

void err_clear(struct err *e)
{
    e->code = 0;
    e->text[0] = 0;
}

static const struct {
    const char *text;
    int exit;
} table[] = {
#define X(name, exit, text) { text, exit },
    ERR_LIST(X)
#undef X
};

static int known(int code)
{
    return code < 0 && -1 - code < (int)(sizeof table / sizeof table[0]);
}

const char *err_name(int code)
{
    return known(code) ? table[-1 - code].text : "ok";
}

int err_exit_code(int code)
{
    return known(code) ? table[-1 - code].exit : 0;
}
