/* SPDX-License-Identifier: Apache-2.0
 * BWD_FILTER: for every tap a product of y and x whose reduction runs over pixels and images,
 *     dw[k][c][r][s] = sum over n,p,q of dy[n][k][p][q] * x[n][c][p*stride + r*dil - pad][...].
 * One of the two gives the lanes (x if it has channels enough) and is copied channel by channel into a band; the other
 * gives the rows and is read in place where its strides allow. A task owns some channels of both and some rows of taps;
 * its sums stay in its scratch memory while all pixels go by, and are put in their places at the end. When there are
 * few such tasks the pixels are cut into parts as well, whose sums are added up in order.
 *
 * Tried, NHWC, ResNet-50 at batch 8 (74 % of the kernel's rate): rows packed in panels of one tile's height, 67 %, for
 * copies of 13 floats; rows read in place, no change on average; rows transposed into planes, slower by a tenth. */
#include "base/profile.h"
#include "base/threads.h"
#include "conv/igemm/igemm_cut.h"

#include <math.h>

enum { POSITIONS = 448, SUMS_FLOATS = 1 << 16, BAND_FLOATS = 1 << 16, TASKS = 16 };

/* One of the two operands. */
struct operand {
    bool        is_x, planes, in_place;
    const float *data;
    int         channels;                        /* of a group */
    int         block, blocks;                   /* channels of a task, how many times */
    ptrdiff_t   image, row, column, channel;     /* strides in its tensor */
    int         width;                           /* channels of a panel of the band; planes are in one */
    ptrdiff_t   band_panel, band_image, band_row, band_column, band_channel, band_floats;
};

struct plan {
    const struct cvl_igemm *igemm;
    struct cvl_igemm_cut    cut;                 /* in is x, out is dy */
    struct operand          rows, lanes;
    int                     tap_rows, tap_blocks;      /* rows of taps of a task, how many times */
    int                     block_images, image_blocks;
    int                     chunks, parts, part_chunks;
    ptrdiff_t               sums_floats;         /* of a task */
    bool                    joined;              /* rows are (s, channel) */
};

static int unit_of(const struct plan *plan, const struct operand *operand)
{
    return operand == &plan->lanes ? plan->igemm->kern->lanes : 1;
}

static void set_block(const struct plan *plan, struct operand *operand, int most)
{
    const int unit = unit_of(plan, operand), units = cvl_igemm_divide(operand->channels, unit);
    const int fit = cvl_igemm_max(1, most / unit), blocks = cvl_igemm_divide(units, fit);
    operand->block = cvl_igemm_divide(units, blocks) * unit;
    operand->blocks = cvl_igemm_divide(operand->channels, operand->block);
}

/* Sums of a task fit SUMS_FLOATS, with about as many rows as lanes. */
static void cut_sums(struct plan *plan)
{
    const struct cvl_igemm_cut *cut = &plan->cut;
    const int lanes = plan->igemm->kern->lanes;
    plan->tap_rows = cut->rows.taps;
    for (;; plan->tap_rows = cvl_igemm_divide(plan->tap_rows, 2)) {
        const int room = cvl_igemm_max(1, SUMS_FLOATS / (plan->tap_rows * cut->columns.taps));
        const int side = (int)sqrt(room);
        set_block(plan, &plan->lanes, cvl_igemm_max(2 * lanes, side));
        set_block(plan, &plan->rows, cvl_igemm_max(plan->igemm->kern->rows_max[2], room / plan->lanes.block));
        if (plan->tap_rows == 1 || side >= 2 * lanes)
            break;
    }
    plan->tap_blocks = cvl_igemm_divide(cut->rows.taps, plan->tap_rows);
    plan->sums_floats = (ptrdiff_t)plan->tap_rows * cut->columns.taps * plan->rows.block * plan->lanes.block;
}

static void measure(const struct plan *plan, struct operand *operand)
{
    const struct cvl_igemm_cut *cut = &plan->cut;
    const ptrdiff_t rows = operand->is_x ? cut->row_span.size : cut->block_rows;
    const ptrdiff_t columns = operand->is_x ? cut->column_span.size : cut->block_columns;
    if (operand->in_place) {
        operand->band_image = operand->image;
        operand->band_row = operand->row * (operand->is_x ? cut->rows.step : 1);
        operand->band_column = operand->column * (operand->is_x ? cut->columns.step : 1);
        operand->band_channel = operand->channel;
        operand->band_floats = 0;
        operand->band_panel = 0;
        operand->width = operand->block;
        return;
    }
    operand->width = operand->block;
    if (operand->planes) {
        operand->band_column = 1;
        operand->band_row = columns;
        operand->band_channel = rows * columns + 16 - rows * columns % 16;
        operand->band_image = operand->band_channel * operand->block;
    } else {
        if (operand == &plan->lanes)
            operand->width = plan->igemm->kern->lanes;
        operand->band_channel = 1;
        operand->band_column = operand->width % 256 == 0 ? operand->width + 16 : operand->width;
        operand->band_row = operand->band_column * columns;
        operand->band_image = operand->band_row * rows;
    }
    operand->band_panel = (operand->band_image * plan->block_images + 15) / 16 * 16 + 16;
    operand->band_floats = operand->band_panel * cvl_igemm_divide(operand->block, operand->width);
}

