/* cmd_quantize.c - a network in 8-bit integers, calibrated on a table; kept only when it is faster and as good. */
#include <stdio.h>
#include <string.h>

#include "base/plural.h"
#include "base/str.h"
#include "cli/opening.h"
#include "cli/self_example.h"
#include "enc/json.h"
#include "package/export.h"
#include "score/agreement.h"

struct quantize {
    struct args *args;
    struct model model;
    struct table *table;
    struct graph *graph; /* quantized */
    struct qdq_options qdq;
    struct rows rows;
    struct agreement found;
    size_t n_values;
};

static int make_graph(struct quantize *q, struct err *e)
{
    const struct conf *c = &q->args->conf;
    struct value **values;
    static const char *const ways[] = { "minmax", "percentile", "mse" };
    enum calibration how = CALIBRATE_MINMAX;
    for (int i = 0; i < 3; i++)
        if (!strcmp(conf_string(c, "calibration"), ways[i])) how = (enum calibration)i;
    if (!(q->graph = graph_copy(q->model.graph, &q->model.arena, e))) return e->code;
    TRY(qdq_prepare(q->graph, e));
    TRY(qdq_values(q->graph, &q->qdq, &values, &q->n_values, e));
    struct range *ranges = ARENA_ARRAY(q->args->arena, q->n_values, struct range);
    TRY_MEM(ranges, e);
    q->rows.limit = conf_int(c, "samples");
    TRY(calibrate(q->graph, values, q->n_values, how, &q->rows, ranges, e));
    fprintf(stderr, "tenrec: %zu range%s from %lld row%s", q->n_values, plural((long long)q->n_values),
        (long long)q->rows.done, plural(q->rows.done));
    if (q->rows.bad) fprintf(stderr, ", %lld could not be read: %s", (long long)q->rows.bad, q->rows.first.text);
    fputc('\n', stderr);
    return qdq_apply(q->graph, &q->qdq, values, ranges, q->n_values, e);
}

static const char *percent(char buf[32], int64_t part, int64_t all)
{
    snprintf(buf, 32, "%.2f %%", 100 * (double)part / (double)(all ? all : 1));
    return buf;
}

static void print_text(const struct quantize *q)
{
    const struct agreement *a = &q->found;
    char was[32], is[32];
    printf("rows         %lld compared\n", (long long)a->rows);
    if (a->labelled)
        printf("accuracy     %s before, %s now, of %lld row%s with a class\n", percent(was, a->right[0], a->labelled),
            percent(is, a->right[1], a->labelled), (long long)a->labelled, plural(a->labelled));
    if (a->places)
        printf("agreement    %s of %lld choices are the same\n", percent(is, a->same, a->places), (long long)a->places);
    printf("distance     %.3g of the outputs' size\n", a->distance);
    printf("time         %.3f ms before, %.3f ms now: %.2f times as fast\n", a->seconds[0] * 1e3, a->seconds[1] * 1e3,
        a->seconds[0] / a->seconds[1]);
}

static int print_findings(const struct quantize *q, bool kept, struct err *e)
{
    const struct agreement *a = &q->found;
    if (!conf_flag(&q->args->conf, "json")) return print_text(q), 0;
    json_t *root = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:f,s:f,s:f,s:b}", "rows", (json_int_t)a->rows, "labelled",
        (json_int_t)a->labelled, "right_before", (json_int_t)a->right[0], "right_now", (json_int_t)a->right[1],
        "choices", (json_int_t)a->places, "same_choices", (json_int_t)a->same, "distance", a->distance, "drop",
        agreement_drop(a), "ms_before", a->seconds[0] * 1e3, "ms_now", a->seconds[1] * 1e3, "kept", kept);
    TRY(json_own(q->args->arena, root, e));
    return print_json(q->args->arena, root, e);
}

/* Why the file is not worth keeping; NULL: it is. */
static const char *objection(const struct quantize *q)
{
    const struct conf *c = &q->args->conf;
    double drop = agreement_drop(&q->found), most = conf_float(c, "max-drop");
    if (!(drop <= most))
        return arena_printf(q->args->arena, "%s of %.4g, more than --max-drop %.4g",
            q->found.labelled ? "a loss of accuracy" : q->found.places ? "a share of changed answers" : "a distance",
            drop, most);
    return q->found.seconds[1] >= q->found.seconds[0] ? "it is no faster on this machine" : NULL;
}

static void say(void *cookie, const char *text)
{
    fprintf(stderr, "tenrec: %s: %s\n", (const char *)cookie, text);
}

