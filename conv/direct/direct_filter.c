/* SPDX-License-Identifier: Apache-2.0
 * BWD_FILTER: dw[k, c, r, s] = sum over n, p, q of dy[k, p, q] * x[c, p*stride + r, q*stride + s].
 *
 * A task sums one block of the filter over all images. The pixels (n, p, q) are cut into chunks whose dy is brought
 * together once for all the block's taps; a tap multiplies those of a chunk that it takes to the inside of x. Lanes are
 * channels k (positions: c under each tap), or groups, or columns q, which are summed up at the end (positions: r). */
#include "base/threads.h"
#include "conv/direct/direct.h"

#include <string.h>

struct run {
    const struct cvl_direct_job *job;
    struct cvl_direct_axis rows, columns;
    int       images;
    struct cvl_direct_cut cut;                  /* of the pixels */
    int       positions, position_blocks;       /* lanes of channels: (r,s,c) of a block, and blocks */
    int       r_block, s_block, r_blocks, s_blocks;   /* other lanes: taps of a block, and blocks */
    long long items, grain;
};

struct block {
    const struct run *run;
    ptrdiff_t x, x_lane, y, y_lane, w, w_lane;  /* of the block's first channels; distances of lanes */
    int       lanes;
    int       t0, t1;                           /* lanes of channels: positions (r,s,c) */
    int       r0, r1, s0, s1;                   /* other lanes: taps */
    int       row0, row1, column0, column1;     /* the chunk of pixels */
    bool      copies;                           /* dy is brought together; else its rows are read where they are */
    struct cvl_direct_step steps[CVL_DIRECT_STEPS];
    _Alignas(64) float totals[CVL_DIRECT_COUNT * CVL_DIRECT_PANEL_MAX];
    _Alignas(64) float copied[CVL_DIRECT_STEPS * CVL_DIRECT_PANEL_MAX];
};

/* Offset in x of what tap (0,0) meets at column 0 of a row of pixels. */
static ptrdiff_t x_row(const struct run *run, int row)
{
    return row / run->rows.count * run->job->strides.in.at[0] + run->rows.in + run->columns.in +
           row % run->rows.count * run->rows.in_step;
}

static ptrdiff_t y_row(const struct run *run, int row)
{
    return row / run->rows.count * run->job->strides.out.at[0] + row % run->rows.count * run->rows.out_step;
}

/* Brings dy of a chunk's pixels together: a step is a pixel or, with columns along the lanes, a row. */
static void copy_pixels(struct block *block)
{
    const struct run *run = block->run;
    const bool wide = run->job->lanes == CVL_DIRECT_COLUMNS;
    const int pitch = run->job->kern->panel, width = block->column1 - block->column0;
    for (int row = block->row0; row < block->row1; row++)
        run->job->kern->copy(&(struct cvl_direct_copy){
            .to = block->copied + (ptrdiff_t)(row - block->row0) * (wide ? 1 : width) * pitch, .to_step = pitch,
            .from = run->job->out_image + block->y + y_row(run, row) + block->column0 * run->columns.out_step,
            .from_step = run->columns.out_step, .from_lane = wide ? run->columns.out_step : block->y_lane,
            .steps = wide ? 1 : width, .lanes = wide ? width : block->lanes,
        });
}

/* The chunk's columns that tap s takes to the inside. */
static bool reach_columns(const struct block *block, int s, int *first, int *last)
{
    cvl_direct_positions(&block->run->columns, s, first, last);
    *first = cvl_at_least(*first, block->column0);
    *last = cvl_at_most(*last, block->column1);
    return *first < *last;
}

/* Lists the pixels of one row, columns q0 to q1, under tap (r,s). */
static struct cvl_direct_step *list_row(struct block *block, struct cvl_direct_step *step, int row, ptrdiff_t tap,
                                        int q0, int q1)
{
    const struct run *run = block->run;
    const int pitch = run->job->kern->panel;
    const ptrdiff_t a = x_row(run, row) + tap;
    const ptrdiff_t b = (ptrdiff_t)(row - block->row0) * (block->column1 - block->column0) - block->column0;
    for (int q = q0; q < q1; q++)
        *step++ = (struct cvl_direct_step){ a + q * run->columns.in_step, (b + q) * pitch };
    return step;
}

