/* jpeg.c - JPEG through libjpeg-turbo, with the settings that Pillow uses: accurate integer DCT, fancy upsampling.
 *
 * What Pillow accepts is accepted (damaged entropy data gives damaged pixels and a warning), what it refuses is an
 * error: above all a file that ends before its image does.
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "enc/image.h"

/* A progressive file may repeat scans without end; no encoder writes even a tenth of this. */
enum { MAX_SCANS = 500 };

struct reader {
    struct jpeg_decompress_struct cinfo;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    char message[JMSG_LENGTH_MAX];
    bool at_end;    /* the file ended and the decoder was told so */
    bool truncated; /* that happened before the last row was there */
    bool got_rows, too_many_scans;
    size_t len;
};

static void on_error(j_common_ptr cinfo)
{
    struct reader *r = cinfo->client_data;
    cinfo->err->format_message(cinfo, r->message);
    longjmp(r->jump, 1);
}

static void on_message(j_common_ptr cinfo, int level)
{
    if (level < 0) cinfo->err->num_warnings++;
}

static void on_progress(j_common_ptr cinfo)
{
    struct reader *r = cinfo->client_data;
    if (r->cinfo.input_scan_number <= MAX_SCANS) return;
    r->too_many_scans = true;
    longjmp(r->jump, 1);
}

static void source_start(j_decompress_ptr cinfo)
{
    (void)cinfo;
}

/* Called only past the end: the decoder is given an end-of-image marker, so that it comes to an end. */
static boolean source_fill(j_decompress_ptr cinfo)
{
    static const JOCTET end[2] = { 0xff, JPEG_EOI };
    struct reader *r = cinfo->client_data;
    r->at_end = true;
    r->truncated |= !r->got_rows;
    cinfo->src->next_input_byte = end;
    cinfo->src->bytes_in_buffer = 2;
    return TRUE;
}

static void source_skip(j_decompress_ptr cinfo, long n)
{
    if (n <= 0) return;
    size_t left = cinfo->src->bytes_in_buffer;
    size_t step = (size_t)n < left ? (size_t)n : left;
    cinfo->src->next_input_byte += step;
    cinfo->src->bytes_in_buffer -= step;
    if (step < (size_t)n) source_fill(cinfo);
}

static void reader_start(struct reader *r, struct bytes in)
{
    r->cinfo.err = jpeg_std_error(&r->errors);
    r->errors.error_exit = on_error;
    r->errors.emit_message = on_message;
    r->cinfo.client_data = r;
    r->len = in.len;
    r->source = (struct jpeg_source_mgr){
        .next_input_byte = in.data, .bytes_in_buffer = in.len, .init_source = source_start,
        .fill_input_buffer = source_fill, .skip_input_data = source_skip,
        .resync_to_restart = jpeg_resync_to_restart, .term_source = source_start,
    };
    r->progress.progress_monitor = on_progress;
}

static int orientation(const struct jpeg_decompress_struct *cinfo)
{
    for (jpeg_saved_marker_ptr m = cinfo->marker_list; m; m = m->next)
        if (m->data_length > 6 && !memcmp(m->data, "Exif\0", 5))
            return exif_orientation((struct bytes){ m->data + 6, m->data_length - 6 });
    return 1;
}

