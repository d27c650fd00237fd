/* SPDX-License-Identifier: Apache-2.0
 * BWD_FILTER of depthwise and grouped: dw[k,c,r,s] = sum over n,p,q of x * dy, with channels along the lanes whatever
 * the layout; 3 x 3 taps of planes with columns along them (depthwise_dual_kern.c). A task sums a part of the rows of
 * one unit into vectors of totals in workspace, ordered like the raw filter; planes are transposed a band at a time.
 * Then the parts are added up and the lanes transposed into the filter. */
#include "base/threads.h"
#include "conv/depthwise/depthwise.h"
#include "conv/depthwise/depthwise_strip.h"
#include "conv/depthwise/grouped.h"

#include <string.h>

#define DECLARE(level) extern const struct cvl_dw_dual_kern cvl_dw_dual_kern_##level;
CVL_ISA_LIST(DECLARE)
#define DUAL_ENTRY(level) &cvl_dw_dual_kern_##level,
static const struct cvl_dw_dual_kern *const dual_kerns[] = { CVL_ISA_LIST(DUAL_ENTRY) };

enum { TASKS = 16, PART_ROWS = 8, BAND_FLOATS = 8 << 10 };

struct job {
    const struct cvl_group *group;
    const float            *x, *y, *residual;
    float                  *dw, *totals, *bands;
    struct cvl_axis         rows, columns;
    const struct cvl_dw_dual_kern *dual;           /* planes are summed where they lie; or NULL */
    int                     parts, part_rows;      /* of the images' rows, for a unit */
    int                     band_rows;             /* of y, that are worked on at once */
    size_t                  x_floats, y_floats;    /* of a slot's bands */
    ptrdiff_t               panel_floats;          /* of totals */
    ptrdiff_t               w_apart;               /* between neighbours of one k in the raw filter */
};

/* Kernels read whole vectors. */
static bool brings_y(const struct cvl_group *group) { return !group->out_last || !group->whole; }

/* 3 x 3 taps of planes, of which what lies beyond the image falls into the first and the last vector of a row. Rows of
 * half a vector are better transposed: 7 x 7 ran at 16 GFLOP/s here, at 24 with channels along the lanes. */
static bool is_dual(const struct cvl_group *group, const struct cvl_axis *rows, const struct cvl_axis *columns)
{
    const cvl_conv_desc *desc = group->desc;
    const int lanes = group->kern->lanes, whole = (cvl_divide_up(columns->count, lanes) - 1) * lanes;
    return group->mode == CVL_GROUP_EACH && desc->x_layout == CVL_NCHW && desc->y_layout == CVL_NCHW && desc->r == 3
        && desc->s == 3 && desc->dil_h == 1 && desc->dil_w == 1 && rows->step == columns->step && rows->step <= 2
        && columns->first > -3 && 2 * columns->count > lanes
        && (whole == 0 || columns->first + whole * columns->step + 1 < columns->extent);
}

static struct job job_of(const struct cvl_group *group)
{
    const cvl_conv_desc *desc = group->desc;
    struct job job = {
        .group = group, .rows = group->rows, .columns = group->columns,
        .panel_floats = (ptrdiff_t)desc->r * desc->s * group->in_channels * group->kern->lanes,
        .w_apart = group->w.at[0] == 1 ? desc->k : 1,
    };
    if (is_dual(group, &job.rows, &job.columns))
        job.dual = dual_kerns[group->ctx->isa];
    const int rows = desc->n * job.rows.count;
    job.parts = cvl_max(1, cvl_min(rows / PART_ROWS, TASKS / group->units));
    job.part_rows = cvl_divide_up(rows, job.parts);
    job.parts = job.part_rows > 0 ? cvl_divide_up(rows, job.part_rows) : 1;
    job.band_rows = cvl_max(1, cvl_min(job.rows.count, job.part_rows));
    if (job.dual)
        return job;
    if (cvl_group_brings(group) || brings_y(group)) {
        const double floats = (double)job.columns.extent * job.rows.step * group->pitch;
        const int fit = floats * job.band_rows > BAND_FLOATS ? (int)(BAND_FLOATS / floats) : job.band_rows;
        job.band_rows = cvl_min(job.band_rows, cvl_divide_up(cvl_max(1, fit), 4) * 4);
    }
    for (int first = 0; cvl_group_brings(group) && first < job.rows.count; first++)   /* parts begin at any row */
        job.x_floats = (size_t)cvl_max((int)job.x_floats, cvl_group_band_of(group, first, first + job.band_rows).count);
    job.x_floats *= (size_t)job.columns.extent * (size_t)group->pitch;
    if (brings_y(group))
        job.y_floats = (size_t)job.band_rows * (size_t)job.columns.count * (size_t)(group->panels * group->kern->lanes);
    return job;
}

