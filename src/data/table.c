/* table.c - opens tables, finds out what their columns mean, and gives rows in order or by number. */
#include "data/table.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/str.h"
#include "data/table_kinds.h"

enum { FORGET_ROWS = 256 };

#define X(name) extern const struct table_kind table_##name;
#include "data/table_list.h"
#undef X
static const struct table_kind *const kinds[] = {
#define X(name) &table_##name,
#include "data/table_list.h"
#undef X
};

static const char *const role_names[] = {
#define X(name, text) #text,
    ROLE_LIST(X)
#undef X
};

/* Names that people give to columns, where nothing else is said; the first of a role that is there counts. */
static const struct {
    enum role role;
    const char *names[24];
} usual[] = {
    { ROLE_IMAGE, { "image", "img", "path", "file", "filename", "filepath", "image_path", "img_path", "_image_", "jpg",
                      "jpeg", "png", "webp", "tif", "tiff", "bmp", "gif", "ppm", "pgm", "jp2", "j2k" } },
    { ROLE_MASK, { "mask", "mask_path", "labelmap", "mask.png", "seg.png", "seg" } },
    { ROLE_LABEL, { "label", "class", "target", "category", "_label_", "cls" } },
    { ROLE_BOXES, { "boxes", "bbox", "boxes_path", "label_path", "boxes.txt", "boxes.json" } },
    { ROLE_ID, { "id", "_id_", "key", "__key__" } },
};
enum { N_USUAL = sizeof usual / sizeof *usual };

int table_add_column(struct table *t, const char *name, enum role role, struct err *e)
{
    struct column c = { arena_strdup(t->arena, name), role, -1, 0 };
    if (t->n_columns >= TABLE_COLUMNS_MAX)
        return fail(e, ERR_DATA, "%s: more than %d columns", t->path, TABLE_COLUMNS_MAX);
    if (!c.name || !ARRAY_PUSH(t->arena, t->columns, t->n_columns, t->cap_columns, c)) return fail_nomem(e);
    t->said = t->said || role != ROLE_OTHER;
    return 0;
}

int table_find_column(const struct table *t, const char *name)
{
    for (size_t i = 0; i < t->n_columns; i++)
        if (!strcmp(t->columns[i].name, name)) return (int)i;
    return -1;
}

const char *table_usual_name(const char *name, bool near)
{
    for (size_t i = 0; i < N_USUAL; i++) {
        size_t n = 0;
        for (; usual[i].names[n]; n++)
            if (!strcasecmp(usual[i].names[n], name)) return usual[i].names[n];
        const char *closest = near ? str_closest(name, usual[i].names, n) : NULL;
        if (closest) return closest;
    }
    return NULL;
}

static bool fits(const char *name, const char *pattern)
{
    return !strcasecmp(name, pattern) || !fnmatch(pattern, name, 0);
}

bool table_says(const struct table *t, const char *name)
{
    const char *const *said = t->options.columns;
    char pattern[256];
    for (size_t i = 0; said && said[i]; i++)
        for (const char *p = said[i], *end; *p; p = end + (*end == ',')) {
            end = p + strcspn(p, ",");
            const char *equals = memchr(p, '=', (size_t)(end - p));
            if (equals) p = equals + 1;
            snprintf(pattern, sizeof pattern, "%.*s", (int)(end - p), p);
            if (fits(name, pattern)) return true;
        }
    return false;
}

int table_map(struct table *t, const char *path, struct bytes *out, struct err *e)
{
    TRY(file_map(t->arena, path, out, e));
    if (t->n_maps < TABLE_MAPS) t->maps[t->n_maps++] = *out;
    return 0;
}

const char *table_column_list(const struct table *t, struct arena *a)
{
    struct str all = str_in(a);
    for (size_t i = 0; i < t->n_columns && i < 40; i++) {
        const char *name = t->columns[i].name;
        str_addf(&all, "%s%s", i ? ", " : "", name[0] ? name : "one without a name");
    }
    if (t->n_columns > 40) str_add(&all, ", ...");
    return str_done(&all);
}

