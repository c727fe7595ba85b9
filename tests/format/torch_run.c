/* torch_run.c - small TorchScript programs: what they compute, what they keep, and what they are refused for. */
#include "tap.h"

#include "ops/interpret.h"
#include "torch_build.h"

#define HEAD "class M(Module):\n  __parameters__ = []\n  __buffers__ = []\n"
#define FORWARD HEAD "  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n"

/* The program's answer for x = 0, 1, 2 .. at `dims`, as text: "[2] 3 4". */
static const char *run_graph(
    struct arena *a, struct graph *g, const struct shape *s, struct tensor **states, struct err *e)
{
    struct tensor *out[4] = { NULL }, *x = tensor_new(a, DT_F32, s, e);
    struct interpret o = { .states = states };
    for (int64_t i = 0; x && i < tensor_count(x); i++) tensor_set_f64(x, i, (double)i);
    if (!x || g->n_outputs > 4 || graph_interpret(g, &x, out, a, &o, e)) return e->text;
    struct str text = str_in(a);
    for (size_t k = 0; k < g->n_outputs; k++) {
        str_add(&text, k ? " [" : "[");
        for (int i = 0; i < out[k]->shape.rank; i++) str_addf(&text, i ? ",%d" : "%d", (int)out[k]->shape.dim[i]);
        str_add(&text, "]");
        for (int64_t i = 0; i < tensor_count(out[k]); i++) str_addf(&text, " %g", tensor_get_f64(out[k], i));
    }
    return str_done(&text);
}

static void expect(const char *code, const char *hint, struct shape s, const char *want)
{
    struct arena a;
    struct err e = { 0 };
    struct torch_build b;
    struct graph *g;
    arena_init(&a, NULL);
    struct report r = report_in(&a);
    build_begin(&b, &a, &e);
    build_program(&b, code, &e);
    CHECK_OK(e.code, &e);
    if (build_read(&b, hint, &g, &r, &e)) TAP_FAIL("%s\n# of\n%s", e.text, code);
    else {
        const char *got = run_graph(&a, g, &s, NULL, &e);
        if (strcmp(got, want)) TAP_FAIL("%s, expected %s, of\n%s", got, want, code);
    }
    arena_release(&a);
}

static struct shape dims(int rank, int64_t a, int64_t b)
{
    return shape_of(rank, (int64_t[]){ a, b });
}

TEST(writes_into_views_reach_their_base)
{
    expect(FORWARD "    y = torch.mul(x, 1)\n"
                   "    v = torch.select(y, 0, 1)\n"
                   "    _0 = torch.add_(v, 10)\n"
                   "    return y\n",
        "2x3", dims(2, 2, 3), "[2,3] 0 1 2 13 14 15");
    /* through two views, and the other view sees it too */
    expect(FORWARD "    y = torch.mul(x, 1)\n"
                   "    t = torch.transpose(y, 0, 1)\n"
                   "    s = torch.slice(t, 0, 1, 3)\n"
                   "    _0 = torch.mul_(s, 100)\n"
                   "    return torch.add(y, torch.transpose(t, 0, 1))\n",
        "2x3", dims(2, 2, 3), "[2,3] 0 200 400 6 800 1000");
    expect(FORWARD "    y = torch.mul(x, 1)\n"
                   "    f = torch.view(y, [-1])\n"
                   "    _0 = torch.fill_(torch.slice(f, 0, 4, 9223372036854775807), 7)\n"
                   "    a, b, = torch.chunk(y, 2, 0)\n"
                   "    _1 = torch.neg_(b)\n"
                   "    return y\n",
        "2x3", dims(2, 2, 3), "[2,3] 0 1 2 -3 -7 -7");
    /* the last of a dimension, and a value that is broadcast and cast */
    expect(FORWARD "    y = torch.mul(x, 1)\n"
                   "    _0 = torch.copy_(torch.select(y, 1, -1), torch.tensor([5]))\n"
                   "    return y\n",
        "2x3", dims(2, 2, 3), "[2,3] 0 1 5 3 4 5");
}

TEST(copies_are_not_written_through)
{
    expect(FORWARD "    y = torch.mul(x, 1)\n"
                   "    c = torch.clone(torch.select(y, 0, 0))\n"
                   "    _0 = torch.add_(c, 10)\n"
                   "    d = torch.reshape(torch.transpose(y, 0, 1), [-1])\n"
                   "    _1 = torch.zero_(d)\n"
                   "    return y\n",
        "2x3", dims(2, 2, 3), "[2,3] 0 1 2 3 4 5");
}

