/* steps.h - reading a list of named steps with parameters: the form in which packages hold pre- and
 * postprocessing. */
#ifndef TENREC_DATA_STEPS_H
#define TENREC_DATA_STEPS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct err;

/* One step while it is read: {"op": "resize", "size": 256, ...}. Every key asked for is remembered; step_end()
 * refuses
 * keys nobody asked for, with a did-you-mean. The error is sticky. */
enum { STEP_KEYS = 16 };
struct step_reader {
    const json_t *object;
    const char *where; /* "input x: preprocess step 2 (resize)" */
    const char *asked[STEP_KEYS];
    int n_asked;
    struct err *err;
};
const json_t *step_get(struct step_reader *r, const char *key); /* NULL when absent */
double step_number(struct step_reader *r, const char *key, double fallback);
int64_t step_int(struct step_reader *r, const char *key, int64_t fallback, int64_t min, int64_t max);
bool step_bool(struct step_reader *r, const char *key, bool fallback);
const char *step_string(struct step_reader *r, const char *key, const char *fallback);
/* The index of the text in `choices` (ends with NULL); an unknown one is an error that lists them. */
int step_choice(struct step_reader *r, const char *key, const char *const *choices, int fallback);
/* A number or a list of at most max numbers; returns how many there are (0: absent). */
int step_numbers(struct step_reader *r, const char *key, double *out, int max);
int step_end(struct step_reader *r);

/* Reads a list of steps (NULL: empty; at most STEPS_MAX). For each, its "op" is found among `names` (ends
 * with NULL), and parse() reads its parameters; keys it did not ask for are refused. `where` begins errors.
 * ERR_USAGE. */
enum { STEPS_MAX = 64 };
int steps_parse(const json_t *list, const char *where, const char *const *names,
    int (*parse)(void *ctx, size_t i, int kind, struct step_reader *r), void *ctx, struct err *e);

#endif
