/* SPDX-License-Identifier: Apache-2.0
 * The loop that the implicit GEMMs of the CUDA cores and of the tensor cores share: stages - 1 steps of the reduction
 * are under way while one is multiplied, with one barrier a step. */
#ifndef CONV_CUDA_CUDA_IGEMM_LOOP_CUH
#define CONV_CUDA_CUDA_IGEMM_LOOP_CUH

#include "conv/cuda/cuda_igemm_store.h"

#include <cuda_runtime.h>

/* multiply(stage) adds the products of the tiles that lie there. KEEP: sites of rows stay in registers, of which the
 * CUDA cores have none to spare. */
template <int SIZE, bool KEEP, bool A_COLUMNS, bool B_COLUMNS, class Multiply>
static __device__ __forceinline__ void cvl_igemm_loop(const struct cvl_gemm &g, const struct cvl_gemm_tile tile,
                                                      int stages, const struct cvl_gemm_place &place,
                                                      const struct cvl_tile_shared &shared, Multiply multiply)
{
    constexpr int depth = CVL_TILE_DEPTH_BYTES / SIZE;
    const int t = threadIdx.x;
    struct cvl_tile_kept kept;
    cvl_tile_find_rows(&g, tile, &place, t, shared.rows);
    cvl_tile_find_columns(&g, depth, &place, place.first, t, shared.columns);
    __syncthreads();
    if (KEEP)
        cvl_tile_keep(&g, tile, A_COLUMNS, B_COLUMNS, SIZE, &place, &shared, t, &kept);
    CVL_UNROLL_1
    for (int next = place.first, into = 0, from = 1; next < place.last + stages - 1; next++) {
        cvl_copy_wait(stages);
        __syncthreads();   /* the step has arrived for all, and all are done with the stage that is filled now */
        if (!KEEP)
            cvl_tile_keep(&g, tile, A_COLUMNS, B_COLUMNS, SIZE, &place, &shared, t, &kept);
        if (next < place.last)
            cvl_tile_bring(&g, tile, A_COLUMNS, B_COLUMNS, SIZE, &place, &shared, &kept, next, into, t);
        cvl_copy_commit();
        cvl_tile_find_columns(&g, depth, &place, next + 1, t, shared.columns);
        if (next >= place.first + stages - 1)
            multiply(shared.stages + from * cvl_tile_stage_bytes(tile));
        into = into + 1 == stages ? 0 : into + 1;
        from = from + 1 == stages ? 0 : from + 1;
    }
    cvl_copy_wait(2);
    __syncthreads();
}

/* Stores all sums; put(to, line) writes this thread's into shared memory, in lines of so many. */
template <class Put>
static __device__ __forceinline__ void cvl_igemm_finish(const struct cvl_gemm &g, const struct cvl_gemm_tile tile,
                                                        const struct cvl_gemm_place &place,
                                                        const struct cvl_tile_shared &shared, Put put)
{
    cvl_tile_find_out(&g, tile, &place, threadIdx.x, shared.rows);
    put((float *)shared.stages, cvl_tile_line(tile, g.out_by_rows));
    __syncthreads();
    cvl_tile_store_all(&g, tile, &place, &shared, threadIdx.x);
}

/* Launches KERNEL on all blocks of g, with as much shared memory as its stages need. */
template <class Kernel>
static int cvl_igemm_launch(Kernel *kernel, const struct cvl_gemm *g, struct cvl_gemm_tile tile, int stages, int size,
                            void *stream)
{
    const int bytes = cvl_tile_shared_bytes(tile, stages, size);
    const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    if (error != cudaSuccess)
        return (int)error;
    const int64_t blocks = (int64_t)g->tiles * g->groups * g->splits;
    if (blocks > INT32_MAX)
        return (int)cudaErrorInvalidConfiguration;
    kernel<<<(unsigned)blocks, cvl_tile_threads(tile), bytes, (cudaStream_t)stream>>>(*g, stages);
    return (int)cudaGetLastError();
}

#endif