static void cut_positions(struct plan *plan)
{
    struct cvl_igemm_cut *cut = &plan->cut;
    const int pixels = plan->igemm->variant.knob[CVL_IGEMM_PIXELS];
    const int target = pixels ? pixels : POSITIONS;
    for (int most = target;; most /= 2) {
        cut->block_columns = cvl_igemm_divide(cut->columns.count,
                                              cvl_igemm_divide(cut->columns.count, cvl_igemm_max(1, most)));
        cut->block_rows = cvl_igemm_divide(cut->rows.count,
                              cvl_igemm_divide(cut->rows.count, cvl_igemm_max(1, most / cut->block_columns)));
        const bool whole = cut->block_rows == cut->rows.count && cut->block_columns == cut->columns.count;
        plan->block_images = whole ? cvl_igemm_max(1, cvl_igemm_min(cut->images, most / cut->block_rows
                                                                                 / cut->block_columns)) : 1;
        cut->row_span = cvl_igemm_span(&cut->rows, cut->block_rows, false);
        cut->column_span = cvl_igemm_span(&cut->columns, cut->block_columns, false);
        measure(plan, &plan->rows);
        measure(plan, &plan->lanes);
        if (most <= 1 || plan->rows.band_floats + plan->lanes.band_floats <= 2 * BAND_FLOATS)
            break;
    }
    cut->row_blocks = cvl_igemm_divide(cut->rows.count, cut->block_rows);
    cut->column_blocks = cvl_igemm_divide(cut->columns.count, cut->block_columns);
    plan->image_blocks = cvl_igemm_divide(cut->images, plan->block_images);
    plan->chunks = plan->image_blocks * cut->row_blocks * cut->column_blocks;
}

static int task_count(const struct plan *plan)
{
    return plan->igemm->desc->groups * plan->rows.blocks * plan->lanes.blocks * plan->tap_blocks;
}

static bool lanes_from_y(const struct cvl_igemm *g)
{
    const int lanes = g->kern->lanes, c = g->in_channels, k = g->out_channels;
    const double x_share = (double)c / (cvl_igemm_divide(c, lanes) * lanes);
    const double y_share = (double)k / (cvl_igemm_divide(k, lanes) * lanes);
    const int knob = g->variant.knob[CVL_IGEMM_LANES];
    if (knob)
        return knob == 2;
    return y_share > 1.1 * x_share || (g->desc->w_layout == CVL_RSCK && y_share > 0.9 * x_share);
}

static struct plan plan_of(const struct cvl_igemm *g)
{
    const cvl_conv_desc *d = g->desc;
    struct plan plan = { .igemm = g, .cut = {
        .rows = cvl_igemm_axis(d, true, 0), .columns = cvl_igemm_axis(d, false, 0), .images = d->n,
        .in_image = g->in.at[0], .in_row = g->in.at[2], .in_column = g->in.at[3],
        .out_image = g->out.at[0], .out_row = g->out.at[2], .out_column = g->out.at[3],
    } };
    const bool swap = lanes_from_y(g);
    struct cvl_igemm_cut *cut = &plan.cut;
    cvl_igemm_merge(cut);
    const struct operand x = { .is_x = true, .channels = g->in_channels, .image = cut->in_image, .row = cut->in_row,
                               .column = cut->in_column, .channel = g->in.at[1] };
    const struct operand y = { .channels = g->out_channels, .image = cut->out_image, .row = cut->out_row,
                               .column = cut->out_column, .channel = g->out.at[1] };
    plan.rows = swap ? x : y;
    plan.lanes = swap ? y : x;
    plan.rows.planes = plan.rows.channel != 1 && (!swap || g->in_channels >= 8);
    const bool padded = cut->columns.first < 0 || cut->columns.first + (int64_t)(cut->columns.count - 1)
                      * cut->columns.step + (int64_t)(cut->columns.taps - 1) * cut->columns.tap >= cut->columns.extent;
    plan.rows.in_place = plan.rows.channel != 1 && plan.rows.channel % 512 != 0 && !(swap && padded)
                       && plan.rows.planes;
    cut_sums(&plan);
    cut_positions(&plan);
    plan.joined = swap && !plan.rows.in_place && !plan.rows.planes && plan.rows.blocks == 1
               && cut->column_span.at_j == 1 && plan.rows.band_column == plan.rows.channels;
    plan.parts = cvl_igemm_max(1, cvl_igemm_min(plan.chunks, TASKS / task_count(&plan)));
    plan.part_chunks = cvl_igemm_max(1, cvl_igemm_divide(plan.chunks, plan.parts));
    plan.parts = cvl_igemm_max(1, cvl_igemm_divide(plan.chunks, plan.part_chunks));
    return plan;
}

