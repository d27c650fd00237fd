/* SPDX-License-Identifier: Apache-2.0
 * Seven rows of a tile, or vectors, are reached from one pointer: an address may scale a register by 2 and 4, so three
 * multiples of the stride are enough. The compiler is made to forget in every step what these are: it would rather hold
 * a pointer to each, and keep those that find no register where fetching them waits for the sums. */
#ifndef GEMM_TILE_REACH_H
#define GEMM_TILE_REACH_H

#include "base/vec.h"

enum { CVL_TILE_REACH = 7 };

struct cvl_tile_strides { ptrdiff_t by_1, by_3, by_5; };      /* in bytes */

CVL_INLINE struct cvl_tile_strides cvl_tile_strides(ptrdiff_t elements)
{
    const ptrdiff_t bytes = elements * (ptrdiff_t)sizeof(float);
    return (struct cvl_tile_strides){ bytes, 3 * bytes, 5 * bytes };
}

CVL_INLINE void cvl_tile_forget(struct cvl_tile_strides *strides, const int count)
{
    strides->by_1 = count > 1 ? cvl_opaque(strides->by_1) : 0;
    strides->by_3 = count > 3 ? cvl_opaque(strides->by_3) : 0;
    strides->by_5 = count > 5 ? cvl_opaque(strides->by_5) : 0;
}

CVL_INLINE const float *cvl_tile_reach(const float *first, struct cvl_tile_strides stride, const int i)
{
    const ptrdiff_t by[CVL_TILE_REACH] = { 0, stride.by_1, 2 * stride.by_1, stride.by_3, 4 * stride.by_1, stride.by_5,
                                           2 * stride.by_3 };
    return (const float *)((const char *)first + by[i]);
}

#endif
