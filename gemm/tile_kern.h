/* SPDX-License-Identifier: Apache-2.0
 * What the files of the micro-kernel share, once per ISA level. */
#ifndef GEMM_TILE_KERN_H
#define GEMM_TILE_KERN_H

#include "base/vec_math.h"
#include "gemm/tile.h"

#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

/* sums: of t->rows rows from row `first` on. */
void CVL_KERN(cvl_tile_finish_at)(const struct cvl_tile *tile, ptrdiff_t first, const float *sums, ptrdiff_t sums_row);
void CVL_KERN(cvl_tile_finish)(const struct cvl_tile *tile, const float *sums, ptrdiff_t sums_row);
void CVL_KERN(cvl_tile_copy)(const struct cvl_copy *copy);
void CVL_KERN(cvl_tile_zero)(float *to, ptrdiff_t to_row, int rows, int lanes);

CVL_INLINE int at_most(int value, int limit) { return value < limit ? value : limit; }

#endif
