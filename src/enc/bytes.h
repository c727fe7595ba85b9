/* bytes.h - whole numbers from and to unaligned bytes, in a stated byte order. */
#ifndef TENREC_ENC_BYTES_H
#define TENREC_ENC_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* The first `n` bytes (at most 8) as an unsigned number, least significant first. */
static inline uint64_t get_le(const unsigned char *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = n; i-- > 0;) v = v << 8 | p[i];
    return v;
}

static inline uint64_t get_be(const unsigned char *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) v = v << 8 | p[i];
    return v;
}

static inline unsigned get_le16(const unsigned char *p)
{
    return (unsigned)get_le(p, 2);
}

static inline uint32_t get_le32(const unsigned char *p)
{
    return (uint32_t)get_le(p, 4);
}

static inline uint64_t get_le64(const unsigned char *p)
{
    return get_le(p, 8);
}

/* Writes the low `n` bytes of `v`, least significant first; returns the place after them. */
static inline unsigned char *put_le(unsigned char *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++, v >>= 8) p[i] = (unsigned char)v;
    return p + n;
}

#endif
