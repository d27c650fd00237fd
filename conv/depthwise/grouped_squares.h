/* SPDX-License-Identifier: Apache-2.0
 * 3 x 3 taps under whole tiles, where nearly all of the time goes. Only grouped_kern.c includes it. */
#ifndef CONV_DEPTHWISE_GROUPED_SQUARES_H
#define CONV_DEPTHWISE_GROUPED_SQUARES_H

#include "conv/depthwise/grouped_bring.h"
#include "conv/depthwise/grouped_store.h"
#include "conv/depthwise/grouped_walk.h"

/* Bits beside those of rows. Code of its own for each of the four cases was no faster; nor were inputs four at a time,
 * so that sums meet their next product later. Fetching outputs, the next unit's inputs or its weights into a cache
 * ahead took 0 to 2 % longer. */
enum { LEFT = 1 << 8, RIGHT = 1 << 9 };

/* Tiles from column t on of which at most the first and the last column of inputs are on padding. */
CVL_INLINE int squares_of(const struct cvl_group_walk *walk, const struct shape shape, int t)
{
    const struct cvl_group_axis *columns = &walk->columns;
    const int first = columns->origin + t * shape.stride, reach = reach_of(COLUMNS, shape.stride, BLOCK);
    if (shape.stride == 0 || walk->rows.stride != shape.stride || walk->rows.taps != BLOCK || columns->taps != BLOCK
        || first < -1 || first + reach > columns->extent + 1)
        return 0;
    return cvl_min((columns->extent + 1 - first - reach) / (COLUMNS * shape.stride) + 1,
                   (columns->count - t) / COLUMNS);
}

/* Pointers are moved by additions, which FORGET keeps: multiples of four strides, which the compiler makes of them, do
 * not fit into the registers, and fetching them took 3 % of the time. */
CVL_INLINE void add_square(const struct cvl_group_walk *walk, const struct shape shape, ptrdiff_t x_column,
                           ptrdiff_t w_column, const float *x, const float *w, vi index, unsigned inside, vf sums[TILE])
{
    const int last = reach_of(COLUMNS, shape.stride, BLOCK) - 1;
    const int step = shape.pitch ? last + 1 : shape.stride == 1 ? 1 : 3;       /* inputs, with one addition */
    const struct place place = { .index = index };
    vf weights[BLOCK * BLOCK];
    FORGET(inside);
    CVL_UNROLL(16)
    for (int i = 0; i < reach_of(shape.rows, shape.stride, BLOCK); i++) {
        if (i < BLOCK) {
            const float *tap = w;
            CVL_UNROLL(16)
            for (int v = 0; v < BLOCK; v++, tap += w_column) {
                if (!shape.pitch)
                    FORGET(tap);
                weights[i * BLOCK + v] = vf_load(tap);
            }
            w += shape.pitch ? BLOCK * VF_LANES : walk->rows.w;
            if (!shape.pitch)
                FORGET(w);
        }
        const float *at = x;
        x += walk->rows.x;
        FORGET(x);
        if (!INSIDE(inside, i))
            continue;
        CVL_UNROLL(16)
        for (int j = 0; j <= last; j++) {
            if (j > 0 && j % step == 0) {
                at += step * x_column;
                FORGET(at);
            }
            if ((j == 0 && !(inside & LEFT)) || (j == last && !(inside & RIGHT)))
                continue;
            const vf value = load_x(at + j % step * x_column, &place, shape);
            CVL_UNROLL(16)
            for (int p = 0; p < shape.rows; p++)
                CVL_UNROLL(16)
                for (int q = 0; q < COLUMNS; q++)
                    if (meets(i, p, shape.stride, BLOCK) && meets(j, q, shape.stride, BLOCK))
                        sums[p * COLUMNS + q] += value * weights[(i - p * shape.stride) * BLOCK + j - q * shape.stride];
        }
    }
}

