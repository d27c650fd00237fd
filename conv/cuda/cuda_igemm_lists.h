/* SPDX-License-Identifier: Apache-2.0
 * A problem as launches of the implicit GEMM: index lists, tiles, and how operands are brought. Plain C, no CUDA
 * call. */
#ifndef CONV_CUDA_CUDA_IGEMM_LISTS_H
#define CONV_CUDA_CUDA_IGEMM_LISTS_H

#include "conv/cuda/cuda_igemm.h"
#include "conv/desc.h"

struct cvl_gemm_choice { enum cvl_gemm_unit unit; int tile, stages, splits; };

extern const struct cvl_gemm_tile cvl_gemm_tiles[2][CVL_GEMM_TILES];   /* by unit */

/* The sizes of the product of one group; of the largest part. */
struct cvl_gemm_extent { int64_t m, n, k; int parts; };
struct cvl_gemm_extent cvl_gemm_extent_of(const cvl_conv_desc *desc);

/* Fills the launch that begins at residue class *class and moves *class on; false: there is none. Tensors without
 * addresses count as aligned. args->packed stands for the filter where it is not NULL. */
bool cvl_gemm_next(const cvl_conv_desc *desc, const struct cvl_gemm_choice *choice, const cvl_conv_args *args,
                   void *workspace, int *class, struct cvl_gemm *gemm);

/* With all lists filled: how operands are brought and the output is stored, by the neighbours that lie together. */
void cvl_gemm_choose_vectors(struct cvl_gemm *gemm);

/* Bytes of partial sums: the most that one launch needs. */
size_t cvl_gemm_workspace(const cvl_conv_desc *desc, const struct cvl_gemm_choice *choice);

/* Is the filter's reduction strided in memory, so that a packed copy (g, n, r, s, k) is worth having? */
bool cvl_gemm_packs(const cvl_conv_desc *desc);
struct cvl_repack cvl_gemm_repack(const cvl_conv_desc *desc, const void *from, void *to);

#endif
