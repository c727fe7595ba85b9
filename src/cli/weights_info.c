/* weights_info.c - a file of weights in words: its tensors, its parts, and what else it says. */
#include "cli/weights_info.h"

#include <stdio.h>
#include <string.h>

#include "base/plural.h"
#include "base/str.h"
#include "cli/opening.h"
#include "enc/json.h"
#include "format/weights/weights.h"
#include "graph/tensor.h"

static const char *shape_text(const struct tensor *t, struct arena *a)
{
    struct str s = str_in(a);
    str_addc(&s, '[');
    for (int i = 0; i < t->shape.rank; i++) str_addf(&s, "%s%lld", i ? "," : "", (long long)t->shape.dim[i]);
    str_addc(&s, ']');
    const char *text = str_done(&s);
    return text ? text : "";
}

static double bytes_of(const struct weights *w, bool chosen)
{
    double sum = 0;
    for (size_t i = 0; i < w->n; i++)
        if (!chosen || w->list[i].name) sum += (double)tensor_bytes(w->list[i].tensor);
    return sum;
}

static void print_parts(const struct weights *w)
{
    if (w->key[0]) printf("  %-12s %s, %zu of %zu tensors\n", "weights of", w->key, w->n_chosen, w->n);
    for (size_t i = 0; w->key[0] && i < w->groups.n; i++)
        printf("  %-12s %s, %zu tensor%s\n", i ? "" : "parts",
            w->groups.entries[i].key[0] ? w->groups.entries[i].key : "-",
            (size_t)(uintptr_t)w->groups.entries[i].value, plural((long long)(uintptr_t)w->groups.entries[i].value));
    for (size_t i = 0; i < w->facts.n; i++)
        printf("  %-12s %s = %s\n", i ? "" : "says", w->facts.entries[i].key, (const char *)w->facts.entries[i].value);
}

static void print_text(const struct weights *w, const char *path, struct arena *a)
{
    char size[32];
    size_t width = 6;
    for (size_t i = 0; i < w->n; i++) {
        size_t n = strlen(w->list[i].path);
        if (n > width) width = n < 60 ? n : 60;
    }
    printf("%s\n  %-12s weights without a structure: %s\n", path, "format", w->format);
    if (w->class_name) printf("  %-12s %s, pickled as a whole without its code\n", "class", w->class_name);
    printf("  %-12s %zu, %s\n", "tensors", w->n, human_bytes(size, bytes_of(w, false)));
    print_parts(w);
    const char *nets = weights_known_nets(w, a);
    if (nets[0]) printf("  %-12s %s\n", "fits", nets);
    printf("\n  %-*s %-10s %s\n", (int)width, "tensor", "type", "shape");
    for (size_t i = 0; i < w->n; i++) {
        const struct weight *x = &w->list[i];
        printf("  %-*s %-10s %s%s\n", (int)width, x->path, dtype_name(x->tensor->dtype), shape_text(x->tensor, a),
            x->quantized ? " quantized" : "");
    }
}

static json_t *tensors_json(const struct weights *w)
{
    json_t *list = json_array();
    for (size_t i = 0; i < w->n; i++) {
        const struct weight *x = &w->list[i];
        json_t *shape = json_array();
        for (int d = 0; d < x->tensor->shape.rank; d++)
            json_array_append_new(shape, json_integer((json_int_t)x->tensor->shape.dim[d]));
        json_array_append_new(list,
            json_pack("{s:s,s:s?,s:s,s:o,s:b}", "path", x->path, "name", x->name, "datatype",
                dtype_name(x->tensor->dtype), "shape", shape, "quantized", x->quantized != NULL));
    }
    return list;
}

static int print_as_json(const struct weights *w, const char *path, struct arena *a, struct err *e)
{
    json_t *facts = json_object();
    for (size_t i = 0; i < w->facts.n; i++)
        json_object_set_new(facts, w->facts.entries[i].key, json_string(w->facts.entries[i].value));
    json_t *root = json_pack("{s:s,s:s,s:s?,s:s,s:I,s:o,s:o}", "file", path, "format", w->format, "class",
        w->class_name, "key", w->key, "bytes", (json_int_t)bytes_of(w, true), "facts", facts, "tensors",
        tensors_json(w));
    TRY(json_own(a, root, e));
    return print_json(a, root, e);
}

int weights_print(const struct weights *w, const char *path, bool json, struct arena *a, struct err *e)
{
    if (json) return print_as_json(w, path, a, e);
    print_text(w, path, a);
    return 0;
}
