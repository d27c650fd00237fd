/* SPDX-License-Identifier: Apache-2.0
 * What one thread does with a tile, as functions of its number: the kernels call them with constant tiles and one
 * thread, the tests on the host with all threads in turn. Between two of the steps stands a barrier. */
#ifndef CONV_CUDA_CUDA_IGEMM_TILE_H
#define CONV_CUDA_CUDA_IGEMM_TILE_H

#include "conv/cuda/cuda_copy.h"
#include "conv/cuda/cuda_igemm.h"

/* ---- shared memory: stages of a tile of a and one of b, sites of their rows, sites of two steps' columns ---- */

CVL_HD int cvl_tile_threads(struct cvl_gemm_tile tile)     { return tile.warps_m * tile.warps_n * 32; }
CVL_HD int cvl_tile_stage_bytes(struct cvl_gemm_tile tile) { return (tile.m + tile.n) * CVL_TILE_DEPTH_BYTES; }
CVL_HD int cvl_tile_depth(int size)                        { return CVL_TILE_DEPTH_BYTES / size; }   /* elements */

/* Sums leave through shared memory, where they take the place of the stages, so that neighbouring threads store
 * neighbours whatever the layout is. Lines are longer than a tile by what keeps a warp's accesses off one bank: pairs
 * and vectors along a line, or single sums across the lines. */
enum { CVL_LINE_GAP = 8 };
CVL_HD int cvl_tile_line(struct cvl_gemm_tile tile, int by_rows) { return tile.n + (by_rows ? CVL_LINE_GAP : 1); }

