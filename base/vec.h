/* SPDX-License-Identifier: Apache-2.0
 * The vector type of the ISA level being compiled (CVL_VEC_BYTES wide), and the few operations on it that plain
 * operators do not have. Only *_kern.c files include it; intrinsics appear here and nowhere else. */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <stddef.h>
#include <stdint.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#define VF_LANES (CVL_VEC_BYTES / 4)
#define CVL_INLINE static inline __attribute__((always_inline))

/* Unrolls the loop that follows, of at most `most` rounds, a plain number. */
#define CVL_PRAGMA(text) _Pragma(#text)
#ifdef __clang__
#define CVL_UNROLL(most) CVL_PRAGMA(unroll)
#else
#define CVL_UNROLL(most) CVL_PRAGMA(GCC unroll most)
#endif

typedef float   vf __attribute__((vector_size(CVL_VEC_BYTES)));
typedef int32_t vi __attribute__((vector_size(CVL_VEC_BYTES)));
typedef float   vf_unaligned __attribute__((vector_size(CVL_VEC_BYTES), aligned(4), may_alias));

CVL_INLINE vf   vf_zero(void) { return (vf){ 0 }; }
CVL_INLINE vf   vf_set(float value) { return value - (vf){ 0 }; }   /* minus zero keeps the sign of -0 */
CVL_INLINE vf   vf_load(const float *p) { return *(const vf_unaligned *)p; }
CVL_INLINE void vf_store(float *p, vf v) { *(vf_unaligned *)p = v; }

/* Keeps a loaded vector in its register: gcc would rather load it again, unaligned, for each of its uses. */
CVL_INLINE vf vf_keep(vf v)
{
#if defined(__AVX__)
    __asm__("" : "+v"(v));
#elif defined(__aarch64__)
    __asm__("" : "+w"(v));
#endif
    return v;
}

/* The same value, of which the compiler knows nothing. */
CVL_INLINE ptrdiff_t cvl_opaque(ptrdiff_t value)
{
    __asm__("" : "+r"(value));
    return value;
}

/* What p points to is in memory here, and may be another value after. */
CVL_INLINE void cvl_keep_in_memory(const void *p) { __asm__ volatile("" : : "r"(p) : "memory"); }

/* The first `lanes` lanes (0 to VF_LANES); the others load as zero and are not touched in memory. */
#ifdef __AVX512F__
CVL_INLINE vf vf_load_part(const float *p, int lanes)
{
    return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << lanes) - 1), p);
}
CVL_INLINE void vf_store_part(float *p, vf v, int lanes)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << lanes) - 1), (__m512)v);
}
#elif defined(__AVX2__)
CVL_INLINE vi vf_part_mask(int lanes)
{
    return (vi){ 0, 1, 2, 3, 4, 5, 6, 7 } < lanes;
}
CVL_INLINE vf vf_load_part(const float *p, int lanes)
{
    return (vf)_mm256_maskload_ps(p, (__m256i)vf_part_mask(lanes));
}
CVL_INLINE void vf_store_part(float *p, vf v, int lanes)
{
    _mm256_maskstore_ps(p, (__m256i)vf_part_mask(lanes), (__m256)v);
}
#else
CVL_INLINE vf vf_load_part(const float *p, int lanes)
{
    vf v = vf_zero();
    for (int i = 0; i < lanes; i++)
        v[i] = p[i];
    return v;
}
CVL_INLINE void vf_store_part(float *p, vf v, int lanes)
{
    for (int i = 0; i < lanes; i++)
        p[i] = v[i];
}
#endif

/* Lanes that lie `stride` elements apart. */
CVL_INLINE vf vf_load_strided(const float *p, ptrdiff_t stride, int lanes)
{
    vf v = vf_zero();
    for (int i = 0; i < lanes; i++)
        v[i] = p[i * stride];
    return v;
}
CVL_INLINE void vf_store_strided(float *p, ptrdiff_t stride, vf v, int lanes)
{
    for (int i = 0; i < lanes; i++)
        p[i * stride] = v[i];
}