/* The positions (r,s,c) of a block, one tap at a time. */
static void add_channels(struct block *block)
{
    const struct run *run = block->run;
    const struct cvl_direct_job *job = run->job;
    const int channels = job->in_channels, taps = run->columns.taps;
    for (int t = block->t0, next; t < block->t1; t = next) {
        const int r = t / channels / taps, s = t / channels % taps, c = t % channels;
        struct cvl_direct_step *step = block->steps;
        int q0, q1;
        next = cvl_at_most(t - c + channels, block->t1);
        if (!reach_columns(block, s, &q0, &q1))
            continue;
        for (int row = block->row0; row < block->row1; row++) {
            int first, last;
            cvl_direct_taps(&run->rows, row % run->rows.count, &first, &last);
            if (r >= first && r < last)
                step = list_row(block, step, row, r * run->rows.in_tap + s * run->columns.in_tap, q0, q1);
        }
        if (step > block->steps)
            job->kern->broadcast(&(struct cvl_direct_sum){
                .totals = block->totals + (ptrdiff_t)(t - block->t0) * job->kern->panel,
                .a = job->in_image + block->x + c * job->strides.in.at[1], .a_count = job->strides.in.at[1],
                .b = block->copied, .steps = block->steps, .step_count = (int)(step - block->steps),
                .count = next - t, .lanes = block->lanes,
            });
    }
}

static void reach_taps(const struct block *block, int row, int *first, int *last)
{
    cvl_direct_taps(&block->run->rows, row % block->run->rows.count, first, last);
    *first = cvl_at_least(*first, block->r0);
    *last = cvl_at_least(cvl_at_most(*last, block->r1), *first);
}

/* Rows row0 to row1 under tap column s: the same taps r0 to r1 take all of them to the inside. */
static void add_rows(struct block *block, int s, int row0, int row1, int r0, int r1)
{
    const struct run *run = block->run;
    const struct cvl_direct_job *job = run->job;
    const bool wide = job->lanes == CVL_DIRECT_COLUMNS;
    const int pitch = job->kern->panel;
    const ptrdiff_t tap = r0 * run->rows.in_tap + s * run->columns.in_tap;
    struct cvl_direct_step *step = block->steps;
    int q0, q1;
    if (r0 >= r1 || !reach_columns(block, s, &q0, &q1))
        return;
    for (int row = row0; row < row1; row++) {
        const ptrdiff_t b = block->copies ? (row - block->row0) * pitch - block->column0 : y_row(run, row);
        if (wide)
            *step++ = (struct cvl_direct_step){ x_row(run, row) + tap + q0 * run->columns.in_step, b + q0 };
        else
            step = list_row(block, step, row, tap, q0, q1);
    }
    job->kern->lanewise(&(struct cvl_direct_sum){
        .totals = block->totals + ((ptrdiff_t)(s - block->s0) * (block->r1 - block->r0) + r0 - block->r0) * pitch,
        .a = job->in_image + block->x, .a_count = run->rows.in_tap,
        .a_lane = wide ? run->columns.in_step : block->x_lane,
        .b = block->copies ? block->copied : job->out_image + block->y, .steps = block->steps,
        .step_count = (int)(step - block->steps), .count = r1 - r0, .lanes = wide ? q1 - q0 : block->lanes,
    });
}

static void add_taps(struct block *block)
{
    for (int row = block->row0, next; row < block->row1; row = next) {
        int first, last, next_first, next_last;
        reach_taps(block, row, &first, &last);
        for (next = row + 1; next < block->row1; next++) {
            reach_taps(block, next, &next_first, &next_last);
            if (next_first != first || next_last != last)
                break;
        }
        for (int s = block->s0; s < block->s1; s++)
            add_rows(block, s, row, next, first, last);
    }
}

