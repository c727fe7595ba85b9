/* shared.h - where the test data live that are too large for the repository: $TENREC_SHARED, or shared/ beside it. */
#ifndef TENREC_TESTS_SHARED_H
#define TENREC_TESTS_SHARED_H

#include <stdlib.h>
#include <unistd.h>

/* NULL when there are none: the test skips. Tests run in the checkout or in a build folder of it. */
static inline const char *shared_dir(void)
{
    const char *places[] = { getenv("TENREC_SHARED"), "../shared", "../../shared" };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (places[i] && !access(places[i], R_OK | X_OK)) return places[i];
    return NULL;
}

#endif
