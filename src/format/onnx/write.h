/* write.h - writing a graph as ONNX.
 *
 * The file is a plain ModelProto that the ONNX checker and ONNX Runtime take: states and constants are initializers,
 * symbols are dim_params, our own operators are written in standard ones where they can be. What ONNX cannot say stands
 * in metadata_props as JSON, so that our reader restores the same graph:
 *   tenrec.states  {NAME: {"trainable": bool, "next": VALUE, "key": KEY, "perm": [..]}}  every initializer that
 *                  is a state; "next" names the value that replaces it after a run (no extra inputs or outputs are
 *                  made: other programs always begin at the state's initial content)
 *   tenrec.guards  [{"value": VALUE, "equals": N, "where": SOURCE}]
 * Nodes carry metadata_props too: tenrec.where, tenrec.float.ATTR where a float is no float32, and tenrec.axes, the
 * name of the constant that is an attribute in an older operator set.
 */
#ifndef TENREC_FORMAT_ONNX_WRITE_H
#define TENREC_FORMAT_ONNX_WRITE_H

#include "enc/protobuf.h"
#include "format/format.h"
#include "graph/attr.h"

struct node;

struct onnx_write_options {
    int opset;  /* 10 to 23; 0: the lowest that can say the graph, 13 at least */
    bool standard; /* refuse what can only be said in our own domain */
    bool exact; /* keep our own operators (domain ai.tenrec) although they could be written in standard ones */
    const char *location; /* name of the file, in the model's folder, that holds the weights; NULL: they are embedded */
    /* With `location`: where in that file the data of the initializer `name` are; false: they are embedded. */
    bool (*place)(void *cookie, const char *name, uint64_t *offset, uint64_t *length);
    void *cookie;
};

/* The message; it borrows the weights' memory, and lies in `a`. `g` must be tidy. Errors: ERR_UNSUPPORTED for what no
 * ONNX file, or none of the operator set asked for, can say. Warnings (operators only we know) go to the report. */
int onnx_write(const struct graph *g, struct arena *a, const struct onnx_write_options *o, struct proto_message *out,
    struct report *r, struct err *e);
/* Writes PATH, and PATH.data beside it when the weights are too large for one protobuf file (2 GB). */
int onnx_write_file(
    const struct graph *g, const char *path, const struct export_options *o, struct report *r, struct err *e);

/* opset.c: an input that was an attribute before operator set `opset`; attr NULL: it was not there at all. NULL:
 * none. */
struct onnx_moved {
    const char *op;
    int input, opset;
    const char *attr;
    enum attr_type type;
};
const struct onnx_moved *onnx_moved(const struct node *n, int input);

/* opset.c: the lowest operator set (10 or above) that can say the node; *why names what asks for it. */
int onnx_opset_of(const struct node *n, const char **why);

#endif
