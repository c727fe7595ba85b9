/* events.h - a run's numbers for TensorBoard: a file of event records.
 *
 * Record: length (u64), masked CRC-32C of it, bytes, masked CRC-32C of them, little-endian; the bytes are an Event of
 * tensorflow/core/util/event.proto. The file grows, and is flushed after each epoch; a resumed run begins another one.
 */
#ifndef TENREC_TRAIN_EVENTS_H
#define TENREC_TRAIN_EVENTS_H

#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;

struct events;
/* FOLDER/events.out.tfevents.<seconds>.<host>; closed with the arena. */
struct events *events_open(struct arena *a, const char *folder, double time, struct err *e);
int events_scalar(struct events *ev, double time, int64_t step, const char *tag, double value, struct err *e);
int events_flush(struct events *ev, struct err *e);
uint32_t crc32c(const void *data, size_t len);

#endif