static int totals_count(const struct block *block)
{
    return block->run->job->lanes == CVL_DIRECT_CHANNELS ? block->t1 - block->t0
                                                         : (block->r1 - block->r0) * (block->s1 - block->s0);
}

static void sum_block(struct block *block)
{
    const struct run *run = block->run;
    const int rows = run->images * run->rows.count;
    memset(block->totals, 0, sizeof(float) * totals_count(block) * run->job->kern->panel);
    for (block->row0 = 0; block->row0 < rows; block->row0 = block->row1) {
        block->row1 = cvl_at_most(block->row0 + run->cut.rows, rows);
        for (block->column0 = 0; block->column0 < run->columns.count; block->column0 = block->column1) {
            block->column1 = cvl_at_most(block->column0 + run->cut.columns, run->columns.count);
            if (block->copies)
                copy_pixels(block);
            if (run->job->lanes == CVL_DIRECT_CHANNELS)
                add_channels(block);
            else
                add_taps(block);
        }
    }
}

/* Columns are partial sums of the one channel in lane 0. */
static void sum_lanes(struct block *block)
{
    const int pitch = block->run->job->kern->panel, count = totals_count(block);
    for (int t = 0; t < count; t++) {
        float *lane = block->totals + (ptrdiff_t)t * pitch;
        for (int half = pitch / 2; half > 0; half /= 2)
            for (int i = 0; i < half; i++)
                lane[i] += lane[i + half];
    }
}

/* Totals `first` and up are of `count` positions that lie `stride` apart in the filter from offset `at` on. */
static void finish_run(struct block *block, int first, int count, ptrdiff_t at, ptrdiff_t stride)
{
    const struct cvl_direct_job *job = block->run->job;
    at += block->w;
    job->kern->finish(&(struct cvl_direct_finish){
        .totals = block->totals + (ptrdiff_t)first * job->kern->panel, .out = job->written + at,
        .residual = job->residual ? job->residual + at : NULL, .out_count = stride, .out_lane = block->w_lane,
        .count = count, .lanes = block->lanes,
        .act = job->desc->epi.act, .lo = job->desc->epi.lo, .hi = job->desc->epi.hi,
    });
}

static void finish_block(struct block *block)
{
    const struct cvl_direct_job *job = block->run->job;
    const ptrdiff_t *w = job->strides.w.at;
    const int channels = job->in_channels, taps = block->run->columns.taps;
    if (job->lanes == CVL_DIRECT_COLUMNS)
        sum_lanes(block);
    if (job->lanes == CVL_DIRECT_CHANNELS) {
        for (int t = block->t0, next; t < block->t1; t = next) {
            const int r = t / channels / taps, s = t / channels % taps, c = t % channels;
            next = cvl_at_most(t - c + channels, block->t1);
            finish_run(block, t - block->t0, next - t, c * w[1] + r * w[2] + s * w[3], w[1]);
        }
    } else {
        for (int s = block->s0; s < block->s1; s++)
            finish_run(block, (s - block->s0) * (block->r1 - block->r0), block->r1 - block->r0,
                       block->r0 * w[2] + s * w[3], w[2]);
    }
}

