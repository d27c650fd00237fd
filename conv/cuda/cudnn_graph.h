/* SPDX-License-Identifier: Apache-2.0
 * A problem as a graph of cuDNN's operations: the convolution of the pass, then bias, residual and activation in
 * f32. */
#ifndef CONV_CUDA_CUDNN_GRAPH_H
#define CONV_CUDA_CUDNN_GRAPH_H

#include "conv/cuda/cudnn_backend.h"
#include "conv/desc.h"

/* What a variant pack calls the tensors. */
enum cvl_cudnn_uid { CVL_CUDNN_X = 1, CVL_CUDNN_W, CVL_CUDNN_Y, CVL_CUDNN_BIAS, CVL_CUDNN_RESIDUAL, CVL_CUDNN_VIRTUAL };

#define CVL_CUDNN_ALIGNMENT 16       /* bytes, of every tensor that is given to a run */
#define CVL_CUDNN_PARTS_MAX 24

struct cvl_cudnn_graph {
    cudnnBackendDescriptor_t graph;
    int                      part_count;
    cudnnBackendDescriptor_t part[CVL_CUDNN_PARTS_MAX];   /* all that it is made of, the graph last */
};

/* CVL_EUNSUP: cuDNN has no such operation. On failure nothing is left behind. */
cvl_status cvl_cudnn_graph_create(const struct cvl_cudnn_target *target, const cvl_conv_desc *desc,
                                  struct cvl_cudnn_graph *graph);
void       cvl_cudnn_graph_destroy(struct cvl_cudnn_graph *graph);

#endif
