/* SPDX-License-Identifier: Apache-2.0
 * What is kept of cuDNN for each device as long as the process lives: handles, and what its heuristics said last. */
#ifndef CONV_CUDA_CUDNN_PLACE_H
#define CONV_CUDA_CUDNN_PLACE_H

#include "conv/cuda/cudnn_choice.h"

/* What the heuristics name for a problem on the ctx's device: remembered for the last few problems, because it takes
 * milliseconds and is asked for again and again. */
cvl_status cvl_cudnn_choices(const cvl_ctx *ctx, const cvl_conv_desc *desc, struct cvl_cudnn_choices *choices);

/* A plan on the ctx's device. */
cvl_status cvl_cudnn_plan_here(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant,
                               struct cvl_cudnn_plan *plan);

/* A handle is one thread's at a time: take one for a run, and give it back after the launch. */
cvl_status cvl_cudnn_handle_take(const cvl_ctx *ctx, cudnnHandle_t *handle);
void       cvl_cudnn_handle_give(const cvl_ctx *ctx, cudnnHandle_t handle);

#endif
