/* SPDX-License-Identifier: Apache-2.0
 * The tensor cores through mma.sync, which every GPU from 8.0 has. Independent accumulators hide the latency. */
#include "base/cuda/cuda_peak.h"

#include <cuda_runtime.h>

static constexpr int threads = CVL_CUDA_PEAK_THREADS;
static constexpr int chains = 8;              /* independent sums in one thread */
static constexpr int unrolled = 8;            /* multiply-adds on each, in one round */

static __global__ void __launch_bounds__(threads) f32_kernel(const cvl_cuda_peak peak)
{
    float sum[chains];
    const float a = 1.0f - 1e-7f * threadIdx.x, b = 1e-7f * blockIdx.x;
    for (int i = 0; i < chains; i++)
        sum[i] = i + threadIdx.x;
    for (int round = 0; round < peak.rounds; round++)
#pragma unroll
        for (int step = 0; step < unrolled; step++)
#pragma unroll
            for (int i = 0; i < chains; i++)
                sum[i] = fmaf(sum[i], a, b);
    float all = 0;
    for (int i = 0; i < chains; i++)
        all += sum[i];
    peak.sink[blockIdx.x * threads + threadIdx.x] = all;
}

struct tf32_mma {
    static constexpr double flops = 2.0 * 16 * 8 * 8;
    static __device__ void go(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2])
    {
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    }
};

struct bf16_mma {
    static constexpr double flops = 2.0 * 16 * 8 * 16;
    static __device__ void go(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2])
    {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    }
};

/* Random operands: zeros draw less power and run faster than any real data. */
template <class Mma> static __global__ void __launch_bounds__(threads) mma_kernel(const cvl_cuda_peak peak)
{
    float sum[chains][4] = {};
    unsigned a[4], b[2], random = 1 + blockIdx.x * threads + threadIdx.x;
    for (unsigned &bits : a)
        bits = (random = random * 1664525u + 1013904223u) & 0xbfffbfffu;   /* exponents below that of 2 */
    for (unsigned &bits : b)
        bits = (random = random * 1664525u + 1013904223u) & 0xbfffbfffu;
    for (int round = 0; round < peak.rounds; round++)
#pragma unroll
        for (int step = 0; step < unrolled; step++)
#pragma unroll
            for (int i = 0; i < chains; i++)
                Mma::go(sum[i], a, b);
    float all = 0;
    for (int i = 0; i < chains; i++)
        all += sum[i][0] + sum[i][1] + sum[i][2] + sum[i][3];
    peak.sink[blockIdx.x * threads + threadIdx.x] = all;
}

static __global__ void __launch_bounds__(threads) copy_kernel(float4 *to, const float4 *from, size_t count)
{
    constexpr int loads = 4;           /* in flight in one thread */
    const size_t stride = (size_t)gridDim.x * threads;
    size_t i = (size_t)blockIdx.x * threads + threadIdx.x;
    for (; i + (loads - 1) * stride < count; i += loads * stride) {
        float4 held[loads];
#pragma unroll
        for (int load = 0; load < loads; load++)
            held[load] = __ldcs(from + i + load * stride);
#pragma unroll
        for (int load = 0; load < loads; load++)
            __stcs(to + i + load * stride, held[load]);
    }
    for (; i < count; i += stride)
        to[i] = from[i];
}

template <class Mma> static int launch_mma(const cvl_cuda_peak *peak, void *stream, double *flops)
{
    *flops = Mma::flops * chains * unrolled * peak->rounds * peak->blocks * (threads / 32);
    mma_kernel<Mma><<<peak->blocks, threads, 0, (cudaStream_t)stream>>>(*peak);
    return (int)cudaGetLastError();
}

extern "C" int cvl_cuda_peak_f32(const struct cvl_cuda_peak *peak, void *stream, double *flops)
{
    *flops = 2.0 * chains * unrolled * peak->rounds * peak->blocks * threads;
    f32_kernel<<<peak->blocks, threads, 0, (cudaStream_t)stream>>>(*peak);
    return (int)cudaGetLastError();
}

extern "C" int cvl_cuda_peak_tf32(const struct cvl_cuda_peak *peak, void *stream, double *flops)
{
    return launch_mma<tf32_mma>(peak, stream, flops);
}

extern "C" int cvl_cuda_peak_bf16(const struct cvl_cuda_peak *peak, void *stream, double *flops)
{
    return launch_mma<bf16_mma>(peak, stream, flops);
}

extern "C" int cvl_cuda_peak_copy(void *to, const void *from, size_t bytes, int blocks, void *stream)
{
    copy_kernel<<<blocks, threads, 0, (cudaStream_t)stream>>>((float4 *)to, (const float4 *)from, bytes / 16);
    return (int)cudaGetLastError();
}
