/* SPDX-License-Identifier: Apache-2.0
 * FWD and BWD_DATA of `depthwise`. A task owns a block of rows of some panels of channels of one image: strips of
 * columns with channels along the lanes, or bands of rows with columns along them. NCHW planes may be turned into
 * points of channels on the way in and back on the way out; so any mix of layouts is one of strips. */
#include "base/threads.h"
#include "conv/depthwise/depthwise.h"
#include "conv/depthwise/depthwise_strip.h"

/* A cache line, which other cores fetch. */
struct job {
    _Alignas(64) const struct cvl_dw *dw;
    const struct cvl_dw_plan         *plan;
    const float                      *in, *w, *bias, *residual;
    float                            *out, *scratch;
};

/* What a task owns: positions of rows in each residue class. up: from the last one to the first. */
struct block {
    int  image, first_row, last_row, first_panel, last_panel;
    bool up;
};

/* An image, or the part of a panel that is turned: element (h, w) of channel 0. */
struct view { float *base; ptrdiff_t row, column; };

static ptrdiff_t panel_floats(const struct cvl_dw *dw)
{
    return (ptrdiff_t)dw->desc->r * dw->desc->s * dw->in_channels * dw->lanes;
}

/* Of what begins at `out`, with this channel. Where a plane is turned back, a residual waits for that. */
static struct cvl_dw_finish finish_of(const struct job *job, int channel, const float *out)
{
    const cvl_epilogue *epi = &job->dw->desc->epi;
    const bool later = job->plan->turns_out && job->residual;
    return (struct cvl_dw_finish){
        .bias = job->bias ? job->bias + channel : NULL,
        .residual = job->residual && !later ? job->residual + (out - job->out) : NULL,
        .act = later ? CVL_ACT_NONE : epi->act, .lo = epi->lo, .hi = epi->hi,
    };
}

/* ---- strips ---- */

static int start_row(const struct block *block, const struct cvl_axis *rows)
{
    return block->up ? cvl_min(block->last_row, rows->count) - 1 : block->first_row;
}

static struct cvl_dw_strip start_strip(const struct job *job, const struct block *block, const struct cvl_axis *rows,
                                       const struct cvl_slide *columns, const struct view *in, const struct view *out)
{
    const struct cvl_dw *dw = job->dw;
    const ptrdiff_t w_s = (ptrdiff_t)dw->in_channels * dw->lanes, w_r = w_s * dw->desc->s;
    const int way = block->up ? -1 : 1;
    return (struct cvl_dw_strip){
        .rows = { .origin = rows->first + start_row(block, rows) * rows->step, .stride = way * rows->step,
                  .tap = rows->tap, .extent = rows->extent, .taps = rows->taps,
                  .count = cvl_min(block->last_row, rows->count) - block->first_row,
                  .x = in->row, .w = rows->w_step * w_r, .out = way * rows->out_step * out->row },
        .columns = { .stride = columns->stride, .tap = 1, .extent = columns->extent, .taps = columns->taps,
                     .x = columns->x_step * in->column, .w = columns->w_step * w_s,
                     .out = columns->out_step * out->column },
        .channels = dw->in_channels, .w_channel = dw->lanes,
        .lookup = dw->looks_up ? dw->lookup : NULL,
        .x_ahead = job->plan->ahead ? job->plan->rows * rows->step * in->row : 0,
        .out_ahead = job->plan->ahead ? job->plan->rows * rows->out_step * out->row : 0,
    };
}

