/* attack.h - one damaged model file, opened and run in a child process of little time and memory. */
#ifndef TENREC_TESTS_HOSTILE_ATTACK_H
#define TENREC_TESTS_HOSTILE_ATTACK_H

#include <stddef.h>

#include "base/file.h"

/* What all attacks of this process have cost. */
struct attack_sum {
    long files, opened, ran;
    double seconds, slowest; /* of processor time */
    double memory;           /* the most, in bytes beyond four times the file */
    long broken;             /* promises */
};
extern struct attack_sum attack_sum;
extern const char *attack_hint; /* of the first input, "1x3x32x32"; NULL: none is given */

/* Opens `path` in a child; `what` names the damage. A broken promise is told and counted: anything but a model, or an
 * error of exit code 3 that names the file (or asks for --input), within the limits. Models that open are run on small
 * inputs (all of the first). Stops the process after a dozen broken promises. Returns the exit code of the error, 0
 * for a model. */
int attack(const char *path, const char *what);
/* Writes the bytes to `path` first. */
int attack_bytes(const char *path, const void *data, size_t len, const char *what);
void attack_report(void); /* one line of TAP diagnostics */

#endif
