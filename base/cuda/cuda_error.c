/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cuda/cuda_error.h"

#include "base/error.h"

#include <cuda_runtime_api.h>

cvl_status cvl_cuda_check(int error, const char *what)
{
    if (error == cudaSuccess)
        return CVL_OK;
    cudaGetLastError();
    return cvl_fail(error == cudaErrorMemoryAllocation ? CVL_ENOMEM : CVL_EDEVICE, "%s: %s", what,
                    cudaGetErrorString((cudaError_t)error));
}
