/* container.c - what torch.save wrote, whichever of its three forms the file has. */
#include "format/torch/container.h"

#include "base/err.h"
#include "format/format.h"

enum container_kind container_is(struct bytes file)
{
    if (zip_is(file)) return CONTAINER_ZIP;
    if (legacy_is(file)) return CONTAINER_LEGACY;
    return tar_is(file) ? CONTAINER_TAR : CONTAINER_NONE;
}

const char *container_name(enum container_kind kind)
{
    static const char *const names[] = { "none", "PyTorch (zip)", "PyTorch (before 1.6)", "PyTorch (tar, before 0.2)" };
    return names[kind];
}

struct pickle_value *container_open(struct archive *r, struct arena *a, struct arena *keep,
    const struct format_file *file, struct report *report, struct err *e)
{
    switch (container_is(file->bytes)) {
    case CONTAINER_ZIP: return archive_open(r, a, keep, file, e) ? NULL : archive_pickle(r, "data.pkl", report);
    case CONTAINER_LEGACY: archive_init(r, a, keep, file, e); return legacy_open(r, file, report);
    case CONTAINER_TAR: archive_init(r, a, keep, file, e); return tar_open(r, file, report);
    default: return fail(e, ERR_MODEL, "%s: not a file of torch.save", file->path), NULL;
    }
}
