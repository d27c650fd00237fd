/* SPDX-License-Identifier: Apache-2.0
 * Depthwise convolution on the GPU: what the host hands to the kernels, and what one thread does. Nothing is shared
 * between threads but a sum over a warp, so the tests run every thread on the host.
 *
 * Two axes of the image: along `run` a thread slides over neighbouring outputs in registers, of `cross` it has one
 * position. NHWC: neighbouring threads have neighbouring vectors of channels, and runs are of columns. NCHW:
 * neighbouring threads have neighbouring columns, and runs are of rows. */
#ifndef CONV_CUDA_CUDA_DEPTHWISE_H
#define CONV_CUDA_CUDA_DEPTHWISE_H

#include "conv/cuda/cuda_finish.h"
#include "conv/cuda/cuda_gather.h"
#include "cvl/conv.h"

#include <assert.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CVL_DW_PARTS = 4, CVL_DW_TAPS_MOST = 7, CVL_DW_OUTS_MOST = 8, CVL_DW_VECTOR_MOST = 8, CVL_DW_WARP = 32 };

/* conv/axis.h in offsets: position t meets tap j at point first + t*step + j*tap of [0, extent), at elements apart. */
struct cvl_dw_line {
    int count, taps, first, step, tap, extent;
    int read;                    /* elements from point to point of the image that is read */
    int plain, plain_step;       /* of position 0, and from one to the next, in the tensor that has no taps */
    int w, w_step;               /* taps of the filter */
};

struct cvl_dw_part {
    struct cvl_dw_line run, cross;
    int                threads;
    struct cvl_divisor runs, crosses;   /* blocks of a run; positions across */
};

/* One launch. `read` is seen through taps, `plain` is not: FWD x and y, BWD_DATA dy and dx, BWD_FILTER x and dy. */
struct cvl_dw_launch {
    const void        *read, *plain;    /* plain: BWD_FILTER only, else it is what finish writes */
    int                read_n, read_channel, plain_n, plain_channel;
    const float       *w;               /* (r, s, k) */
    int                k;
    struct cvl_divisor vectors, channels;  /* of what is written; BWD_FILTER: of k */
    int                n;
    int                multiply, divide, inner;   /* channel read = channel / divide * multiply + [0, inner) */
    int                channels_last, vector, taps, outs, step;   /* the kernel: what its template is for */
    struct cvl_dw_part part[CVL_DW_PARTS];
    int                parts;
    struct cvl_finish  finish;
    /* BWD_FILTER: slices of the items (n, position across, block of a run), and their sums (slice, r, s, k). */
    int                slices, items, tap_blocks, filter_s;
    float             *partial;
    struct cvl_list    dw;              /* (r, s, k): where an element of the filter lies */
};

/* The kernels for the type that is read, and for BWD_FILTER the sum of the slices after them: 0 or a cudaError_t. */
int cvl_cuda_dw_f32(const struct cvl_dw_launch *launch, int filter, void *stream);
int cvl_cuda_dw_bf16(const struct cvl_dw_launch *launch, int filter, void *stream);
int cvl_cuda_dw_f16(const struct cvl_dw_launch *launch, int filter, void *stream);

/* to[i] = from[list(i)] in f32. */
struct cvl_dw_pack { struct cvl_list list; const void *from; cvl_dtype type; float *to; };
int cvl_cuda_dw_pack(const struct cvl_dw_pack *pack, void *stream);

#ifdef __cplusplus
}
#endif

#ifdef __CUDACC__
#define CVL_DW_UNROLL _Pragma("unroll")
#else
#define CVL_DW_UNROLL
#endif

/* ---- vectors ---- */

CVL_HD void cvl_dw_load(cvl_dtype type, const void *tensor, int at, int vector, float *v)
{
#ifdef __CUDA_ARCH__
    if (vector == 8) {
        const uint4 bits = *(const uint4 *)((const uint16_t *)tensor + at);
        const uint32_t words[4] = { bits.x, bits.y, bits.z, bits.w };
        CVL_DW_UNROLL
        for (int i = 0; i < 4; i++) {
            float2 pair;
            if (type == CVL_BF16)
                pair = make_float2(__uint_as_float(words[i] << 16), __uint_as_float(words[i] & 0xffff0000u));
            else
                pair = __half22float2(*(const __half2 *)&words[i]);
            v[2 * i] = pair.x;
            v[2 * i + 1] = pair.y;
        }
        return;
    }
    if (vector == 4) {
        const float4 four = *(const float4 *)((const float *)tensor + at);
        v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
        return;
    }
#endif
#ifndef __CUDACC__
    assert(at % vector == 0);
#endif
    CVL_DW_UNROLL
    for (int i = 0; i < vector; i++)
        v[i] = cvl_load_float(type, tensor, at + i);
}

