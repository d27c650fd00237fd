/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONV_CUDA_CUDNN_RUN_H
#define CONV_CUDA_CUDNN_RUN_H

#include "conv/cuda/cudnn_place.h"

extern const struct cvl_algo cvl_algo_cudnn;

cvl_status cvl_cudnn_init(cvl_plan *plan);
cvl_status cvl_cudnn_run(const cvl_plan *plan, const cvl_conv_args *args, void *workspace);
void       cvl_cudnn_fini(cvl_plan *plan);

#endif
