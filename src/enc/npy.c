/* npy.c - reading and writing of .npy (format versions 1 to 3) and .npz. */
#include "enc/npy.h"

#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "enc/bytes.h"

enum { HEADER_MAX = 1 << 16, ALIGNMENT = 64, TEXT_MAX = 1 << 16 };

static const char magic[] = "\x93NUMPY";

/* The header is the literal of a Python dict; only what NumPy itself writes is understood. */
struct scanner {
    const char *at, *end;
};

static void skip_space(struct scanner *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n')) s->at++;
}

static bool skip(struct scanner *s, const char *word)
{
    size_t len = strlen(word);
    skip_space(s);
    if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len)) return false;
    s->at += len;
    return true;
}

static bool scan_string(struct scanner *s, char *out, size_t size)
{
    skip_space(s);
    if (s->at == s->end || (*s->at != '\'' && *s->at != '"')) return false;
    char quote = *s->at++;
    size_t n = 0;
    for (; s->at < s->end && *s->at != quote; s->at++) {
        if (*s->at == '\\' || n + 1 >= size) return false;
        out[n++] = *s->at;
    }
    out[n] = 0;
    return skip(s, quote == '"' ? "\"" : "'");
}

static bool scan_int(struct scanner *s, int64_t *out)
{
    skip_space(s);
    const char *start = s->at;
    int64_t v = 0;
    for (; s->at < s->end && isdigit((unsigned char)*s->at); s->at++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *s->at - '0', &v)) return false;
    *out = v;
    return s->at > start && (skip(s, "L"), true); /* Python 2 wrote 3L */
}

static bool scan_shape(struct scanner *s, struct npy *out)
{
    out->rank = 0;
    if (!skip(s, "(")) return false;
    while (!skip(s, ")")) {
        if (out->rank == NPY_RANK_MAX || !scan_int(s, &out->shape[out->rank++])) return false;
        if (!skip(s, ",") && (out->rank == 1 || s->at == s->end || *s->at != ')')) return false;
    }
    return true;
}

/* The four parts of a descr such as '<f4'. */
static bool take_descr(const char *descr, struct npy *out, bool *swap)
{
    if (!strchr("<>|=", descr[0]) || !descr[0] || !descr[1]) return false;
    out->kind = descr[1];
    const char *size = descr + 2;
    out->size = 0;
    while (isdigit((unsigned char)*size) && out->size < TEXT_MAX)
        out->size = out->size * 10 + (unsigned)(*size++ - '0');
    if (*size) return false;
    *swap = descr[0] == '>' && out->size > 1;
    static const char *const known[] = { "b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8",
        "c16" };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(descr + 1, known[i])) return true;
    bool text = (out->kind == 'S' || (out->kind == 'U' && descr[0] != '>')) && out->size && out->size <= TEXT_MAX;
    if (text && out->kind == 'U') out->size *= 4;
    if (text) *swap = false;
    return text;
}

/* One code point as UTF-8; what is none becomes U+FFFD. Returns how many bytes it took. */
static size_t put_utf8(char *to, uint32_t c)
{
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) c = 0xfffd;
    int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char first[] = { 0, 0xc0, 0xe0, 0xf0 };
    to[0] = (char)(first[more] | c >> (6 * more));
    for (int i = 1; i <= more; i++) to[i] = (char)(0x80 | (c >> (6 * (more - i)) & 0x3f));
    return (size_t)more + 1;
}

const char *npy_text(const struct npy *array, struct arena *a, size_t i)
{
    const unsigned char *from = array->data.data + i * array->size;
    if (array->kind == 'S') return arena_strndup(a, (const char *)from, strnlen((const char *)from, array->size));
    char *text = arena_alloc(a, array->size + 1);
    size_t len = 0;
    for (unsigned at = 0; text && at < array->size; at += 4) {
        uint32_t c = (uint32_t)get_le(from + at, 4);
        if (!c) break;
        len += put_utf8(text + len, c);
    }
    if (text) text[len] = 0;
    return text;
}

/* Returns NULL, or what is wrong. */
static const char *scan_header(struct scanner *s, struct npy *out, bool *swap)
{
    char key[16], descr[32];
    unsigned seen = 0;
    if (!skip(s, "{")) return "its header is no dict";
    while (!skip(s, "}")) {
        if (!scan_string(s, key, sizeof key) || !skip(s, ":")) return "its header has a key that is no string";
        unsigned bit = !strcmp(key, "descr") ? 1 : !strcmp(key, "fortran_order") ? 2 : !strcmp(key, "shape") ? 4 : 0;
        if (!bit || seen & bit) return "its header has an unknown key, or one twice";
        seen |= bit;
        if (bit == 1 && !scan_string(s, descr, sizeof descr))
            return "its elements are records; only plain numbers are read";
        if (bit == 1 && !take_descr(descr, out, swap))
            return "its elements are objects or of another type; only bool, int, uint, float, complex and texts "
                   "are read";
        if (bit == 2 && !(out->fortran = skip(s, "True")) && !skip(s, "False")) return "its fortran_order is no bool";
        if (bit == 4 && !scan_shape(s, out)) return "its shape is no tuple of at most 16 sizes";
        if (!skip(s, ",") && (s->at == s->end || *s->at != '}')) return "its header lacks a comma";
    }
    skip_space(s);
    if (seen != 7) return "its header lacks descr, fortran_order or shape";
    return s->at != s->end ? "text after its header" : NULL;
}

