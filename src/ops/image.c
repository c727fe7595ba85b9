/* image.c - ImageDecoder: the pixels of an encoded image. */
#include "enc/image.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "graph/op.h"
#include "ops/infer.h"
#include "ops/kernel.h"

static const struct {
    const char *name;
    enum image_color color;
    int channels;
} formats[] = {
    { "RGB", IMAGE_RGB, 3 },
    { "BGR", IMAGE_BGR, 3 },
    { "Grayscale", IMAGE_GRAY, 1 },
};
enum { N_FORMATS = sizeof formats / sizeof formats[0] };

/* The attribute's row; N_FORMATS when there is none. */
static size_t format_of(const struct node *n)
{
    size_t i = 0;
    while (i < N_FORMATS && strcmp(formats[i].name, node_string(n, "pixel_format")) != 0) i++;
    return i;
}

static int decoder_infer(struct node *n, struct err *e)
{
    size_t f = format_of(n);
    if (f == N_FORMATS)
        return fail(
            e, ERR_MODEL, "pixel_format is \"%s\", expected RGB, BGR or Grayscale", node_string(n, "pixel_format"));
    if (n->in[0]->dtype && n->in[0]->dtype != DT_U8)
        return fail(e, ERR_SHAPE, "the file's bytes are %s, expected uint8", dtype_name(n->in[0]->dtype));
    TRY(infer_rank(n, 0, 1, 1, e));
    struct shape s = shape_of(3, (int64_t[]){ DIM_UNKNOWN, DIM_UNKNOWN, formats[f].channels });
    infer_out(n, 0, DT_U8, &s);
    return 0;
}

/* What cannot be decoded is an empty image, as the operator says; memory that runs out is not. */
static int decoder_run(const struct step *s, struct err *e)
{
    size_t f = format_of(s->node);
    struct bytes file = { s->in[0]->data, (size_t)tensor_count(s->in[0]) };
    struct image img = { 0 };
    struct err bad = { 0 };
    int code = image_decode(&img, s->scratch, file, NULL, &bad);
    if (!code) code = image_convert(&img, s->scratch, &img, formats[f].color, &bad);
    if (code == ERR_NOMEM) return fail_nomem(e);
    if (code) img = (struct image){ 0 };
    struct shape shape = shape_of(3, (int64_t[]){ img.height, img.width, formats[f].channels });
    struct tensor *y = step_resize(s, 0, DT_U8, &shape, e);
    if (!y) return e->code;
    if (!code) memcpy(y->data, img.pixels, (size_t)tensor_bytes(y));
    return 0;
}

static const struct attr_spec decoder_attrs[] = {
    { .name = "pixel_format",
        .type = ATTR_STRING,
        .presence = ATTR_DEFAULT,
        .s = "RGB",
        .doc = "RGB, BGR or Grayscale" },
    { 0 },
};

const struct op ops_image[] = {
    { .name = "ImageDecoder",
        .doc = "the pixels (height, width, channel) of a file's bytes; none where it cannot be decoded",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .attrs = decoder_attrs,
        .infer = decoder_infer,
        .run = decoder_run,
        /* a PGM of two pixels, and what is no image */
        .samples = "u8{80,53,32,50,32,49,32,50,53,53,10,7,200}; u8{1,2,3} | pixel_format=Grayscale" },
    { 0 },
};