/* a0 b0 a1 b1 ... of the lower halves, and of the upper halves. */
#if VF_LANES == 16
CVL_INLINE vf vf_zip_low(vf a, vf b)
{
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
CVL_INLINE vf vf_zip_high(vf a, vf b)
{
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
/* a0 a2 ... b1 b3 ...: every second lane of the run a0 ... a15 = b0 ... b15. */
CVL_INLINE vf vf_even_odd(vf a, vf b)
{
    return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29, 31);
}
#elif VF_LANES == 8
CVL_INLINE vf vf_zip_low(vf a, vf b) { return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
CVL_INLINE vf vf_zip_high(vf a, vf b) { return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }
CVL_INLINE vf vf_even_odd(vf a, vf b) { return __builtin_shufflevector(a, b, 0, 2, 4, 6, 9, 11, 13, 15); }
#else
CVL_INLINE vf vf_zip_low(vf a, vf b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5); }
CVL_INLINE vf vf_zip_high(vf a, vf b) { return __builtin_shufflevector(a, b, 2, 6, 3, 7); }
CVL_INLINE vf vf_even_odd(vf a, vf b) { return __builtin_shufflevector(a, b, 0, 2, 5, 7); }
#endif

/* a0 b0 c0 a1 b1 c1 ...: three runs become one, three times as long. */
#if VF_LANES == 16
CVL_INLINE void vf_zip3(vf a, vf b, vf c, vf out[3])
{
    const vf ab0 = __builtin_shufflevector(a, b, 0, 16, 0, 1, 17, 0, 2, 18, 0, 3, 19, 0, 4, 20, 0, 5);
    const vf ab1 = __builtin_shufflevector(a, b, 21, 0, 6, 22, 0, 7, 23, 0, 8, 24, 0, 9, 25, 0, 10, 26);
    const vf ab2 = __builtin_shufflevector(a, b, 0, 11, 27, 0, 12, 28, 0, 13, 29, 0, 14, 30, 0, 15, 31, 0);
    out[0] = __builtin_shufflevector(ab0, c, 0, 1, 16, 3, 4, 17, 6, 7, 18, 9, 10, 19, 12, 13, 20, 15);
    out[1] = __builtin_shufflevector(ab1, c, 0, 21, 2, 3, 22, 5, 6, 23, 8, 9, 24, 11, 12, 25, 14, 15);
    out[2] = __builtin_shufflevector(ab2, c, 26, 1, 2, 27, 4, 5, 28, 7, 8, 29, 10, 11, 30, 13, 14, 31);
}
#elif VF_LANES == 8
CVL_INLINE void vf_zip3(vf a, vf b, vf c, vf out[3])
{
    out[0] = __builtin_shufflevector(__builtin_shufflevector(a, b, 0, 8, 0, 1, 9, 0, 2, 10), c, 0, 1, 8, 3, 4, 9, 6, 7);
    out[1] = __builtin_shufflevector(__builtin_shufflevector(a, b, 0, 3, 11, 0, 4, 12, 0, 5), c,
                                     10, 1, 2, 11, 4, 5, 12, 7);
    out[2] = __builtin_shufflevector(__builtin_shufflevector(a, b, 13, 0, 6, 14, 0, 7, 15, 0), c,
                                     0, 13, 2, 3, 14, 5, 6, 15);
}
#else
CVL_INLINE void vf_zip3(vf a, vf b, vf c, vf out[3])
{
    out[0] = __builtin_shufflevector(__builtin_shufflevector(a, b, 0, 4, 0, 1), c, 0, 1, 4, 3);
    out[1] = __builtin_shufflevector(__builtin_shufflevector(a, b, 5, 0, 2, 6), c, 0, 5, 2, 3);
    out[2] = __builtin_shufflevector(__builtin_shufflevector(a, b, 0, 3, 7, 0), c, 6, 1, 2, 7);
}
#endif

/* rows[i][j] <-> rows[j][i]. Zipping row i with row i + VF_LANES/2 rotates the bits of (row, lane) by one place. */
CVL_INLINE void vf_transpose(vf rows[VF_LANES])
{
    for (int bit = 1; bit < VF_LANES; bit *= 2) {
        vf zipped[VF_LANES];
        for (int i = 0; i < VF_LANES / 2; i++) {
            zipped[2 * i] = vf_zip_low(rows[i], rows[i + VF_LANES / 2]);
            zipped[2 * i + 1] = vf_zip_high(rows[i], rows[i + VF_LANES / 2]);
        }
        for (int i = 0; i < VF_LANES; i++)
            rows[i] = zipped[i];
    }
}

/* Of vectors as runs of quads, four lanes each: a0 b0 a1 b1 of the lower half of every quad, and of the upper half; the
 * quads of even number of a, then of b, and those of odd number. A shuffle that leaves elements in their quads, or
 * quads whole, is one instruction without a table of indices. */
#if VF_LANES == 16
CVL_INLINE vf vf_quad_zip_low(vf a, vf b)
{
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
}
CVL_INLINE vf vf_quad_zip_high(vf a, vf b)
{
    return __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
}
CVL_INLINE vf vf_even_quads(vf a, vf b)
{
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
}
CVL_INLINE vf vf_odd_quads(vf a, vf b)
{
    return __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
}
#elif VF_LANES == 8
CVL_INLINE vf vf_quad_zip_low(vf a, vf b) { return __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13); }
CVL_INLINE vf vf_quad_zip_high(vf a, vf b) { return __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15); }
CVL_INLINE vf vf_even_quads(vf a, vf b) { return __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11); }
CVL_INLINE vf vf_odd_quads(vf a, vf b) { return __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15); }
#else
CVL_INLINE vf vf_quad_zip_low(vf a, vf b) { return vf_zip_low(a, b); }
CVL_INLINE vf vf_quad_zip_high(vf a, vf b) { return vf_zip_high(a, b); }
CVL_INLINE vf vf_even_quads(vf a, vf b) { return a; }   /* a vector is one quad */
CVL_INLINE vf vf_odd_quads(vf a, vf b) { return b; }
#endif

