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

/* What the answers of j->output are, and so what they are compared with. */
static void choose_kind(struct targets *j)
{
    const json_t *steps = targets_steps(j);
    j->kind = kinds[0];
    for (size_t i = 1; i < N_KINDS; i++)
        for (int k = 0; k < 2 && kinds[i]->steps[k]; k++)
            if (has_step(steps, kinds[i]->steps[k])) j->kind = kinds[i];
    j->both = has_step(steps, "two_classes");
    const struct node *last = j->model->graph->outputs[j->output]->node;
    j->logits = j->kind == &target_mask ? !node_is(last, "Softmax") && !node_is(last, "Sigmoid")
                                        : has_step(steps, j->both ? "sigmoid" : "softmax");
}

static int no_truth(const struct targets *j, struct err *e)
{
    const char *list = table_column_list(j->table, j->arena);
    TRY_MEM(list, e);
    return fail(e, ERR_USAGE,
        "%s: the model gives %s, and no column has the truth: say which, as in --columns %s=NAME; there are: %s",
        table_path(j->table), j->kind->gives, j->kind->wants, list);
}

/* One output behind `last`, where the table has its truth: then it stands at the end of the list. */
static int add_output(struct targets *one, struct targets **first, struct targets **last, struct err *e)
{
    size_t before = 0;
    if (has_step(targets_steps(one), "omit")) return 0;
    choose_kind(one);
    for (const struct targets *j = *first; j && !one->kind->together; j = j->next) before += j->kind == one->kind;
    one->column = one->kind->together ? table_numbers(one->table, 0)
                                      : table_column(one->table, one->kind->role, before);
    if (one->column < 0) return 0;
    struct targets *j = ARENA_NEW(one->arena, struct targets);
    TRY_MEM(j, e);
    *j = *one;
    j->place = *last ? (*last)->place + 1 : 0;
    j->first = *first ? *first : j;
    *(*last ? &(*last)->next : first) = j;
    *last = j;
    return j->kind->init(j, e);
}

struct targets *targets_new(struct arena *a, const struct model *m, struct table *t, const char *folder, struct err *e)
{
    struct targets *first = NULL, *last = NULL, one = { .arena = a, .model = m, .table = t, .folder = folder };
    size_t n = m->graph->n_outputs;
    for (; one.output < n; one.output++)
        if (add_output(&one, &first, &last, e)) return NULL;
    if (first) return first;
    for (one.output = 0; one.output + 1 < n && has_step(targets_steps(&one), "omit");) one.output++;
    choose_kind(&one);
    no_truth(&one, e);
    return NULL;
}

static int output_row(struct targets *j, const struct scored *s, struct str *out, struct err *e)
{
    struct arena scratch;
    if (j->place) str_addf(out, "%zu", j->place);
    arena_init(&scratch, j->arena->mem);
    int got = j->kind->row(j, s, &scratch, out, e);
    arena_release(&scratch);
    TRY(got);
    str_add(out, got ? "\n" : "N\n");
    return out->oom ? fail_nomem(e) : 0;
}

int targets_row(struct targets *j, const struct scored *s, struct str *out, struct err *e)
{
    for (; j && !s->error; j = j->next) TRY(output_row(j, s, out, e));
    return 0;
}

int targets_damaged(char letter, const char *line, struct err *e)
{
    return fail(e, ERR_DATA, "a damaged line of targets: %c%.60s", letter, line);
}

enum { DIGITS = 2 * sizeof(double) };

void targets_write_number(struct str *line, double v)
{
    char text[DIGITS + 1] = " ";
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    for (int i = DIGITS; i; i--, bits >>= 4) text[i] = "0123456789abcdef"[bits & 15];
    str_addn(line, text, sizeof text);
}

int targets_number(const char **line, double *v)
{
    const char *p = *line + (**line == ' ');
    uint64_t bits = 0;
    for (int i = 0; i < DIGITS; i++, p++) {
        int digit = *p >= '0' && *p <= '9' ? *p - '0' : *p >= 'a' && *p <= 'f' ? *p - 'a' + 10 : -1;
        if (digit < 0) return 0;
        bits = bits << 4 | (unsigned)digit;
    }
    memcpy(v, &bits, sizeof *v);
    *line = p;
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
    char *letter;
    for (unsigned long place = strtoul(line, &letter, 10); j && place; place--) j = j->next;
    if (!j) return targets_damaged(line[0], line + 1, e);
    line = letter;
    j->rows += line[0] != 'N';
    j->without += line[0] == 'N';
    if (line[0] == 'N') return 0;
    return line[0] == j->kind->letter ? j->kind->add(j, line + 1, a, e)
                                      : targets_damaged(line[0], line + (line[0] != 0), e);
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

static int output_report(struct targets *j, json_t *o, struct err *e)
{
    struct arena scratch;
    if (!j->rows) return 0;
    if (j->losses > 0) targets_put(o, "loss", j->loss / j->losses);
    arena_init(&scratch, j->arena->mem);
    int code = j->kind->report(j, &scratch, o, e);
    arena_release(&scratch);
    return code;
}

int targets_report(struct targets *j, json_t **out, struct err *e)
{
    json_t *others = json_object();
    *out = NULL;
    TRY(json_own(j->arena, others, e));
    for (; j; j = j->next) {
        if (j->place && j->kind->together && !j->rows) continue; /* the table has numbers for other outputs only */
        json_t *o = json_pack("{s:I,s:I}", "rows", (json_int_t)j->rows, "without_target", (json_int_t)j->without);
        TRY(json_own(j->arena, o, e));
        TRY(output_report(j, o, e));
        if (!*out) *out = o;
        else if (json_object_set(others, j->model->graph->outputs[j->output]->name, o)) return fail_nomem(e);
    }
    return json_object_size(others) && json_object_set(*out, "outputs", others) ? fail_nomem(e) : 0;
}
