/* plural.h - "1 row", "2 rows": the ending of a counted noun in what is told to people. */
#ifndef TENREC_BASE_PLURAL_H
#define TENREC_BASE_PLURAL_H

static inline const char *plural(long long n)
{
    return n == 1 ? "" : "s";
}

#endif
