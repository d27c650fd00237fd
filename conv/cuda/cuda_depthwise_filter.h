/* SPDX-License-Identifier: Apache-2.0
 * The gradient of a depthwise filter on the GPU: what one thread sums, and the sum of the slices. */
#ifndef CONV_CUDA_CUDA_DEPTHWISE_FILTER_H
#define CONV_CUDA_CUDA_DEPTHWISE_FILTER_H

#include "conv/cuda/cuda_depthwise.h"

/* ---- a block of taps over a slice of the images ---- */

/* NHWC: a thread for each (vector of k, tap across, block of taps, slice). NCHW: a warp for each (k, ...), whose lanes
 * take every 32nd item and add up in the end. */
struct cvl_dw_share { int channel, tap, first, slice, from, to, by; };

CVL_HD struct cvl_dw_share cvl_dw_share_of(const struct cvl_dw_launch *g, int thread, int taps)
{
    const int across = g->part[0].cross.taps, lane = g->channels_last ? 0 : thread % CVL_DW_WARP;
    const int unit = g->channels_last ? thread : thread / CVL_DW_WARP, rest = cvl_divide(g->vectors, unit);
    struct cvl_dw_share s;
    s.channel = (unit - rest * (int)g->vectors.divisor) * g->vector;
    s.tap = rest % across;
    s.first = rest / across % g->tap_blocks * taps;
    s.slice = rest / across / g->tap_blocks;
    s.from = cvl_split_first(g->items, g->slices, s.slice) + lane;
    s.to = cvl_split_first(g->items, g->slices, s.slice + 1);
    s.by = g->channels_last ? 1 : CVL_DW_WARP;
    return s;
}

/* Adds one block of a run to the sums of the taps [first, first + taps); whole: all of its outputs are there. */
CVL_HD void cvl_dw_block_filter(const struct cvl_dw_launch *g, const struct cvl_dw_line *run, int plain, int read,
                                int point, int there, cvl_dtype type, int taps, int outs, int step, int vector,
                                int whole, float (*sums)[CVL_DW_VECTOR_MOST])
{
    const struct cvl_bits zeros = { { 0, 0, 0, 0 } };
    struct cvl_bits dy[CVL_DW_OUTS_MOST], x[CVL_DW_POINTS_MOST];
    CVL_UNROLL_ALL
    for (int t = 0; t < outs; t++) {
        dy[t] = zeros;
        if (whole || t < there)
            dy[t] = cvl_vector_fetch(g->plain, plain + t * run->plain_step, cvl_vector_size(type), vector);
    }
    CVL_UNROLL_ALL
    for (int i = 0; i < (outs - 1) * step + taps; i++) {
        x[i] = zeros;
        if (cvl_dw_inside(point + i * run->tap, run->extent))
            x[i] = cvl_vector_fetch(g->read, read + (point + i * run->tap) * run->read, cvl_vector_size(type), vector);
    }
    CVL_UNROLL_ALL
    for (int t = 0; t < outs; t++)
        if (whole || t < there)
            CVL_UNROLL_ALL
            for (int j = 0; j < taps; j++)
                CVL_UNROLL_ALL
                for (int e = 0; e < vector; e++)
                    sums[j][e] += cvl_vector_element(type, &x[t * step + j], e) * cvl_vector_element(type, &dy[t], e);
}

CVL_HD void cvl_dw_item(const struct cvl_dw_launch *g, const struct cvl_dw_share *s, int item, cvl_dtype type, int taps,
                        int outs, int step, int vector, float (*sums)[CVL_DW_VECTOR_MOST])
{
    const struct cvl_dw_part *p = &g->part[0];
    const struct cvl_dw_line *run = &p->run, *cross = &p->cross;
    int n = item;
    const int low = cvl_dw_digit(&n, g->channels_last ? p->runs : p->crosses);
    const int high = cvl_dw_digit(&n, g->channels_last ? p->crosses : p->runs);
    const int along = (g->channels_last ? low : high) * outs, across = g->channels_last ? high : low;
    const int y = cross->first + across * cross->step + s->tap * cross->tap;
    if (!cvl_dw_inside(y, cross->extent))
        return;
    const int plain = n * g->plain_n + s->channel * g->plain_channel + across * cross->plain_step
                    + along * run->plain_step;
    const int read = n * g->read_n + s->channel / g->divide * g->read_channel + y * cross->read;
    const int point = run->first + along * run->step + s->first * run->tap, there = run->count - along;
    if (there >= outs)
        cvl_dw_block_filter(g, run, plain, read, point, there, type, taps, outs, step, vector, 1, sums);
    else
        cvl_dw_block_filter(g, run, plain, read, point, there, type, taps, outs, step, vector, 0, sums);
}

CVL_HD void cvl_dw_filter_thread(const struct cvl_dw_launch *g, const struct cvl_dw_share *s, cvl_dtype type, int taps,
                                 int outs, int step, int vector, float (*sums)[CVL_DW_VECTOR_MOST])
{
    CVL_UNROLL_ALL
    for (int j = 0; j < taps; j++)
        CVL_UNROLL_ALL
        for (int e = 0; e < vector; e++)
            sums[j][e] = 0;
    for (int item = s->from; item < s->to; item += s->by)
        cvl_dw_item(g, s, item, type, taps, outs, step, vector, sums);
}

/* Taps across and along as (r, s) of the filter. */
CVL_HD int cvl_dw_tap(const struct cvl_dw_launch *g, int across, int along)
{
    return g->channels_last ? across * g->filter_s + along : along * g->filter_s + across;
}

CVL_HD void cvl_dw_filter_store(const struct cvl_dw_launch *g, const struct cvl_dw_share *s, int taps, int vector,
                                float (*sums)[CVL_DW_VECTOR_MOST])
{
    const int64_t all = g->dw.count;
    CVL_UNROLL_ALL
    for (int j = 0; j < taps; j++)
        if (s->first + j < g->part[0].run.taps)
            CVL_UNROLL_ALL
            for (int e = 0; e < vector; e++)
                g->partial[s->slice * all + (int64_t)cvl_dw_tap(g, s->tap, s->first + j) * g->k + s->channel + e]
                    = sums[j][e];
}

/* Element `index` of (r, s, k): the sum of its slices, in their order. */
CVL_HD void cvl_dw_filter_sum(const struct cvl_dw_launch *g, int index)
{
    float sum = 0, bias;
    for (int slice = 0; slice < g->slices; slice++)
        sum += g->partial[(int64_t)slice * g->dw.count + index];
    cvl_finish_bias(&g->finish, 0, 1, &bias);
    cvl_finish_store(&g->finish, cvl_list_site(&g->dw, index).at, 1, &sum, &bias);
}

#endif
