/* hash.c - FNV-1a (Fowler, Noll, Vo) and SHA-256 by nettle. */
#include "base/hash.h"

#include <nettle/sha2.h>
#include <stdio.h>

uint64_t hash_bytes(const void *data, size_t len)
{
    const unsigned char *p = data;
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < len; i++) h = (h ^ p[i]) * 1099511628211u;
    return h ^ (h >> 29);
}

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(struct hash_stream), "a hash in progress fits its public form");

void hash_begin(struct hash_stream *h)
{
    sha256_init((struct sha256_ctx *)h->state);
}

void hash_add(struct hash_stream *h, const void *data, size_t len)
{
    sha256_update((struct sha256_ctx *)h->state, len, data);
}

void hash_end(struct hash_stream *h, char hex[65])
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest((struct sha256_ctx *)h->state, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

void hash_sha256(const void *data, size_t len, char hex[65])
{
    struct hash_stream h;
    hash_begin(&h);
    hash_add(&h, data, len);
    hash_end(&h, hex);
}
