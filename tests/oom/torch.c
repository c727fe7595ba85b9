/* torch.c - reading TorchScript archives when memory runs out. */
#include "oom.h"

#include "format/torch_build.h"

enum { NOTES = 1 };

static const char code[] =
    "class M(Module):\n  __parameters__ = [\"w\", ]\n  __buffers__ = []\n  w : Tensor\n  h : Optional[Tensor]\n"
    "  def forward(self: __torch__.M, x: Tensor) -> Tuple[Tensor, List[int]]:\n"
    "    w = self.w\n"
    "    y = torch.linear(x, w)\n"
    "    l = annotate(List[int], [])\n"
    "    for i in range(torch.size(y, 1)):\n"
    "      _0 = torch.append(l, torch.mul(i, 2))\n"
    "    v = torch.select(y, 0, 0)\n"
    "    _1 = torch.add_(v, 1)\n"
    "    if torch.gt(torch.size(x, 0), 1):\n"
    "      z = torch.relu(y)\n"
    "    else:\n"
    "      z = y\n"
    "    if torch.__is__(self.h, None):\n"
    "      q = z\n"
    "    else:\n"
    "      q = torch.add(z, unchecked_cast(Tensor, self.h))\n"
    "    self.h = q\n"
    "    return (torch.view(q, [-1]), l)\n";

static int job(const struct mem *mem, void *ctx)
{
    struct arena a;
    struct err e = { 0 };
    struct graph *g;
    arena_init(&a, mem);
    struct report r = report_in(&a);
    struct import_hint hint = { .dtype = DT_F32, .rank = 2, .dim = { { .size = 2 }, { .size = 3 } } };
    struct import_options o = { .inputs = &hint, .n_inputs = 1 };
    int result = format_read(&a, ctx, &o, &g, &r, &e);
    CHECK(result == e.code);
    if (!result && r.n != NOTES) result = ERR_NOMEM; /* a report drops what it has no memory for */
    arena_release(&a);
    return result;
}

TEST(read)
{
    struct arena a;
    struct err e = { 0 };
    struct torch_build b;
    arena_init(&a, NULL);
    build_begin(&b, &a, &e);
    build_tensor(&b, "w", 2, (int64_t[]){ 2, 3 }, (float[]){ 1, 2, 3, 4, 5, 6 }, &e);
    build_none(&b, "h");
    build_program(&b, code, &e);
    CHECK_OK(e.code, &e);
    printf("# %ld allocations\n", oom_each(job, b.path));
    unlink(b.path);
    arena_release(&a);
}
