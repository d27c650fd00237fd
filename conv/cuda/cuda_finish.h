/* SPDX-License-Identifier: Apache-2.0
 * What happens to a sum before it is stored: act(sum + bias + residual) in f32, rounded once to the type of the written
 * tensor. The same code on the device and in the tests.
 *
 * A thread stores many sums, so the choice of the activation must not stand in their midst: none, relu, relu6 and clip
 * are one clip to bounds that the host has set, and the curves are called, once the sums are known to need one. */
#ifndef CONV_CUDA_CUDA_FINISH_H
#define CONV_CUDA_CUDA_FINISH_H

#include "conv/cuda/cuda_vector.h"

#include <math.h>

struct cvl_finish {
    void        *out;
    const void  *residual;   /* like out, or NULL */
    const float *bias;       /* one for each channel, or NULL */
    cvl_dtype    type;
    cvl_act      curve;      /* SILU, HARDSWISH, GELU, or NONE */
    float        lo, hi;
    int          clips;      /* are lo and hi bounds at all? */
    int          plain;      /* is a sum stored as it is? */
};

CVL_HD struct cvl_finish cvl_finish_of(const cvl_conv_desc *desc, const cvl_conv_args *args, cvl_dtype type, void *out)
{
    const cvl_act act = desc->epi.act;
    struct cvl_finish finish;
    finish.out = out;
    finish.residual = args->residual;
    finish.bias = (const float *)args->bias;
    finish.type = type;
    finish.curve = act == CVL_ACT_SILU || act == CVL_ACT_HARDSWISH || act == CVL_ACT_GELU ? act : CVL_ACT_NONE;
    finish.lo = act == CVL_ACT_CLIP ? desc->epi.lo : act == CVL_ACT_RELU || act == CVL_ACT_RELU6 ? 0.0f : -INFINITY;
    finish.hi = act == CVL_ACT_CLIP ? desc->epi.hi : act == CVL_ACT_RELU6 ? 6.0f : INFINITY;
    finish.clips = finish.lo > -INFINITY || finish.hi < INFINITY;
    finish.plain = !finish.bias && !finish.residual && finish.curve == CVL_ACT_NONE && !finish.clips;
    return finish;
}

/* May vectors of `count` be stored, and a residual loaded likewise? */
CVL_HD int cvl_finish_is_aligned(const struct cvl_finish *f, int count)
{
    const uintptr_t bytes = (uintptr_t)(count * cvl_vector_size(f->type)), most = bytes > 16 ? 16 : bytes;
    return (uintptr_t)f->out % most == 0 && (uintptr_t)f->residual % most == 0;
}

/* A NaN is handed on. */
CVL_HD float cvl_finish_clip(float v, float lo, float hi)
{
#ifdef __CUDA_ARCH__
    float raised, clipped;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(raised) : "f"(v), "f"(lo));
    asm("min.NaN.f32 %0, %1, %2;" : "=f"(clipped) : "f"(raised), "f"(hi));
    return clipped;
#else
    return v < lo ? lo : v > hi ? hi : v;
#endif
}

#ifdef __CUDACC__
static __host__ __device__ __noinline__ __attribute__((unused))
#else
static inline
#endif
float cvl_finish_curve(cvl_act curve, float v)
{
    switch (curve) {
    case CVL_ACT_SILU:      return v / (1.0f + expf(-v));
    case CVL_ACT_HARDSWISH: return v * cvl_finish_clip(v + 3.0f, 0.0f, 6.0f) / 6.0f;
    case CVL_ACT_GELU:      return v * (0.5f * erfcf(v * -0.70710678f));
    default:                return v;
    }
}

/* Those of neighbouring channels, zeros without a bias. */
CVL_HD void cvl_finish_bias(const struct cvl_finish *f, int channel, int count, float *bias)
{
    CVL_UNROLL_ALL
    for (int i = 0; i < count; i++)
        bias[i] = f->bias ? f->bias[channel + i] : 0.0f;
}

/* act(sum + bias + residual) of elements at to at + count - 1, in place. */
CVL_HD void cvl_finish_values(const struct cvl_finish *f, int at, int count, const float *bias, float *v)
{
    float residual[8];
    CVL_UNROLL_ALL
    for (int i = 0; i < count; i++)
        v[i] += bias[i];
    if (f->residual) {
        cvl_vector_load(f->type, f->residual, at, count, residual);
        CVL_UNROLL_ALL
        for (int i = 0; i < count; i++)
            v[i] += residual[i];
    }
    if (f->curve != CVL_ACT_NONE)
        CVL_UNROLL_ALL
        for (int i = 0; i < count; i++)
            v[i] = cvl_finish_curve(f->curve, v[i]);
    if (f->clips)
        CVL_UNROLL_ALL
        for (int i = 0; i < count; i++)
            v[i] = cvl_finish_clip(v[i], f->lo, f->hi);
}

/* Stores the sums of elements at to at + count - 1: a vector (cuda_vector.h). */
CVL_HD void cvl_finish_store(const struct cvl_finish *f, int at, int count, const float *sums, const float *bias)
{
    float v[8];
    CVL_UNROLL_ALL
    for (int i = 0; i < count; i++)
        v[i] = sums[i];
    if (!f->plain)
        cvl_finish_values(f, at, count, bias, v);
    cvl_vector_store(f->type, f->out, at, count, v);
}

#endif