/* The channels, lanes and taps of a block. */
static void place(struct block *block, const struct run *run, long long item)
{
    const struct cvl_direct_job *job = run->job;
    const bool by_channel = job->lanes == CVL_DIRECT_CHANNELS;
    const ptrdiff_t x_c = job->strides.in.at[1], y_k = job->strides.out.at[1], w_k = job->strides.w.at[0];
    const int pitch = job->kern->panel;
    int group, k, c = 0, lanes = 1;
    block->run = run;
    if (by_channel) {
        block->t0 = cvl_direct_take(&item, run->position_blocks) * run->positions;
        block->t1 = cvl_at_most(block->t0 + run->positions, run->rows.taps * run->columns.taps * job->in_channels);
        k = cvl_direct_take(&item, cvl_direct_panels(job)) * pitch;
        group = (int)item;
        lanes = job->out_channels - k;
    } else {
        block->r0 = cvl_direct_take(&item, run->r_blocks) * run->r_block;
        block->r1 = cvl_at_most(block->r0 + run->r_block, run->rows.taps);
        block->s0 = cvl_direct_take(&item, run->s_blocks) * run->s_block;
        block->s1 = cvl_at_most(block->s0 + run->s_block, run->columns.taps);
        c = cvl_direct_take(&item, job->in_channels);
        k = cvl_direct_take(&item, job->out_channels);
        group = (int)item;
        if (job->lanes == CVL_DIRECT_GROUPS) {
            group *= pitch;
            lanes = job->desc->groups - group;
        }
    }
    block->lanes = cvl_at_most(lanes, pitch);
    block->copies = job->lanes != CVL_DIRECT_COLUMNS || run->columns.out_step != 1;
    block->x = ((ptrdiff_t)group * job->in_channels + c) * x_c;
    block->y = ((ptrdiff_t)group * job->out_channels + k) * y_k;
    block->w = ((ptrdiff_t)group * job->out_channels + k) * w_k + c * job->strides.w.at[1];
    block->x_lane = job->in_channels * x_c;
    block->y_lane = by_channel ? y_k : job->out_channels * y_k;
    block->w_lane = by_channel ? w_k : job->out_channels * w_k;
}

static void task(int task, int slot, void *arg)
{
    const struct run *run = arg;
    struct block block;
    const long long first = task * run->grain;
    const long long last = first + run->grain < run->items ? first + run->grain : run->items;
    for (long long item = first; item < last; item++) {
        place(&block, run, item);
        sum_block(&block);
        finish_block(&block);
    }
}

/* Blocks of the filter: with lanes of channels, small enough for many tasks, large enough to be worth a copy of dy. */
static void cut_filter(struct run *run)
{
    const struct cvl_direct_job *job = run->job;
    const int taps = run->rows.taps * run->columns.taps;
    if (job->lanes == CVL_DIRECT_CHANNELS) {
        const long long panels = cvl_direct_panel_count(job, job->out_channels);
        const int all = taps * job->in_channels;
        for (int most = CVL_DIRECT_COUNT; most >= CVL_DIRECT_COUNT / 4; most /= 2) {
            run->positions = most;
            run->position_blocks = (all - 1) / most + 1;
            run->items = panels * run->position_blocks;
            if (run->items >= CVL_DIRECT_TASKS)
                break;
        }
    } else {
        run->r_block = cvl_at_most(run->rows.taps, CVL_DIRECT_COUNT);
        run->s_block = cvl_at_most(run->columns.taps, CVL_DIRECT_COUNT / run->r_block);
        run->r_blocks = (run->rows.taps - 1) / run->r_block + 1;
        run->s_blocks = (run->columns.taps - 1) / run->s_block + 1;
        run->items = cvl_direct_panel_count(job, job->out_channels) * job->in_channels * run->r_blocks * run->s_blocks;
    }
    run->grain = run->items / CVL_DIRECT_TASKS_MAX + 1;
}

void cvl_direct_filter(const cvl_ctx *ctx, const struct cvl_direct_job *job)
{
    struct run run = {
        .job = job, .images = job->desc->n,
        .rows = cvl_direct_axis(job->desc, &job->strides, true, 0),
        .columns = cvl_direct_axis(job->desc, &job->strides, false, 0),
    };
    if (job->lanes != CVL_DIRECT_COLUMNS)
        cvl_direct_merge(&run.images, job->strides.in.at[0], job->strides.out.at[0], &run.rows, &run.columns);
    run.cut = cvl_direct_cut(job->kern, job->lanes, run.images * run.rows.count, run.columns.count, CVL_DIRECT_STEPS);
    cut_filter(&run);
    cvl_parallel_for(ctx, (int)((run.items + run.grain - 1) / run.grain), task, &run);
}
