/* cmd_data.c - a look at data before a training: inspect, split, stats, show, synth. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/plural.h"
#include "base/str.h"
#include "cli/opening.h"
#include "cli/outputs.h"
#include "data/inspect.h"
#include "data/split.h"
#include "data/synth.h"
#include "enc/csv.h"
#include "enc/json.h"

static int open_table(struct args *args, size_t word, struct table **out, struct err *e)
{
    size_t n;
    const char *const *said = conf_list(&args->conf, "columns", &n);
    const char **columns = ARENA_ARRAY(args->arena, n + 1, const char *);
    TRY_MEM(columns, e);
    for (size_t i = 0; i < n; i++) columns[i] = said[i];
    struct table_options o = { .columns = columns, .query = conf_string(&args->conf, "query") };
    if (word >= args->n_words) return fail(e, ERR_USAGE, "data %s: a table is missing", args->words[0]);
    *out = table_open(args->arena, args->words[word], &o, e);
    return *out ? 0 : e->code;
}

/* Takes the reference. */
static int tell(struct args *args, json_t *report, struct err *e)
{
    TRY(json_own(args->arena, report, e));
    return print_json(args->arena, report, e);
}

static long get(const json_t *o, const char *key)
{
    return (long)json_integer_value(json_object_get(o, key));
}

static void print_counts(const json_t *o, const char *key, const char *title)
{
    const json_t *counts = json_object_get(o, key), *n;
    const char *name;
    size_t shown = 0;
    if (!json_object_size(counts)) return;
    printf("  %-12s", title);
    json_object_foreach((json_t *)(uintptr_t)counts, name, n)
    {
        if (shown++ < 12) printf("%s%s %lld", shown > 1 ? ", " : "", name, (long long)json_integer_value(n));
    }
    if (shown > 12) printf(", and %zu more", shown - 12);
    puts("");
}

static void print_table(const json_t *o)
{
    const json_t *least = json_object_get(o, "smallest"), *most = json_object_get(o, "largest");
    printf("%s (%s): %ld row%s\n", json_string_value(json_object_get(o, "path")),
        json_string_value(json_object_get(o, "kind")), get(o, "rows"), plural(get(o, "rows")));
    printf("  unreadable  %ld\n  duplicates  %ld\n  rotated     %ld\n", get(o, "unreadable"), get(o, "duplicates"),
        get(o, "rotated"));
    print_counts(o, "formats", "formats");
    printf("  sizes       %ld different, from %lld x %lld to %lld x %lld\n", get(o, "different_sizes"),
        (long long)json_integer_value(json_array_get(least, 0)),
        (long long)json_integer_value(json_array_get(least, 1)), (long long)json_integer_value(json_array_get(most, 0)),
        (long long)json_integer_value(json_array_get(most, 1)));
    print_counts(o, "classes", "classes");
    if (get(o, "without_class")) printf("  no class    %ld\n", get(o, "without_class"));
    print_counts(o, "mask_labels", "mask pixels");
    if (get(o, "mask_sizes_differ")) printf("  mask sizes  %ld differ from their image\n", get(o, "mask_sizes_differ"));
}

static int inspect(struct args *args, struct err *e)
{
    struct inspection *look = inspection_new(args->arena, e);
    json_t *report;
    size_t i;
    const json_t *item;
    if (!look) return e->code;
    for (size_t w = 1; w < args->n_words || w == 1; w++) {
        struct table *t;
        TRY(open_table(args, w, &t, e));
        TRY(inspection_add(look, t, e));
    }
    TRY(inspection_report(look, &report, e));
    if (conf_flag(&args->conf, "json")) return print_json(args->arena, report, e);
    json_array_foreach(json_object_get(report, "tables"), i, item) print_table(item);
    if (args->n_words > 2) printf("leaks between the tables: %ld\n", get(report, "leaks"));
    json_array_foreach(json_object_get(report, "findings"), i, item)
    {
        if (!i) puts("findings:");
        printf("  %-10s %s: %s\n", json_string_value(json_object_get(item, "kind")),
            json_string_value(json_object_get(item, "where")), json_string_value(json_object_get(item, "what")));
    }
    return 0;
}

/* "0.8,0.1,0.1" */
static int parse_shares(const char *text, double shares[3], struct err *e)
{
    int n = 0;
    for (char *end; *text && n < 3; text = end + (*end == ',')) {
        shares[n++] = strtod(text, &end);
        if (end == text) break;
    }
    if (n < 2 || *text) return fail(e, ERR_USAGE, "--parts: two or three numbers with commas between, as 0.8,0.1,0.1");
    return n;
}

