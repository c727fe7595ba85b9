/* error.c - the public codes and struct are our own under other names. */
#include "api/api.h"

#include <string.h>

#define SAME(name) _Static_assert((int)TENREC_##name == (int)ERR_##name, "public code of " #name)
SAME(FAILED);
SAME(NOMEM);
SAME(IO);
SAME(MISMATCH);
SAME(USAGE);
SAME(MODEL);
SAME(UNSUPPORTED);
SAME(UNSAFE);
SAME(SHAPE);
SAME(DATA);
SAME(CANCELLED);
_Static_assert(sizeof(struct tenrec_error) == sizeof(struct err), "one size");
_Static_assert(offsetof(struct tenrec_error, text) == offsetof(struct err, text), "one layout");

struct err *api_err(struct tenrec_error *error)
{
    struct err *e = (struct err *)error;
    err_clear(e); /* it may come uninitialised, or with the last call's failure */
    return e;
}

const char *tenrec_code_name(int code)
{
    return code ? err_name(code) : "ok";
}

int api_need(const void *given, const char *what, struct err *e)
{
    return given ? 0 : fail(e, ERR_USAGE, "no %s", what);
}
