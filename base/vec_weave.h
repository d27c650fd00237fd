/* SPDX-License-Identifier: Apache-2.0
 * Runs of 1, 2, 3, 4, 6 or 8 vectors woven into one, as planes of an image into pixels. */
#ifndef BASE_VEC_WEAVE_H
#define BASE_VEC_WEAVE_H

#include "base/vec.h"

#define VF_WEAVE_MOST 8

#ifdef __clang__
#define VF_UNROLL _Pragma("unroll")
#else
#define VF_UNROLL _Pragma("GCC unroll 8")
#endif

/* `count` vectors become one run: element 0 of all of them, element 1, ... Zipping vector i with vector i + count/2
 * halves what is left to do. */
CVL_INLINE void vf_weave(const int count, vf rows[VF_WEAVE_MOST])
{
    vf was[VF_WEAVE_MOST];
    VF_UNROLL
    for (int bit = 1; bit < (count & -count); bit *= 2) {
        VF_UNROLL
        for (int i = 0; i < count; i++)
            was[i] = rows[i];
        VF_UNROLL
        for (int i = 0; i < count / 2; i++) {
            rows[2 * i] = vf_zip_low(was[i], was[i + count / 2]);
            rows[2 * i + 1] = vf_zip_high(was[i], was[i + count / 2]);
        }
    }
    VF_UNROLL
    for (int i = 0; i < count; i++)
        was[i] = rows[i];
    if (count == 3)
        vf_zip3(was[0], was[1], was[2], rows);
    if (count == 6) {
        vf_zip3(was[0], was[2], was[4], rows);
        vf_zip3(was[1], was[3], was[5], rows + 3);
    }
}

#endif
