/* SPDX-License-Identifier: Apache-2.0
 * The tensor cores through wgmma where the device is a Hopper, which alone reaches its peak (mma.sync: some two thirds),
 * and through mma.sync elsewhere. Independent sums hide the latency; operands are random, because zeros draw less power
 * and run faster than any real data. */
#include "base/cuda/cuda_peak.h"

#include <cuda_runtime.h>

static constexpr int threads = CVL_CUDA_PEAK_THREADS;
static constexpr int chains = 8;              /* independent sums in one thread */
static constexpr int unrolled = 8;            /* multiply-adds on each, in one round */

static __device__ unsigned next_random(unsigned &random)
{
    random = random * 1664525u + 1013904223u;
    return random & 0xbfffbfffu;              /* as one float or as two of 16 bits: below 2 */
}

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
    if (peak.sink)                            /* known to no compiler, so that nothing is left out */
        peak.sink[blockIdx.x * threads + threadIdx.x] = all;
}

/* ---- mma.sync ---- */

struct tf32_mma {
    static constexpr double flops = 2.0 * 16 * 8 * 8;
    static __device__ void go(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2])
    {
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
                     "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    }
};

struct bf16_mma {
    static constexpr double flops = 2.0 * 16 * 8 * 16;
    static __device__ void go(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2])
    {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                     "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    }
};

template <class Mma> static __global__ void __launch_bounds__(threads) mma_kernel(const cvl_cuda_peak peak)
{
    float sum[chains][4] = {};
    unsigned a[4], b[2], random = 1 + blockIdx.x * threads + threadIdx.x;
    for (unsigned &bits : a)
        bits = next_random(random);
    for (unsigned &bits : b)
        bits = next_random(random);
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

/* ---- wgmma ---- */

[[maybe_unused]] static constexpr int wgmma_words = (64 + 256) * 8;   /* a is 64 rows of 32 bytes, b is 256 */
static constexpr int wgmma_steps = 16;               /* in one round */
static constexpr double wgmma_flops[] = { 2.0 * 64 * 256 * 8, 2.0 * 64 * 256 * 16 };   /* tf32, bf16 */

#define SUMS \
    "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
    "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
    "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, " \
    "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
    "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, " \
    "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
    "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127}"
#define OUT4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define OUT16(i) OUT4(i), OUT4(i + 4), OUT4(i + 8), OUT4(i + 12)
#define OUT128 OUT16(0), OUT16(16), OUT16(32), OUT16(48), OUT16(64), OUT16(80), OUT16(96), OUT16(112)

/* Tiles without a swizzle: 8 rows of 16 bytes lie together, the second 16 bytes of them 128 bytes further, the next 8
 * rows 256 bytes further. */
[[maybe_unused]] static __device__ unsigned long long tile_descriptor(const unsigned *tile)
{
    const unsigned at = (unsigned)__cvta_generic_to_shared(tile);
    return (at >> 4 & 0x3fff) | 128ull / 16 << 16 | 256ull / 16 << 32;
}

template <bool bf16> static __global__ void __launch_bounds__(threads, 1) wgmma_kernel(const cvl_cuda_peak peak)
{
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    __shared__ alignas(128) unsigned tiles[wgmma_words];
    float d[128] = {};
    unsigned random = 1 + blockIdx.x * threads + threadIdx.x;
    for (int i = threadIdx.x; i < wgmma_words; i += threads)
        tiles[i] = next_random(random);
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    const unsigned long long a = tile_descriptor(tiles), b = tile_descriptor(tiles + 64 * 8);
    for (int round = 0; round < peak.rounds; round++) {
        asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
        for (int step = 0; step < wgmma_steps; step++)
            if constexpr (bf16)
                asm volatile("wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 " SUMS ", %128, %129, 1, 1, 1, 0, 0;"
                             : OUT128 : "l"(a), "l"(b));
            else
                asm volatile("wgmma.mma_async.sync.aligned.m64n256k8.f32.tf32.tf32 " SUMS ", %128, %129, 1, 1, 1;"
                             : OUT128 : "l"(a), "l"(b));
        asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
        asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
    }
    float all = 0;
#pragma unroll
    for (int i = 0; i < 128; i++)
        all += d[i];
    peak.sink[blockIdx.x * threads + threadIdx.x] = all;
#endif
}

/* ---- memory ---- */

static __global__ void __launch_bounds__(threads) copy_kernel(uint4 *to, const uint4 *from, size_t count)
{
    constexpr int loads = 4;                  /* in flight in one thread */
    const size_t stride = (size_t)gridDim.x * threads;
    size_t i = (size_t)blockIdx.x * threads + threadIdx.x;
    for (; i + (loads - 1) * stride < count; i += loads * stride) {
        uint4 held[loads];
#pragma unroll
        for (int load = 0; load < loads; load++)
            held[load] = from[i + load * stride];
#pragma unroll
        for (int load = 0; load < loads; load++)
            to[i + load * stride] = held[load];
    }
    for (; i < count; i += stride)
        to[i] = from[i];
}

static __global__ void __launch_bounds__(threads) random_kernel(unsigned *to, size_t count)
{
    const size_t stride = (size_t)gridDim.x * threads;
    unsigned random = 1 + 747796405u * (blockIdx.x * threads + threadIdx.x);
    for (size_t i = (size_t)blockIdx.x * threads + threadIdx.x; i < count; i += stride)
        to[i] = next_random(random);
}

/* ---- launchers ---- */

template <class Mma> static int launch_mma(const cvl_cuda_peak *peak, void *stream, double *flops)
{
    constexpr bool bf16 = Mma::flops > tf32_mma::flops;
    const double warps = (double)peak->blocks * (threads / 32);
    if (peak->wgmma) {
        *flops = wgmma_flops[bf16] * wgmma_steps * peak->rounds * warps / 4;
        wgmma_kernel<bf16><<<peak->blocks, threads, 0, (cudaStream_t)stream>>>(*peak);
    } else {
        *flops = Mma::flops * chains * unrolled * peak->rounds * warps;
        mma_kernel<Mma><<<peak->blocks, threads, 0, (cudaStream_t)stream>>>(*peak);
    }
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
    copy_kernel<<<blocks, threads, 0, (cudaStream_t)stream>>>((uint4 *)to, (const uint4 *)from, bytes / 16);
    return (int)cudaGetLastError();
}

extern "C" int cvl_cuda_peak_random(void *to, size_t bytes, int blocks, void *stream)
{
    random_kernel<<<blocks, threads, 0, (cudaStream_t)stream>>>((unsigned *)to, bytes / 4);
    return (int)cudaGetLastError();
}
