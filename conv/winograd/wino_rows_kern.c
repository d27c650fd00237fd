/* SPDX-License-Identifier: Apache-2.0
 * Between images of (channel, row, column) and strips of (row, column, lane): blocks of as many columns as a vector has
 * lanes are transposed in registers. What the next blocks need is fetched meanwhile: channels lie pages apart, which no
 * prefetcher of the processor follows. */
#include "base/vec_math.h"
#include "conv/winograd/wino.h"

/* `columns` elements of one channel. Whole, `columns` is a constant. */
CVL_INLINE vf load_columns(const float *from, const int step, const int columns)
{
    if (step == 1)
        return columns == VF_LANES ? vf_load(from) : vf_load_part(from, columns);
    return vf_load_even(from, columns);
}

CVL_INLINE void gather_block(const struct cvl_wino_rows *r, const float *from, float *to, const int step,
                             const int lanes, const int columns)
{
    vf block[VF_LANES];
    CVL_UNROLL(16)
    for (int j = 0; j < VF_LANES; j++, from += r->lane) {
        block[j] = vf_zero();
        if (j < lanes) {
            __builtin_prefetch(from + r->ahead, 0, 2);
            block[j] = load_columns(from, step, columns);
        }
    }
    vf_transpose_quads(block);
    CVL_UNROLL(16)
    for (int i = 0; i < VF_LANES; i++) {
        if (i >= columns)
            break;
        if (lanes == VF_LANES)
            vf_store(to + i * VF_LANES, block[i]);
        else
            vf_store_part(to + i * VF_LANES, block[i], lanes);
    }
}

CVL_INLINE void gather_rows(const struct cvl_wino_rows *r, const int step, const int lanes)
{
    for (int row = 0; row < r->rows; row++) {
        const float *from = r->from + row * r->row;
        float *to = r->strip + row * r->strip_row;
        int left = r->columns;
        for (; left >= VF_LANES; left -= VF_LANES, from += step * VF_LANES, to += VF_LANES * VF_LANES)
            gather_block(r, from, to, step, lanes, VF_LANES);
        if (left > 0)
            gather_block(r, from, to, step, lanes, left);
    }
}

static void gather(const struct cvl_wino_rows *r)
{
    if (r->lanes == VF_LANES)
        r->column == 1 ? gather_rows(r, 1, VF_LANES) : gather_rows(r, 2, VF_LANES);
    else
        r->column == 1 ? gather_rows(r, 1, r->lanes) : gather_rows(r, 2, r->lanes);
}

/* One block's elements as (lane, column), zeros outside of the frames; a row of it has room for a vector that begins at
 * any column. */
CVL_INLINE void place_runs(const struct cvl_wino_mixed *m, int row, int column, float block[][2 * VF_LANES])
{
    int lane = 0;
    for (int i = 0; i < m->runs; i++) {
        const struct cvl_wino_run *run = &m->run[i];
        const struct cvl_wino_frame *f = &run->frame;
        const int first = f->left > column ? f->left - column : 0;
        const int last = f->right - column < VF_LANES ? f->right - column : VF_LANES;
        const bool inside = row >= f->top && row < f->bottom && first < last;
        const ptrdiff_t at = (row - f->top) * m->row + (column + first - f->left) * m->column;
        const float *from = inside ? run->from + at : NULL;
        for (const int end = lane + run->lanes; lane < end; lane++) {
            if (first > 0 || !inside)
                vf_store(block[lane], vf_zero());
            if (!inside)
                continue;
            __builtin_prefetch(from + m->ahead, 0, 2);
            vf_store(block[lane] + first, load_columns(from, (int)m->column, last - first));
            from += m->lane;
        }
    }
}

/* Where channels lie side by side. A store covers all that is left of the vector; what it writes of the pixels that
 * come later is written again. */
