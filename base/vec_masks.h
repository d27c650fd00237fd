/* SPDX-License-Identifier: Apache-2.0
 * Which lanes of many loads and stores are real, worked out once. Only *_kern.c files include it. */
#ifndef BASE_VEC_MASKS_H
#define BASE_VEC_MASKS_H

#include "base/vec_lanes.h"

/* Lanes [from, to), and elements [from, to) of two vectors, made ready for many loads. */
#if defined(__AVX512F__)
typedef __mmask16 vf_lanes;
typedef struct { __mmask16 low, high; } vf_elements;

CVL_INLINE vf_lanes vf_lanes_of(int from, int to)
{
    __mmask16 mask = (__mmask16)((1u << to) - (1u << from));
    __asm__("" : "+k"(mask));   /* gcc would rather make it anew for each load */
    return mask;
}
CVL_INLINE vf_elements vf_elements_of(int from, int to)
{
    const int low = from < VF_LANES ? from : VF_LANES, high = to > VF_LANES ? to : VF_LANES;
    return (vf_elements){ vf_lanes_of(low, to < VF_LANES ? to : VF_LANES),
                          vf_lanes_of((from > VF_LANES ? from : VF_LANES) - VF_LANES, high - VF_LANES) };
}
CVL_INLINE vf vf_load_lanes(const float *p, vf_lanes lanes) { return (vf)_mm512_maskz_loadu_ps(lanes, p); }
CVL_INLINE void vf_store_lanes(float *p, vf v, vf_lanes lanes) { _mm512_mask_storeu_ps(p, lanes, (__m512)v); }

/* The even elements go to one vector and the odd ones to another, in an order of lanes that vf_order_pairs puts right:
 * shuffles of two vectors across their quarters would take a multiply-add's place on Zen 4. */
CVL_INLINE void vf_load_pairs(const float *p, vf_elements elements, vf *even, vf *odd)
{
    const vf low = (vf)_mm512_maskz_loadu_ps(elements.low, p);
    const vf high = (vf)_mm512_maskz_loadu_ps(elements.high, p + VF_LANES);
    *even = __builtin_shufflevector(low, high, 0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26, 12, 14, 28, 30);
    *odd = __builtin_shufflevector(low, high, 1, 3, 17, 19, 5, 7, 21, 23, 9, 11, 25, 27, 13, 15, 29, 31);
}
CVL_INLINE vf vf_order_pairs(vf v)
{
    return __builtin_shufflevector(v, v, 0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
}
#else
typedef struct { int from, to; } vf_lanes, vf_elements;
CVL_INLINE vf_lanes vf_lanes_of(int from, int to) { return (vf_lanes){ from, to }; }
CVL_INLINE vf_elements vf_elements_of(int from, int to) { return (vf_elements){ from, to }; }
CVL_INLINE vf vf_load_lanes(const float *p, vf_lanes lanes)
{
    return lanes.from == 0 && lanes.to == VF_LANES ? vf_load(p) : vf_load_range(p, lanes.from, lanes.to);
}
CVL_INLINE void vf_store_lanes(float *p, vf v, vf_lanes lanes)   /* from 0 on */
{
    if (lanes.to == VF_LANES)
        vf_store(p, v);
    else
        vf_store_part(p, v, lanes.to);
}
CVL_INLINE void vf_load_pairs(const float *p, vf_elements elements, vf *even, vf *odd)
{
    *even = vf_load_strided_range(p, 2, (elements.from + 1) / 2, (elements.to + 1) / 2);
    *odd = vf_load_strided_range(p + 1, 2, elements.from / 2, elements.to / 2);
}
CVL_INLINE vf vf_order_pairs(vf v) { return v; }
#endif

#endif
