/* SPDX-License-Identifier: Apache-2.0
 * act(sum + bias + residual) where the sums are in registers. Only *_kern.c files include it. */
#ifndef CONV_DEPTHWISE_GROUPED_FINISH_H
#define CONV_DEPTHWISE_GROUPED_FINISH_H

#include "base/vec_math.h"
#include "conv/depthwise/grouped.h"

#include <math.h>

/* Activations that are not a minimum and a maximum follow in place: they need registers. */
CVL_INLINE bool clips(const struct cvl_group_finish *finish, float *lo, float *hi)
{
    *lo = finish->act == CVL_ACT_NONE ? -INFINITY : finish->act == CVL_ACT_CLIP ? finish->lo : 0;
    *hi = finish->act == CVL_ACT_CLIP ? finish->hi : finish->act == CVL_ACT_RELU6 ? 6 : INFINITY;
    return finish->act <= CVL_ACT_CLIP;
}

static __attribute__((noinline, unused)) void activate(const struct cvl_group_finish *finish, float *out, int lanes)
{
    for (; lanes > 0; lanes -= VF_LANES, out += VF_LANES) {
        const int n = lanes < VF_LANES ? lanes : VF_LANES;
        vf_store_part(out, vf_activate(vf_load_part(out, n), finish->act, finish->lo, finish->hi), n);
    }
}

/* What is rare: a residual, or an activation that needs registers. `count` points of a row, the first one at out[at]. */
static __attribute__((noinline, unused)) void finish_apart(const struct cvl_group_sum *s, const float *sums, int count,
                                                           ptrdiff_t at)
{
    const struct cvl_group_finish *finish = &s->finish;
    const int lanes = s->walk.lanes;
    for (int t = 0; t < count; t++, at += s->walk.columns.out) {
        vf sum = vf_load(sums + t * VF_LANES);
        if (s->residual)
            sum += vf_load_part(s->residual + at, lanes);
        vf_store_part(s->out + at, vf_activate(sum, finish->act, finish->lo, finish->hi), lanes);
    }
}

#endif