static int count_elements(struct npy *out, const char *path, size_t left, struct err *e)
{
    int64_t n = 1, bytes;
    bool empty = false;
    for (size_t i = 0; i < out->rank; i++) empty = empty || !out->shape[i];
    for (size_t i = 0; i < out->rank && !empty; i++)
        if (__builtin_mul_overflow(n, out->shape[i], &n)) goto lying;
    out->n = empty ? 0 : (size_t)n;
    if (!empty && (__builtin_mul_overflow(n, (int64_t)out->size, &bytes) || (uint64_t)bytes > left)) goto lying;
    return 0;
lying:
    return fail(e, ERR_DATA, "%s: the array's shape asks for more bytes than the %zu that follow; is it cut short?",
        path, left);
}

/* Complex numbers are two floats, each swapped by itself. */
static unsigned char *swap_bytes(struct arena *a, const unsigned char *from, const struct npy *array)
{
    size_t unit = array->kind == 'c' ? array->size / 2 : array->size;
    size_t bytes = array->n * array->size;
    unsigned char *to = arena_alloc(a, bytes);
    for (size_t i = 0; to && i < bytes; i += unit) put_le(to + i, get_be(from + i, unit), unit);
    return to;
}

int npy_read(struct npy *out, struct arena *a, const char *path, struct bytes file, struct err *e)
{
    *out = (struct npy){ 0 };
    if (file.len < 10 || memcmp(file.data, magic, 6)) return fail(e, ERR_DATA, "%s: not a .npy file", path);
    unsigned version = file.data[6];
    size_t fixed = version == 1 ? 10 : 12;
    if (version < 1 || version > 3 || file.data[7])
        return fail(e, ERR_DATA, "%s: .npy version %u.%u is not known", path, version, file.data[7]);
    size_t len = file.len < fixed ? 0 : (size_t)get_le(file.data + 8, fixed - 8);
    if (file.len < fixed || len > file.len - fixed || len > HEADER_MAX)
        return fail(e, ERR_DATA, "%s: the header of the array is cut short or too long", path);
    struct scanner s = { (const char *)file.data + fixed, (const char *)file.data + fixed + len };
    bool swap = false;
    const char *wrong = scan_header(&s, out, &swap);
    if (wrong) return fail(e, ERR_DATA, "%s: offset %zu: %s", path, (size_t)(s.at - (const char *)file.data), wrong);
    TRY(count_elements(out, path, file.len - fixed - len, e));
    out->data = (struct bytes){ file.data + fixed + len, out->n * out->size };
    if (!swap) return 0;
    out->data.data = swap_bytes(a, out->data.data, out);
    TRY_MEM(out->data.data, e);
    return 0;
}

int npy_header(const struct npy *array, struct arena *a, struct bytes *out, struct err *e)
{
    struct str s = str_in(a);
    str_addn(&s, "\x93NUMPY\1\0\0\0", 10);
    str_addf(&s, "{'descr': '%c%c%u', 'fortran_order': %s, 'shape': (", array->size == 1 ? '|' : '<', array->kind,
        array->size, array->fortran ? "True" : "False");
    for (size_t i = 0; i < array->rank; i++)
        str_addf(&s, "%lld%s", (long long)array->shape[i], array->rank == 1 ? "," : i + 1 < array->rank ? ", " : "");
    str_add(&s, "), }");
    while (!s.oom && s.len % ALIGNMENT != ALIGNMENT - 1) str_addc(&s, ' ');
    str_addc(&s, '\n');
    if (!str_done(&s)) return fail_nomem(e);
    put_le((unsigned char *)s.s + 8, s.len - 10, 2);
    *out = (struct bytes){ (unsigned char *)s.s, s.len };
    return 0;
}

int npy_write(const struct npy *array, struct arena *a, struct file_writer *file, struct err *e)
{
    struct bytes header = { 0 };
    TRY(npy_header(array, a, &header, e));
    TRY(file_writer_put(file, header.data, header.len, e));
    return array->data.len ? file_writer_put(file, array->data.data, array->data.len, e) : 0;
}

int npz_read(struct npy *out, struct arena *a, const struct zip *archive, const char *name, uint64_t limit,
    struct err *e)
{
    const char *file = arena_printf(a, "%s.npy", name);
    TRY_MEM(file, e);
    const struct zip_entry *entry = zip_find(archive, file);
    if (!entry) {
        struct str have = str_in(a);
        for (size_t i = 0; i < archive->n && i < 20; i++) str_addf(&have, " %s", archive->entries[i].name);
        return fail(e, ERR_DATA, "%s: no array %s; there are%s%s", archive->path, name, have.s ? have.s : " none",
            archive->n > 20 ? " ..." : "");
    }
    struct bytes data = { 0 };
    TRY(zip_read(archive, entry, a, limit, ZIP_CHECK_CRC, &data, e));
    int code = npy_read(out, a, name, data, e);
    return code < 0 ? err_prefix(e, "%s", archive->path) : 0;
}

int npz_add(struct zip_writer *w, const char *name, const struct npy *array, struct err *e)
{
    struct bytes header = { 0 };
    const char *file = arena_printf(w->arena, "%s.npy", name);
    TRY_MEM(file, e);
    TRY(npy_header(array, w->arena, &header, e));
    TRY(zip_writer_begin(w, file, header.len + array->data.len, e));
    TRY(zip_writer_put(w, header.data, header.len, e));
    if (array->data.len) TRY(zip_writer_put(w, array->data.data, array->data.len, e));
    return zip_writer_end(w, e);
}
