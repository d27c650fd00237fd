/* SPDX-License-Identifier: Apache-2.0
 * The tiles of a block whose rows are pixels and whose lanes are channels. */
#include "conv/igemm/igemm_data.h"

enum { FETCH_LINES = 4 };

/* Panels that one tile takes, and how far it is to those that come next. */
struct panels {
    int       first, count;
    ptrdiff_t next;
    int       next_vector;       /* the first one that no tile has fetched yet */
};

/* Each of the first tiles fetches one vector's panel of those that come next, which would otherwise arrive no faster
 * than memory while the first tile that reads them waits; the others fetch what the next block reads and writes. The
 * distance is from the tile's b, which moves a line with each step. Of `most` tiles it takes those that fetch alike. */
static void fetch_ahead(const struct cvl_igemm_block *block, struct panels *panels, int most, struct cvl_tile *tile)
{
    struct cvl_igemm_ahead *ahead = block->ahead[0].lines > 0 ? block->ahead : block->ahead + 1;
    const int lines = tile->count[0];
    tile->repeat = most;
    tile->b_next = 0;
    if (panels->next && panels->next_vector < tile->vectors) {
        tile->b_next = panels->next + panels->next_vector * tile->b_vector;
        tile->b_next_repeat = tile->b_vector;
        tile->repeat = cvl_min(most, tile->vectors - panels->next_vector);
        panels->next_vector += tile->repeat;
    } else if (ahead->lines > 0 && tile->count[1] * tile->count[2] == 1 && lines > 0) {
        tile->b_next = ((intptr_t)ahead->from - (intptr_t)tile->b) / (ptrdiff_t)sizeof *tile->b;
        tile->b_next_repeat = (ptrdiff_t)lines * CVL_IGEMM_LINE;
        tile->repeat = (int)(ahead->lines < (ptrdiff_t)most * lines ? (ahead->lines + lines - 1) / lines : most);
        ahead->from += tile->repeat * tile->b_next_repeat;
        ahead->lines -= (ptrdiff_t)tile->repeat * lines;
    }
}

/* Tiles of the next row, of one class and some vectors of channels: what all rows share that meet the same taps. */
struct row {
    struct cvl_tile  tile, loops;            /* the first one; its reduction before it was joined */
    const struct cvl_axis *axis;             /* of the columns */
    int              position, columns;      /* the first column, and how many */
    int              inner, end;             /* columns that meet no padding */
};

static struct row begin_row(const struct cvl_igemm_block *block, const struct cvl_igemm_class *class,
                            const struct cvl_tile *tile, int column, int columns)
{
    struct row row = { .tile = *tile, .loops = *tile, .axis = &class->columns, .columns = columns,
                       .position = block->first_column + column };
    cvl_igemm_inner(&class->columns, &row.inner, &row.end);
    cvl_tile_join(&row.tile);
    return row;
}

static void multiply_row(const struct cvl_igemm_block *block, const struct row *row, struct panels *panels)
{
    const struct cvl_gemm_kern *kern = block->job->igemm->kern;
    struct cvl_tile tile = row->tile;
    const int tiles = cvl_divide_up(row->columns, kern->rows_max[tile.vectors]);
    const int low = row->columns / tiles, higher = row->columns % tiles;
    int position = row->position;
    for (int done = 0; done < tiles; done += tile.repeat) {
        tile.rows = low + (done < higher);
        const bool inside = position >= row->inner && position + tile.rows <= row->end;
        const int alike = (done < higher ? higher : tiles) - done;
        fetch_ahead(block, panels, inside ? cvl_min(alike, (row->end - position) / tile.rows) : 1, &tile);
        if (inside)
            kern->tile[tile.vectors](&tile);
        else
            cvl_igemm_edge_tile(block, &tile, &row->loops, row->axis, position);
        position += tile.rows * tile.repeat;
        cvl_tile_skip(&tile, tile.rows * tile.repeat);
    }
}

/* From some panels to those that come next: in this chunk, or the first ones of the next chunk, or those of the next
 * task; 0: unknown. */
static ptrdiff_t next_panels(const struct cvl_igemm_block *block, int panel, int count)
{
    const struct cvl_igemm *g = block->job->igemm;
    const ptrdiff_t lanes = g->kern->lanes;
    if (panel + count < block->panels)
        return count * block->b_panel;
    if (!block->job->packed)
        return 0;
    if (block->channel + block->channels < g->in_channels)
        return block->channels * lanes - panel * block->b_panel;
    const bool more = block->first_panel + panel + count < g->panels;
    return more ? count * block->b_panel - block->channel * lanes : 0;
}

