/* unpack.c - what depends on quantized constants only is computed, now that no kernel takes it as it is. */
#include "pass/pass.h"

const struct pass pass_unpack = { "unpack", "compute what depends on quantized constants only", PASS_PLAN,
    pass_fold_unpacked };
