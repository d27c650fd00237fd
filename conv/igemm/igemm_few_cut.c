/* SPDX-License-Identifier: Apache-2.0
 * BWD_DATA with at most four channels: which columns and rows of dy a position sees, tasks of rows, rings that fit the
 * second-level cache; and the filter as igemm_few.c reads it. */
#include "conv/igemm/igemm_few_cut.h"

#include <string.h>

enum {
    BAND_FLOATS = 1 << 16,
    TASKS = 16,                  /* wanted */
    ROWS_LEAST = 7,              /* of a task */
    ALIGN = 16,
};

static void bound_axis(const struct cvl_axis *axis, int *first, int *last)
{
    if (axis->taps == 0)
        return;
    *first = cvl_min(*first, axis->first);
    *last = cvl_max(*last, axis->first + (axis->taps - 1) * axis->tap);
}

/* Independent of the image's size, as packed filters must be. */
static struct cvl_few window(const struct cvl_igemm *g)
{
    const cvl_conv_desc *d = g->desc;
    struct cvl_few f = { .igemm = g, .kern = cvl_few_kern(g->ctx->isa), .sides = cvl_min(d->stride_w, d->w) };
    int top = 1 << 30, bottom = -(1 << 30), left = top, right = bottom;
    for (int i = 0; i < cvl_axis_classes(d, true); i++) {
        const struct cvl_axis axis = cvl_axis_of(d, true, i);
        bound_axis(&axis, &top, &bottom);
    }
    for (int i = 0; i < f.sides; i++) {
        f.side[i] = cvl_axis_of(d, false, i);
        bound_axis(&f.side[i], &left, &right);
    }
    f.top = top;
    f.ring = bottom < top ? 1 : bottom - top + 1;
    f.first = left;
    f.offsets = right < left ? 0 : right - left + 1;
    f.lead = f.offsets ? (f.first % ALIGN + ALIGN) % ALIGN : 0;
    return f;
}

bool cvl_igemm_is_few(const struct cvl_igemm *g)
{
    const cvl_conv_desc *d = g->desc;
    if (d->pass != CVL_BWD_DATA || d->groups != 1 || d->c > CVL_FEW_CHANNELS || d->stride_w > CVL_FEW_SIDES
        || d->dil_w != 1 || g->variant.knob[CVL_IGEMM_LANES] != 0)
        return false;
    const double rows = (d->r - 1.0) * d->dil_h / d->stride_h + 2, columns = 2.0 * ALIGN + d->s + g->kern->lanes;
    return rows * columns * d->k <= BAND_FLOATS;
}

struct cvl_few cvl_igemm_few_cut(const struct cvl_igemm *g)
{
    struct cvl_few f = window(g);
    const cvl_conv_desc *d = g->desc;
    const int lanes = g->kern->lanes;
    f.row_count = cvl_divide_up(d->h, d->stride_h);
    f.column_count = cvl_divide_up(d->w, d->stride_w);
    f.columns = f.column_count;
    for (int blocks = 1;; blocks++) {
        f.columns = cvl_divide_up(cvl_divide_up(f.column_count, blocks), lanes) * lanes;
        f.band_step = (f.lead + f.columns + f.offsets + ALIGN - 1) / ALIGN * ALIGN;
        f.band_step += f.band_step / ALIGN % 2 == 0 ? ALIGN : 0;    /* planes spread over the sets of the cache */
        f.band_row = f.band_step * d->k;
        if (f.columns == lanes || f.band_row * f.ring <= BAND_FLOATS)
            break;
    }
    f.column_blocks = cvl_divide_up(f.column_count, f.columns);
    f.slot_floats = f.band_row * f.ring + lanes * CVL_FEW_VECTORS;
    const int parts = cvl_divide_up(TASKS, cvl_max(1, d->n) * f.column_blocks);
    f.rows = cvl_max(cvl_min(ROWS_LEAST, f.row_count), cvl_divide_up(f.row_count, parts));
    f.row_blocks = cvl_divide_up(f.row_count, f.rows);
    return f;
}

/* ---- the packed filter: (r, s, k, c) ---- */

static size_t packed_floats(const struct cvl_igemm *g)
{
    return ((size_t)g->taps * (size_t)g->in_channels * (size_t)g->out_channels + ALIGN - 1) / ALIGN * ALIGN;
}

size_t cvl_igemm_few_packed(const struct cvl_igemm *g) { return packed_floats(g) * sizeof(float); }

void cvl_igemm_few_pack(const struct cvl_igemm *g, const float *w, float *packed)
{
    const ptrdiff_t row = g->w.at[2], column = g->w.at[3];
    float *to = packed;
    for (int r = 0; r < g->desc->r; r++)
        for (int s = 0; s < g->desc->s; s++)
            for (int k = 0; k < g->in_channels; k++)
                for (int c = 0; c < g->out_channels; c++)
                    *to++ = w[r * row + s * column + k * g->w_in + c * g->w_out];
    memset(to, 0, (size_t)(packed + packed_floats(g) - to) * sizeof *to);
}
