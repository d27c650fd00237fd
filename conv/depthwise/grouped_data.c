/* SPDX-License-Identifier: Apache-2.0
 * FWD and BWD_DATA of groups. A task owns a band of rows of one unit of one image. Where the written channels are
 * planes the kernel writes a band of vectors, all residue classes of columns side by side, which is transposed into the
 * planes together with the epilogue. */
#include "base/threads.h"
#include "conv/depthwise/grouped.h"

struct job {
    const struct cvl_group *group;
    const float            *in, *w, *residual;
    float                  *out;
    struct cvl_group_finish finish;
    int                     rows, blocks;             /* positions of a row class, in a task; tasks for all of them */
    int                     out_rows, out_columns;    /* of the image that is written */
    int                     row_step;                 /* rows of it from one position to the next */
    size_t                  in_floats, out_floats;    /* of a slot's bands */
    float                  *bands;
};

static const struct cvl_group_kern *kern_of(const struct cvl_group *group)
{
    return group->quad ? group->quad : group->pair ? group->pair : group->kern;
}

static struct job job_of(const struct cvl_group *group)
{
    const bool backward = group->desc->pass == CVL_BWD_DATA;
    const struct cvl_axis rows = group->rows, columns = group->columns;
    struct job job = {
        .group = group,
        .out_rows = backward ? group->desc->h : cvl_conv_p(group->desc),
        .out_columns = backward ? group->desc->w : cvl_conv_q(group->desc), .row_step = rows.out_step,
    };
    const double floats = (double)rows.step * columns.extent * group->pitch;
    job.rows = cvl_group_band_rows(group, rows.count, group->desc->n * group->units, floats);
    job.blocks = cvl_divide_up(rows.count, job.rows);
    job.in_floats = cvl_group_band_floats(group, job.rows);
    if (!group->out_last)
        job.out_floats = (size_t)cvl_min(job.rows * job.row_step, job.out_rows) * (size_t)job.out_columns
                       * (size_t)kern_of(group)->lanes;
    return job;
}

size_t cvl_group_data_floats(const struct cvl_group *group)
{
    const struct job job = job_of(group);
    return (size_t)group->ctx->threads * (job.in_floats + job.out_floats);
}

/* What a task works on, and one panel of it. */
struct block {
    int image, unit, panel;
    int from, to;                        /* positions of each row class */
    int first_row, rows;                 /* of what is written */
    struct cvl_group_band band;
    float *brought, *written;            /* or NULL */
    struct cvl_group_ahead *ahead;
};

/* A sum with the strides of coordinates. */
static void start(const struct job *job, const struct block *block, struct cvl_group_sum *sum)
{
    const struct cvl_group *group = job->group;
    struct cvl_group_walk *walk = &sum->walk;
    const int lanes = group->kern->lanes, s = group->desc->s, r = group->desc->r;
    const ptrdiff_t panel = (ptrdiff_t)block->unit * group->panels + block->panel;
    const int channel = block->unit * group->unit_groups * group->out_channels + block->panel * lanes;
    cvl_group_walk_of(group, job->in, block->image, block->unit, &block->band, block->brought, walk);
    walk->columns.w = lanes;
    walk->rows.w = (ptrdiff_t)s * lanes;
    walk->w_channel = r * walk->rows.w;
    walk->w_panel = walk->w_channel * group->in_channels;
    sum->ahead = block->ahead;
    sum->w = job->w + panel * group->in_channels * r * s * lanes;
    if (block->written) {
        walk->lanes = lanes;
        walk->columns.out = kern_of(group)->lanes;
        walk->rows.out = (ptrdiff_t)job->out_columns * walk->columns.out;
        sum->out = block->written - block->first_row * walk->rows.out;
        sum->residual = NULL;
        sum->finish = (struct cvl_group_finish){ .act = CVL_ACT_NONE };
        return;
    }
    const ptrdiff_t at = cvl_offset(&group->out, block->image, channel, 0, 0);
    walk->lanes = cvl_group_panel_lanes(group, block->unit, block->panel);
    walk->columns.out = group->out.at[3];
    walk->rows.out = group->out.at[2];
    sum->out = job->out + at;
    sum->residual = job->residual ? job->residual + at : NULL;
    sum->finish = job->finish;
    sum->finish.bias = job->finish.bias ? job->finish.bias + channel : NULL;
}

static void move(struct cvl_group_sum *sum, struct cvl_group_moves by)
{
    sum->walk.x += by.x;
    sum->w += by.w;
    sum->out += by.out;
    sum->residual = sum->residual ? sum->residual + by.out : NULL;
}

/* The rows of one class, under all classes of columns. */
static void sum_rows(const struct job *job, const struct block *block, const struct cvl_slide *rows,
                     struct cvl_group_run run)
{
    const struct cvl_group *group = job->group;
    for (int i = 0; i < group->column_classes; i++) {
        const struct cvl_axis columns = cvl_group_axis_of(group, false, i);
        for (int class = 0; class < cvl_slide_classes(&columns); class++) {
            const struct cvl_slide slide = cvl_group_slide_of(group, false, i, class);
            struct cvl_group_sum sum;
            start(job, block, &sum);
            move(&sum, cvl_group_use(&sum.walk.rows, rows, run.first, run.last - run.first));
            move(&sum, cvl_group_use(&sum.walk.columns, &slide, 0, slide.count));
            kern_of(group)->sum(&sum);
        }
    }
}