/* Do points lie so many floats apart, and weights one after the other? */
CVL_INLINE bool lies_in_order(const struct cvl_group_walk *walk, ptrdiff_t pitch)
{
    return walk->columns.x == pitch && walk->columns.w == VF_LANES && walk->rows.w == BLOCK * VF_LANES
        && walk->w_channel == BLOCK * BLOCK * VF_LANES;
}

/* Strides are read from memory where they are used: the compiler would keep them in vector registers, and moves from
 * there wait in line with the products. */
CVL_INLINE void sum_square(const struct cvl_group_sum *s, const struct shape shape, const float *x, unsigned inside,
                           vf sums[TILE])
{
    const struct cvl_group_walk *walk = &s->walk;
    const ptrdiff_t x_column = shape.pitch ? shape.pitch : walk->columns.x;
    const ptrdiff_t w_column = shape.pitch ? VF_LANES : walk->columns.w;
    const float *w = s->w;
    vi index = shape.mode == CVL_GROUP_SHARED ? (vi)vf_load((const float *)walk->lookup) : (vi){ 0 };
    CVL_UNROLL(16)
    for (int i = 0; i < TILE; i++)
        sums[i] = vf_zero();
    for (int left = walk->channels; left > 0; left--) {
        cvl_keep_in_memory(s);
        if (s->ahead->left > 0)                            /* or each channel would work out how many */
            bring(s->ahead, s->ahead->each);
        add_square(walk, shape, x_column, w_column, x, w, index, inside, sums);
        w += shape.pitch ? BLOCK * BLOCK * VF_LANES : walk->w_channel;
        if (shape.mode == CVL_GROUP_SHARED)
            index += 1;
        else
            x += walk->x_channel;
    }
}

CVL_INLINE bool is_plain(const struct cvl_group_sum *s)
{
    return !s->finish.bias && !s->residual && s->finish.act == CVL_ACT_NONE && s->walk.lanes == VF_LANES;
}

CVL_INLINE void sum_squares(const struct cvl_group_sum *s, const struct shape shape, int t, int tiles)
{
    const struct cvl_group_walk *walk = &s->walk;
    const int reach = reach_of(COLUMNS, shape.stride, BLOCK);
    const unsigned rows = inside_of(walk->rows.origin, walk->rows.extent, 1, reach_of(shape.rows, shape.stride, BLOCK));
    for (const int end = t + tiles * COLUMNS; t < end; t += COLUMNS) {
        const int column = walk->columns.origin + t * shape.stride;
        const unsigned inside = rows | (column >= 0 ? LEFT : 0) | (column + reach <= walk->columns.extent ? RIGHT : 0);
        vf sums[TILE];
        sum_square(s, shape, walk->x + walk->rows.origin * walk->rows.x + column * walk->columns.x, inside, sums);
        if (is_plain(s))
            store_tile(s, shape, t, 0, true, sums);
        else
            finish_tile(s, shape, t, 0, sums);
    }
}

/* Strides that the compiler knows save 2 % of the time at stride 2, and nothing at stride 1. */
CVL_INLINE void sum_squares_of(const struct cvl_group_sum *s, const enum cvl_group_mode mode, const int stride, int t,
                               int tiles)
{
    const struct shape shape = { .mode = mode, .stride = stride }, tile = with_tile(shape, ROWS, COLUMNS);
    const bool pair = s->walk.rows.count >= ROWS;
    if (stride == 2 && pair && lies_in_order(&s->walk, VF_LANES))
        sum_squares(s, with_pitch(tile, VF_LANES), t, tiles);
    else if (stride == 2 && pair && lies_in_order(&s->walk, 2 * VF_LANES))
        sum_squares(s, with_pitch(tile, 2 * VF_LANES), t, tiles);
    else if (pair)
        sum_squares(s, tile, t, tiles);
    else
        sum_squares(s, with_tile(shape, 1, COLUMNS), t, tiles);
}

#endif
