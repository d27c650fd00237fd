/* SPDX-License-Identifier: Apache-2.0
 * BWD_FILTER: dw[k,c,r,s] = sum over n,p,q of x * dy. A task sums a part of the outputs of one panel (NCHW: of one
 * filter, with columns along the lanes) into vectors of totals in workspace; then the parts are added up, and with
 * columns the lanes too. */
#include "base/threads.h"
#include "conv/depthwise/depthwise.h"
#include "conv/epilogue.h"

#include <string.h>

enum { TASKS = 32 };

struct job {
    const struct cvl_dw *dw;
    const float         *x, *y, *residual;
    float               *dw_out, *totals;
    struct cvl_axis      rows, columns;
    int                  units;       /* panels, or filters of k */
    int                  parts;       /* of the images' rows, each */
    int                  part_rows;
    int                  part_units;  /* in a task */
    ptrdiff_t            unit_floats; /* of a part's totals: (r, s, in_channels, lanes) */
};

static struct job job_of(const struct cvl_dw *dw)
{
    struct job job = {
        .dw = dw, .rows = cvl_axis_of(dw->desc, true, 0), .columns = cvl_axis_of(dw->desc, false, 0),
        .units = dw->channels_last ? dw->panels : dw->desc->k,
        .unit_floats = (ptrdiff_t)dw->desc->r * dw->desc->s * dw->in_channels * dw->kern->lanes,
    };
    const int rows = dw->channels_last ? dw->desc->n * job.rows.count : dw->desc->n;
    job.parts = cvl_max(1, cvl_min(rows / 8, TASKS / job.units));
    job.part_rows = cvl_divide_up(rows, job.parts);
    job.parts = job.part_rows > 0 ? cvl_divide_up(rows, job.part_rows) : 1;
    return job;
}

size_t cvl_dw_filter_workspace(const struct cvl_dw *dw)
{
    const struct job job = job_of(dw);
    return sizeof(float) * (size_t)job.units * (size_t)job.parts * (size_t)job.unit_floats;
}

static struct cvl_dw_filter start(const struct job *job, const struct cvl_dw_window *window,
                                  const struct cvl_slide *slide)
{
    struct cvl_dw_filter filter = { .window = *window, .count = slide->count, .total_channel = job->dw->kern->lanes };
    filter.window.extent = slide->extent;
    filter.window.stride = slide->stride;
    filter.window.taps = slide->taps;
    filter.window.origin = slide->origin;
    return filter;
}

/* One row of one panel. */
static void add_row(const struct job *job, int number, int image, int p, float *totals)
{
    const struct cvl_dw *dw = job->dw;
    const struct cvl_dw_panel panel = cvl_dw_panel_of(dw, number);
    const struct cvl_dw_window window = cvl_dw_window_of(dw, &panel);
    const ptrdiff_t total_s = (ptrdiff_t)dw->in_channels * dw->kern->lanes, total_r = total_s * dw->desc->s;
    int first, last;
    cvl_axis_taps(&job->rows, p, &first, &last);
    for (int class = 0; class < cvl_slide_classes(&job->columns); class++) {
        const struct cvl_slide slide = cvl_slide_of(&job->columns, class);
        struct cvl_dw_filter filter = start(job, &window, &slide);
        filter.window.x = job->x + cvl_offset(&dw->in, image, panel.group * dw->in_channels,
                                              job->rows.first + p * job->rows.step + first * job->rows.tap, slide.x);
        filter.window.x_slide = slide.x_step * dw->in.at[3];
        filter.window.x_cross = job->rows.tap * dw->in.at[2];
        filter.window.cross = last - first;
        filter.y = job->y + cvl_offset(&dw->out, image, panel.first, p, slide.out);
        filter.y_slide = slide.out_step * dw->out.at[3];
        filter.totals = totals + first * total_r;
        filter.total_slide = total_s;
        filter.total_cross = total_r;
        dw->filter_kern->add(&filter);
    }
}