/* All classes of both axes. Positions are coordinates of the image that is written, from this block's first row on. */
static void sum_quads(const struct job *job, const struct block *block)
{
    const struct cvl_group *group = job->group;
    const cvl_conv_desc *desc = group->desc;
    struct cvl_group_sum sum;
    start(job, block, &sum);
    move(&sum, (struct cvl_group_moves){ .out = block->first_row * sum.walk.rows.out });
    sum.walk.rows.origin = -desc->pad_top - block->first_row;
    sum.walk.rows.extent = group->rows.extent;
    sum.walk.rows.count = block->rows;
    sum.walk.columns.origin = -desc->pad_left;
    sum.walk.columns.extent = group->columns.extent;
    sum.walk.columns.count = job->out_columns;
    kern_of(group)->sum(&sum);
}

static void sum_panel(const struct job *job, const struct block *block)
{
    const struct cvl_group *group = job->group;
    if (group->quad) {
        sum_quads(job, block);
        return;
    }
    for (int i = 0; i < group->row_classes; i++) {
        const struct cvl_axis rows = cvl_group_axis_of(group, true, i);
        for (int class = 0; class < cvl_slide_classes(&rows); class++) {
            const struct cvl_slide slide = cvl_group_slide_of(group, true, i, class);
            sum_rows(job, block, &slide, cvl_group_run_of(&rows, &slide, block->from, block->to));
        }
    }
}

/* Lanes from `first` on of each point that was written. */
static void spread_panel(const struct job *job, const struct block *block, int first)
{
    const struct cvl_group *group = job->group;
    const int lanes = group->kern->lanes, panel = block->panel + first / lanes;
    const int channel = block->unit * group->unit_groups * group->out_channels + panel * lanes;
    const ptrdiff_t at = cvl_offset(&group->out, block->image, channel, block->first_row, 0);
    struct cvl_group_spread spread = {
        .to = job->out + at, .residual = job->residual ? job->residual + at : NULL, .from = block->written + first,
        .to_point = group->out.at[3], .to_lane = group->out.at[1], .from_point = kern_of(group)->lanes,
        .points = block->rows * job->out_columns, .lanes = cvl_group_panel_lanes(group, block->unit, panel),
        .finish = job->finish,
    };
    if (job->finish.bias)
        spread.finish.bias = job->finish.bias + channel;
    group->move->spread(&spread);
}

/* Brings the band of a block, or leaves it to the kernel: points of whole vectors. */
static void bring(const struct job *job, const struct block *block)
{
    const struct cvl_group *group = job->group;
    struct cvl_group_ahead *ahead = block->ahead;
    const struct cvl_group_bring all = cvl_group_bring_of(group, job->in, block->image, block->unit, &block->band,
                                                          block->brought);
    if (!group->in_last || all.lanes % group->kern->lanes != 0) {
        group->move->bring(&all);
        return;
    }
    const struct cvl_group_kern *kern = kern_of(group);
    const int tiles = cvl_divide_up(cvl_divide_up(block->rows, group->row_classes), kern->rows)
                    * cvl_divide_up(cvl_divide_up(job->out_columns, group->column_classes), kern->columns);
    ahead->from = all.from;
    ahead->to = all.to;
    ahead->from_point = all.from_point;
    ahead->lanes = all.lanes;
    ahead->left = all.points;
    ahead->each = cvl_divide_up(all.points, cvl_max(1, tiles * group->in_channels));
    ahead->columns = (int)(group->in.at[2] / group->in.at[3]);
}

static void data_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_group *group = job->group;
    float *bands = job->bands + (size_t)slot * (job->in_floats + job->out_floats);
    struct block block = {
        .image = task / group->units / job->blocks, .unit = task % group->units,
        .from = task / group->units % job->blocks * job->rows,
    };
    block.to = block.from + job->rows;
    block.first_row = block.from * job->row_step;
    block.rows = cvl_min(job->rows * job->row_step, job->out_rows - block.first_row);
    block.band = cvl_group_band_of(group, block.from, block.to);
    block.written = group->out_last ? NULL : bands + job->in_floats;
    struct cvl_group_ahead ahead = { .left = 0 };
    block.ahead = &ahead;
    if (cvl_group_brings(group)) {
        block.brought = bands;
        bring(job, &block);
    }
    const int lanes = group->kern->lanes, width = kern_of(group)->lanes;
    for (block.panel = 0; block.panel < group->panels; block.panel += width / lanes) {
        sum_panel(job, &block);
        for (int first = 0; block.written && first < width; first += lanes)
            spread_panel(job, &block, first);
    }
}

void cvl_group_data(const struct cvl_group *group, const cvl_conv_args *args, const float *packed, float *workspace)
{
    const bool backward = group->desc->pass == CVL_BWD_DATA;
    const cvl_epilogue *epi = &group->desc->epi;
    struct job job = job_of(group);
    job.in = backward ? args->y : args->x;
    job.out = backward ? args->x : args->y;
    job.w = packed;
    job.residual = args->residual;
    job.finish = (struct cvl_group_finish){ args->bias, epi->act, epi->lo, epi->hi };
    job.bands = workspace;
    cvl_parallel_for(group->ctx, group->desc->n * group->units * job.blocks, data_task, &job);
}
