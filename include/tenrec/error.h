/* error.h - how every call of the library fails.
 *
 * A fallible function returns an int (0, or one of the negative codes) or a pointer (NULL), and takes a
 * `struct tenrec_error *` last, which the caller owns and which must not be NULL. The text says what, where and what to
 * do; nothing is ever printed, and no call ends the process. */
#ifndef TENREC_ERROR_H
#define TENREC_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#define TENREC_API __attribute__((visibility("default")))

enum tenrec_code {
    TENREC_OK = 0,
    TENREC_FAILED = -1,
    TENREC_NOMEM = -2,       /* the text says how much was needed, where that is known */
    TENREC_IO = -3,          /* a file could not be read or written */
    TENREC_MISMATCH = -4,    /* checksums or golden answers differ */
    TENREC_USAGE = -5,       /* a wrong argument */
    TENREC_MODEL = -6,       /* the file is damaged or none of the known formats */
    TENREC_UNSUPPORTED = -7, /* every operator that is not supported is named, with counts */
    TENREC_UNSAFE = -8,      /* the file names code that loading it elsewhere would run */
    TENREC_SHAPE = -9,       /* shapes or types that do not fit */
    TENREC_DATA = -10,       /* an image or tensor that cannot be used */
    TENREC_CANCELLED = -11   /* the caller's `cancelled` said so */
};

struct tenrec_error {
    int code; /* of the last failure; 0: none */
    char text[4000];
};

/* "out of memory"; static storage. */
TENREC_API const char *tenrec_code_name(int code);

#ifdef __cplusplus
}
#endif

#endif