/* The filter is f32: vectors of it are of four. */
CVL_HD void cvl_dw_load_w(const float *w, int at, int vector, float *v)
{
    CVL_DW_UNROLL
    for (int i = 0; i < vector; i += 4)
        cvl_dw_load(CVL_F32, w, at + i, vector < 4 ? vector : 4, v + i);
}

CVL_HD int cvl_dw_inside(int at, int extent) { return (uint32_t)at < (uint32_t)extent; }

/* ---- FWD and BWD_DATA: a block of a run ---- */

/* Which outputs: channel (the first of the vector), first position along the run, position across, image. */
struct cvl_dw_spot { int channel, along, across, n; };

CVL_HD struct cvl_dw_spot cvl_dw_spot_of(const struct cvl_dw_launch *g, const struct cvl_dw_part *p, int thread)
{
    struct cvl_dw_spot spot;
    const int fast = cvl_divide(g->channels_last ? g->vectors : p->crosses, thread);
    const int low = thread - fast * (int)(g->channels_last ? g->vectors : p->crosses).divisor;
    const int rest = cvl_divide(p->runs, fast);
    spot.along = (fast - rest * (int)p->runs.divisor) * g->outs;
    spot.n = cvl_divide(g->channels_last ? p->crosses : g->channels, rest);
    const int high = rest - spot.n * (int)(g->channels_last ? p->crosses : g->channels).divisor;
    spot.channel = g->channels_last ? low * g->vector : high;
    spot.across = g->channels_last ? high : low;
    return spot;
}

/* Adds taps [first, first + taps) of one row of taps to the sums of a run: each point is loaded once. */
CVL_HD void cvl_dw_slide(const struct cvl_dw_launch *g, const struct cvl_dw_line *run, cvl_dtype type, int at, int w_at,
                         int point, int first, int taps, int outs, int step, int vector,
                         float (*sums)[CVL_DW_VECTOR_MOST])
{
    float w[CVL_DW_TAPS_MOST][CVL_DW_VECTOR_MOST], x[CVL_DW_VECTOR_MOST];
    CVL_DW_UNROLL
    for (int j = 0; j < taps; j++)
        if (first + j < run->taps)
            cvl_dw_load_w(g->w, w_at + (run->w + (first + j) * run->w_step) * g->k, vector, w[j]);
    CVL_DW_UNROLL
    for (int i = 0; i < (outs - 1) * step + taps; i++) {
        const int here = point + (first + i) * run->tap;
        CVL_DW_UNROLL
        for (int e = 0; e < vector; e++)
            x[e] = 0;
        if (cvl_dw_inside(here, run->extent))
            cvl_dw_load(type, g->read, at + here * run->read, vector, x);
        CVL_DW_UNROLL
        for (int j = 0; j < taps; j++)
            if (i >= j && (i - j) % step == 0 && (i - j) / step < outs && first + j < run->taps)
                CVL_DW_UNROLL
                for (int e = 0; e < vector; e++)
                    sums[(i - j) / step][e] += x[e] * w[j][e];
    }
}

CVL_HD void cvl_dw_data_thread(const struct cvl_dw_launch *g, int part, int thread, cvl_dtype type, int taps, int outs,
                               int step, int vector)
{
    const struct cvl_dw_part *p = &g->part[part];
    const struct cvl_dw_line *run = &p->run, *cross = &p->cross;
    const struct cvl_dw_spot spot = cvl_dw_spot_of(g, p, thread);
    float sums[CVL_DW_OUTS_MOST][CVL_DW_VECTOR_MOST];
    CVL_DW_UNROLL
    for (int t = 0; t < outs; t++)
        CVL_DW_UNROLL
        for (int e = 0; e < vector; e++)
            sums[t][e] = 0;
    for (int m = 0; m < g->inner; m++) {
        const int from = spot.channel / g->divide * g->multiply + m, w_channel = g->divide > 1 ? spot.channel : from;
        for (int i = 0; i < cross->taps; i++) {
            const int y = cross->first + spot.across * cross->step + i * cross->tap;
            if (!cvl_dw_inside(y, cross->extent))
                continue;
            const int at = spot.n * g->read_n + from * g->read_channel + y * cross->read;
            const int w_at = (cross->w + i * cross->w_step) * g->k + w_channel;
            for (int first = 0; first < run->taps; first += taps)
                cvl_dw_slide(g, run, type, at, w_at, run->first + spot.along * run->step, first, taps, outs, step,
                             vector, sums);
        }
    }
    const int to = spot.n * g->plain_n + spot.channel * g->plain_channel + run->plain + spot.along * run->plain_step
                 + cross->plain + spot.across * cross->plain_step;
    CVL_DW_UNROLL
    for (int t = 0; t < outs; t++)
        if (spot.along + t < run->count) {
            if (vector == 1)
                cvl_finish_store(&g->finish, to + t * run->plain_step, spot.channel, sums[t][0]);
            else
                CVL_DW_UNROLL
                for (int e = 0; e < vector; e += 4)
                    cvl_finish_store_four(&g->finish, to + t * run->plain_step + e, spot.channel + e, &sums[t][e]);
        }
}

