/* SPDX-License-Identifier: Apache-2.0
 * BWD_DATA of groups with 3 x 3 taps and a stride of two: all four residue classes in one pass. One at a time they have
 * one, two, two and four products for each sum, hardly more than loads.
 *
 * Positions are coordinates of dx: point i of dy meets tap j at position 2*i + j + origin. A cell is the four positions
 * that a point is the first to meet by its taps (1,1), (1,2), (2,1) and (2,2); to the others the next points add. */
#include "conv/depthwise/grouped_bring.h"
#include "conv/depthwise/grouped_finish.h"
#include "conv/depthwise/grouped_walk.h"

/* What the levels above avx512 add is not used here: they call its code. */
#ifdef __AVX512VNNI__
#define RUN_NAME cvl_group_quad_avx512
#else
#define RUN_NAME CVL_KERN(cvl_group_quad)
#endif
void RUN_NAME(struct cvl_group_sum *);

enum { CELLS = ROWS == 2 ? 5 : 2, WIDTH = 2 * CELLS };   /* of 32 registers nine hold weights */

#ifndef __AVX512VNNI__

/* A run of cells of one row. */
struct cells {
    const float *x;              /* their first point */
    unsigned     inside;         /* points, with the one after the last */
    bool         here, next;     /* is this row of dy inside, and the next one wanted and inside */
    int          from, to;       /* columns of dx, of 2 * cells */
    ptrdiff_t    at;             /* of the first of them in `out` */
};

/* A row of dy, whose taps of row j of the filter go to a row of dx. */
CVL_INLINE void add_row(const struct cvl_group_walk *walk, const enum cvl_group_mode mode, const int cells,
                        const struct cells *run, const float *x, vi index, const bool both, const vf weights[9],
                        vf sums[2][WIDTH])
{
    const struct shape shape = { .mode = mode };
    const struct place place = { .index = index };
    unsigned inside = run->inside;
    FORGET(inside);
    CVL_UNROLL(16)
    for (int m = 0; m <= cells; m++, x += walk->columns.x) {
        FORGET(x);
        if (!INSIDE(inside, m))
            continue;
        const vf value = load_x(x, &place, shape);
        if (m < cells && both) {
            sums[0][2 * m] += value * weights[4];
            sums[0][2 * m + 1] += value * weights[5];
            sums[1][2 * m] += value * weights[7];
            sums[1][2 * m + 1] += value * weights[8];
        } else if (m < cells) {
            sums[1][2 * m] += value * weights[1];
            sums[1][2 * m + 1] += value * weights[2];
        }
        if (m > 0 && both) {
            sums[0][2 * m - 1] += value * weights[3];
            sums[1][2 * m - 1] += value * weights[6];
        } else if (m > 0) {
            sums[1][2 * m - 1] += value * weights[0];
        }
    }
}

/* Strides are read from memory where they are used, as in grouped_squares.h. */
CVL_INLINE void add_cells(const struct cvl_group_sum *s, const enum cvl_group_mode mode, const int cells,
                          const struct cells *run, vf sums[2][WIDTH])
{
    const struct cvl_group_walk *walk = &s->walk;
    const float *x = run->x, *w = s->w;
    vi index = mode == CVL_GROUP_SHARED ? (vi)vf_load((const float *)walk->lookup) : (vi){ 0 };
    for (int left = walk->channels; left > 0; left--) {
        const float *tap = w;
        vf weights[9];
        cvl_keep_in_memory(s);
        if (s->ahead->left > 0)
            bring(s->ahead, s->ahead->each);
        CVL_UNROLL(16)
        for (int i = 0; i < 9; i++) {
            weights[i] = vf_load(tap);
            tap += i % 3 == 2 ? walk->rows.w - 2 * walk->columns.w : walk->columns.w;
            FORGET(tap);
        }
        w += walk->w_channel;
        if (run->here)
            add_row(walk, mode, cells, run, x, index, true, weights, sums);
        if (run->next)
            add_row(walk, mode, cells, run, x + walk->rows.x, index, false, weights, sums);
        if (mode == CVL_GROUP_SHARED)
            index += 1;
        else
            x += walk->x_channel;
    }
}