/* All columns of a residue class: a run of them for each panel, then the next run. */
static void sum_strips(const struct job *job, const struct block *block, const struct cvl_axis *rows,
                       const struct cvl_slide *columns, const struct view *in, const struct view *out)
{
    const struct cvl_dw *dw = job->dw;
    const ptrdiff_t w_s = (ptrdiff_t)dw->in_channels * dw->lanes, w_r = w_s * dw->desc->s;
    const float *x = in->base + columns->x * in->column, *w = job->w + rows->w * w_r + columns->w * w_s;
    struct cvl_dw_strip strip = start_strip(job, block, rows, columns, in, out);
    for (int t = 0; t < columns->count; t += strip.columns.count) {
        const ptrdiff_t at = (rows->out + start_row(block, rows) * rows->out_step) * out->row
                           + (columns->out + t * columns->out_step) * out->column;
        strip.columns.count = cvl_min(job->plan->strip->tile, columns->count - t);
        strip.columns.origin = columns->origin + t * columns->stride;
        for (int number = block->first_panel; number < block->last_panel; number++) {
            const struct cvl_dw_panel panel = cvl_dw_panel_of(dw, number);
            const ptrdiff_t to = at + (job->plan->turns_out ? 0 : panel.first);
            strip.x = x + (job->plan->turns_in ? 0 : panel.group * dw->in_channels);
            strip.w = w + number * panel_floats(dw);
            strip.out = out->base + to;
            strip.finish = finish_of(job, panel.first, strip.out);
            strip.lanes = panel.lanes;
            strip.x_lanes = dw->looks_up ? (panel.groups - 1) * dw->in_channels + 1 : panel.lanes;
            job->plan->strip->strip(&strip);
        }
    }
}

static void sum_classes(const struct job *job, const struct block *block, const struct view *in, const struct view *out)
{
    const cvl_conv_desc *desc = job->dw->desc;
    for (int i = 0; i < cvl_axis_classes(desc, true); i++) {
        const struct cvl_axis rows = cvl_axis_of(desc, true, i);
        for (int j = 0; rows.count > block->first_row && j < cvl_axis_classes(desc, false); j++) {
            const struct cvl_axis columns = cvl_axis_of(desc, false, j);
            for (int class = 0; class < cvl_slide_classes(&columns); class++) {
                const struct cvl_slide slide = cvl_slide_of(&columns, class);
                sum_strips(job, block, &rows, &slide, in, out);
            }
        }
    }
}

/* Rows and columns of all residue classes at once, for each panel. */
static void sum_quads(const struct job *job, const struct block *block, const struct view *in, const struct view *out)
{
    const struct cvl_dw *dw = job->dw;
    const cvl_conv_desc *desc = dw->desc;
    const int first = 2 * block->first_row;
    for (int number = block->first_panel; number < block->last_panel; number++) {
        const struct cvl_dw_panel panel = cvl_dw_panel_of(dw, number);
        float *to = out->base + first * out->row + panel.first;
        job->plan->strip->strip(&(struct cvl_dw_strip){
            .rows = { .origin = -desc->pad_top - first, .extent = cvl_conv_p(desc), .x = in->row,
                      .w = desc->s * dw->lanes, .count = cvl_min(2 * block->last_row, desc->h) - first,
                      .out = out->row },
            .columns = { .origin = -desc->pad_left, .extent = cvl_conv_q(desc), .count = desc->w, .x = in->column,
                         .w = dw->lanes, .out = out->column },
            .x = in->base + panel.first, .w = job->w + number * panel_floats(dw), .out = to,
            .finish = finish_of(job, panel.first, to), .lanes = panel.lanes,
        });
    }
}

/* ---- planes turned into points of channels, a panel at a time ---- */

/* Rows from `first` on, points of a vector each, lie at `scratch`. */
static struct view view_of(float *scratch, int first, int columns, int lanes)
{
    const ptrdiff_t row = (ptrdiff_t)columns * lanes;
    return (struct view){ scratch - first * row, row, lanes };
}

static void sum_turned(const struct job *job, const struct block *block, const struct view *in, const struct view *out,
                       float *scratch)
{
    const struct cvl_dw *dw = job->dw;
    const struct cvl_dw_plan *plan = job->plan;
    const int lanes = dw->lanes, in_columns = plan->in_columns, out_columns = plan->out_columns;
    const struct cvl_dw_rows rows = cvl_dw_rows_of(dw, block->first_row, block->last_row);
    struct view from = *in, to = *out;
    if (plan->turns_in)
        from = view_of(scratch, rows.in_first, in_columns, lanes);
    scratch += plan->turns_in ? (ptrdiff_t)plan->in_rows * in_columns * lanes : 0;
    if (plan->turns_out)
        to = view_of(scratch, rows.out_first, out_columns, lanes);
    for (int number = block->first_panel; number < block->last_panel; number++) {
        const struct cvl_dw_panel panel = cvl_dw_panel_of(dw, number);
        struct block one = *block;
        one.first_panel = number;
        one.last_panel = number + 1;
        if (plan->turns_in)
            plan->turn->turn(&(struct cvl_dw_turn){
                .from = in->base + panel.first * dw->in.at[1] + rows.in_first * in->row, .lanes = panel.lanes,
                .to = from.base + rows.in_first * from.row, .plane = dw->in.at[1],
                .points = (rows.in_last - rows.in_first) * in_columns });
        sum_classes(job, &one, &from, &to);
        if (plan->turns_out) {
            float *written = out->base + panel.first * dw->out.at[1] + rows.out_first * out->row;
            struct cvl_dw_turn back = { .from = scratch, .to = written, .plane = dw->out.at[1], .lanes = panel.lanes,
                                        .points = (rows.out_last - rows.out_first) * out_columns };
            if (job->residual) {
                back.finish = (struct cvl_dw_finish){ .residual = job->residual + (written - job->out),
                                                      .act = dw->desc->epi.act, .lo = dw->desc->epi.lo,
                                                      .hi = dw->desc->epi.hi };
            }
            plan->turn->turn_back(&back);
        }
    }
}

