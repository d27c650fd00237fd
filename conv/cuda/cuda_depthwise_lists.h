/* SPDX-License-Identifier: Apache-2.0
 * A depthwise problem as launches. Plain C, no CUDA call. */
#ifndef CONV_CUDA_CUDA_DEPTHWISE_LISTS_H
#define CONV_CUDA_CUDA_DEPTHWISE_LISTS_H

#include "conv/cuda/cuda_depthwise.h"
#include "conv/desc.h"

struct cvl_dw_choice { int outs, slices; };   /* of a run; of BWD_FILTER's items */

/* The choice by shape, on so many multiprocessors. */
struct cvl_dw_choice cvl_dw_choose(const cvl_conv_desc *desc, int multiprocessors);
/* May runs be of so many outputs, with this problem's stride and dilation? */
bool cvl_dw_runs(const cvl_conv_desc *desc, int outs);

/* Fills the launch that begins at residue class *class and moves *class on; false: there is none. w: the filter as
 * (r, s, k) in f32; partial: BWD_FILTER's sums. Tensors without addresses count as aligned. */
bool cvl_dw_next(const cvl_conv_desc *desc, const struct cvl_dw_choice *choice, const cvl_conv_args *args,
                 const float *w, void *partial, int *class, struct cvl_dw_launch *launch);

/* Is the raw filter what the kernels read? */
bool cvl_dw_reads_raw(const cvl_conv_desc *desc);
struct cvl_list cvl_dw_filter_list(const cvl_conv_desc *desc);    /* (r, s, k) */
size_t cvl_dw_filter_bytes(const cvl_conv_desc *desc);            /* of (r, s, k) in f32 */

#endif