size_t cvl_group_filter_floats(const struct cvl_group *group)
{
    const struct job job = job_of(group);
    return (size_t)group->units * (size_t)job.parts * (size_t)group->panels * (size_t)job.panel_floats
         + (size_t)group->ctx->threads * (job.x_floats + job.y_floats);
}

/* ---- sums ---- */

/* Rows [from, to) of one image, for one unit. */
struct block {
    int image, unit, panel, from, to;
    struct cvl_group_band band;
    float *x, *y;                        /* brought, or NULL */
    float *totals;
};

static void start(const struct job *job, const struct block *block, struct cvl_group_filter *filter)
{
    const struct cvl_group *group = job->group;
    struct cvl_group_walk *walk = &filter->walk;
    const int lanes = group->kern->lanes, channel = block->unit * group->unit_groups * group->out_channels;
    cvl_group_walk_of(group, job->x, block->image, block->unit, &block->band, block->x, walk);
    walk->columns.w = group->w.at[3] / job->w_apart * lanes;
    walk->rows.w = group->w.at[2] / job->w_apart * lanes;
    walk->w_channel = group->w.at[1] / job->w_apart * lanes;
    filter->totals = block->totals + block->panel * job->panel_floats;
    if (block->y) {
        walk->columns.out = (ptrdiff_t)group->panels * lanes;
        walk->rows.out = job->columns.count * walk->columns.out;
        filter->y = block->y - block->from * walk->rows.out + block->panel * lanes;
    } else {
        walk->columns.out = group->out.at[3];
        walk->rows.out = group->out.at[2];
        filter->y = job->y + cvl_offset(&group->out, block->image, channel + block->panel * lanes, 0, 0);
    }
}

static void move(struct cvl_group_filter *filter, struct cvl_group_moves by)
{
    filter->walk.x += by.x;
    filter->totals += by.w;
    filter->y += by.out;
}

static void add_panel(const struct job *job, const struct block *block)
{
    const struct cvl_group *group = job->group;
    for (int i = 0; i < cvl_slide_classes(&job->rows); i++) {
        const struct cvl_slide rows = cvl_group_slide_of(group, true, 0, i);
        const struct cvl_group_run run = cvl_group_run_of(&job->rows, &rows, block->from, block->to);
        for (int j = 0; j < cvl_slide_classes(&job->columns); j++) {
            const struct cvl_slide columns = cvl_group_slide_of(group, false, 0, j);
            struct cvl_group_filter filter;
            start(job, block, &filter);
            move(&filter, cvl_group_use(&filter.walk.rows, &rows, run.first, run.last - run.first));
            move(&filter, cvl_group_use(&filter.walk.columns, &columns, 0, columns.count));
            group->filter_kern->add(&filter);
        }
    }
}

static void bring_y(const struct job *job, const struct block *block)
{
    const struct cvl_group *group = job->group;
    const int channel = block->unit * group->unit_groups * group->out_channels;
    const struct cvl_group_bring bring = {
        .to = block->y, .to_point = (ptrdiff_t)group->panels * group->kern->lanes, .from_point = group->out.at[3],
        .from_lane = group->out.at[1], .from = job->y + cvl_offset(&group->out, block->image, channel, block->from, 0),
        .points = (block->to - block->from) * job->columns.count,
        .lanes = cvl_group_count(group, block->unit) * group->out_channels,
    };
    group->move->bring(&bring);
}

