/* outputs.c - what a command is about to write, and what it has replaced. */
#include "cli/outputs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"

struct output {
    const char *path;
    struct stat before; /* of the file that stood there */
};

static bool is_same(const char *path, const struct stat *st)
{
    struct stat other;
    return !stat(path, &other) && other.st_dev == st->st_dev && other.st_ino == st->st_ino;
}

/* The file or folder that the command reads and that `st` belongs to; NULL: none. */
static const char *read_as(const struct args *args, const struct stat *st)
{
    const struct conf *c = &args->conf;
    size_t i = 0;
    for (size_t k = 0; k < args->n_words; k++) {
        const char *equals = strchr(args->words[k], '='); /* NAME=IN */
        if (is_same(args->words[k], st)) return args->words[k];
        if (equals && is_same(equals + 1, st)) return equals + 1;
        if (args->seconds && args->seconds[k] && is_same(args->seconds[k], st)) return args->seconds[k];
    }
    for (const struct conf_key *const *t = c->tables; *t; t++)
        for (const struct conf_key *k = *t; k->name; k++, i++)
            if (k->type == CONF_READ && c->values[i].set && is_same(c->values[i].s, st)) return c->values[i].s;
    return NULL;
}

/* The nearest folder that is there must be one to write in. */
static int check_folder(const struct args *args, const char *option, const char *path, struct err *e)
{
    struct stat st;
    const char *dir = path;
    do TRY_MEM(dir = file_dir(args->arena, dir), e);
    while (stat(dir, &st) && errno == ENOENT && strcmp(dir, ".") != 0 && strcmp(dir, "/") != 0);
    if (stat(dir, &st)) return fail(e, ERR_IO, "%s %s: %s: %s", option, path, dir, strerror(errno));
    if (!S_ISDIR(st.st_mode)) return fail(e, ERR_USAGE, "%s %s: %s is no folder", option, path, dir);
    if (access(dir, W_OK | X_OK)) return fail(e, ERR_IO, "%s %s: %s: %s", option, path, dir, strerror(errno));
    return 0;
}

static int check(struct args *args, const char *option, const char *path, bool folder_too, struct err *e)
{
    struct output o = { .path = path };
    if (!*path) return fail(e, ERR_USAGE, "%s: the name of a file is missing", option);
    if (stat(path, &o.before)) return check_folder(args, option, path, e);
    const char *source = read_as(args, &o.before);
    if (source && S_ISDIR(o.before.st_mode))
        return fail(e, ERR_USAGE, "%s %s: what is written would lie among what is read: name another folder", option,
            path);
    if (source)
        return fail(e, ERR_USAGE, "%s %s: it would replace %s, which is read here: give another name", option, path,
            source);
    bool folder = S_ISDIR(o.before.st_mode);
    if (folder && folder_too) return 0;
    if (folder) return fail(e, ERR_USAGE, "%s %s: that is a folder: name a file in it", option, path);
    if (!S_ISREG(o.before.st_mode)) return fail(e, ERR_USAGE, "%s %s: that is no file to be replaced", option, path);
    TRY(check_folder(args, option, path, e));
    for (size_t i = 0; i < args->n_outputs; i++)
        if (!strcmp(args->outputs[i].path, path)) return 0; /* once by its option, once by its command */
    return ARRAY_PUSH(args->arena, args->outputs, args->n_outputs, args->cap_outputs, o) ? 0 : fail_nomem(e);
}

int output_add(struct args *args, const char *option, const char *path, struct err *e)
{
    return check(args, option, path, false, e);
}

int outputs_check(struct args *args, struct err *e)
{
    const struct conf *c = &args->conf;
    size_t i = 0;
    char option[80];
    for (const struct conf_key *const *t = c->tables; *t; t++)
        for (const struct conf_key *k = *t; k->name; k++, i++) {
            const char *path = c->values[i].s;
            if ((k->type != CONF_WRITE && k->type != CONF_PLACE) || !path || !strcmp(path, "-")) continue;
            if (k->letter) snprintf(option, sizeof option, "-%c", k->letter);
            else snprintf(option, sizeof option, "--%s", k->name);
            TRY(check(args, option, path, k->type == CONF_PLACE, e));
        }
    return 0;
}

void outputs_tell(const struct args *args)
{
    for (size_t i = 0; i < args->n_outputs; i++)
        if (!is_same(args->outputs[i].path, &args->outputs[i].before))
            fprintf(stderr, "tenrec: note: %s replaces the file that was there\n", args->outputs[i].path);
}
