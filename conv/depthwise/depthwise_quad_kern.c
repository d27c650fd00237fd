/* SPDX-License-Identifier: Apache-2.0
 * BWD_DATA of 3 x 3 taps with a stride of two, channels along the lanes: a run of points of dy gives a row of twice as
 * many of dx, even columns of two taps and odd ones of one. So all four residue classes are summed in one pass, where
 * one at a time each has hardly more products than stores.
 *
 * Positions of this strip are coordinates of dx: point i of dy meets tap j at position 2*i + j + origin. A run begins
 * with column 0, wherever that is in the three taps of its first point: one that began with tap 0 had one point more,
 * which for 7 and 14 points of dy is one run more. */
#include "conv/depthwise/depthwise_run.h"

enum { TAPS = 3, POINTS = TILE / 2, COLUMNS = 2 * POINTS };

struct quad {
    uint64_t inside;             /* points of dy, with one left of the run, or right of it if it begins with tap 1 */
    int      columns;            /* of dx */
    vf_lanes lanes;
    vf       bias;
};

/* A row of dy, from its first point that is met on, by a row of taps at w. odd: the run begins with tap 1. */
CVL_INLINE void add_taps(const struct cvl_dw_strip *s, const struct quad *quad, const bool odd, const float *x,
                         const float *w, vf sums[COLUMNS])
{
    const vf first = vf_load(w), second = vf_load(w + s->columns.w), third = vf_load(w + 2 * s->columns.w);
    uint64_t inside = quad->inside;
    FORGET(inside);
    CVL_UNROLL(40)
    for (int j = 0; j <= POINTS; j++) {
        const int column = 2 * j - (odd ? 1 : 2);          /* where tap 0 of this point goes */
        if (LIKELY(inside >> j & 1)) {
            const vf value = vf_keep(vf_load_lanes(x, quad->lanes));
            if (column >= 0)
                sums[column] += value * first;
            if (column + 1 >= 0 && column + 1 < COLUMNS)
                sums[column + 1] += value * second;
            if (column + 2 < COLUMNS)
                sums[column + 2] += value * third;
        }
        x += s->columns.x;
        FORGET(x);
    }
}

CVL_INLINE void store_row(const struct cvl_dw_strip *s, const struct quad *quad, vf sums[COLUMNS], float *out)
{
    const ptrdiff_t apart = s->columns.out;
    float lo, hi;
    if (is_rare(&s->finish)) {
        float scratch[COLUMNS * VF_LANES];
        CVL_UNROLL(40)
        for (int t = 0; t < COLUMNS; t++)
            vf_store(scratch + t * VF_LANES, sums[t]);
        finish_apart(&s->finish, scratch, quad->columns, s->lanes, out, out - s->out, apart, 1);
        return;
    }
    if (clips(&s->finish, &lo, &hi)) {
        CVL_UNROLL(40)
        for (int t = 0; t < COLUMNS; t++)
            sums[t] = vf_clip(sums[t], vf_set(lo), vf_set(hi));
    }
    CVL_UNROLL(40)
    for (int t = 0; t < COLUMNS; t++) {
        if (LIKELY(t < quad->columns))
            vf_store_lanes(out, sums[t], quad->lanes);
        out += apart;
        FORGET(out);
    }
}

CVL_INLINE void start_row(const struct quad *quad, vf sums[COLUMNS])
{
    CVL_UNROLL(40)
    for (int t = 0; t < COLUMNS; t++)
        sums[t] = quad->bias;
}

/* Columns of dx from this one on. */
CVL_INLINE void sum_run(const struct cvl_dw_strip *s, const bool odd, int column)
{
    const int origin = s->rows.origin, extent = s->rows.extent;
    const int first = odd ? (column - 1 - s->columns.origin) / 2 : (column - s->columns.origin) / 2 - 1;
    const struct quad quad = {
        .inside = inside_of(first, s->columns.extent, 1, POINTS + 1),
        .columns = cvl_min(COLUMNS, s->columns.count - column), .lanes = vf_lanes_of(0, s->lanes),
        .bias = s->finish.bias ? vf_load_part(s->finish.bias, s->lanes) : vf_zero(),
    };
    for (int i = -origin / 2; 2 * i + origin < s->rows.count; i++) {
        const int row = 2 * i + origin;
        const float *x = s->x + i * s->rows.x + first * s->columns.x;
        float *out = s->out + row * s->rows.out + column * s->columns.out;
        vf sums[COLUMNS];
        if (row >= 0) {
            start_row(&quad, sums);
            if (LIKELY(i >= 0 && i < extent))
                add_taps(s, &quad, odd, x, s->w, sums);
            if (LIKELY(i > 0 && i <= extent))
                add_taps(s, &quad, odd, x - s->rows.x, s->w + 2 * s->rows.w, sums);
            store_row(s, &quad, sums, out);
        }
        if (row + 1 < s->rows.count) {
            start_row(&quad, sums);
            if (LIKELY(i >= 0 && i < extent))
                add_taps(s, &quad, odd, x, s->w + s->rows.w, sums);
            store_row(s, &quad, sums, out + s->rows.out);
        }
    }
}

static void quad(const struct cvl_dw_strip *s)
{
    for (int column = 0; column < s->columns.count; column += COLUMNS)
        if (s->columns.origin % 2)
            sum_run(s, true, column);
        else
            sum_run(s, false, column);
}

extern const struct cvl_dw_strip_kern CVL_KERN(cvl_dw_quad_kern);
const struct cvl_dw_strip_kern CVL_KERN(cvl_dw_quad_kern) = { .lanes = VF_LANES, .tile = COLUMNS, .strip = quad };
