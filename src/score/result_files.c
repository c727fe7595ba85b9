/* result_files.c - masks, overlays and tensors of one sample, in files named after it. */
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"
#include "data/arrays.h"
#include "data/image_ops.h"
#include "data/mask.h"
#include "data/resample.h"
#include "score/writers.h"

/* A sample's name as a path below a folder: the folder scored is cut off, so are roots and steps upwards. */
static const char *inside(const struct results *r, const char *id, struct arena *a)
{
    size_t root = r->o.root ? strlen(r->o.root) : 0;
    if (root && !strncmp(id, r->o.root, root)) id += root;
    struct str s = str_in(a);
    while (*id) {
        size_t len = strcspn(id, "/\\");
        bool skipped = !len || (len == 1 && id[0] == '.') || (len == 2 && id[0] == '.' && id[1] == '.');
        if (!skipped) {
            if (s.len) str_addc(&s, '/');
            str_addn(&s, id, len);
        }
        id += len + (id[len] != 0);
    }
    if (!s.len) str_add(&s, "sample");
    return str_done(&s);
}

static bool take_slot(uint64_t *table, size_t cap, uint64_t hash)
{
    size_t i = hash & (cap - 1);
    while (table[i] && table[i] != hash) i = (i + 1) & (cap - 1);
    if (table[i]) return false;
    return table[i] = hash, true;
}

/* Whether this name is new in this job; if so it is taken. 1, 0 or ERR_NOMEM. */
static int take_name(struct results *r, const char *name, struct err *e)
{
    uint64_t hash = hash_bytes(name, strlen(name)) | 1;
    if (r->n_taken * 2 >= r->cap_taken) {
        size_t cap = r->cap_taken ? r->cap_taken * 2 : 1024;
        uint64_t *table = ARENA_ARRAY(&r->arena, cap, uint64_t);
        TRY_MEM(table, e);
        for (size_t i = 0; i < r->cap_taken; i++)
            if (r->taken[i]) take_slot(table, cap, r->taken[i]);
        r->taken = table, r->cap_taken = cap;
    }
    bool fresh = take_slot(r->taken, r->cap_taken, hash);
    r->n_taken += fresh;
    return fresh;
}

/* FOLDER/photos/cat.png for the sample photos/cat.jpg; cat.jpg.png, then cat.jpg.12.png, where that name is taken. */
static int choose_name(struct results *r, const char *folder, const char *id, int64_t row, const char *middle,
    const char *ending, struct arena *a, const char **relative, struct err *e)
{
    const char *name = inside(r, id, a);
    TRY_MEM(name, e);
    const char *dot = strrchr(file_base(name), '.');
    int stem = dot && dot > file_base(name) ? (int)(dot - name) : (int)strlen(name);
    const char *const tries[] = {
        arena_printf(a, "%.*s%s%s", stem, name, middle, ending),
        arena_printf(a, "%s%s%s", name, middle, ending),
        arena_printf(a, "%s.%lld%s%s", name, (long long)row, middle, ending),
    };
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        const char *path = tries[i] ? file_join(a, folder, tries[i]) : NULL;
        TRY_MEM(path, e);
        *relative = tries[i];
        int fresh = take_name(r, path, e);
        if (fresh) return fresh < 0 ? fresh : 0;
    }
    return 0; /* the row's number makes the last one good enough */
}

static int open_file(struct file_writer *w, const char *folder, const char *relative, struct arena *a, struct err *e)
{
    const char *path = file_join(a, folder, relative), *dir = path ? file_dir(a, path) : NULL;
    if (!path || !dir) return fail_nomem(e);
    TRY(file_mkdirs(dir, e));
    return file_writer_open(w, a, path, e);
}

static int write_png(const char *folder, const char *relative, const struct image *img, struct arena *a, struct err *e)
{
    struct file_writer w;
    TRY(open_file(&w, folder, relative, a, e));
    if (!png_write(&w, img, e)) return file_writer_commit(&w, e);
    file_writer_abort(&w);
    return e->code;
}

/* The image under an overlay: the sample's own pixels, or what the model saw when the mask has that size. */
static int backdrop(const struct results *r, const struct scored *s, const struct answer *mask, struct image *img,
    struct arena *a, struct err *e)
{
    struct image decoded;
    TRY(row_image(s->table, s->source, table_column(s->table, ROLE_IMAGE, 0), a, NULL, &decoded, e));
    if (r->upright) TRY(image_orient(&decoded, a, &decoded, e));
    TRY(image_convert(img, a, &decoded, IMAGE_RGB, e));
    if (img->width == mask->width && img->height == mask->height) return 0;
    const struct image *seen = &s->from->seen;
    if (seen->pixels && seen->width == mask->width && seen->height == mask->height && seen->channels == 1)
        return image_convert(img, a, seen, IMAGE_RGB, e);
    return 0;
}

static int paint_mask(const struct results *r, const struct answer *mask, struct image *img, struct arena *a,
    struct err *e)
{
    uint8_t voc[256 * 3];
    size_t count = (size_t)img->width * (size_t)img->height;
    const int32_t *labels = mask->labels;
    if (img->width != mask->width || img->height != mask->height) {
        int32_t *resized = ARENA_ARRAY(a, count, int32_t);
        TRY_MEM(resized, e);
        TRY(resample_nearest(
            resized, img->width, img->height, mask->labels, mask->width, mask->height, sizeof *resized, NULL, a, e));
        labels = resized;
    }
    palette_voc(voc);
    return mask_overlay(img, labels, &(struct overlay){ voc, 256, r->o.alpha, 0, 255 }, e);
}