/* The whole path of a file, there or not; links keep their names. */
static const char *whole_path(struct arena *a, const char *path)
{
    char *here = path[0] == '/' ? NULL : realpath(".", NULL);
    const char *whole = here ? file_join(a, here, path) : path;
    free(here);
    return whole;
}

/* Cells of a row as a line of a new table, which lies elsewhere: files by their whole path. */
static int put_row(struct str *out, const struct table *t, const struct row *row, struct arena *a, struct err *e)
{
    size_t n = table_columns(t);
    const char **fields = ARENA_ARRAY(a, n, const char *);
    TRY_MEM(fields, e);
    for (size_t i = 0; i < n; i++) {
        const struct cell *c = &row->cells[i];
        fields[i] = c->path ? whole_path(a, c->path) : c->text ? c->text : "";
        TRY_MEM(fields[i], e);
        if ((c->bytes.data || c->array) && !c->text)
            return fail(e, ERR_USAGE, "%s: its rows are no files that a list could name: split a folder or a CSV",
                table_path(t));
    }
    csv_put(out, fields, n, ',');
    return 0;
}

static int head_row(struct str *out, const struct table *t, struct arena *a, struct err *e)
{
    size_t n = table_columns(t);
    const char **names = ARENA_ARRAY(a, n, const char *);
    TRY_MEM(names, e);
    for (size_t i = 0; i < n; i++) {
        const struct column *c = table_column_at(t, i);
        names[i] = c->name[0] ? c->name : "path";
    }
    csv_put(out, names, n, ',');
    return 0;
}

static int classes_of(struct table *t, int64_t *class, struct err *e)
{
    int label = table_column(t, ROLE_LABEL, 0);
    for (int64_t i = 0; i < table_count(t); i++) {
        struct arena scratch;
        struct row row;
        struct err bad = { 0 };
        arena_init(&scratch, NULL);
        class[i] = -1;
        int got = table_row(t, i, &scratch, &row, &bad);
        if (got > 0 && label >= 0) row_class(t, &row, label, &class[i], &bad);
        arena_release(&scratch);
        if (bad.code && bad.code != ERR_DATA) return fail(e, bad.code, "%s", bad.text);
    }
    return 0;
}

static int split(struct args *args, struct err *e)
{
    static const char *const names[] = { "train.csv", "val.csv", "test.csv" };
    struct table *t;
    double shares[3];
    struct str texts[3];
    int64_t counts[3] = { 0 };
    const char *out = conf_string(&args->conf, "output"), *paths[3];
    TRY(open_table(args, 1, &t, e));
    int parts = parse_shares(conf_string(&args->conf, "parts"), shares, e);
    TRY(parts);
    if (!out) return fail(e, ERR_USAGE, "data split: a folder for train.csv, val.csv and test.csv is missing (-o DIR)");
    for (int p = 0; p < parts; p++) {
        paths[p] = file_join(args->arena, out, names[parts == 2 && p ? 1 : p]);
        TRY_MEM(paths[p], e);
        TRY(output_add(args, "-o", paths[p], e));
    }
    TRY(table_index(t, e));
    int64_t n = table_count(t), *class = ARENA_ARRAY(args->arena, n, int64_t);
    int *part = ARENA_ARRAY(args->arena, n, int);
    if (!class || !part) return fail_nomem(e);
    TRY(classes_of(t, class, e));
    TRY(split_rows(part, args->arena, class, n, shares, parts, (uint64_t)conf_int(&args->conf, "seed"), e));
    for (int p = 0; p < parts; p++) {
        texts[p] = str_in(args->arena);
        TRY(head_row(&texts[p], t, args->arena, e));
    }
    for (int64_t i = 0; i < n; i++) {
        struct arena scratch;
        struct row row;
        struct err bad = { 0 };
        arena_init(&scratch, NULL);
        int got = table_row(t, i, &scratch, &row, &bad);
        if (got > 0) put_row(&texts[part[i]], t, &row, &scratch, &bad), counts[part[i]]++;
        arena_release(&scratch);
        if (bad.code == ERR_DATA) fprintf(stderr, "tenrec: left out: %s\n", bad.text);
        else if (bad.code) return fail(e, bad.code, "%s", bad.text);
    }
    json_t *written = json_array();
    bool json = conf_flag(&args->conf, "json");
    TRY(json_own(args->arena, written, e));
    for (int p = 0; p < parts; p++) {
        const char *text = str_done(&texts[p]);
        TRY_MEM(text, e);
        TRY(file_write(args->arena, paths[p], text, texts[p].len, e));
        json_array_append_new(written, json_pack("{s:s,s:I}", "file", paths[p], "rows", (json_int_t)counts[p]));
        if (!json) printf("%s: %lld row%s\n", paths[p], (long long)counts[p], plural(counts[p]));
    }
    return json ? print_json(args->arena, written, e) : 0;
}

