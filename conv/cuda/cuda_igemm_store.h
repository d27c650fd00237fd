/* SPDX-License-Identifier: Apache-2.0
 * How the sums of a tile leave shared memory: what one thread stores, as a function of its number
 * (cuda_igemm_tile.h). */
#ifndef CONV_CUDA_CUDA_IGEMM_STORE_H
#define CONV_CUDA_CUDA_IGEMM_STORE_H

#include "conv/cuda/cuda_igemm_tile.h"

CVL_HD int cvl_tile_sum_at(int line, int row, int column) { return row * line + column; }

/* Sites of the output's rows and columns, in place of those of a and b. */
CVL_HD void cvl_tile_find_out(const struct cvl_gemm *g, struct cvl_gemm_tile tile, const struct cvl_gemm_place *place,
                              int t, struct cvl_site *rows)
{
    CVL_UNROLL_1
    for (int i = t; i < tile.m + tile.n; i += cvl_tile_threads(tile))
        rows[i] = i < tile.m ? cvl_list_site(&g->part[place->part].out_rows, place->m + i)
                             : cvl_list_site(&g->out_columns, place->n + i - tile.m);
}

/* `wide` columns from column on, of a row of the tile, to where the sites of the two meet. */
CVL_HD void cvl_tile_store_one(const struct cvl_gemm *g, const struct cvl_gemm_place *place,
                               const struct cvl_site *to_row, const struct cvl_site *to_column, int row, int column,
                               int wide, const float *sums, const float *bias)
{
    const int at = cvl_site_meet(to_row, to_column, 1, 1), to = at + place->group * g->out_group;
    if (at >= 0 && g->splits > 1)
        g->partial[cvl_gemm_partial_at(g, place->split, place->group,
                                       g->part[place->part].first_row + place->m + row, place->n + column)] = sums[0];
    else if (at >= 0)
        cvl_finish_store(&g->finish, to, wide, sums, bias);
}

/* Neighbouring threads have neighbouring vectors of a row; a thread's are all of the same columns. */
CVL_HD void cvl_tile_store_rows(const struct cvl_gemm *g, struct cvl_gemm_tile tile, const struct cvl_gemm_place *place,
                                const struct cvl_tile_shared *s, int t, int wide)
{
    const int across = tile.n / wide, each = cvl_tile_threads(tile) / across, line = cvl_tile_line(tile, 1);
    const int column = t % across * wide, n = place->n + column;
    const struct cvl_site to_column = s->rows[tile.m + column];
    const float *sums = (const float *)s->stages;
    float bias[8];
    if (n >= g->out_columns.count)
        return;
    cvl_finish_bias(&g->finish, place->group * g->out_columns.count + n, wide, bias);
    CVL_UNROLL_2
    for (int row = t / across; row < tile.m; row += each)
        cvl_tile_store_one(g, place, &s->rows[row], &to_column, row, column, wide,
                           sums + cvl_tile_sum_at(line, row, column), bias);
}

/* Neighbouring threads have neighbouring rows; a thread's are all of the same row. */
CVL_HD void cvl_tile_store_columns(const struct cvl_gemm *g, struct cvl_gemm_tile tile,
                                   const struct cvl_gemm_place *place, const struct cvl_tile_shared *s, int t)
{
    const int threads = cvl_tile_threads(tile), line = cvl_tile_line(tile, 0);
    const float *sums = (const float *)s->stages;
    CVL_UNROLL_2
    for (int i = t; i < tile.m * tile.n; i += threads) {
        const int row = i % tile.m, column = i / tile.m, n = place->n + column;
        float bias;
        if (n >= g->out_columns.count)
            continue;
        cvl_finish_bias(&g->finish, place->group * g->out_columns.count + n, 1, &bias);
        cvl_tile_store_one(g, place, &s->rows[row], &s->rows[tile.m + column], row, column, 1,
                           sums + cvl_tile_sum_at(line, row, column), &bias);
    }
}

CVL_HD void cvl_tile_store_all(const struct cvl_gemm *g, struct cvl_gemm_tile tile, const struct cvl_gemm_place *place,
                               const struct cvl_tile_shared *s, int t)
{
    if (!g->out_by_rows)
        cvl_tile_store_columns(g, tile, place, s, t);
    else if (g->wide_out == 8)
        cvl_tile_store_rows(g, tile, place, s, t, 8);
    else if (g->wide_out == 4)
        cvl_tile_store_rows(g, tile, place, s, t, 4);
    else
        cvl_tile_store_rows(g, tile, place, s, t, 1);
}

#endif
