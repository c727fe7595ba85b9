/* results.c - a job's results: the table, flushed page by page, and what is known before the first row. */
#include "score/results.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "score/parts.h"
#include "score/targets.h"
#include "score/writers.h"

enum { PAGE = 1 << 16, PIECE_BYTES = 8 << 20, REST = 20, PIECE_SECONDS = 5 }; /* saving takes 1/20 of time */

static const struct join_format *const formats[] = {
    [RESULTS_CSV] = &join_text,
    [RESULTS_TSV] = &join_text,
    [RESULTS_JSONL] = &join_text,
    [RESULTS_SQLITE] = &join_sqlite,
    [RESULTS_NPY] = &join_npy,
};

/* What the last step that changes the kind of an answer makes of it. */
static void describe(struct result_output *out, const json_t *steps)
{
    size_t i;
    const json_t *step;
    json_array_foreach(steps, i, step)
    {
        const char *op = json_string_value(json_object_get(step, "op"));
        if (!op) continue;
        out->both = out->both || !strcmp(op, "two_classes");
        if (!strcmp(op, "top_k")) {
            const json_t *k = json_object_get(step, "k");
            out->kind = ANSWER_CLASSES;
            out->k = k ? (int64_t)json_integer_value(k) : 5;
        }
        if (!strcmp(op, "argmax") || !strcmp(op, "threshold")) out->kind = ANSWER_MASK;
        if (!strcmp(op, "boxes")) {
            const json_t *max = json_object_get(step, "max");
            out->kind = ANSWER_BOXES;
            out->k = max ? (int64_t)json_integer_value(max) : BOXES_USUAL;
        }
        if (!strcmp(op, "omit")) out->kind = ANSWER_NONE;
    }
}

/* No more classes than the output has numbers, where that is known. */
static void limit_classes(struct result_output *out, const struct shape *s)
{
    int64_t count = s->rank > 1 ? shape_span(s, 1, s->rank) : -1;
    if (out->both) count = 2;
    if (count > 0 && out->k > count) out->k = count;
}

static bool turns_upright(const struct model *m)
{
    for (size_t i = 0; i < m->graph->n_inputs; i++) {
        if (!m->preprocess[i]) continue;
        const json_t *steps = json_object_get(
            manifest_port(m->manifest, "inputs", m->graph->inputs[i]->name), "preprocess");
        const char *exif = json_string_value(json_object_get(json_array_get(steps, 0), "exif_orientation"));
        return exif && !strcmp(exif, "apply");
    }
    return false;
}

static int describe_outputs(struct results *r, struct err *e)
{
    const struct model *m = r->o.model;
    r->n_outputs = m->graph->n_outputs;
    r->outputs = ARENA_ARRAY(&r->arena, r->n_outputs, struct result_output);
    TRY_MEM(r->outputs, e);
    for (size_t i = 0; i < r->n_outputs; i++) {
        struct result_output *out = &r->outputs[i];
        const struct value *v = m->graph->outputs[i];
        *out = (struct result_output){ v->name, "", ANSWER_TENSOR, 0, false };
        describe(out, json_object_get(manifest_port(m->manifest, "outputs", v->name), "postprocess"));
        r->n_shown += out->kind != ANSWER_NONE;
        if (out->kind == ANSWER_CLASSES) limit_classes(out, &v->shape);
    }
    for (size_t i = 0; i < r->n_outputs && r->n_shown > 1; i++)
        TRY_MEM(r->outputs[i].prefix = arena_printf(&r->arena, "%s.", r->outputs[i].name), e);
    r->upright = turns_upright(m);
    return 0;
}

static int make_folders(const struct results_options *o, struct err *e)
{
    const char *const folders[] = { o->masks, o->overlays, o->tensors };
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (folders[i]) TRY(file_mkdirs(folders[i], e));
    return 0;
}