static int stats(struct args *args, struct err *e)
{
    struct table *t;
    struct channel_stats s;
    TRY(open_table(args, 1, &t, e));
    TRY(channel_stats(&s, t, ROLE_IMAGE, conf_flag(&args->conf, "gray"), e));
    json_t *mean = json_array(), *std = json_array();
    for (int k = 0; k < s.channels; k++) {
        json_array_append_new(mean, json_real(s.mean[k]));
        json_array_append_new(std, json_real(s.std[k]));
    }
    json_t *report = json_pack("{s:I,s:I,s:I,s:o,s:o}", "images", (json_int_t)s.images, "unreadable",
        (json_int_t)s.unreadable, "pixels", (json_int_t)s.pixels, "mean", mean, "std", std);
    TRY(json_own(args->arena, report, e));
    if (conf_flag(&args->conf, "json")) return print_json(args->arena, report, e);
    printf("images: %lld (%lld unreadable), %llu pixels\n", (long long)s.images, (long long)s.unreadable,
        (unsigned long long)s.pixels);
    const char *const names[] = { "mean", "std" };
    for (int i = 0; i < 2; i++) {
        printf("%s: [", names[i]);
        for (int k = 0; k < s.channels; k++) printf("%s%.6f", k ? ", " : "", i ? s.std[k] : s.mean[k]);
        puts("]");
    }
    return 0;
}

static int write_image(struct arena *a, const char *path, const struct image *img, struct err *e)
{
    struct bytes png;
    TRY_MEM(path, e);
    TRY(png_encode(&png, a, img, e));
    return file_write(a, path, png.data, png.len, e);
}

static int show(struct args *args, struct err *e)
{
    const struct conf *c = &args->conf;
    struct table *t;
    struct image sheet;
    const char *out = conf_string(c, "output");
    if (!out) out = "sheet.png";
    if (!str_ends(out, ".png")) return fail(e, ERR_USAGE, "data show: -o %s: it must end in .png", out);
    TRY(output_add(args, "-o", out, e));
    TRY(open_table(args, 1, &t, e));
    TRY(contact_sheet(&sheet, args->arena, t, conf_int(c, "rows"),
        (int)(conf_has(c, "size") ? conf_int(c, "size") : 112), (int)conf_int(c, "across"), e));
    TRY(write_image(args->arena, out, &sheet, e));
    if (conf_flag(c, "json"))
        return tell(args, json_pack("{s:s,s:i,s:i}", "file", out, "width", sheet.width, "height", sheet.height), e);
    printf("%s: %d x %d pixels\n", out, sheet.width, sheet.height);
    return 0;
}

/* Where sample i goes, and what the table says of it. */
static int write_sample(struct synth_sample *s, const struct synth_kind *kind, const char *out, int64_t i,
    struct str *table, struct arena *a, struct err *e)
{
    bool digits = s->image.channels == 1;
    const char *name = digits ? arena_printf(a, "%s/%06lld.png", kind->classes[s->class], (long long)i)
                              : arena_printf(a, "images/%06lld.png", (long long)i);
    TRY_MEM(name, e);
    TRY(write_image(a, file_join(a, out, name), &s->image, e));
    if (digits) return 0;
    str_add(table, name);
    if (s->mask.pixels) {
        const char *mask = arena_printf(a, "masks/%06lld.png", (long long)i);
        TRY_MEM(mask, e);
        TRY(write_image(a, file_join(a, out, mask), &s->mask, e));
        str_addf(table, ",%s\n", mask);
        return 0;
    }
    struct str text = str_in(a);
    for (int k = 0; k < s->n_boxes; k++) {
        const struct box *b = &s->boxes[k];
        str_addf(&text, "%lld %.6f %.6f %.6f %.6f\n", (long long)b->class, b->x, b->y, b->width, b->height);
    }
    const char *labels = arena_printf(a, "labels/%06lld.txt", (long long)i);
    const char *path = labels ? file_join(a, out, labels) : NULL;
    if (!path || !str_done(&text)) return fail_nomem(e);
    TRY(file_write(a, path, str_done(&text), text.len, e));
    str_addf(table, ",%s\n", labels);
    return 0;
}

/* Names of the classes; digits have a folder for each, also where no sample falls into it. */
static int list_classes(const struct synth_kind *kind, bool digits, const char *out, struct arena *a,
    struct str *classes, struct err *e)
{
    for (int k = 0; kind->classes[k]; k++) {
        const char *dir = file_join(a, out, kind->classes[k]);
        TRY_MEM(dir, e);
        if (digits) TRY(file_mkdirs(dir, e));
        str_addf(classes, "%s\n", kind->classes[k]);
    }
    return 0;
}

