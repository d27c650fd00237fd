/* SPDX-License-Identifier: Apache-2.0
 * A band that is brought in the shadow of the products of its first rows. Bringing it first took 3 to 12 % longer, and
 * a part with each tile was no better. The pointers must stay in registers: their stores filled the store queue (56x56,
 * stride 2: 0.47 for 0.34 ms). Fetching it into a cache before that changed nothing. Only *_kern.c files include it. */
#ifndef CONV_DEPTHWISE_GROUPED_BRING_H
#define CONV_DEPTHWISE_GROUPED_BRING_H

#include "base/vec.h"
#include "conv/depthwise/grouped.h"

CVL_INLINE void bring(struct cvl_group_ahead *ahead, int points)
{
    const float *from = ahead->from;
    float *to = ahead->to;
    const int lanes = ahead->lanes;
    points = cvl_min(points, ahead->left);
    for (int i = 0; i < points; i++, from += ahead->from_point, to += lanes) {
        vf_store(to, vf_load(from));
        for (int j = VF_LANES; j < lanes; j += VF_LANES)
            vf_store(to + j, vf_load(from + j));
    }
    ahead->from = from;
    ahead->to = to;
    ahead->left -= points;
}

/* All points up to the end of this row of inputs. */
static __attribute__((noinline, unused)) void bring_row(const struct cvl_group_sum *s, int row)
{
    struct cvl_group_ahead *ahead = s->ahead;
    if (ahead->left == 0)
        return;
    const ptrdiff_t points = (s->walk.x + row * s->walk.rows.x - ahead->to) / ahead->lanes + ahead->columns;
    if (points > 0)
        bring(ahead, (int)points);
}

#endif
