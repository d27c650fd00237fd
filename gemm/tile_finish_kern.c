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

/* Of columns of neighbours: what is written, added, and added to each lane, from one block on. */
struct columns { float *out; const float *add, *bias; ptrdiff_t apart; bool clip; float lo, hi; };

/* Bias and activation come before the transpose, where each takes one operation a vector, unless there is something to
 * add in between. */
CVL_INLINE void finish_block(const struct columns *c, const float *sums, ptrdiff_t sums_row, const int rows,
                             const int columns)
{
    const vf lo = vf_set(c->lo), hi = vf_set(c->hi), bias = c->bias ? vf_load_part(c->bias, columns) : vf_zero();
    const bool early = c->clip && !c->add, late = c->clip && c->add;
    vf block[VF_LANES];
    CVL_UNROLL(32)
    for (int i = 0; i < VF_LANES; i++)
        block[i] = vf_load(sums + at_most(i, rows - 1) * sums_row) + bias;
    if (early) {
        CVL_UNROLL(32)
        for (int i = 0; i < VF_LANES; i++)
            block[i] = vf_clip(block[i], lo, hi);
    }
    vf_transpose(block);
    CVL_UNROLL(32)
    for (int j = 0; j < VF_LANES; j++) {
        if (j >= columns)
            break;
        if (c->add)
            block[j] += vf_load_part(c->add + j * c->apart, rows);
        if (late)
            block[j] = vf_clip(block[j], lo, hi);
        if (rows == VF_LANES)
            vf_store(c->out + j * c->apart, block[j]);
        else
            vf_store_part(c->out + j * c->apart, block[j], rows);
    }
}

static void finish_whole(const struct columns *c, const float *sums, ptrdiff_t sums_row)
{
    finish_block(c, sums, sums_row, VF_LANES, VF_LANES);
}

static void finish_edge(const struct columns *c, const float *sums, ptrdiff_t sums_row, int rows, int columns)
{
    finish_block(c, sums, sums_row, rows, columns);
}

/* Elements two apart, or a bias by row, or any activation. */
static void finish_any(const struct cvl_tile *t, ptrdiff_t row, int lane, const float *sums, ptrdiff_t sums_row,
                        int rows, int columns)
{
    float *out = t->out + row * t->out_row + lane * t->out_lane;
    const float *add = t->add ? t->add + row * t->out_row + lane * t->out_lane : NULL;
    const float *bias = t->bias ? t->bias + row * t->bias_row + lane * t->bias_lane : NULL;
    vf block[VF_LANES];
    for (int r = 0; r < VF_LANES; r++)
        block[r] = r < rows ? vf_load(sums + r * sums_row) : vf_zero();
    vf_transpose(block);
    const vf by_row = bias && t->bias_row ? vf_load_part(bias, rows) : vf_zero();
    for (int c = 0; c < columns; c++, out += t->out_lane, add += add ? t->out_lane : 0) {
        vf sum = block[c];
        if (add)
            sum += t->out_row == 1 ? vf_load_part(add, rows) : vf_load_even(add, rows);
        if (bias)
            sum += t->bias_lane ? vf_set(bias[c]) : by_row;
        sum = vf_activate(sum, t->act, t->lo, t->hi);
        if (t->out_row == 1)
            vf_store_part(out, sum, rows);
        else
            vf_store_even(out, sum, rows);
    }
}

/* Columns of elements one or two apart: VF_LANES of them at a time, after a transpose. */
static void finish_columns(const struct cvl_tile *t, ptrdiff_t first, const float *sums, ptrdiff_t sums_row, int lanes)
{
    struct columns c = { .apart = t->out_lane };
    c.clip = clips(t->act, t, &c.lo, &c.hi);
    const bool easy = t->out_row == 1 && !(t->bias && t->bias_row) && (c.clip || t->act == CVL_ACT_NONE);
    for (int i = 0; i < t->rows; i += VF_LANES)
        for (int j = 0; j < lanes; j += VF_LANES) {
            const int rows = at_most(t->rows - i, VF_LANES), columns = at_most(lanes - j, VF_LANES);
            const ptrdiff_t at = (first + i) * t->out_row + j * t->out_lane;
            const float *block = sums + i * sums_row + j;
            c.out = t->out + at;
            c.add = t->add ? t->add + at : NULL;
            c.bias = t->bias ? t->bias + j : NULL;
            if (!easy)
                finish_any(t, first + i, j, block, sums_row, rows, columns);
            else if (rows == VF_LANES && columns == VF_LANES)
                finish_whole(&c, block, sums_row);
            else
                finish_edge(&c, block, sums_row, rows, columns);
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