static struct cvl_tile start_panels(const struct cvl_igemm_block *block, const struct cvl_igemm_class *class, int row,
                                    int column, const struct panels *panels)
{
    const struct cvl_igemm *g = block->job->igemm;
    const int lanes = g->kern->lanes, channel = (block->first_panel + panels->first) * lanes;
    struct cvl_tile tile = cvl_igemm_start(block, class, row, column);
    tile.vectors = panels->count;
    tile.last = cvl_min(g->out_channels - channel, panels->count * lanes) - (panels->count - 1) * lanes;
    tile.a_row = block->a_column;
    tile.b += panels->first * block->b_panel;
    tile.b_vector = block->b_panel;
    tile.out_row = block->job->cut.out_column;
    tile.out_lane = g->out.at[1];
    tile.bias_lane = 1;
    cvl_igemm_shift_channel(&tile, block, channel);
    return tile;
}

/* A piece of a row, of all column classes: their sums meet in the stage, pixel by pixel, and leave it as a row for each
 * channel. */
static void multiply_piece(const struct cvl_igemm_block *block, const struct cvl_igemm_class *classes, int row,
                           int column, struct panels *panels)
{
    const struct cvl_igemm *g = block->job->igemm;
    const struct cvl_igemm_cut *cut = &block->job->cut;
    const ptrdiff_t pixel = panels->count * g->kern->lanes;
    struct cvl_tile whole = { .rows = 0 };
    for (int i = 0; i < cut->column_classes; i++) {
        const int columns = cvl_min(cut->stage_columns, cvl_igemm_columns(block, classes + i) - column);
        struct cvl_tile tile = start_panels(block, classes + i, row, column, panels);
        if (i == 0)
            whole = tile;
        whole.rows += cvl_max(0, columns);
        tile.out = block->stage + i * pixel;
        tile.out_row = cut->column_classes * pixel;
        tile.out_lane = 1;
        tile.last = tile.last * 2 <= g->kern->lanes ? tile.last : g->kern->lanes;
        tile.add = tile.bias = NULL;
        tile.act = CVL_ACT_NONE;
        if (columns > 0) {
            const struct row begun = begin_row(block, classes + i, &tile, column, columns);
            multiply_row(block, &begun, panels);
        }
    }
    whole.out_row = cut->out_column / cut->columns.out_step;
    g->kern->finish(&whole, block->stage, pixel);
}

/* Where the next row's first tile will read; from there on what the processor fetches by itself is enough. */
static void fetch_row(const struct cvl_igemm_block *block, const struct row *row)
{
    for (int tap = 0; tap < row->loops.count[2]; tap++)
        for (int line = 0; line < FETCH_LINES; line++)
            __builtin_prefetch(row->tile.a + block->a_row + tap * row->loops.a_step[2] + line * CVL_IGEMM_LINE);
}

static void multiply_class(const struct cvl_igemm_block *block, int row_class, int column_class, struct panels *panels)
{
    const struct cvl_igemm_cut *cut = &block->job->cut;
    const struct cvl_igemm_class class = cvl_igemm_class(block->job->igemm, cut, row_class, column_class);
    const int columns = cvl_igemm_columns(block, &class);
    struct row row = { .columns = 0 };
    int inner, end;
    cvl_igemm_inner(&class.rows, &inner, &end);
    panels->next_vector = 0;
    for (int i = 0; columns > 0 && i < cvl_igemm_rows(block, &class); i++) {
        const int position = block->first_row + i;
        if (i > 0 && position > inner && position < end) {
            cvl_igemm_next_row(block, &row.tile, &row.tile.a);
        } else {
            const struct cvl_tile tile = start_panels(block, &class, i, 0, panels);
            row = begin_row(block, &class, &tile, 0, columns);
        }
        fetch_row(block, &row);
        multiply_row(block, &row, panels);
    }
}

static void multiply_staged(const struct cvl_igemm_block *block, int row_class, struct panels *panels)
{
    const struct cvl_igemm_cut *cut = &block->job->cut;
    struct cvl_igemm_class classes[CVL_IGEMM_STAGED_MOST];
    for (int i = 0; i < cut->column_classes; i++)
        classes[i] = cvl_igemm_class(block->job->igemm, cut, row_class, i);
    panels->next_vector = 0;
    for (int row = 0; row < cvl_igemm_rows(block, classes); row++)
        for (int column = 0; column < block->columns; column += cut->stage_columns)
            multiply_piece(block, classes, row, column, panels);
}

void cvl_igemm_multiply_channels(const struct cvl_igemm_block *block)
{
    const struct cvl_igemm *g = block->job->igemm;
    const struct cvl_igemm_cut *cut = &block->job->cut;
    struct panels panels = { .count = 0 };
    for (; panels.first < block->panels; panels.first += panels.count) {
        panels.count = cvl_igemm_take(g->kern, cut->widest, block->panels - panels.first);
        panels.next = next_panels(block, panels.first, panels.count);
        for (int i = 0; i < cut->row_classes; i++)
            for (int j = 0; j < cut->column_classes; j++) {
                if (cvl_igemm_clear_zeros(block, i, j, panels.first, panels.count))
                    continue;
                if (!cut->staged)
                    multiply_class(block, i, j, &panels);
                else if (j == 0)
                    multiply_staged(block, i, &panels);
            }
    }
}
