/* SPDX-License-Identifier: Apache-2.0
 * Tiles at the left and right edge of an image, where the first or last rows meet padding at some taps. Products with
 * padding are left out: taps that all rows meet go first, then those that fewer rows meet, each group by a tile of
 * these rows alone, which adds to the sums. On rows of 7 pixels padding would be 2 of 21 products. Where so little is
 * summed that beginning a tile costs more than the padding, as in an RGB stem, a tile's rows are pixels of one column:
 * all of them meet the same taps. */
#include "conv/igemm/igemm_data.h"

enum {
    SUMS_MOST = 32 * CVL_TILE_LANES,   /* no level has more registers */
    SHORT = 48,                        /* multiply-adds with vectors for a row that meets one tap less */
};

/* Neighbouring taps [first, last) that the same rows [from, to) of a tile meet. */
struct run { int first, last, from, to; };

static void meet(const struct cvl_axis *axis, int position, int rows, int tap, int *from, int *to)
{
    cvl_tap_range(tap, axis->tap, axis->step, -(axis->first + position * axis->step), rows, axis->extent, from, to);
}

static bool next_run(const struct cvl_axis *axis, int position, int rows, struct run *run)
{
    int from, to;
    if (run->last >= axis->taps)
        return false;
    run->first = run->last++;
    meet(axis, position, rows, run->first, &run->from, &run->to);
    for (; run->last < axis->taps; run->last++) {
        meet(axis, position, rows, run->last, &from, &to);
        if (from != run->from || to != run->to)
            break;
    }
    return true;
}

static void multiply_run(const struct cvl_gemm_kern *kern, const struct run *run, struct cvl_tile tile)
{
    tile.rows = run->to - run->from;
    tile.count[1] = run->last - run->first;
    tile.a += run->first * tile.a_step[1] + run->from * tile.a_row;
    tile.b += run->first * tile.b_step[1];
    tile.out += run->from * tile.out_row;
    tile.add += tile.add ? run->from * tile.out_row : 0;
    cvl_tile_join(&tile);
    kern->tile[tile.vectors](&tile);
}

/* Every row is begun by the run that all rows meet, or by an empty one. */
static void multiply_runs(const struct cvl_gemm_kern *kern, struct cvl_tile tile, const struct cvl_axis *columns,
                          int position)
{
    struct run whole = { 0 }, run = { 0 };
    do {
        if (!next_run(columns, position, tile.rows, &whole)) {
            whole = (struct run){ .to = tile.rows };
            break;
        }
    } while (whole.to - whole.from < tile.rows);
    multiply_run(kern, &whole, tile);
    tile.add = tile.out;
    tile.bias = NULL;
    while (next_run(columns, position, tile.rows, &run))
        if (run.to > run.from && run.last != whole.last)
            multiply_run(kern, &run, tile);
}

bool cvl_igemm_is_short(int products, int vectors)
{
    return products * vectors <= SHORT;
}

static struct cvl_tile with_loops(const struct cvl_tile *tile, const struct cvl_igemm_loops *loops)
{
    struct cvl_tile bare = *tile;
    for (int i = 0; i < 3; i++) {
        bare.count[i] = loops->count[i];
        bare.a_step[i] = loops->a_step[i];
        bare.b_step[i] = loops->b_step[i];
    }
    return bare;
}

void cvl_igemm_edge_column(const struct cvl_igemm_block *block, const struct cvl_tile *tile,
                           const struct cvl_igemm_loops *loops, const struct cvl_axis *columns, int column, int rows)
{
    struct cvl_tile bare = with_loops(tile, loops);
    int first, last;
    cvl_axis_taps(columns, block->first_column + column, &first, &last);
    cvl_tile_skip(&bare, column);
    bare.count[1] = last - first;
    bare.a += first * loops->a_step[1];
    bare.b += first * loops->b_step[1];
    bare.a_row = block->a_row;
    bare.out_row = block->job->cut.out_row;
    bare.b_next = 0;
    cvl_tile_join(&bare);
    cvl_tile_rows(block->job->igemm->kern, &bare, rows);
}

void cvl_igemm_edge_tile(const struct cvl_igemm_block *block, const struct cvl_tile *tile,
                         const struct cvl_igemm_loops *loops, const struct cvl_axis *columns, int position)
{
    const struct cvl_gemm_kern *kern = block->job->igemm->kern;
    struct cvl_tile bare = with_loops(tile, loops);
    if (!block->job->cut.in_place && cvl_igemm_is_short(loops->count[0] * loops->count[2], tile->vectors)) {
        kern->tile[tile->vectors](tile);
        return;
    }
    if (tile->act == CVL_ACT_NONE && tile->out_lane == 1) {
        multiply_runs(kern, bare, columns, position);
        return;
    }
    float sums[SUMS_MOST];
    const ptrdiff_t pitch = tile->vectors * kern->lanes;
    bare.out = sums;
    bare.out_row = pitch;
    bare.out_lane = 1;
    bare.last = kern->lanes;
    bare.add = bare.bias = NULL;
    bare.act = CVL_ACT_NONE;
    multiply_runs(kern, bare, columns, position);
    kern->finish(tile, sums, pitch);
}

struct cvl_igemm_inner cvl_igemm_inner(const struct cvl_axis *axis)
{
    struct cvl_igemm_inner inner = { 0, axis->count };
    int other;
    if (axis->taps == 0)
        return inner;
    cvl_tap_range(0, axis->tap, axis->step, -axis->first, axis->count, axis->extent, &inner.first, &other);
    cvl_tap_range(axis->taps - 1, axis->tap, axis->step, -axis->first, axis->count, axis->extent, &other, &inner.end);
    return inner;
}
