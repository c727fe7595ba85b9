/* base.c - tests of src/base. */
#include "tap.h"

#include <ftw.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/budget.h"
#include "base/cgroup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/report.h"
#include "base/rng.h"
#include "base/sorter.h"
#include "base/str.h"
#include "base/team.h"

static int closed;
static void count_close(void *p)
{
    closed += *(int *)p;
}

TEST(arena_runs_closers_and_rewinds)
{
    struct arena a;
    arena_init(&a, NULL);
    int one = 1, ten = 10;
    CHECK_INT(arena_closer(&a, count_close, &one), 0);
    struct arena_mark m = arena_mark(&a);
    CHECK_INT(arena_closer(&a, count_close, &ten), 0);
    for (int i = 0; i < 100; i++) CHECK(arena_alloc(&a, 100000));
    arena_rewind(&a, m);
    CHECK_INT(closed, 10);
    arena_release(&a);
    CHECK_INT(closed, 11);
}

TEST(arena_limit_and_overflow)
{
    struct arena a;
    arena_init(&a, NULL);
    a.limit = 1000;
    CHECK(arena_alloc(&a, 900));
    CHECK(!arena_alloc(&a, 200));
    CHECK(!arena_array(&a, (size_t)-1 / 2, 16));
    arena_release(&a);
}

TEST(map_keeps_order)
{
    struct arena a;
    arena_init(&a, NULL);
    struct map m = map_in(&a);
    char key[16];
    static int v[1000];
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "k%d", i * 7919 % 1000);
        CHECK(map_set(&m, key, &v[i]));
    }
    CHECK_INT(m.n, 1000);
    CHECK_STR(m.entries[1].key, "k919");
    CHECK(map_get(&m, "k919") == &v[1]);
    CHECK(!map_get(&m, "nope"));
    arena_release(&a);
}

TEST(did_you_mean)
{
    const char *names[] = { "learning_rate", "batch_size", "epochs" };
    CHECK_STR(str_closest("learnign_rate", names, 3), "learning_rate");
    CHECK_STR(str_closest("epoch", names, 3), "epochs");
    CHECK_STR(str_closest("learn", names, 3), "learning_rate"); /* cut short */
    CHECK(!str_closest("zzz", names, 3));
}

TEST(errors_keep_the_first_and_prefix)
{
    struct err e = { 0 };
    CHECK_INT(fail(&e, ERR_SHAPE, "rank %d", 3), ERR_SHAPE);
    fail(&e, ERR_IO, "later");
    err_prefix(&e, "conv1");
    CHECK_STR(e.text, "conv1: rank 3");
    CHECK_INT(err_exit_code(e.code), 3);
}

TEST(report_counts_equal_lines)
{
    struct arena a;
    arena_init(&a, NULL);
    struct report r = report_in(&a);
    report_add(&r, REPORT_ERROR, "x.py:3", "unsupported aten::foo");
    report_add(&r, REPORT_ERROR, "x.py:9", "unsupported aten::foo");
    report_add(&r, REPORT_WARNING, "", "harmless");
    struct err e = { 0 };
    CHECK_INT(report_fail(&r, ERR_UNSUPPORTED, "m.pt", &e), ERR_UNSUPPORTED);
    CHECK_STR(e.text, "m.pt:\n  unsupported aten::foo (2 times), first at x.py:3");
    arena_release(&a);
}

TEST(paths_that_leave_the_folder)
{
    CHECK(file_is_inside("a/b..c"));
    CHECK(!file_is_inside("../x"));
    CHECK(!file_is_inside("a/../../x"));
    CHECK(!file_is_inside("/etc/passwd"));
}

TEST(writer_aborts_without_trace)
{
    struct arena a;
    arena_init(&a, NULL);
    struct err e = { 0 };
    struct file_writer w;
    CHECK_OK(file_writer_open(&w, &a, "tap_writer_test", &e), &e);
    CHECK_OK(file_writer_put(&w, "x", 1, &e), &e);
    file_writer_abort(&w);
    CHECK(!file_exists("tap_writer_test") && !file_exists(w.temp));
    CHECK_OK(file_write(&a, "tap_writer_test", "xyz", 3, &e), &e);
    struct bytes b;
    CHECK_OK(file_map(&a, "tap_writer_test", &b, &e), &e);
    CHECK_INT(b.len, 3);
    arena_release(&a);
    unlink("tap_writer_test");
}

