/* SPDX-License-Identifier: Apache-2.0
 * Bias, residual and activation on runs of contiguous floats. */
#include "base/cpu.h"
#include "base/vec_math.h"
#include "conv/epilogue.h"

/* A run with one number added to all of it, or one to each element; residual NULL: zero. */
CVL_INLINE void fill_run(float *out, const float *residual, const float *bias, float constant, int length)
{
    int i = 0;
    for (; i <= length - VF_LANES; i += VF_LANES) {
        const vf sum = bias ? vf_load(bias + i) : vf_set(constant);
        vf_store(out + i, residual ? vf_load(residual + i) + sum : sum);
    }
    if (i < length) {
        const int lanes = length - i;
        const vf sum = bias ? vf_load_part(bias + i, lanes) : vf_set(constant);
        vf_store_part(out + i, residual ? vf_load_part(residual + i, lanes) + sum : sum, lanes);
    }
}

static void prefill(const struct cvl_epilogue_block *block)
{
    for (int run = 0; run < block->runs; run++) {
        const ptrdiff_t at = run * block->stride;
        fill_run(block->out + at, block->residual ? block->residual + at : NULL,
                 block->bias_by_run ? NULL : block->bias,
                 block->bias && block->bias_by_run ? block->bias[run] : 0, block->length);
    }
}

CVL_INLINE void activate(const struct cvl_epilogue_block *block, cvl_act act, float lo, float hi)
{
    for (int run = 0; run < block->runs; run++) {
        float *out = block->out + run * block->stride;
        int i = 0;
        for (; i <= block->length - VF_LANES; i += VF_LANES)
            vf_store(out + i, vf_activate(vf_load(out + i), act, lo, hi));
        if (i < block->length) {
            const int lanes = block->length - i;
            vf_store_part(out + i, vf_activate(vf_load_part(out + i, lanes), act, lo, hi), lanes);
        }
    }
}

/* One copy of the loop for each activation, so that none is chosen per vector. */
static void none(const struct cvl_epilogue_block *block, float lo, float hi) {}
static void relu(const struct cvl_epilogue_block *block, float lo, float hi)
{
    activate(block, CVL_ACT_RELU, lo, hi);
}
static void relu6(const struct cvl_epilogue_block *block, float lo, float hi)
{
    activate(block, CVL_ACT_RELU6, lo, hi);
}
static void clip(const struct cvl_epilogue_block *block, float lo, float hi)
{
    activate(block, CVL_ACT_CLIP, lo, hi);
}
static void silu(const struct cvl_epilogue_block *block, float lo, float hi)
{
    activate(block, CVL_ACT_SILU, lo, hi);
}
static void hardswish(const struct cvl_epilogue_block *block, float lo, float hi)
{
    activate(block, CVL_ACT_HARDSWISH, lo, hi);
}
static void gelu(const struct cvl_epilogue_block *block, float lo, float hi)
{
    activate(block, CVL_ACT_GELU, lo, hi);
}

extern const struct cvl_epilogue_kern CVL_KERN(cvl_epilogue_kern);
const struct cvl_epilogue_kern CVL_KERN(cvl_epilogue_kern) = {
    .prefill = prefill,
    .activate = {
        [CVL_ACT_NONE] = none, [CVL_ACT_RELU] = relu, [CVL_ACT_RELU6] = relu6, [CVL_ACT_CLIP] = clip,
        [CVL_ACT_SILU] = silu, [CVL_ACT_HARDSWISH] = hardswish, [CVL_ACT_GELU] = gelu,
    },
};
