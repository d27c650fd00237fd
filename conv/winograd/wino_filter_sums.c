/* SPDX-License-Identifier: Apache-2.0
 * BWD_FILTER: the products of transformed tiles, and the inverse of their sums. */
#include "conv/winograd/wino_filter.h"

/* What the products of a point read, in runs of as many vectors as there are tiles: the panels of both sides, then its
 * sums. Each call of a micro-kernel fetches one run of the point after it into the second-level cache. */
struct point { const float *rows, *lanes, *sums; };

static const float *run_of(const struct cvl_wino_filter *f, const struct cvl_wino_share *share,
                           const struct point *point, int tiles, int run)
{
    const int lanes = f->gemm->lanes;
    const int rows = cvl_divide_up(share->rows, lanes), vectors = cvl_divide_up(share->lanes, lanes);
    if (run < rows)
        return point->rows + run * f->rows.panel;
    if (run < rows + vectors)
        return point->lanes + (run - rows) * f->lanes.panel;
    const ptrdiff_t at = (ptrdiff_t)(run - rows - vectors) * tiles * lanes;
    return at < share->rows * f->s_row ? point->sums + at : NULL;
}

static struct point point_of(const struct cvl_wino_filter *f, const struct cvl_wino_product *product, int i)
{
    return (struct point){ product->rows + i * f->rows.wino.v_point, product->lanes + i * f->lanes.wino.v_point,
                           product->sums + i * f->s_point };
}

/* One panel of rows by some vectors of lanes; returns how many runs of the next point it has fetched. Tiles of equal
 * height are one call. */
static int multiply_panel(const struct cvl_wino_filter *f, const struct cvl_wino_share *share, struct cvl_tile *tile,
                          int rows, const struct point *next, int run)
{
    const int calls = cvl_divide_up(rows, f->gemm->rows_max[tile->vectors]), higher = rows % calls;
    for (int done = 0; done < calls; done += tile->repeat) {
        const float *fetch = run_of(f, share, next, tile->count[0], run + done);
        const float *after = run_of(f, share, next, tile->count[0], run + done + 1);
        tile->rows = rows / calls + (done < higher);
        tile->repeat = (done < higher ? higher : calls) - done;
        tile->b_next = fetch ? fetch - tile->b : 0;
        tile->b_next_repeat = after ? after - fetch : 0;
        f->gemm->tile[tile->vectors](tile);
        cvl_tile_skip(tile, tile->rows * tile->repeat);
    }
    return run + calls;
}

/* The tile is set up once for all points: what is stored between two tiles waits for their sums in the store queue. */
void cvl_wino_filter_multiply(const struct cvl_wino_filter *f, const struct cvl_wino_share *share,
                              const struct cvl_wino_product *product)
{
    const int lanes = f->gemm->lanes, vectors = cvl_divide_up(share->lanes, lanes);
    const int width = cvl_tile_shape(f->gemm, lanes, vectors, product->tiles, NULL);
    struct cvl_tile tile = { .last = lanes, .count = { product->tiles, 1, 1 }, .a_row = 1, .a_step = { lanes },
                             .b_vector = f->lanes.panel, .b_step = { lanes }, .out_row = f->s_row, .out_lane = 1 };
    for (int i = 0; i < f->points; i++) {
        const struct point point = point_of(f, product, i), next = point_of(f, product, (i + 1) % f->points);
        for (int vector = 0, run = 0; vector < vectors; vector += tile.vectors) {
            tile.vectors = cvl_min(width, vectors - vector);
            while (!f->gemm->rows_max[tile.vectors])
                tile.vectors--;
            tile.b = point.lanes + vector * f->lanes.panel;
            tile.out = product->sums + i * f->s_point + vector * lanes;
            tile.add = product->first ? NULL : tile.out;
            for (int channel = 0; channel < share->rows; channel += lanes) {
                tile.a = point.rows + channel / lanes * f->rows.panel;
                run = multiply_panel(f, share, &tile, cvl_min(lanes, share->rows - channel), &next, run);
            }
        }
    }
}

/* ---- the inverse ---- */

/* Channels of both sides, at most as many as a vector has lanes. */
struct block {
    const struct cvl_wino_filter *filter;
    const cvl_conv_args          *args;
    const float                  *sums;
    float                        *strip, *inverted;          /* one channel of rows; (row, tap, lane) of the block */
    int                           rows, lanes;
    ptrdiff_t                     row, lane, at;             /* strides of dw, and its first element here */
};

static int taps(const struct cvl_wino_filter *f)
{
    return f->desc->r * f->desc->s;
}

static ptrdiff_t strip_floats(const struct cvl_wino_filter *f)
{
    return (ptrdiff_t)f->desc->r * f->lanes.wino.columns.t * f->gemm->lanes;
}

