/* SPDX-License-Identifier: Apache-2.0
 * The implicit GEMM on tensor cores by mma.sync (sm_80 and later): tf32, bf16 and f16 in, f32 sums. A warp multiplies
 * up to 64 x 32: 16 products from 6 fragments. The kernels of one type, each with its tiles by rows or by columns: a
 * choice inside of the loop would keep fragments from being loaded ahead. */
#ifndef CONV_CUDA_CUDA_IGEMM_TENSOR_CUH
#define CONV_CUDA_CUDA_IGEMM_TENSOR_CUH

#include "conv/cuda/cuda_igemm_loop.cuh"
#include "conv/cuda/cuda_mma.cuh"
#include "conv/cuda/cuda_mma_lanes.h"

/* 16 rows of a tile at one slice of its depth. Tensor cores cut f32 off to tf32; rounding first halves the error. */
template <class Type, cvl_mma_side SIDE, bool BY_COLUMNS>
static __device__ __forceinline__ void cvl_fragment(uint32_t tile, int rows, int row, int slice, int lane, uint32_t *r)
{
    if (BY_COLUMNS)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                     : "r"(tile + cvl_mma_from_columns(SIDE, rows, row, slice, lane)) : "memory");
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                     : "r"(tile + cvl_mma_from_rows(SIDE, row, slice, lane)) : "memory");
    if (Type::size == 4)
        CVL_UNROLL_ALL
        for (int i = 0; i < 4; i++)
            asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r[i]) : "f"(__uint_as_float(r[i])));
}

/* A warp's sums into lines of so many: pairs as pairs where lines are even. */
template <int ROWS, int COLUMNS>
static __device__ __forceinline__ void cvl_put_sums(const float (*sums)[COLUMNS][4], int row, int column, float *to,
                                                    int line)
{
    const int lane = threadIdx.x % 32;
    CVL_UNROLL_ALL
    for (int i = 0; i < ROWS; i++)
        CVL_UNROLL_ALL
        for (int j = 0; j < COLUMNS; j++)
            CVL_UNROLL_ALL
            for (int e = 0; e < 4; e += 2) {
                float *at = to + cvl_tile_sum_at(line, row + i * CVL_MMA_M + cvl_mma_row(lane, e),
                                                 column + j * CVL_MMA_N + cvl_mma_column(lane, e));
                if (line % 2 == 0)
                    *(float2 *)at = make_float2(sums[i][j][e], sums[i][j][e + 1]);
                else
                    at[0] = sums[i][j][e], at[1] = sums[i][j][e + 1];
            }
}

/* Blocks that share a multiprocessor: as many warps as registers allow. */
template <int M, int N, int WARPS> constexpr int cvl_tensor_blocks = WARPS == 8 ? 2 : M * N > 64 * 64 ? 3 : 4;

template <class Type, bool A_COLUMNS, bool B_COLUMNS, int M, int N, int WARPS_M, int WARPS_N>
static __global__ void __launch_bounds__(WARPS_M *WARPS_N * 32, cvl_tensor_blocks<M, N, WARPS_M * WARPS_N>)
cvl_igemm_tensor(const __grid_constant__ struct cvl_gemm g, int stages)
{
    extern __shared__ __align__(128) char memory[];
    constexpr struct cvl_gemm_tile tile = { M, N, WARPS_M, WARPS_N };
    constexpr int ROWS = M / WARPS_M / CVL_MMA_M, PAIRS = N / WARPS_N / 16;   /* products of a warp */
    const struct cvl_gemm_place place = cvl_gemm_place_of(&g, tile, blockIdx.x);
    const struct cvl_tile_shared shared = cvl_tile_shared_of(tile, stages, memory);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int warp_m = warp / WARPS_N * (M / WARPS_M), warp_n = warp % WARPS_N * (N / WARPS_N);
    float sums[ROWS][PAIRS * 2][4] = {};
    cvl_igemm_loop<Type::size, true, A_COLUMNS, B_COLUMNS>(g, tile, stages, place, shared, [&](const char *stage) {
        const uint32_t a_tile = (uint32_t)__cvta_generic_to_shared(stage), b_tile = a_tile + M * CVL_TILE_DEPTH_BYTES;
        CVL_UNROLL_ALL
        for (int slice = 0; slice < CVL_MMA_SLICES; slice++) {
            uint32_t a[ROWS][4];
            CVL_UNROLL_ALL
            for (int i = 0; i < ROWS; i++)
                cvl_fragment<Type, CVL_MMA_A, A_COLUMNS>(a_tile, M, warp_m + i * 16, slice, lane, a[i]);
            CVL_UNROLL_ALL
            for (int pair = 0; pair < PAIRS; pair++) {
                uint32_t b[4];
                cvl_fragment<Type, CVL_MMA_B, B_COLUMNS>(b_tile, N, warp_n + pair * 16, slice, lane, b);
                CVL_UNROLL_ALL
                for (int i = 0; i < ROWS; i++) {
                    cvl_mma(Type(), sums[i][pair * 2], a[i], b[0], b[1]);
                    cvl_mma(Type(), sums[i][pair * 2 + 1], a[i], b[2], b[3]);
                }
            }
        }
    });
    cvl_igemm_finish(g, tile, place, shared, [&](float *to, int line) {
        cvl_put_sums<ROWS, PAIRS * 2>(sums, warp_m, warp_n, to, line);
    });
}

template <class Type, bool A_COLUMNS, bool B_COLUMNS>
static int cvl_tensor_launch_tile(const struct cvl_gemm *g, int tile, int stages, void *stream)
{
    switch (tile) {
#define CASE(INDEX, M, N, WARPS_M, WARPS_N) \
    case INDEX: \
        return cvl_igemm_launch(cvl_igemm_tensor<Type, A_COLUMNS, B_COLUMNS, M, N, WARPS_M, WARPS_N>, g, \
                                { M, N, WARPS_M, WARPS_N }, stages, Type::size, stream);
    CVL_TENSOR_TILES(CASE)
#undef CASE
    default: return (int)cudaErrorInvalidValue;
    }
}

/* 16-bit types. */
template <class Type>
static int cvl_tensor_launch(const struct cvl_gemm *g, int tile, int stages, void *stream)
{
    const bool a = g->a.bring == CVL_BRING_ALONG_ROWS, b = g->b.bring == CVL_BRING_ALONG_ROWS;
    return a ? b ? cvl_tensor_launch_tile<Type, true, true>(g, tile, stages, stream)
                 : cvl_tensor_launch_tile<Type, true, false>(g, tile, stages, stream)
             : b ? cvl_tensor_launch_tile<Type, false, true>(g, tile, stages, stream)
                 : cvl_tensor_launch_tile<Type, false, false>(g, tile, stages, stream);
}

#endif
