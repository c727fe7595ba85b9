/* cgroup.c - limits of control groups, versions 1 and 2.
 *
 * /proc/self/cgroup names the group. In a container that name may belong to a tree that cannot be seen from inside:
 * files that are not there limit nothing, and the way up ends at what is mounted.
 */
#include "base/cgroup.h"

#include <stdio.h>
#include <string.h>

enum { PATH = 1024 };

/* The first numbers of a small file; how many there were ("max" is none). */
static int numbers_in(const char *dir, const char *name, long long v[2])
{
    char path[PATH + 64];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    int n = fscanf(f, "%lld %lld", &v[0], &v[1]);
    fclose(f);
    return n > 0 ? n : 0;
}

static double ratio(long long time, long long period)
{
    return time > 0 && period > 0 ? (double)time / (double)period : 0;
}

static void processors_of(const char *dir, struct cgroup_limits *l)
{
    long long v[2], period[2];
    double found = numbers_in(dir, "cpu.max", v) == 2 ? ratio(v[0], v[1]) : 0;
    if (numbers_in(dir, "cpu.cfs_quota_us", v) && numbers_in(dir, "cpu.cfs_period_us", period))
        found = ratio(v[0], period[0]);
    if (found > 0 && (l->processors <= 0 || found < l->processors)) l->processors = found;
}

static void memory_of(const char *dir, struct cgroup_limits *l)
{
    static const char *const files[][2] = { { "memory.max", "memory.current" },
        { "memory.limit_in_bytes", "memory.usage_in_bytes" } };
    for (int i = 0; i < 2; i++) {
        long long most[2], used[2];
        if (!numbers_in(dir, files[i][0], most) || !numbers_in(dir, files[i][1], used)) continue;
        uint64_t left = most[0] > used[0] ? (uint64_t)(most[0] - used[0]) : 0;
        if (left < l->memory) l->memory = left;
    }
}

/* The group and all that it is in, up to the mounted one, which is `dir` up to `mount` characters. */
static void climb(char *dir, size_t mount, void (*read)(const char *dir, struct cgroup_limits *l),
    struct cgroup_limits *l)
{
    for (;;) {
        read(dir, l);
        char *slash = strrchr(dir, '/');
        if (strlen(dir) <= mount || !slash || (size_t)(slash - dir) < mount) return;
        *slash = 0;
    }
}

static void limits_at(const char *root, const char *mount, const char *group,
    void (*read)(const char *dir, struct cgroup_limits *l), struct cgroup_limits *l)
{
    char dir[PATH];
    int n = snprintf(dir, sizeof dir, "%s/sys/fs/cgroup%s", root, mount);
    if (n < 0 || (size_t)n >= sizeof dir || strlen(group) >= sizeof dir - (size_t)n || strstr(group, "..")) return;
    strcat(dir, group);
    climb(dir, (size_t)n, read, l);
}

static int has_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (!strncmp(p, word, n) && (!p[n] || p[n] == ',')) return 1;
    return 0;
}

/* "0::/group" is version 2, "4:cpu,cpuacct:/group" version 1. */
static void read_line(const char *root, char *line, struct cgroup_limits *l)
{
    char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;
    if (!group) return;
    *group++ = 0;
    group[strcspn(group, "\n")] = 0;
    if (!strcmp(group, "/")) group = "";
    names++;
    if (!*names || has_word(names, "cpu")) limits_at(root, *names ? "/cpu" : "", group, processors_of, l);
    if (!*names || has_word(names, "memory")) limits_at(root, *names ? "/memory" : "", group, memory_of, l);
}

struct cgroup_limits cgroup_limits(const char *root)
{
    char line[PATH];
    struct cgroup_limits l = { 0, UINT64_MAX };
    snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
    FILE *f = fopen(line, "re");
    while (f && fgets(line, sizeof line, f)) read_line(root, line, &l);
    if (f) fclose(f);
    return l;
}
