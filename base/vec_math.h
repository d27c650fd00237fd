/* SPDX-License-Identifier: Apache-2.0
 * exp, erfc and the activations on vectors, for the epilogues of *_kern.c files. */
#ifndef BASE_VEC_MATH_H
#define BASE_VEC_MATH_H

#include "base/vec.h"
#include "cvl/base.h"

CVL_INLINE vf vf_min(vf a, vf b) { return vf_select(a < b, a, b); }   /* b when either is NaN */
CVL_INLINE vf vf_max(vf a, vf b) { return vf_select(a > b, a, b); }

/* min(max(v, lo), hi) that hands a NaN on. */
CVL_INLINE vf vf_clip(vf v, vf lo, vf hi) { return vf_select(v < lo, lo, vf_select(v > hi, hi, v)); }

/* 2^n for n in -252 to 254, in two factors, so that results below 2^-126 and infinity come out right. */
CVL_INLINE vf vf_scale(vf v, vi n)
{
    const vi half = n >> 1;
    return v * (vf)((half + 127) << 23) * (vf)((n - half + 127) << 23);
}

/* exp by 2^n * exp(f), f in +-ln2/2, with the two-part ln2 of Cody and Waite (1980) and a minimax polynomial (relative
 * error 1.2e-8 before rounding); overflows to infinity, underflows through the denormals to zero, hands a NaN on. */
CVL_INLINE vf vf_exp(vf x)
{
    const vf shift = vf_set(0x1.8p23f);   /* leaves the nearest whole number in the lowest bits */
    const vf clipped = vf_clip(x, vf_set(-104.0f), vf_set(89.0f));
    const vf shifted = clipped * 1.44269504f + shift;
    const vf n = shifted - shift;
    const vf f = (clipped - n * 0x1.63p-1f) - n * -2.12194440e-4f;
    vf p = f * 1.38368507e-3f + 8.37481577e-3f;
    p = p * f + 4.16682255e-2f;
    p = p * f + 1.66664202e-1f;
    p = p * f + 4.99999921e-1f;
    p = p * f + 1.0f;
    p = p * f + 1.0f;
    return vf_scale(p, (vi)shifted - (vi)shift);
}

/* erfc by exp(-x^2) * t * P(t), t = 1 / (1 + 3/8 |x|), P minimax on |x| <= 9.6 (relative error 1.2e-8 before rounding).
 * What the rounding of x^2 costs is relative to the small result for x > 0, where 1 - erf would lose everything. */
CVL_INLINE vf vf_erfc(vf x)
{
    const vf magnitude = vf_select(x < vf_zero(), -x, x);
    const vf t = 1.0f / (0.375f * magnitude + 1.0f);
    vf p = t * 6.16966070e-2f - 2.88075339e-1f;
    p = p * t + 4.33893688e-1f;
    p = p * t - 2.31076313e-1f;
    p = p * t + 2.74844042e-1f;
    p = p * t + 1.21038997e-1f;
    p = p * t + 2.05430414e-1f;
    p = p * t + 2.10633501e-1f;
    p = p * t + 2.11614415e-1f;
    const vf upper = p * t * vf_exp(-magnitude * magnitude);
    return vf_select(x < vf_zero(), 2.0f - upper, upper);
}

/* 1 / (1 + exp(-x)), by an exponential that cannot overflow. */
CVL_INLINE vf vf_sigmoid(vf x)
{
    const vf e = vf_exp(vf_select(x < vf_zero(), x, -x));
    return vf_select(x < vf_zero(), e, vf_set(1)) / (1.0f + e);
}

CVL_INLINE vf vf_activate(vf v, cvl_act act, float lo, float hi)
{
    switch (act) {
    case CVL_ACT_NONE:      return v;
    case CVL_ACT_RELU:      return vf_select(v < vf_zero(), vf_zero(), v);
    case CVL_ACT_RELU6:     return vf_clip(v, vf_zero(), vf_set(6));
    case CVL_ACT_CLIP:      return vf_clip(v, vf_set(lo), vf_set(hi));
    case CVL_ACT_SILU:      return v * vf_sigmoid(v);
    case CVL_ACT_HARDSWISH: return v * (vf_clip(v + 3.0f, vf_zero(), vf_set(6)) * (1.0f / 6));
    case CVL_ACT_GELU:      return v * (0.5f * vf_erfc(v * -0.707106781f));
    }
    return v;
}

#endif
