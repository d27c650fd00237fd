/* SPDX-License-Identifier: Apache-2.0
 * BWD_FILTER: dw[k, c, r, s] = sum over n, p, q of dy[k, p, q] * x[c, p*stride + r, q*stride + s].
 *
 * A task sums one block of the filter over all images. Lanes are channels k (positions: c under each tap), or groups,
 * or columns q, which are summed up at the end (positions: r). */
#include "base/threads.h"
#include "conv/direct/direct_filter.h"

/* Columns are partial sums of the one channel in lane 0. */
static void sum_lanes(struct cvl_direct_block *block)
{
    const int pitch = block->run->job->kern->panel, count = cvl_direct_totals_count(block);
    for (int t = 0; t < count; t++) {
        float *lane = block->totals + (ptrdiff_t)t * pitch;
        for (int half = pitch / 2; half > 0; half /= 2)
            for (int i = 0; i < half; i++)
                lane[i] += lane[i + half];
    }
}

/* Totals `first` and up are of `count` positions that lie `stride` apart in the filter from offset `at` on. */
static void finish_run(struct cvl_direct_block *block, int first, int count, ptrdiff_t at, ptrdiff_t stride)
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

static void finish_block(struct cvl_direct_block *block)
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
static void place(struct cvl_direct_block *block, const struct cvl_direct_run *run, long long item)
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
    const struct cvl_direct_run *run = arg;
    struct cvl_direct_block block;
    const long long first = task * run->grain;
    const long long last = first + run->grain < run->items ? first + run->grain : run->items;
    for (long long item = first; item < last; item++) {
        place(&block, run, item);
        cvl_direct_sum_block(&block);
        finish_block(&block);
    }
}

/* Blocks of the filter: with lanes of channels, small enough for many tasks, large enough to be worth a copy of dy. */
static void cut_filter(struct cvl_direct_run *run)
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
    struct cvl_direct_run run = {
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
