/* targets.c - compares answers with targets: which are wanted, a line for each row, the sum of the lines. */
#include "score/targets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "score/targets_kinds.h"

/* The first is what an output without any of the others' steps is. */
static const struct target_kind *const kinds[] = { &target_numbers, &target_class, &target_mask, &target_boxes };
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static bool has_step(const json_t *steps, const char *name)
{
    const json_t *step;
    size_t i;
    json_array_foreach(steps, i, step)
    {
        const char *op = json_string_value(json_object_get(step, "op"));
        if (op && !strcmp(op, name)) return true;
    }
    return false;
}

const json_t *targets_steps(const struct targets *j)
{
    const json_t *port = manifest_port(j->model->manifest, "outputs", j->model->graph->outputs[j->output]->name);
    return json_object_get(port, "postprocess");
}

/* What the answers are, and so what they are compared with. */
static int choose_target(struct targets *j, struct err *e)
{
    const struct graph *g = j->model->graph;
    while (j->output + 1 < g->n_outputs && has_step(targets_steps(j), "omit")) j->output++;
    const json_t *steps = targets_steps(j);
    j->kind = kinds[0];
    for (size_t i = 1; i < N_KINDS; i++)
        for (int k = 0; k < 2 && kinds[i]->steps[k]; k++)
            if (has_step(steps, kinds[i]->steps[k])) j->kind = kinds[i];
    j->both = has_step(steps, "two_classes");
    const struct node *last = g->outputs[j->output]->node;
    j->logits = j->kind == &target_mask ? !node_is(last, "Softmax") && !node_is(last, "Sigmoid")
                                        : has_step(steps, j->both ? "sigmoid" : "softmax");
    j->column = table_column(j->table, j->kind->role, 0);
    if (j->column >= 0) return 0;
    const char *list = table_column_list(j->table, j->arena);
    TRY_MEM(list, e);
    return fail(e, ERR_USAGE,
        "%s: the model gives %s, and no column has the truth: say which, as in --columns %s=NAME; there are: %s",
        table_path(j->table), j->kind->gives, j->kind->wants, list);
}

struct targets *targets_new(
    struct arena *a, const struct model *m, struct table *t, const char *folder, struct err *e)
{
    struct targets *j = ARENA_NEW(a, struct targets);
    if (!j) return fail_nomem(e), NULL;
    *j = (struct targets){ .arena = a, .model = m, .table = t, .folder = folder };
    if (choose_target(j, e)) return NULL;
    return j->kind->init(j, e) ? NULL : j;
}

int targets_row(struct targets *j, const struct scored *s, struct str *out, struct err *e)
{
    struct arena scratch;
    if (s->error) return 0;
    arena_init(&scratch, j->arena->mem);
    int got = j->kind->row(j, s, &scratch, out, e);
    arena_release(&scratch);
    TRY(got);
    str_add(out, got ? "\n" : "N\n");
    return out->oom ? fail_nomem(e) : 0;
}

int targets_damaged(char letter, const char *line, struct err *e)
{
    return fail(e, ERR_DATA, "a damaged line of targets: %c%.60s", letter, line);
}

int targets_number(const char **line, double *v)
{
    char *end;
    *v = strtod(*line, &end);
    if (end == *line) return 0;
    *line = end;
    return 1;
}

int targets_whole(const char **line, int64_t most, int64_t *v)
{
    char *end;
    *v = strtoll(*line, &end, 10);
    if (end == *line || *v < 0 || *v >= most) return -1;
    *line = end;
    return 0;
}

static int add_line(struct targets *j, const char *line, struct arena *a, struct err *e)
{
    j->rows += line[0] != 'N';
    j->without += line[0] == 'N';
    if (line[0] == 'N') return 0;
    return line[0] == j->kind->letter ? j->kind->add(j, line + 1, a, e) : targets_damaged(line[0], line + 1, e);
}

int targets_add(struct targets *j, struct bytes lines, struct err *e)
{
    for (size_t at = 0; at < lines.len;) {
        const char *p = (const char *)lines.data + at, *end = memchr(p, '\n', lines.len - at);
        size_t len = end ? (size_t)(end - p) : lines.len - at;
        struct arena scratch;
        arena_init(&scratch, j->arena->mem);
        const char *line = arena_strndup(&scratch, p, len);
        int code = line ? add_line(j, line, &scratch, e) : fail_nomem(e);
        arena_release(&scratch);
        TRY(code);
        at += len + 1;
    }
    return 0;
}

void targets_put(json_t *o, const char *key, double v)
{
    if (isfinite(v)) json_object_set_new(o, key, json_real(v));
}

const char *targets_label(const struct targets *j, int64_t class)
{
    const struct labels *l = &j->model->labels;
    return class >= 0 && (uint64_t)class < l->n ? l->names[class] : NULL;
}

int targets_report(struct targets *j, json_t **out, struct err *e)
{
    json_t *o = json_pack("{s:I,s:I}", "rows", (json_int_t)j->rows, "without_target", (json_int_t)j->without);
    struct arena scratch;
    TRY(json_own(j->arena, o, e));
    *out = o;
    if (!j->rows) return 0;
    if (j->losses > 0) targets_put(o, "loss", j->loss / j->losses);
    arena_init(&scratch, j->arena->mem);
    int code = j->kind->report(j, &scratch, o, e);
    arena_release(&scratch);
    return code;
}