/* Known answers of Philox-4x32-10 from the Random123 distribution. */
TEST(philox_known_answer)
{
    uint32_t r[4];
    rng_philox(0, 0, 0, r);
    CHECK_INT(r[0], 0x6627e8d5);
    CHECK_INT(r[3], 0x9b00dbd8);
    CHECK_NEAR(rng_uniform(1, 2, 3), rng_uniform(1, 2, 3), 0);
    double many[40];
    rng_uniforms(7, 1ull << 40, (1ull << 32) - 20, 40, many);
    for (uint64_t i = 0; i < 40; i++) CHECK_NEAR(many[i], rng_uniform(7, 1ull << 40, (1ull << 32) - 20 + i), 0);
}

TEST(sha256_of_abc)
{
    char hex[65];
    hash_sha256("abc", 3, hex);
    CHECK_STR(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void fill(void *ctx, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; i++) ((int *)ctx)[i] += (int)i;
}

TEST(team_covers_every_index_once)
{
    static int v[1001];
    team_run(3, 1001, 1, fill, v);
    for (int i = 0; i < 1001; i++) CHECK_INT(v[i], i);
}

/* A file below a root of the test's own; its folders are made. */
static void put(const char *root, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *c = path + strlen(root) + 1; (c = strchr(c, '/')); *c++ = '/') {
        *c = 0;
        mkdir(path, 0777);
    }
    FILE *f = fopen(path, "w");
    CHECK(f && fputs(text, f) >= 0);
    if (f) fclose(f);
}