static int write_file(struct quantize *q, const char *out, struct err *e)
{
    struct example ex;
    struct err none = { 0 };
    q->model.graph = q->graph;
    bool has = !self_example(&q->model, &ex, &none);
    if (none.code == ERR_NOMEM) return fail_nomem(e);
    if (!str_ends(out, ".onnx")) return package_write(&q->model, out, has ? &ex : NULL, e);
    return package_export(&q->model, out, &(struct export_options){ 0 }, &(struct export_form){ 0 }, has ? &ex : NULL,
        say, (void *)(uintptr_t)file_base(out), e);
}

static int work(struct quantize *q, struct err *e)
{
    const struct conf *c = &q->args->conf;
    const char *out = conf_string(c, "output");
    TRY(open_rows(&q->table, &q->model, q->args, conf_string(c, "data"), e));
    q->rows = (struct rows){ .model = &q->model, .table = q->table, .threads = (int)conf_int(c, "threads") };
    q->qdq.weight_bits = (int)conf_int(c, "weight-bits");
    q->qdq.skip = conf_list(c, "skip", &q->qdq.n_skip);
    TRY(make_graph(q, e));
    q->rows.limit = conf_int(c, "rows");
    TRY(agreement_measure((const struct graph *const[]){ q->model.graph, q->graph }, &q->rows, &q->found, e));
    const char *why = objection(q);
    bool keep = !why || conf_flag(c, "force");
    TRY(print_findings(q, keep, e));
    if (!keep)
        return fail(e, ERR_MISMATCH, "%s is not written: %s (--force keeps it; --skip NODE and --calibration may help)",
            out, why);
    if (why) fprintf(stderr, "tenrec: warning: kept although %s\n", why);
    return write_file(q, out, e);
}

static int run(struct args *args, struct err *e)
{
    struct quantize q = { .args = args };
    if (!conf_has(&args->conf, "output")) return fail(e, ERR_USAGE, "quantize: -o FILE is missing");
    if (!conf_has(&args->conf, "data"))
        return fail(e, ERR_USAGE, "quantize: --data TABLE is missing: ranges are taken from rows like those to come");
    int code = open_model(&q.model, args, 0, e);
    if (!code) code = work(&q, e);
    model_close(&q.model);
    return code;
}

static const struct conf_key keys[] = {
    { "output", 'o', CONF_WRITE, "FILE", NULL, NULL, 0, 0, "what to write: .tenrec, or .onnx" },
    { "data", 'd', CONF_READ, "TABLE", NULL, NULL, 0, 0, "rows to calibrate on and to compare with" },
    { "samples", 0, CONF_INT, "N", "200", NULL, 1, 1 << 30, "rows to calibrate on, spread over the table" },
    { "rows", 0, CONF_INT, "N", "1000", NULL, 0, 1 << 30, "rows to compare on; 0: all" },
    { "calibration", 0, CONF_CHOICE, NULL, "minmax", "minmax|percentile|mse", 0, 0,
        "all that was seen; without the outermost 0.01 percent; the range that loses least" },
    { "weight-bits", 0, CONF_INT, "N", "7", NULL, 7, 8,
        "7 gives the same answers on every processor; 8 is finer, but other programs overflow without VNNI" },
    { "skip", 0, CONF_LIST, "NODE", NULL, NULL, 0, 0, "nodes that stay real, by name or its beginning" },
    { "max-drop", 0, CONF_FLOAT, "X", "0.01", NULL, 0, 1,
        "share of right answers that may be lost (without classes: of answers that may change)" },
    { "force", 0, CONF_FLAG, NULL, NULL, NULL, 0, 0, "keep a slower or worse file too" },
    { "threads", 't', CONF_INT, "N", "0", NULL, 0, 4096, "0: as many as this process may use" },
    { "columns", 'c', CONF_LIST, "ROLE=NAME[,NAME]", NULL, NULL, 0, 0,
        "what columns are for, where their names do not say: image, mask, label, numbers, sequence, id" },
    { "query", 0, CONF_STRING, "SELECT", NULL, NULL, 0, 0, "of an SQLite database" },
    KEY_JSON,
    KEYS_OPEN,
    { 0 },
};

const struct command command_quantize = {
    .name = "quantize",
    .synopsis = "FILE --data TABLE -o OUT [OPTIONS]",
    .doc = "A network in 8-bit integers: faster, smaller, a little less exact.\n\n"
           "Rows of the table run through the network to find the range of every inner value. The result is an\n"
           "ordinary network with QuantizeLinear and DequantizeLinear in it, which ONNX Runtime runs too. It is\n"
           "compared with the one it came from on the rows, in answers and in time, and is not written when it is\n"
           "slower or worse.",
    .examples = "  tenrec quantize digits.tenrec --data digits.csv -o digits8.tenrec\n"
                "  tenrec quantize resnet50.onnx --data photos/ -o resnet50.int8.onnx --calibration mse\n",
    .min_words = 1,
    .max_words = 1,
    .keys = keys,
    .run = run,
};