struct job {
    struct plan          plan;
    const cvl_conv_args *args;
    float               *bands, *sums;
    ptrdiff_t            slot_floats;            /* of the bands of a slot */
};

/* A task's share of the filter. */
struct share { int group, first_row, rows, first_lane, lanes, first_tap, taps; };

static struct share share_of(const struct plan *plan, int task)
{
    struct share share;
    share.first_row = task % plan->rows.blocks * plan->rows.block;
    share.rows = cvl_igemm_min(plan->rows.block, plan->rows.channels - share.first_row);
    task /= plan->rows.blocks;
    share.first_lane = task % plan->lanes.blocks * plan->lanes.block;
    share.lanes = cvl_igemm_min(plan->lanes.block, plan->lanes.channels - share.first_lane);
    task /= plan->lanes.blocks;
    share.first_tap = task % plan->tap_blocks * plan->tap_rows;
    share.taps = cvl_igemm_min(plan->tap_rows, plan->cut.rows.taps - share.first_tap);
    share.group = task / plan->tap_blocks;
    return share;
}

struct chunk { int image, images, first_row, rows, first_column, columns; };

static struct chunk chunk_of(const struct plan *plan, int number)
{
    const struct cvl_igemm_cut *cut = &plan->cut;
    struct chunk chunk;
    chunk.first_column = number % cut->column_blocks * cut->block_columns;
    chunk.columns = cvl_igemm_min(cut->block_columns, cut->columns.count - chunk.first_column);
    number /= cut->column_blocks;
    chunk.first_row = number % cut->row_blocks * cut->block_rows;
    chunk.rows = cvl_igemm_min(cut->block_rows, cut->rows.count - chunk.first_row);
    chunk.image = number / cut->row_blocks * plan->block_images;
    chunk.images = cvl_igemm_min(plan->block_images, cut->images - chunk.image);
    return chunk;
}

/* An operand's channels [first, first + channels) of a chunk: where position (0,0) meets tap (0,0). */
static const float *bring(const struct job *job, const struct operand *operand, const struct chunk *chunk, int group,
                          int first, int channels, float *band)
{
    const struct cvl_igemm_cut *cut = &job->plan.cut;
    const float *data = cvl_conv_pointer(job->args, operand->is_x ? CVL_X : CVL_Y);
    const float *image = data + chunk->image * operand->image
                       + (group * (ptrdiff_t)operand->channels + first) * operand->channel;
    const struct cvl_igemm_axis one_row = { .count = cut->rows.count, .taps = 1, .step = 1, .extent = cut->rows.count };
    const struct cvl_igemm_axis one_column = { .count = cut->columns.count, .taps = 1, .step = 1,
                                               .extent = cut->columns.count };
    struct cvl_igemm_band fill = {
        .kern = job->plan.igemm->kern, .image = image, .row = operand->row, .column = operand->column,
        .channel = operand->channel, .rows = operand->is_x ? cut->rows : one_row,
        .columns = operand->is_x ? cut->columns : one_column, .first_row = chunk->first_row, .row_count = chunk->rows,
        .first_column = chunk->first_column, .column_count = chunk->columns, .channels = channels,
        .planes = operand->planes, .to = band, .to_row = operand->band_row, .to_column = operand->band_column,
        .to_channel = operand->band_channel,
    };
    if (operand->in_place)
        return image + (fill.rows.first + (ptrdiff_t)chunk->first_row * fill.rows.step) * operand->row
             + (fill.columns.first + (ptrdiff_t)chunk->first_column * fill.columns.step) * operand->column;
    fill.row_span = cvl_igemm_span(&fill.rows, chunk->rows, false);
    fill.column_span = cvl_igemm_span(&fill.columns, chunk->columns, false);
    for (int done = 0; done < channels; done += operand->width) {
        const int panel = done / operand->width;
        fill.channels = cvl_igemm_min(operand->width, channels - done);
        for (int i = 0; i < chunk->images; i++) {
            fill.image = image + done * operand->channel + i * operand->image;
            fill.to = band + panel * operand->band_panel + i * operand->band_image;
            cvl_igemm_fill(&fill);
        }
    }
    return band;
}

