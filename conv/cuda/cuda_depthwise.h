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

enum {
    CVL_DW_PARTS = 4, CVL_DW_TAPS_MOST = 7, CVL_DW_OUTS_MOST = 8, CVL_DW_VECTOR_MOST = 8, CVL_DW_WARP = 32,
    CVL_DW_POINTS_MOST = CVL_DW_OUTS_MOST - 1 + CVL_DW_TAPS_MOST,   /* of the image, that a run reads */
    CVL_DW_ROWS_MOST = 3,                                           /* of taps, that are on their way at once */
};

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
    struct cvl_divisor lows, highs;     /* NHWC, but for BWD_FILTER: positions across as high * lows + low */
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

CVL_HD int cvl_dw_inside(int at, int extent) { return (uint32_t)at < (uint32_t)extent; }

/* The lowest digit of a number, which loses it. */
CVL_HD int cvl_dw_digit(int *number, struct cvl_divisor base)
{
    const int rest = cvl_divide(base, *number), digit = *number - rest * (int)base.divisor;
    *number = rest;
    return digit;
}

/* ---- FWD and BWD_DATA: a block of a run ---- */

/* Which outputs: channel (the first of the vector), first position along the run, position across, image. */
struct cvl_dw_spot { int channel, along, across, n; };

/* NHWC: the rows of a block of threads are neighbours, so that they meet one another's points in the first-level
 * cache. */
CVL_HD struct cvl_dw_spot cvl_dw_spot_of(const struct cvl_dw_launch *g, const struct cvl_dw_part *p, int thread)
{
    struct cvl_dw_spot spot;
    int rest = thread;
    if (g->channels_last) {
        spot.channel = cvl_dw_digit(&rest, g->vectors) * g->vector;
        spot.across = cvl_dw_digit(&rest, p->lows);
        spot.along = cvl_dw_digit(&rest, p->runs) * g->outs;
        spot.across += cvl_dw_digit(&rest, p->highs) * (int)p->lows.divisor;
    } else {
        spot.across = cvl_dw_digit(&rest, p->crosses);
        spot.along = cvl_dw_digit(&rest, p->runs) * g->outs;
        spot.channel = cvl_dw_digit(&rest, g->channels);
    }
    spot.n = rest;
    return spot;
}

/* point: that of the run's first output and the first of `taps`; rows outside of the image are zeros. */
struct cvl_dw_row { int at, w_at, point, inside; };

/* The points that a block of taps of one row meets in a run: all are on their way before the first product. */
CVL_HD void cvl_dw_fetch(const struct cvl_dw_launch *g, const struct cvl_dw_line *run, cvl_dtype type,
                         const struct cvl_dw_row *row, int points, int vector, struct cvl_bits *x)
{
    const struct cvl_bits zeros = { { 0, 0, 0, 0 } };
    const int last = row->point + (points - 1) * run->tap;
    if (row->inside && row->point >= 0 && last < run->extent)   /* most are, and need no more questions */
        CVL_UNROLL_ALL
        for (int i = 0; i < points; i++)
            x[i] = cvl_vector_fetch(g->read, row->at + (row->point + i * run->tap) * run->read, cvl_vector_size(type),
                                    vector);
    else
        CVL_UNROLL_ALL
        for (int i = 0; i < points; i++) {
            const int here = row->point + i * run->tap;
            x[i] = zeros;
            if (row->inside && cvl_dw_inside(here, run->extent))
                x[i] = cvl_vector_fetch(g->read, row->at + here * run->read, cvl_vector_size(type), vector);
        }
}

CVL_HD void cvl_dw_multiply(const struct cvl_dw_launch *g, const struct cvl_dw_line *run, cvl_dtype type, int w_at,
                            const struct cvl_bits *x, int taps, int outs, int step, int vector,
                            float (*sums)[CVL_DW_VECTOR_MOST])
{
    float w[CVL_DW_TAPS_MOST][CVL_DW_VECTOR_MOST];
    CVL_UNROLL_ALL
    for (int j = 0; j < taps; j++)
        cvl_vector_load(CVL_F32, g->w, w_at + j * run->w_step * g->k, vector, w[j]);
    CVL_UNROLL_ALL
    for (int i = 0; i < (outs - 1) * step + taps; i++)
        CVL_UNROLL_ALL
        for (int e = 0; e < vector; e++) {
            const float point = cvl_vector_element(type, &x[i], e);
            CVL_UNROLL_ALL
            for (int j = 0; j < taps; j++)
                if (i >= j && (i - j) % step == 0 && (i - j) / step < outs)
                    sums[(i - j) / step][e] += point * w[j][e];
        }
}

