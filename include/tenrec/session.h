/* session.h - running a model: tensors in and out, or an image in and an answer out. */
#ifndef TENREC_SESSION_H
#define TENREC_SESSION_H

#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Belongs to one thread at a time. OpenMP's threads do not come along into a forked process: there, call from a thread
 * that it has started itself. */
struct tenrec_session;

struct tenrec_session_options {
    size_t size;                     /* sizeof(struct tenrec_session_options) */
    int threads;                     /* 0: what the process may use */
    int (*cancelled)(void *cookie);  /* asked between steps; not 0: the run ends with TENREC_CANCELLED */
    void *cookie;
};

/* Options may be NULL. The model must outlive the session. */
TENREC_API struct tenrec_session *tenrec_session_new(
    struct tenrec_model *model, const struct tenrec_session_options *options, struct tenrec_error *error);
TENREC_API void tenrec_session_free(struct tenrec_session *session); /* NULL is fine */

/* One forward pass: `in` has one tensor per input of the model, `out` room for one per output. The results lie in the
 * session's memory until its next call. Any batch size, and any size that the model leaves free. A model that keeps
 * state (a streaming one) goes on from the last call. */
TENREC_API int tenrec_run(struct tenrec_session *session, const struct tenrec_tensor *in, size_t n_in,
    struct tenrec_tensor *out, size_t n_out, struct tenrec_error *error);
/* The states of the model go back to what they were in the file. */
TENREC_API int tenrec_reset(struct tenrec_session *session, struct tenrec_error *error);

/* An image: the bytes of a file (JPEG, PNG ...), or pixels where `width` is not 0: 8 bits, rows without gaps, channels
 * side by side in the order of the model's preprocessing (RGB, unless its `decode` step says BGR). */
struct tenrec_image {
    const void *data;
    size_t size; /* bytes */
    int width, height, channels;
};

/* What the input would be given for this image: (1, C, H, W) or (1, H, W, C), in the session's memory until its next
 * call. TENREC_USAGE: the input has no preprocessing. */
TENREC_API int tenrec_preprocess(struct tenrec_session *session, size_t input, const struct tenrec_image *image,
    struct tenrec_tensor *out, struct tenrec_error *error);

enum tenrec_answer_kind {
    TENREC_ANSWER_TENSOR,
    TENREC_ANSWER_CLASSES,
    TENREC_ANSWER_MASK,
    TENREC_ANSWER_BOXES,
    TENREC_ANSWER_NONE /* another output's answer has what this one says */
};

/* What postprocessing made of one output. */
struct tenrec_answer {
    enum tenrec_answer_kind kind;
    struct tenrec_tensor tensor;   /* ..._TENSOR: (1, ...) */
    size_t n;                      /* ..._CLASSES, ..._BOXES: best first */
    const int64_t *index;          /* (n) */
    const double *score;           /* (n) */
    const char *const *label;      /* (n), NULL where the model has no names */
    int width, height;             /* ..._MASK, ..._BOXES: of the image */
    const int32_t *mask;           /* (height, width) */
    const double *box;             /* ..._BOXES: (n, 4) left, top, right, bottom in pixels of the image */
};

/* preprocess, forward, postprocess: the same answer, bit for bit, as `tenrec score` gives. `images` has one per input
 * of the model, `answers` room for one per output; they lie in the session's memory until its next call. Several
 * samples in a call: so many times as many of both, one sample behind the other; those of equal sizes share a forward
 * pass where the model takes a batch. A bad image fails the call: the text begins with "image I". */
TENREC_API int tenrec_score(struct tenrec_session *session, const struct tenrec_image *images, size_t n_images,
    struct tenrec_answer *answers, size_t n_answers, struct tenrec_error *error);

#ifdef __cplusplus
}
#endif

#endif
