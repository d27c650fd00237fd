/* SPDX-License-Identifier: Apache-2.0
 * Cuts BWD_FILTER. A task owns a share of dw: some channels of both operands and some rows of taps. It passes by the
 * pixels in chunks, of which both operands stay in the second-level cache, beside what is fetched of the next one: a
 * chunk of twice the size loses 3 to 10 %, and so do shares of 256 x 256 channels. Pixels are cut into parts only while
 * all parts' sums together are small, and beside what a part multiplies. */
#include "conv/igemm/igemm_filter.h"

#include <math.h>

enum {
    TASKS = 16, TASK_FLOPS = 2000000,
    ROWS_MOST = 128, LANES_MOST = 128, ROWS_LEAST = 28,   /* channels of a task */
    TURNED_ROWS_MOST = 256, TURNED_LANES_MOST = 64,       /* where lanes are packed, once for each block of rows */
    THREES_LANES_MOST = 48,
    PARTS_FLOATS = 1 << 17,          /* sums of all parts */
    SUMS_FLOATS = 80 << 10,          /* sums of a task that cannot keep them in dw */
    CHUNK_FLOATS = 112 << 10, TURNED_CHUNK_FLOATS = 80 << 10,   /* of a chunk, besides which the next one is fetched */
    POSITIONS_MOST = 448, POSITIONS_LEAST = 64, PART_POSITIONS = 448,
    STEPS = 200,                     /* of a tile, about */
    COLLIDE = 512,                   /* floats: pixels so far apart share few lines of the caches */
};

static void set_block(struct cvl_igemm_operand *operand, int unit, int most)
{
    const int units = cvl_divide_up(operand->channels, unit);
    const int blocks = cvl_divide_up(units, cvl_max(1, most / unit));
    operand->block = cvl_divide_up(units, blocks) * unit;
    operand->blocks = cvl_divide_up(operand->channels, operand->block);
}

/* Whether planes are turned by three vectors, for tiles of seven rows: 576 x 96 channels of 14x14 by 6 % faster than by
 * two. Not where several taps share them: 512 x 512 of 7x7, 3x3, lost 3 %. */
static bool turns_threes(const struct cvl_igemm_filter_plan *plan)
{
    const struct cvl_gemm_kern *kern = plan->igemm->kern;
    return plan->lanes.packed && plan->lanes.channel != 1 && plan->igemm->taps == 1
        && 3 * kern->rows_max[3] > 2 * kern->rows_max[2];
}

/* The shares: enough for the tasks with the parts that are allowed, and no larger than their sums may be. */
static void cut_shares(struct cvl_igemm_filter_plan *plan)
{
    const struct cvl_igemm *g = plan->igemm;
    const int lanes = g->kern->lanes, columns = plan->cut.columns.taps;
    const double filter = (double)g->desc->groups * g->in_channels * g->out_channels * g->taps;
    const double positions = (double)plan->cut.images * plan->cut.rows.count * plan->cut.columns.count;
    const int tasks = (int)fmax(1, fmin(TASKS, cvl_conv_flops(g->desc) / TASK_FLOPS));
    const int parts = (int)fmax(1, fmin(tasks, fmin(PARTS_FLOATS / filter, positions / PART_POSITIONS)));
    const bool scratch = !plan->direct || parts > 1;
    int rows = plan->lanes.packed ? TURNED_ROWS_MOST : ROWS_MOST;
    int most = turns_threes(plan) ? THREES_LANES_MOST : plan->lanes.packed ? TURNED_LANES_MOST : LANES_MOST;
    plan->tap_rows = plan->cut.rows.taps;
    for (;;) {
        set_block(&plan->rows, 1, rows);
        set_block(&plan->lanes, lanes, most);
        plan->tap_blocks = cvl_divide_up(plan->cut.rows.taps, plan->tap_rows);
        plan->shares = g->desc->groups * plan->rows.blocks * plan->lanes.blocks * plan->tap_blocks;
        plan->sums_floats = (ptrdiff_t)plan->tap_rows * columns * plan->rows.block * plan->lanes.block;
        const bool large = scratch && plan->sums_floats > SUMS_FLOATS, few = plan->shares * parts < tasks;
        if (!large && !few)
            break;
        if (most > 2 * lanes && plan->lanes.block >= plan->rows.block)
            most = plan->lanes.block / 2;
        else if (plan->rows.block > ROWS_LEAST && !plan->joined)
            rows = cvl_max(ROWS_LEAST, cvl_divide_up(plan->rows.block, 2));
        else if (most > 2 * lanes)
            most = cvl_max(2 * lanes, plan->lanes.block / 2);
        else if (large && plan->tap_rows > 1)
            plan->tap_rows = cvl_divide_up(plan->tap_rows, 2);
        else
            break;
    }
    plan->parts = cvl_min(parts, cvl_divide_up(tasks, cvl_max(1, plan->shares)));
}