ptrdiff_t cvl_wino_filter_scratch(const struct cvl_wino_filter *f)
{
    return strip_floats(f) + (ptrdiff_t)taps(f) * f->gemm->lanes * f->gemm->lanes;
}

static struct cvl_wino_finish finish_of(const struct block *b, ptrdiff_t at)
{
    const float *residual = b->args->residual;
    struct cvl_wino_finish finish = cvl_wino_finish_of(&b->filter->desc->epi);
    finish.add = residual ? residual + at : NULL;
    finish.ahead = b->row;
    return finish;
}

/* A^T S A of one row: to scratch, or to dw. */
static void invert(const struct block *b, int row, bool stored)
{
    const struct cvl_wino_filter *f = b->filter;
    const struct cvl_wino_axis *rows = &f->lanes.wino.rows, *columns = &f->lanes.wino.columns;
    const ptrdiff_t lanes = f->gemm->lanes, at = b->at + row * b->row;
    const struct cvl_wino_lines down = {
        .f = rows->f, .lines = columns->t, .from = b->sums + row * f->s_row, .from_line = f->s_point,
        .from_point = columns->t * f->s_point, .from_ahead = f->s_row, .to = b->strip, .to_line = lanes,
        .to_point = columns->t * lanes,
    };
    struct cvl_wino_lines across = {
        .f = columns->f, .lines = f->desc->r, .from = b->strip, .from_line = columns->t * lanes, .from_point = lanes,
        .to = b->inverted + row * taps(f) * lanes, .to_line = f->desc->s * lanes, .to_point = lanes,
    };
    f->kern->output(&down);
    if (!stored) {
        f->kern->output(&across);
        return;
    }
    const struct cvl_wino_finish finish = finish_of(b, at);
    across.to = (float *)b->args->w + at;
    across.to_line = f->w.at[2];
    across.to_point = f->w.at[3];
    f->kern->finish(&across, &finish);
}

/* Taps that lie side by side become columns. */
static void put_taps(const struct block *b)
{
    const struct cvl_wino_filter *f = b->filter;
    const struct cvl_wino_finish finish = finish_of(b, b->at);
    const struct cvl_wino_rows rows = {
        .rows = b->rows, .columns = taps(f), .lanes = b->lanes, .strip = b->inverted,
        .strip_row = (ptrdiff_t)taps(f) * f->gemm->lanes, .to = (float *)b->args->w + b->at, .row = b->row, .column = 1,
        .lane = b->lane, .ahead = b->row,
    };
    f->rows_kern->scatter(&rows, &finish);
}

/* Any other order. */
static void put_elements(const struct block *b)
{
    const struct cvl_wino_filter *f = b->filter;
    const cvl_epilogue *epi = &f->desc->epi;
    const float *residual = b->args->residual;
    for (int tap = 0; tap < taps(f); tap++) {
        const ptrdiff_t at = b->at + tap / f->desc->s * f->w.at[2] + tap % f->desc->s * f->w.at[3];
        const struct cvl_tile tile = {
            .rows = b->rows, .vectors = 1, .last = b->lanes, .out = (float *)b->args->w + at, .out_row = b->row,
            .out_lane = b->lane, .add = residual ? residual + at : NULL, .act = epi->act, .lo = epi->lo, .hi = epi->hi,
        };
        f->gemm->finish(&tile, b->inverted + (ptrdiff_t)tap * f->gemm->lanes, (ptrdiff_t)taps(f) * f->gemm->lanes);
    }
}

static void invert_block(const struct block *b)
{
    const struct cvl_wino_filter *f = b->filter;
    const bool simple = cvl_wino_is_simple(&f->desc->epi);
    const bool stored = simple && b->lane == 1 && b->lanes == f->gemm->lanes;
    for (int row = 0; row < b->rows; row++)
        invert(b, row, stored);
    if (stored)
        return;
    if (simple && f->w.at[3] == 1 && f->w.at[2] == f->desc->s)
        put_taps(b);
    else
        put_elements(b);
}

void cvl_wino_filter_inverse(const struct cvl_wino_filter *f, const struct cvl_wino_share *share,
                             const cvl_conv_args *args, const float *sums, float *scratch)
{
    const int lanes = f->gemm->lanes;
    struct block b = { .filter = f, .args = args, .strip = scratch, .inverted = scratch + strip_floats(f),
                       .row = f->w.at[f->rows.is_x], .lane = f->w.at[f->lanes.is_x] };
    for (int i = 0; i < share->rows; i += lanes)
        for (int j = 0; j < share->lanes; j += lanes) {
            b.sums = sums + i * f->s_row + j;
            b.rows = cvl_min(lanes, share->rows - i);
            b.lanes = cvl_min(lanes, share->lanes - j);
            b.at = (share->first_row + i) * b.row + (share->first_lane + j) * b.lane;
            invert_block(&b);
        }
}