/* ---- BWD_FILTER: a block of taps over a slice of the images ---- */

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

/* Adds one block of a run to the sums of the taps [first, first + taps). */
CVL_HD void cvl_dw_item(const struct cvl_dw_launch *g, const struct cvl_dw_share *s, int item, cvl_dtype type, int taps,
                        int outs, int step, int vector, float (*sums)[CVL_DW_VECTOR_MOST])
{
    const struct cvl_dw_part *p = &g->part[0];
    const struct cvl_dw_line *run = &p->run, *cross = &p->cross;
    const int slow = cvl_divide(g->channels_last ? p->runs : p->crosses, item);
    const int low = item - slow * (int)(g->channels_last ? p->runs : p->crosses).divisor;
    const int n = cvl_divide(g->channels_last ? p->crosses : p->runs, slow);
    const int high = slow - n * (int)(g->channels_last ? p->crosses : p->runs).divisor;
    const int along = (g->channels_last ? low : high) * outs, across = g->channels_last ? high : low;
    const int y = cross->first + across * cross->step + s->tap * cross->tap;
    if (!cvl_dw_inside(y, cross->extent))
        return;
    const int plain = n * g->plain_n + s->channel * g->plain_channel + across * cross->plain_step
                    + along * run->plain_step;
    const int read = n * g->read_n + s->channel / g->divide * g->read_channel + y * cross->read;
    float dy[CVL_DW_OUTS_MOST][CVL_DW_VECTOR_MOST], x[CVL_DW_VECTOR_MOST];
    CVL_DW_UNROLL
    for (int t = 0; t < outs; t++)
        if (along + t < run->count)
            cvl_dw_load(type, g->plain, plain + t * run->plain_step, vector, dy[t]);
    CVL_DW_UNROLL
    for (int i = 0; i < (outs - 1) * step + taps; i++) {
        const int here = run->first + along * run->step + (s->first + i) * run->tap;
        if (!cvl_dw_inside(here, run->extent))
            continue;
        cvl_dw_load(type, g->read, read + here * run->read, vector, x);
        CVL_DW_UNROLL
        for (int j = 0; j < taps; j++)
            if (i >= j && (i - j) % step == 0 && (i - j) / step < outs && along + (i - j) / step < run->count)
                CVL_DW_UNROLL
                for (int e = 0; e < vector; e++)
                    sums[j][e] += x[e] * dy[(i - j) / step][e];
    }
}

CVL_HD void cvl_dw_filter_thread(const struct cvl_dw_launch *g, const struct cvl_dw_share *s, cvl_dtype type, int taps,
                                 int outs, int step, int vector, float (*sums)[CVL_DW_VECTOR_MOST])
{
    CVL_DW_UNROLL
    for (int j = 0; j < taps; j++)
        CVL_DW_UNROLL
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
    CVL_DW_UNROLL
    for (int j = 0; j < taps; j++)
        if (s->first + j < g->part[0].run.taps)
            CVL_DW_UNROLL
            for (int e = 0; e < vector; e++)
                g->partial[s->slice * all + (int64_t)cvl_dw_tap(g, s->tap, s->first + j) * g->k + s->channel + e]
                    = sums[j][e];
}

/* Element `index` of (r, s, k): the sum of its slices, in their order. */
CVL_HD void cvl_dw_filter_sum(const struct cvl_dw_launch *g, int index)
{
    float sum = 0;
    for (int slice = 0; slice < g->slices; slice++)
        sum += g->partial[(int64_t)slice * g->dw.count + index];
    cvl_finish_store(&g->finish, cvl_list_site(&g->dw, index).at, 0, sum);
}

#endif
