/* SPDX-License-Identifier: Apache-2.0
 * Which lane of a warp holds what of a 16 x 8 product of the tensor cores (PTX ISA, mma.m16n8k8 .tf32 and .m16n8k16
 * .f16 and .bf16): in bytes the two are the same, a row of a and of b is 32 bytes of the reduction.
 *
 * One ldmatrix.x4 brings the fragment of 16 rows as four registers of 8 rows by 16 bytes. Of a they are rows 0-7 and
 * 8-15 of the lower bytes, then of the upper, as the product takes them; of b the lower and upper bytes of rows 0-7,
 * then of rows 8-15: two operands of 8 columns, each in neighbouring registers. */
#ifndef CONV_CUDA_CUDA_MMA_LANES_H
#define CONV_CUDA_CUDA_MMA_LANES_H

#include "conv/cuda/cuda_gather.h"

enum { CVL_MMA_M = 16, CVL_MMA_N = 8, CVL_MMA_SLICES = CVL_TILE_DEPTH_BYTES / 32 };   /* of a product's depth */

enum cvl_mma_side { CVL_MMA_A, CVL_MMA_B };

/* Which half of the 16 rows, and of the 32 bytes, `lane` points its ldmatrix at. */
CVL_HD int cvl_mma_rows_half(enum cvl_mma_side side, int lane)
{
    return side == CVL_MMA_A ? lane >> 3 & 1 : lane >> 4;
}

CVL_HD int cvl_mma_bytes_half(enum cvl_mma_side side, int lane)
{
    return side == CVL_MMA_A ? lane >> 4 : lane >> 3 & 1;
}

/* The byte of the tile at which it points, for the 16 rows from `row` on at slice `slice` of the tile's depth, of 32
 * bytes: by rows, and by columns (with .trans). */
CVL_HD int cvl_mma_from_rows(enum cvl_mma_side side, int row, int slice, int lane)
{
    return cvl_tile_by_rows(row + cvl_mma_rows_half(side, lane) * 8 + (lane & 7),
                            slice * 2 + cvl_mma_bytes_half(side, lane));
}

CVL_HD int cvl_mma_from_columns(enum cvl_mma_side side, int rows, int row, int slice, int lane)
{
    return cvl_tile_by_columns(rows, row / 8 + cvl_mma_rows_half(side, lane),
                               slice * 16 + cvl_mma_bytes_half(side, lane) * 8 + (lane & 7));
}

/* Sum number i of a lane: its row and column of the 16 x 8 product. */
CVL_HD int cvl_mma_row(int lane, int i)    { return lane / 4 + i / 2 * 8; }
CVL_HD int cvl_mma_column(int lane, int i) { return lane % 4 * 2 + i % 2; }

#endif