/* Taps [first, first + taps) of up to `rows` rows of taps, from row i on, of channel `from`. */
CVL_HD void cvl_dw_block(const struct cvl_dw_launch *g, const struct cvl_dw_part *p, const struct cvl_dw_spot *spot,
                         int from, int i, int first, cvl_dtype type, int taps, int rows, int outs, int step, int vector,
                         float (*sums)[CVL_DW_VECTOR_MOST])
{
    const struct cvl_dw_line *run = &p->run, *cross = &p->cross;
    const int w_channel = g->divide > 1 ? spot->channel : from, points = (outs - 1) * step + taps;
    struct cvl_bits x[CVL_DW_ROWS_MOST][CVL_DW_POINTS_MOST];
    struct cvl_dw_row row[CVL_DW_ROWS_MOST];
    CVL_UNROLL_ALL
    for (int r = 0; r < rows; r++) {
        const int tap = i + r < cross->taps ? i + r : cross->taps - 1;
        const int y = cross->first + spot->across * cross->step + tap * cross->tap;
        row[r].at = spot->n * g->read_n + from * g->read_channel + y * cross->read;
        row[r].w_at = (cross->w + tap * cross->w_step + run->w + first * run->w_step) * g->k + w_channel;
        row[r].point = run->first + spot->along * run->step + first * run->tap;
        row[r].inside = i + r < cross->taps && cvl_dw_inside(y, cross->extent);
        cvl_dw_fetch(g, run, type, &row[r], points, vector, x[r]);
    }
    CVL_UNROLL_ALL
    for (int r = 0; r < rows; r++)
        cvl_dw_multiply(g, run, type, row[r].w_at, x[r], taps, outs, step, vector, sums);
}

/* As many rows of taps as have registers for their points: 18 vectors. */
CVL_HD int cvl_dw_rows_at_once(int taps, int outs, int step)
{
    const int rows = 18 / ((outs - 1) * step + taps);
    return rows > CVL_DW_ROWS_MOST ? CVL_DW_ROWS_MOST : rows > 1 ? rows : 1;
}

CVL_HD void cvl_dw_store(const struct cvl_dw_launch *g, const struct cvl_dw_part *p, const struct cvl_dw_spot *spot,
                         int outs, int vector, float (*sums)[CVL_DW_VECTOR_MOST])
{
    const struct cvl_dw_line *run = &p->run, *cross = &p->cross;
    const int to = spot->n * g->plain_n + spot->channel * g->plain_channel + run->plain
                 + spot->along * run->plain_step + cross->plain + spot->across * cross->plain_step;
    float bias[CVL_DW_VECTOR_MOST];
    cvl_finish_bias(&g->finish, spot->channel, vector, bias);
    CVL_UNROLL_ALL
    for (int t = 0; t < outs; t++)
        if (spot->along + t < run->count)
            cvl_finish_store(&g->finish, to + t * run->plain_step, vector, sums[t], bias);
}

CVL_HD void cvl_dw_data_thread(const struct cvl_dw_launch *g, int part, int thread, cvl_dtype type, int taps, int outs,
                               int step, int vector)
{
    const struct cvl_dw_part *p = &g->part[part];
    const struct cvl_dw_spot spot = cvl_dw_spot_of(g, p, thread);
    const int rows = cvl_dw_rows_at_once(taps, outs, step);
    float sums[CVL_DW_OUTS_MOST][CVL_DW_VECTOR_MOST];
    if (spot.across >= p->cross.count)
        return;
    CVL_UNROLL_ALL
    for (int t = 0; t < outs; t++)
        CVL_UNROLL_ALL
        for (int e = 0; e < vector; e++)
            sums[t][e] = 0;
    CVL_UNROLL_1
    for (int m = 0; m < g->inner; m++) {
        const int from = (g->divide > 1 ? spot.channel / g->divide : spot.channel * g->multiply) + m;
        CVL_UNROLL_1
        for (int i = 0; i < p->cross.taps; i += rows) {
            int first = 0;
            if (rows == 1 && !cvl_dw_inside(p->cross.first + spot.across * p->cross.step + i * p->cross.tap,
                                            p->cross.extent))
                continue;
            CVL_UNROLL_1
            for (; first + taps <= p->run.taps; first += taps)
                cvl_dw_block(g, p, &spot, from, i, first, type, taps, rows, outs, step, vector, sums);
            CVL_UNROLL_1
            for (; first < p->run.taps; first++)
                cvl_dw_block(g, p, &spot, from, i, first, type, 1, rows, outs, step, vector, sums);
        }
    }
    cvl_dw_store(g, p, &spot, outs, vector, sums);
}

#endif