static int begin(struct results *r, struct err *e)
{
    TRY(describe_outputs(r, e));
    TRY(make_folders(&r->o, e));
    if (r->o.format == RESULTS_NPY && r->n_outputs != 1)
        return fail(e, ERR_USAGE, ".npy holds one output, this model has %zu: choose one with --features, or --tensors",
            r->n_outputs);
    const struct join_format *f = formats[r->o.format];
    if (r->o.job && f->check) TRY(f->check(r->o.out, e));
    if (r->o.job) {
        struct parts_options o = { r->o.out, r->o.job, r->o.shard, r->o.shards, r->o.restart };
        if (!(r->parts = parts_open(&r->arena, &o, e))) return e->code;
        r->resumed = parts_done(r->parts);
        return 0;
    }
    if (r->o.out) {
        TRY(file_writer_open(&r->file, &r->arena, r->o.out, e));
        r->open = true;
    }
    return r->o.format == RESULTS_JSONL ? 0 : result_csv_header(r, &r->page, e);
}

static void fresh_page(struct results *r)
{
    arena_release(&r->page);
    r->text = r->targets = str_in(&r->page);
    r->n = r->bad = 0;
}

struct results *results_new(const struct results_options *o, struct err *e)
{
    struct arena a;
    arena_init(&a, o->model->arena.mem);
    struct results *r = ARENA_NEW(&a, struct results);
    if (!r) return arena_release(&a), fail_nomem(e), NULL;
    r->arena = a; /* it lies in its own arena */
    r->o = *o;
    r->rest = clock_now();
    arena_init(&r->page, a.mem);
    fresh_page(r);
    if (begin(r, e)) return results_free(r), NULL;
    return r;
}

void results_free(struct results *r)
{
    if (!r) return;
    if (r->open) file_writer_abort(&r->file);
    if (r->parts) parts_tidy(r->parts);
    arena_release(&r->page);
    struct arena a = r->arena;
    arena_release(&a);
}

void results_needs(const struct results *r, bool *outputs, bool *seen)
{
    *outputs = r->o.targets || r->o.format == RESULTS_NPY;
    *seen = r->o.overlays != NULL;
}

bool results_wants(struct results *r, int64_t row)
{
    return !r->parts || parts_wants(r->parts, row);
}

int results_pass(struct results *r, const char *id, int64_t row, struct err *e)
{
    struct arena scratch;
    struct result_files names = { 0 };
    int code = 0;
    if (!r->o.masks && !r->o.overlays && !r->o.tensors) return 0;
    arena_init(&scratch, r->arena.mem);
    for (size_t i = 0; i < r->n_outputs && !code; i++) code = result_files_name(r, id, row, i, &scratch, &names, e);
    arena_release(&scratch);
    return code;
}

/* Everything that waits is written. */
static int turn_page(struct results *r, struct err *e)
{
    const char *text = str_done(&r->text), *targets = str_done(&r->targets);
    if (!text || !targets) return fail_nomem(e);
    struct piece piece = { r->first, r->n, r->bad, { (const unsigned char *)text, r->text.len },
        { (const unsigned char *)targets, r->targets.len } };
    if (r->parts) {
        double begun = clock_now();
        if (r->n) TRY(parts_save(r->parts, &piece, e));
        r->rest = clock_now() + REST * (clock_now() - begun);
    } else if (r->open) {
        TRY(file_writer_put(&r->file, text, r->text.len, e));
    } else if (r->text.len) {
        TRY(r->o.write(r->o.cookie, text, r->text.len, e));
    }
    if (r->o.targets && !r->parts) TRY(targets_add(r->o.targets, piece.targets, e));
    fresh_page(r);
    return 0;
}

static int put_row(struct results *r, const struct scored *s, struct arena *scratch, struct err *e)
{
    struct result_files *files = ARENA_ARRAY(scratch, r->n_outputs, struct result_files);
    TRY_MEM(files, e);
    for (size_t i = 0; i < r->n_outputs; i++) {
        struct result_files names = { 0 };
        TRY(result_files_name(r, s->id, s->row, i, scratch, &names, e));
        if (!s->error) TRY(result_files_write(r, s, i, scratch, &names, &files[i], e));
    }
    if (r->o.targets) TRY(targets_row(r->o.targets, s, &r->targets, e));
    return r->o.format == RESULTS_JSONL ? result_jsonl_row(r, s, files, scratch, e)
                                        : result_csv_row(r, s, files, scratch, e);
}

/* A piece ends with one of its blocks, where rows are left out, where it grows large; and where rows take so long that
 * a job that is killed would lose much. */
