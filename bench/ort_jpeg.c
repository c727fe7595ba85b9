/* ort_jpeg.c - a whole process of ONNX Runtime: ort_jpeg LIBRARY MODEL.onnx THREADS PHOTO.jpg prints the likeliest
 * class.
 *
 * The photo is made what networks of ImageNet are used to: its shorter side 256 (each pixel the mean of what it covers,
 * weighted by a triangle), the middle 224 x 224 of that, each channel normalized.
 */
#include "ort.h"

#include <jpeglib.h>
#include <math.h>

enum { SHORT = 256, SIDE = 224, RGB = 3 };

struct image {
    int width, height;
    float *pixels; /* (height, width, RGB) */
};

static float *numbers(size_t n)
{
    float *p = calloc(n, sizeof *p);
    if (!p) exit(1);
    return p;
}

static struct image decode(const char *path)
{
    struct jpeg_decompress_struct d;
    struct jpeg_error_mgr err;
    FILE *f = fopen(path, "rb");
    if (!f) exit(1);
    d.err = jpeg_std_error(&err);
    jpeg_create_decompress(&d);
    jpeg_stdio_src(&d, f);
    jpeg_read_header(&d, TRUE);
    d.out_color_space = JCS_RGB;
    jpeg_start_decompress(&d);
    int row = (int)d.output_width * RGB;
    struct image to = { (int)d.output_width, (int)d.output_height, numbers((size_t)row * d.output_height) };
    unsigned char *line = malloc((size_t)row);
    for (float *at = to.pixels; line && d.output_scanline < d.output_height; at += row) {
        jpeg_read_scanlines(&d, &line, 1);
        for (int i = 0; i < row; i++) at[i] = line[i];
    }
    free(line);
    jpeg_destroy_decompress(&d);
    fclose(f);
    return to;
}

/* Along one axis: `lines` of `from` pixels, `step` numbers apart, become `to` pixels each. */
static void shrink(const float *x, float *y, int lines, int line, int line_to, int from, int to, int step)
{
    double scale = (double)from / to, reach = scale > 1 ? scale : 1;
    for (int o = 0; o < to; o++) {
        double centre = (o + 0.5) * scale, all = 0, weight[4096];
        int low = (int)fmax(centre - reach + 0.5, 0), high = (int)fmin(centre + reach + 0.5, from);
        if (high - low > 4096) high = low + 4096;
        for (int i = low; i < high; i++) all += weight[i - low] = fmax(1 - fabs((i + 0.5 - centre) / reach), 0);
        for (int l = 0; l < lines; l++)
            for (int c = 0; c < RGB; c++) {
                double sum = 0;
                for (int i = low; i < high; i++) sum += weight[i - low] * (double)x[l * line + i * step + c];
                y[l * line_to + o * step + c] = (float)(sum / all);
            }
    }
}

static struct image resize(struct image x)
{
    int shorter = x.width < x.height ? x.width : x.height;
    int w = x.width * SHORT / shorter, h = x.height * SHORT / shorter;
    struct image y = { w, h, numbers((size_t)w * (size_t)h * RGB) };
    float *wide = numbers((size_t)w * (size_t)x.height * RGB);
    shrink(x.pixels, wide, x.height, x.width * RGB, w * RGB, x.width, w, RGB);
    for (int c = 0; c < w; c++) shrink(wide + c * RGB, y.pixels + c * RGB, 1, 0, 0, x.height, h, w * RGB);
    free(wide);
    return y;
}

/* (RGB, SIDE, SIDE) */
static float *middle(struct image x)
{
    static const float mean[] = { 0.485f, 0.456f, 0.406f }, deviation[] = { 0.229f, 0.224f, 0.225f };
    int left = (x.width - SIDE) / 2, top = (x.height - SIDE) / 2;
    float *y = numbers(RGB * SIDE * SIDE), *to = y;
    for (int c = 0; c < RGB; c++)
        for (int i = 0; i < SIDE * SIDE; i++) {
            int at = ((top + i / SIDE) * x.width + left + i % SIDE) * RGB + c;
            *to++ = (roundf(x.pixels[at]) / 255 - mean[c]) / deviation[c];
        }
    return y;
}

int main(int argc, char **argv)
{
    struct job job = { NULL };
    size_t count, best = 0;
    if (argc != 5) return 2;
    load_library(argv[1]);
    open_session(&job, argv[2], atoi(argv[3]));
    set_input(&job, middle(resize(decode(argv[4]))), RGB * SIDE * SIDE, (int64_t[]){ 1, RGB, SIDE, SIDE }, 4);
    run_once(&job);
    const float *y = result(&job, &count);
    for (size_t i = 0; i < count; i++)
        if (y[i] > y[best]) best = i;
    printf("%zu\n", best);
    return 0;
}