TEST(lists_are_cut_backwards_too)
{
    expect(FORWARD "    l = [1, 2, 3, 4, 5]\n"
                   "    a = torch.tensor(torch.slice(l, None, None, -1))\n"
                   "    b = torch.tensor(torch.slice(l, 3, 0, -2))\n"
                   "    c = torch.tensor(torch.slice(l, None, -9, -3))\n"
                   "    d = torch.tensor(torch.slice(l, -4, 99, 2))\n"
                   "    return torch.mul(torch.cat([a, b, c, d], 0), torch.select(x, 0, 1))\n",
        "2", dims(1, 2, 0), "[11] 5 4 3 2 1 4 2 5 2 2 4");
}

TEST(sizes_stay_open)
{
    /* the example for N is 2, the run has 3 */
    expect(FORWARD "    n = torch.size(x, 0)\n"
                   "    c = torch.size(x, 1)\n"
                   "    y = torch.view(x, [torch.mul(n, c)])\n"
                   "    return torch.mul(y, torch.floordiv(torch.add(n, 1), 2))\n",
        "Nx2", dims(2, 3, 2), "[6] 0 2 4 6 8 10");
}

TEST(shapes_that_are_computed_as_tensors_stay_open)
{
    expect(FORWARD "    _0 = ops.prim.NumToTensor(torch.size(x, 0))\n"
                   "    _1 = int(torch.mul(_0, torch.tensor(2)))\n"
                   "    return torch.view(x, [_1, 1])\n",
        "Nx2", dims(2, 3, 2), "[6,1] 0 1 2 3 4 5");
}

/* Imports and gives the number of guards, and where the first one is. */
static size_t guards_of(const char *code, const char *hint, char *where, size_t size)
{
    struct arena a;
    struct err e = { 0 };
    struct torch_build b;
    struct graph *g;
    arena_init(&a, NULL);
    struct report r = report_in(&a);
    build_begin(&b, &a, &e);
    build_program(&b, code, &e);
    CHECK_OK(build_read(&b, hint, &g, &r, &e), &e);
    size_t n = e.code ? 0 : g->n_guards;
    snprintf(where, size, "%s", n ? g->guards[0].where : "");
    arena_release(&a);
    return n;
}

TEST(a_branch_on_an_open_size_leaves_a_guard)
{
    static const char code[] = FORWARD "    if torch.gt(torch.size(x, 0), 1):\n"
                                       "      y = torch.neg(x)\n"
                                       "    else:\n"
                                       "      y = x\n"
                                       "    for i in range(torch.size(x, 1)):\n"
                                       "      y = torch.add(y, i)\n"
                                       "    return y\n";
    char where[100];
    CHECK_INT(guards_of(code, "Nx2", where, sizeof where), 1);
    CHECK_STR(where, "code/__torch__.py:5");
    CHECK_INT(guards_of(code, "2x2", where, sizeof where), 0);
    CHECK_INT(guards_of(code, "NxM", where, sizeof where), 2);
}

TEST(attributes_that_are_written_are_states)
{
    static const char code[] = HEAD "  h : Tensor\n"
                                    "  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n"
                                    "    h = self.h\n"
                                    "    y = torch.add(x, h)\n"
                                    "    self.h = y\n"
                                    "    return torch.mul(y, 1)\n";
    struct arena a;
    struct err e = { 0 };
    struct torch_build b;
    struct graph *g;
    arena_init(&a, NULL);
    struct report r = report_in(&a);
    build_begin(&b, &a, &e);
    build_tensor(&b, "h", 1, (int64_t[]){ 2 }, (float[]){ 10, 20 }, &e);
    build_program(&b, code, &e);
    CHECK_OK(build_read(&b, "2", &g, &r, &e), &e);
    CHECK_INT(g->n_states, 1);
    CHECK_STR(g->states[0]->name, "h");
    CHECK(g->states[0]->next != NULL);
    struct tensor *states[1] = { NULL };
    struct shape two = dims(1, 2, 0);
    CHECK_STR(run_graph(&a, g, &two, states, &e), "[2] 10 21");
    CHECK_STR(run_graph(&a, g, &two, states, &e), "[2] 10 22");
    arena_release(&a);
}

