/* SPDX-License-Identifier: Apache-2.0
 * The first layer by mma.sync. A block brings its 64 filters once and goes round the tiles; several blocks share a
 * multiprocessor, so that one brings its patch while others multiply. */
#include "conv/cuda/cuda_mma.cuh"
#include "conv/cuda/cuda_stem.h"

#include <cuda_runtime.h>

static __device__ __forceinline__ void bring_filter(const struct cvl_stem &g, uint16_t *filter)
{
    const int chunks = cvl_stem_filter_bytes(&g) / 16;
    const uint4 *from = (const uint4 *)g.filter + (int64_t)blockIdx.y * chunks;
    for (int i = threadIdx.x; i < chunks; i += CVL_STEM_THREADS)
        ((uint4 *)filter)[i] = from[i];
}

template <class Type>
static __device__ __forceinline__ void multiply(const struct cvl_stem &g, const uint16_t *filter, const uint16_t *patch,
                                                float (*sums)[CVL_STEM_N][4])
{
    const int lane = threadIdx.x % 32, first = threadIdx.x / 32 * CVL_STEM_M * CVL_MMA_M, line = cvl_stem_line(&g);
    int pixel[CVL_STEM_M][2];
#pragma unroll
    for (int i = 0; i < CVL_STEM_M * 2; i++)
        pixel[i / 2][i % 2] = cvl_stem_pixel_at(&g, first + i * 8 + lane / 4);
    for (int depth = 0; depth < g.depth; depth += 16) {
        const int pair = cvl_stem_pair_at(&g, depth / 2 + lane % 4);
        const int next = cvl_stem_pair_at(&g, depth / 2 + 4 + lane % 4);
        uint32_t a[CVL_STEM_M][4], b[2];
#pragma unroll
        for (int i = 0; i < CVL_STEM_M; i++)
            cvl_stem_pixels(patch, pixel[i][0], pixel[i][1], pair, next, a[i]);
#pragma unroll
        for (int j = 0; j < CVL_STEM_N; j++) {
            cvl_stem_filters(filter, line, j * CVL_MMA_N, depth, lane, b);
#pragma unroll
            for (int i = 0; i < CVL_STEM_M; i++)
                cvl_mma(Type(), sums[i][j], a[i], b[0], b[1]);
        }
    }
}

static __device__ __forceinline__ void put(const float (*sums)[CVL_STEM_N][4], float *to)
{
    const int lane = threadIdx.x % 32, first = threadIdx.x / 32 * CVL_STEM_M * CVL_MMA_M;
#pragma unroll
    for (int i = 0; i < CVL_STEM_M; i++)
#pragma unroll
        for (int j = 0; j < CVL_STEM_N; j++)
#pragma unroll
            for (int e = 0; e < 4; e++)
                to[(first + i * CVL_MMA_M + cvl_mma_row(lane, e)) * CVL_STEM_LINE + j * CVL_MMA_N
                   + cvl_mma_column(lane, e)] = sums[i][j][e];
}

template <class Type>
static __global__ void __launch_bounds__(CVL_STEM_THREADS, 4) cvl_stem_tiles(const __grid_constant__ struct cvl_stem g)
{
    extern __shared__ __align__(16) char memory[];
    uint16_t *filter = (uint16_t *)memory, *patch = (uint16_t *)(memory + cvl_stem_filter_bytes(&g));
    bring_filter(g, filter);
    for (int tile = blockIdx.x; tile < g.tiles; tile += gridDim.x) {
        const struct cvl_stem_place place = cvl_stem_place_of(&g, tile);
        float sums[CVL_STEM_M][CVL_STEM_N][4] = {};
        cvl_stem_bring(&g, &place, threadIdx.x, patch);
        __syncthreads();
        multiply<Type>(g, filter, patch, sums);
        __syncthreads();   /* the sums take the patch's place */
        put(sums, (float *)patch);
        __syncthreads();
        cvl_stem_store(&g, &place, blockIdx.y, threadIdx.x, (const float *)patch);
        __syncthreads();   /* before the next patch */
    }
}

template <class Type>
static int launch(Type, const struct cvl_stem *g, int blocks, cudaStream_t stream)
{
    const int bytes = cvl_stem_shared_bytes(g);
    const cudaError_t error
        = cudaFuncSetAttribute(cvl_stem_tiles<Type>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    if (error != cudaSuccess)
        return (int)error;
    const dim3 grid(blocks, (g->k + CVL_STEM_K - 1) / CVL_STEM_K);
    cvl_stem_tiles<Type><<<grid, CVL_STEM_THREADS, bytes, stream>>>(*g);
    return (int)cudaGetLastError();
}

extern "C" int cvl_cuda_stem(const struct cvl_stem *g, int blocks, void *stream)
{
    return g->type == CVL_BF16 ? launch(cvl_bf16(), g, blocks, (cudaStream_t)stream)
                               : launch(cvl_f16(), g, blocks, (cudaStream_t)stream);
}

static __global__ void __launch_bounds__(CVL_STEM_THREADS)
cvl_stem_pack_filter(const __grid_constant__ struct cvl_stem_pack pack)
{
    const int index = blockIdx.x * CVL_STEM_THREADS + threadIdx.x;
    if (index < pack.count)
        cvl_stem_pack_one(&pack, index);
}

extern "C" int cvl_cuda_stem_pack(const struct cvl_stem_pack *pack, void *stream)
{
    const unsigned blocks = ((unsigned)pack->count + CVL_STEM_THREADS - 1) / CVL_STEM_THREADS;
    cvl_stem_pack_filter<<<blocks, CVL_STEM_THREADS, 0, (cudaStream_t)stream>>>(*pack);
    return (int)cudaGetLastError();
}