CVL_INLINE void finish_row(const struct cvl_group_sum *s, const int cells, const struct cells *run, ptrdiff_t at,
                           vf sums[WIDTH])
{
    const ptrdiff_t apart = s->walk.columns.out;
    const int lanes = s->walk.lanes;
    const vf bias = s->finish.bias ? vf_load_part(s->finish.bias, lanes) : vf_zero();
    float lo, hi;
    CVL_UNROLL(16)
    for (int t = 0; t < 2 * cells; t++)
        sums[t] += bias;
    if (!clips(&s->finish, &lo, &hi) || s->residual) {
        float scratch[WIDTH * VF_LANES];
        CVL_UNROLL(16)
        for (int t = 0; t < 2 * cells; t++)
            vf_store(scratch + t * VF_LANES, sums[t]);
        finish_apart(s, scratch + run->from * VF_LANES, run->to - run->from, at + run->from * apart);
        return;
    }
    if (s->finish.act != CVL_ACT_NONE) {
        CVL_UNROLL(16)
        for (int t = 0; t < 2 * cells; t++)
            sums[t] = vf_clip(sums[t], vf_set(lo), vf_set(hi));
    }
    CVL_UNROLL(16)
    for (int t = 0; t < 2 * cells; t++)
        if (t < run->from || t >= run->to)
            continue;
        else if (lanes == VF_LANES)
            vf_store(s->out + at + t * apart, sums[t]);
        else
            vf_store_part(s->out + at + t * apart, sums[t], lanes);
}

CVL_INLINE void sum_cells(const struct cvl_group_sum *s, const enum cvl_group_mode mode, const int cells, int i,
                          int first)
{
    const struct cvl_group_axis *rows = &s->walk.rows, *columns = &s->walk.columns;
    const int row = 2 * i + 1 + rows->origin, column = 2 * first + 1 + columns->origin;
    const bool upper = row >= 0, lower = row + 1 < rows->count;
    const struct cells run = {
        .x = s->walk.x + i * rows->x + first * columns->x,
        .inside = inside_of(first, columns->extent, 1, cells + 1),
        .here = i >= 0 && i < rows->extent, .next = lower && i + 1 >= 0 && i + 1 < rows->extent,
        .from = cvl_max(0, -column), .to = cvl_min(2 * cells, columns->count - column),
    };
    const ptrdiff_t at = row * rows->out + column * columns->out;
    vf sums[2][WIDTH];
    CVL_UNROLL(16)
    for (int t = 0; t < WIDTH; t++)
        sums[0][t] = sums[1][t] = vf_zero();
    add_cells(s, mode, cells, &run, sums);
    if (upper)
        finish_row(s, cells, &run, at, sums[0]);
    if (lower)
        finish_row(s, cells, &run, at + rows->out, sums[1]);
}

CVL_INLINE void sum_all(const struct cvl_group_sum *s, const enum cvl_group_mode mode)
{
    const struct cvl_group_axis *rows = &s->walk.rows, *columns = &s->walk.columns;
    for (int i = cvl_divide_up(-rows->origin, 2) - 1; 2 * i + 1 + rows->origin < rows->count; i++) {
        bring_row(s, cvl_min(i + 1, rows->extent - 1));
        const int end = (columns->count - columns->origin) / 2;
        for (int m = cvl_divide_up(-columns->origin, 2) - 1, cells; m < end; m += cells) {
            cells = cvl_divide_up(end - m, cvl_divide_up(end - m, CELLS));     /* equal parts: 7 is 4 and 3 */
            switch (cells) {
            case 5: sum_cells(s, mode, cvl_min(CELLS, 5), i, m); break;
            case 4: sum_cells(s, mode, cvl_min(CELLS, 4), i, m); break;
            case 3: sum_cells(s, mode, cvl_min(CELLS, 3), i, m); break;
            case 2: sum_cells(s, mode, 2, i, m); break;
            default: sum_cells(s, mode, 1, i, m);
            }
        }
    }
}

static void shared(const struct cvl_group_sum *s) { sum_all(s, CVL_GROUP_SHARED); }
static void one(const struct cvl_group_sum *s) { sum_all(s, CVL_GROUP_ONE); }

void RUN_NAME(struct cvl_group_sum *s)
{
    (s->walk.mode == CVL_GROUP_SHARED ? shared : one)(s);
}
#endif

extern const struct cvl_group_kern CVL_KERN(cvl_group_quad_kern);
const struct cvl_group_kern CVL_KERN(cvl_group_quad_kern) = {
    .lanes = VF_LANES, .rows = 1, .columns = CELLS, .sum = RUN_NAME,
};
