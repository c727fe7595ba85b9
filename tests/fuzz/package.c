/* package.c - fuzz target: opens any model file as a program would, a package most of all. */
#include <unistd.h>

#include <sys/mman.h>

#include "fuzz.h"
#include "package/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct model m;
    struct err e = { 0 };
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    fuzz_ok(model_open(&m, path, &(struct model_options){ 0 }, &e), &e);
    model_close(&m);
    close(fd);
    return 0;
}
