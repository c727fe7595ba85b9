/* checkpoint.h - everything a run needs to go on as if it had never stopped: all states, and what the trainer counts.
 *
 * One safetensors file: the states by name ("step", "exp_avg/fc.weight" ...), and in its metadata a JSON text and the
 * SHA-256 of all of it. It replaces the one before only when it is whole and on the disk.
 */
#ifndef TENREC_TRAIN_CHECKPOINT_H
#define TENREC_TRAIN_CHECKPOINT_H

#include <jansson.h>

struct arena;
struct err;
struct graph;
struct session;

int checkpoint_write(const char *path, struct session *s, const struct graph *g, const json_t *trainer, struct err *e);
/* Puts the states into the session. `trainer` is owned by `a`. ERR_DATA when the checkpoint is damaged or of
 * another training: no state has changed then. */
int checkpoint_read(
    const char *path, struct session *s, const struct graph *g, struct arena *a, json_t **trainer, struct err *e);

#endif
