/* SPDX-License-Identifier: Apache-2.0
 * What one thread does with a tile, as functions of its number: the kernels call them with constant tiles and one
 * thread, the tests on the host with all threads in turn. Between two of the steps stands a barrier. */
#ifndef CONV_CUDA_CUDA_IGEMM_TILE_H
#define CONV_CUDA_CUDA_IGEMM_TILE_H

#include "conv/cuda/cuda_copy.h"
#include "conv/cuda/cuda_igemm.h"

/* nvcc unrolls by these; without it they are nothing. */
#ifdef __CUDACC__
#define CVL_UNROLL_ALL _Pragma("unroll")
#define CVL_UNROLL_1 _Pragma("unroll 1")
#define CVL_UNROLL_2 _Pragma("unroll 2")
#else
#define CVL_UNROLL_ALL
#define CVL_UNROLL_1
#define CVL_UNROLL_2
#endif

/* ---- shared memory: stages of a tile of a and one of b, sites of their rows, sites of two steps' columns ---- */

CVL_HD int cvl_tile_threads(struct cvl_gemm_tile tile)     { return tile.warps_m * tile.warps_n * 32; }
CVL_HD int cvl_tile_stage_bytes(struct cvl_gemm_tile tile) { return (tile.m + tile.n) * CVL_TILE_DEPTH_BYTES; }
CVL_HD int cvl_tile_depth(int size)                        { return CVL_TILE_DEPTH_BYTES / size; }   /* elements */

/* Of the stages, or of the sums that take their place, up to the sites. */
CVL_HD int cvl_tile_work_bytes(struct cvl_gemm_tile tile, int stages)
{
    const int staged = stages * cvl_tile_stage_bytes(tile), sums = tile.m * (tile.n + 1) * 4;
    return staged > sums ? staged : sums;
}

CVL_HD int cvl_tile_shared_bytes(struct cvl_gemm_tile tile, int stages, int size)
{
    const int sites = tile.m + tile.n + 2 * 2 * cvl_tile_depth(size);
    return cvl_tile_work_bytes(tile, stages) + sites * (int)sizeof(struct cvl_site);
}

/* The columns of step `step` lie at columns + (step & 1) * 2 * depth, those of a first. */
struct cvl_tile_shared { char *stages; struct cvl_site *rows, *columns; };

CVL_HD struct cvl_tile_shared cvl_tile_shared_of(struct cvl_gemm_tile tile, int stages, char *memory)
{
    struct cvl_tile_shared s;
    s.stages = memory;
    s.rows = (struct cvl_site *)(memory + cvl_tile_work_bytes(tile, stages));
    s.columns = s.rows + tile.m + tile.n;
    return s;
}

/* ---- sites ---- */

CVL_HD void cvl_tile_find_rows(const struct cvl_gemm *g, struct cvl_gemm_tile tile, const struct cvl_gemm_place *place,
                               int t, struct cvl_site *rows)
{
    CVL_UNROLL_1
    for (int i = t; i < tile.m + tile.n; i += cvl_tile_threads(tile))
        rows[i] = i < tile.m ? cvl_list_site(&g->part[place->part].a_rows, place->m + i)
                             : cvl_list_site(&g->b_rows, place->n + i - tile.m);
}

CVL_HD void cvl_tile_find_columns(const struct cvl_gemm *g, int depth, const struct cvl_gemm_place *place, int step,
                                  int t, struct cvl_site *columns)
{
    const struct cvl_gemm_part *part = &g->part[place->part];
    if (t < 2 * depth)
        columns[(step & 1) * 2 * depth + t] = t < depth ? cvl_list_site(&part->a_columns, step * depth + t)
                                                        : cvl_list_site(&part->b_columns, step * depth + t - depth);
}

/* ---- bringing one tile of `rows` rows ---- */

struct cvl_bringing {
    const struct cvl_gemm_operand *operand;
    const char            *data;          /* of the group */
    const struct cvl_site *rows, *columns;
    char                  *tile;
};

