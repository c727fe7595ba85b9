/* format.c - files of weights among the formats of models: what to say of one that lacks its structure. */
#include "format/format.h"
#include "base/err.h"
#include "format/torch/module.h"
#include "format/torch/nn.h"
#include "format/weights/weights.h"

static enum format_match probe(struct bytes file, const char *path)
{
    return weights_is(file, path) ? FORMAT_BY_CONTENT : FORMAT_NO;
}

/* A module that was pickled as a whole is rebuilt; for all else a structure is wanting. */
static int read_model(struct arena *a, const struct format_file *file, const struct import_options *o, struct graph **g,
    struct report *report, struct err *e)
{
    struct weights w;
    TRY(weights_read(&w, a, file, NULL, report, e));
    if (w.class_name) {
        if (!module_read(a, file, o, g, report, e) || e->code != ERR_UNSUPPORTED) return e->code;
        return err_prefix(e,
            "%s, pickled as a whole (its %zu tensors can be put into a structure with --arch; or export it "
            "with torch.jit.script)",
            w.class_name, w.n);
    }
    const char *nets = weights_known_nets(&w, a);
    return fail(e, ERR_UNSUPPORTED,
        "%s: weights without a structure (%s, %zu tensors); say with --arch which network they belong to: a name of "
        "the "
        "zoo, a package, an ONNX or TorchScript file%s%s",
        file->path, w.format, w.n, nets[0] ? ". By names and shapes they fit " : "", nets);
}

const struct format format_weights = {
    .name = "weights",
    .doc = "weights without a structure (state_dicts, checkpoints, safetensors, .npz), with --arch",
    .extensions = "pth pt bin ckpt safetensors npz tar",
    .writes = "pth safetensors npz",
    .whole = true,
    .probe = probe,
    .write = weights_write,
    .check = weights_check,
    .read = read_model,
    .knows = nn_knows,
};
