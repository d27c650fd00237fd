/* SPDX-License-Identifier: Apache-2.0
 * What surrounds the implicit GEMM: the ordered sum of a split reduction, which ends in the epilogue, and the filter
 * rewritten with its reduction contiguous. */
#include "conv/cuda/cuda_igemm.h"

#include <cuda_runtime.h>

enum { THREADS = 256 };

static __global__ void __launch_bounds__(THREADS) cvl_igemm_sum(const __grid_constant__ struct cvl_gemm g, int count)
{
    const int index = blockIdx.x * THREADS + threadIdx.x;
    if (index < count)
        cvl_gemm_sum_one(&g, index);
}

extern "C" int cvl_cuda_igemm_sum(const struct cvl_gemm *g, void *stream)
{
    const int count = (int)(g->groups * g->partial_rows * g->out_columns.count);
    const unsigned blocks = ((unsigned)count + THREADS - 1) / THREADS;
    cvl_igemm_sum<<<blocks, THREADS, 0, (cudaStream_t)stream>>>(*g, count);
    return (int)cudaGetLastError();
}

static __global__ void __launch_bounds__(THREADS)
cvl_repack_filter(const __grid_constant__ struct cvl_repack r, int count)
{
    const int index = blockIdx.x * THREADS + threadIdx.x;
    if (index >= count)
        return;
    const int group = index / r.list.count;
    const int from = cvl_list_site(&r.list, index % r.list.count).at + group * r.from_group;
    if (r.size == 4)
        ((uint32_t *)r.to)[index] = ((const uint32_t *)r.from)[from];
    else
        ((uint16_t *)r.to)[index] = ((const uint16_t *)r.from)[from];
}

extern "C" int cvl_cuda_repack(const struct cvl_repack *repack, void *stream)
{
    const int count = repack->groups * repack->list.count;
    const unsigned blocks = ((unsigned)count + THREADS - 1) / THREADS;
    cvl_repack_filter<<<blocks, THREADS, 0, (cudaStream_t)stream>>>(*repack, count);
    return (int)cudaGetLastError();
}