static bool ends_piece(const struct results *r)
{
    if (!r->parts || r->text.len >= PIECE_BYTES) return r->text.len >= PAGE;
    bool block = (r->first + r->n) % PARTS_BLOCK == 0;
    return clock_now() >= r->rest + (block ? 0 : PIECE_SECONDS);
}

int results_put(struct results *r, const struct scored *s, struct err *e)
{
    struct arena scratch;
    if (r->parts && r->n && s->row != r->first + r->n) TRY(turn_page(r, e));
    if (!r->n) r->first = s->row;
    arena_init(&scratch, r->arena.mem);
    int code = put_row(r, s, &scratch, e);
    arena_release(&scratch);
    TRY(code);
    r->n++, r->bad += s->error != NULL;
    r->rows++, r->errors += s->error != NULL;
    return ends_piece(r) ? turn_page(r, e) : 0;
}

int results_flush(struct results *r, struct err *e)
{
    return r->parts ? 0 : turn_page(r, e);
}

static int join_piece(void *cookie, const struct piece *piece, struct err *e)
{
    struct join *j = cookie;
    j->rows += piece->n, j->errors += piece->errors;
    if (j->r->o.targets) TRY(targets_add(j->r->o.targets, piece->targets, e));
    return formats[j->r->o.format]->add(j, piece->results, e);
}

/* All pieces into the table. */
static int join_parts(struct results *r, int64_t total, int64_t *missing, struct err *e)
{
    struct join j = { .r = r };
    const struct join_format *f = formats[r->o.format];
    arena_init(&j.arena, r->arena.mem);
    int got = f->begin(&j, e);
    if (!got) got = parts_join(r->parts, total, join_piece, &j, missing, e);
    if (got > 0) {
        int code = f->end(&j, e);
        got = code ? code : 1;
    }
    if (got <= 0) f->abort(&j);
    arena_release(&j.arena);
    TRY(got);
    if (got) {
        r->errors = (long)j.errors;
        parts_remove(r->parts);
    }
    return 0;
}

int results_finish(struct results *r, int64_t total, int64_t *missing, struct err *e)
{
    *missing = 0;
    TRY(turn_page(r, e));
    if (r->parts) return join_parts(r, total, missing, e);
    if (!r->open) return 0;
    r->open = false;
    return file_writer_commit(&r->file, e);
}

int results_pause(struct results *r, struct err *e)
{
    int64_t missing;
    return r->parts ? turn_page(r, e) : results_finish(r, 0, &missing, e);
}

long results_rows(const struct results *r)
{
    return r->rows;
}

long results_errors(const struct results *r)
{
    return r->errors;
}

int64_t results_resumed(const struct results *r)
{
    return r->resumed;
}

const char *results_parts(const struct results *r)
{
    return r->parts ? parts_folder(r->parts) : NULL;
}

const char *result_label(const struct results *r, struct arena *a, int64_t index)
{
    const struct labels *l = &r->o.model->labels;
    if (index >= 0 && (uint64_t)index < l->n && l->names[index][0]) return l->names[index];
    return arena_printf(a, "%lld", (long long)index);
}

static int largest_first(const void *a, const void *b)
{
    const struct share *x = a, *y = b;
    if (x->share != y->share) return x->share < y->share ? 1 : -1;
    return (x->label > y->label) - (x->label < y->label);
}

static int by_label(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

int result_shares(const struct answer *answer, struct arena *a, struct share **out, size_t *n, struct err *e)
{
    size_t count = (size_t)answer->width * (size_t)answer->height, kinds = 0;
    int32_t *sorted = ARENA_ARRAY(a, count, int32_t);
    TRY_MEM(sorted, e);
    if (count) memcpy(sorted, answer->labels, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_label);
    for (size_t i = 0; i < count; i++) kinds += !i || sorted[i] != sorted[i - 1];
    TRY_MEM(*out = ARENA_ARRAY(a, kinds, struct share), e);
    *n = 0;
    for (size_t i = 0; i < count; i++) {
        if (!i || sorted[i] != sorted[i - 1]) (*out)[(*n)++].label = sorted[i];
        (*out)[*n - 1].share++;
    }
    for (size_t i = 0; i < *n; i++) (*out)[i].share /= (double)count;
    if (*n) qsort(*out, *n, sizeof **out, largest_first);
    return 0;
}
