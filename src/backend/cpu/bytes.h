/* bytes.h - layouts of the kernels for 8-bit numbers: images with their channels last, and packed weights. */
#ifndef TENREC_BACKEND_CPU_BYTES_H
#define TENREC_BACKEND_CPU_BYTES_H

#include "backend/cpu/cpu.h"

/* Weights as bytes_product.h wants them: 16-bit, less their zero points; output channels in panels, and channels of
 * the input in pairs; (groups, m / 16, taps, c / 2, 16, 2), all filled up with zeros. `deep`: one channel each
 * (depthwise), (m / 16, taps / 2, 32) in the order that bytes_deep() unpacks in. */
enum { BYTES_PANEL = 16 };
struct bytes_weight {
    int64_t groups, m, c, taps; /* m, c: of one group */
    int64_t m_step, c_step;     /* elements from one to the next in row-major memory; taps lie side by side */
    bool deep;
    const int16_t *zero; /* groups * m of them */
};
const struct layout *bytes_weight_layout(struct arena *a, const struct bytes_weight *w, struct err *e);
int64_t bytes_weight_panels(const struct bytes_weight *w); /* of one group; of all where it is deep */
int64_t bytes_weight_panel_size(const struct bytes_weight *w); /* 16-bit numbers of one */

/* The backend's layout_last(): of types of one byte. */
const struct layout *bytes_last(const struct tensor *t, struct arena *a, struct err *e);
/* (N, positions, C) in memory, whatever the type; NULL without error where that is row-major anyway. */
int bytes_last_layout(struct arena *a, const struct tensor *t, const struct layout **to, struct err *e);
/* Asks for input `i` with channels last, as it lies where it does already. */
int bytes_want_last(struct step *s, int i, struct err *e);
/* Asks for input `i` as it lies, if in a layout of this file or row-major; else row-major. */
const struct layout *bytes_keep(struct step *s, int i);

#endif