static int no_column(const struct table *t, const char *name, struct err *e)
{
    const char **names = ARENA_ARRAY(t->arena, t->n_columns + 1, const char *);
    TRY_MEM(names, e);
    for (size_t i = 0; i < t->n_columns; i++) names[i] = t->columns[i].name;
    const char *near = str_closest(name, names, t->n_columns), *list = table_column_list(t, t->arena);
    TRY_MEM(list, e);
    if (near) return fail(e, ERR_USAGE, "%s: no column \"%s\"; did you mean \"%s\"?", t->path, name, near);
    return fail(e, ERR_USAGE, "%s: no column \"%s\"; there are: %s", t->path, name, list);
}

static int find_input(const struct table *t, const char *name)
{
    const char *const *inputs = t->options.inputs;
    for (int i = 0; inputs && inputs[i]; i++)
        if (!strcmp(inputs[i], name)) return i;
    return -1;
}

static int assign(struct table *t, const char *pattern, enum role role, int input, struct err *e)
{
    bool any = false;
    int place = 0;
    for (size_t i = 0; i < t->n_columns; i++)
        if (t->columns[i].place > place) place = t->columns[i].place;
    for (size_t i = 0; i < t->n_columns; i++) {
        struct column *c = &t->columns[i];
        if (!fits(c->name, pattern)) continue;
        *c = (struct column){ c->name, role, input, ++place };
        any = true;
    }
    return any ? 0 : no_column(t, pattern, e);
}

/* The role that a text begins with, before ':' or '='; N_ROLES: none. */
static enum role role_at(const char *text)
{
    size_t word = strcspn(text, ":=,");
    enum role role = 0;
    while (role < N_ROLES && (strlen(role_names[role]) != word || strncmp(role_names[role], text, word))) role++;
    return text[word] == ':' || text[word] == '=' ? role : N_ROLES;
}

/* One role of table_options.columns with its names; `said`: the roles before it, as bits. */
static int assign_said(struct table *t, const char *text, unsigned *said, struct err *e)
{
    const char *equals = strchr(text, '=');
    size_t len = equals ? (size_t)(equals - text) : 0, word = strcspn(text, ":=");
    enum role role = role_at(text);
    if (!equals || !equals[1] || role == N_ROLES)
        return fail(e, ERR_USAGE,
            "columns: \"%s\": say ROLE=NAME, where ROLE is image, mask, label, boxes, numbers, sequence, id or other",
            text);
    int input = -1;
    if (word < len) {
        const char *name = arena_strndup(t->arena, text + word + 1, len - word - 1);
        TRY_MEM(name, e);
        if ((input = find_input(t, name)) < 0)
            return fail(e, ERR_USAGE, "columns: \"%s\": the model has no input \"%s\"", text, name);
    }
    for (size_t i = 0; i < t->n_columns && !(*said & 1u << role); i++) /* what is said replaces what was known */
        if (t->columns[i].role == role) t->columns[i].role = ROLE_OTHER;
    *said |= 1u << role;
    for (const char *p = equals + 1; *p;) {
        size_t n = strcspn(p, ",");
        const char *name = arena_strndup(t->arena, p, n);
        TRY_MEM(name, e);
        TRY(assign(t, name, role, input, e));
        p += n + (p[n] == ',');
    }
    return 0;
}

/* "image=a,b,label=c" says two. */
static int assign_all(struct table *t, const char *text, unsigned *said, struct err *e)
{
    for (const char *p = text, *end; *p; p = end + (*end == ',')) {
        end = p + strcspn(p, ",");
        while (*end && role_at(end + 1) == N_ROLES) end += 1 + strcspn(end + 1, ",");
        const char *one = arena_strndup(t->arena, p, (size_t)(end - p));
        TRY_MEM(one, e);
        TRY(assign_said(t, one, said, e));
    }
    return 0;
}

static void guess_role(struct table *t, enum role role, const char *const *names)
{
    if (table_column(t, role, 0) >= 0) return;
    for (; *names; names++)
        for (size_t i = 0; i < t->n_columns; i++) {
            if (strcasecmp(t->columns[i].name, *names) || t->columns[i].role != ROLE_OTHER) continue;
            t->columns[i].role = role;
            return;
        }
}

