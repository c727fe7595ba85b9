/* weights.c - files of weights: every tensor of the corpus by name, type, shape and the hash of its bytes. */
#include "tap.h"

#include <jansson.h>

#include "base/hash.h"
#include "base/report.h"
#include "base/str.h"
#include "format/weights/weights.h"
#include "graph/tensor.h"
#include "shared.h"
#include "tensors.h"

enum { FILES_AT_LEAST = 69 };

static int read_weights(
    struct weights *w, struct arena *a, const char *path, const char *key, struct report *r, struct err *e)
{
    struct format_file file = { .path = path };
    if (!(file.blob = mapped_file(a, path, &file.bytes, e))) return e->code;
    return weights_read(w, a, &file, key, r, e);
}

static bool same_shape(const struct tensor *t, const char *text)
{
    char have[200] = "";
    size_t len = 0;
    for (int i = 0; i < t->shape.rank; i++)
        len += (size_t)snprintf(have + len, sizeof have - len, "%s%lld", i ? "x" : "", (long long)t->shape.dim[i]);
    return !strcmp(t->shape.rank ? have : "1", text); /* the tables write scalars so */
}

static const struct weight *find(const struct weights *w, const char *path)
{
    for (size_t i = 0; i < w->n; i++)
        if (!strcmp(w->list[i].path, path)) return &w->list[i];
    return NULL;
}

/* name, dtype, shape, sum, first, sha256 */
static bool same_line(const struct weights *w, char *line)
{
    char *cell[6] = { 0 };
    for (int i = 0; i < 6; i++) cell[i] = strsep(&line, "\t");
    if (!cell[5]) return true;
    const struct weight *x = find(w, cell[0]);
    char hash[65];
    if (!x) return printf("# no tensor %s\n", cell[0]), false;
    hash_sha256(x->tensor->data, (size_t)tensor_bytes(x->tensor), hash);
    if (strcmp(hash, cell[5]) || !same_shape(x->tensor, cell[2])) {
        printf("# %s differs: %s\n", cell[0], cell[2]);
        return false;
    }
    return true;
}

static bool same_table(struct arena *a, const struct weights *w, const char *tsv, size_t *n)
{
    struct bytes text;
    struct err e = { 0 };
    bool same = true;
    *n = 0;
    if (file_map(a, tsv, &text, &e)) return printf("# %s\n", e.text), false;
    char *rest = arena_strndup(a, (const char *)text.data, text.len), *line = strsep(&rest, "\n");
    while ((line = strsep(&rest, "\n")) != NULL) {
        *n += line[0] != 0;
        if (line[0]) same &= same_line(w, line);
    }
    if (w->n != *n) printf("# %zu tensors, %zu expected\n", w->n, *n);
    return same && w->n == *n;
}

struct tally {
    int files, right, tensors;
};

static void one(const char *folder, const char *name, const char *tsv, struct tally *t)
{
    struct arena a;
    struct err e = { 0 };
    struct weights w;
    size_t n = 0;
    arena_init(&a, NULL);
    struct report r = report_in(&a);
    const char *path = file_join(&a, folder, name);
    bool right = !read_weights(&w, &a, path, NULL, &r, &e) && same_table(&a, &w, tsv, &n);
    t->files++;
    t->right += right;
    t->tensors += (int)n;
    if (!right) printf("# wrong %s %s\n", path, e.text);
    arena_release(&a);
}

static void folder_of(const char *folder, struct tally *t)
{
    struct arena a;
    struct err e = { 0 };
    const char **names;
    size_t n;
    arena_init(&a, NULL);
    CHECK_OK(file_list(&a, folder, &names, &n, &e), &e);
    for (size_t i = 0; i < n; i++) {
        if (!str_ends(names[i], ".pt") && !str_ends(names[i], ".pth") && !str_ends(names[i], ".safetensors")) continue;
        const char *tsv = file_join(&a, folder, arena_printf(&a, "%s.tensors.tsv", names[i]));
        if (!file_exists(tsv)) tsv = file_join(&a, folder, "tensors.tsv");
        if (file_exists(tsv) && strcmp(names[i], "broken.pt")) one(folder, names[i], tsv, t);
    }
    arena_release(&a);
}

TEST(every_tensor_of_the_corpus)
{
    static const char *const kinds[] = { "state_dict", "pickle_model", "safetensors" };
    struct arena a;
    struct err e = { 0 };
    struct tally t = { 0 };
    const char **names;
    size_t n;
    if (!shared_dir()) SKIP("no corpus");
    arena_init(&a, NULL);
    for (int k = 0; k < 3; k++) {
        const char *kind = file_join(&a, file_join(&a, shared_dir(), "corpus"), kinds[k]);
        if (!file_is_dir(kind)) SKIP("no corpus");
        CHECK_OK(file_list(&a, kind, &names, &n, &e), &e);
        for (size_t i = 0; i < n; i++) folder_of(file_join(&a, kind, names[i]), &t);
    }
    printf("# %d of %d files, %d tensors\n", t.right, t.files, t.tensors);
    CHECK(t.right == t.files && t.files >= FILES_AT_LEAST);
    arena_release(&a);
}