static int tell_drawn(struct args *args, const char *path, const struct synth_kind *kind, int size, struct err *e)
{
    long long rows = conf_int(&args->conf, "rows");
    TRY_MEM(path, e);
    if (conf_flag(&args->conf, "json"))
        return tell(args, json_pack("{s:s,s:s,s:I,s:i}", "file", path, "kind", kind->name, "rows", (json_int_t)rows,
                              "size", size), e);
    printf("%s: %lld %s of %d x %d pixels\n", path, rows, kind->name, size, size);
    return 0;
}

static void put_big(unsigned char to[4], uint32_t v)
{
    for (int i = 0; i < 4; i++) to[i] = (unsigned char)(v >> (24 - 8 * i));
}

/* A file of LeCun's IDX format: bytes, with these dimensions. */
static int open_idx(struct file_writer *w, struct arena *a, const char *out, const char *name, int rank,
    const int64_t dims[3], struct err *e)
{
    const char *path = file_join(a, out, name);
    unsigned char head[16] = { 0, 0, 8, (unsigned char)rank };
    TRY_MEM(path, e);
    for (int d = 0; d < rank; d++) put_big(head + 4 + 4 * d, (uint32_t)dims[d]);
    TRY(file_writer_open(w, a, path, e));
    return file_writer_put(w, head, (size_t)(4 + 4 * rank), e);
}

static int draw_rows(struct args *args, const struct synth_kind *kind, int size, struct file_writer *images,
    struct file_writer *labels, struct err *e)
{
    const struct conf *c = &args->conf;
    for (int64_t i = 0; i < conf_int(c, "rows"); i++) {
        struct arena scratch;
        struct synth_sample s = { 0 };
        arena_init(&scratch, NULL);
        int code = kind->draw(&s, &scratch, size, (uint64_t)conf_int(c, "seed"), (uint64_t)i, e);
        if (!code) code = file_writer_put(images, s.image.pixels, (size_t)size * (size_t)size, e);
        if (!code) code = file_writer_put(labels, &(unsigned char){ (unsigned char)s.class }, 1, e);
        arena_release(&scratch);
        TRY(code);
    }
    return 0;
}

/* Gray samples and their classes in two files instead of a file each: for many rows. */
static int synth_idx(struct args *args, const struct synth_kind *kind, const char *out, int size, struct err *e)
{
    int64_t rows = conf_int(&args->conf, "rows"), dims[3] = { rows, size, size };
    struct file_writer w[2] = { { .fd = -1 }, { .fd = -1 } };
    if (rows > UINT32_MAX) return fail(e, ERR_USAGE, "data synth: IDX holds %u rows at most", UINT32_MAX);
    int code = open_idx(&w[0], args->arena, out, "digits-images-idx3-ubyte", 3, dims, e);
    if (!code) code = open_idx(&w[1], args->arena, out, "digits-labels-idx1-ubyte", 1, dims, e);
    if (!code) code = draw_rows(args, kind, size, &w[0], &w[1], e);
    for (int i = 0; i < 2; i++) {
        if (!code) code = file_writer_commit(&w[i], e);
        else if (w[i].fd >= 0) file_writer_abort(&w[i]);
    }
    TRY(code);
    return tell_drawn(args, file_join(args->arena, out, "digits-images-idx3-ubyte"), kind, size, e);
}

