/* SPDX-License-Identifier: Apache-2.0
 * A problem as a graph of cuDNN's operations: the convolution of the pass, then bias, residual and activation in
 * f32. */
#ifndef CONV_CUDA_CUDNN_GRAPH_H
#define CONV_CUDA_CUDNN_GRAPH_H

#include "conv/cuda/cudnn_library.h"
#include "conv/desc.h"

/* For what a graph is planned: a device by its handle, or one that is only described (cuDNN 9.8). One of them is
 * set. */
struct cvl_cudnn_target {
    cudnnHandle_t            handle;
    cudnnBackendDescriptor_t properties;
};

/* Of a device's properties as cuDNN prints them. CVL_EUNSUP: this cuDNN plans for no absent device. */
cvl_status cvl_cudnn_target_described(const char *json, struct cvl_cudnn_target *target);
/* A device's properties as such JSON, with its NUL; CVL_EUNSUP also when `size` bytes do not hold it. */
cvl_status cvl_cudnn_describe(int device, char *json, size_t size);
void       cvl_cudnn_target_destroy(struct cvl_cudnn_target *target);

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

/* Descriptors, made and given values; each call is nothing once *status is a failure. */
cudnnBackendDescriptor_t cvl_cudnn_make(cudnnBackendDescriptorType_t type, cvl_status *status);
void cvl_cudnn_set(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                   cudnnBackendAttributeType_t type, int64_t count, const void *values, cvl_status *status);
void cvl_cudnn_finalize(cudnnBackendDescriptor_t descriptor, const char *what, cvl_status *status);

#endif