/* Sets the steps of one operand: from one position, row, and image to the next; returns where tap (r,s) begins. */
static ptrdiff_t steps_of(const struct plan *plan, const struct operand *operand, const struct chunk *chunk, int r,
                          int s, ptrdiff_t steps[3])
{
    const struct cvl_igemm_cut *cut = &plan->cut;
    const struct cvl_igemm_span rows = cvl_igemm_span(&cut->rows, chunk->rows, false);
    const struct cvl_igemm_span columns = cvl_igemm_span(&cut->columns, chunk->columns, false);
    const bool band = operand->is_x && !operand->in_place;
    steps[0] = operand->band_column * (band ? columns.at_t : 1);
    steps[1] = operand->band_row * (band ? rows.at_t : 1);
    steps[2] = operand->band_image;
    if (!operand->is_x)
        return 0;
    return band ? r * (ptrdiff_t)rows.at_j * operand->band_row + s * (ptrdiff_t)columns.at_j * operand->band_column
                : r * (ptrdiff_t)cut->rows.tap * operand->row + s * (ptrdiff_t)cut->columns.tap * operand->column;
}

/* The tiles of some vectors of lanes, which `tile` has, by all rows. */
static void multiply_rows(const struct plan *plan, struct cvl_tile tile, int rows)
{
    const struct cvl_gemm_kern *kern = plan->igemm->kern;
    const int tiles = cvl_igemm_divide(rows, kern->rows_max[tile.vectors]);
    const int low = rows / tiles, higher = rows % tiles;
    for (int i = 0; i < tiles; i++) {
        tile.rows = low + (i < higher);
        kern->tile[tile.vectors](&tile);
        tile.a += tile.rows * tile.a_row;
        tile.out += tile.rows * tile.out_row;
        tile.add += tile.add ? tile.rows * tile.out_row : 0;
    }
}

/* All tiles of one tap (or, joined, of one row of taps) of a chunk. */
static void multiply_tap(const struct job *job, const struct share *share, const struct chunk *chunk, const float *a,
                         const float *b, int r, int s, bool first, float *sums)
{
    const struct plan *plan = &job->plan;
    const struct cvl_igemm_cut *cut = &plan->cut;
    const int lanes = plan->igemm->kern->lanes, pitch = plan->lanes.block;
    const int rows = plan->joined ? share->rows * cut->columns.taps : share->rows;
    const int vectors = cvl_igemm_divide(share->lanes, lanes);
    int begin, end;
    cvl_tap_range(r, cut->rows.tap, cut->rows.step, -(cut->rows.first + chunk->first_row * cut->rows.step), chunk->rows,
                  cut->rows.extent, &begin, &end);
    struct cvl_tile tile = { .count = { chunk->columns, end - begin, chunk->images }, .out_row = pitch, .out_lane = 1,
                             .a_row = plan->rows.band_channel, .b_vector = plan->lanes.band_panel, .last = lanes };
    tile.a = a + steps_of(plan, &plan->rows, chunk, r, s, tile.a_step);
    tile.b = b + steps_of(plan, &plan->lanes, chunk, r, s, tile.b_step);
    tile.a += begin * tile.a_step[1];
    tile.b += begin * tile.b_step[1];
    tile.b_packed = tile.b_step[0] == lanes;
    cvl_tile_join(&tile);
    for (int vector = 0; vector < vectors; vector += tile.vectors) {
        tile.vectors = cvl_igemm_min(2, vectors - vector);
        tile.out = sums + vector * lanes;
        tile.add = first ? NULL : tile.out;
        multiply_rows(plan, tile, rows);
        tile.b += tile.vectors * tile.b_vector;
    }
}

