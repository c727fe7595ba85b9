/* torch.c - reading TorchScript archives when memory runs out. */
#include "oom.h"

#include "exec/session.h"
#include "format/torch_build.h"
#include "pass/pass.h"

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

/* Branches and loops on data: outlined, folded, planned and run. */
static const char on_data[] =
    "class M(Module):\n  __parameters__ = [\"w\", ]\n  __buffers__ = []\n  w : Tensor\n"
    "  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n"
    "    w = self.w\n"
    "    if bool(torch.gt(torch.sum(x), 0)):\n"
    "      y = torch.linear(x, w)\n"
    "    else:\n"
    "      y = torch.neg(torch.linear(x, w))\n"
    "    r = annotate(List[Tensor], [])\n"
    "    go = bool(torch.gt(torch.sum(y), -9))\n"
    "    while go:\n"
    "      y0 = torch.add(y, 1)\n"
    "      _1 = torch.append(r, y0)\n"
    "      go, y = bool(torch.lt(torch.sum(y0), 50)), y0\n"
    "    z = torch.stack(r, 0)\n"
    "    return torch.relu(torch.masked_select(z, torch.gt(z, 0)))\n";

static int run_once(const struct graph *g, const struct mem *mem, struct err *e)
{
    float x[] = { 1, 0, 1, 0, 1, 0 };
    struct tensor in = { .dtype = DT_F32, .shape = shape_of(2, (int64_t[]){ 2, 3 }), .data = x }, out;
    struct session *s = session_new(g, &(struct session_options){ .threads = 1, .mem = mem }, e);
    int result = s ? session_run(s, (const struct tensor *[]){ &in }, &out, e) : e->code;
    session_free(s);
    return result;
}

static int job_on_data(const struct mem *mem, void *ctx)
{
    struct arena a;
    struct err e = { 0 };
    struct graph *g;
    arena_init(&a, mem);
    struct report r = report_in(&a);
    struct import_hint hint = { .dtype = DT_F32, .rank = 2, .dim = { { .size = 2 }, { .size = 3 } } };
    struct import_options o = { .inputs = &hint, .n_inputs = 1 };
    int result = format_read(&a, ctx, &o, &g, &r, &e);
    if (!result) result = pass_run(g, PASS_IMPORT, NULL, &e);
    if (!result) result = run_once(g, mem, &e);
    CHECK(result == e.code);
    arena_release(&a);
    return result;
}

TEST(control_flow)
{
    struct arena a;
    struct err e = { 0 };
    struct torch_build b;
    arena_init(&a, NULL);
    build_begin(&b, &a, &e);
    build_tensor(&b, "w", 2, (int64_t[]){ 2, 3 }, (float[]){ 1, 2, 3, 4, 5, 6 }, &e);
    build_program(&b, on_data, &e);
    CHECK_OK(e.code, &e);
    printf("# %ld allocations\n", oom_each(job_on_data, b.path));
    unlink(b.path);
    arena_release(&a);
}