/* ---- bands ---- */

/* Planes from a panel's lane on. */
static void sum_band(const struct job *job, const struct block *block, const struct cvl_slide *rows,
                     const struct cvl_axis *columns, const struct view *in, const struct view *out, int number,
                     int lane, int planes)
{
    const struct cvl_dw *dw = job->dw;
    const struct cvl_dw_panel panel = cvl_dw_panel_of(dw, number);
    const int channel = panel.first + lane, first = block->first_row, lanes = dw->lanes;
    const ptrdiff_t w_s = (ptrdiff_t)dw->in_channels * lanes, w_r = w_s * dw->desc->s;
    const ptrdiff_t at = channel * dw->out.at[1] + (rows->out + first * rows->out_step) * out->row + columns->out;
    job->plan->band->band(&(struct cvl_dw_band){
        .rows = { .origin = rows->origin + first * rows->stride, .stride = rows->stride, .tap = 1,
                  .extent = rows->extent, .taps = rows->taps, .count = cvl_min(block->last_row, rows->count) - first,
                  .x = rows->x_step * in->row, .w = rows->w_step * w_r, .out = rows->out_step * out->row },
        .columns = { .origin = columns->first, .stride = columns->step, .tap = columns->tap, .extent = columns->extent,
                     .taps = columns->taps, .count = columns->count, .w = columns->w_step * w_s,
                     .out = columns->out_step },
        .x = in->base + channel / dw->out_channels * dw->in_channels * dw->in.at[1] + rows->x * in->row,
        .w = job->w + number * panel_floats(dw) + rows->w * w_r + columns->w * w_s + lane, .out = out->base + at,
        .finish = finish_of(job, channel, out->base + at), .planes = planes, .w_panel = panel_floats(dw),
        .x_plane = dw->in.at[1], .out_plane = dw->out.at[1], .channels = dw->in_channels, .x_channel = dw->in.at[1],
        .w_channel = lanes,
    });
}

static int planes_of(const struct cvl_dw *dw, const struct block *block)
{
    const struct cvl_dw_panel last = cvl_dw_panel_of(dw, block->last_panel - 1);
    return last.first + last.lanes - cvl_dw_panel_of(dw, block->first_panel).first;
}

/* Rows and columns of all residue classes at once. */
static void sum_spread(const struct job *job, const struct block *block, const struct view *in, const struct view *out)
{
    const struct cvl_dw *dw = job->dw;
    const cvl_conv_desc *desc = dw->desc;
    const int channel = cvl_dw_panel_of(dw, block->first_panel).first, first = 2 * block->first_row;
    const ptrdiff_t at = channel * dw->out.at[1] + first * out->row;
    job->plan->band->band(&(struct cvl_dw_band){
        .rows = { .origin = -desc->pad_top - first, .extent = cvl_conv_p(desc), .x = in->row, .w = desc->s * dw->lanes,
                  .count = cvl_min(2 * block->last_row, desc->h) - first, .out = out->row },
        .columns = { .origin = -desc->pad_left, .extent = cvl_conv_q(desc), .count = desc->w, .w = dw->lanes },
        .x = in->base + channel * dw->in.at[1], .w = job->w + block->first_panel * panel_floats(dw),
        .out = out->base + at, .finish = finish_of(job, channel, out->base + at), .planes = planes_of(dw, block),
        .w_panel = panel_floats(dw), .x_plane = dw->in.at[1], .out_plane = dw->out.at[1],
    });
}

