/* api.h - the public handles, and the ways between the public structs and our own. */
#ifndef TENREC_API_API_H
#define TENREC_API_API_H

#include "base/err.h"
#include "package/model.h"
#include "tenrec/tenrec.h"

struct tenrec_model {
    struct mem mem;
    struct model model;
    char *manifest; /* as text, made when first asked for; in the model's arena */
};

struct tenrec_session {
    struct tenrec_model *model;
    struct tenrec_session_options o;
    struct session *session;
    struct arena answers; /* of the last call */
};

/* One forward pass on our own tensors, one per input; the results, one per output, lie in the session's memory. */
int api_forward(struct tenrec_session *s, const struct tensor *in, struct tensor **out, struct err *e);
/* An image becomes what the input is given, in the session's memory. ERR_USAGE, ERR_DATA. */
int api_preprocess(struct tenrec_session *s, size_t input, const struct tenrec_image *image, struct tensor *out,
    struct provenance *from, struct err *e);

/* ERR_USAGE where a caller gave NULL: the handle that a call before this one did not give, most often. */
int api_need(const void *given, const char *what, struct err *e);
/* The public error is our own: see the assertions in error.c. */
struct err *api_err(struct tenrec_error *error);
void api_tensor(struct tenrec_tensor *to, const struct tensor *from);
/* Checks rank, type, sizes. ERR_USAGE, ERR_SHAPE; `what` begins the text. */
int api_tensor_in(struct tensor *to, const struct tenrec_tensor *from, const char *what, struct err *e);

#endif
