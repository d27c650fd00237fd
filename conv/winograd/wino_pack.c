/* SPDX-License-Identifier: Apache-2.0
 * The transformed filter, (point, panel, channel, lane): G w G^T of a panel's out channels side by side in a vector.
 * With a stride each phase has the taps that it meets. BWD_DATA's filter is rotated and has its channels exchanged. */
#include "conv/winograd/wino.h"

#include "base/threads.h"

#include <string.h>

enum { CHUNK = 16 };             /* channels of a task */

/* The taps of all phases, missing ones included. */
static int grid_rows(const struct cvl_wino *w) { return w->rows.r * w->rows.phases; }
static int grid_columns(const struct cvl_wino *w) { return w->columns.r * w->columns.phases; }

struct job {
    const struct cvl_wino *wino;
    const float           *w;
    float                 *packed, *scratch;
    int                    chunks;
};

/* What a task has: the raw filter as (channel, row, column, lane), and one channel's transforms on the way. */
struct block {
    const struct job *job;
    int               panel, channel, channels;
    float            *raw, *half, *whole;
};

static ptrdiff_t raw_floats(const struct cvl_wino *w)
{
    return (ptrdiff_t)CHUNK * grid_rows(w) * grid_columns(w) * w->lanes;
}

static ptrdiff_t slot_floats(const struct cvl_wino *w)
{
    return cvl_wino_round(raw_floats(w) + (ptrdiff_t)w->rows.t * (w->columns.r + w->columns.t) * w->lanes);
}

ptrdiff_t cvl_wino_pack_scratch(const struct cvl_wino *w)
{
    return slot_floats(w) * w->ctx->threads;
}

/* The filter's strides from one out channel, and one channel of the reduction, to the next. */
static ptrdiff_t out_stride(const struct cvl_wino *w) { return w->w.at[w->desc->pass == CVL_BWD_DATA]; }
static ptrdiff_t in_stride(const struct cvl_wino *w) { return w->w.at[w->desc->pass != CVL_BWD_DATA]; }

/* Along whichever of taps, channels and lanes lie side by side. */
static void read_raw(const struct block *b)
{
    const struct cvl_wino *w = b->job->wino;
    const int lanes = w->lanes, filled = cvl_min(lanes, w->out_channels - b->panel * lanes);
    const int taps_r = w->rows.taps, taps_s = w->columns.taps;
    const ptrdiff_t channel = (ptrdiff_t)grid_rows(w) * grid_columns(w) * lanes;
    const bool rotated = w->desc->pass == CVL_BWD_DATA;
    const float *from = b->job->w + b->panel * lanes * out_stride(w) + b->channel * in_stride(w);
    memset(b->raw, 0, (size_t)(b->channels * channel) * sizeof *b->raw);
    for (int r = 0; r < taps_r; r++)
        for (int s = 0; s < taps_s; s++) {
            const int row = rotated ? taps_r - 1 - r : r, column = rotated ? taps_s - 1 - s : s;
            struct cvl_copy copy = {
                .to = b->raw + (ptrdiff_t)(row * grid_columns(w) + column) * lanes, .to_row = channel, .lanes = filled,
                .from = from + r * w->w.at[2] + s * w->w.at[3], .from_row = in_stride(w), .from_lane = out_stride(w),
                .rows = b->channels,
            };
            if (w->w.at[3] != 1) {
                w->gemm->copy(&copy);
                continue;
            }
            copy.to_row = rotated ? -lanes : lanes;
            copy.from_row = 1;
            copy.rows = taps_s;
            for (int c = 0; c < b->channels; c++, copy.to += channel, copy.from += in_stride(w))
                w->gemm->copy(&copy);
            s = taps_s;
        }
}

/* One channel of one phase. */
static void transform(const struct block *b, int phase, int channel)
{
    const struct cvl_wino *w = b->job->wino;
    const ptrdiff_t lanes = w->lanes, row = grid_columns(w) * lanes;
    const float *raw = b->raw + channel * grid_rows(w) * row + w->phase_row[phase] * row
                     + w->phase_column[phase] * lanes;
    const struct cvl_wino_lines first = {
        .f = w->rows.f, .lines = w->columns.r, .from = raw, .from_line = w->columns.phases * lanes,
        .from_point = w->rows.phases * row, .to = b->half, .to_line = lanes, .to_point = w->columns.r * lanes,
    }, second = {
        .f = w->columns.f, .lines = w->rows.t, .from = b->half, .from_line = first.to_point, .from_point = lanes,
        .to = b->whole, .to_line = w->columns.t * lanes, .to_point = lanes,
    };
    w->kern->filter(&first);
    w->kern->filter(&second);
}

static float *panel_of(const struct block *b, int point)
{
    const struct cvl_wino *w = b->job->wino;
    return b->job->packed + w->point[point].u + b->panel * w->point[point].pitch;
}

static void store(const struct block *b, int phase, int channel)
{
    const struct cvl_wino *w = b->job->wino;
    const size_t bytes = (size_t)w->lanes * sizeof(float);
    for (int i = 0; i < w->points; i++) {
        const int at = phase * w->in_channels - w->point[i].first;
        if (at >= 0 && at < w->point[i].count)
            memcpy(panel_of(b, i) + (ptrdiff_t)(at + b->channel + channel) * w->lanes, b->whole + i * w->lanes, bytes);
    }
}

static void pack_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_wino *w = job->wino;
    float *scratch = job->scratch + slot * slot_floats(w);
    struct block b = { .job = job, .panel = task / job->chunks, .channel = task % job->chunks * CHUNK, .raw = scratch,
                       .half = scratch + raw_floats(w) };
    b.whole = b.half + (ptrdiff_t)w->rows.t * w->columns.r * w->lanes;
    b.channels = cvl_min(CHUNK, w->in_channels - b.channel);
    read_raw(&b);
    for (int phase = 0; phase < w->phases; phase++)
        for (int c = 0; c < b.channels; c++) {
            transform(&b, phase, c);
            store(&b, phase, c);
        }
    for (int i = 0; i < w->points && b.channel == 0; i++)
        memset(panel_of(&b, i) + (ptrdiff_t)w->point[i].count * w->lanes, 0, CVL_TILE_LANES * sizeof(float));
}

void cvl_wino_pack(const struct cvl_wino *w, const float *raw, float *packed, float *scratch)
{
    struct job job = { w, raw, packed, scratch, cvl_divide_up(w->in_channels, CHUNK) };
    cvl_parallel_for(w->ctx, w->panels * job.chunks, pack_task, &job);
}