/* dw of a share from its sums: (taps, s, rows, lanes.block). */
static void unpack(const struct job *job, const struct share *share, const float *sums)
{
    const struct plan *plan = &job->plan;
    const struct cvl_igemm *g = plan->igemm;
    const struct cvl_igemm_cut *cut = &plan->cut;
    const ptrdiff_t row = g->w.at[plan->rows.is_x], lane = g->w.at[plan->lanes.is_x];
    const int step = g->kern->lanes, pitch = plan->lanes.block;
    const cvl_epilogue *epi = &g->desc->epi;
    for (int tap = 0; tap < share->taps * cut->columns.taps; tap++)
        for (int i = 0; i < share->rows; i += step)
            for (int j = 0; j < share->lanes; j += step) {
                const ptrdiff_t at = share->group * g->out_channels * g->w.at[0] + (share->first_row + i) * row
                    + (share->first_lane + j) * lane + (share->first_tap + tap / cut->columns.taps) * g->w.at[2]
                    + tap % cut->columns.taps * g->w.at[3];
                const struct cvl_tile tile = {
                    .rows = cvl_igemm_min(step, share->rows - i), .vectors = 1,
                    .last = cvl_igemm_min(step, share->lanes - j), .out = (float *)job->args->w + at, .out_row = row,
                    .out_lane = lane, .act = epi->act, .lo = epi->lo, .hi = epi->hi,
                    .add = job->args->residual ? (const float *)job->args->residual + at : NULL,
                };
                g->kern->finish(&tile, sums + ((ptrdiff_t)tap * share->rows + i) * pitch + j, pitch);
            }
}

static ptrdiff_t aligned(ptrdiff_t floats) { return (floats + 15) / 16 * 16; }

/* Task: a share and a part of the pixels. */
static void filter_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct plan *plan = &job->plan;
    const struct cvl_igemm_cut *cut = &plan->cut;
    const int part = task % plan->parts;
    const struct share share = share_of(plan, task / plan->parts);
    float *band = job->bands + slot * job->slot_floats, *other = band + aligned(plan->rows.band_floats);
    float *sums = job->sums + (plan->parts > 1 ? task : slot) * aligned(plan->sums_floats);
    const int first = part * plan->part_chunks, last = cvl_igemm_min(plan->chunks, first + plan->part_chunks);
    if (first >= last)   /* an empty batch */
        plan->igemm->kern->zero(sums, plan->lanes.block, (int)(plan->sums_floats / plan->lanes.block),
                                plan->lanes.block);
    for (int number = first; number < last; number++) {
        const struct chunk chunk = chunk_of(plan, number);
        cvl_phase("pack");
        const float *a = bring(job, &plan->rows, &chunk, share.group, share.first_row, share.rows, band);
        const float *b = bring(job, &plan->lanes, &chunk, share.group, share.first_lane, share.lanes, other);
        cvl_phase("multiply");
        const int across = plan->joined ? 1 : cut->columns.taps;
        for (int r = 0; r < share.taps; r++)
            for (int s = 0; s < across; s++)
                multiply_tap(job, &share, &chunk, a, b, share.first_tap + r, s, number == first,
                             sums + ((ptrdiff_t)r * cut->columns.taps + s) * share.rows * plan->lanes.block);
    }
    if (plan->parts == 1) {
        cvl_phase("unpack");
        unpack(job, &share, sums);
    }
}

static void add_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct plan *plan = &job->plan;
    const ptrdiff_t floats = aligned(plan->sums_floats);
    float *sums = job->sums + (ptrdiff_t)task * plan->parts * floats;
    for (int part = 1; part < plan->parts; part++)
        for (ptrdiff_t i = 0; i < plan->sums_floats; i++)
            sums[i] += sums[part * floats + i];
    const struct share share = share_of(plan, task);
    unpack(job, &share, sums);
}

static ptrdiff_t slot_floats(const struct plan *plan)
{
    return aligned(plan->rows.band_floats) + aligned(plan->lanes.band_floats) + CVL_TILE_VECTORS * CVL_TILE_LANES;
}

size_t cvl_igemm_filter_workspace(const struct cvl_igemm *g)
{
    const struct plan plan = plan_of(g);
    const ptrdiff_t sums = plan.parts > 1 ? (ptrdiff_t)task_count(&plan) * plan.parts : g->ctx->threads;
    return (size_t)(slot_floats(&plan) * g->ctx->threads + sums * aligned(plan.sums_floats)) * sizeof(float);
}

cvl_status cvl_igemm_filter(const struct cvl_igemm *g, const cvl_conv_args *args, void *workspace)
{
    struct job job = { .plan = plan_of(g), .args = args, .bands = workspace };
    job.slot_floats = slot_floats(&job.plan);
    job.sums = job.bands + job.slot_floats * g->ctx->threads;
    const int tasks = task_count(&job.plan);
    cvl_parallel_for(g->ctx, tasks * job.plan.parts, filter_task, &job);
    if (job.plan.parts > 1) {
        cvl_phase("unpack");
        cvl_parallel_for(g->ctx, tasks, add_task, &job);
    }
    cvl_phase(NULL);
    return CVL_OK;
}
