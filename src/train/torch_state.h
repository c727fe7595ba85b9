/* torch_state.h - a run's weights and optimizer in PyTorch's form, out and in.
 *
 * A checkpoint as training scripts write it: epoch, model_state_dict, optimizer_state_dict (state by the number of the
 * parameter, and param_groups). Parameters are numbered in the order of the model's weights, which is that of
 * model.parameters() for models that came from PyTorch.
 */
#ifndef TENREC_TRAIN_TORCH_STATE_H
#define TENREC_TRAIN_TORCH_STATE_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct train_run;

/* Is it the folder of a run that has a checkpoint? */
bool torch_state_is_run(const char *folder);
/* Writes PATH from the checkpoint and the last package of a run; `text` says what was written. Read back and compared
 * before it gets its name. */
int torch_state_export(const char *folder, const char *path, char *text, size_t text_size, struct err *e);

/* The moments and the count of updates of such a file, put into a run that has not begun. ERR_DATA when they are of
 * another model or optimizer. */
int torch_state_import(struct train_run *r, const char *path, struct err *e);

#endif