/* Rows of planes where they lie. */
static void add_dual(const struct job *job, const struct block *block)
{
    const struct cvl_group *group = job->group;
    const struct cvl_axis *rows = &job->rows, *columns = &job->columns;
    const int lanes = group->kern->lanes, channel = block->unit * group->unit_groups;
    job->dual->add(&(struct cvl_dw_dual){
        .rows = { .origin = rows->first + block->from * rows->step, .stride = rows->step, .tap = 1,
                  .extent = rows->extent, .taps = rows->taps, .count = block->to - block->from, .x = group->in.at[2],
                  .w = group->w.at[2] / job->w_apart * lanes, .out = group->out.at[2] },
        .columns = { .origin = columns->first, .stride = columns->step, .tap = 1, .extent = columns->extent,
                     .taps = columns->taps, .count = columns->count, .x = 1,
                     .w = group->w.at[3] / job->w_apart * lanes, .out = 1 },
        .x = job->x + cvl_offset(&group->in, block->image, channel, 0, 0), .x_plane = group->in.at[1],
        .y = job->y + cvl_offset(&group->out, block->image, channel, block->from, 0), .y_plane = group->out.at[1],
        .planes = cvl_group_count(group, block->unit), .totals = block->totals,
    });
}

static void add_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_group *group = job->group;
    const int p = job->rows.count, first = task % job->parts * job->part_rows;
    const int last = cvl_min(first + job->part_rows, group->desc->n * p);
    float *bands = job->bands + (size_t)slot * (job->x_floats + job->y_floats);
    struct block block = {
        .unit = task / job->parts, .totals = job->totals + task * group->panels * job->panel_floats,
        .x = cvl_group_brings(group) ? bands : NULL, .y = brings_y(group) ? bands + job->x_floats : NULL,
    };
    memset(block.totals, 0, sizeof(float) * (size_t)(group->panels * job->panel_floats));
    for (int row = first; row < last; row += block.to - block.from) {
        block.image = row / p;
        block.from = row % p;
        block.to = cvl_min(cvl_min(block.from + job->band_rows, p), block.from + last - row);
        if (job->dual) {
            add_dual(job, &block);
            continue;
        }
        block.band = cvl_group_band_of(group, block.from, block.to);
        if (block.x) {
            const struct cvl_group_bring bring = cvl_group_bring_of(group, job->x, block.image, block.unit, &block.band,
                                                                    block.x);
            group->move->bring(&bring);
        }
        if (block.y)
            bring_y(job, &block);
        for (block.panel = 0; block.panel < group->panels; block.panel++)
            add_panel(job, &block);
    }
}

/* ---- what is written ---- */

static void write_task(int unit, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_group *group = job->group;
    const cvl_epilogue *epi = &group->desc->epi;
    const int lanes = group->kern->lanes, k = unit * group->unit_groups * group->out_channels;
    const ptrdiff_t part_floats = group->panels * job->panel_floats;
    float *totals = job->totals + unit * job->parts * part_floats;
    for (int part = 1; part < job->parts; part++)
        for (ptrdiff_t i = 0; i < part_floats; i++)
            totals[i] += totals[part * part_floats + i];
    for (int panel = 0; panel < group->panels; panel++) {
        const ptrdiff_t at = (k + panel * lanes) * group->w.at[0];
        const struct cvl_group_spread spread = {
            .to = job->dw + at, .residual = job->residual ? job->residual + at : NULL,
            .from = totals + panel * job->panel_floats, .to_point = job->w_apart, .to_lane = group->w.at[0],
            .from_point = lanes, .points = (int)(job->panel_floats / lanes),
            .lanes = cvl_group_panel_lanes(group, unit, panel),
            .finish = { .act = epi->act, .lo = epi->lo, .hi = epi->hi },
        };
        group->move->spread(&spread);
    }
}

void cvl_group_filter(const struct cvl_group *group, const cvl_conv_args *args, float *workspace)
{
    struct job job = job_of(group);
    job.x = args->x;
    job.y = args->y;
    job.residual = args->residual;
    job.dw = args->w;
    job.totals = workspace;
    job.bands = workspace + group->units * job.parts * group->panels * job.panel_floats;
    cvl_parallel_for(group->ctx, group->units * job.parts, add_task, &job);
    cvl_parallel_for(group->ctx, group->units, write_task, &job);
}

/* ---- of depthwise filters ---- */

size_t cvl_dw_filter_workspace(const struct cvl_dw *dw)
{
    const struct cvl_group group = cvl_group_of(dw->ctx, dw->desc, &(struct cvl_variant){ .knob = { 0 } });
    return sizeof(float) * cvl_group_filter_floats(&group);
}

cvl_status cvl_dw_filter(const struct cvl_dw *dw, const cvl_conv_args *args, void *workspace)
{
    const struct cvl_group group = cvl_group_of(dw->ctx, dw->desc, &(struct cvl_variant){ .knob = { 0 } });
    cvl_group_filter(&group, args, workspace);
    return CVL_OK;
}
