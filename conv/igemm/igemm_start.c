/* SPDX-License-Identifier: Apache-2.0
 * From a block's row and column to the tile that begins there. */
#include "conv/igemm/igemm_data.h"

struct cvl_tile cvl_igemm_start(const struct cvl_igemm_block *block, const struct cvl_igemm_class *class, int row,
                                int column)
{
    const struct cvl_igemm_job *job = block->job;
    const struct cvl_igemm *g = job->igemm;
    const struct cvl_igemm_cut *cut = &job->cut;
    const struct cvl_axis *rows = &class->rows, *columns = &class->columns;
    const bool first = block->channel == 0, last = block->channel + block->channels == g->in_channels;
    const ptrdiff_t tap_row = class->tap_rows * block->a_tap_row, tap_column = class->tap_columns * block->a_tap_column;
    const cvl_epilogue *epi = &g->desc->epi;
    int tap, end;
    cvl_axis_taps(rows, block->first_row + row, &tap, &end);
    const ptrdiff_t step_r = rows->w_step * (ptrdiff_t)g->desc->s * block->b_tap;
    const ptrdiff_t step_s = columns->w_step * block->b_tap;
    const ptrdiff_t at = class->out_first + block->image * cut->out_image + (block->first_row + row) * cut->out_row
                       + (block->first_column + column) * cut->out_column;
    struct cvl_tile tile = {
        .count = { block->channels, columns->taps, end - tap },
        .a = block->a + (row + class->row) * block->a_row + (column + class->column) * block->a_column + tap * tap_row,
        .a_step = { block->a_channel, tap_column, tap_row },
        .b = block->b + (rows->w + (ptrdiff_t)tap * rows->w_step) * g->desc->s * block->b_tap
           + columns->w * block->b_tap,
        .b_step = { g->kern->lanes, step_s, step_r },
        .out = job->written + at, .add = first ? NULL : job->written + at,
        .act = last ? epi->act : CVL_ACT_NONE, .lo = epi->lo, .hi = epi->hi,
    };
    if (first && job->residual)
        tile.add = job->residual + at;
    return tile;
}

void cvl_igemm_shift_channel(struct cvl_tile *tile, const struct cvl_igemm_block *block, int channel)
{
    const struct cvl_igemm *g = block->job->igemm;
    const ptrdiff_t at = (block->group * (ptrdiff_t)g->out_channels + channel) * g->out.at[1];
    tile->out += at;
    if (tile->add)
        tile->add += at;
    if (block->channel == 0 && block->job->bias)
        tile->bias = block->job->bias + block->group * g->out_channels + channel;
}
