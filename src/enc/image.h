/* image.h - JPEG, JPEG 2000, PNG, WebP, GIF, TIFF, BMP and PNM to pixels, as Pillow decodes them; pixels to PNG.
 *
 * The bytes are hostile: dimensions are checked against a limit and against the length of the file before anything is
 * allocated. Messages do not know the file's name: callers put it in front with err_prefix().
 */
#ifndef TENREC_ENC_IMAGE_H
#define TENREC_ENC_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct bytes;
struct err;
struct file_writer;

/* Twice Pillow's MAX_IMAGE_PIXELS: where Pillow stops warning and refuses. */
#define IMAGE_MAX_PIXELS 178956970

enum image_format {
    IMAGE_UNKNOWN,
    IMAGE_JPEG,
    IMAGE_PNG,
    IMAGE_WEBP,
    IMAGE_GIF,
    IMAGE_TIFF,
    IMAGE_BMP,
    IMAGE_PNM,
    IMAGE_JPEG2000,
};

struct image {
    int width, height;
    int channels;         /* 1 gray (or palette index), 2 gray and alpha, 3 RGB (or BGR, where said), 4 RGBA */
    int bits;             /* 8, or 16 in the host's byte order */
    uint8_t *pixels;      /* (height, width, channels), rows without padding; aligned for uint16_t */
    int orientation;      /* EXIF 1..8 (1: upright); the pixels are as stored, see image_orient() */
    int warnings;         /* faults of the file that did not stop the decoder (Pillow is silent about them too) */
    uint8_t *palette;     /* (n_palette, 4) RGBA when `pixels` are indices, else NULL */
    int n_palette;
    bool has_key;         /* PNG tRNS of a gray or RGB image: this colour, in the file's depth, is transparent */
    uint16_t key[3];
};

struct image_options {
    uint64_t max_pixels;  /* 0: IMAGE_MAX_PIXELS */
    bool allow_truncated; /* missing rows stay black (PNG) or gray (JPEG) instead of an error */
    bool keep_index;      /* images with a palette: give indices and palette instead of RGB(A) */
    bool header_only;     /* everything but the pixels (NULL) */
};

/* A black image. Refuses sides below 1 and more than `max_pixels` (0: IMAGE_MAX_PIXELS) with ERR_DATA. */
int image_new(struct image *img, struct arena *a, int64_t width, int64_t height, int channels, int bits,
              uint64_t max_pixels, struct err *e);
size_t image_row_bytes(const struct image *img);

/* Replaces indices by colours: RGBA when one of the palette's entries is translucent. */
int image_expand_palette(struct image *img, struct arena *a, uint64_t max_pixels, struct err *e);

enum image_format image_recognize(struct bytes in); /* by content */
const char *image_format_name(enum image_format f); /* "JPEG" */
/* Any known format; options may be NULL. Pixels live in the arena. Errors: ERR_DATA with the byte reached. */
int image_decode(struct image *out, struct arena *a, struct bytes in, const struct image_options *o, struct err *e);
/* Gray, or RGB (CMYK and YCCK are turned into RGB as Pillow's convert('RGB') does). */
int jpeg_decode(struct image *out, struct arena *a, struct bytes in, const struct image_options *o, struct err *e);
/* Gray of 1, 2, 4 bits is widened to 8; 16 bits are kept. A palette becomes RGB, or RGBA if an entry is translucent. */
int png_decode(struct image *out, struct arena *a, struct bytes in, const struct image_options *o, struct err *e);

/* RGB, or RGBA when the file has transparency. */
int webp_decode(struct image *out, struct arena *a, struct bytes in, const struct image_options *o, struct err *e);
/* The first frame on its canvas. */
int gif_decode(struct image *out, struct arena *a, struct bytes in, const struct image_options *o, struct err *e);
/* The first page, upright by its own orientation as Pillow and OpenCV have it; gray of 8 and 16 bits and palettes as
 * they are, all else as RGB or RGBA of 8 bits. */
int tiff_decode(struct image *out, struct arena *a, struct bytes in, const struct image_options *o, struct err *e);
/* Gray of 8 or 16 bits, gray with alpha, RGB and RGBA of 8. */
int jpeg2000_decode(
    struct image *out, struct arena *a, struct bytes in, const struct image_options *o, struct err *e);
/* 1, 4, 8 (palette), 16, 24 and 32 bits, uncompressed. */
int bmp_decode(struct image *out, struct arena *a, struct bytes in, const struct image_options *o, struct err *e);
/* PBM, PGM, PPM, as text or bytes, up to 16 bits. */
int pnm_decode(struct image *out, struct arena *a, struct bytes in, const struct image_options *o, struct err *e);

/* What is made of a decoded image (image_convert.c). */
enum image_color { IMAGE_GRAY, IMAGE_RGB, IMAGE_BGR, IMAGE_RGBA, N_IMAGE_COLORS };

/* To 8 bits of the given colours, as Pillow 9.4 convert('L'), ('RGB'), ('RGBA'): alpha is dropped, not blended;
 * palettes are looked up; gray is repeated; L = (19595 R + 38470 G + 7471 B + 32768) >> 16. Of 16 bits, gray is clipped
 * at 255 (Pillow's mode "I"), all others keep their high byte. */
int image_convert(struct image *out, struct arena *a, const struct image *in, enum image_color color, struct err *e);
/* 16 bits to 8 by their high byte, whatever the channels: what most 16-bit gray images need before image_convert(). */
int image_to_8bit(struct image *out, struct arena *a, const struct image *in, struct err *e);
/* Turns the pixels (or the sizes alone, where there are none) upright by the EXIF orientation, as Pillow's
 * ImageOps.exif_transpose; it is 1 afterwards. */
int image_orient(struct image *out, struct arena *a, const struct image *in, struct err *e);
/* RGB <-> BGR (RGBA <-> BGRA), in place. */
void image_swap_red_blue(struct image *img);

/* PNG of the image (indexed when it has a palette); the same pixels always give the same bytes. */
int png_encode(struct bytes *out, struct arena *a, const struct image *img, struct err *e);
int png_write(struct file_writer *w, const struct image *img, struct err *e);

/* Orientation of an EXIF block that begins with its TIFF header: 1..8, and 1 for whatever is not clearly said. */
int exif_orientation(struct bytes tiff);

#endif
