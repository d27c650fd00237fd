/* SPDX-License-Identifier: Apache-2.0
 * FWD and BWD_DATA: out[o, t] = sum over i and taps of in[i, t*step + tap] * w[o, i, tap].
 *
 * A task sums one block: one panel of lanes times some positions. For each tap s the columns that it reaches are a run;
 * the products over (r, i) are cut into chunks whose filter elements lie together, and each row of the block adds those
 * of a chunk that its own taps r reach. What is outside of the image is not multiplied at all. */
#include "base/threads.h"
#include "conv/direct/direct.h"

#include <string.h>

/* What lies along the lanes of a block: offsets of lane 0 and distances of lanes, in elements. */
struct panel {
    ptrdiff_t in, in_lane, out, out_lane, w, w_lane;
    ptrdiff_t bias, bias_lane;
    int       lanes;
};

struct run {
    const struct cvl_direct_job *job;
    struct cvl_direct_cut cut;                  /* of the largest residue class, the first */
    int       row_classes, column_classes;
    bool      merged;                           /* rows into columns where that can be */
    long long items, grain;                     /* blocks in all, and in a task */
};

/* Rows of one image that are summed together: taps r from first to last take all of them to the inside. */
struct segment { int row, count, first, last; };

struct block {
    const struct cvl_direct_job *job;
    struct panel panel;
    struct cvl_direct_axis rows, columns;
    int       images;
    ptrdiff_t in_image, out_image;
    int       row0, row1, column0, column1;     /* rows count on from image to image */
    struct segment segments[CVL_DIRECT_COUNT];
    int       segment_count;
    struct cvl_direct_step steps[CVL_DIRECT_STEPS];
    _Alignas(64) float totals[CVL_DIRECT_COUNT * CVL_DIRECT_PANEL_MAX];
    _Alignas(64) float copied[CVL_DIRECT_STEPS * CVL_DIRECT_PANEL_MAX];
};

/* The products of rows r0 to r1 and channels i0 to i1 under tap column `tap`, at columns q0 to q1. */
struct chunk { int tap, r0, r1, i0, i1, q0, q1; };

static struct panel channels_panel(const struct cvl_direct_job *job, int index)
{
    const int panels = cvl_direct_panels(job), group = index / panels, o = index % panels * job->kern->panel;
    const ptrdiff_t in_c = job->strides.in.at[1], out_c = job->strides.out.at[1];
    const struct cvl_direct_filter_strides w = cvl_direct_filter_strides(job);
    const int channel = group * job->out_channels + o;
    return (struct panel){
        .in = group * job->in_channels * in_c, .out = channel * out_c, .out_lane = out_c,
        .w = job->packed ? index * cvl_direct_packed_panel(job) : group * w.group + o * w.o,
        .w_lane = w.o, .bias = channel, .bias_lane = 1,
        .lanes = cvl_at_most(job->out_channels - o, job->kern->panel),
    };
}

static struct panel groups_panel(const struct cvl_direct_job *job, int index)
{
    const int group = index / job->out_channels * job->kern->panel, o = index % job->out_channels;
    const ptrdiff_t in_c = job->strides.in.at[1], out_c = job->strides.out.at[1];
    const struct cvl_direct_filter_strides w = cvl_direct_filter_strides(job);
    const int channel = group * job->out_channels + o;
    return (struct panel){
        .in = group * job->in_channels * in_c, .in_lane = job->in_channels * in_c,
        .out = channel * out_c, .out_lane = job->out_channels * out_c,
        .w = group * w.group + o * w.o, .w_lane = w.group, .bias = channel, .bias_lane = job->out_channels,
        .lanes = cvl_at_most(job->desc->groups - group, job->kern->panel),
    };
}

/* The block's columns give the lanes, and their number, later. */
static struct panel columns_panel(const struct cvl_direct_job *job, int channel)
{
    const int group = channel / job->out_channels, o = channel % job->out_channels;
    const struct cvl_direct_filter_strides w = cvl_direct_filter_strides(job);
    return (struct panel){
        .in = group * job->in_channels * job->strides.in.at[1], .out = channel * job->strides.out.at[1],
        .w = group * w.group + o * w.o, .bias = channel,
    };
}

static struct panel (*const panel_of[])(const struct cvl_direct_job *job, int index) = {
    [CVL_DIRECT_CHANNELS] = channels_panel, [CVL_DIRECT_GROUPS] = groups_panel, [CVL_DIRECT_COLUMNS] = columns_panel,
};

