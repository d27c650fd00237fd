/* SPDX-License-Identifier: Apache-2.0
 * What meson tries nvcc on: a C++17 kernel and a host function with the runtime's headers. */
#include <cuda_runtime.h>

__global__ void try_kernel(float *x)
{
    if constexpr (sizeof(float) == 4)
        x[threadIdx.x] += 1;
}

extern "C" cudaError_t cvl_try_nvcc(float *x)
{
    try_kernel<<<1, 32>>>(x);
    return cudaGetLastError();
}
