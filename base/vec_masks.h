/* SPDX-License-Identifier: Apache-2.0
 * Which lanes of many loads and stores are real, worked out once. Only *_kern.c files include it. */
#ifndef BASE_VEC_MASKS_H
#define BASE_VEC_MASKS_H

#include "base/vec_lanes.h"

/* Lanes [from, to), and elements [from, to) of two vectors, made ready for many loads. */
#if defined(__AVX512F__)
typedef __mmask16 vf_lanes;

CVL_INLINE vf_lanes vf_lanes_of(int from, int to)
{
    __mmask16 mask = (__mmask16)((1u << to) - (1u << from));
    __asm__("" : "+k"(mask));   /* gcc would rather make it anew for each load */
    return mask;
}
CVL_INLINE vf vf_load_lanes(const float *p, vf_lanes lanes) { return (vf)_mm512_maskz_loadu_ps(lanes, p); }
CVL_INLINE void vf_store_lanes(float *p, vf v, vf_lanes lanes) { _mm512_mask_storeu_ps(p, lanes, (__m512)v); }
#else
typedef struct { int from, to; } vf_lanes;
CVL_INLINE vf_lanes vf_lanes_of(int from, int to) { return (vf_lanes){ from, to }; }
CVL_INLINE vf vf_load_lanes(const float *p, vf_lanes lanes)
{
    return lanes.from == 0 && lanes.to == VF_LANES ? vf_load(p) : vf_load_range(p, lanes.from, lanes.to);
}
CVL_INLINE void vf_store_lanes(float *p, vf v, vf_lanes lanes)
{
    if (lanes.from == 0 && lanes.to == VF_LANES)
        vf_store(p, v);
    else
        vf_store_range(p, v, lanes.from, lanes.to);
}
#endif

typedef struct { vf_lanes low, high; } vf_elements;
CVL_INLINE vf_elements vf_elements_of(int from, int to)
{
    const int low = from < VF_LANES ? from : VF_LANES, high = to > VF_LANES ? to : VF_LANES;
    return (vf_elements){ vf_lanes_of(low, to < VF_LANES ? to : VF_LANES),
                          vf_lanes_of((from > VF_LANES ? from : VF_LANES) - VF_LANES, high - VF_LANES) };
}

/* The even elements of a run of two vectors, and the odd ones, in an order of lanes that vf_order_pairs puts right:
 * shuffles of two vectors across their quarters would take a multiply-add's place on Zen 4; vf_disorder_pairs brings
 * other lanes into that order. Of even elements in that order vf_follow_pairs makes those that follow one later: after
 * the last comes the last lane of `after`. */
#if VF_LANES == 16
CVL_INLINE void vf_part_pairs(vf low, vf high, vf *even, vf *odd)
{
    *even = __builtin_shufflevector(low, high, 0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26, 12, 14, 28, 30);
    *odd = __builtin_shufflevector(low, high, 1, 3, 17, 19, 5, 7, 21, 23, 9, 11, 25, 27, 13, 15, 29, 31);
}
CVL_INLINE vf vf_order_pairs(vf v)
{
    return __builtin_shufflevector(v, v, 0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
}
CVL_INLINE vf vf_disorder_pairs(vf v)
{
    return __builtin_shufflevector(v, v, 0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15);
}
CVL_INLINE vf vf_follow_pairs(vf even, vf after)
{
    const vi from = { 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 2, 15, 0 };
    return (vf)_mm512_mask_permutexvar_ps((__m512)after, 0x7fff, (__m512i)from, (__m512)even);
}
#elif VF_LANES == 8
CVL_INLINE void vf_part_pairs(vf low, vf high, vf *even, vf *odd)
{
    *even = __builtin_shufflevector(low, high, 0, 2, 8, 10, 4, 6, 12, 14);
    *odd = __builtin_shufflevector(low, high, 1, 3, 9, 11, 5, 7, 13, 15);
}
CVL_INLINE vf vf_order_pairs(vf v) { return __builtin_shufflevector(v, v, 0, 1, 4, 5, 2, 3, 6, 7); }
CVL_INLINE vf vf_disorder_pairs(vf v) { return vf_order_pairs(v); }
CVL_INLINE vf vf_follow_pairs(vf even, vf after)
{
    return __builtin_shufflevector(even, after, 1, 4, 3, 6, 5, 2, 7, 15);
}
#else
CVL_INLINE void vf_part_pairs(vf low, vf high, vf *even, vf *odd)
{
    *even = __builtin_shufflevector(low, high, 0, 2, 4, 6);
    *odd = __builtin_shufflevector(low, high, 1, 3, 5, 7);
}
CVL_INLINE vf vf_order_pairs(vf v) { return v; }
CVL_INLINE vf vf_disorder_pairs(vf v) { return v; }
CVL_INLINE vf vf_follow_pairs(vf even, vf after) { return __builtin_shufflevector(even, after, 1, 2, 3, 7); }
#endif

/* Any lanes, and these lanes of v's neighbours below or above them, zero in the others. */
#if defined(__AVX512F__)
typedef __mmask16 vf_some;
CVL_INLINE vf_some vf_some_of(uint32_t bits) { return (__mmask16)bits; }
CVL_INLINE vf vf_below(vf v, vf_some lanes)
{
    return (vf)_mm512_maskz_alignr_epi32(lanes, (__m512i)v, (__m512i)v, 15);
}
CVL_INLINE vf vf_above(vf v, vf_some lanes)
{
    return (vf)_mm512_maskz_alignr_epi32(lanes, (__m512i)v, (__m512i)v, 1);
}
#else
typedef vi vf_some;
CVL_INLINE vf_some vf_some_of(uint32_t bits)
{
    vi some;
    for (int i = 0; i < VF_LANES; i++)
        some[i] = -(int32_t)(bits >> i & 1);
    return some;
}
#if VF_LANES == 8
CVL_INLINE vf vf_below(vf v, vf_some lanes)
{
    return (vf)(lanes & (vi)__builtin_shufflevector(v, v, 7, 0, 1, 2, 3, 4, 5, 6));
}
CVL_INLINE vf vf_above(vf v, vf_some lanes)
{
    return (vf)(lanes & (vi)__builtin_shufflevector(v, v, 1, 2, 3, 4, 5, 6, 7, 0));
}
#else
CVL_INLINE vf vf_below(vf v, vf_some lanes) { return (vf)(lanes & (vi)__builtin_shufflevector(v, v, 3, 0, 1, 2)); }
CVL_INLINE vf vf_above(vf v, vf_some lanes) { return (vf)(lanes & (vi)__builtin_shufflevector(v, v, 1, 2, 3, 0)); }
#endif
#endif

/* sum + a * b in these lanes, sum in the others. */
CVL_INLINE vf vf_add_product(vf sum, vf a, vf b, vf_some lanes)
{
#if defined(__AVX512F__)
    return (vf)_mm512_mask3_fmadd_ps((__m512)a, (__m512)b, (__m512)sum, lanes);
#else
    return vf_select(lanes, sum + a * b, sum);
#endif
}

#endif