TEST(a_state_may_be_made_by_the_first_run)
{
    static const char code[] = HEAD "  h : Optional[Tensor]\n"
                                    "  n : int\n"
                                    "  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n"
                                    "    h = self.h\n"
                                    "    if torch.__is__(h, None):\n"
                                    "      y = torch.mul(x, 1)\n"
                                    "    else:\n"
                                    "      h0 = unchecked_cast(Tensor, h)\n"
                                    "      y = torch.add(x, h0)\n"
                                    "    self.h = y\n"
                                    "    self.n = 5\n"
                                    "    return torch.mul(y, 1)\n";
    struct arena a;
    struct err e = { 0 };
    struct torch_build b;
    struct graph *g;
    arena_init(&a, NULL);
    struct report r = report_in(&a);
    build_begin(&b, &a, &e);
    build_none(&b, "h");
    build_int(&b, "n", 0);
    build_program(&b, code, &e);
    CHECK_OK(build_read(&b, "2", &g, &r, &e), &e);
    struct tensor *states[1] = { NULL };
    struct shape two = dims(1, 2, 0);
    CHECK_STR(run_graph(&a, g, &two, states, &e), "[2] 0 1");
    CHECK_STR(run_graph(&a, g, &two, states, &e), "[2] 0 2");
    arena_release(&a);
}

TEST(integer_buffers_written_in_place_are_states)
{
    static const char code[] = HEAD "  w : Tensor\n"
                                    "  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n"
                                    "    w = self.w\n"
                                    "    _0 = torch.add_(torch.select(w, 0, 0), 1)\n"
                                    "    return torch.add(x, w)\n";
    struct arena a;
    struct err e = { 0 };
    struct torch_build b;
    struct graph *g;
    arena_init(&a, NULL);
    struct report r = report_in(&a);
    build_begin(&b, &a, &e);
    build_tensor(&b, "w", 1, (int64_t[]){ 2 }, (float[]){ 10, 20 }, &e);
    build_program(&b, code, &e);
    CHECK_OK(build_read(&b, "2", &g, &r, &e), &e);
    struct tensor *states[1] = { NULL };
    struct shape two = dims(1, 2, 0);
    CHECK_STR(run_graph(&a, g, &two, states, &e), "[2] 11 21");
    CHECK_STR(run_graph(&a, g, &two, states, &e), "[2] 12 21");
    arena_release(&a);
}

/* Must be refused with `code` and words that hold `says`. */
static void refused(const char *program, const char *hint, int code, const char *says)
{
    struct arena a;
    struct err e = { 0 };
    struct torch_build b;
    struct graph *g;
    arena_init(&a, NULL);
    struct report r = report_in(&a);
    build_begin(&b, &a, &e);
    build_program(&b, program, &e);
    CHECK_OK(e.code, &e);
    CHECK_INT(build_read(&b, hint, &g, &r, &e), code);
    if (!strstr(e.text, says)) TAP_FAIL("\"%s\" does not say \"%s\"", e.text, says);
    arena_release(&a);
}

TEST(all_unsupported_operators_are_listed)
{
    refused(FORWARD "    y = torch.frobnicate(x)\n"
                    "    z = torch.frobnicate(torch.relu(x))\n"
                    "    return torch.add(torch.add(y, z), ops.mine.thing(x))\n",
        "2", ERR_UNSUPPORTED, "aten::frobnicate (2 times), first at code/__torch__.py:5");
    refused(FORWARD "    y = torch.frobnicate(x)\n    return torch.add(y, ops.mine.thing(x))\n", "2", ERR_UNSUPPORTED,
        "mine::thing");
    refused(FORWARD "    return torch.relu(x, x)\n", "2", ERR_UNSUPPORTED, "aten::relu(Tensor, Tensor)");
}

