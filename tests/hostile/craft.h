/* craft.h - files made to be wicked: every one is an attack, and those that cannot be a model must be refused. */
#ifndef TENREC_TESTS_HOSTILE_CRAFT_H
#define TENREC_TESTS_HOSTILE_CRAFT_H

#include <stdbool.h>
#include <stddef.h>

void craft_onnx_graphs(const char *path);   /* cycles, names, nesting, functions that grow, tensors that lie */
void craft_onnx_nodes(const char *path);    /* attributes and operands out of all measure */
void craft_onnx_external(const char *path); /* data beside the model, or so it says */
void craft_torch_code(const char *path);    /* programs */
void craft_torch_pickles(const char *path); /* and what they are said to be made of */

/* A zip archive, entry by entry. */
struct zip_made {
    unsigned char *data, *directory;
    size_t len, directory_len;
    unsigned n;
};
/* `size`: what the directory says the data inflate to, -1: the truth. */
void zip_made_add(struct zip_made *z, const char *name, const void *data, size_t len, bool deflated, long size);
void zip_made_finish(struct zip_made *z); /* z->data, z->len are the archive; free(z->data) */

#endif
