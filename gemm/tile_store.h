/* SPDX-License-Identifier: Apache-2.0
 * From the registers to rows of contiguous elements: bias, what is added, and an activation that a minimum and a
 * maximum can do. sums: (rows, vectors). */
#ifndef GEMM_TILE_STORE_H
#define GEMM_TILE_STORE_H

#include "gemm/tile_kern.h"

CVL_INLINE vf load_lanes(const float *p, int lanes)
{
    return lanes == VF_LANES ? vf_load(p) : vf_load_part(p, lanes);
}

CVL_INLINE void add_rows(const struct cvl_tile *t, ptrdiff_t row, const int rows, const int vectors, int last,
                         vf *sums)
{
    const float *add = t->add + row * t->out_row;
    CVL_UNROLL(32)
    for (int i = 0; i < rows; i++)
        CVL_UNROLL(32)
        for (int j = 0; j < vectors; j++)
            sums[i * vectors + j] += load_lanes(add + i * t->out_row + j * VF_LANES,
                                                j < vectors - 1 ? VF_LANES : last);
}

CVL_INLINE void add_bias(const struct cvl_tile *t, ptrdiff_t row, const int rows, const int vectors, int last,
                         vf *sums)
{
    const float *by_row = t->bias + row * t->bias_row;
    CVL_UNROLL(32)
    for (int j = 0; j < vectors; j++) {
        const vf bias = t->bias_lane ? load_lanes(t->bias + j * VF_LANES, j < vectors - 1 ? VF_LANES : last)
                                     : vf_zero();
        CVL_UNROLL(32)
        for (int i = 0; i < rows; i++)
            sums[i * vectors + j] += t->bias_lane ? bias : vf_set(by_row[i]);
    }
}

CVL_INLINE void clip_rows(const int rows, const int vectors, float lo, float hi, vf *sums)
{
    const vf low = vf_set(lo), high = vf_set(hi);
    CVL_UNROLL(32)
    for (int i = 0; i < rows * vectors; i++)
        sums[i] = vf_clip(sums[i], low, high);
}

/* Straight from the registers to rows of contiguous elements, from row `row` on; `last` is a constant where the last
 * vector is whole. */
CVL_INLINE void store_rows(const struct cvl_tile *t, ptrdiff_t row, const int rows, const int vectors, int last,
                           vf *sums)
{
    float lo, hi;
    if (t->bias)
        add_bias(t, row, rows, vectors, last, sums);
    if (t->add)
        add_rows(t, row, rows, vectors, last, sums);
    if (clips(t->act, t, &lo, &hi))
        clip_rows(rows, vectors, lo, hi, sums);
    const ptrdiff_t out_row = t->out_row;
    float *out = t->out + row * out_row;
    CVL_UNROLL(32)
    for (int i = 0; i < rows; i++, out += out_row) {
        CVL_UNROLL(32)
        for (int j = 0; j < vectors; j++)
            if (j < vectors - 1 || last == VF_LANES)
                vf_store(out + j * VF_LANES, sums[i * vectors + j]);
            else
                vf_store_part(out + j * VF_LANES, sums[i * vectors + j], last);
    }
}

#endif
