/* SPDX-License-Identifier: Apache-2.0
 * BWD_FILTER: which problems and tiles, how long they take, and how far off they may be. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/machine.h"
#include "conv/accuracy.h"
#include "conv/traffic.h"
#include "conv/winograd/wino_filter.h"

#include <math.h>

const char *cvl_wino_filter_reject(const cvl_ctx *ctx, const cvl_conv_desc *d)
{
    struct cvl_wino_filter f;
    if (d->r * d->s == 1 || cvl_wino_filter_cut(ctx, d, &(struct cvl_variant){ .knob = { 2 } }, &f) != CVL_OK)
        return cvl_reason("the filter is %dx%d, there is no transform of it", d->r, d->s);
    return NULL;
}

/* Direct convolution's errors, magnified by the transforms; of a few products too all elements of a tile take part. */
double cvl_wino_filter_tolerance(const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    const double k = cvl_conv_reduction(desc) + 1;
    struct cvl_wino x, y;
    double magnified = 1;
    if (cvl_wino_filter_axes(desc, variant, &x, &y))
        magnified = cvl_wino_matrices_all[x.rows.f].amplification * cvl_wino_matrices_all[x.columns.f].amplification;
    return 0x1p-24 * magnified * (10 + 2 * sqrt(k) + k) / cvl_conv_largest_output(desc, k);
}

/* Of both transforms of one tile and one vector of channels. */
static double transform_cycles(const struct cvl_wino_side *side)
{
    const struct cvl_wino *w = &side->wino;
    const int matrix = side->is_x ? 0 : 1;
    const double copied = w->in.at[1] != 1 ? 6.0 * w->rows.span : 0;
    const double down = cvl_wino_line_cycles(&w->rows, matrix, w->rows.span, w->rows.t) + copied;
    return (w->columns.m + (double)(w->columns.span - w->columns.m) / w->segment) * down
         + w->rows.t * cvl_wino_line_cycles(&w->columns, matrix, w->columns.span, w->columns.t);
}

/* Products and traffic of one share and one chunk, in lines of a vector. Sums are fetched ahead of their use, wherever
 * they are; tiles that all shares read come from the third-level cache. */
static double chunk_cycles(const struct cvl_wino_filter *f)
{
    const double l2 = cvl_cpu_info()->l2 ? (double)cvl_cpu_info()->l2 : 1 << 20;
    const int lanes = f->gemm->lanes, vectors = f->lanes.block / lanes;
    double slots;
    cvl_tile_shape(f->gemm, lanes, vectors, f->chunk, &slots);
    const double sums = (double)f->points * f->rows.block * vectors;
    const double tiles = (double)f->points * f->chunk * (f->rows.block / lanes + vectors);
    const double sum = (sums + tiles) * lanes * sizeof(float) > 1.25 * l2 ? 1.5 : 1;
    const double traffic = sum * sums * (f->chunks > 1 ? 2 : 1) + tiles * (f->staged ? 3 : 2);
    return slots * f->points * f->rows.block / lanes + traffic;
}

/* Of one row and one vector. Where a share's sums do not stay in the second-level cache, their lines take longer. */
static double inverse_cycles(const struct cvl_wino_filter *f)
{
    const double l2 = cvl_cpu_info()->l2 ? (double)cvl_cpu_info()->l2 : 1 << 20;
    const double load = (double)f->s_floats * sizeof(float) > l2 ? 3 : 2;
    const struct cvl_wino_axis *rows = &f->lanes.wino.rows, *columns = &f->lanes.wino.columns;
    return columns->t * cvl_wino_line_cycles(rows, 2, rows->t, rows->r)
         + rows->taps * cvl_wino_line_cycles(columns, 2, columns->t, columns->r)
         + load * f->points + 10.0 * rows->taps * columns->taps;
}

double cvl_wino_filter_cycles(const struct cvl_wino_filter *f)
{
    const double rows_times = f->staged ? 1 : f->lanes.blocks, lanes_times = f->staged ? 1 : f->rows.blocks;
    const double transforms = f->tiles * (rows_times * f->rows.wino.vectors * transform_cycles(&f->rows)
                                          + lanes_times * f->lanes.wino.vectors * transform_cycles(&f->lanes));
    const double added = f->parts > 1 ? 3.0 * f->parts * f->s_floats / f->gemm->lanes * cvl_wino_filter_shares(f) : 0;
    const double rows = (double)f->rows.channels / f->rows.block, lanes = (double)f->lanes.channels / f->lanes.block;
    return transforms + rows * lanes * f->chunks * chunk_cycles(f) + added   /* the last blocks may have fewer */
         + (double)f->rows.channels * f->lanes.wino.vectors * inverse_cycles(f);
}

/* Images, and tiles of a staged problem that no cache holds, go through memory. */
static double seconds_of(const struct cvl_wino_filter *f)
{
    const struct cvl_rates *rates = &f->ctx->rates;
    const double image = (double)cvl_conv_bytes(f->desc, CVL_X) + (double)cvl_conv_bytes(f->desc, CVL_Y);
    const double tiles = f->staged ? (double)(f->rows.wino.v_floats + f->lanes.wino.v_floats) * sizeof(float) : 0;
    const double moved = cvl_comes_from_memory(image + tiles) ? image + 2 * tiles : 0;
    return cvl_wino_filter_cycles(f) * 2 * f->gemm->lanes / rates->f32_flops + moved / (4 * rates->copy_dram) + 1e-6;
}

static double estimate(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    struct cvl_wino_filter f;
    return cvl_wino_filter_cut(ctx, desc, variant, &f) == CVL_OK ? seconds_of(&f) : INFINITY;
}

static int fewer_tiles(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    struct cvl_wino_filter f;
    return cvl_wino_filter_cut(ctx, desc, variant, &f) == CVL_OK && f.chunk > 16 ? f.chunk / 2 : 0;
}

const struct cvl_wino_pass cvl_wino_filter_pass = { estimate, fewer_tiles };

cvl_status cvl_wino_filter_init(cvl_plan *plan)
{
    struct cvl_wino_filter *filter = cvl_calloc(1, sizeof *filter);
    if (!filter)
        return cvl_fail(CVL_ENOMEM, "no memory for a plan of %s", plan->candidate);
    const cvl_status status = cvl_wino_filter_cut(plan->ctx, &plan->desc, &plan->variant, filter);
    if (status != CVL_OK) {
        cvl_free(filter);
        return status;
    }
    plan->state = filter;
    plan->workspace_bytes = cvl_wino_filter_workspace(filter);
    return CVL_OK;
}
