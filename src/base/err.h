/* err.h - one shape of error everywhere.
 *
 * A fallible function returns int (0, or a negative ERR_*) or a pointer (NULL), and takes `struct err *` last, never
 * NULL. The text is written once, where the fault is found, in words that say what, where and what to do; callers may
 * put context in front of it with err_prefix(). It is untouched on success.
 */
#ifndef TENREC_BASE_ERR_H
#define TENREC_BASE_ERR_H

#include <stdarg.h>
#include <stddef.h>

/* name, exit code of the command line, what it means */
#define ERR_LIST(X) \
    X(FAILED, 1, "failed") \
    X(NOMEM, 1, "out of memory") \
    X(IO, 1, "input/output error") \
    X(MISMATCH, 1, "mismatch") \
    X(USAGE, 2, "usage") \
    X(MODEL, 3, "model unreadable") \
    X(UNSUPPORTED, 3, "unsupported") \
    X(UNSAFE, 3, "refused as dangerous") \
    X(SHAPE, 3, "shape or type error") \
    X(DATA, 4, "data error") \
    X(CANCELLED, 130, "interrupted")

enum err_index {
#define X(name, exit, text) ERR_INDEX_##name,
    ERR_LIST(X)
#undef X
};
enum err_code {
    ERR_OK = 0,
#define X(name, exit, text) ERR_##name = -1 - ERR_INDEX_##name,
    ERR_LIST(X)
#undef X
};

struct err {
    int code; /* 0 or ERR_* */
    char text[4000];
};

/* Writes the error and returns `code`. An error already there is kept: the first fault is the cause. */
int fail(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int vfail(struct err *e, int code, const char *fmt, va_list ap);
int fail_nomem(struct err *e);
/* Puts "context: " before the text of an error that is set. Returns its code. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void err_clear(struct err *e);
const char *err_name(int code);
int err_exit_code(int code);

#define TRY(expr) \
    do { \
        int try_code_ = (expr); \
        if (try_code_ < 0) return try_code_; \
    } while (0)

/* For functions that return pointers: NULL check with the out-of-memory error. */
#define TRY_MEM(ptr, e) \
    do { \
        if (!(ptr)) return fail_nomem(e); \
    } while (0)

#endif
