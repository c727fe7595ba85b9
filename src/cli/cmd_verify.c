/* cmd_verify.c - a package proves itself: checksums and golden examples. */
#include <stdio.h>

#include "cli/opening.h"

static void say(void *cookie, const char *line)
{
    (void)cookie;
    puts(line);
}

static int run(struct args *args, struct err *e)
{
    struct model m;
    int code = open_model(&m, args, 0, e);
    struct err damage = { 0 }; /* a damaged file is told as such, also when nothing can be read of it */
    if (code && m.manifest && package_verify_files(&m, say, NULL, &damage) == ERR_MISMATCH) {
        err_clear(e);
        code = fail(e, damage.code, "%s", damage.text);
    }
    if (!code) code = package_verify(&m, say, NULL, e);
    model_close(&m);
    return code;
}

static const struct conf_key keys[] = { KEYS_OPEN, { 0 } };

const struct command command_verify = {
    .name = "verify",
    .synopsis = "NAME.tenrec",
    .doc = "Check a package: checksums of its files, then its golden examples.\n\n"
           "It says which of two things it proved: fidelity (the outputs were made by the source framework, which is\n"
           "named) or only that the package agrees with itself. Exit code 1 when something differs.",
    .examples = "  tenrec verify resnet18.tenrec\n",
    .min_words = 1,
    .max_words = 1,
    .keys = keys,
    .run = run,
};
