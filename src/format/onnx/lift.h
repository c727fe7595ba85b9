/* lift.h - turning every older spelling of an operator into the one this program speaks (opset 22).
 *
 * A node arrives with its attributes and inputs as the file has them; the rows of the tables that match its operator
 * and version change it in turn; what is left is emitted. A row may also emit the whole thing itself (done = true).
 */
#ifndef TENREC_FORMAT_ONNX_LIFT_H
#define TENREC_FORMAT_ONNX_LIFT_H

#include "graph/builder.h"

enum { LIFT_ROOM = 8 }; /* inputs beyond those of the file that rows may add */

struct lift {
    struct builder *b;
    struct arena *arena;
    const char *domain; /* "" for ONNX's own */
    const char *op;
    const char *name;   /* of the node; new constants are named after it */
    int64_t version;    /* of the operator's set */
    struct attr *attrs; /* ends with a NULL name */
    size_t n_attrs, cap_attrs;
    struct value **in; /* room for n_in + LIFT_ROOM, NULL past n_in */
    int n_in;
    struct value **out; /* filled in */
    int n_out;
    const bool *read; /* which outputs the file gives a name */
    bool done;
    /* A value by the name that the file gives it; NULL when there is none. */
    struct value *(*value)(const struct lift *l, const char *name);
    const void *cookie; /* of value() */
};

struct lift_row {
    const char *op; /* NULL ends a table */
    int from, to;   /* versions, both included */
    int (*lift)(struct lift *l, const char *arg, struct err *e);
    const char *arg;
    const char *needs; /* the operator that must be known; NULL: `op` itself; "": only basic ones */
};
extern const struct lift_row lift_arith_rows[], lift_norm_rows[], lift_shape_rows[], lift_sample_rows[];
extern const struct lift_row lift_training_rows[], lift_extra_rows[], lift_microsoft_rows[], lift_qlinear_rows[];
extern const struct lift_row lift_attention_rows[], lift_control_rows[], lift_ml_rows[], lift_tree_rows[];
extern const struct lift_row lift_qonnx_rows[], lift_channels_last_rows[];
extern const struct lift_row lift_map_rows[], lift_packed_rows[], lift_experts_rows[];
extern const struct lift_row lift_stream_rows[], lift_preview_rows[], lift_cache_rows[], lift_svm_rows[];
enum { LIFT_ANY = 1 << 30 };

/* Emits the node; l->out is filled. */
int lift_emit(struct lift *l, struct err *e);
/* The operator that a spelling of this version turns into: `op` itself, or "" when it is written in several. NULL for
 * an operator of another domain that has no row. */
const char *lift_needs(const char *domain, const char *op, int64_t version);

/* Every operator that is no operator of the graph but read as others, by domain; false past the end. */
bool lift_listed(size_t i, const char **domain, const char **op);

/* For rows. */
const struct attr *lift_attr(const struct lift *l, const char *name); /* NULL when absent; valid until one is dropped */
int64_t lift_int(const struct lift *l, const char *name, int64_t otherwise);
double lift_float(const struct lift *l, const char *name, double otherwise);
void lift_drop(struct lift *l, const char *name);
int lift_set(struct lift *l, struct attr attr, struct err *e); /* adds or replaces; the name must outlive the lift */
void lift_input(struct lift *l, int index, struct value *v);
struct value *lift_ints(struct lift *l, const char *what, const int64_t *v, size_t n); /* a constant named NODE_what */
void lift_result(struct lift *l, struct value *v); /* output 0; nothing more is emitted */
bool lift_wants(const struct lift *l, int i);      /* output i is there and read */

/* Rows that many operators share. */
int lift_drop_attr(struct lift *l, const char *name, struct err *e);
int lift_attr_to_input(struct lift *l, const char *arg, struct err *e); /* "axes 1": ints to a 1-d input */
int lift_default_int(struct lift *l, const char *arg, struct err *e);   /* "axis 1": where it is absent */
int lift_float_to_int(struct lift *l, const char *name, struct err *e);

#endif