/* Three frames, one in the other, so that they are seen on large images. */
static void paint_boxes(const struct answer *w, struct image *img)
{
    uint8_t voc[256 * 3];
    palette_voc(voc);
    for (int64_t i = w->n; i-- > 0;) /* the best on top */
        for (int k = 0; k < 3; k++) {
            const double *b = w->box + 4 * i, frame[4] = { b[0] + k, b[1] + k, b[2] - k, b[3] - k };
            image_frame(img, frame, voc + (w->index[i] + 1) % 256 * 3);
        }
}

static int write_overlay(struct results *r, const struct scored *s, const struct answer *w, const char *relative,
    struct arena *a, struct err *e)
{
    struct image img;
    TRY(backdrop(r, s, w, &img, a, e));
    size_t bytes = (size_t)img.width * (size_t)img.height * 3;
    struct image copy = img; /* its pixels may be shared */
    TRY_MEM(copy.pixels = arena_alloc(a, bytes), e);
    memcpy(copy.pixels, img.pixels, bytes);
    if (w->kind == ANSWER_BOXES) paint_boxes(w, &copy);
    else TRY(paint_mask(r, w, &copy, a, e));
    return write_png(r->o.overlays, relative, &copy, a, e);
}

/* As the table names the file: from the table's own folder when it lies in there, else as the folder was given. */
static int shown(
    const struct results *r, const char *folder, const char *relative, struct arena *a, const char **out, struct err *e)
{
    const char *path = file_join(a, folder, relative);
    TRY_MEM(path, e);
    size_t dir = r->o.out ? (size_t)(file_base(r->o.out) - r->o.out) : 0;
    *out = dir && !strncmp(path, r->o.out, dir) ? path + dir : path;
    return 0;
}

static int write_mask(struct results *r, const struct scored *s, const struct answer *mask,
    const struct result_files *names, struct arena *a, struct result_files *files, struct err *e)
{
    if (r->o.masks && mask->kind == ANSWER_MASK) {
        struct image img;
        TRY(mask_to_image(&img, a, mask->labels, mask->width, mask->height, NULL, e));
        TRY(write_png(r->o.masks, names->mask, &img, a, e));
        TRY(shown(r, r->o.masks, names->mask, a, &files->mask, e));
    }
    bool image = table_column(s->table, ROLE_IMAGE, 0) >= 0 && s->from->original.width > 0;
    if (!r->o.overlays || !image) return 0;
    TRY(write_overlay(r, s, mask, names->overlay, a, e));
    return shown(r, r->o.overlays, names->overlay, a, &files->overlay, e);
}

static int write_tensor(struct results *r, const struct tensor *t, const char *name, struct arena *a,
    struct result_files *files, struct err *e)
{
    struct npy array;
    struct file_writer w;
    TRY(npy_from_tensor(&array, t, e));
    TRY(shown(r, r->o.tensors, name, a, &files->tensor, e));
    TRY(open_file(&w, r->o.tensors, name, a, e));
    if (!npy_write(&array, a, &w, e)) return file_writer_commit(&w, e);
    file_writer_abort(&w);
    return e->code;
}

/* A name that can be part of a file's name. */
static const char *file_word(struct arena *a, const char *name)
{
    char *word = arena_printf(a, ".%s", name);
    for (char *c = word ? word + 1 : word; c && *c; c++)
        if (strchr("/\\:*?\"<>|", *c)) *c = '_';
    return word;
}

int result_files_name(struct results *r, const char *id, int64_t row, size_t output, struct arena *scratch,
    struct result_files *names, struct err *e)
{
    const struct result_output *out = &r->outputs[output];
    const char *middle = r->n_shown > 1 ? file_word(scratch, out->name) : "";
    bool mask = out->kind == ANSWER_MASK, boxes = out->kind == ANSWER_BOXES;
    const struct {
        const char *folder, *ending, **name;
        bool wanted;
    } files[] = {
        { r->o.masks, ".png", &names->mask, mask },
        { r->o.overlays, ".png", &names->overlay, mask || boxes },
        { r->o.tensors, ".npy", &names->tensor, out->kind == ANSWER_TENSOR },
    };
    TRY_MEM(middle, e);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (files[i].folder && files[i].wanted)
            TRY(choose_name(r, files[i].folder, id, row, middle, files[i].ending, scratch, files[i].name, e));
    return 0;
}

int result_files_write(struct results *r, const struct scored *s, size_t output, struct arena *scratch,
    const struct result_files *names, struct result_files *files, struct err *e)
{
    const struct answer *answer = &s->answers[output];
    if (answer->kind == ANSWER_MASK || answer->kind == ANSWER_BOXES)
        return write_mask(r, s, answer, names, scratch, files, e);
    if (answer->kind != ANSWER_TENSOR || !r->o.tensors) return 0;
    return write_tensor(r, &answer->tensor, names->tensor, scratch, files, e);
}
