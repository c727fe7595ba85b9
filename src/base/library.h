/* library.h - shared libraries that are loaded when they are first needed. */
#ifndef TENREC_BASE_LIBRARY_H
#define TENREC_BASE_LIBRARY_H

#include <stdbool.h>

/* Fills slots[i] with the function names[i] of the library `soname`, for n of them; false when the library or one of
 * them is not there. It stays loaded: its own caches would be lost with it. */
bool library_load(const char *soname, const char *const *names, void **slots, int n);

#endif
