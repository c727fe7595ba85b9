/* str.h - a growing string in an arena. Out of memory is sticky: check `oom`, or str_done's NULL, once at the end. */
#ifndef TENREC_BASE_STR_H
#define TENREC_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct str {
    struct arena *arena;
    char *s; /* always terminated once something was added; may be NULL before */
    size_t len, cap;
    bool oom;
};

struct str str_in(struct arena *a);
void str_add(struct str *s, const char *text);
void str_addn(struct str *s, const char *text, size_t len);
void str_addc(struct str *s, char c);
void str_addf(struct str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *str_done(struct str *s); /* the text ("" if empty), or NULL when memory ran out */

/* Closest of `n` names to `word` by edit distance (Damerau-Levenshtein, at most a third of its length), else the
 * first that begins with it, or NULL. */
const char *str_closest(const char *word, const char *const *names, size_t n);
bool str_ends(const char *s, const char *suffix);
bool str_starts(const char *s, const char *prefix);

#endif
