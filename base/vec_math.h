/* SPDX-License-Identifier: Apache-2.0
 * exp, erf and the activations on vectors, for the epilogues of *_kern.c files. */
#ifndef BASE_VEC_MATH_H
#define BASE_VEC_MATH_H

#include "base/vec.h"
#include "cvl/base.h"

CVL_INLINE vf vf_min(vf a, vf b) { return vf_select(a < b, a, b); }   /* b when either is NaN */
CVL_INLINE vf vf_max(vf a, vf b) { return vf_select(a > b, a, b); }

/* min(max(v, lo), hi) that hands a NaN on. */
CVL_INLINE vf vf_clip(vf v, vf lo, vf hi) { return vf_select(v < lo, lo, vf_select(v > hi, hi, v)); }

/* exp by 2^n * exp(f), f in +-ln2/2, with the two-part ln2 of Cody and Waite (1980) and Taylor's polynomial of degree 6
 * (its remainder is 1.2e-7 relative); overflows to infinity, underflows to zero, hands a NaN on. */
CVL_INLINE vf vf_exp(vf x)
{
    const vf shift = vf_set(0x1.8p23f);
    const vf clipped = vf_clip(x, vf_set(-87.0f), vf_set(88.0f));
    const vf n = (clipped * 1.44269504f + shift) - shift;
    const vf f = (clipped - n * 0x1.63p-1f) - n * -2.12194440e-4f;
    vf p = f * (1.0f / 720) + (1.0f / 120);
    p = p * f + (1.0f / 24);
    p = p * f + (1.0f / 6);
    p = p * f + 0.5f;
    p = p * f + 1.0f;
    p = p * f + 1.0f;
    const vi exponent = (__builtin_convertvector(n, vi) + 127) << 23;
    const vf scaled = p * (vf)exponent;
    const vf high = vf_select(x > vf_set(88.0f), vf_set(__builtin_inff()), scaled);
    const vf all = vf_select(x < vf_set(-87.0f), vf_zero(), high);
    return vf_select(x == x, all, x);
}

/* erf after Abramowitz and Stegun 7.1.26: absolute error 1.5e-7. */
CVL_INLINE vf vf_erf(vf x)
{
    const vf magnitude = vf_select(x < vf_zero(), -x, x);
    const vf t = 1.0f / (0.3275911f * magnitude + 1.0f);
    vf p = t * 1.061405429f - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    const vf upper = 1.0f - p * t * vf_exp(-magnitude * magnitude);
    return vf_select(x < vf_zero(), -upper, upper);
}

CVL_INLINE vf vf_activate(vf v, cvl_act act, float lo, float hi)
{
    switch (act) {
    case CVL_ACT_NONE:      return v;
    case CVL_ACT_RELU:      return vf_select(v < vf_zero(), vf_zero(), v);
    case CVL_ACT_RELU6:     return vf_clip(v, vf_zero(), vf_set(6));
    case CVL_ACT_CLIP:      return vf_clip(v, vf_set(lo), vf_set(hi));
    case CVL_ACT_SILU:      return v / (1.0f + vf_exp(-v));
    case CVL_ACT_HARDSWISH: return v * vf_clip(v + 3.0f, vf_zero(), vf_set(6)) * (1.0f / 6);
    case CVL_ACT_GELU:      return v * 0.5f * (1.0f + vf_erf(v * 0.707106781f));
    }
    return v;
}

#endif