/* One plane of one filter. */
static void add_plane(const struct job *job, int k, int image, float *totals)
{
    const struct cvl_dw *dw = job->dw;
    const struct cvl_axis *columns = &job->columns;
    const int lanes = dw->kern->lanes, group = k / dw->out_channels;
    const struct cvl_dw_window window = {
        .mode = columns->step == 1 ? CVL_DW_COLUMNS : columns->step == 2 ? CVL_DW_COLUMNS_EVEN : CVL_DW_COLUMNS_APART,
        .x_lane = columns->step, .x_cross = columns->tap, .lane_tap = columns->tap, .lane_extent = columns->extent,
        .cross = columns->taps, .x_channel = dw->in.at[1], .channels = dw->in_channels,
    };
    for (int class = 0; class < cvl_slide_classes(&job->rows); class++) {
        const struct cvl_slide slide = cvl_slide_of(&job->rows, class);
        struct cvl_dw_filter filter = start(job, &window, &slide);
        filter.window.x_slide = slide.x_step * dw->in.at[2];
        filter.y_slide = slide.out_step * dw->out.at[2];
        filter.totals = totals;
        filter.total_cross = (ptrdiff_t)dw->in_channels * lanes;
        filter.total_slide = filter.total_cross * dw->desc->s;
        for (int q = 0; q < columns->count; q += lanes) {
            filter.window.lanes = cvl_min(lanes, columns->count - q);
            filter.window.lane_first = columns->first + q * columns->step;
            filter.window.x = job->x + cvl_offset(&dw->in, image, group * dw->in_channels, slide.x, 0)
                            + filter.window.lane_first;
            filter.y = job->y + cvl_offset(&dw->out, image, k, slide.out, q);
            dw->filter_kern->add(&filter);
        }
    }
}

static void add_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_dw *dw = job->dw;
    const int unit = task / job->parts, part = task % job->parts, p = job->rows.count;
    const int all = dw->channels_last ? dw->desc->n * p : dw->desc->n;
    const int first = part * job->part_rows, last = cvl_min(first + job->part_rows, all);
    float *totals = job->totals + task * job->unit_floats;
    memset(totals, 0, sizeof *totals * (size_t)job->unit_floats);
    for (int row = first; row < last; row++)
        if (dw->channels_last)
            add_row(job, unit, row / p, row % p, totals);
        else
            add_plane(job, unit, row, totals);
}

/* ---- what is written ---- */

/* Element (r,s,i) of lane `lane` of a unit, or of all its lanes together. */
static float total_of(const struct job *job, const float *totals, int first, int last)
{
    float sum = 0;
    for (int part = 0; part < job->parts; part++)
        for (int lane = first; lane < last; lane++)
            sum += totals[part * job->unit_floats + lane];
    return sum;
}

static void write_task(int unit, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_dw *dw = job->dw;
    const int lanes = dw->kern->lanes;
    const struct cvl_dw_panel panel = dw->channels_last ? cvl_dw_panel_of(dw, unit)
                                                        : (struct cvl_dw_panel){ .first = unit, .lanes = 1 };
    const float *totals = job->totals + (ptrdiff_t)unit * job->parts * job->unit_floats;
    for (int r = 0; r < dw->desc->r; r++)
        for (int s = 0; s < dw->desc->s; s++)
            for (int i = 0; i < dw->in_channels; i++, totals += lanes)
                for (int lane = 0; lane < panel.lanes; lane++) {
                    const int k = panel.first + lane;
                    const ptrdiff_t at = k * dw->w.at[0] + i * dw->w.at[1] + r * dw->w.at[2] + s * dw->w.at[3];
                    const float sum = dw->channels_last ? total_of(job, totals, lane, lane + 1)
                                                        : total_of(job, totals, 0, lanes);
                    job->dw_out[at] = sum + (job->residual ? job->residual[at] : 0);
                }
}

cvl_status cvl_dw_filter(const struct cvl_dw *dw, const cvl_conv_args *args, void *workspace)
{
    struct job job = job_of(dw);
    job.x = args->x;
    job.y = args->y;
    job.residual = args->residual;
    job.dw_out = args->w;
    job.totals = workspace;
    cvl_parallel_for(dw->ctx, job.units * job.parts, add_task, &job);
    cvl_parallel_for(dw->ctx, job.units, write_task, &job);
    cvl_epilogue_activate_all(dw->ctx, dw->desc, args);
    return CVL_OK;
}
