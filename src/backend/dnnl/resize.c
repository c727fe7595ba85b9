/* resize.c - enlarging and shrinking images by the nearest or linear rule, where oneDNN's positions are ours. */
#include <string.h>

#include "backend/dnnl/dnnl.h"
#include "backend/dnnl/layout.h"
#include "base/err.h"
#include "graph/op.h"

static bool is(const struct node *n, const char *attr, const char *text)
{
    return !strcmp(node_string(n, attr), text);
}

/* oneDNN's scale is the ratio of the sizes: a scale that was given must be just that. */
static int check_scales(const struct step *s, struct err *e)
{
    const struct shape *x = &s->in[0]->shape, *y = &s->out[0]->shape;
    const struct value *v = node_in(s->node, 2);
    size_t n = 0;
    const int64_t *axes = node_ints(s->node, "axes", &n);
    int count = axes ? (int)n : x->rank;
    if (!is(s->node, "keep_aspect_ratio_policy", "stretch")) return fail(e, ERR_UNSUPPORTED, "a policy of aspect");
    if (!v || !shape_count(&v->shape)) return 0; /* sizes: those of the result */
    const struct tensor *scales = value_const(v);
    if (!scales || tensor_count(scales) != count) return fail(e, ERR_UNSUPPORTED, "the scales are not constants");
    for (int i = 0; i < count; i++) {
        int d = axes ? shape_axis(axes[i], x->rank) : i;
        if (d < 0 || tensor_get_f64(scales, i) * (double)x->dim[d] != (double)y->dim[d])
            return fail(e, ERR_UNSUPPORTED, "a scale that is not the ratio of the sizes");
    }
    return 0;
}

/* Both libraries put position i at (i + 1/2) * in / out - 1/2. For the nearest, whole factors of enlargement meet no
 * ties, and then the floor of i * in / out is the same. */
static int check_positions(const struct step *s, bool linear, struct err *e)
{
    const struct shape *x = &s->in[0]->shape, *y = &s->out[0]->shape;
    const struct node *n = s->node;
    bool half = is(n, "coordinate_transformation_mode", "half_pixel");
    bool torch_half = is(n, "coordinate_transformation_mode", "pytorch_half_pixel");
    bool floor = is(n, "coordinate_transformation_mode", "asymmetric") && is(n, "nearest_mode", "floor");
    bool rounds = !strncmp(node_string(n, "nearest_mode"), "round", 5);
    if (linear ? !half && !torch_half : !(half && rounds) && !floor)
        return fail(e, ERR_UNSUPPORTED, "another rule of positions");
    for (int i = 2; i < x->rank; i++) {
        if (torch_half && y->dim[i] == 1) return fail(e, ERR_UNSUPPORTED, "another rule of positions");
        if (!linear && y->dim[i] % x->dim[i]) return fail(e, ERR_UNSUPPORTED, "not a whole factor");
    }
    return 0;
}

int resize_prepare(struct step *s, struct err *e)
{
    const struct shape *x = &s->in[0]->shape, *y = &s->out[0]->shape;
    struct desc src, dst, plain_in, plain_out;
    bool linear = is(s->node, "mode", "linear");
    if (x->rank < 3 || x->rank > 5 || x->dim[0] != y->dim[0] || x->dim[1] != y->dim[1])
        return fail(e, ERR_UNSUPPORTED, "not (N, C, ...) of 1 to 3 resized dimensions");
    if ((!linear && !is(s->node, "mode", "nearest")) || node_int(s->node, "antialias"))
        return fail(e, ERR_UNSUPPORTED, "not nearest or linear without antialias");
    if (tensor_bytes(s->in[0]) > INT32_MAX || tensor_bytes(s->out[0]) > INT32_MAX)
        return fail(e, ERR_UNSUPPORTED, "its code counts bytes in 32 bits");
    TRY(check_scales(s, e));
    TRY(check_positions(s, linear, e));
    TRY(plain_desc(s->in[0], &plain_in, e));
    TRY(plain_desc(s->out[0], &plain_out, e));
    TRY(present_desc(s->in[0], &src, e));
    TRY(desc_any(&dst, y->rank, y->dim, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(make_resampling(
        &j->primitive, linear ? dnnl_resampling_linear : dnnl_resampling_nearest, &src, &dst, e));
    TRY(job_in(j, DNNL_ARG_SRC, 0, &plain_in, e));
    TRY(job_out(j, DNNL_ARG_DST, 0, &plain_out, e));
    return job_end(j, e);
}
