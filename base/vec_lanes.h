/* SPDX-License-Identifier: Apache-2.0
 * Loads of some lanes in the middle of a vector, as at both edges of an image, and lanes that are looked up. */
#ifndef BASE_VEC_LANES_H
#define BASE_VEC_LANES_H

#include "base/vec.h"

/* Loops over lanes, called: in unrolled loops many copies of them would be made. */
#define LANE_LOOP static __attribute__((noinline, unused))

/* Lanes [from, to) of a vector at p; the others load as zero and are not touched in memory. from <= to. */
#if defined(__AVX512F__)
CVL_INLINE vf vf_load_range(const float *p, int from, int to)
{
    return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << to) - (1u << from)), p);
}
#elif defined(__AVX2__)
CVL_INLINE vf vf_load_range(const float *p, int from, int to)
{
    const vi lane = { 0, 1, 2, 3, 4, 5, 6, 7 };
    return (vf)_mm256_maskload_ps(p, (__m256i)((lane >= from) & (lane < to)));
}
#else
LANE_LOOP vf vf_load_range(const float *p, int from, int to)
{
    vf v = vf_zero();
    for (int i = from; i < to; i++)
        v[i] = p[i];
    return v;
}
#endif

/* To lanes [from, to) at p; the others are not touched. */
#if defined(__AVX2__) && !defined(__AVX512F__)
CVL_INLINE void vf_store_range(float *p, vf v, int from, int to)
{
    const vi lane = { 0, 1, 2, 3, 4, 5, 6, 7 };
    _mm256_maskstore_ps(p, (__m256i)((lane >= from) & (lane < to)), (__m256)v);
}
#elif !defined(__AVX512F__)
LANE_LOOP void vf_store_range(float *p, vf v, int from, int to)
{
    for (int i = from; i < to; i++)
        p[i] = v[i];
}
#endif

/* The same of lanes that lie `stride` elements apart. */
LANE_LOOP vf vf_load_strided_range(const float *p, ptrdiff_t stride, int from, int to)
{
    vf v = vf_zero();
    for (int i = from; i < to; i++)
        v[i] = p[i * stride];
    return v;
}

/* Lanes two elements apart: p[2*from], p[2*from + 2], ... What lies between is not touched. */
#if defined(__AVX512F__)
CVL_INLINE vf vf_load_even_range(const float *p, int from, int to)
{
    const uint32_t mask = (uint32_t)((UINT64_C(1) << 2 * to) - (UINT64_C(1) << 2 * from)) & 0x55555555;
    const vf low = (vf)_mm512_maskz_loadu_ps((__mmask16)mask, p);
    const vf high = (vf)_mm512_maskz_loadu_ps((__mmask16)(mask >> VF_LANES), p + VF_LANES);
    return __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
}
#else
CVL_INLINE vf vf_load_even_range(const float *p, int from, int to)
{
    return vf_load_strided_range(p, 2, from, to);
}
#endif

/* Lane i of the result is lane index[i] of v. */
#if defined(__AVX512F__)
CVL_INLINE vf vf_lookup(vf v, vi index) { return (vf)_mm512_permutexvar_ps((__m512i)index, (__m512)v); }
#elif defined(__AVX2__)
CVL_INLINE vf vf_lookup(vf v, vi index) { return (vf)_mm256_permutevar8x32_ps((__m256)v, (__m256i)index); }
#else
LANE_LOOP vf vf_lookup(vf v, vi index)
{
    vf found;
    for (int i = 0; i < VF_LANES; i++)
        found[i] = v[index[i]];
    return found;
}
#endif

/* Lane i of the result is the sum of rows[i]. */
CVL_INLINE vf vf_sum_rows(vf rows[VF_LANES])
{
    for (int half = VF_LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            rows[i] = vf_zip_low(rows[i], rows[i + half]) + vf_zip_high(rows[i], rows[i + half]);
    return rows[0];
}

#endif