TEST(what_depends_on_data_is_named)
{
    refused(FORWARD "    if bool(torch.gt(torch.sum(x), 0)):\n"
                    "      y = [x]\n"
                    "    else:\n"
                    "      y = [x, x]\n"
                    "    return torch.stack(y, 0)\n",
        "2", ERR_UNSUPPORTED, "a branch on data gives lists of 1 and of 2 items");
    refused(FORWARD "    if bool(torch.gt(torch.sum(x), 0)):\n"
                    "      y = x\n"
                    "    else:\n"
                    "      y = \"x\"\n"
                    "    return x\n",
        "2", ERR_UNSUPPORTED, "a branch on data gives Tensor on one side and str on the other");
    refused(FORWARD "    y = x\n"
                    "    for i in range(int(torch.sum(x))):\n"
                    "      y = torch.unsqueeze(y, 0)\n"
                    "    return y\n",
        "2", ERR_UNSUPPORTED, "y has another shape after a turn of a loop on data");
    /* a check that only raises is left out */
    expect(FORWARD "    if bool(torch.gt(torch.sum(x), 0)):\n"
                   "      pass\n"
                   "    else:\n"
                   "      ops.prim.RaiseException(\"negative\")\n"
                   "    return x\n",
        "2", dims(1, 2, 0), "[2] 0 1");
}

TEST(what_depends_on_data_becomes_a_branch_or_a_loop)
{
    expect(FORWARD "    if bool(torch.gt(torch.sum(x), 0)):\n"
                   "      y = torch.add(x, 1)\n"
                   "    else:\n"
                   "      y = torch.neg(x)\n"
                   "    return y\n",
        "2", dims(1, 2, 0), "[2] 1 2");
    expect(FORWARD "    if bool(torch.gt(torch.sum(x), 2)):\n"
                   "      y, k = x, 3\n"
                   "    else:\n"
                   "      y, k = torch.neg(x), 4\n"
                   "    return torch.mul(y, k)\n",
        "2", dims(1, 2, 0), "[2] -0 -4");
    expect(FORWARD "    y = x\n"
                   "    n = 0\n"
                   "    for i in range(int(torch.sum(x))):\n"
                   "      y = torch.add(y, i)\n"
                   "      n = torch.add(n, 2)\n"
                   "    return torch.add(y, n)\n",
        "3", dims(1, 3, 0), "[3] 9 10 11"); /* three turns: + 0 + 1 + 2, and 6 */
    expect(FORWARD "    r = annotate(List[Tensor], [])\n"
                   "    go = bool(torch.gt(torch.sum(x), 0))\n"
                   "    y = x\n"
                   "    while go:\n"
                   "      y0 = torch.mul(y, 2)\n"
                   "      _1 = torch.append(r, y0)\n"
                   "      go, y = bool(torch.lt(torch.sum(y0), 5)), y0\n"
                   "    return torch.stack(r, 1)\n",
        "2", dims(1, 2, 0), "[2,3] 0 0 0 2 4 8");
    /* what is written into, and what grows */
    expect(FORWARD "    if bool(torch.gt(torch.sum(x), 0)):\n"
                   "      y = torch.add_(torch.select(x, 0, 0), 5)\n"
                   "    else:\n"
                   "      pass\n"
                   "    return x\n",
        "2", dims(1, 2, 0), "[2] 5 1");
    expect(FORWARD "    y = torch.clone(x)\n"
                   "    for i in range(int(torch.sum(x))):\n"
                   "      z = torch.mul_(y, 2)\n"
                   "    return y\n",
        "3", dims(1, 3, 0), "[3] 0 8 16");
    expect(FORWARD "    y = x\n"
                   "    for i in range(int(torch.sum(x))):\n"
                   "      y = torch.cat([y, x], 0)\n"
                   "    return y\n",
        "2", dims(1, 2, 0), "[4] 0 1 0 1");
    /* a loop that does nothing is gone */
    expect(FORWARD "    for i in range(int(torch.sum(x))):\n      pass\n    return x\n", "2", dims(1, 2, 0), "[2] 0 1");
}

TEST(inputs_of_unknown_shape_are_asked_for)
{
    refused(FORWARD "    return torch.neg(x)\n", "", ERR_USAGE, "--input x=");
    refused(FORWARD "    return torch.view(x, [torch.size(x, 0), -1])\n", "", ERR_USAGE, "--input x=");
    refused(FORWARD "    ops.prim.RaiseException(\"too small\")\n    return x\n", "2", ERR_SHAPE, "too small");
}

TEST(sizes_taken_for_letters_are_told_when_they_do_not_fit)
{
    refused(FORWARD "    return torch.add(x, torch.tensor([1, 2, 3]))\n", "NxM", ERR_SHAPE, "with N = 2, M = 16");
}

