/* SPDX-License-Identifier: Apache-2.0
 * Tiles at the left and right edge of an image, where the first or last rows meet padding at some taps. Products with
 * padding are left out: taps that all rows meet go first, then those that fewer rows meet, each group by a tile of
 * these rows alone, which adds to the sums. On rows of 7 pixels padding would be 2 of 21 products. Where so little is
 * summed that beginning a tile costs more than the padding, as in an RGB stem, the tile reads zeros instead: those of
 * the band, or of a copy of what it sees. */
#include "conv/igemm/igemm_data.h"

#include <string.h>

enum {
    SUMS_MOST = 32 * CVL_TILE_LANES,   /* no level has more registers */
    SHORT = 32,                        /* multiply-adds with vectors for a row that meets one tap less */
    WINDOW = 1024,                     /* floats */
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

/* What a tile sees, copied with zeros for padding: columns [first, first + count) of an image whose pixels hold all
 * their channels side by side. */
struct window { int first, count, channels; };

static void copy_row(const struct window *window, const struct cvl_axis *columns, ptrdiff_t column, const float *image,
                     float *to)
{
    const ptrdiff_t channels = window->channels;
    const int left = cvl_min(window->count, cvl_max(0, -window->first));
    const int end = cvl_max(left, cvl_min(window->count, columns->extent - window->first));
    const int runs = column == channels ? 1 : end - left;
    const size_t run = (size_t)((end - left) / cvl_max(1, runs) * channels) * sizeof *to;
    if (left > 0)
        memset(to, 0, (size_t)(left * channels) * sizeof *to);
    if (end < window->count)
        memset(to + end * channels, 0, (size_t)((window->count - end) * channels) * sizeof *to);
    for (int i = 0; i < runs; i++)
        memcpy(to + (left + i) * channels, image + (left + i) * column, run);
}

/* Sums so short that beginning another tile costs more than their products with padding. */
static bool is_short(const struct cvl_tile *tile, const struct cvl_igemm_loops *loops)
{
    return loops->count[0] * loops->count[2] * tile->vectors <= SHORT;
}

/* The tile, reading a copy of what it sees; false where that does not fit. */
static bool multiply_window(const struct cvl_igemm_block *block, struct cvl_tile tile, const struct cvl_igemm_loops *loops,
                            const struct cvl_axis *columns, int position)
{
    const struct window window = { .first = columns->first + position * columns->step, .channels = loops->count[0],
        .count = (tile.rows - 1) * columns->step + (columns->taps - 1) * columns->tap + 1 };
    const ptrdiff_t column = tile.a_row / columns->step, channels = window.channels;
    float copy[WINDOW];
    if (loops->a_step[0] != 1 || window.count * window.channels * loops->count[2] > WINDOW)
        return false;
    for (int i = 0; i < loops->count[2]; i++)
        copy_row(&window, columns, column, tile.a + i * loops->a_step[2], copy + i * window.count * channels);
    tile.a = copy;
    tile.a_row = columns->step * channels;
    for (int loop = 0; loop < 3; loop++) {
        tile.count[loop] = loops->count[loop];
        tile.b_step[loop] = loops->b_step[loop];
    }
    tile.a_step[0] = 1;
    tile.a_step[1] = columns->tap * channels;
    tile.a_step[2] = window.count * channels;
    cvl_tile_join(&tile);
    block->job->igemm->kern->tile[tile.vectors](&tile);
    return true;
}

void cvl_igemm_edge_tile(const struct cvl_igemm_block *block, const struct cvl_tile *tile,
                         const struct cvl_igemm_loops *loops, const struct cvl_axis *columns, int position)
{
    const struct cvl_gemm_kern *kern = block->job->igemm->kern;
    const bool in_place = block->job->cut.in_place, few = is_short(tile, loops);
    if (few && in_place && multiply_window(block, *tile, loops, columns, position))
        return;
    if (few && !in_place) {
        kern->tile[tile->vectors](tile);
        return;
    }
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
