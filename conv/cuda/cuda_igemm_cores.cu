/* SPDX-License-Identifier: Apache-2.0
 * The implicit GEMM in f32 on CUDA cores: up to 8 x 8 sums a thread, from vectors of four along the reduction, so that
 * 256 multiply-adds stand against 16 vectors read from shared memory. */
#include "conv/cuda/cuda_igemm_cores.h"
#include "conv/cuda/cuda_igemm_loop.cuh"

template <int M, int N, int WARPS_M, int WARPS_N>
static __global__ void __launch_bounds__(WARPS_M *WARPS_N * 32, 2)
cvl_igemm_cores(const __grid_constant__ struct cvl_gemm g, int stages)
{
    extern __shared__ __align__(128) char memory[];
    constexpr struct cvl_gemm_tile tile = { M, N, WARPS_M, WARPS_N };
    const struct cvl_gemm_place place = cvl_gemm_place_of(&g, tile, blockIdx.x);
    const struct cvl_tile_shared shared = cvl_tile_shared_of(tile, stages, memory);
    float sums[CVL_CORES_MOST][CVL_CORES_MOST] = {};
    cvl_igemm_loop<4, false, false, false>(g, tile, stages, place, shared, [&](const char *stage) {
        cvl_cores_step(tile, threadIdx.x, stage, sums);
    });
    cvl_igemm_finish(g, tile, place, shared, [&](float *to, int line) {
        cvl_cores_put(tile, threadIdx.x, sums, to, line);
    });
}

#define LAUNCH(M, N, WARPS_M, WARPS_N) \
    cvl_igemm_launch(cvl_igemm_cores<M, N, WARPS_M, WARPS_N>, g, { M, N, WARPS_M, WARPS_N }, stages, 4, stream)

extern "C" int cvl_cuda_igemm_cores(const struct cvl_gemm *g, int tile, int stages, void *stream)
{
    switch (tile) {
#define CASE(INDEX, M, N, WARPS_M, WARPS_N) case INDEX: return LAUNCH(M, N, WARPS_M, WARPS_N);
    CVL_CORES_TILES(CASE)
    default: return (int)cudaErrorInvalidValue;
    }
}