static const char *new_root(char root[32])
{
    strcpy(root, "cgroup-XXXXXX");
    CHECK(mkdtemp(root));
    return root;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static void remove_root(const char *root)
{
    CHECK_INT(nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

TEST(limits_of_control_groups)
{
    char root[32];
    struct cgroup_limits l = cgroup_limits(new_root(root)); /* nothing is there */
    CHECK(l.processors == 0 && l.memory == UINT64_MAX);

    put(root, "proc/self/cgroup", "0::/\n"); /* of a container, version 2 */
    put(root, "sys/fs/cgroup/cpu.max", "50000 100000\n");
    put(root, "sys/fs/cgroup/memory.max", "max\n");
    put(root, "sys/fs/cgroup/memory.current", "4096\n");
    l = cgroup_limits(root);
    CHECK(l.processors == 0.5 && l.memory == UINT64_MAX);

    put(root, "proc/self/cgroup", "0::/user/slice\n"); /* the tightest on the way up counts */
    put(root, "sys/fs/cgroup/cpu.max", "max 100000\n");
    put(root, "sys/fs/cgroup/user/cpu.max", "150000 100000\n");
    put(root, "sys/fs/cgroup/user/slice/cpu.max", "200000 100000\n");
    put(root, "sys/fs/cgroup/user/slice/memory.max", "1000000\n");
    put(root, "sys/fs/cgroup/user/slice/memory.current", "400000\n");
    l = cgroup_limits(root);
    CHECK(l.processors == 1.5 && l.memory == 600000);

    put(root, "sys/fs/cgroup/user/slice/memory.current", "1400000\n"); /* more is used than there may be */
    CHECK_INT(cgroup_limits(root).memory, 0);
    remove_root(root);
}

TEST(limits_of_control_groups_of_version_1)
{
    char root[32];
    new_root(root);
    put(root, "proc/self/cgroup", "9:cpuset:/other\n4:cpu,cpuacct:/a/b\n3:memory:/elsewhere\n1:name=systemd:/cpu\n");
    put(root, "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "50000\n");
    put(root, "sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
    put(root, "sys/fs/cgroup/cpu/other/cpu.cfs_quota_us", "1\n");
    put(root, "sys/fs/cgroup/cpu/other/cpu.cfs_period_us", "100000\n");
    put(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9000\n"); /* the group itself is hidden from a container */
    put(root, "sys/fs/cgroup/memory/memory.usage_in_bytes", "1000\n");
    struct cgroup_limits l = cgroup_limits(root);
    CHECK(l.processors == 0.5 && l.memory == 8000);
    remove_root(root);
}

TEST(damaged_names_of_control_groups_limit_nothing)
{
    static const char *const bad[] = { "", "0", "0:", "0:\n", "0::/../etc\n", ":::::\n", "4:cpu\n" };
    char root[32];
    new_root(root);
    put(root, "sys/fs/etc/cpu.max", "1 100000\n");
    put(root, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    put(root, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "0\n");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put(root, "proc/self/cgroup", bad[i]);
        struct cgroup_limits l = cgroup_limits(root);
        CHECK(l.processors == 0 && l.memory == UINT64_MAX);
    }
    remove_root(root);
}

TEST(a_budget_gives_what_was_granted)
{
    struct budget b;
    budget_init(&b, NULL, 1000);
    void *p = b.mem.alloc(b.mem.cookie, 600);
    CHECK(p && !b.spent);
    CHECK(!b.mem.alloc(b.mem.cookie, 401) && b.spent);
    CHECK(!b.mem.alloc(b.mem.cookie, SIZE_MAX));
    CHECK_INT(b.used, 600);
    budget_grant(&b.mem, 1);
    void *q = b.mem.alloc(b.mem.cookie, 401);
    CHECK(q != NULL);
    b.mem.free(b.mem.cookie, p, 600);
    b.mem.free(b.mem.cookie, q, 401);
    CHECK_INT(b.used, 0);
    budget_grant(&b.mem, SIZE_MAX);
    CHECK(b.granted == SIZE_MAX);
    budget_grant(&mem_default, 5); /* nothing happens */
}

/* What is in memory already is no news, nor is what is not there. */
TEST(files_to_come)
{
    struct arena a;
    struct err e = { 0 };
    long blocks = 0;
    arena_init(&a, NULL);
    CHECK_OK(file_write(&a, "base_test_expected", "text", 4, &e), &e);
    file_expect("base_test_expected", &blocks); /* counts what this thread had read before */
    CHECK(!file_expect("base_test_expected", &blocks));
    CHECK(!file_expect("base_test_nowhere", &blocks));
    unlink("base_test_expected");
    arena_release(&a);
}

TEST(only_regular_files_are_mapped)
{
    struct arena a;
    struct err e = { 0 };
    struct bytes b;
    arena_init(&a, NULL);
    unlink("base_test_pipe");
    CHECK(!mkfifo("base_test_pipe", 0600));
    CHECK_INT(file_map(&a, "base_test_pipe", &b, &e), ERR_DATA);
    err_clear(&e);
    CHECK_INT(file_map(&a, "/dev/null", &b, &e), ERR_DATA);
    unlink("base_test_pipe");
    arena_release(&a);
}

TEST(large_blocks_are_aligned_and_hold_zeros)
{
    const struct mem *m = &mem_default;
    for (size_t size = (size_t)1 << 20; size <= (size_t)1 << 23; size += ((size_t)1 << 20) + 77) {
        unsigned char *p = m->alloc(m->cookie, size);
        CHECK(p && (uintptr_t)p % 64 == 0);
        bool zeros = true;
        for (size_t i = 0; m->zeroed && size >= m->zeroed && i < size; i++) zeros = zeros && !p[i];
        CHECK(zeros);
        memset(p, 1, size);
        m->free(m->cookie, p, size);
    }
    CHECK(!m->alloc(m->cookie, SIZE_MAX - 5));
}

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* `n` random numbers in so many bytes come out in order, none lost, none twice. */
static void sort_numbers(uint64_t n, size_t memory)
{
    struct arena a;
    struct err e = { 0 };
    const void *record;
    uint64_t before = 0, sum = 0, count = 0;
    arena_init(&a, NULL);
    struct sorter *s = sorter_new(&a, &(struct sorter_options){ sizeof n, by_number, memory, NULL }, &e);
    CHECK(s);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t v = rng_uniform(1, 2, i) * 1000; /* many are equal */
        sum += v;
        CHECK_OK(sorter_add(s, &v, &e), &e);
    }
    for (int got; (got = sorter_next(s, &record, &e)); count++) {
        CHECK_OK(got, &e);
        const uint64_t *v = record;
        CHECK(*v >= before);
        before = *v, sum -= *v;
    }
    CHECK_INT(count, n);
    CHECK_INT(sum, 0);
    CHECK_INT(sorter_next(s, &record, &e), 0);
    CHECK(a.used < memory + 65536);
    arena_release(&a);
}

TEST(sorter_in_memory_and_outside)
{
    sort_numbers(0, 1 << 16);
    sort_numbers(1, 1 << 16);
    sort_numbers(8192, 1 << 16); /* just fits */
    sort_numbers(8193, 1 << 16);
    sort_numbers(100000, 1 << 16);
    sort_numbers(3000, 800); /* 30 runs, 3 records of each at a time */
}

TEST(sorter_without_a_place)
{
    struct arena a;
    struct err e = { 0 };
    int got = 0;
    arena_init(&a, NULL);
    struct sorter *s = sorter_new(&a, &(struct sorter_options){ 8, by_number, 80, "no/such/folder" }, &e);
    CHECK(s);
    for (uint64_t i = 0; i < 20 && !got; i++) got = sorter_add(s, &i, &e);
    CHECK_INT(got, ERR_IO);
    CHECK(strstr(e.text, "no/such/folder: cannot create"));
    arena_release(&a);
}