CVL_HD const void *cvl_bring_from(const struct cvl_bringing *b, int row, int column, int size, int *inside)
{
    const int at = cvl_site_meet(&b->rows[row], &b->columns[column], b->operand->height, b->operand->width);
    *inside = at >= 0;
    return b->data + (int64_t)(at >= 0 ? at : 0) * size;
}

CVL_HD void cvl_bring_chunks(const struct cvl_bringing *b, int rows, int size, int threads, int t)
{
    const int each = CVL_CHUNK_BYTES / size, along_k = b->operand->bring == CVL_BRING_ALONG_K;
    CVL_UNROLL_2
    for (int i = 0; i < rows * CVL_TILE_CHUNKS; i += threads) {
        const struct cvl_gemm_spot spot = cvl_gemm_spot_of(i + t, along_k, CVL_TILE_CHUNKS, rows / each);
        const int row = along_k ? spot.row : spot.row * each, column = along_k ? spot.k * each : spot.k;
        const int to = along_k ? cvl_tile_by_rows(spot.row, spot.k) : cvl_tile_by_columns(rows, spot.row, spot.k);
        int inside;
        const void *from = cvl_bring_from(b, row, column, size, &inside);
        cvl_copy_16(b->tile + to, from, inside);
    }
}

/* Always into a tile by rows. */
CVL_HD void cvl_bring_elements(const struct cvl_bringing *b, int rows, int size, int threads, int t)
{
    const int depth = cvl_tile_depth(size), each = CVL_CHUNK_BYTES / size;
    const int along_k = b->operand->bring == CVL_BRING_ONE_ALONG_K;
    CVL_UNROLL_2
    for (int i = 0; i < rows * depth; i += threads) {
        const struct cvl_gemm_spot spot = cvl_gemm_spot_of(i + t, along_k, depth, rows);
        int inside;
        const void *from = cvl_bring_from(b, spot.row, spot.k, size, &inside);
        char *to = b->tile + cvl_tile_by_rows(spot.row, spot.k / each) + spot.k % each * size;
        if (size == 4)
            cvl_copy_4(to, from, inside);
        else
            cvl_copy_2(to, from, inside);
    }
}

CVL_HD void cvl_bring(const struct cvl_bringing *b, int rows, int size, int threads, int t)
{
    if (b->operand->bring <= CVL_BRING_ALONG_ROWS)
        cvl_bring_chunks(b, rows, size, threads, t);
    else
        cvl_bring_elements(b, rows, size, threads, t);
}

/* Both tiles of a step into a stage. */
CVL_HD void cvl_tile_bring(const struct cvl_gemm *g, struct cvl_gemm_tile tile, int size,
                           const struct cvl_gemm_place *place, const struct cvl_tile_shared *s, int step, int stage,
                           int t)
{
    const int depth = cvl_tile_depth(size), threads = cvl_tile_threads(tile);
    char *to = s->stages + stage * cvl_tile_stage_bytes(tile);
    const struct cvl_site *columns = s->columns + (step & 1) * 2 * depth;
    const struct cvl_bringing a = { &g->a, (const char *)g->a.data + (int64_t)place->group * g->a.group * size, s->rows,
                                    columns, to };
    const struct cvl_bringing b = { &g->b, (const char *)g->b.data + (int64_t)place->group * g->b.group * size,
                                    s->rows + tile.m, columns + depth, to + tile.m * CVL_TILE_DEPTH_BYTES };
    cvl_bring(&a, tile.m, size, threads, t);
    cvl_bring(&b, tile.n, size, threads, t);
}

/* ---- storing ---- */

/* Sums leave through shared memory, where they take the place of the stages, in lines of tile.n + 1 floats, so that
 * neighbouring threads store neighbours whatever the layout is. */
CVL_HD int cvl_tile_sum_at(struct cvl_gemm_tile tile, int row, int column) { return row * (tile.n + 1) + column; }

