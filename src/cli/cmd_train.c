/* cmd_train.c - a model learns from a table. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "train/config.h"
#include "train/trainer.h"

struct talk {
    bool terminal, shown;
};

static void clear(struct talk *t)
{
    if (t->shown) fputs("\r\033[K", stderr);
    t->shown = false;
}

static void say(void *cookie, const char *line)
{
    clear(cookie);
    fprintf(stderr, "tenrec: %s\n", line);
}

static void duration(char buf[16], double seconds)
{
    long s = seconds < 0 || seconds > 3e6 ? 0 : lround(seconds);
    if (s < 3600) snprintf(buf, 16, "%ld:%02ld", s / 60 % 60, s % 60);
    else snprintf(buf, 16, "%ld:%02ld:%02ld", s / 3600 % 1000, s / 60 % 60, s % 60);
}

static void progress(void *cookie, const struct train_progress *p)
{
    struct talk *t = cookie;
    char left[16];
    if (!t->terminal) return;
    duration(left, p->left);
    fprintf(stderr, "\r\033[Kepoch %lld/%lld  batch %lld/%lld  loss %.4g  lr %.3g  %.1f samples/s  %s left",
        (long long)p->epoch, (long long)p->epochs, (long long)p->batch, (long long)p->batches, p->loss, p->lr,
        p->samples_per_second, left);
    t->shown = true;
}

static bool cancelled(void *cookie)
{
    return interrupt_signal() != 0;
}

static int list_keys(struct arena *a, struct err *e)
{
    struct str s = str_in(a);
    conf_help_keys(train_keys, &s);
    const char *text = str_done(&s);
    TRY_MEM(text, e);
    fputs(text, stdout);
    return 0;
}

static int run(struct args *args, struct err *e)
{
    struct conf c;
    struct talk talk = { isatty(2), false };
    struct train_listener l = { &talk, say, progress, cancelled };
    const char *resume = conf_string(&args->conf, "resume");
    size_t word = 0;
    if (conf_flag(&args->conf, "keys")) return list_keys(args->arena, e);
    TRY(train_config_init(&c, args->arena, e));
    if (resume) {
        char *path = file_join(args->arena, resume, "args.yaml");
        TRY_MEM(path, e);
        if (args->n_words) return fail(e, ERR_USAGE, "--resume takes its settings from %s, no others", path);
        TRY(train_config_read(&c, path, e));
    } else if (!args->n_words)
        return fail(e, ERR_USAGE, "train: say what to train: CONFIG.yaml, or model=... data=...");
    if (args->n_words && !strchr(args->words[0], '=')) TRY(train_config_read(&c, args->words[word++], e));
    for (; word < args->n_words; word++) TRY(train_config_set(&c, args->words[word], e));
    interrupt_catch();
    int code = train_run(&c, resume, conf_flag(&args->conf, "force"), &l, e);
    clear(&talk);
    return code;
}

static const struct conf_key keys[] = {
    { "resume", 0, CONF_STRING, "RUN", NULL, NULL, 0, 0,
        "go on with the run in this folder, as if it had never stopped" },
    { "force", 0, CONF_FLAG, NULL, NULL, NULL, 0, 0,
        "resume although the program, its library, the processor or the threads are others (other bits)" },
    { "keys", 0, CONF_FLAG, NULL, NULL, NULL, 0, 0, "print every key of CONFIG.yaml with its meaning and default" },
    { 0 },
};

const struct command command_train = {
    .name = "train",
    .synopsis = "[CONFIG.yaml] [KEY=VALUE ...] [--resume RUN]",
    .doc = "Train a model on a table: fine-tune what was imported, or learn from scratch.\n\n"
           "CONFIG.yaml is a mapping of keys (tenrec train --keys lists them); KEY=VALUE words are stronger, and do "
           "without\n"
           "a file. The run leaves a folder: args.yaml, results.csv, best.tenrec, last.tenrec, and a checkpoint from "
           "which\n"
           "--resume goes on, after an interrupt, a kill or a power failure, to the same weights in every bit.",
    .examples = "  tenrec train model=resnet18.tenrec data=flowers/ epochs=5 lr=1e-4 freeze='layer1.*,layer2.*'\n"
                "  tenrec train street.yaml batch=4 out=runs/street\n"
                "  tenrec train --resume runs/street\n",
    .max_words = -1,
    .keys = keys,
    .run = run,
};
