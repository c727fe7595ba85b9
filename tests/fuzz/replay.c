/* replay.c - runs a fuzz target as a plain test: every file of its corpus, whole, cut short and with bits turned.
 *
 * The damage is a pure function of the file, so a failure comes back. It is told before it is done: the last line
 * printed names it.
 */
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "fuzz.h"

enum { CUTS = 100, FLIPS = 400, MOST_FLIPS = 4 };

/* On a copy of exactly this size, so that the sanitizer sees a read behind it. */
static void run(const unsigned char *data, size_t len)
{
    unsigned char *copy = malloc(len ? len : 1);
    if (!copy) abort();
    if (len) memcpy(copy, data, len);
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

/* Turns a bit, or sets a byte to a value at which numbers change their meaning. */
static void damage(unsigned char *data, size_t len, uint64_t key, uint32_t round)
{
    static const unsigned char edges[] = { 0, 1, 0x7f, 0x80, 0xff, '"', '\n', '.' };
    uint32_t r[4];
    rng_philox(key, round, 0, r);
    for (uint32_t i = 0, n = 1 + r[0] % MOST_FLIPS; i < n; i++) {
        uint32_t s[4];
        rng_philox(key, round, i + 1, s);
        unsigned char *p = &data[s[0] % len];
        *p = s[1] % 4 ? *p ^ (unsigned char)(1 << s[2] % 8) : edges[s[2] % sizeof edges];
    }
}

static void replay(const char *path, struct arena *a)
{
    struct err e = { 0 };
    struct bytes file = { 0 };
    if (file_read(a, path, 1 << 20, &file, &e)) {
        fprintf(stderr, "%s\n", e.text);
        exit(1);
    }
    printf("# %s\n", path);
    run(file.data, file.len);
    for (size_t i = 0; i < CUTS; i++) {
        printf("# cut to %zu\n", file.len * i / CUTS);
        run(file.data, file.len * i / CUTS);
    }
    unsigned char *bad = arena_alloc(a, file.len);
    uint64_t key = hash_bytes(file.data, file.len);
    for (uint32_t round = 0; bad && file.len && round < FLIPS; round++) {
        printf("# damage %u\n", round);
        memcpy(bad, file.data, file.len);
        damage(bad, file.len, key, round);
        run(bad, file.len);
    }
}

int main(int argc, char **argv)
{
    struct arena a;
    struct err e = { 0 };
    const char **names = NULL;
    size_t n = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    arena_init(&a, NULL);
    if (argc != 2 || file_list(&a, argv[1], &names, &n, &e)) {
        fprintf(stderr, "usage: %s FOLDER; %s\n", argv[0], e.text);
        return 1;
    }
    printf("1..%zu\n", n ? n : 1);
    if (!n) puts("not ok 1 - the corpus is empty");
    for (size_t i = 0; i < n; i++) {
        struct arena_mark mark = arena_mark(&a);
        replay(file_join(&a, argv[1], names[i]), &a);
        printf("ok %zu - %s\n", i + 1, names[i]);
        arena_rewind(&a, mark);
    }
    arena_release(&a);
    return !n;
}
