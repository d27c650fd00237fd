/* SPDX-License-Identifier: Apache-2.0
 * Which lane of a warp holds what of a 16 x 8 product of the tensor cores (PTX ISA, mma.m16n8k8 .tf32 and .m16n8k16
 * .f16 and .bf16): in bytes the two are the same, a row of a and of b is 32 bytes of the reduction.
 *
 * One ldmatrix.x4 brings the fragment of 16 rows: registers 0 to 3 are rows 0-7 and 8-15 of the lower 16 bytes, then
 * of the upper. For a they are its four registers; for b registers 0 and 2 are one 8-column operand, 1 and 3 the
 * next. */
#ifndef CONV_CUDA_CUDA_MMA_LANES_H
#define CONV_CUDA_CUDA_MMA_LANES_H

#include "conv/cuda/cuda_gather.h"

enum { CVL_MMA_M = 16, CVL_MMA_N = 8, CVL_MMA_DEPTH_BYTES = 32 };

/* The byte of the tile at which `lane` points its ldmatrix, for the 16 rows from `row` on at half `half` of the
 * tile's 64 bytes: by rows, and by columns (with .trans). */
CVL_HD int cvl_mma_from_rows(int row, int half, int lane)
{
    return cvl_tile_by_rows(row + (lane & 15), half * 2 + (lane >> 4));
}

CVL_HD int cvl_mma_from_columns(int rows, int row, int half, int lane)
{
    return cvl_tile_by_columns(rows, row / 8 + (lane >> 3 & 1), half * 16 + (lane >> 4) * 8 + (lane & 7));
}

/* Sum number i of a lane: its row and column of the 16 x 8 product. */
CVL_HD int cvl_mma_row(int lane, int i)    { return lane / 4 + i / 2 * 8; }
CVL_HD int cvl_mma_column(int lane, int i) { return lane % 4 * 2 + i % 2; }

#endif
