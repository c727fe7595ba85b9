/* cast.c - float32 to bfloat16 and back, in the layout the tensor has. */
#include "backend/dnnl/dnnl.h"
#include "backend/dnnl/layout.h"
#include "base/err.h"
#include "base/str.h"

static bool is_between(enum dtype from, enum dtype to)
{
    return (from == DT_F32 && to == DT_BF16) || (from == DT_BF16 && to == DT_F32);
}

bool cast_accepts(const struct step *s, struct str *why)
{
    const char *text = NULL;
    if (!is_between(s->in[0]->dtype, s->out[0]->dtype)) text = "not between float32 and bfloat16";
    else if (!cpu_multiplies_bf16()) text = "no instructions for bfloat16";
    else if (!tensor_count(s->in[0])) text = "an empty tensor";
    if (text && why) str_add(why, text);
    return !text;
}

int cast_prepare(struct step *s, struct err *e)
{
    struct desc plain, from, to, plain_to;
    TRY(plain_desc(s->in[0], &plain, e));
    TRY(present_desc(s->in[0], &from, e));
    plain_to = plain;
    to = from;
    TRY(desc_set_type(&plain_to, s->out[0]->dtype, e));
    TRY(desc_set_type(&to, s->out[0]->dtype, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(make_reorder(&j->primitive, &from, &to, e));
    if (!desc_same(&plain, &from)) s->want_in[0] = s->in[0]->layout;
    TRY(layout_make(s->arena, &plain_to, &to, &s->want_out[0], e));
    TRY(job_arg(j, DNNL_ARG_FROM, &s->in[0], &from, e));
    TRY(job_arg(j, DNNL_ARG_TO, &s->out[0], &to, e));
    return job_end(j, e);
}
