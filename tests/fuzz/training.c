/* training.c - fuzz target: descriptions of trainings; what could be read is printed, and reads back as the same. */
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>

#include "base/str.h"
#include "fuzz.h"
#include "train/config.h"

static int read_bytes(struct conf *c, struct arena *a, const void *data, size_t size, struct err *e)
{
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int code = train_config_init(c, a, e) ? e->code : train_config_read(c, path, e);
    close(fd);
    return code;
}

static void same(const struct conf_key *k, const struct conf_value *x, const struct conf_value *y)
{
    bool words = k->type == CONF_STRING || k->type == CONF_CHOICE;
    FUZZ_CHECK(x->i == y->i && x->f == y->f && x->n == y->n && !x->s == !y->s);
    for (size_t i = 0; i < x->n; i++) FUZZ_CHECK(!strcmp(x->list[i], y->list[i]));
    FUZZ_CHECK(!words || !x->s || !strcmp(x->s, y->s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct err e = { 0 };
    struct conf c, again;
    fuzz_arena(&a);
    if (fuzz_ok(read_bytes(&c, &a, data, size, &e), &e)) {
        struct str text = str_in(&a);
        conf_print(&c, &text);
        FUZZ_CHECK(str_done(&text));
        FUZZ_CHECK(fuzz_ok(read_bytes(&again, &a, text.s, text.len, &e), &e));
        for (size_t i = 0; i < c.n_keys; i++) same(&train_keys[i], &c.values[i], &again.values[i]);
    }
    arena_release(&a);
    return 0;
}
