/* bytes_move.c - bytes looked up in tables, gathered along rows and turned, 64 at a time where there is AVX512-VBMI. */
#include "backend/cpu/bytes_move.h"

#include <stdbool.h>
#include <string.h>

#include "base/arena.h"
#include "base/clones.h"
#include "base/err.h"

enum { WIDE = 64 };

/* Of WIDE bytes of a row, those of `mask` come from the bytes at `start` and on, of which `there` exist. */
struct window {
    int64_t to, start;
    uint64_t mask, there;
    uint8_t index[WIDE];
};

struct bytes_picks {
    int64_t n_in, n_out, n;
    const int64_t *from;
    struct window *windows; /* in order of `to` */
};

static uint64_t ones(int64_t n)
{
    return n >= WIDE ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

#if defined __x86_64__
#include <immintrin.h>
#define VBMI __attribute__((target("avx512f,avx512bw,avx512vbmi")))

static bool has_vbmi(void)
{
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi");
}

VBMI static void wide_look_up(const uint8_t *x, const uint8_t *table, int64_t n, uint8_t *y)
{
    __m512i t[4];
    for (int i = 0; i < 4; i++) t[i] = _mm512_loadu_si512(table + i * WIDE);
    for (int64_t i = 0; i < n; i += WIDE) {
        __mmask64 there = ones(n - i);
        __m512i v = _mm512_maskz_loadu_epi8(there, x + i);
        __m512i low = _mm512_permutex2var_epi8(t[0], v, t[1]), high = _mm512_permutex2var_epi8(t[2], v, t[3]);
        _mm512_mask_storeu_epi8(y + i, there, _mm512_mask_blend_epi8(_mm512_movepi8_mask(v), low, high));
    }
}

VBMI static void wide_pick(const struct bytes_picks *p, const uint8_t *x, int64_t rows, uint8_t *y)
{
    for (int64_t r = 0; r < rows; r++, x += p->n_in, y += p->n_out)
        for (int64_t k = 0; k < p->n;) {
            int64_t to = p->windows[k].to;
            __m512i v = _mm512_setzero_si512();
            for (; k < p->n && p->windows[k].to == to; k++) {
                const struct window *w = &p->windows[k];
                __m512i from = _mm512_maskz_loadu_epi8(w->there, x + w->start);
                v = _mm512_mask_permutexvar_epi8(v, w->mask, _mm512_loadu_si512(w->index), from);
            }
            _mm512_mask_storeu_epi8(y + to, ones(p->n_out - to), v);
        }
}
#else
static bool has_vbmi(void)
{
    return false;
}
#define wide_look_up plain_look_up
#define wide_pick plain_pick
#endif

static void plain_look_up(const uint8_t *x, const uint8_t *table, int64_t n, uint8_t *y)
{
    for (int64_t i = 0; i < n; i++) y[i] = table[x[i]];
}

static void plain_pick(const struct bytes_picks *p, const uint8_t *x, int64_t rows, uint8_t *y)
{
    for (int64_t r = 0; r < rows; r++, x += p->n_in, y += p->n_out)
        for (int64_t i = 0; i < p->n_out; i++) y[i] = x[p->from[i]];
}

void bytes_look_up(const uint8_t *x, const uint8_t *table, int64_t n, uint8_t *y)
{
    (has_vbmi() ? wide_look_up : plain_look_up)(x, table, n, y);
}

void bytes_pick(const struct bytes_picks *p, const uint8_t *x, int64_t rows, uint8_t *y)
{
    (has_vbmi() ? wide_pick : plain_pick)(p, x, rows, y);
}

/* --- windows --- */

/* The one that begins at the first source that is still `missing` (a mask of bytes from `to` on), and serves all it
 * can. */
static struct window window(const struct bytes_picks *p, int64_t to, uint64_t *missing)
{
    struct window w = { .to = to, .start = p->n_in };
    for (int i = 0; i < WIDE; i++)
        if (*missing >> i & 1 && p->from[to + i] < w.start) w.start = p->from[to + i];
    for (int i = 0; i < WIDE; i++) {
        if (!(*missing >> i & 1) || p->from[to + i] >= w.start + WIDE) continue;
        w.index[i] = (uint8_t)(p->from[to + i] - w.start);
        w.mask |= UINT64_C(1) << i;
    }
    w.there = ones(p->n_in - w.start);
    *missing &= ~w.mask;
    return w;
}

/* All of them, into `windows` unless it is NULL; returns their number. */
static int64_t windows(const struct bytes_picks *p, struct window *windows)
{
    int64_t n = 0;
    for (int64_t to = 0; to < p->n_out; to += WIDE)
        for (uint64_t missing = ones(p->n_out - to); missing; n++) {
            struct window w = window(p, to, &missing);
            if (windows) windows[n] = w;
        }
    return n;
}

struct bytes_picks *bytes_picks_new(struct arena *a, int64_t n_in, int64_t n_out, const int64_t *from, struct err *e)
{
    struct bytes_picks *p = ARENA_NEW(a, struct bytes_picks);
    if (!p) return fail_nomem(e), NULL;
    *p = (struct bytes_picks){ .n_in = n_in, .n_out = n_out, .from = from };
    p->n = windows(p, NULL);
    if (!(p->windows = ARENA_ARRAY(a, p->n, struct window))) return fail_nomem(e), NULL;
    windows(p, p->windows);
    return p;
}

/* --- turning --- */

/* Few rows: of `n` at each of the columns, told to the compiler. */
INLINE void few_rows(const uint8_t *restrict x, int n, int64_t cols, uint8_t *restrict y)
{
    for (int64_t c = 0; c < cols; c++)
        for (int r = 0; r < n; r++) y[c * n + r] = x[r * cols + c];
}

#define FEW(n) \
    CLONES static void rows_##n(const uint8_t *x, int64_t cols, uint8_t *y) \
    { \
        few_rows(x, n, cols, y); \
    }
FEW(2)
FEW(3)
FEW(4)

typedef uint8_t tile_row __attribute__((vector_size(16)));
enum { TILE = 16 };

/* Sixteen rows of sixteen: rows i and i + 8 are interleaved, four times. */
INLINE void turn_tile(const uint8_t *x, int64_t step, uint8_t *y, int64_t to_step)
{
    tile_row a[TILE], b[TILE];
    for (int i = 0; i < TILE; i++) memcpy(&a[i], x + i * step, TILE);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < TILE / 2; i++) {
            b[2 * i] = __builtin_shufflevector(
                a[i], a[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            b[2 * i + 1] = __builtin_shufflevector(
                a[i], a[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        }
        memcpy(a, b, sizeof a);
    }
    for (int i = 0; i < TILE; i++) memcpy(y + i * to_step, &a[i], TILE);
}

static void turn_some(const uint8_t *x, int64_t rows, int64_t cols, uint8_t *y, int64_t r0, int64_t c0)
{
    for (int64_t c = c0; c < cols; c++)
        for (int64_t r = r0; r < rows; r++) y[c * rows + r] = x[r * cols + c];
}

void bytes_turn(const uint8_t *x, int64_t rows, int64_t cols, uint8_t *y)
{
    static void (*const few[])(const uint8_t *x, int64_t cols, uint8_t *y) = { NULL, NULL, rows_2, rows_3, rows_4 };
    if (rows < 5 && few[rows]) {
        few[rows](x, cols, y);
        return;
    }
    if (rows < TILE || cols < TILE) {
        turn_some(x, rows, cols, y, 0, 0);
        return;
    }
    for (int64_t c = 0; c < cols; c += TILE) /* the last ones lie partly on those before */
        for (int64_t r = 0; r < rows; r += TILE) {
            int64_t from = r + TILE > rows ? rows - TILE : r, at = c + TILE > cols ? cols - TILE : c;
            turn_tile(x + from * cols + at, cols, y + at * rows + from, rows);
        }
}
