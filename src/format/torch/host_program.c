/* host_program.c - graphs of a program of torch.export, called from the lines that say what their operators mean. */
#include "base/err.h"
#include "format/torch/eval.h"

/* ops.program.run(number of the graph, its arguments ..): a tuple of its results. An archive of TorchScript has
 * none. */
static struct object *run_graph(struct host_call *c)
{
    if (!c->v->program || !c->n || !object_is(c->args[0], OBJECT_INT)) return host_fail(c, "there is no such operator");
    return c->v->run_graph(c->v, c->args[0]->integer, c->args + 1, c->n - 1);
}

const struct host_row host_program[] = {
    { "ops.program.run", run_graph, .takes_unknown = true },
    { 0 },
};
