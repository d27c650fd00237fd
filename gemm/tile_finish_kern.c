/* SPDX-License-Identifier: Apache-2.0
 * What comes after the sums of a tile whose elements lie apart, or whose activation needs registers. */
#include "gemm/tile_kern.h"

/* Row i of the tile, finished but not yet stored: `lanes` elements from sums on, in place. */
static void finish_row(const struct cvl_tile *t, float *sums, ptrdiff_t i, int lanes)
{
    const float *add = t->add ? t->add + i * t->out_row : NULL;
    for (int j = 0; j < lanes; j += VF_LANES) {
        const int part = lanes - j < VF_LANES ? lanes - j : VF_LANES;
        vf sum = vf_load(sums + j);
        if (add)
            sum += t->out_lane == 1 ? vf_load_part(add + j, part)
                                    : vf_load_strided(add + j * t->out_lane, t->out_lane, part);
        if (t->bias && t->bias_lane)
            sum += vf_load_part(t->bias + j, part);
        else if (t->bias)
            sum += vf_set(t->bias[i]);
        vf_store(sums + j, vf_activate(sum, t->act, t->lo, t->hi));
    }
}

/* Columns of elements one or two apart: VF_LANES of them at a time, after a transpose. */
static void finish_columns(const struct cvl_tile *t, ptrdiff_t row, const float *sums, ptrdiff_t sums_row, int lanes)
{
    float *out = t->out + row * t->out_row;
    const float *add = t->add ? t->add + row * t->out_row : NULL, *bias = t->bias ? t->bias + row * t->bias_row : NULL;
    for (int i = 0; i < t->rows; i += VF_LANES)
        for (int j = 0; j < lanes; j += VF_LANES) {
            const int rows = t->rows - i < VF_LANES ? t->rows - i : VF_LANES;
            const int columns = lanes - j < VF_LANES ? lanes - j : VF_LANES;
            vf block[VF_LANES];
            for (int r = 0; r < VF_LANES; r++)
                block[r] = r < rows ? vf_load(sums + (i + r) * sums_row + j) : vf_zero();
            vf_transpose(block);
            const vf by_row = bias && t->bias_row ? vf_load_part(bias + i, rows) : vf_zero();
            for (int c = 0; c < columns; c++) {
                const ptrdiff_t at = (j + c) * t->out_lane + i * t->out_row;
                vf sum = block[c];
                if (add)
                    sum += t->out_row == 1 ? vf_load_part(add + at, rows) : vf_load_even(add + at, rows);
                if (bias)
                    sum += t->bias_lane ? vf_set(bias[j + c]) : by_row;
                sum = vf_activate(sum, t->act, t->lo, t->hi);
                if (t->out_row == 1)
                    vf_store_part(out + at, sum, rows);
                else
                    vf_store_even(out + at, sum, rows);
            }
        }
}

void CVL_KERN(cvl_tile_finish_at)(const struct cvl_tile *t, ptrdiff_t first, const float *sums, ptrdiff_t sums_row)
{
    const int lanes = (t->vectors - 1) * VF_LANES + t->last;
    if (t->out_row <= 2 && t->out_lane > 2) {
        finish_columns(t, first, sums, sums_row, lanes);
        return;
    }
    for (int i = 0; i < t->rows; i++) {
        float row[CVL_TILE_VECTORS * VF_LANES];
        for (int j = 0; j < t->vectors; j++)
            vf_store(row + j * VF_LANES, vf_load(sums + i * sums_row + j * VF_LANES));
        finish_row(t, row, first + i, lanes);
        float *out = t->out + (first + i) * t->out_row;
        if (t->out_lane == 2)
            for (int j = 0; j < lanes; j += VF_LANES)
                vf_store_even(out + 2 * j, vf_load(row + j), at_most(lanes - j, VF_LANES));
        else
            for (int j = 0; j < lanes; j++)
                out[j * t->out_lane] = row[j];
    }
}

void CVL_KERN(cvl_tile_finish)(const struct cvl_tile *t, const float *sums, ptrdiff_t sums_row)
{
    CVL_KERN(cvl_tile_finish_at)(t, 0, sums, sums_row);
}
