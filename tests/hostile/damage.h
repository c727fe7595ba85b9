/* damage.h - a good model file, damaged in all the ways that need no knowledge of what it says. */
#ifndef TENREC_TESTS_HOSTILE_DAMAGE_H
#define TENREC_TESTS_HOSTILE_DAMAGE_H

#include <jansson.h>

#include "base/file.h"

/* Damaged copies are written to `path`, whose name keeps the extension. Every one is an attack. */
void damage_cuts(const char *path, struct bytes good);                /* at every hundredth of its length */
void damage_bits(const char *path, struct bytes good, unsigned turns); /* half of them in the first and last 4 KB */
void damage_zip(const char *path, struct bytes good);                 /* sizes, counts and offsets of directories */
void damage_varints(const char *path, struct bytes good);             /* protobuf: lengths and numbers */
/* Every value of a JSON file becomes one of another kind, and goes. */
void damage_json(const char *json_path, const char *model_path, const json_t *good);

#endif
