/* images.c - decoding, resizing and writing when memory runs out. */
#include "oom.h"

#include "base/err.h"
#include "base/file.h"
#include "data/image_ops.h"
#include "data/resample.h"
#include "enc/image.h"

static const char *folder(void)
{
    const char *root = getenv("TENREC_SOURCE");
    return root ? root : ".";
}

static int work(struct arena *a, const char *name, struct err *e)
{
    struct bytes in, out;
    struct image img;
    char *path = arena_printf(a, "%s/tests/golden/images/%s", folder(), name);
    TRY_MEM(path, e);
    TRY(file_map(a, path, &in, e));
    TRY(image_decode(&img, a, in, NULL, e));
    TRY(image_orient(&img, a, &img, e));
    TRY(image_resize(&img, a, &img, 300, 200, RESAMPLE_BICUBIC, NULL, 1, e));
    TRY(image_resize(&img, a, &img, 299, 200, RESAMPLE_NEAREST, NULL, 1, e));
    TRY(image_convert(&img, a, &img, IMAGE_BGR, e));
    TRY(image_center_crop(&img, a, &img, 400, 100, e));
    return png_encode(&out, a, &img, e);
}

static int job(const struct mem *mem, void *ctx)
{
    struct arena a;
    struct err e = { 0 };
    arena_init(&a, mem);
    int code = work(&a, ctx, &e);
    CHECK(code == e.code);
    arena_release(&a);
    return code;
}

TEST(every_allocation_of_an_image_may_fail)
{
    static char *const names[] = { "cmyk.jpg", "orientation6.jpg", "index_translucent.png", "rgb8i.png" };
    for (int i = 0; i < 4; i++) CHECK(oom_each(job, names[i]) >= 4);
}
