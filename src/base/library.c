/* library.c - shared libraries by dlopen(). */
#include "base/library.h"

#include <dlfcn.h>

bool library_load(const char *soname, const char *const *names, void **slots, int n)
{
    void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
    for (int i = 0; i < n; i++)
        if (!library || !(slots[i] = dlsym(library, names[i]))) return false;
    return true;
}