/* Of the stages, or of the sums, up to the sites. */
CVL_HD int cvl_tile_work_bytes(struct cvl_gemm_tile tile, int stages)
{
    const int staged = stages * cvl_tile_stage_bytes(tile), sums = tile.m * cvl_tile_line(tile, 1) * 4;
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

/* Row i of a tile, with the taps it meets where it is brought along the reduction. */
CVL_HD struct cvl_site cvl_tile_find_row(const struct cvl_gemm_operand *operand, const struct cvl_list *rows,
                                         const struct cvl_list *columns, int i)
{
    struct cvl_site site = cvl_list_site(rows, i);
    if (operand->bring == CVL_BRING_ALONG_K)
        site.taps = cvl_list_taps(columns, &site, operand->image, operand->height, operand->width);
    return site;
}

CVL_HD void cvl_tile_find_rows(const struct cvl_gemm *g, struct cvl_gemm_tile tile, const struct cvl_gemm_place *place,
                               int t, struct cvl_site *rows)
{
    const struct cvl_gemm_part *part = &g->part[place->part];
    CVL_UNROLL_1
    for (int i = t; i < tile.m + tile.n; i += cvl_tile_threads(tile))
        rows[i] = i < tile.m ? cvl_tile_find_row(&g->a, &part->a_rows, &part->a_columns, place->m + i)
                             : cvl_tile_find_row(&g->b, &g->b_rows, &part->b_columns, place->n + i - tile.m);
}

/* 64 threads find a's columns, the next 64 b's: of chunks along the reduction the first alone. */
CVL_HD void cvl_tile_find_columns(const struct cvl_gemm *g, int depth, const struct cvl_gemm_place *place, int step,
                                  int t, struct cvl_site *columns)
{
    const struct cvl_gemm_part *part = &g->part[place->part];
    const int of_b = t / 64, chunks = (of_b ? g->b : g->a).bring == CVL_BRING_ALONG_K;
    const int i = chunks ? t % 64 * (depth / CVL_TILE_CHUNKS) : t % 64;
    if (of_b < 2 && i < depth)
        columns[((step & 1) * 2 + of_b) * depth + i]
            = cvl_list_site(of_b ? &part->b_columns : &part->a_columns, step * depth + i);
}

/* ---- bringing one tile of `rows` rows ---- */

/* A thread brings the same rows, or the same chunk of rows, in every step, and keeps what it must know of them. */
enum { CVL_KEPT_MOST = 8 };
struct cvl_kept_row  { const char *from; uint32_t taps; };
struct cvl_tile_side { struct cvl_kept_row row[CVL_KEPT_MOST]; struct cvl_site chunk; };   /* the one or the other */
struct cvl_tile_kept { struct cvl_tile_side a, b; };

/* Chunk number i of thread t: its row, or chunk of rows, and its chunk, or place, along the reduction. */
struct cvl_tile_spot { int row, k; };

CVL_HD struct cvl_tile_spot cvl_tile_spot_of(int rows, int by_columns, int threads, int t, int i)
{
    const int across = by_columns ? rows * 2 / CVL_CHUNK_BYTES : CVL_TILE_CHUNKS;
    const int slow = t / across + i * (threads / across);
    struct cvl_tile_spot spot;
    spot.row = by_columns ? t % across : slow;
    spot.k = by_columns ? slow : t % across;
    return spot;
}

CVL_HD int cvl_tile_chunks(int rows, int threads) { return rows * CVL_TILE_CHUNKS / threads; }   /* of a thread */

CVL_HD void cvl_tile_keep_side(const struct cvl_site *rows, const char *data, int count, int by_columns, int size,
                               int threads, int t, struct cvl_tile_side *side)
{
    if (by_columns)
        side->chunk = rows[cvl_tile_spot_of(count, true, threads, t, 0).row * (CVL_CHUNK_BYTES / 2)];
    else
        CVL_UNROLL_ALL
        for (int i = 0; i < cvl_tile_chunks(count, threads); i++) {
            const struct cvl_site *row = &rows[cvl_tile_spot_of(count, false, threads, t, i).row];
            side->row[i].from = data + (int64_t)row->at * size;
            CVL_KEEP(side->row[i].from);
            side->row[i].taps = row->taps;
        }
}

CVL_HD const char *cvl_tile_data(const struct cvl_gemm_operand *operand, const struct cvl_gemm_place *place, int size)
{
    return (const char *)operand->data + (int64_t)place->group * operand->group * size;
}

/* After the rows have been found by all. */
CVL_HD void cvl_tile_keep(const struct cvl_gemm *g, struct cvl_gemm_tile tile, int a_columns, int b_columns, int size,
                          const struct cvl_gemm_place *place, const struct cvl_tile_shared *s, int t,
                          struct cvl_tile_kept *kept)
{
    const int threads = cvl_tile_threads(tile);
    cvl_tile_keep_side(s->rows, cvl_tile_data(&g->a, place, size), tile.m, a_columns, size, threads, t, &kept->a);
    cvl_tile_keep_side(s->rows + tile.m, cvl_tile_data(&g->b, place, size), tile.n, b_columns, size, threads, t,
                       &kept->b);
}

struct cvl_bringing {
    const struct cvl_gemm_operand *operand;
    const char            *data;          /* of the group */
    const struct cvl_site *rows, *columns;
    char                  *tile;
};

/* All chunks of a thread are of one column, whose tap a row meets or does not. */
CVL_HD void cvl_bring_along_k(const struct cvl_bringing *b, int rows, int size, int threads, int t,
                              const struct cvl_kept_row *kept)
{
    const int first = cvl_tile_spot_of(rows, false, threads, t, 0).k * (CVL_CHUNK_BYTES / size);
    const struct cvl_site column = b->columns[first];
    CVL_UNROLL_ALL
    for (int i = 0; i < cvl_tile_chunks(rows, threads); i++) {
        const struct cvl_tile_spot spot = cvl_tile_spot_of(rows, false, threads, t, i);
        cvl_copy_16(b->tile + cvl_tile_by_rows(spot.row, spot.k), kept[i].from + (int64_t)column.at * size,
                    (kept[i].taps & column.taps) != 0);
    }
}

CVL_HD const void *cvl_bring_from(const struct cvl_bringing *b, const struct cvl_site *row,
                                  const struct cvl_site *column, int size, int *inside)
{
    const int at = cvl_site_meet(row, column, b->operand->height, b->operand->width);
    *inside = at >= 0;
    return b->data + (int64_t)(at >= 0 ? at : 0) * size;
}

/* All chunks of a thread are of the same rows. */
CVL_HD void cvl_bring_along_rows(const struct cvl_bringing *b, int rows, int size, int threads, int t,
                                 const struct cvl_site *kept)
{
    struct cvl_site columns[CVL_KEPT_MOST];
    CVL_UNROLL_ALL
    for (int i = 0; i < cvl_tile_chunks(rows, threads); i++)
        columns[i] = b->columns[cvl_tile_spot_of(rows, true, threads, t, i).k];
    CVL_UNROLL_ALL
    for (int i = 0; i < cvl_tile_chunks(rows, threads); i++) {
        const struct cvl_tile_spot spot = cvl_tile_spot_of(rows, true, threads, t, i);
        int inside;
        const void *from = cvl_bring_from(b, kept, &columns[i], size, &inside);
        cvl_copy_16(b->tile + cvl_tile_by_columns(rows, spot.row, spot.k), from, inside);
    }
}

/* Always into a tile by rows. */
CVL_HD void cvl_bring_elements(const struct cvl_bringing *b, int rows, int size, int threads, int t)
{
    const int depth = cvl_tile_depth(size), each = CVL_CHUNK_BYTES / size;
    const int along_k = b->operand->bring == CVL_BRING_ONE_ALONG_K;
    CVL_UNROLL_1
    for (int i = t; i < rows * depth; i += threads) {
        const int row = along_k ? i / depth : i % rows, k = along_k ? i % depth : i / rows;
        int inside;
        const void *from = cvl_bring_from(b, &b->rows[row], &b->columns[k], size, &inside);
        char *to = b->tile + cvl_tile_by_rows(row, k / each) + k % each * size;
        if (size == 4)
            cvl_copy_4(to, from, inside);
        else
            cvl_copy_2(to, from, inside);
    }
}

CVL_HD void cvl_bring(const struct cvl_bringing *b, int rows, int by_columns, int size, int threads, int t,
                      const struct cvl_tile_side *kept)
{
    if (by_columns)
        cvl_bring_along_rows(b, rows, size, threads, t, &kept->chunk);
    else if (b->operand->bring == CVL_BRING_ALONG_K)
        cvl_bring_along_k(b, rows, size, threads, t, kept->row);
    else
        cvl_bring_elements(b, rows, size, threads, t);
}

/* Both tiles of a step into a stage. a_columns, b_columns: brought along the rows, so the tile is by columns. */
CVL_HD void cvl_tile_bring(const struct cvl_gemm *g, struct cvl_gemm_tile tile, int a_columns, int b_columns, int size,
                           const struct cvl_gemm_place *place, const struct cvl_tile_shared *s,
                           const struct cvl_tile_kept *kept, int step, int stage, int t)
{
    const int depth = cvl_tile_depth(size), threads = cvl_tile_threads(tile);
    char *to = s->stages + stage * cvl_tile_stage_bytes(tile);
    const struct cvl_site *columns = s->columns + (step & 1) * 2 * depth;
    const struct cvl_bringing a = { &g->a, cvl_tile_data(&g->a, place, size), s->rows, columns, to };
    const struct cvl_bringing b = { &g->b, cvl_tile_data(&g->b, place, size), s->rows + tile.m, columns + depth,
                                    to + tile.m * CVL_TILE_DEPTH_BYTES };
    cvl_bring(&a, tile.m, a_columns, size, threads, t, &kept->a);
    cvl_bring(&b, tile.n, b_columns, size, threads, t, &kept->b);
}

#endif