static void sum_bands(const struct job *job, const struct block *block, const struct view *in, const struct view *out)
{
    const struct cvl_dw *dw = job->dw;
    for (int i = 0; i < cvl_axis_classes(dw->desc, true); i++) {
        const struct cvl_axis rows = cvl_axis_of(dw->desc, true, i);
        for (int class = 0; class < cvl_slide_classes(&rows); class++) {
            const struct cvl_slide slide = cvl_slide_of(&rows, class);
            for (int j = 0; block->first_row < slide.count && j < cvl_axis_classes(dw->desc, false); j++) {
                const struct cvl_axis columns = cvl_axis_of(dw->desc, false, j);
                if (!dw->looks_up)
                    sum_band(job, block, &slide, &columns, in, out, block->first_panel, 0, planes_of(dw, block));
                for (int number = block->first_panel; dw->looks_up && number < block->last_panel; number++)
                    for (int lane = 0; lane < cvl_dw_panel_of(dw, number).lanes; lane++)
                        sum_band(job, block, &slide, &columns, in, out, number, lane, 1);
            }
        }
    }
}

/* ---- tasks ---- */

static void sum_block(const struct job *job, const struct block *block, float *scratch)
{
    const struct cvl_dw *dw = job->dw;
    const struct cvl_dw_plan *plan = job->plan;
    const struct view in = { (float *)job->in + block->image * dw->in.at[0], dw->in.at[2], dw->in.at[3] };
    const struct view out = { job->out + block->image * dw->out.at[0], dw->out.at[2], dw->out.at[3] };
    if (plan->quads)
        sum_quads(job, block, &in, &out);
    else if (plan->spreads)
        sum_spread(job, block, &in, &out);
    else if (plan->bands)
        sum_bands(job, block, &in, &out);
    else if (plan->turns_in || plan->turns_out)
        sum_turned(job, block, &in, &out, scratch);
    else
        sum_classes(job, block, &in, &out);
}

/* Consecutive tasks, which one thread has as a rule, write what lies together: a plane after another, or rows of all
 * channels. The upper half of a low image is walked up: a core that walks down fetches the rows to come, which another
 * one writes, and that one fetches them back (14x14 of 384 channels: 14.3 for 8.5 us). With a stride of two what is
 * written is less, and of many rows these are few; walking up costs 2 to 3 %. */
enum { ROWS_UP = 14 };

static void block_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_dw_plan *plan = job->plan;
    const int place = task % (plan->row_blocks * plan->panel_blocks);
    const bool by_rows = job->dw->out.at[1] == 1;
    const int row = (by_rows ? place / plan->panel_blocks : place % plan->row_blocks) * plan->rows;
    const int panel = (by_rows ? place % plan->panel_blocks : place / plan->row_blocks) * plan->panels;
    const struct block block = {
        .image = task / (plan->row_blocks * plan->panel_blocks), .first_row = row, .last_row = row + plan->rows,
        .first_panel = panel, .last_panel = cvl_min(panel + plan->panels, job->dw->panels),
        .up = plan->halved && plan->rows <= ROWS_UP && 2 * row < plan->row_blocks * plan->rows
            && cvl_axis_of(job->dw->desc, true, 0).step == 1,
    };
    sum_block(job, &block, job->scratch + slot * plan->scratch_floats);
}

cvl_status cvl_dw_sum(const struct cvl_dw_state *state, const cvl_conv_args *args, void *workspace)
{
    const struct cvl_dw *dw = &state->dw;
    const struct cvl_dw_plan *plan = &state->plan;
    const bool backward = dw->desc->pass == CVL_BWD_DATA;
    struct job job = {
        .dw = dw, .plan = plan, .in = backward ? args->y : args->x, .out = backward ? args->x : args->y,
        .bias = args->bias, .residual = args->residual, .w = args->packed, .scratch = workspace,
    };
    if (!args->packed) {
        job.w = workspace;
        job.scratch += cvl_dw_packed_floats(dw);
        cvl_dw_pack(dw, args->w, workspace);
    }
    cvl_parallel_for(dw->ctx, dw->desc->n * plan->row_blocks * plan->panel_blocks, block_task, &job);
    return CVL_OK;
}
