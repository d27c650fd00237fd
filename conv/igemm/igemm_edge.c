/* SPDX-License-Identifier: Apache-2.0
 * Tiles at the left and right edge of an image, where the first or last rows meet padding at some taps. Products with
 * padding are left out: taps that all rows meet go first, then those that fewer rows meet, each group by a tile of
 * these rows alone, which adds to the sums. On rows of 7 pixels padding would be 2 of 21 products. Of an RGB stem (32
 * channels at 112x112: 85.7 % of the peak) they take 2.7 points and the three short runs of each tile, for as many rows
 * of the filter, 4: a 1x1 layer of the same 27 products runs at 92.4. */
#include "conv/igemm/igemm_data.h"

enum { SUMS_MOST = 32 * CVL_TILE_LANES };   /* no level has more registers */

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

void cvl_igemm_edge_tile(const struct cvl_gemm_kern *kern, const struct cvl_tile *tile, const struct cvl_tile *loops,
                         const struct cvl_axis *columns, int position)
{
    struct cvl_tile bare = *tile;
    for (int loop = 0; loop < 3; loop++) {
        bare.count[loop] = loops->count[loop];
        bare.a_step[loop] = loops->a_step[loop];
        bare.b_step[loop] = loops->b_step[loop];
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

void cvl_igemm_inner(const struct cvl_axis *axis, int *first, int *last)
{
    int other;
    *first = 0;
    *last = axis->count;
    if (axis->taps == 0)
        return;
    cvl_tap_range(0, axis->tap, axis->step, -axis->first, axis->count, axis->extent, first, &other);
    cvl_tap_range(axis->taps - 1, axis->tap, axis->step, -axis->first, axis->count, axis->extent, &other, last);
}
