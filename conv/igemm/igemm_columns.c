/* SPDX-License-Identifier: Apache-2.0
 * The tiles of a block whose rows are channels and whose lanes are pixels. */
#include "conv/igemm/igemm_data.h"

/* Exchanges the operands, and makes the channel the outermost loop: taps of a row then find their pixels in the
 * first-level cache. */
static void exchange(struct cvl_tile *tile)
{
    static const int inner[] = { 1, 2, 0 }, same[] = { 0, 1, 2 };
    const struct cvl_tile was = *tile;
    const int *order = was.count[1] > 1 ? inner : same;
    tile->a = was.b;
    tile->b = was.a;
    for (int loop = 0; loop < 3; loop++) {
        tile->count[loop] = was.count[order[loop]];
        tile->a_step[loop] = was.b_step[order[loop]];
        tile->b_step[loop] = was.a_step[order[loop]];
    }
}

/* Some vectors of pixels by all channels. */
static void multiply_vectors(const struct cvl_igemm_block *block, const struct cvl_tile *vectors)
{
    const struct cvl_igemm *g = block->job->igemm;
    const int lanes = g->kern->lanes;
    for (int panel = 0; panel < block->panels; panel++) {
        const int channel = (block->first_panel + panel) * lanes;
        struct cvl_tile tile = *vectors;
        if (panel > 0)
            tile.b_next = tile.b_next_vector = 0;
        tile.a += panel * block->b_panel;
        cvl_igemm_shift_channel(&tile, block, channel);
        cvl_tile_rows(g->kern, &tile, cvl_min(lanes, g->out_channels - channel));
    }
}

static void multiply_row(const struct cvl_igemm_block *block, const struct cvl_igemm_class *class, int row)
{
    const struct cvl_igemm *g = block->job->igemm;
    const struct cvl_igemm_cut *cut = &block->job->cut;
    const int lanes = g->kern->lanes;
    struct cvl_tile tile = cvl_igemm_start(block, class, row, 0);
    exchange(&tile);
    cvl_tile_join(&tile);
    tile.a_row = 1;
    tile.b_vector = lanes;
    tile.out_row = g->out.at[1];
    tile.out_lane = cut->out_column;
    tile.bias_row = 1;
    for (int left = cvl_igemm_columns(block, class); left > 0; left -= tile.vectors * lanes) {
        tile.vectors = cvl_igemm_narrow(g->kern, cvl_min(cut->widest, cvl_divide_up(left, lanes)));
        tile.last = cvl_min(left, tile.vectors * lanes) - (tile.vectors - 1) * lanes;
        tile.b_next = tile.vectors * lanes;
        tile.b_next_vector = lanes;
        multiply_vectors(block, &tile);
        tile.b += tile.vectors * lanes;
        tile.out += tile.vectors * lanes * tile.out_lane;
        tile.add += tile.add ? tile.vectors * lanes * tile.out_lane : 0;
    }
}

void cvl_igemm_multiply_columns(const struct cvl_igemm_block *block)
{
    const struct cvl_igemm_cut *cut = &block->job->cut;
    for (int i = 0; i < cut->row_classes; i++)
        for (int j = 0; j < cut->column_classes; j++) {
            const struct cvl_igemm_class class = cvl_igemm_class(block->job->igemm, cut, i, j);
            for (int row = 0; row < cvl_igemm_rows(block, &class); row++)
                multiply_row(block, &class, row);
        }
}
