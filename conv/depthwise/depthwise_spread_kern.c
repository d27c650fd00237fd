/* SPDX-License-Identifier: Apache-2.0
 * BWD_DATA of 3 x 3 taps with a stride of two, columns along the lanes. A row of dy is loaded once and spread over the
 * three rows of dx that it is part of; even and odd columns, of two taps and of one, are summed in vectors of their own
 * and zipped together when they are written. So dx is written in order, whole vectors of it.
 *
 * Positions of this band are coordinates of dx: point i of dy meets tap j at position 2*i + j + origin. */
#include "conv/depthwise/depthwise_run.h"

enum { VECTORS = 4, TAPS = 3 };                /* of dy, side by side */

/* What an instance of the template is made for. rare: of a residual, or of an activation that needs registers. */
struct shape { int vectors; bool rare; };

/* Two neighbouring columns of dx for each lane. */
struct pairs { vf even[VECTORS], odd[VECTORS]; };

struct spread {
    vf_lanes     first[2], last[2];            /* columns of dy at a lane and left of it, of the outermost vectors */
    vf_lanes     first_out[2], last_out[2];    /* of dx, of the lower and upper half */
    int          from, to;                     /* columns of dx that are written, from that of lane 0 on */
    bool         clipped;
    float        low, high;
    vf           weights[TAPS * TAPS], bias;
};

CVL_INLINE vf_lanes lanes_within(int at, int from, int to)
{
    const int first = cvl_min(cvl_max(0, from - at), VF_LANES);
    return vf_lanes_of(first, cvl_max(first, cvl_min(VF_LANES, to - at)));
}

/* sums += the row of dy at x, by row tap r. */
CVL_INLINE void add_row(const struct shape shape, const struct spread *s, const vf here[VECTORS],
                        const vf left[VECTORS], int r, struct pairs *sums)
{
    CVL_UNROLL(40)
    for (int v = 0; v < shape.vectors; v++) {
        sums->even[v] += here[v] * s->weights[r * TAPS] + left[v] * s->weights[r * TAPS + 2];
        sums->odd[v] += here[v] * s->weights[r * TAPS + 1];
    }
}

CVL_INLINE struct pairs start_row(const struct shape shape, const struct spread *s)
{
    struct pairs sums;
    CVL_UNROLL(40)
    for (int v = 0; v < shape.vectors; v++)
        sums.even[v] = sums.odd[v] = s->bias;
    return sums;
}

/* Columns [from, to) of a row that begins at `to_row`. */
CVL_INLINE void store_rare(const struct cvl_dw_band *b, const struct spread *s, vf low, vf high, ptrdiff_t to_row)
{
    float scratch[3 * VF_LANES];
    vf_store(scratch, low);
    vf_store(scratch + VF_LANES, high);
    vf_store(scratch + 2 * VF_LANES, vf_zero());
    for (int i = s->from; i < s->to; i += VF_LANES)
        finish_apart(&b->finish, scratch + i, 1, cvl_min(VF_LANES, s->to - i), b->out + to_row + i, to_row + i, 0, 1);
}

CVL_INLINE void store_half(const struct cvl_dw_band *b, const struct shape shape, const struct spread *s, vf sums,
                           int v, int half, ptrdiff_t to)
{
    float *out = b->out + to + (2 * v + half) * VF_LANES;
    if (s->clipped)
        sums = vf_clip(sums, vf_set(s->low), vf_set(s->high));
    if (v == shape.vectors - 1)
        vf_store_lanes(out, sums, s->last_out[half]);
    else if (v == 0)
        vf_store_lanes(out, sums, s->first_out[half]);
    else
        vf_store(out, sums);
}

CVL_INLINE void store_row(const struct cvl_dw_band *b, const struct shape shape, const struct spread *s,
                          const struct pairs *sums, ptrdiff_t to)
{
    CVL_UNROLL(40)
    for (int v = 0; v < shape.vectors; v++) {
        const vf low = vf_zip_low(sums->even[v], sums->odd[v]), high = vf_zip_high(sums->even[v], sums->odd[v]);
        if (shape.rare) {
            store_rare(b, s, low, high, to);
        } else {
            store_half(b, shape, s, low, v, 0, to);
            store_half(b, shape, s, high, v, 1, to);
        }
    }
}