/* Brings the chunk's filter elements together, unless they are packed, and lists the offsets of its products. */
static const float *prepare(struct block *block, const struct chunk *chunk)
{
    const struct cvl_direct_job *job = block->job;
    const struct panel *panel = &block->panel;
    const int channels = chunk->i1 - chunk->i0, pitch = job->kern->panel;
    const ptrdiff_t in_c = job->strides.in.at[1];
    const ptrdiff_t w_i = cvl_direct_filter_strides(job).i;
    const float *filter = (job->packed ? job->packed : job->filter) + panel->w + block->columns.w +
                          chunk->tap * block->columns.w_tap + block->rows.w;
    struct cvl_direct_step *step = block->steps;
    for (int r = chunk->r0; r < chunk->r1; r++) {
        const ptrdiff_t w = r * block->rows.w_tap + chunk->i0 * w_i;
        const int first = (r - chunk->r0) * channels;
        for (int i = 0; i < channels; i++)
            *step++ = (struct cvl_direct_step){
                .a = r * block->rows.in_tap + (chunk->i0 + i) * in_c,
                .b = job->packed ? w + i * w_i : (first + i) * pitch,
            };
        if (!job->packed)
            job->kern->copy(&(struct cvl_direct_copy){
                .to = block->copied + first * pitch, .to_step = pitch, .from = filter + w, .from_step = w_i,
                .from_lane = panel->w_lane, .steps = channels, .lanes = panel->lanes,
            });
    }
    return job->packed ? filter : block->copied;
}

/* Adds a chunk's products to the totals of a segment's rows. */
static void add_segment(struct block *block, const struct chunk *chunk, const float *b, const struct segment *segment)
{
    const struct cvl_direct_job *job = block->job;
    const struct cvl_direct_axis *rows = &block->rows, *columns = &block->columns;
    const bool wide = job->lanes == CVL_DIRECT_COLUMNS;
    const int channels = chunk->i1 - chunk->i0, run = chunk->q1 - chunk->q0, pitch = job->kern->panel;
    const int first = cvl_at_least(segment->first, chunk->r0), last = cvl_at_most(segment->last, chunk->r1);
    const int row = segment->row - block->row0, shift = chunk->q0 - block->column0;
    const ptrdiff_t at = wide ? row * pitch + shift : (row * (block->column1 - block->column0) + shift) * pitch;
    const struct cvl_direct_sum sum = {
        .totals = block->totals + at,
        .a = job->in_image + segment->row / rows->count * block->in_image + block->panel.in +
             rows->in + segment->row % rows->count * rows->in_step +
             columns->in + chunk->q0 * columns->in_step + chunk->tap * columns->in_tap,
        .a_count = wide ? rows->in_step : columns->in_step,
        .a_lane = wide ? columns->in_step : block->panel.in_lane,
        .b = b, .steps = block->steps + (first - chunk->r0) * channels, .step_count = (last - first) * channels,
        .count = wide ? segment->count : run, .lanes = wide ? run : block->panel.lanes,
    };
    if (first >= last)
        return;
    if (job->lanes == CVL_DIRECT_CHANNELS)
        job->kern->broadcast(&sum);
    else
        job->kern->lanewise(&sum);
}

/* With columns along the lanes, rows with the same taps are one segment; otherwise each is one. */
static void list_segments(struct block *block)
{
    const struct cvl_direct_axis *rows = &block->rows;
    const bool wide = block->job->lanes == CVL_DIRECT_COLUMNS;
    struct segment *next = block->segments;
    for (int row = block->row0; row < block->row1; row++) {
        const int t = row % rows->count;
        struct segment here = { .row = row, .count = 1 };
        cvl_direct_taps(rows, t, &here.first, &here.last);
        if (wide && t > 0 && row > block->row0 && here.first == next[-1].first && here.last == next[-1].last)
            next[-1].count++;
        else
            *next++ = here;
    }
    block->segment_count = (int)(next - block->segments);
}

static void sum_block(struct block *block)
{
    const struct cvl_direct_job *job = block->job;
    const int r_most = cvl_at_least(cvl_at_most(block->rows.taps, CVL_DIRECT_STEPS), 1);
    const int i_most = CVL_DIRECT_STEPS / r_most;
    const int width = job->lanes == CVL_DIRECT_COLUMNS ? 1 : block->column1 - block->column0;
    list_segments(block);
    memset(block->totals, 0, sizeof(float) * (block->row1 - block->row0) * width * job->kern->panel);
    for (int tap = 0; tap < block->columns.taps; tap++) {
        struct chunk chunk = { .tap = tap };
        cvl_direct_positions(&block->columns, tap, &chunk.q0, &chunk.q1);
        chunk.q0 = cvl_at_least(chunk.q0, block->column0);
        chunk.q1 = cvl_at_most(chunk.q1, block->column1);
        if (chunk.q0 >= chunk.q1)
            continue;
        if (job->lanes == CVL_DIRECT_COLUMNS)
            block->panel.lanes = chunk.q1 - chunk.q0;
        for (chunk.r0 = 0; chunk.r0 < block->rows.taps; chunk.r0 = chunk.r1) {
            chunk.r1 = cvl_at_most(chunk.r0 + r_most, block->rows.taps);
            for (chunk.i0 = 0; chunk.i0 < job->in_channels; chunk.i0 = chunk.i1) {
                chunk.i1 = cvl_at_most(chunk.i0 + i_most, job->in_channels);
                const float *b = prepare(block, &chunk);
                for (int i = 0; i < block->segment_count; i++)
                    add_segment(block, &chunk, b, block->segments + i);
            }
        }
    }
}

