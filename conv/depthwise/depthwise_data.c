/* SPDX-License-Identifier: Apache-2.0
 * FWD and BWD_DATA. A task owns a block of rows of some channels of one image. */
#include "base/threads.h"
#include "conv/depthwise/depthwise.h"

enum { L1_BYTES = 24 << 10, TASKS = 16, TASK_OUTPUTS = 1 << 13 };

struct job {
    const struct cvl_dw *dw;
    const float         *in, *w, *bias, *residual;
    float               *out;
    int                  rows;              /* of a residue class, in a task */
    int                  channels;          /* in a task: panels, or with columns along the lanes planes */
    int                  row_blocks, channel_blocks;
    int                  row_classes, column_classes;
};

/* What a task owns. */
struct block { int image, first_row, last_row, first_channel, last_channel; };

/* Outputs of the next run: a full one, half of one, or what is left. */
static int run_of(int left, int tile)
{
    return left >= tile ? tile : left > 7 ? 7 : left;
}

static struct cvl_dw_sum start(const struct job *job, const struct cvl_dw_window *window, int channel)
{
    const cvl_epilogue *epi = &job->dw->desc->epi;
    return (struct cvl_dw_sum){ .window = *window, .bias = job->bias ? job->bias + channel : NULL, .act = epi->act,
                                .lo = epi->lo, .hi = epi->hi };
}

static void use_slide(struct cvl_dw_sum *sum, const struct cvl_slide *slide)
{
    sum->window.extent = slide->extent;
    sum->window.stride = slide->stride;
    sum->window.taps = slide->taps;
}

static void place_out(const struct job *job, struct cvl_dw_sum *sum, ptrdiff_t at)
{
    sum->out = job->out + at;
    sum->residual = job->residual ? job->residual + at : NULL;
}

/* ---- channels along the lanes: the slide is a row's columns ---- */

struct row { const struct cvl_axis *axis; int t, first, last; };   /* position t meets taps [first, last) */

static void sum_row(const struct job *job, const struct block *block, const struct row *row,
                    const struct cvl_slide *slide, int number)
{
    const struct cvl_dw *dw = job->dw;
    const struct cvl_axis *axis = row->axis;
    const struct cvl_dw_panel panel = cvl_dw_panel_of(dw, number);
    const struct cvl_dw_window window = cvl_dw_window_of(dw, &panel);
    const ptrdiff_t w_s = (ptrdiff_t)dw->in_channels * dw->kern->lanes, w_r = w_s * dw->desc->s;
    struct cvl_dw_sum sum = start(job, &window, panel.first);
    use_slide(&sum, slide);
    sum.window.x = job->in + cvl_offset(&dw->in, block->image, panel.group * dw->in_channels,
                                        axis->first + row->t * axis->step + row->first * axis->tap, slide->x);
    sum.window.x_slide = slide->x_step * dw->in.at[3];
    sum.window.x_cross = axis->tap * dw->in.at[2];
    sum.window.cross = row->last - row->first;
    sum.w = job->w + number * w_r * dw->desc->r + (axis->w + row->first * axis->w_step) * w_r + slide->w * w_s;
    sum.w_slide = slide->w_step * w_s;
    sum.w_cross = axis->w_step * w_r;
    sum.w_channel = dw->kern->lanes;
    sum.out_slide = slide->out_step * dw->out.at[3];
    sum.out_lane = 1;
    for (int t = 0; t < slide->count; t += sum.count) {
        sum.count = run_of(slide->count - t, dw->kern->tile);
        sum.window.origin = slide->origin + t * slide->stride;
        place_out(job, &sum, cvl_offset(&dw->out, block->image, panel.first, axis->out + row->t * axis->out_step,
                                        slide->out + t * slide->out_step));
        dw->kern->sum(&sum);
    }
}

static void sum_panels(const struct job *job, const struct block *block, const struct cvl_axis *rows,
                       const struct cvl_slide *slide)
{
    struct row row = { .axis = rows };
    for (row.t = block->first_row; row.t < cvl_min(block->last_row, rows->count); row.t++) {
        cvl_axis_taps(rows, row.t, &row.first, &row.last);
        for (int panel = block->first_channel; panel < block->last_channel; panel++)
            sum_row(job, block, &row, slide, panel);
    }
}

static void sum_channels_last(const struct job *job, const struct block *block)
{
    const cvl_conv_desc *desc = job->dw->desc;
    for (int i = 0; i < job->row_classes; i++) {
        const struct cvl_axis rows = cvl_axis_of(desc, true, i);
        for (int j = 0; j < job->column_classes; j++) {
            const struct cvl_axis columns = cvl_axis_of(desc, false, j);
            for (int class = 0; class < cvl_slide_classes(&columns); class++) {
                const struct cvl_slide slide = cvl_slide_of(&columns, class);
                sum_panels(job, block, &rows, &slide);
            }
        }
    }
}

/* ---- columns along the lanes: the slide is a column's rows ---- */

/* A run of rows of one plane, all columns of a residue class. */
static void sum_band(const struct job *job, struct cvl_dw_sum *sum, const struct cvl_axis *columns, ptrdiff_t out)
{
    const struct cvl_dw *dw = job->dw;
    const int lanes = dw->kern->lanes;
    const float *x = sum->window.x, *w = sum->w;
    sum->window.mode = columns->step == 1 ? CVL_DW_COLUMNS : columns->step == 2 ? CVL_DW_COLUMNS_EVEN
                                                                                : CVL_DW_COLUMNS_APART;
    sum->window.x_lane = columns->step;
    sum->window.x_cross = sum->window.lane_tap = columns->tap;
    sum->window.lane_extent = columns->extent;
    sum->window.cross = columns->taps;
    sum->w = w + columns->w * dw->w.at[3];
    sum->w_cross = columns->w_step * dw->w.at[3];
    sum->out_lane = columns->out_step;
    for (int t = 0; t < columns->count; t += lanes) {
        sum->window.lanes = cvl_min(lanes, columns->count - t);
        sum->window.lane_first = columns->first + t * columns->step;
        sum->window.x = x + sum->window.lane_first;
        place_out(job, sum, out + columns->out + t * columns->out_step);
        dw->kern->sum(sum);
    }
    sum->window.x = x;
    sum->w = w;
}

