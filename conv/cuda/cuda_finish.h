/* SPDX-License-Identifier: Apache-2.0
 * What happens to a sum before it is stored: act(sum + bias + residual) in f32, rounded once to the type of the written
 * tensor. The same code on the device and in the tests. */
#ifndef CONV_CUDA_CUDA_FINISH_H
#define CONV_CUDA_CUDA_FINISH_H

#include "conv/cuda/cuda_gather.h"
#include "cvl/conv.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#else
#include "base/dtype.h"
#endif

struct cvl_finish {
    void        *out;
    const void  *residual;   /* like out, or NULL */
    const float *bias;       /* one for each channel, or NULL */
    cvl_dtype    type;
    cvl_act      act;
    float        lo, hi;
};

CVL_HD struct cvl_finish cvl_finish_of(const cvl_conv_desc *desc, const cvl_conv_args *args, cvl_dtype type, void *out)
{
    struct cvl_finish finish;
    finish.out = out;
    finish.residual = args->residual;
    finish.bias = (const float *)args->bias;
    finish.type = type;
    finish.act = desc->epi.act;
    finish.lo = desc->epi.lo;
    finish.hi = desc->epi.hi;
    return finish;
}

/* A NaN fails every comparison and is handed on. */
CVL_HD float cvl_finish_clip(float v, float lo, float hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

CVL_HD float cvl_finish_activate(const struct cvl_finish *f, float v)
{
    switch (f->act) {
    case CVL_ACT_RELU:      return v < 0.0f ? 0.0f : v;
    case CVL_ACT_RELU6:     return cvl_finish_clip(v, 0.0f, 6.0f);
    case CVL_ACT_CLIP:      return cvl_finish_clip(v, f->lo, f->hi);
    case CVL_ACT_SILU:      return v / (1.0f + expf(-v));
    case CVL_ACT_HARDSWISH: return v * cvl_finish_clip(v + 3.0f, 0.0f, 6.0f) / 6.0f;
    case CVL_ACT_GELU:      return v * (0.5f * erfcf(v * -0.70710678f));
    default:                return v;
    }
}

CVL_HD float cvl_load_float(cvl_dtype type, const void *tensor, int64_t at)
{
#ifdef __CUDA_ARCH__
    if (type == CVL_BF16)
        return __bfloat162float(((const __nv_bfloat16 *)tensor)[at]);
    if (type == CVL_F16)
        return __half2float(((const __half *)tensor)[at]);
    return ((const float *)tensor)[at];
#elif defined(__CUDACC__)
    return ((const float *)tensor)[at];   /* the host pass of nvcc never runs this */
#else
    return (float)cvl_dtype_load(type, tensor, (size_t)at);
#endif
}

CVL_HD void cvl_store_float(cvl_dtype type, void *tensor, int64_t at, float value)
{
#ifdef __CUDA_ARCH__
    if (type == CVL_BF16)
        ((__nv_bfloat16 *)tensor)[at] = __float2bfloat16_rn(value);
    else if (type == CVL_F16)
        ((__half *)tensor)[at] = __float2half_rn(value);
    else
        ((float *)tensor)[at] = value;
#elif defined(__CUDACC__)
    ((float *)tensor)[at] = value;
#else
    cvl_dtype_store(type, tensor, (size_t)at, value);
#endif
}

/* What is stored as element `at`, of this channel of what is written. */
CVL_HD float cvl_finish_value(const struct cvl_finish *f, int at, int channel, float sum)
{
    if (f->bias)
        sum += f->bias[channel];
    if (f->residual)
        sum += cvl_load_float(f->type, f->residual, at);
    return cvl_finish_activate(f, sum);
}

CVL_HD void cvl_finish_store(const struct cvl_finish *f, int at, int channel, float sum)
{
    cvl_store_float(f->type, f->out, at, cvl_finish_value(f, at, channel, sum));
}

/* Elements at to at + 3, of four channels, as one vector: at is a multiple of four and the tensor aligned likewise. */
CVL_HD void cvl_finish_store_four(const struct cvl_finish *f, int at, int channel, const float *sums)
{
    float v[4];
    for (int i = 0; i < 4; i++)
        v[i] = cvl_finish_value(f, at + i, channel + i, sums[i]);
#ifdef __CUDA_ARCH__
    if (f->type == CVL_F32) {
        ((float4 *)f->out)[at / 4] = make_float4(v[0], v[1], v[2], v[3]);
        return;
    }
    union { __nv_bfloat162 bf16[2]; __half2 f16[2]; uint2 bits; } pack;
    if (f->type == CVL_BF16) {
        pack.bf16[0] = __floats2bfloat162_rn(v[0], v[1]);
        pack.bf16[1] = __floats2bfloat162_rn(v[2], v[3]);
    } else {
        pack.f16[0] = __floats2half2_rn(v[0], v[1]);
        pack.f16[1] = __floats2half2_rn(v[2], v[3]);
    }
    ((uint2 *)f->out)[at / 4] = pack.bits;
#else
    assert(at % 4 == 0);
    for (int i = 0; i < 4; i++)
        cvl_store_float(f->type, f->out, at + i, v[i]);
#endif
}

#endif
