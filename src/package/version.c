/* version.c - the version of the library. */
#include "tenrec/tenrec.h"

const char *tenrec_version(void)
{
    return TENREC_VERSION;
}
