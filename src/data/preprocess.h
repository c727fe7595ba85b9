/* preprocess.h - from an image to the tensor a model reads: a list of named steps, data and never code.
 *
 *   [{"op": "decode", "color_space": "RGB", "exif_orientation": "ignore"},
 *    {"op": "resize", "mode": "shortest_edge", "size": 256, "interpolation": "bilinear", "reference": "pillow-9.4"},
 *    {"op": "center_crop", "size": [224, 224], "rounding": "half_even"},
 *    {"op": "rescale", "factor": 255, "arithmetic": "divide"},
 *    {"op": "normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
 *    {"op": "layout", "layout": "NCHW"}]
 *
 * Sizes are [height, width] or one number for both (an edge, for the *_edge modes).
 */
#ifndef TENREC_DATA_PREPROCESS_H
#define TENREC_DATA_PREPROCESS_H

#include <jansson.h>

#include "base/file.h"
#include "data/image_ops.h"
#include "enc/image.h"
#include "graph/tensor.h"

struct preprocess_step;
struct preprocess {
    struct preprocess_step *steps;
    size_t n;
    enum image_color color;
    int threads; /* for one image; 0: what the process may use */
};

/* Where a sample came from, for the way back. */
struct provenance {
    struct extent original;     /* of the upright image */
    struct letterbox letterbox; /* scale 0: none was made */
    struct image seen;          /* the pixels the model saw, before they became floats */
};

/* Reads and checks a list of steps; `where` begins errors. Strings are copied. ERR_USAGE. */
int preprocess_parse(struct preprocess *p, struct arena *a, const json_t *list, const char *where, struct err *e);
/* Runs all steps on an encoded image. `out`: float32 (1, C, H, W) or (1, H, W, C), in the arena. */
int preprocess_bytes(const struct preprocess *p, struct arena *a, struct bytes file, struct tensor *out,
    struct provenance *from, struct err *e);
/* The same on decoded pixels. */
int preprocess_image(const struct preprocess *p, struct arena *a, const struct image *img, struct tensor *out,
    struct provenance *from, struct err *e);

/* The same in two halves, for what is done to pixels in between: up to from->seen, and from there on to floats of
 * preprocess_shape(). */
int preprocess_pixels(const struct preprocess *p, struct arena *a, const struct image *img, struct provenance *from,
    int threads, struct err *e);
struct shape preprocess_shape(const struct preprocess *p, const struct image *seen);
int preprocess_floats(const struct preprocess *p, const struct image *seen, float *out, struct err *e);
/* An image of labels (one channel of 8 bits) to where its image would lie; `outside` of it is this label. */
int preprocess_labels(const struct preprocess *p, struct arena *a, const struct image *labels, uint8_t outside,
    struct image *out, struct err *e);

/* The input that steps are wanted for. */
struct preset_for {
    int64_t channels;      /* 1 or 3, others: ERR_USAGE */
    int64_t height, width; /* below 1: the model takes any */
    bool nhwc;
    bool whole; /* all of the image must be seen, as for maps of labels: no crop, and no resize without a size */
};

/* What a framework's users usually mean: "torchvision", "timm", "keras", "caffe". A new reference; NULL with the
 * error. */
json_t *preprocess_preset(const char *like, const struct preset_for *to, struct err *e);
/* From the metadata that Ultralytics' exporter leaves: the texts of `imgsz` and `task` (may be NULL). */
json_t *preprocess_from_ultralytics(const char *imgsz, const char *task, const struct preset_for *to, struct err *e);
/* From a Hugging Face preprocessor_config.json; without a step for the layout, which is the model's. */
json_t *preprocess_from_huggingface(const json_t *config, struct err *e);
/* Changes one parameter in a list of steps: "resize.size" = 320 (the first step of that op; value: JSON or plain
 * text). */
int preprocess_override(json_t *list, const char *key, const char *value, struct err *e);

#endif
