/* panel.h - the layout of weights that product.h multiplies by. */
#ifndef TENREC_BACKEND_CPU_PANEL_H
#define TENREC_BACKEND_CPU_PANEL_H

#include "backend/cpu/product.h"

extern const struct backend backend_cpu;

/* A weight (..., k) of `matrices` times n rows: each matrix transposed, (k, n), and packed. Or, for winograd.h, a
 * weight (n, k, 3, 3) as so many matrices; there is no way back from it. */
struct panel_layout {
    struct layout base;
    int64_t matrices, n, k;
    bool winograd;
};
const struct layout *panel_layout(struct arena *a, int64_t matrices, int64_t n, int64_t k, struct err *e);

const struct layout *panel_layout_winograd(struct arena *a, int64_t n, int64_t k, struct err *e);

bool panel_same(const struct layout *a, const struct layout *b);
struct layout *panel_copy(const struct layout *l, struct arena *a, struct err *e);
int panel_reorder_prepare(struct step *s, const struct layout *from, const struct layout *to, struct err *e);
int panel_reorder_run(const struct step *s, struct err *e);

#endif
