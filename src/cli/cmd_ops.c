/* cmd_ops.c - the operators there are. */
#include <stdio.h>

#include "cli/command.h"
#include "ops/registry.h"

static int run(struct args *args, struct err *e)
{
    for (size_t i = 0; op_at(i); i++) {
        const struct op *op = op_at(i);
        printf("%-28s %-12s %s%s%s  %s\n", op->name, op_family(i), op->run ? "kernel" : "      ",
            op->grad ? " grad" : "     ", op->expand ? " expand" : "       ", op->doc);
    }
    return 0;
}

static const struct conf_key keys[] = { { 0 } };

const struct command command_ops = {
    .name = "ops",
    .synopsis = "",
    .doc = "List the operators: family, reference kernel, gradient, expansion.",
    .keys = keys,
    .run = run,
};
