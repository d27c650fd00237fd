/* SPDX-License-Identifier: Apache-2.0
 * BWD_FILTER: the sums of one block of the filter. The pixels (n, p, q) are cut into chunks whose dy is brought
 * together once for all the block's taps; a tap multiplies those of a chunk that it takes to the inside of x. */
#include "conv/direct/direct_filter.h"

#include <string.h>

/* Offset in x of what tap (0,0) meets at column 0 of a row of pixels. */
static ptrdiff_t x_row(const struct cvl_direct_run *run, int row)
{
    return row / run->rows.count * run->job->strides.in.at[0] + run->rows.in + run->columns.in +
           row % run->rows.count * run->rows.in_step;
}

static ptrdiff_t y_row(const struct cvl_direct_run *run, int row)
{
    return row / run->rows.count * run->job->strides.out.at[0] + row % run->rows.count * run->rows.out_step;
}

/* Brings dy of a chunk's pixels together: a step is a pixel or, with columns along the lanes, a row. */
static void copy_pixels(struct cvl_direct_block *block)
{
    const struct cvl_direct_run *run = block->run;
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
static bool reach_columns(const struct cvl_direct_block *block, int s, int *first, int *last)
{
    cvl_direct_positions(&block->run->columns, s, first, last);
    *first = cvl_at_least(*first, block->column0);
    *last = cvl_at_most(*last, block->column1);
    return *first < *last;
}

/* Lists the pixels of one row, columns q0 to q1, under tap (r,s). */
static struct cvl_direct_step *list_row(struct cvl_direct_block *block, struct cvl_direct_step *step, int row,
                                        ptrdiff_t tap, int q0, int q1)
{
    const struct cvl_direct_run *run = block->run;
    const int pitch = run->job->kern->panel;
    const ptrdiff_t a = x_row(run, row) + tap;
    const ptrdiff_t b = (ptrdiff_t)(row - block->row0) * (block->column1 - block->column0) - block->column0;
    for (int q = q0; q < q1; q++)
        *step++ = (struct cvl_direct_step){ a + q * run->columns.in_step, (b + q) * pitch };
    return step;
}

/* The positions (r,s,c) of a block, one tap at a time. */
static void add_channels(struct cvl_direct_block *block)
{
    const struct cvl_direct_run *run = block->run;
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

static void reach_taps(const struct cvl_direct_block *block, int row, int *first, int *last)
{
    cvl_direct_taps(&block->run->rows, row % block->run->rows.count, first, last);
    *first = cvl_at_least(*first, block->r0);
    *last = cvl_at_least(cvl_at_most(*last, block->r1), *first);
}

/* Rows row0 to row1 under tap column s: the same taps r0 to r1 take all of them to the inside. */
static void add_rows(struct cvl_direct_block *block, int s, int row0, int row1, int r0, int r1)
{
    const struct cvl_direct_run *run = block->run;
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

static void add_taps(struct cvl_direct_block *block)
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

int cvl_direct_totals_count(const struct cvl_direct_block *block)
{
    return block->run->job->lanes == CVL_DIRECT_CHANNELS ? block->t1 - block->t0
                                                         : (block->r1 - block->r0) * (block->s1 - block->s0);
}

void cvl_direct_sum_block(struct cvl_direct_block *block)
{
    const struct cvl_direct_run *run = block->run;
    const int rows = run->images * run->rows.count;
    memset(block->totals, 0, sizeof(float) * cvl_direct_totals_count(block) * run->job->kern->panel);
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