/* vf_transpose by these. In each four rows, zipping row i with row i + 2 rotates the bits of (row, place in a quad) by
 * one place; then a bit of the row and one of the quad's number change places. A loop of nothing but transposes takes a
 * fifth less (a Zen 4); igemm, which stores through one at times, took 0 to 2 % more. */
CVL_INLINE void vf_transpose_quads(vf rows[VF_LANES])
{
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < VF_LANES; i += 4) {
            const vf a = rows[i], b = rows[i + 1], c = rows[i + 2], d = rows[i + 3];
            rows[i] = vf_quad_zip_low(a, c);
            rows[i + 1] = vf_quad_zip_high(a, c);
            rows[i + 2] = vf_quad_zip_low(b, d);
            rows[i + 3] = vf_quad_zip_high(b, d);
        }
    for (int bit = 4; bit < VF_LANES; bit *= 2)
        for (int pair = 0; pair < VF_LANES / 2; pair++) {
            vf *first = rows + pair / bit * 2 * bit + pair % bit, *second = first + bit;
            const vf a = *first, b = *second;
            *first = vf_even_quads(a, b);
            *second = vf_odd_quads(a, b);
        }
}

/* Lanes two elements apart: p[0], p[2], ... The second load begins one element early, on what is surely there. */
CVL_INLINE vf vf_load_even(const float *p, int lanes)
{
    const int elements = 2 * lanes - 1;
    if (elements <= VF_LANES)
        return vf_even_odd(vf_load_part(p, lanes ? elements : 0), vf_zero());
    return vf_even_odd(vf_load(p), vf_load_part(p + VF_LANES - 1, elements - VF_LANES + 1));
}

/* To p[0], p[2], ...; what lies between is not touched. */
CVL_INLINE void vf_store_even(float *p, vf v, int lanes)
{
#if defined(__AVX512F__)
    const uint32_t mask = (uint32_t)((UINT64_C(1) << 2 * lanes) - 1) & 0x55555555;
    _mm512_mask_storeu_ps(p, (__mmask16)mask, (__m512)vf_zip_low(v, v));
    if (lanes > VF_LANES / 2)
        _mm512_mask_storeu_ps(p + VF_LANES, (__mmask16)(mask >> VF_LANES), (__m512)vf_zip_high(v, v));
#else
    vf_store_strided(p, 2, v, lanes);
#endif
}

/* Per lane: mask (all bits or none) ? a : b. */
CVL_INLINE vf vf_select(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }

/* Per 32-bit lane: sum + the products of four unsigned bytes of a and signed bytes of b. Exact for every b while the
 * bytes of a are at most 127; beyond, levels without VNNI may saturate sums of two products at 16 bits. */
CVL_INLINE vi vi_dot_u8s8(vi sum, vi a, vi b)
{
#if defined(__AVX512VNNI__)
    return (vi)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
#elif defined(__AVX512BW__)
    const __m512i pairs = _mm512_maddubs_epi16((__m512i)a, (__m512i)b);
    return sum + (vi)_mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
#elif defined(__AVX2__)
    const __m256i pairs = _mm256_maddubs_epi16((__m256i)a, (__m256i)b);
    return sum + (vi)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#else
    typedef int16_t halves __attribute__((vector_size(CVL_VEC_BYTES)));
    const halves even = ((halves)a & 255) * (((halves)b << 8) >> 8);
    const halves odd = (((halves)a >> 8) & 255) * ((halves)b >> 8);
    return sum + (((vi)even << 16) >> 16) + ((vi)even >> 16) + (((vi)odd << 16) >> 16) + ((vi)odd >> 16);
#endif
}

CVL_INLINE float vf_sum(vf v)
{
    float sum = 0;
    for (int i = 0; i < VF_LANES; i++)
        sum += v[i];
    return sum;
}

#endif