/* A row at a time or, with columns along the lanes, the rows of an image. */
static void finish_block(const struct block *block)
{
    const struct cvl_direct_job *job = block->job;
    const struct cvl_direct_axis *rows = &block->rows, *columns = &block->columns;
    const struct panel *panel = &block->panel;
    const bool wide = job->lanes == CVL_DIRECT_COLUMNS;
    const int width = block->column1 - block->column0;
    for (int row = block->row0, count; row < block->row1; row += count) {
        const int t = row % rows->count;
        const ptrdiff_t at = row / rows->count * block->out_image + panel->out + rows->out + t * rows->out_step +
                             columns->out + block->column0 * columns->out_step;
        count = wide ? cvl_at_most(rows->count - t, block->row1 - row) : 1;
        job->kern->finish(&(struct cvl_direct_finish){
            .totals = block->totals + (ptrdiff_t)(row - block->row0) * (wide ? 1 : width) * job->kern->panel,
            .out = job->written + at, .residual = job->residual ? job->residual + at : NULL,
            .bias = job->bias ? job->bias + panel->bias : NULL, .bias_lane = panel->bias_lane,
            .out_count = wide ? rows->out_step : columns->out_step,
            .out_lane = wide ? columns->out_step : panel->out_lane,
            .count = wide ? count : width, .lanes = wide ? width : panel->lanes,
            .act = job->desc->epi.act, .lo = job->desc->epi.lo, .hi = job->desc->epi.hi,
        });
    }
}

/* The axes of one residue class, and the block's place on them; false where a small class has no such block. */
static bool place(struct block *block, const struct run *run, long long item)
{
    const struct cvl_direct_job *job = run->job;
    const int rows_at = cvl_direct_take(&item, run->cut.row_blocks);
    const int columns_at = cvl_direct_take(&item, run->cut.column_blocks);
    block->job = job;
    block->columns = cvl_direct_axis(job->desc, &job->strides, false, cvl_direct_take(&item, run->column_classes));
    block->rows = cvl_direct_axis(job->desc, &job->strides, true, cvl_direct_take(&item, run->row_classes));
    block->panel = panel_of[job->lanes](job, (int)item);
    block->images = job->desc->n;
    block->in_image = job->strides.in.at[0];
    block->out_image = job->strides.out.at[0];
    if (run->merged)
        cvl_direct_merge(&block->images, block->in_image, block->out_image, &block->rows, &block->columns);
    const int rows = block->images * block->rows.count;
    block->row0 = cvl_at_most(rows_at * run->cut.rows, rows);
    block->row1 = cvl_at_most(block->row0 + run->cut.rows, rows);
    block->column0 = cvl_at_most(columns_at * run->cut.columns, block->columns.count);
    block->column1 = cvl_at_most(block->column0 + run->cut.columns, block->columns.count);
    return block->row0 < block->row1 && block->column0 < block->column1;
}

static void task(int task, int slot, void *arg)
{
    const struct run *run = arg;
    struct block block;
    const long long first = task * run->grain;
    const long long last = first + run->grain < run->items ? first + run->grain : run->items;
    for (long long item = first; item < last; item++) {
        if (!place(&block, run, item))
            continue;
        sum_block(&block);
        finish_block(&block);
    }
}

void cvl_direct_data(const cvl_ctx *ctx, const struct cvl_direct_job *job)
{
    struct run run = {
        .job = job, .row_classes = cvl_direct_classes(job->desc, true),
        .column_classes = cvl_direct_classes(job->desc, false),
    };
    run.merged = job->lanes != CVL_DIRECT_COLUMNS && run.row_classes == 1 && run.column_classes == 1;
    struct cvl_direct_axis rows = cvl_direct_axis(job->desc, &job->strides, true, 0);
    struct cvl_direct_axis columns = cvl_direct_axis(job->desc, &job->strides, false, 0);
    int images = job->desc->n;
    if (run.merged)
        cvl_direct_merge(&images, job->strides.in.at[0], job->strides.out.at[0], &rows, &columns);
    const long long panels = cvl_direct_panel_count(job, job->out_channels);
    for (int capacity = CVL_DIRECT_COUNT; capacity >= CVL_DIRECT_COUNT / 4; capacity /= 2) {
        run.cut = cvl_direct_cut(job->kern, job->lanes, images * rows.count, columns.count, capacity);
        run.items = panels * run.row_classes * run.column_classes * run.cut.row_blocks * run.cut.column_blocks;
        if (run.items >= CVL_DIRECT_TASKS)
            break;
    }
    run.grain = run.items / CVL_DIRECT_TASKS_MAX + 1;
    cvl_parallel_for(ctx, (int)((run.items + run.grain - 1) / run.grain), task, &run);
}