TEST(programs_that_do_not_end_are_stopped)
{
    refused(FORWARD "    c = True\n    while c:\n      pass\n    return x\n", "2", ERR_UNSUPPORTED, "too long");
    refused(FORWARD "    for i in range(9223372036854775807):\n      pass\n    return x\n", "2", ERR_UNSUPPORTED,
        "too long");
    refused(HEAD "  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n    return (self).forward(x, )\n", "2",
        ERR_UNSUPPORTED, "too deep");
    refused(HEAD "  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n"
                 "    return (self).g((self).g(x, ), )\n"
                 "  def g(self: __torch__.M, x: Tensor) -> Tensor:\n"
                 "    return (self).forward(x, )\n",
        "2", ERR_UNSUPPORTED, "too deep");
    refused(FORWARD "    l = torch.mul([1], 999999999999)\n    return x\n", "2", ERR_UNSUPPORTED, "long list");
}

TEST(nonsense_is_refused_with_its_line)
{
    static const struct {
        const char *body, *says;
    } cases[] = {
        { "    return y\n", "py:5" },
        { "    return x.y\n", "py:5" },
        { "    return [1, 2][7]\n", "item 7" },
        { "    a, b, = [1]\n    return x\n", "2 values" },
        { "    self.x.y = 3\n    return x\n", "no attribute" },
        { "    return torch.add([1], 2)\n", "list, int" },
        { "    return {1: x}[2]\n", "key" },
        { "    return torch.floordiv(1, 0)\n", "zero" },
        { "    return CONSTANTS.c3\n", "c3" },
        { "    return torch.view(x, [5, 5])\n", "view" },
        { "    return int(1e300)\n", "int()" },
        { "    return ()[0:1][0]\n", "item 0" },
        { "    return __torch__.M.forward.x\n", "no attribute" },
        { "    return (1)()\n", "called" },
        { "    return torch.select(x, 9, 0)\n", "dimension 9" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena a;
        struct err e = { 0 };
        struct torch_build b;
        struct graph *g;
        arena_init(&a, NULL);
        struct report r = report_in(&a);
        build_begin(&b, &a, &e);
        build_program(&b, arena_printf(&a, "%s%s", FORWARD, cases[i].body), &e);
        CHECK_OK(e.code, &e);
        CHECK(build_read(&b, "2", &g, &r, &e) < 0);
        if (!strstr(e.text, cases[i].says) || !strstr(e.text, "py:5"))
            TAP_FAIL("\"%s\" does not say \"%s\" and the line, of %s", e.text, cases[i].says, cases[i].body);
        arena_release(&a);
    }
}

TEST(host_functions_of_python)
{
    expect(FORWARD "    l = annotate(List[int], [])\n"
                   "    _0 = torch.append(l, 3)\n"
                   "    torch.insert(l, 0, 1)\n"
                   "    d = {\"a\": 2}\n"
                   "    torch._set_item(d, \"b\", 4)\n"
                   "    if torch.__contains__(d, \"b\"):\n"
                   "      n = torch.add(d[\"a\"], d[\"b\"])\n"
                   "    else:\n"
                   "      n = 0\n"
                   "    s = torch.format(\"{}-{}\", n, l)\n"
                   "    if torch.eq(s, \"6-[1, 3]\"):\n"
                   "      y = torch.add(x, torch.remainder(-7, 3))\n"
                   "    else:\n"
                   "      y = x\n"
                   "    return torch.mul(y, torch.div(n, torch.len(l)))\n",
        "2", dims(1, 2, 0), "[2] 6 9");
}

TEST(results_are_named)
{
    struct arena a;
    struct err e = { 0 };
    struct torch_build b;
    struct graph *g;
    arena_init(&a, NULL);
    struct report r = report_in(&a);
    build_begin(&b, &a, &e);
    build_program(&b,
        HEAD "  def forward(self: __torch__.M, x: Tensor) -> Dict[str, List[Tensor]]:\n"
             "    return {\"out\": [x, torch.neg(x)], \"aux\": [x]}\n",
        &e);
    CHECK_OK(build_read(&b, "Nx2", &g, &r, &e), &e);
    CHECK_INT(g->n_outputs, 3);
    CHECK_STR(g->outputs[0]->name, "out.0");
    CHECK_STR(g->outputs[1]->name, "out.1");
    CHECK_STR(g->outputs[2]->name, "aux.0");
    CHECK_STR(g->inputs[0]->name, "x");
    arena_release(&a);
}