/* Rows of one plane on one slide, between these coordinates of what is written. */
static void sum_plane(const struct job *job, const struct block *block, const struct cvl_slide *slide, int channel)
{
    const struct cvl_dw *dw = job->dw;
    const int group = channel / dw->out_channels, first = cvl_min(block->first_row, slide->count);
    const int last = cvl_min(block->last_row, slide->count);
    const struct cvl_dw_window window = { .x_channel = dw->in.at[1], .channels = dw->in_channels };
    struct cvl_dw_sum sum = start(job, &window, channel);
    use_slide(&sum, slide);
    sum.window.x = job->in + cvl_offset(&dw->in, block->image, group * dw->in_channels, slide->x, 0);
    sum.window.x_slide = slide->x_step * dw->in.at[2];
    sum.w = job->w + group * dw->w_group + channel % dw->out_channels * dw->w_out + slide->w * dw->w.at[2];
    sum.w_slide = slide->w_step * dw->w.at[2];
    sum.w_channel = dw->w_in;
    sum.out_slide = slide->out_step * dw->out.at[2];
    for (int t = first; t < last; t += sum.count) {
        sum.count = run_of(last - t, dw->kern->tile);
        sum.window.origin = slide->origin + t * slide->stride;
        for (int j = 0; j < job->column_classes; j++) {
            const struct cvl_axis columns = cvl_axis_of(dw->desc, false, j);
            sum_band(job, &sum, &columns,
                     cvl_offset(&dw->out, block->image, channel, slide->out + t * slide->out_step, 0));
        }
    }
}

static void sum_channels_first(const struct job *job, const struct block *block)
{
    const cvl_conv_desc *desc = job->dw->desc;
    for (int channel = block->first_channel; channel < block->last_channel; channel++)
        for (int i = 0; i < job->row_classes; i++) {
            const struct cvl_axis rows = cvl_axis_of(desc, true, i);
            for (int class = 0; class < cvl_slide_classes(&rows); class++) {
                const struct cvl_slide slide = cvl_slide_of(&rows, class);
                sum_plane(job, block, &slide, channel);
            }
        }
}

/* ---- tasks ---- */

static void data_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const int row = task % job->row_blocks * job->rows;
    const int channel = task / job->row_blocks % job->channel_blocks * job->channels;
    const int channels = job->dw->channels_last ? job->dw->panels : job->dw->desc->groups * job->dw->out_channels;
    const struct block block = {
        .image = task / job->row_blocks / job->channel_blocks, .first_row = row, .last_row = row + job->rows,
        .first_channel = channel, .last_channel = cvl_min(channel + job->channels, channels),
    };
    if (job->dw->channels_last)
        sum_channels_last(job, &block);
    else
        sum_channels_first(job, &block);
}

/* Rows of a task: all of them if that leaves enough tasks. Channels: NHWC so many that the rows under a filter stay in
 * the first-level cache; NCHW so many that a task is worth starting. */
static void cut(struct job *job)
{
    const struct cvl_dw *dw = job->dw;
    const cvl_conv_desc *desc = dw->desc;
    const int *knob = dw->variant.knob;
    const struct cvl_axis rows = cvl_axis_of(desc, true, 0), columns = cvl_axis_of(desc, false, 0);
    const int units = dw->channels_last ? dw->panels : desc->groups * dw->out_channels;
    const double row_bytes = 4.0 * columns.extent * dw->kern->lanes * (rows.taps + rows.step);
    const double outputs = (double)rows.count * columns.count * job->row_classes * job->column_classes;
    job->channels = dw->channels_last ? (int)(L1_BYTES / row_bytes) : (int)(TASK_OUTPUTS / outputs);
    job->channels = knob[CVL_DW_PANELS] ? knob[CVL_DW_PANELS] : job->channels;
    job->channels = cvl_max(1, cvl_min(job->channels, units));
    job->channel_blocks = cvl_divide_up(units, job->channels);
    const int parts = cvl_divide_up(TASKS, cvl_max(1, job->channel_blocks * desc->n));
    job->rows = knob[CVL_DW_ROWS] ? knob[CVL_DW_ROWS] : cvl_max(cvl_divide_up(rows.count, parts), dw->kern->tile);
    job->rows = cvl_max(1, cvl_min(job->rows, rows.count));
    job->row_blocks = cvl_divide_up(rows.count, job->rows);
}

cvl_status cvl_dw_data(const struct cvl_dw *dw, const cvl_conv_args *args, void *workspace)
{
    const bool backward = dw->desc->pass == CVL_BWD_DATA;
    struct job job = {
        .dw = dw, .in = backward ? args->y : args->x, .out = backward ? args->x : args->y, .bias = args->bias,
        .residual = args->residual, .w = args->packed ? args->packed : args->w,
        .row_classes = cvl_axis_classes(dw->desc, true), .column_classes = cvl_axis_classes(dw->desc, false),
    };
    if (dw->channels_last && !args->packed) {
        cvl_dw_pack(dw, args->w, workspace);
        job.w = workspace;
    }
    cut(&job);
    cvl_parallel_for(dw->ctx, dw->desc->n * job.channel_blocks * job.row_blocks, data_task, &job);
    return CVL_OK;
}
