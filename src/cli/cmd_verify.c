/* cmd_verify.c - a package proves itself: checksums and golden examples. */
#include <stdio.h>

#include "base/err.h"
#include "cli/opening.h"
#include "enc/json.h"

/* Goes on as text, or waits for the end as JSON. */
static void say(void *cookie, const char *line)
{
    json_t *lines = cookie;
    if (lines) json_array_append_new(lines, json_string(line));
    else puts(line);
}

static int verify(struct model *m, struct args *args, json_t *lines, struct err *e)
{
    int code = open_model(m, args, 0, e);
    struct err damage = { 0 }; /* a damaged file is told as such, also when nothing can be read of it */
    if (code && m->manifest && package_verify_files(m, say, lines, &damage) == ERR_MISMATCH) {
        err_clear(e);
        code = fail(e, damage.code, "%s", damage.text);
    }
    return code ? code : package_verify(m, say, lines, e);
}

static int run(struct args *args, struct err *e)
{
    struct model m;
    json_t *lines = NULL, *root = NULL;
    if (conf_flag(&args->conf, "json")) {
        TRY_MEM(lines = json_array(), e);
        root = json_pack("{s:s,s:o}", "file", args->words[0], "findings", lines);
        TRY(json_own(args->arena, root, e));
    }
    int code = verify(&m, args, lines, e);
    model_close(&m);
    if (!root) return code;
    json_object_set_new(root, "proved", json_boolean(!code));
    if (code) json_object_set_new(root, "error", json_string(e->text));
    struct err unwritten = { 0 };
    if (print_json(args->arena, root, &unwritten) && !code) return fail(e, unwritten.code, "%s", unwritten.text);
    return code;
}

static const struct conf_key keys[] = { KEY_JSON, KEYS_OPEN, { 0 } };

const struct command command_verify = {
    .name = "verify",
    .synopsis = "NAME.tenrec [--json]",
    .doc = "Check a package: checksums of its files, then its golden examples.\n\n"
           "It says which of two things it proved: fidelity (the outputs were made by the source framework, which is\n"
           "named) or only that the package agrees with itself. Exit code 1 when something differs.",
    .examples = "  tenrec verify resnet18.tenrec\n",
    .min_words = 1,
    .max_words = 1,
    .keys = keys,
    .run = run,
};
