/* SPDX-License-Identifier: Apache-2.0
 * The kernels of cuda-depthwise for one type, from what one thread does (cuda_depthwise.h). */
#ifndef CONV_CUDA_CUDA_DEPTHWISE_LAUNCH_CUH
#define CONV_CUDA_CUDA_DEPTHWISE_LAUNCH_CUH

#include "conv/cuda/cuda_depthwise_filter.h"

#include <cuda_runtime.h>

enum { CVL_DW_THREADS = 128 };

template <int TYPE, int VECTOR, int TAPS, int OUTS, int STEP>
static __global__ void __launch_bounds__(CVL_DW_THREADS, 3)
cvl_dw_data(const __grid_constant__ struct cvl_dw_launch g)
{
    const int part = blockIdx.y, thread = blockIdx.x * CVL_DW_THREADS + threadIdx.x;
    if (thread < g.part[part].threads)
        cvl_dw_data_thread(&g, part, thread, (cvl_dtype)TYPE, TAPS, OUTS, STEP, VECTOR);
}

template <int TYPE, int VECTOR, int TAPS, int OUTS, int STEP>
static __global__ void __launch_bounds__(CVL_DW_THREADS) cvl_dw_filter(const __grid_constant__ struct cvl_dw_launch g)
{
    const int thread = blockIdx.x * CVL_DW_THREADS + threadIdx.x;
    if (thread >= g.part[0].threads)
        return;   /* whole warps: threads are a multiple of 32 where lanes add up */
    const struct cvl_dw_share share = cvl_dw_share_of(&g, thread, TAPS);
    float sums[CVL_DW_TAPS_MOST][CVL_DW_VECTOR_MOST];
    cvl_dw_filter_thread(&g, &share, (cvl_dtype)TYPE, TAPS, OUTS, STEP, VECTOR, sums);
    if (VECTOR == 1 && !g.channels_last) {
        CVL_UNROLL_ALL
        for (int j = 0; j < TAPS; j++)
            for (int apart = CVL_DW_WARP / 2; apart > 0; apart /= 2)
                sums[j][0] += __shfl_xor_sync(0xffffffffu, sums[j][0], apart);
        if (thread % CVL_DW_WARP != 0)
            return;
    }
    cvl_dw_filter_store(&g, &share, TAPS, VECTOR, sums);
}

static __global__ void __launch_bounds__(CVL_DW_THREADS) cvl_dw_sum(const __grid_constant__ struct cvl_dw_launch g)
{
    const int index = blockIdx.x * CVL_DW_THREADS + threadIdx.x;
    if (index < g.dw.count)
        cvl_dw_filter_sum(&g, index);
}

static unsigned cvl_dw_blocks(int threads)
{
    return ((unsigned)threads + CVL_DW_THREADS - 1) / CVL_DW_THREADS;
}

template <int TYPE, int VECTOR, int TAPS, int OUTS, int STEP>
static int cvl_dw_launch_one(const struct cvl_dw_launch *g, bool filter, cudaStream_t stream)
{
    int most = 0;
    for (int i = 0; i < g->parts; i++)
        most = g->part[i].threads > most ? g->part[i].threads : most;
    if (!filter) {
        const dim3 blocks(cvl_dw_blocks(most), g->parts);
        cvl_dw_data<TYPE, VECTOR, TAPS, OUTS, STEP><<<blocks, CVL_DW_THREADS, 0, stream>>>(*g);
        return (int)cudaGetLastError();
    }
    cvl_dw_filter<TYPE, VECTOR, TAPS, OUTS, STEP>
        <<<cvl_dw_blocks(most), CVL_DW_THREADS, 0, stream>>>(*g);
    const cudaError_t error = cudaGetLastError();
    if (error == cudaSuccess)
        cvl_dw_sum<<<cvl_dw_blocks(g->dw.count), CVL_DW_THREADS, 0, stream>>>(*g);
    return (int)(error == cudaSuccess ? cudaGetLastError() : error);
}

/* Runs of 8, 4 or 2 at stride 1, of 4 at stride 2, of one for any stride and dilation. */
template <int TYPE, int VECTOR, int TAPS>
static int cvl_dw_launch_run(const struct cvl_dw_launch *g, bool filter, cudaStream_t stream)
{
    return g->outs == 8 ? cvl_dw_launch_one<TYPE, VECTOR, TAPS, 8, 1>(g, filter, stream)
         : g->outs == 4 && g->step == 2 ? cvl_dw_launch_one<TYPE, VECTOR, TAPS, 4, 2>(g, filter, stream)
         : g->outs == 4 ? cvl_dw_launch_one<TYPE, VECTOR, TAPS, 4, 1>(g, filter, stream)
         : g->outs == 2 ? cvl_dw_launch_one<TYPE, VECTOR, TAPS, 2, 1>(g, filter, stream)
         : cvl_dw_launch_one<TYPE, VECTOR, TAPS, 1, 1>(g, filter, stream);
}

template <int TYPE, int VECTOR>
static int cvl_dw_launch_taps(const struct cvl_dw_launch *g, bool filter, cudaStream_t stream)
{
    return g->taps == 3 ? cvl_dw_launch_run<TYPE, VECTOR, 3>(g, filter, stream)
         : g->taps == 5 ? cvl_dw_launch_run<TYPE, VECTOR, 5>(g, filter, stream)
         : cvl_dw_launch_run<TYPE, VECTOR, 7>(g, filter, stream);
}

#endif
