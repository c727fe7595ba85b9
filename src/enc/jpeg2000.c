/* jpeg2000.c - JPEG 2000 through OpenJPEG: files (JP2) and bare codestreams. */
#include <openjpeg.h>
#include <pthread.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/library.h"
#include "enc/image.h"
#include "openjp2_calls.h"

enum { COMPONENTS_MAX = 4 };

struct source {
    struct bytes in;
    size_t at;
    char message[200];
};

static OPJ_SIZE_T on_read(void *to, OPJ_SIZE_T n, void *handle)
{
    struct source *s = handle;
    size_t left = s->in.len - s->at, take = n < left ? n : left;
    if (!take) return (OPJ_SIZE_T)-1;
    memcpy(to, s->in.data + s->at, take);
    s->at += take;
    return take;
}

/* Stops at the end: a stream that skips past it finds nothing to read. */
static OPJ_OFF_T on_skip(OPJ_OFF_T n, void *handle)
{
    struct source *s = handle;
    if (n < 0 ? (uint64_t)-n > s->at : (uint64_t)n > s->in.len - s->at) return -1;
    s->at = (size_t)((OPJ_OFF_T)s->at + n);
    return n;
}

static OPJ_BOOL on_seek(OPJ_OFF_T to, void *handle)
{
    struct source *s = handle;
    if (to < 0 || (uint64_t)to > s->in.len) return OPJ_FALSE;
    s->at = (size_t)to;
    return OPJ_TRUE;
}

static void on_error(const char *text, void *handle)
{
    struct source *s = handle;
    if (!s->message[0]) snprintf(s->message, sizeof s->message, "%.*s", (int)strcspn(text, "\n"), text);
}

static void on_note(const char *text, void *handle)
{
}

static int damaged(const struct source *s, struct err *e)
{
    return fail(e, ERR_DATA, "not a readable JPEG 2000 image: %s", s->message[0] ? s->message : "truncated or damaged");
}

/* What is not plain is refused before anything of its size is allocated. */
static int check_header(const opj_image_t *from, struct err *e)
{
    if (from->numcomps < 1 || from->numcomps > COMPONENTS_MAX)
        return fail(e, ERR_UNSUPPORTED, "JPEG 2000: %u components, 1 to 4 are known", from->numcomps);
    if (from->color_space == OPJ_CLRSPC_SYCC || from->color_space == OPJ_CLRSPC_EYCC ||
        from->color_space == OPJ_CLRSPC_CMYK)
        return fail(e, ERR_UNSUPPORTED, "JPEG 2000: colours that are neither gray nor RGB");
    for (unsigned c = 0; c < from->numcomps; c++) {
        const opj_image_comp_t *p = &from->comps[c];
        if (p->dx != 1 || p->dy != 1) return fail(e, ERR_UNSUPPORTED, "JPEG 2000: component %u is subsampled", c);
        if (p->prec < 1 || p->prec > 16) return fail(e, ERR_UNSUPPORTED, "JPEG 2000: %u bits", p->prec);
    }
    return 0;
}

/* A number of `bits` in 8 or 16 of them: fewer are widened as far as they go, more lose their lowest. */
static unsigned scaled(const opj_image_comp_t *p, size_t i, int bits)
{
    int64_t most = ((int64_t)1 << p->prec) - 1, v = (int64_t)p->data[i] + (p->sgnd ? (int64_t)1 << (p->prec - 1) : 0);
    v = v < 0 ? 0 : v > most ? most : v;
    return (unsigned)(p->prec > (unsigned)bits ? v >> (p->prec - (unsigned)bits) : v << ((unsigned)bits - p->prec));
}

static int copy_pixels(const opj_image_t *from, struct image *out, const struct source *s, struct err *e)
{
    size_t n = (size_t)out->width * (size_t)out->height;
    for (unsigned c = 0; c < from->numcomps; c++) {
        const opj_image_comp_t *p = &from->comps[c];
        if (!p->data || p->w != (unsigned)out->width || p->h != (unsigned)out->height) return damaged(s, e);
        for (size_t i = 0; i < n; i++) {
            size_t at = i * (size_t)out->channels + c;
            if (out->bits == 16) ((uint16_t *)(void *)out->pixels)[at] = (uint16_t)scaled(p, i, 16);
            else out->pixels[at] = (uint8_t)scaled(p, i, 8);
        }
    }
    return 0;
}

/* Gray keeps 16 bits, as in Pillow; colours have 8. */
static int read_image(opj_codec_t *codec, opj_stream_t *stream, opj_image_t *from, struct source *s, struct image *out,
    struct arena *a, const struct image_options *o, struct err *e)
{
    TRY(check_header(from, e));
    int64_t width = (int64_t)from->x1 - from->x0, height = (int64_t)from->y1 - from->y0;
    int channels = (int)from->numcomps, bits = channels == 1 && from->comps[0].prec > 8 ? 16 : 8;
    struct image img = { (int)width, (int)height, channels, bits, .orientation = 1 };
    if (width > INT32_MAX || height > INT32_MAX || width < 1 || height < 1) return damaged(s, e);
    if (!o->header_only) TRY(image_new(&img, a, width, height, channels, bits, o->max_pixels, e));
    *out = img;
    if (o->header_only) return 0;
    if (!opj_decode(codec, stream, from) || !opj_end_decompress(codec, stream)) return damaged(s, e);
    return copy_pixels(from, out, s, e);
}

static int read_stream(opj_codec_t *codec, opj_stream_t *stream, struct source *s, struct image *out, struct arena *a,
    const struct image_options *o, struct err *e)
{
    opj_dparameters_t parameters;
    opj_image_t *from = NULL;
    opj_set_default_decoder_parameters(&parameters);
    opj_set_error_handler(codec, on_error, s);
    opj_set_warning_handler(codec, on_note, s);
    opj_set_info_handler(codec, on_note, s);
    opj_stream_set_user_data(stream, s, NULL);
    opj_stream_set_user_data_length(stream, s->in.len);
    opj_stream_set_read_function(stream, on_read);
    opj_stream_set_skip_function(stream, on_skip);
    opj_stream_set_seek_function(stream, on_seek);
    if (!opj_setup_decoder(codec, &parameters) || !opj_decoder_set_strict_mode(codec, !o->allow_truncated) ||
        !opj_read_header(stream, codec, &from))
        return damaged(s, e);
    int code = read_image(codec, stream, from, s, out, a, o, e);
    opj_image_destroy(from);
    return code;
}

struct openjp2_calls openjp2_calls;
static bool is_loaded;

static void load(void)
{
    static const char *const names[] = { openjp2_NAMES };
    is_loaded = library_load(openjp2_SONAME, names, (void **)&openjp2_calls, sizeof names / sizeof names[0]);
}

int jpeg2000_decode(
    struct image *out, struct arena *a, struct bytes in, const struct image_options *o, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    if (!is_loaded) return fail(e, ERR_UNSUPPORTED, "JPEG 2000 images need " openjp2_SONAME ", which is not there");
    struct source s = { .in = in };
    opj_codec_t *codec = opj_create_decompress(in.data[0] == 0xff ? OPJ_CODEC_J2K : OPJ_CODEC_JP2);
    opj_stream_t *stream = codec ? opj_stream_default_create(OPJ_TRUE) : NULL;
    int code = stream ? read_stream(codec, stream, &s, out, a, o, e) : fail_nomem(e);
    if (stream) opj_stream_destroy(stream);
    if (codec) opj_destroy_codec(codec);
    return code;
}
