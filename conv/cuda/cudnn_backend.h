/* SPDX-License-Identifier: Apache-2.0
 * What the graph interface of cuDNN consists of: descriptors with attributes, and the devices that it plans for. */
#ifndef CONV_CUDA_CUDNN_BACKEND_H
#define CONV_CUDA_CUDNN_BACKEND_H

#include "conv/cuda/cudnn_library.h"

/* Descriptors, made and given values; each call is nothing once *status is a failure. */
cudnnBackendDescriptor_t cvl_cudnn_make(cudnnBackendDescriptorType_t type, cvl_status *status);
void cvl_cudnn_set(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                   cudnnBackendAttributeType_t type, int64_t count, const void *values, cvl_status *status);
void cvl_cudnn_finalize(cudnnBackendDescriptor_t descriptor, const char *what, cvl_status *status);

/* At most `most` values of an attribute; *count may tell of more. */
cvl_status cvl_cudnn_get(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                         cudnnBackendAttributeType_t type, int64_t most, int64_t *count, void *values);

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

#endif