/* Row i of dy ends row 2i of dx, is all of row 2i + 1 and begins row 2i + 2, each from `origin` on. */
CVL_INLINE void sum_plane(const struct cvl_dw_band *b, const struct shape shape, const struct spread *s,
                          const float *x, ptrdiff_t to)
{
    const int origin = b->rows.origin, count = b->rows.count;
    struct pairs sums = start_row(shape, s);
    for (int i = -origin / 2 - 1; 2 * i + origin < count; i++) {
        const int row = 2 * i + origin;
        const ptrdiff_t at = to + row * b->rows.out;
        vf here[VECTORS] = { vf_zero() }, left[VECTORS] = { vf_zero() };
        const bool inside = i >= 0 && i < b->rows.extent;
        if (LIKELY(inside)) {
            const float *from = x + i * b->rows.x;
            CVL_UNROLL(40)
            for (int v = 0; v < shape.vectors; v++, from += VF_LANES) {
                const bool last = v == shape.vectors - 1;
                here[v] = last ? vf_load_lanes(from, s->last[0]) : v ? vf_load(from) : vf_load_lanes(from, s->first[0]);
                left[v] = last ? vf_load_lanes(from - 1, s->last[1])
                        : v ? vf_load(from - 1) : vf_load_lanes(from - 1, s->first[1]);
            }
            add_row(shape, s, here, left, 0, &sums);
        }
        if (row >= 0)
            store_row(b, shape, s, &sums, at);
        sums = start_row(shape, s);
        if (LIKELY(inside))
            add_row(shape, s, here, left, 1, &sums);
        if (row + 1 >= 0 && row + 1 < count)
            store_row(b, shape, s, &sums, at + b->rows.out);
        sums = start_row(shape, s);
        if (LIKELY(inside))
            add_row(shape, s, here, left, 2, &sums);
    }
}

/* Columns of dy from `point` on, and of dx from there. */
struct part { int point, plane, planes; };

CVL_INLINE struct spread start(const struct cvl_dw_band *b, const struct shape shape, int point)
{
    const int column = 2 * point + b->columns.origin, extent = b->columns.extent, count = b->columns.count;
    const int last = (shape.vectors - 1) * VF_LANES;
    struct spread s = { .from = cvl_max(0, -column), .to = cvl_min(2 * VF_LANES, count - column) };
    for (int i = 0; i < 2; i++) {
        s.first[i] = lanes_within(point - i, 0, extent);
        s.last[i] = lanes_within(point - i + last, 0, extent);
        s.first_out[i] = lanes_within(column + i * VF_LANES, 0, count);
        s.last_out[i] = lanes_within(column + 2 * last + i * VF_LANES, 0, count);
    }
    s.clipped = clips(&b->finish, &s.low, &s.high);
    return s;
}

CVL_INLINE void sum_part(const struct cvl_dw_band *b, const struct shape shape, const struct part *part)
{
    struct spread s = start(b, shape, part->point);
    for (int plane = part->plane; plane < part->plane + part->planes; plane++) {
        const float *w = plane_weights(b, plane);
        CVL_UNROLL(40)
        for (int i = 0; i < TAPS * TAPS; i++)
            s.weights[i] = vf_set(w[i / TAPS * b->rows.w + i % TAPS * b->columns.w]);
        s.bias = b->finish.bias ? vf_set(b->finish.bias[plane]) : vf_zero();
        sum_plane(b, shape, &s, b->x + plane * b->x_plane + part->point,
                  plane * b->out_plane + 2 * part->point + b->columns.origin);
    }
}

static void spread_1(const struct cvl_dw_band *b, const struct part *p) { sum_part(b, (struct shape){ 1, false }, p); }
static void spread_2(const struct cvl_dw_band *b, const struct part *p) { sum_part(b, (struct shape){ 2, false }, p); }
static void spread_3(const struct cvl_dw_band *b, const struct part *p) { sum_part(b, (struct shape){ 3, false }, p); }
static void spread_4(const struct cvl_dw_band *b, const struct part *p) { sum_part(b, (struct shape){ 4, false }, p); }
static void rare(const struct cvl_dw_band *b, const struct part *p) { sum_part(b, (struct shape){ 1, true }, p); }

static void spread(const struct cvl_dw_band *b)
{
    typedef void part_fn(const struct cvl_dw_band *, const struct part *);
    static part_fn *const parts[] = { rare, spread_1, spread_2, spread_3, spread_4 };
    const int origin = b->columns.origin, first = -origin / 2, last = (b->columns.count - 1 - origin) / 2 + 1;
    const int most = is_rare(&b->finish) ? 1 : VECTORS;
    struct part part = { .planes = last - first > most * VF_LANES ? 1 : b->planes };
    for (part.plane = 0; part.plane < b->planes; part.plane += part.planes)
        for (part.point = first; part.point < last; part.point += most * VF_LANES) {
            const int vectors = cvl_min(most, cvl_divide_up(last - part.point, VF_LANES));
            parts[most == 1 ? 0 : vectors](b, &part);
        }
}

extern const struct cvl_dw_band_kern CVL_KERN(cvl_dw_spread_kern);
const struct cvl_dw_band_kern CVL_KERN(cvl_dw_spread_kern) = { .band = spread };