/* Sites of the output's rows and columns, in place of those of a and b. */
CVL_HD void cvl_tile_find_out(const struct cvl_gemm *g, struct cvl_gemm_tile tile, const struct cvl_gemm_place *place,
                              int t, struct cvl_site *rows)
{
    CVL_UNROLL_1
    for (int i = t; i < tile.m + tile.n; i += cvl_tile_threads(tile))
        rows[i] = i < tile.m ? cvl_list_site(&g->part[place->part].out_rows, place->m + i)
                             : cvl_list_site(&g->out_columns, place->n + i - tile.m);
}

/* `wide` columns from column on, of a row of the tile: one or four. */
CVL_HD void cvl_tile_store(const struct cvl_gemm *g, const struct cvl_gemm_place *place, const struct cvl_site *rows,
                           int tile_m, int row, int column, int wide, const float *sums)
{
    const int at = cvl_site_meet(&rows[row], &rows[tile_m + column], 1, 1), n = place->n + column;
    const int64_t m = g->part[place->part].first_row + place->m + row;
    if (at < 0)
        return;
    const int to = at + place->group * g->out_group, channel = place->group * g->out_columns.count + n;
    if (g->splits > 1)
        g->partial[cvl_gemm_partial_at(g, place->split, place->group, m, n)] = sums[0];
    else if (wide == 4)
        cvl_finish_store_four(&g->finish, to, channel, sums);
    else
        cvl_finish_store(&g->finish, to, channel, sums[0]);
}

/* Threads follow the direction in which the output's elements are neighbours. */
CVL_HD void cvl_tile_store_all(const struct cvl_gemm *g, struct cvl_gemm_tile tile, const struct cvl_gemm_place *place,
                               const struct cvl_tile_shared *s, int t)
{
    const float *sums = (const float *)s->stages;
    const int wide = g->splits > 1 ? 1 : g->wide_out, across = tile.n / wide;
    for (int i = t; i < tile.m * across; i += cvl_tile_threads(tile)) {
        const int row = g->out_by_rows ? i / across : i % tile.m;
        const int column = (g->out_by_rows ? i % across : i / tile.m) * wide;
        cvl_tile_store(g, place, s->rows, tile.m, row, column, wide, sums + cvl_tile_sum_at(tile, row, column));
    }
}

/* ---- CUDA cores ---- */

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
    const char *a_tile = stage, *b_tile = stage + tile.m * CVL_TILE_DEPTH_BYTES;
    const int columns = tile.n / lane.grid_n;
    CVL_UNROLL_1   /* unrolled, loads are moved so far ahead that registers spill */
    for (int chunk = 0; chunk < CVL_TILE_CHUNKS; chunk++)
        CVL_UNROLL_ALL
        for (int first = 0; first < columns; first += columns / 2) {   /* half of the columns at once: 16 registers */
            struct cvl_four b[CVL_CORES_MOST / 2];
            CVL_UNROLL_ALL
            for (int j = 0; j < columns / 2; j++)
                b[j] = *(const struct cvl_four *)(b_tile + cvl_tile_by_rows(lane.x + (first + j) * lane.grid_n, chunk));
            CVL_UNROLL_ALL
            for (int i = 0; i < tile.m / lane.grid_m; i++) {
                const struct cvl_four a
                    = *(const struct cvl_four *)(a_tile + cvl_tile_by_rows(lane.y + i * lane.grid_m, chunk));
                CVL_UNROLL_ALL
                for (int e = 0; e < 4; e++)
                    CVL_UNROLL_ALL
                    for (int j = 0; j < columns / 2; j++)
                        sums[i][first + j] += a.v[e] * b[j].v[e];
            }
        }
}

CVL_HD void cvl_cores_put(struct cvl_gemm_tile tile, int t, float (*sums)[CVL_CORES_MOST], float *to)
{
    const struct cvl_cores_lane lane = cvl_cores_lane_of(tile, t);
    CVL_UNROLL_ALL
    for (int i = 0; i < tile.m / lane.grid_m; i++)
        CVL_UNROLL_ALL
        for (int j = 0; j < tile.n / lane.grid_n; j++)
            to[cvl_tile_sum_at(tile, lane.y + i * lane.grid_m, lane.x + j * lane.grid_n)] = sums[i][j];
}

#endif
