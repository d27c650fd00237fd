/* SPDX-License-Identifier: Apache-2.0
 * What the kernels of strips and of bands share: how long a run is, what of it is inside of the image, and the
 * epilogue. Only *_kern.c files include it. */
#ifndef CONV_DEPTHWISE_DEPTHWISE_RUN_H
#define CONV_DEPTHWISE_DEPTHWISE_RUN_H

#include "base/vec_lanes.h"
#include "base/vec_masks.h"
#include "base/vec_math.h"
#include "conv/depthwise/depthwise_strip.h"

#include <math.h>

/* What the compiler may not know about: it would keep each bit of a mask in memory, to test it in a loop. */
#define FORGET(value) __asm__("" : "+r"(value))

#define LIKELY(condition) __builtin_expect((condition) != 0, 1)

#if defined(__AVX512F__) || defined(__aarch64__)
#define TILE 14                  /* of 32 registers; seven hold weights */
#else
#define TILE 7                   /* of 16 */
#endif

/* Taps that the inputs are walked past at once; a longer filter is cut into such blocks. With several filters a channel
 * they are short: code for longer blocks is not made for those. PAIR_BLOCK: where two taps of a row go together. */
enum { BLOCK_MAX = 7, SHORT_BLOCK = 3, PAIR_BLOCK = 5 };

CVL_INLINE int block_of(int taps, int longest)
{
    static const uint8_t first[] = { 0, 1, 2, 3, 2, 5, 3, 7, 5, 7, 7, 5, 7, 7 };
    if (longest < BLOCK_MAX)
        return taps == 4 ? 2 : taps < longest ? taps : longest;
    return taps < (int)sizeof first ? first[taps] : BLOCK_MAX;
}

CVL_INLINE int pair_block_of(int taps)
{
    return taps == 4 || taps == 6 ? taps / 2 : taps < PAIR_BLOCK ? taps : PAIR_BLOCK;
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

/* Bit j: input j of a run, the first at point `from`, is inside of the image and met by one of `count` outputs under a
 * block of taps. */
CVL_INLINE uint64_t inside_run(const struct cvl_dw_axis *axis, int from, int taps, int count)
{
    return taps == 1 ? inside_of(from, axis->extent, axis->stride, count)
                     : inside_of(from, axis->extent, 1, (count - 1) * axis->stride + taps);
}

/* Activations that a minimum and a maximum can do, which is all that fits beside the sums: relu clips to [0, inf). */
CVL_INLINE bool clips(const struct cvl_dw_finish *f, float *lo, float *hi)
{
    *lo = f->act == CVL_ACT_CLIP ? f->lo : 0;
    *hi = f->act == CVL_ACT_CLIP ? f->hi : f->act == CVL_ACT_RELU6 ? 6 : INFINITY;
    return f->act == CVL_ACT_RELU || f->act == CVL_ACT_RELU6 || f->act == CVL_ACT_CLIP;
}

CVL_INLINE const float *plane_weights(const struct cvl_dw_band *b, int plane)
{
    return b->w + plane / VF_LANES * b->w_panel + plane % VF_LANES;
}

CVL_INLINE bool is_rare(const struct cvl_dw_finish *f) { return f->residual || f->act > CVL_ACT_CLIP; }

/* What is rare, a residual or an activation that needs registers: `count` vectors of sums to out, `apart` elements from
 * each other, their lanes `lane` elements. */
static __attribute__((noinline, unused)) void finish_apart(const struct cvl_dw_finish *f, const float *sums, int count,
                                                           int lanes, float *out, ptrdiff_t offset, ptrdiff_t apart,
                                                           ptrdiff_t lane)
{
    const float *residual = f->residual ? f->residual + offset : NULL;
    for (int t = 0; t < count; t++) {
        const ptrdiff_t at = t * apart;
        vf sum = vf_load(sums + t * VF_LANES);
        if (residual)
            sum += lane == 1 ? vf_load_part(residual + at, lanes)
                 : lane == 2 ? vf_load_even(residual + at, lanes) : vf_load_strided(residual + at, lane, lanes);
        sum = vf_activate(sum, f->act, f->lo, f->hi);
        if (lane == 1)
            vf_store_part(out + at, sum, lanes);
        else if (lane == 2)
            vf_store_even(out + at, sum, lanes);
        else
            vf_store_strided(out + at, lane, sum, lanes);
    }
}

/* What is not rare: an activation by two bounds, and `count` vectors stored. */
CVL_INLINE void finish_near(const struct cvl_dw_finish *f, vf *sums, const int tile, int count, vf_lanes lanes,
                            float *out, ptrdiff_t apart)
{
    float lo, hi;
    if (clips(f, &lo, &hi)) {
        const vf low = vf_set(lo), high = vf_set(hi);
        CVL_UNROLL(40)
        for (int t = 0; t < tile; t++)
            sums[t] = vf_clip(sums[t], low, high);
    }
    CVL_UNROLL(40)
    for (int t = 0; t < tile; t++) {
        if (LIKELY(t < count))
            vf_store_lanes(out, sums[t], lanes);
        out += apart;
        FORGET(out);
    }
}

#endif