static void measure(const struct cvl_igemm_filter_plan *plan, struct cvl_igemm_operand *o)
{
    const struct cvl_igemm_cut *cut = &plan->cut;
    const ptrdiff_t rows = cvl_igemm_span(&o->rows, cut->block_rows, false).size;
    const ptrdiff_t columns = cvl_igemm_span(&o->columns, cut->block_columns, false).size;
    if (!o->packed)
        return;
    if (o->planes) {
        o->band_column = 1;
        o->band_row = columns;
        o->band_image = rows * columns;
        o->band_channel = (o->band_image * plan->block_images + 15) / 32 * 32 + 16;   /* off the multiples of a page */
        o->floats = o->band_channel * o->width;
    } else {
        o->band_channel = 1;
        o->band_column = o->width % 128 == 0 ? o->width + 16 : o->width;
        o->band_row = o->band_column * columns;
        o->band_image = o->band_row * rows;
        o->floats = o->band_image * plan->block_images;
    }
}

static void cut_positions(struct cvl_igemm_filter_plan *plan)
{
    struct cvl_igemm_cut *cut = &plan->cut;
    const int knob = plan->igemm->variant.knob[CVL_IGEMM_PIXELS];
    const double all = (double)cut->images * cut->rows.count * cut->columns.count;
    int most = plan->lanes.packed ? TURNED_CHUNK_FLOATS / (plan->rows.block + 2 * plan->lanes.width)
                                  : CHUNK_FLOATS / (plan->rows.block + plan->lanes.block);
    most = cvl_max(POSITIONS_LEAST, cvl_min(most, POSITIONS_MOST));
    if (plan->parts > 1)
        most = (int)fmin(most, fmax(PART_POSITIONS, ceil(all / plan->parts)));
    for (most = knob ? knob : most;; most /= 2) {
        const int columns = cut->columns.count, rows = cut->rows.count;
        cut->block_columns = cvl_divide_up(columns, cvl_divide_up(columns, cvl_max(1, most)));
        cut->block_rows = cvl_divide_up(rows, cvl_divide_up(rows, cvl_max(1, most / cut->block_columns)));
        const bool whole = cut->block_rows == rows && cut->block_columns == columns;
        plan->block_images = whole ? cvl_max(1, cvl_min(cut->images, most / cut->block_rows / cut->block_columns)) : 1;
        measure(plan, &plan->rows);
        measure(plan, &plan->lanes);
        if (most <= 1 || plan->rows.floats + plan->lanes.floats <= CHUNK_FLOATS)
            break;
    }
    cut->row_blocks = cvl_divide_up(cut->rows.count, cut->block_rows);
    cut->column_blocks = cvl_divide_up(cut->columns.count, cut->block_columns);
    plan->image_blocks = cvl_divide_up(cut->images, plan->block_images);
    plan->chunks = cvl_max(1, plan->image_blocks * cut->row_blocks * cut->column_blocks);
    plan->parts = cvl_min(plan->chunks, plan->parts);
}

/* About how many multiply-adds of a vector a position costs with lanes from one operand and rows from the other: TURN
 * is what it takes to turn a vector of planes, UNPACK to write one of sums to where dw has it. */
