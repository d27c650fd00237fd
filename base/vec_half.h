/* SPDX-License-Identifier: Apache-2.0
 * Half a vector: the lower lanes. */
#ifndef BASE_VEC_HALF_H
#define BASE_VEC_HALF_H

#include "base/vec.h"

typedef float vh __attribute__((vector_size(CVL_VEC_BYTES / 2)));
typedef float vh_unaligned __attribute__((vector_size(CVL_VEC_BYTES / 2), aligned(4), may_alias));

CVL_INLINE vh   vh_load(const float *p) { return *(const vh_unaligned *)p; }
CVL_INLINE void vh_store(float *p, vh v) { *(vh_unaligned *)p = v; }

/* As vf_keep. */
CVL_INLINE vh vh_keep(vh v)
{
#if defined(__AVX__)
    __asm__("" : "+v"(v));
#endif
    return v;
}

#if VF_LANES == 16
CVL_INLINE vh vf_half(vf v) { return __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7); }
CVL_INLINE vf vh_join(vh low, vh high)
{
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
#elif VF_LANES == 8
CVL_INLINE vh vf_half(vf v) { return __builtin_shufflevector(v, v, 0, 1, 2, 3); }
CVL_INLINE vf vh_join(vh low, vh high) { return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7); }
#else
CVL_INLINE vh vf_half(vf v) { return __builtin_shufflevector(v, v, 0, 1); }
CVL_INLINE vf vh_join(vh low, vh high) { return __builtin_shufflevector(low, high, 0, 1, 2, 3); }
#endif

#endif
