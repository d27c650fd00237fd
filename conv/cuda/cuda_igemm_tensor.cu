/* SPDX-License-Identifier: Apache-2.0
 * The implicit GEMM on tensor cores by mma.sync (sm_80 and later): tf32, bf16 and f16 in, f32 sums. A warp multiplies
 * up to 64 x 64: 32 products from 8 fragments. */
#include "conv/cuda/cuda_igemm_loop.cuh"
#include "conv/cuda/cuda_mma.cuh"
#include "conv/cuda/cuda_mma_lanes.h"

/* 16 rows of a tile at one half of its depth. Tensor cores cut f32 off to tf32; rounding first halves the error. */
template <class Type>
static __device__ __forceinline__ void cvl_fragment(Type, uint32_t tile, bool by_columns, int rows, int row, int half,
                                                    int lane, uint32_t *r)
{
    if (Type::size == 2 && by_columns)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                     : "r"(tile + cvl_mma_from_columns(rows, row, half, lane)) : "memory");
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                     : "r"(tile + cvl_mma_from_rows(row, half, lane)) : "memory");
    if (Type::size == 4)
        CVL_UNROLL_ALL
        for (int i = 0; i < 4; i++)
            asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r[i]) : "f"(__uint_as_float(r[i])));
}

template <class Type, int M, int N, int WARPS_M, int WARPS_N>
static __global__ void __launch_bounds__(WARPS_M *WARPS_N * 32, 2)
cvl_igemm_tensor(const __grid_constant__ struct cvl_gemm g, int stages)
{
    extern __shared__ __align__(128) char memory[];
    constexpr struct cvl_gemm_tile tile = { M, N, WARPS_M, WARPS_N };
    constexpr int ROWS = M / WARPS_M / CVL_MMA_M, PAIRS = N / WARPS_N / 16;   /* products of a warp */
    const struct cvl_gemm_place place = cvl_gemm_place_of(&g, tile, blockIdx.x);
    const struct cvl_tile_shared shared = cvl_tile_shared_of(tile, stages, memory);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int warp_m = warp / WARPS_N * (M / WARPS_M), warp_n = warp % WARPS_N * (N / WARPS_N);
    const bool a_columns = g.a.bring == CVL_BRING_ALONG_ROWS, b_columns = g.b.bring == CVL_BRING_ALONG_ROWS;
    float sums[ROWS][PAIRS * 2][4] = {};
    cvl_igemm_loop<Type::size>(g, tile, stages, place, shared, [&](const char *stage) {
        const uint32_t a_tile = (uint32_t)__cvta_generic_to_shared(stage), b_tile = a_tile + M * CVL_TILE_DEPTH_BYTES;
        CVL_UNROLL_ALL
        for (int half = 0; half < 2; half++) {
            uint32_t a[ROWS][4];
            CVL_UNROLL_ALL
            for (int i = 0; i < ROWS; i++)
                cvl_fragment(Type(), a_tile, a_columns, M, warp_m + i * 16, half, lane, a[i]);
            CVL_UNROLL_ALL
            for (int pair = 0; pair < PAIRS; pair++) {
                uint32_t b[4];
                cvl_fragment(Type(), b_tile, b_columns, N, warp_n + pair * 16, half, lane, b);
                CVL_UNROLL_ALL
                for (int i = 0; i < ROWS; i++) {
                    cvl_mma(Type(), sums[i][pair * 2], a[i], b[0], b[2]);
                    cvl_mma(Type(), sums[i][pair * 2 + 1], a[i], b[1], b[3]);
                }
            }
        }
    });
    cvl_igemm_finish(g, tile, place, shared, [&](float *to) {
        CVL_UNROLL_ALL
        for (int i = 0; i < ROWS; i++)
            CVL_UNROLL_ALL
            for (int j = 0; j < PAIRS * 2; j++)
                CVL_UNROLL_ALL
                for (int e = 0; e < 4; e++)
                    to[cvl_tile_sum_at(tile, warp_m + i * CVL_MMA_M + cvl_mma_row(lane, e),
                                       warp_n + j * CVL_MMA_N + cvl_mma_column(lane, e))] = sums[i][j][e];
    });
}

template <class Type>
static int launch(Type, const struct cvl_gemm *g, int tile, int stages, void *stream)
{
    switch (tile) {
#define CASE(INDEX, M, N, WARPS_M, WARPS_N) \
    case INDEX: \
        return cvl_igemm_launch(cvl_igemm_tensor<Type, M, N, WARPS_M, WARPS_N>, g, { M, N, WARPS_M, WARPS_N }, stages, \
                                Type::size, stream);
    CVL_TENSOR_TILES(CASE)
    default: return (int)cudaErrorInvalidValue;
    }
}

extern "C" int cvl_cuda_igemm_tensor(const struct cvl_gemm *g, int tile, int stages, void *stream)
{
    return g->type == CVL_BF16 ? launch(cvl_bf16(), g, tile, stages, stream)
         : g->type == CVL_F16 ? launch(cvl_f16(), g, tile, stages, stream)
         : launch(cvl_tf32(), g, tile, stages, stream);
}