static int synth(struct args *args, struct err *e)
{
    const struct conf *c = &args->conf;
    const char *out = conf_string(c, "output"), *what = args->n_words > 1 ? args->words[1] : "";
    const struct synth_kind *kind = NULL;
    for (size_t i = 0; synth_at(i) && !kind; i++)
        if (!strcmp(synth_at(i)->name, what)) kind = synth_at(i);
    if (!kind || !out) return fail(e, ERR_USAGE, "data synth: say digits, shapes or scenes, and a folder (-o DIR)");
    int size = (int)(conf_has(c, "size") ? conf_int(c, "size") : kind->size);
    bool digits = kind == synth_at(0), masks = kind == synth_at(2);
    if (conf_flag(c, "idx") && !digits) return fail(e, ERR_USAGE, "data synth: --idx holds digits only");
    if (conf_flag(c, "idx")) return synth_idx(args, kind, out, size, e);
    struct str table = str_in(args->arena), classes = str_in(args->arena);
    str_add(&table, masks ? "image,mask\n" : "image,boxes\n");
    const char *list = digits ? NULL : file_join(args->arena, out, "table.csv");
    const char *names = digits ? NULL : file_join(args->arena, out, "classes.txt");
    if (list) TRY(output_add(args, "-o", list, e));
    if (names) TRY(output_add(args, "-o", names, e));
    TRY(list_classes(kind, digits, out, args->arena, &classes, e));
    for (int64_t i = 0; i < conf_int(c, "rows"); i++) {
        struct arena scratch;
        struct synth_sample s = { 0 };
        arena_init(&scratch, NULL);
        int code = kind->draw(&s, &scratch, size, (uint64_t)conf_int(c, "seed"), (uint64_t)i, e);
        if (!code) code = write_sample(&s, kind, out, i, &table, &scratch, e);
        arena_release(&scratch);
        TRY(code);
    }
    if (list) TRY(file_write(args->arena, list, str_done(&table), table.len, e));
    if (names) TRY(file_write(args->arena, names, str_done(&classes), classes.len, e));
    return tell_drawn(args, list ? list : out, kind, size, e);
}

static const struct {
    const char *name;
    int (*run)(struct args *args, struct err *e);
} verbs[] = { { "inspect", inspect }, { "split", split }, { "stats", stats }, { "show", show }, { "synth", synth } };

static int run(struct args *args, struct err *e)
{
    const char *names[sizeof verbs / sizeof *verbs];
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (!strcmp(args->words[0], verbs[i].name)) return verbs[i].run(args, e);
        names[i] = verbs[i].name;
    }
    const char *near = str_closest(args->words[0], names, sizeof verbs / sizeof *verbs);
    return near
        ? fail(e, ERR_USAGE, "data: no \"%s\"; did you mean \"%s\"?", args->words[0], near)
        : fail(e, ERR_USAGE, "data: no \"%s\"; there are inspect, split, stats, show and synth", args->words[0]);
}

static const struct conf_key keys[] = {
    { "output", 'o', CONF_PLACE, "OUT", NULL, NULL, 0, 0, "split, synth: a folder; show: a .png" },
    { "columns", 'c', CONF_LIST, "ROLE=NAME[,NAME]", NULL, NULL, 0, 0,
        "what columns are for, where their names do not say: image, mask, label, boxes, numbers, sequence, id" },
    { "query", 0, CONF_STRING, "SELECT", NULL, NULL, 0, 0, "rows of an SQLite database; else all of its only table" },
    { "parts", 0, CONF_STRING, "A,B[,C]", "0.8,0.1,0.1", NULL, 0, 0, "split: shares of train, val and test" },
    { "seed", 0, CONF_INT, "N", "1", NULL, 0, INT64_MAX, "split, synth: the same seed gives the same" },
    { "rows", 'n', CONF_INT, "N", "64", NULL, 1, 100000000, "show, synth: how many" },
    { "across", 0, CONF_INT, "N", "8", NULL, 1, 1000, "show: thumbnails in a row" },
    { "size", 's', CONF_INT, "N", NULL, NULL, 8, 4096, "show: side of a thumbnail; synth: of an image" },
    { "idx", 0, CONF_FLAG, NULL, NULL, NULL, 0, 0, "synth digits: one IDX file instead of a PNG each, for many rows" },
    { "gray", 0, CONF_FLAG, NULL, NULL, NULL, 0, 0, "stats: of the images in gray" },
    KEY_JSON,
    { 0 },
};

const struct command command_data = {
    .name = "data",
    .synopsis = "inspect TABLE... | split TABLE -o DIR | stats TABLE | show TABLE | synth KIND -o DIR",
    .doc =
        "Look before you train; make data sets to try things on.\n\n"
        "inspect  decodes everything: what is unreadable, there twice, in two tables (several are splits of one data\n"
        "         set), turned by EXIF; classes, sizes, labels of masks\n"
        "split    train.csv, val.csv and test.csv, each class divided for itself; the same seed, the same split\n"
        "stats    mean and deviation of each channel, 0 .. 1, as a normalize step takes them\n"
        "show     a contact sheet with masks, boxes and classes\n"
        "synth    draws digits (a folder a class), shapes (with boxes) or scenes (streets with masks)\n\n"
        "TABLE is what tenrec score takes.",
    .examples = "  tenrec data synth scenes -o streets -n 200\n"
                "  tenrec data inspect streets/table.csv\n"
                "  tenrec data split pets/ -o lists --parts 0.7,0.2,0.1 --seed 7\n"
                "  tenrec data show streets/table.csv -o look.png\n",
    .min_words = 1,
    .max_words = -1,
    .keys = keys,
    .run = run,
};
