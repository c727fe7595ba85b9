/* str.c - growing strings and did-you-mean. */
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"

struct str str_in(struct arena *a)
{
    return (struct str){ .arena = a };
}

static bool reserve(struct str *s, size_t more)
{
    if (s->oom) return false;
    if (s->cap - s->len > more) return true;
    size_t cap = s->cap ? s->cap * 2 : 64;
    while (cap - s->len <= more) cap *= 2;
    char *p = arena_alloc(s->arena, cap);
    if (!p) return s->oom = true, false;
    if (s->len) memcpy(p, s->s, s->len);
    s->s = p;
    s->cap = cap;
    return true;
}

void str_addn(struct str *s, const char *text, size_t len)
{
    if (!reserve(s, len)) return;
    if (len) memcpy(s->s + s->len, text, len);
    s->len += len;
    s->s[s->len] = 0;
}

void str_add(struct str *s, const char *text)
{
    str_addn(s, text, strlen(text));
}

void str_addc(struct str *s, char c)
{
    str_addn(s, &c, 1);
}

void str_addf(struct str *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || !reserve(s, (size_t)n)) return;
    va_start(ap, fmt);
    vsnprintf(s->s + s->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    s->len += (size_t)n;
}

const char *str_done(struct str *s)
{
    if (s->oom) return NULL;
    return s->s ? s->s : "";
}

enum { MAX_WORD = 63 };

/* Optimal string alignment distance; both words at most MAX_WORD long. */
static int distance(const char *a, const char *b)
{
    int la = (int)strlen(a), lb = (int)strlen(b);
    int row[3][MAX_WORD + 1];
    for (int j = 0; j <= lb; j++) row[0][j] = j;
    for (int i = 1; i <= la; i++) {
        int *cur = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];
        cur[0] = i;
        for (int j = 1; j <= lb; j++) {
            int d = up[j - 1] + (a[i - 1] != b[j - 1]);
            if (up[j] + 1 < d) d = up[j] + 1;
            if (cur[j - 1] + 1 < d) d = cur[j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && up2[j - 2] + 1 < d) d = up2[j - 2] + 1;
            cur[j] = d;
        }
    }
    return row[la % 3][lb];
}

const char *str_closest(const char *word, const char *const *names, size_t n)
{
    size_t len = strlen(word);
    if (len > MAX_WORD) return NULL;
    const char *best = NULL;
    int best_d = (int)(len + 2) / 3 + 1;
    for (size_t i = 0; i < n; i++) {
        if (strlen(names[i]) > MAX_WORD) continue;
        int d = distance(word, names[i]);
        if (d < best_d) best_d = d, best = names[i];
    }
    for (size_t i = 0; !best && len > 1 && i < n; i++) /* what was cut short: val for valid */
        if (str_starts(names[i], word)) best = names[i];
    return best;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t a = strlen(s), b = strlen(suffix);
    return a >= b && !memcmp(s + a - b, suffix, b);
}

bool str_starts(const char *s, const char *prefix)
{
    return !strncmp(s, prefix, strlen(prefix));
}
