/* cmd_zoo.c - networks by name. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/opening.h"
#include "cli/self_example.h"
#include "enc/json.h"
#include "zoo/zoo.h"

static int list(struct args *args, struct err *e)
{
    json_t *all = json_array();
    TRY(json_own(args->arena, all, e));
    bool json = conf_flag(&args->conf, "json");
    const struct zoo_model *m;
    for (size_t i = 0; (m = zoo_at(i)); i++) {
        if (!json)
            printf("%-12s %" PRId64 "x%" PRId64 "x%" PRId64 " -> %" PRId64 "  %s\n", m->name, m->channels, m->height,
                m->width, m->classes, m->doc);
        else
            json_array_append_new(all,
                json_pack("{s:s,s:s,s:s,s:[I,I,I],s:I}", "name", m->name, "doc", m->doc, "task", m->task, "input",
                    (json_int_t)m->channels, (json_int_t)m->height, (json_int_t)m->width, "classes",
                    (json_int_t)m->classes));
    }
    return json ? print_json(args->arena, all, e) : 0;
}

static int read_words(struct args *args, struct model_options *o, struct err *e)
{
    struct import_hint *hint = ARENA_NEW(args->arena, struct import_hint);
    TRY_MEM(hint, e);
    for (size_t i = 2; i < args->n_words; i++) {
        const char *word = args->words[i], *equals = strchr(word, '=');
        char *end = NULL;
        if (str_starts(word, "input=")) {
            TRY(import_hint_parse(args->arena, equals + 1, hint, e));
            o->import.inputs = hint;
            o->import.n_inputs = 1;
        } else if (str_starts(word, "classes=") || str_starts(word, "seed=")) {
            long long v = strtoll(equals + 1, &end, 10);
            bool classes = *word == 'c';
            if (end == equals + 1 || *end || v < classes || v > (classes ? 1 << 24 : INT64_MAX))
                return fail(e, ERR_USAGE, "%s: \"%s\" is no number that can be", word, equals + 1);
            *(classes ? &o->classes : (int64_t *)&o->seed) = v;
        } else return fail(e, ERR_USAGE, "%s: expected classes=N, input=CxHxW or seed=N", word);
    }
    return 0;
}

static int make(struct args *args, struct model *m, struct err *e)
{
    struct model_options o = { .seed = 1, .labels_path = conf_string(&args->conf, "labels") };
    const char *out = conf_string(&args->conf, "output"), *name;
    struct example ex;
    if (!out) return fail(e, ERR_USAGE, "zoo new: -o NAME.tenrec is missing");
    TRY(read_words(args, &o, e));
    TRY_MEM(name = arena_printf(args->arena, "zoo:%s", args->words[1]), e);
    TRY(model_open(m, name, &o, e));
    TRY(self_example(m, &ex, e));
    TRY(package_write(m, out, &ex, e));
    int64_t parameters = 0;
    for (size_t i = 0; i < m->graph->n_states; i++)
        if (m->graph->states[i]->flags & VALUE_TRAINABLE) parameters += tensor_count(m->graph->states[i]->data);
    if (conf_flag(&args->conf, "json")) {
        json_t *told = json_pack("{s:s,s:I,s:I}", "file", out, "parameters", (json_int_t)parameters, "seed",
            (json_int_t)o.seed);
        TRY(json_own(args->arena, told, e));
        return print_json(args->arena, told, e);
    }
    fprintf(stderr, "tenrec: %s: %" PRId64 " parameters, with fresh weights of seed %" PRIu64 "\n", out, parameters,
        o.seed);
    return 0;
}

static int run(struct args *args, struct err *e)
{
    const char *word = args->n_words ? args->words[0] : "list";
    if (!strcmp(word, "list") && args->n_words <= 1) return list(args, e);
    if (strcmp(word, "new") || args->n_words < 2) return fail(e, ERR_USAGE, "zoo: expected \"list\", or \"new NAME\"");
    struct model m = { 0 };
    int code = make(args, &m, e);
    model_close(&m);
    return code;
}

static const struct conf_key keys[] = {
    { "output", 'o', CONF_WRITE, "NAME.tenrec", NULL, NULL, 0, 0, "the package to write" },
    { "labels", 0, CONF_READ, "FILE", NULL, NULL, 0, 0, "class names: text, CSV or JSON" },
    KEY_JSON,
    { 0 },
};

const struct command command_zoo = {
    .name = "zoo",
    .synopsis = "[list | new NAME -o OUT.tenrec [classes=N] [input=CxHxW] [seed=N]]",
    .doc = "Networks that Tenrec builds itself, with fresh weights.\n\n"
           "Wherever a model file is expected, zoo:NAME stands for one of them: tenrec info zoo:resnet18, or\n"
           "tenrec train model=zoo:digits data=... Parameters are named as torchvision names them.",
    .examples = "  tenrec zoo\n"
                "  tenrec zoo new resnet18 -o birds.tenrec classes=200 input=3x224x224\n"
                "  tenrec zoo new unet -o cells.tenrec classes=2 input=1xHxW\n",
    .max_words = -1,
    .keys = keys,
    .run = run,
};
