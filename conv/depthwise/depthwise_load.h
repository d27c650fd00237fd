/* SPDX-License-Identifier: Apache-2.0
 * How the kernels read the image: one vector for a point of the slide, whatever lies along the lanes. Only *_kern.c
 * files include it. */
#ifndef CONV_DEPTHWISE_DEPTHWISE_LOAD_H
#define CONV_DEPTHWISE_DEPTHWISE_LOAD_H

#include "base/vec_lanes.h"
#include "conv/depthwise/depthwise.h"

#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 40")
#endif

/* What the compiler may not know about: it would keep each bit of a mask in memory, to test it in a loop. */
#define FORGET(value) __asm__("" : "+r"(value))

/* Where a masked load costs what any other does, no second copy of the loops is made for whole vectors. */
#ifdef __AVX512F__
enum { MASKS_ARE_FREE = 1 };
#else
enum { MASKS_ARE_FREE = 0 };
#endif

/* Taps that the inputs are walked past at once. A longer filter is cut into such blocks; groups of channels have short
 * ones, and code for longer blocks is not made for them. */
enum { BLOCK_MAX = 7, SHORT_BLOCK = 3 };

CVL_INLINE int longest_block(const enum cvl_dw_mode mode, const int stride)
{
    return stride == 0 ? 1 : mode == CVL_DW_SHARED || mode == CVL_DW_ONE ? SHORT_BLOCK : BLOCK_MAX;
}

CVL_INLINE int block_of(int taps, int longest)
{
    static const uint8_t first[] = { 0, 1, 2, 3, 2, 5, 3, 7, 5, 7, 7, 5, 7, 7 };
    if (longest < BLOCK_MAX)
        return taps == 4 ? 2 : taps < longest ? taps : longest;
    return taps < (int)sizeof first ? first[taps] : BLOCK_MAX;
}

/* Lanes [from, to) of what is read under one cross tap; their column is inside of the image. */
struct lanes { int from, to; };

CVL_INLINE struct lanes lanes_of(const struct cvl_dw_window *x, const enum cvl_dw_mode mode, int cross)
{
    if (mode < CVL_DW_COLUMNS)
        return (struct lanes){ 0, x->x_lanes };
    const int apart = mode == CVL_DW_COLUMNS ? 1 : mode == CVL_DW_COLUMNS_EVEN ? 2 : (int)x->x_lane;
    const int column = x->lane_first + cross * x->lane_tap, left = x->lane_extent - column;
    const int from = column < 0 ? (-column + apart - 1) / apart : 0;
    const int to = left > 0 ? (left + apart - 1) / apart : 0;
    return (struct lanes){ from, to < x->lanes ? to : x->lanes };
}

CVL_INLINE vf load_x(const float *p, const enum cvl_dw_mode mode, const bool whole, struct lanes lanes, ptrdiff_t apart,
                     vi index)
{
    switch (mode) {
    case CVL_DW_CHANNELS:
    case CVL_DW_COLUMNS:       return whole ? vf_load(p) : vf_load_range(p, lanes.from, lanes.to);
    case CVL_DW_SHARED:        return vf_lookup(whole ? vf_load(p) : vf_load_range(p, 0, lanes.to), index);
    case CVL_DW_ONE:           return vf_set(*p);
    case CVL_DW_COLUMNS_EVEN:  return vf_load_even_range(p, lanes.from, lanes.to);
    default:                   return vf_load_strided_range(p, apart, lanes.from, lanes.to);
    }
}

/* Of `reach` inputs, those at points [0, extent): bit j is of point from + j * step. */
CVL_INLINE uint64_t inside_of(int from, int extent, int step, int reach)
{
    int first = 0, last = extent - from;
    if (from < 0)
        first = step == 1 ? -from : (int)(((int64_t)step - 1 - from) / step);
    if (step != 1)
        last = last > 0 ? (last - 1) / step + 1 : 0;
    if (last > reach)
        last = reach;
    return first >= last ? 0 : (UINT64_C(1) << last) - (UINT64_C(1) << first);
}

#endif
