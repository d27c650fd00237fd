/* SPDX-License-Identifier: Apache-2.0
 * A first layer as one launch of cuda_stem.h. Plain C, no CUDA call. */
#ifndef CONV_CUDA_CUDA_STEM_LISTS_H
#define CONV_CUDA_CUDA_STEM_LISTS_H

#include "conv/cuda/cuda_stem.h"
#include "conv/desc.h"

enum { CVL_STEM_CHANNELS_MOST = 4, CVL_STEM_STRIDE_MOST = 8 };

/* Why not, or NULL: the words of cuda-stem's reject, as far as the shape tells. */
const char          *cvl_stem_reject(const cvl_conv_desc *desc);

/* Of a problem that is not rejected. Tensors without addresses count as aligned. */
struct cvl_stem      cvl_stem_of(const cvl_conv_desc *desc, const cvl_conv_args *args, const void *filter);
struct cvl_stem_pack cvl_stem_pack_of(const cvl_conv_desc *desc, const void *from, void *to);
size_t               cvl_stem_packed_bytes(const cvl_conv_desc *desc);
int                  cvl_stem_depth(const cvl_conv_desc *desc);   /* of the reduction, with what fills it up */

#endif