static double position_cost(const struct cvl_igemm *g, bool from_x)
{
    enum { TURN = 6, UNPACK = 8 };
    const struct cvl_strides *of = from_x ? &g->in : &g->out;
    const int lanes = from_x ? g->in_channels : g->out_channels, rows = from_x ? g->out_channels : g->in_channels;
    const double vectors = cvl_divide_up(lanes, g->kern->lanes), sums = vectors * rows * g->taps;
    const double pixels = fmax(1, (double)g->desc->n * cvl_conv_p(g->desc) * cvl_conv_q(g->desc));
    const double turned = of->at[1] == 1 ? 0 : vectors * TURN * cvl_divide_up(rows, TURNED_ROWS_MOST);
    return sums + turned + (g->w.at[from_x] == 1 ? 0 : UNPACK * sums / pixels);
}

static bool lanes_from_y(const struct cvl_igemm *g)
{
    const int knob = g->variant.knob[CVL_IGEMM_LANES];
    return knob ? knob == 2 : position_cost(g, false) < 0.99 * position_cost(g, true);
}

static void choose_packing(struct cvl_igemm_filter_plan *plan)
{
    const struct cvl_igemm *g = plan->igemm;
    const int knob = g->variant.knob[CVL_IGEMM_PACK], lanes = g->kern->lanes;
    struct cvl_igemm_operand *rows = &plan->rows, *wide = &plan->lanes;
    const bool collide = rows->channel != 1 && rows->channel % COLLIDE == 0;
    rows->planes = rows->channel != 1 && !plan->joined;
    rows->packed = plan->joined || knob == 2 || (knob != 1 && collide);
    wide->packed = wide->channel != 1 || wide->channels % lanes != 0 || knob == 2;
}

struct cvl_igemm_filter_plan cvl_igemm_filter_plan(const struct cvl_igemm *g)
{
    const cvl_conv_desc *d = g->desc;
    struct cvl_igemm_filter_plan plan = { .igemm = g, .cut = {
        .rows = cvl_axis_of(d, true, 0), .columns = cvl_axis_of(d, false, 0), .images = d->n,
        .in_image = g->in.at[0], .in_row = g->in.at[2], .in_column = g->in.at[3],
        .out_image = g->out.at[0], .out_row = g->out.at[2], .out_column = g->out.at[3],
    } };
    const bool swap = lanes_from_y(g);
    struct cvl_igemm_cut *cut = &plan.cut;
    cvl_igemm_merge(cut);
    const struct cvl_igemm_operand x = { .is_x = true, .channels = g->in_channels, .image = cut->in_image,
        .row = cut->in_row, .column = cut->in_column, .channel = g->in.at[1], .rows = cut->rows,
        .columns = cut->columns };
    const struct cvl_igemm_operand y = { .channels = g->out_channels, .image = cut->out_image, .row = cut->out_row,
        .column = cut->out_column, .channel = g->out.at[1],
        .rows = { .count = cut->rows.count, .taps = 1, .step = 1, .extent = cut->rows.count },
        .columns = { .count = cut->columns.count, .taps = 1, .step = 1, .extent = cut->columns.count } };
    plan.rows = swap ? x : y;
    plan.lanes = swap ? y : x;
    plan.joined = swap && g->in_channels < g->kern->rows_max[2] && cut->columns.taps > 1 && cut->columns.tap == 1
               && cut->columns.step <= cut->columns.taps;
    plan.direct = g->w.at[plan.lanes.is_x] == 1 && (!plan.joined || g->w.at[3] == g->in_channels * g->w.at[1]);
    choose_packing(&plan);
    cut_shares(&plan);
    plan.vectors = cvl_tile_shape(g->kern, plan.joined ? plan.rows.block * cut->columns.taps : plan.rows.block,
                                  cvl_divide_up(plan.lanes.block, g->kern->lanes),
                                  cvl_max(1, cvl_min(STEPS, cut->rows.count * cut->columns.count)), NULL);
    if (turns_threes(&plan) && plan.lanes.block >= 3 * g->kern->lanes)
        plan.vectors = 3;
    plan.height = g->kern->rows_max[plan.vectors];
    plan.rows.width = plan.rows.block;
    plan.lanes.width = plan.vectors * g->kern->lanes;
    cut_positions(&plan);
    plan.direct = plan.direct && plan.parts == 1;
    return plan;
}
