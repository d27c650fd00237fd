/* SPDX-License-Identifier: Apache-2.0
 * What one thread of the CUDA cores multiplies of a tile, and where its sums go. */
#ifndef CONV_CUDA_CUDA_IGEMM_CORES_H
#define CONV_CUDA_CUDA_IGEMM_CORES_H

#include "conv/cuda/cuda_igemm_store.h"

/* A warp is 4 x 8 threads; thread (y, x) of the block's grid has rows y + i*grid_m and columns x + j*grid_n, so that
 * the eight rows of b, and the four of a, that a warp reads at once are neighbours: no bank conflict. */
enum { CVL_CORES_Y = 4, CVL_CORES_X = 8, CVL_CORES_MOST = 8 };

struct cvl_cores_lane { int y, x, grid_m, grid_n; };

CVL_HD struct cvl_cores_lane cvl_cores_lane_of(struct cvl_gemm_tile tile, int t)
{
    const int warp = t / 32, lane = t % 32;
    struct cvl_cores_lane at;
    at.y = warp / tile.warps_n * CVL_CORES_Y + lane / CVL_CORES_X;
    at.x = warp % tile.warps_n * CVL_CORES_X + lane % CVL_CORES_X;
    at.grid_m = tile.warps_m * CVL_CORES_Y;
    at.grid_n = tile.warps_n * CVL_CORES_X;
    return at;
}

#ifdef __CUDACC__
struct __align__(16) cvl_four { float v[4]; };
#else
struct cvl_four { float v[4]; };
#endif

CVL_HD void cvl_cores_step(struct cvl_gemm_tile tile, int t, const char *stage, float (*sums)[CVL_CORES_MOST])
{
    const struct cvl_cores_lane lane = cvl_cores_lane_of(tile, t);
    const int columns = tile.n / lane.grid_n, a_step = lane.grid_m * CVL_TILE_DEPTH_BYTES,
              b_step = lane.grid_n * CVL_TILE_DEPTH_BYTES;   /* rows eight apart have their chunks in the same places */
    CVL_UNROLL_1   /* unrolled, loads are moved so far ahead that registers spill */
    for (int chunk = 0; chunk < CVL_TILE_CHUNKS; chunk++) {
        const char *a_at = stage + cvl_tile_by_rows(lane.y, chunk);
        const char *b_at = stage + tile.m * CVL_TILE_DEPTH_BYTES + cvl_tile_by_rows(lane.x, chunk);
        CVL_UNROLL_ALL
        for (int first = 0; first < columns; first += columns / 2) {   /* half of the columns at once: 16 registers */
            struct cvl_four b[CVL_CORES_MOST / 2];
            CVL_UNROLL_ALL
            for (int j = 0; j < columns / 2; j++)
                b[j] = *(const struct cvl_four *)(b_at + (first + j) * b_step);
            CVL_UNROLL_ALL
            for (int i = 0; i < tile.m / lane.grid_m; i++) {
                const struct cvl_four a = *(const struct cvl_four *)(a_at + i * a_step);
                CVL_UNROLL_ALL
                for (int e = 0; e < 4; e++)
                    CVL_UNROLL_ALL
                    for (int j = 0; j < columns / 2; j++)
                        sums[i][first + j] += a.v[e] * b[j].v[e];
            }
        }
    }
}

CVL_HD void cvl_cores_put(struct cvl_gemm_tile tile, int t, float (*sums)[CVL_CORES_MOST], float *to, int line)
{
    const struct cvl_cores_lane lane = cvl_cores_lane_of(tile, t);
    CVL_UNROLL_ALL
    for (int i = 0; i < tile.m / lane.grid_m; i++)
        CVL_UNROLL_ALL
        for (int j = 0; j < tile.n / lane.grid_n; j++)
            to[cvl_tile_sum_at(line, lane.y + i * lane.grid_m, lane.x + j * lane.grid_n)] = sums[i][j];
}

#endif
