/* hash.h - a fast 64-bit hash for tables, and SHA-256 (nettle) for checksums. */
#ifndef TENREC_BASE_HASH_H
#define TENREC_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(const void *data, size_t len); /* FNV-1a */
/* Lower-case hexadecimal SHA-256 of `data`, 64 characters and a terminator. */
void hash_sha256(const void *data, size_t len, char hex[65]);
/* The same piece by piece. */
struct hash_stream {
    _Alignas(8) unsigned char state[256];
};
void hash_begin(struct hash_stream *h);
void hash_add(struct hash_stream *h, const void *data, size_t len);
void hash_end(struct hash_stream *h, char hex[65]);

#endif
