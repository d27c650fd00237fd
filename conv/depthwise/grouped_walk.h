/* SPDX-License-Identifier: Apache-2.0
 * The walk that both kernels are made of: inputs go by a tile of outputs, each loaded once for all products of a block
 * of up to 3 x 3 taps that it is part of. Only *_kern.c files include it. */
#ifndef CONV_DEPTHWISE_GROUPED_WALK_H
#define CONV_DEPTHWISE_GROUPED_WALK_H

#include "base/vec_lanes.h"
#include "conv/depthwise/grouped.h"

/* What the compiler may not know about, in any turn of a loop: it would keep each bit of a mask in memory. */
#define FORGET(value) __asm__ volatile("" : "+r"(value))

/* Almost every input is: code for those on padding would be put between. */
#define INSIDE(mask, i) __builtin_expect((mask) >> (i) & 1, 1)

/* Two rows of outputs use an input six times, not three; with 16 registers their sums leave no room for weights. */
#if defined(__AVX512F__) || defined(__aarch64__)
enum { ROWS = 2 };
#else
enum { ROWS = 1 };
#endif
enum { COLUMNS = CVL_GROUP_COLUMNS, TILE = ROWS * COLUMNS, BLOCK = 3 };

/* What an instance of a kernel is made for: a tile of outputs, and a block of taps. stride: of the columns, 0 if it
 * is above 2, when blocks are single taps. pitch: floats from a point to the next, 0 if that is not known. */
struct shape { enum cvl_group_mode mode; int rows, columns, stride, r, s, pitch; };

CVL_INLINE struct shape with_tile(struct shape shape, int rows, int columns)
{
    shape.rows = rows;
    shape.columns = columns;
    return shape;
}
CVL_INLINE struct shape with_block(struct shape shape, int r, int s)
{
    shape.r = r;
    shape.s = s;
    return shape;
}
CVL_INLINE struct shape with_pitch(struct shape shape, int pitch)
{
    shape.pitch = pitch;
    return shape;
}
CVL_INLINE int instance_of(const struct cvl_group_walk *walk)
{
    return walk->columns.stride <= 2 ? walk->columns.stride : 0;
}

/* The inputs of one block of taps: where they are and which of them are inside of the image. */
struct place {
    const float *x;
    ptrdiff_t    row, column;           /* from an input to the next */
    unsigned     rows_inside, columns_inside;
    vi           index;
};

/* An axis under a block of one tap goes from output to output. */
CVL_INLINE int step_of(const struct cvl_group_axis *axis, int taps) { return taps == 1 ? axis->stride : 1; }
CVL_INLINE int apart_of(int stride, int taps) { return taps == 1 ? 1 : stride; }
CVL_INLINE int reach_of(int outputs, int stride, int taps) { return (outputs - 1) * apart_of(stride, taps) + taps; }

/* Of `reach` inputs, those at points [0, extent): bit j is of point from + j * step. */
CVL_INLINE unsigned inside_of(int from, int extent, int step, int reach)
{
    unsigned inside = 0;
    if (step == 1) {
        const int first = from < 0 ? -from : 0, last = extent - from < reach ? extent - from : reach;
        return first >= last ? 0 : (1u << last) - (1u << first);
    }
    for (int j = 0; j < reach; j++)
        inside |= (unsigned)(from + (int64_t)j * step >= 0 && from + (int64_t)j * step < extent) << j;
    return inside;
}

/* Block of taps (r, v) under outputs from column t on; channel 0. */
CVL_INLINE struct place place_of(const struct cvl_group_walk *walk, const struct shape shape, int r, int v, int t)
{
    const struct cvl_group_axis *rows = &walk->rows, *columns = &walk->columns;
    const int row = rows->origin + r, column = columns->origin + t * columns->stride + v;
    const int row_step = step_of(rows, shape.r), column_step = step_of(columns, shape.s);
    struct place place = {
        .x = walk->x + row * rows->x + column * columns->x,
        .row = row_step * rows->x, .column = column_step * columns->x,
        .rows_inside = inside_of(row, rows->extent, row_step, reach_of(shape.rows, shape.stride, shape.r)),
        .columns_inside = inside_of(column, columns->extent, column_step,
                                    reach_of(shape.columns, shape.stride, shape.s)),
    };
    if (shape.mode == CVL_GROUP_SHARED)
        place.index = (vi)vf_load((const float *)walk->lookup);
    return place;
}

CVL_INLINE void next_channel(struct place *place, const struct shape shape, const struct cvl_group_walk *walk)
{
    if (shape.mode == CVL_GROUP_SHARED)
        place->index += 1;
    else
        place->x += walk->x_channel;
}

CVL_INLINE vf load_x(const float *x, const struct place *place, const struct shape shape)
{
    if (shape.mode == CVL_GROUP_ONE)
        return vf_set(*x);
    return shape.mode == CVL_GROUP_SHARED ? vf_lookup(vf_load(x), place->index) : vf_load(x);
}

/* Is input i of an axis part of output t, by tap i - t*apart of the block? */
CVL_INLINE bool meets(int i, int t, int apart, int taps) { return i - t * apart >= 0 && i - t * apart < taps; }

/* Columns of the next tile. */
CVL_INLINE int tile_of(int left) { return left >= COLUMNS ? COLUMNS : left >= 4 ? 4 : 1; }

#endif
