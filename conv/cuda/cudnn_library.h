/* SPDX-License-Identifier: Apache-2.0
 * cuDNN, found when it is first asked for: where CVL_CUDNN says (a file, or a folder with libcudnn.so.9), else where
 * the system's loader looks. */
#ifndef CONV_CUDA_CUDNN_LIBRARY_H
#define CONV_CUDA_CUDNN_LIBRARY_H

#include "cvl/base.h"

#include <cudnn.h>

#define CVL_CUDNN_FUNCTIONS(X)                                                                                        \
    X(cudnnGetVersion) X(cudnnGetErrorString) X(cudnnGetLastErrorString) X(cudnnCreate) X(cudnnDestroy)               \
    X(cudnnSetStream) X(cudnnBackendCreateDescriptor) X(cudnnBackendDestroyDescriptor) X(cudnnBackendFinalize)        \
    X(cudnnBackendSetAttribute) X(cudnnBackendGetAttribute) X(cudnnBackendExecute)

struct cvl_cudnn {
#define MEMBER(name) __typeof__(name) *name;
    CVL_CUDNN_FUNCTIONS(MEMBER)
#undef MEMBER
};

/* NULL when it is not to be had; the same for the life of the process. */
const struct cvl_cudnn *cvl_cudnn(void);
const char *cvl_cudnn_lacks(void);       /* why not, or NULL */
const char *cvl_cudnn_version(void);     /* "cuDNN 9.19.0", or "cuDNN" */

/* CVL_OK, or CVL_EUNSUP for what cuDNN does not do and CVL_EDEVICE for the rest, with cuDNN's own words. */
cvl_status cvl_cudnn_check(cudnnStatus_t status, const char *what);

#endif