static void gather_pixels(const struct cvl_wino_mixed *m)
{
    float *to = m->strip;
    for (int row = 0; row < m->rows; row++)
        for (int column = 0; column < m->columns; column++, to += VF_LANES) {
            const bool last = row + 1 == m->rows && column + 1 == m->columns;
            for (int i = 0, lane = 0; i < m->runs; lane += m->run[i++].lanes) {
                const struct cvl_wino_run *run = &m->run[i];
                const struct cvl_wino_frame *f = &run->frame;
                vf pixel = vf_zero();
                if (row >= f->top && row < f->bottom && column >= f->left && column < f->right)
                    pixel = vf_load_part(run->from + (row - f->top) * m->row + (column - f->left) * m->column,
                                         run->lanes);
                if (last)
                    vf_store_part(to + lane, pixel, VF_LANES - lane);
                else
                    vf_store(to + lane, pixel);
            }
        }
}

static void gather_mixed(const struct cvl_wino_mixed *m)
{
    if (m->lane == 1) {
        gather_pixels(m);
        return;
    }
    float placed[VF_LANES][2 * VF_LANES];
    for (int i = 0; i < VF_LANES; i++)
        vf_store(placed[i], vf_zero());
    float *to = m->strip;
    for (int row = 0; row < m->rows; row++)
        for (int column = 0; column < m->columns; column += VF_LANES) {
            vf block[VF_LANES];
            place_runs(m, row, column, placed);
            CVL_UNROLL(16)
            for (int i = 0; i < VF_LANES; i++)
                block[i] = vf_load(placed[i]);
            vf_transpose_quads(block);
            CVL_UNROLL(16)
            for (int i = 0; i < VF_LANES; i++, to += VF_LANES) {
                if (column + i >= m->columns)
                    break;
                vf_store(to, block[i]);
            }
        }
}

CVL_INLINE void scatter_block(const struct cvl_wino_rows *r, const struct cvl_wino_finish *f, const float *from,
                              ptrdiff_t at, const int lanes, const int columns)
{
    vf block[VF_LANES];
    const vf bias = f->bias ? vf_load_part(f->bias, lanes) : vf_zero();
    const vf lo = vf_set(f->lo), hi = vf_set(f->hi);
    CVL_UNROLL(16)
    for (int i = 0; i < VF_LANES; i++) {
        block[i] = i < columns ? vf_load(from + i * VF_LANES) : vf_zero();
        if (f->bias)
            block[i] += bias;
    }
    vf_transpose_quads(block);
    CVL_UNROLL(16)
    for (int j = 0; j < VF_LANES; j++, at += r->lane) {
        if (j >= lanes)
            break;
        if (f->add)
            block[j] += vf_load_part(f->add + at, columns);
        if (f->clip)
            block[j] = vf_clip(block[j], lo, hi);
        __builtin_prefetch(r->to + at + r->ahead, 1, 2);
        if (columns == VF_LANES)
            vf_store(r->to + at, block[j]);
        else
            vf_store_part(r->to + at, block[j], columns);
    }
}

CVL_INLINE void scatter_rows(const struct cvl_wino_rows *r, const struct cvl_wino_finish *f, const int lanes)
{
    for (int row = 0; row < r->rows; row++) {
        const float *from = r->strip + row * r->strip_row;
        ptrdiff_t at = row * r->row;
        int left = r->columns;
        for (; left >= VF_LANES; left -= VF_LANES, from += VF_LANES * VF_LANES, at += VF_LANES)
            scatter_block(r, f, from, at, lanes, VF_LANES);
        if (left > 0)
            scatter_block(r, f, from, at, lanes, left);
    }
}

static void scatter(const struct cvl_wino_rows *r, const struct cvl_wino_finish *f)
{
    r->lanes == VF_LANES ? scatter_rows(r, f, VF_LANES) : scatter_rows(r, f, r->lanes);
}

extern const struct cvl_wino_rows_kern CVL_KERN(cvl_wino_rows_kern);
const struct cvl_wino_rows_kern CVL_KERN(cvl_wino_rows_kern) = {
    .gather = gather, .gather_mixed = gather_mixed, .scatter = scatter,
};
