/* SPDX-License-Identifier: Apache-2.0
 * Rows of 3 x 3 taps with columns along the lanes: some vectors of positions side by side, what of their columns is
 * inside of the image, and how they are loaded. Only *_kern.c files include it. */
#ifndef CONV_DEPTHWISE_DEPTHWISE_EDGES_H
#define CONV_DEPTHWISE_DEPTHWISE_EDGES_H

#include "conv/depthwise/depthwise_run.h"

enum { VECTORS = 4, TAPS = 3, LIVE = 3 };      /* side by side; rows of outputs that a row of the image may meet */

/* What an instance of the template is made for. rare: of a residual, or of an activation that needs registers. */
struct shape { int vectors, stride; bool rare; };

/* What is inside of the image, of the first vector's loads and of the last one's, for each of them: the vectors at
 * taps 0, 1, 2; or with a stride of two the lower and upper half of the columns, and the one column after these. */
struct edges { vf_lanes first[TAPS], last[TAPS]; };

CVL_INLINE vf load(const struct shape shape, const struct edges *edges, int v, int part, const float *x)
{
    return v == shape.vectors - 1 ? vf_load_lanes(x, edges->last[part])
         : v == 0 ? vf_load_lanes(x, edges->first[part]) : vf_load(x);
}

/* The columns under the three taps of a row, for vector v. */
CVL_INLINE void load_taps(const struct shape shape, const struct edges *edges, int v, const float *x, vf values[TAPS])
{
    x += v * VF_LANES * shape.stride;
    if (shape.stride == 1) {
        CVL_UNROLL(40)
        for (int s = 0; s < TAPS; s++)
            values[s] = vf_keep(load(shape, edges, v, s, x + s));
    } else {
        const vf low = load(shape, edges, v, 0, x), high = load(shape, edges, v, 1, x + VF_LANES);
        const vf after = load(shape, edges, v, 2, x + VF_LANES + 1);
        vf_part_pairs(low, high, &values[0], &values[1]);
        values[2] = vf_follow_pairs(values[0], after);
    }
}

/* Lanes of a vector, the first at `column`, that are inside. */
CVL_INLINE vf_lanes lanes_inside(const struct cvl_dw_axis *columns, int column)
{
    const int to = cvl_min(cvl_max(0, columns->extent - column), VF_LANES);
    return vf_lanes_of(cvl_min(cvl_max(0, -column), to), to);
}

CVL_INLINE struct edges edges_of(const struct cvl_dw_axis *columns, const struct shape shape, int column)
{
    const int last = column + (shape.vectors - 1) * VF_LANES * shape.stride;
    struct edges edges;
    for (int part = 0; part < TAPS; part++) {
        const int at = shape.stride == 1 ? part : part == 2 ? VF_LANES + 1 : part * VF_LANES;
        edges.first[part] = lanes_inside(columns, column + at);
        edges.last[part] = lanes_inside(columns, last + at);
    }
    return edges;
}

#endif