static bool is_fed(const struct table *t, int input)
{
    for (size_t i = 0; i < t->n_columns; i++)
        if (t->columns[i].input == input) return true;
    return false;
}

/* Columns that are called as an input is; then inputs that are left over, by role. */
static void feed_inputs(struct table *t)
{
    static const enum role feeding[] = { ROLE_IMAGE, ROLE_SEQUENCE };
    const char *const *inputs = t->options.inputs;
    for (size_t i = 0; inputs && i < t->n_columns; i++) {
        struct column *c = &t->columns[i];
        int input = find_input(t, c->name);
        if (c->input >= 0 || input < 0 || is_fed(t, input)) continue;
        c->input = input;
        bool tensor = t->options.tensors && t->options.tensors[input];
        if (c->role == ROLE_OTHER) c->role = tensor ? ROLE_SEQUENCE : ROLE_IMAGE;
    }
    for (int k = 0; inputs && inputs[k]; k++)
        for (size_t r = 0; r < sizeof feeding / sizeof *feeding; r++)
            for (size_t i = 0; i < t->n_columns && !is_fed(t, k); i++)
                if (t->columns[i].role == feeding[r] && t->columns[i].input < 0) t->columns[i].input = k;
}

/* Targets, then what feeds inputs; those that were named in their order, the others as they stand in the table. */
static bool comes_before(const struct column *a, const struct column *b)
{
    return a->input != b->input ? a->input < b->input : a->place < b->place;
}

static int order_numbers(struct table *t, struct err *e)
{
    TRY_MEM(t->numbers = ARENA_ARRAY(t->arena, t->n_columns, int), e);
    for (size_t i = 0; i < t->n_columns; i++) {
        const struct column *c = &t->columns[i];
        size_t at = t->n_numbers + t->n_fed;
        if (c->role != ROLE_NUMBERS) continue;
        for (; at > 0 && comes_before(c, &t->columns[t->numbers[at - 1]]); at--) t->numbers[at] = t->numbers[at - 1];
        t->numbers[at] = (int)i;
        ++*(c->input < 0 ? &t->n_numbers : &t->n_fed);
    }
    return 0;
}

int table_numbers(const struct table *t, size_t n)
{
    return n < t->n_numbers ? t->numbers[n] : -1;
}

static int find_roles(struct table *t, struct err *e)
{
    const char *const *said = t->options.columns;
    unsigned roles = 0;
    for (size_t i = 0; said && said[i]; i++) TRY(assign_all(t, said[i], &roles, e));
    for (size_t i = 0; i < N_USUAL; i++) guess_role(t, usual[i].role, usual[i].names);
    feed_inputs(t);
    return order_numbers(t, e);
}

static int read_head(const char *path, unsigned char *head, struct bytes *out, struct err *e)
{
    *out = (struct bytes){ head, 0 };
    if (!strcmp(path, "-") || file_is_dir(path) || !file_exists(path)) return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return fail(e, ERR_IO, "%s: cannot be read", path);
    ssize_t n = read(fd, head, TABLE_HEAD);
    close(fd);
    out->len = n > 0 ? (size_t)n : 0;
    return 0;
}

static int open_kind(struct table *t, struct err *e)
{
    unsigned char buffer[TABLE_HEAD];
    struct bytes head;
    TRY(read_head(t->path, buffer, &head, e));
    if (head.len >= 4 && !memcmp(head.data, "PAR1", 4))
        return fail(e, ERR_UNSUPPORTED,
            "%s: Parquet cannot be read (Debian has no C library for it): convert it to CSV or SQLite, "
            "as in: duckdb -c \"COPY (FROM '%s') TO 'table.csv'\"",
            t->path, t->path);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !t->kind; i++)
        if (kinds[i]->knows(t->path, head)) t->kind = kinds[i];
    if (!t->kind) return fail(e, ERR_IO, "%s: no such file or folder", t->path);
    if (t->kind == &table_one && str_ends(t->path, ".json"))
        return fail(e, ERR_DATA,
            "%s: a table in JSON is one object a line, in a file called .jsonl; of an array: jq -c '.[]' %s "
            ">table.jsonl",
            t->path, t->path);
    if (t->options.query && t->kind != &table_sqlite)
        return fail(e, ERR_USAGE, "%s: a query is for SQLite databases, this is a table of kind %s", t->path,
            t->kind->name);
    TRY(t->kind->open(t, e));
    return find_roles(t, e);
}

