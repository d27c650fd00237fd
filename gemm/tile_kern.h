/* SPDX-License-Identifier: Apache-2.0
 * What the files of the micro-kernel share, once per ISA level. */
#ifndef GEMM_TILE_KERN_H
#define GEMM_TILE_KERN_H

#include "base/vec_math.h"
#include "gemm/tile.h"

#include <math.h>

/* sums: of t->rows rows from row `first` on. */
void CVL_KERN(cvl_tile_finish_at)(const struct cvl_tile *tile, ptrdiff_t first, const float *sums, ptrdiff_t sums_row);
void CVL_KERN(cvl_tile_finish)(const struct cvl_tile *tile, const float *sums, ptrdiff_t sums_row);
void CVL_KERN(cvl_tile_copy)(const struct cvl_copy *copy);
void CVL_KERN(cvl_tile_zero)(float *to, ptrdiff_t to_row, int rows, int lanes);

/* Activations that a minimum and a maximum can do, which is all that fits beside the sums: relu clips to [0, inf). */
CVL_INLINE bool clips(cvl_act act, const struct cvl_tile *t, float *lo, float *hi)
{
    *lo = act == CVL_ACT_CLIP ? t->lo : 0;
    *hi = act == CVL_ACT_CLIP ? t->hi : act == CVL_ACT_RELU6 ? 6 : INFINITY;
    return act == CVL_ACT_RELU || act == CVL_ACT_RELU6 || act == CVL_ACT_CLIP;
}

CVL_INLINE int at_most(int value, int limit) { return value < limit ? value : limit; }

#endif
