/* tables.c - the row of a layer or an operation by its name. */
#include <string.h>

#include "format/keras/ops.h"

#define X(family) extern const struct layer_row keras_layers_##family[];
#include "format/keras/keras_layers.h"
#undef X
#define X(family) extern const struct layer_row keras_ops_##family[];
#include "format/keras/keras_ops.h"
#undef X

static const struct layer_row *const layers[] = {
#define X(family) keras_layers_##family,
#include "format/keras/keras_layers.h"
#undef X
    NULL
};
static const struct layer_row *const ops[] = {
#define X(family) keras_ops_##family,
#include "format/keras/keras_ops.h"
#undef X
    NULL
};

static bool has_word(const char *words, const char *word, size_t len)
{
    for (; *words; words += strcspn(words, " "), words += *words == ' ')
        if (strcspn(words, " ") == len && !strncmp(words, word, len)) return true;
    return false;
}

static const struct layer_row *find(const struct layer_row *const *tables, const char *name)
{
    size_t len = strlen(name);
    if (!len || strchr(name, ' ')) return NULL;
    for (; *tables; tables++)
        for (const struct layer_row *r = *tables; r->name; r++)
            if (has_word(r->name, name, len)) return r;
    return NULL;
}

const struct layer_row *layer_row_find(const char *class_name)
{
    return find(layers, class_name);
}

const struct layer_row *op_row_find(const char *name)
{
    const struct layer_row *r = find(ops, name);
    const char *dot = strrchr(name, '.'); /* tf.math.multiply */
    char snake[64];
    if (!r && dot) r = find(ops, dot + 1);
    snake_case(dot ? dot + 1 : name, snake, sizeof snake);
    return r || !is_activation(snake) ? r : find(ops, "(activation)"); /* one row for all of them */
}

/* The i-th row that a file can name; *i counts down over tables. */
static bool row_at(const struct layer_row *const *tables, const char *kind, size_t *i, struct format_item *out)
{
    for (; *tables; tables++)
        for (const struct layer_row *r = *tables; r->name; r++) {
            if (r->name[0] == '(' || (*i)--) continue;
            *out = (struct format_item){ kind, r->name, strlen(r->name) };
            return true;
        }
    return false;
}

bool keras_knows(size_t i, struct format_item *out)
{
    if (row_at(layers, "layers", &i, out)) return true;
    const char *activation = NULL;
    size_t n = 0;
    while (activation_at(n)) n++;
    if (i >= n) return i -= n, row_at(ops, "operations of Keras 3 and functions of tf.keras", &i, out);
    activation = activation_at(i);
    *out = (struct format_item){ "activations", activation, strlen(activation) };
    return true;
}