struct table *table_open(struct arena *a, const char *path, const struct table_options *o, struct err *e)
{
    struct table *t = ARENA_NEW(a, struct table);
    if (!t || !(t->path = arena_strdup(a, path))) return fail_nomem(e), NULL;
    t->arena = a;
    t->options = *o;
    t->count = -1;
    return open_kind(t, e) ? NULL : t;
}

const char *table_path(const struct table *t)
{
    return t->path;
}

const char *table_kind(const struct table *t)
{
    return t->kind->name;
}

size_t table_columns(const struct table *t)
{
    return t->n_columns;
}

const struct column *table_column_at(const struct table *t, size_t i)
{
    return &t->columns[i];
}

int table_column(const struct table *t, enum role role, size_t n)
{
    for (size_t i = 0; i < t->n_columns; i++)
        if (t->columns[i].role == role && n-- == 0) return (int)i;
    return -1;
}

int64_t table_count(const struct table *t)
{
    return t->count;
}

double table_share(const struct table *t)
{
    double size = t->count >= 0 ? (double)t->count : (double)t->size;
    return size > 0 ? (double)t->cursor.at / size : -1;
}

bool table_is_stream(const struct table *t)
{
    return t->kind->in_order_only;
}

uint64_t table_stamp(const struct table *t)
{
    struct stat st = { 0 };
    if (t->stamp || stat(t->path, &st)) return t->stamp;
    int64_t facts[] = { (int64_t)st.st_size, (int64_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec };
    return hash_bytes(facts, sizeof facts);
}

/* Texts of these roles name files. Boxes and sequences may also stand in the cell itself. */
static bool is_file(const struct table *t, const struct column *c, const struct cell *cell)
{
    if (!cell->text || !cell->text[0] || cell->bytes.data || cell->array) return false;
    if (c->role == ROLE_IMAGE || c->role == ROLE_MASK) return true;
    if (c->role != ROLE_BOXES && c->role != ROLE_SEQUENCE) return false;
    return cell->text[strspn(cell->text, "0123456789.+-eE,; \t\r\n[{")] != 0 && cell->text[0] != '[';
}

static int finish_row(const struct table *t, struct arena *a, struct row *row, struct err *e)
{
    int id = table_column(t, ROLE_ID, 0), image = table_column(t, ROLE_IMAGE, 0);
    for (size_t i = 0; i < t->n_columns; i++) {
        struct cell *c = &row->cells[i];
        if (!is_file(t, &t->columns[i], c)) continue;
        bool relative = t->folder && strcmp(t->folder, ".");
        c->path = relative ? file_join(a, t->folder, c->text) : c->text;
        TRY_MEM(c->path, e);
    }
    if (id >= 0 && row->cells[id].text) row->id = row->cells[id].text;
    else if (image >= 0 && row->cells[image].text) row->id = row->cells[image].text;
    return 1;
}

static int read_row(
    const struct table *t, struct cursor *c, struct arena *a, int idle_ms, struct row *row, struct err *e)
{
    struct cursor start = *c;
    *row = (struct row){ .index = (int64_t)start.row, .cells = ARENA_ARRAY(a, t->n_columns, struct cell) };
    row->id = arena_printf(a, "%llu", (unsigned long long)start.row + 1);
    if (!row->cells || !row->id) return fail_nomem(e);
    int got = t->kind->read((struct table *)(uintptr_t)t, c, a, row->cells, idle_ms, e);
    if (got == 0 || got == 2 || got == ERR_NOMEM) return got;
    c->row = start.row + 1;
    row->where = t->lines ? arena_printf(a, "%s:%llu", t->path, (unsigned long long)c->begun)
                          : arena_printf(a, "%s: row %s", t->path, row->id);
    TRY_MEM(row->where, e);
    return got < 0 ? got : finish_row(t, a, row, e);
}

int table_next(struct table *t, struct arena *a, int idle_ms, struct row *row, struct err *e)
{
    if (t->cursor.row % FORGET_ROWS == FORGET_ROWS - 1)
        for (size_t i = 0; i < t->n_maps; i++) file_forget(t->maps[i]);
    return read_row(t, &t->cursor, a, idle_ms, row, e);
}

int table_row(struct table *t, int64_t i, struct arena *a, struct row *row, struct err *e)
{
    if (i < 0 || i >= t->count) return fail(e, ERR_USAGE, "%s: no row %lld", t->path, (long long)i);
    struct cursor c = t->index ? t->index[i] : (struct cursor){ .at = (uint64_t)i, .row = (uint64_t)i };
    return read_row(t, &c, a, -1, row, e);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool whole(const char *text, long *out)
{
    char *end;
    *out = strtol(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && !*end && *out <= 65535;
}

/* The names of classes from all labels met (a set). */
static int name_classes(struct table *t, const struct map *labels, struct err *e)
{
    long largest = -1, n;
    bool numbers = true;
    for (size_t i = 0; i < labels->n; i++) {
        numbers = numbers && whole(labels->entries[i].key, &n);
        if (numbers && n > largest) largest = n;
    }
    t->classes.n = numbers ? (size_t)(largest + 1) : labels->n;
    t->classes.names = ARENA_ARRAY(t->arena, t->classes.n, const char *);
    TRY_MEM(t->classes.names, e);
    for (size_t i = 0; i < t->classes.n; i++) {
        t->classes.names[i] = numbers ? arena_printf(t->arena, "%zu", i) : labels->entries[i].key;
        TRY_MEM(t->classes.names[i], e);
    }
    if (!numbers) qsort(t->classes.names, t->classes.n, sizeof *t->classes.names, by_bytes);
    return 0;
}

/* One row of the pass that indexes: 1 to go on. */
static int index_row(struct table *t, struct cursor *c, struct arena *scratch, struct map *labels, struct err *e)
{
    struct err bad = { 0 };
    struct row row;
    struct cursor start = *c;
    int label = table_column(t, ROLE_LABEL, 0), got = read_row(t, c, scratch, -1, &row, &bad);
    if (got == 0) return 0;
    if (got < 0 && got != ERR_DATA) return fail(e, got, "%s", bad.text);
    if (t->count < 0 && !ARRAY_PUSH(t->arena, t->index, t->n_index, t->cap_index, start)) return fail_nomem(e);
    const char *text = got > 0 && label >= 0 ? row.cells[label].text : NULL;
    if (text && text[0] && !map_find(labels, text) && !map_set(labels, text, NULL)) return fail_nomem(e);
    return 1;
}

int table_index(struct table *t, struct err *e)
{
    if (t->kind->in_order_only)
        return fail(
            e, ERR_USAGE, "%s: rows that come one by one cannot be read in any order: put them into a file", t->path);
    bool classes = table_column(t, ROLE_LABEL, 0) >= 0 && !t->classes.names;
    if (t->count >= 0 && !classes) return 0;
    struct map labels = map_in(t->arena);
    struct cursor c = { 0 };
    int got = 1;
    while (got > 0) {
        struct arena scratch;
        arena_init(&scratch, t->arena->mem);
        for (int i = 0; i < 256 && got > 0; i++) got = index_row(t, &c, &scratch, &labels, e);
        arena_release(&scratch);
    }
    TRY(got);
    if (t->count < 0) t->count = (int64_t)t->n_index;
    return classes ? name_classes(t, &labels, e) : 0;
}

const struct classes *table_classes(const struct table *t)
{
    return &t->classes;
}

int table_set_classes(struct table *t, const char *const *names, size_t n, struct err *e)
{
    struct classes c = { ARENA_ARRAY(t->arena, n, const char *), n };
    TRY_MEM(c.names, e);
    for (size_t i = 0; i < n; i++) TRY_MEM(c.names[i] = arena_strdup(t->arena, names[i]), e);
    t->classes = c;
    return 0;
}
