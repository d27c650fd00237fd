/* SPDX-License-Identifier: Apache-2.0
 * A tile of sums is written. Only grouped_kern.c includes it. */
#ifndef CONV_DEPTHWISE_GROUPED_STORE_H
#define CONV_DEPTHWISE_GROUPED_STORE_H

#include "conv/depthwise/grouped_finish.h"
#include "conv/depthwise/grouped_walk.h"

/* From lane `first` of each output on. */
CVL_INLINE void store_tile(const struct cvl_group_sum *s, const struct shape shape, int t, int first, const bool whole,
                           const vf *sums)
{
    const ptrdiff_t row = s->walk.rows.out, column = s->walk.columns.out;
    const int lanes = s->walk.lanes;
    CVL_UNROLL(16)
    for (int p = 0; p < shape.rows; p++) {
        float *out = s->out + p * row + t * column + first;
        CVL_UNROLL(16)
        for (int q = 0; q < shape.columns; q++, out += column)
            if (whole)
                vf_store(out, sums[p * COLUMNS + q]);
            else
                vf_store_part(out, sums[p * COLUMNS + q], lanes);
    }
}

CVL_INLINE void finish_tile(const struct cvl_group_sum *s, const struct shape shape, int t, int first, vf *sums)
{
    const struct cvl_group_finish *finish = &s->finish;
    const int tile = (shape.rows - 1) * COLUMNS + shape.columns;
    float lo, hi;
    const bool clipped = clips(finish, &lo, &hi);
    if (finish->bias) {
        const vf bias = vf_load_part(finish->bias + first, s->walk.lanes);
        CVL_UNROLL(16)
        for (int i = 0; i < tile; i++)
            sums[i] += bias;
    }
    if (s->residual || !clipped) {
        float scratch[TILE * VF_LANES];
        CVL_UNROLL(16)
        for (int i = 0; i < tile; i++)
            vf_store(scratch + i * VF_LANES, sums[i]);
        for (int p = 0; p < shape.rows; p++)
            finish_apart(s, scratch + p * COLUMNS * VF_LANES, shape.columns,
                         p * s->walk.rows.out + t * s->walk.columns.out + first);
        return;
    }
    if (finish->act != CVL_ACT_NONE) {
        const vf low = vf_set(lo), high = vf_set(hi);
        CVL_UNROLL(16)
        for (int i = 0; i < tile; i++)
            sums[i] = vf_clip(sums[i], low, high);
    }
    if (s->walk.lanes == VF_LANES)
        store_tile(s, shape, t, first, true, sums);
    else
        store_tile(s, shape, t, first, false, sums);
}

#endif