/* Reads the header and checks it: the size against the limit and the length of the file. */
static int read_header(struct reader *r, struct image *out, const struct image_options *o, struct err *e)
{
    struct jpeg_decompress_struct *cinfo = &r->cinfo;
    jpeg_create_decompress(cinfo); /* clears all but err and client_data */
    cinfo->src = &r->source;
    cinfo->progress = &r->progress;
    jpeg_save_markers(cinfo, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(cinfo, TRUE);
    int n = cinfo->num_components;
    if (n != 1 && n != 3 && n != 4)
        return fail(e, ERR_DATA, "JPEG of %d components: gray (1), colour (3) and CMYK (4) are known", n);
    uint64_t pixels = (uint64_t)cinfo->image_width * cinfo->image_height;
    uint64_t limit = o->max_pixels ? o->max_pixels : IMAGE_MAX_PIXELS;
    if (pixels > limit)
        return fail(e, ERR_DATA, "JPEG of %u x %u has more than %llu pixels: raise the limit to use it",
                    cinfo->image_width, cinfo->image_height, (unsigned long long)limit);
    /* The component sampled most has a block per 64 pixels, and Huffman codes need at least one bit for each block. */
    if (!o->header_only && !o->allow_truncated && !cinfo->arith_code && r->len < pixels / 512)
        return fail(e, ERR_DATA, "truncated JPEG: %zu bytes cannot hold %u x %u pixels", r->len, cinfo->image_width,
                    cinfo->image_height);
    *out = (struct image){ (int)cinfo->image_width, (int)cinfo->image_height, n == 1 ? 1 : 3, 8 };
    out->orientation = orientation(cinfo);
    return 0;
}

/* a * b / 255, rounded */
static unsigned scale255(unsigned a, unsigned b)
{
    unsigned t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

/* Pillow takes every four-component JPEG for inverted CMYK (Adobe's habit): R = (255 - k) - c * (255 - k) / 255. */
static void cmyk_to_rgb(const JSAMPLE *in, uint8_t *out, int n)
{
    for (int i = 0; i < n; i++, in += 4, out += 3) {
        unsigned k = in[3];
        for (int c = 0; c < 3; c++) out[c] = (uint8_t)(k - scale255(255u - in[c], k));
    }
}

static void read_rows(struct reader *r, struct image *img, JSAMPLE *cmyk)
{
    size_t stride = image_row_bytes(img);
    while (r->cinfo.output_scanline < r->cinfo.output_height) {
        uint8_t *row = img->pixels + r->cinfo.output_scanline * stride;
        JSAMPROW target = cmyk ? cmyk : row;
        if (jpeg_read_scanlines(&r->cinfo, &target, 1) == 1 && cmyk) cmyk_to_rgb(cmyk, row, img->width);
    }
    r->got_rows = true;
    jpeg_finish_decompress(&r->cinfo); /* Pillow forgives a missing end marker, but not a damaged one */
}

static int read_image(struct reader *r, struct image *out, struct arena *a, const struct image_options *o,
                      struct err *e)
{
    TRY(read_header(r, out, o, e));
    if (o->header_only) return 0;
    int turned = out->orientation;
    TRY(image_new(out, a, out->width, out->height, out->channels, 8, o->max_pixels, e));
    out->orientation = turned;
    JSAMPLE *cmyk = NULL;
    if (r->cinfo.num_components == 4) TRY_MEM(cmyk = arena_array(a, (size_t)out->width, 4), e);
    r->cinfo.out_color_space = cmyk ? JCS_CMYK : out->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(&r->cinfo);
    read_rows(r, out, cmyk);
    out->warnings = (int)r->errors.num_warnings + r->truncated;
    return r->truncated && !o->allow_truncated ? fail(e, ERR_DATA, "truncated JPEG: ends at byte %zu", r->len) : 0;
}

static int read_failed(struct reader *r, struct image *out, struct err *e)
{
    if (r->too_many_scans) return fail(e, ERR_DATA, "JPEG with more than %d scans: refused", MAX_SCANS);
    if (r->truncated) return fail(e, ERR_DATA, "truncated JPEG: ends at byte %zu (%s)", r->len, r->message);
    if (r->got_rows && r->at_end) return out->warnings++, 0;
    return fail(e, ERR_DATA, "not a readable JPEG: %s (at byte %zu of %zu)", r->message,
                r->len - r->source.bytes_in_buffer, r->len);
}

int jpeg_decode(struct image *out, struct arena *a, struct bytes in, const struct image_options *o, struct err *e)
{
    static const struct image_options defaults = { 0 };
    struct reader *r = ARENA_NEW(a, struct reader); /* not on the stack: it must survive longjmp */
    TRY_MEM(r, e);
    reader_start(r, in);
    if (setjmp(r->jump)) read_failed(r, out, e);
    else read_image(r, out, a, o ? o : &defaults, e);
    jpeg_destroy_decompress(&r->cinfo);
    return e->code;
}
