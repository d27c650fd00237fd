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

/* A class of a block's positions and the tiles of its rows. Made once for all panels, and changed in place: a copy of a
 * tile waits for words that are still on their way to memory, behind the sums of the tile before (700 cycles for each
 * panel of 960 channels of 7x7, 3 % of it all). */
struct area {
    int                    row_class, column_class;      /* -1: not made yet */
    struct cvl_igemm_class class;
    int                    rows, columns;                /* positions in the block */
    struct cvl_igemm_inner inner_rows, inner_columns;
    struct cvl_tile        tile, whole;                  /* a row's first one; how the row's sums leave the stage */
    struct cvl_igemm_loops loops;                        /* the tile's reduction before it was joined */
    int                    row, panel, panels;           /* where it is; row -1: nowhere */
};

static void make_area(const struct cvl_igemm_block *block, int row_class, int column_class, struct area *area)
{
    area->row_class = row_class;
    area->column_class = column_class;
    area->class = cvl_igemm_class(block->job->igemm, &block->job->cut, row_class, column_class);
    area->rows = cvl_igemm_rows(block, &area->class);
    area->columns = cvl_igemm_columns(block, &area->class);
    area->inner_rows = cvl_igemm_inner(&area->class.rows);
    area->inner_columns = cvl_igemm_inner(&area->class.columns);
    area->row = -1;
}

/* The `columns` positions of a row from `column` on. */
static void multiply_row(const struct cvl_igemm_block *block, struct area *area, int column, int columns,
                         struct panels *panels)
{
    const struct cvl_gemm_kern *kern = block->job->igemm->kern;
    const struct cvl_igemm_inner *inner = &area->inner_columns;
    struct cvl_tile *tile = &area->tile;
    const int tiles = cvl_divide_up(columns, kern->rows_max[tile->vectors]);
    const int low = columns / tiles, higher = columns % tiles;
    int position = block->first_column + column;
    for (int done = 0; done < tiles; done += tile->repeat) {
        tile->rows = low + (done < higher);
        const bool inside = position >= inner->first && position + tile->rows <= inner->end;
        const int alike = (done < higher ? higher : tiles) - done;
        fetch_ahead(block, panels, inside ? cvl_min(alike, (inner->end - position) / tile->rows) : 1, tile);
        if (inside)
            kern->tile[tile->vectors](tile);
        else
            cvl_igemm_edge_tile(block, tile, &area->loops, &area->class.columns, position);
        position += tile->rows * tile->repeat;
        cvl_tile_skip(tile, tile->rows * tile->repeat);
    }
    cvl_tile_skip(tile, -columns);
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

/* The tile of a row's first column and of the first panel. What is staged leaves its sums as they are. */
static void start_row(const struct cvl_igemm_block *block, int row, struct area *area)
{
    const struct cvl_igemm *g = block->job->igemm;
    const struct cvl_igemm_cut *cut = &block->job->cut;
    struct cvl_tile *tile = &area->tile;
    *tile = cvl_igemm_start(block, &area->class, row, 0);
    tile->a_row = block->a_column;
    tile->b_vector = block->b_panel;
    tile->out_row = cut->out_column;
    tile->out_lane = g->out.at[1];
    tile->bias_lane = 1;
    cvl_igemm_shift_channel(tile, block, block->first_panel * g->kern->lanes);
    area->loops = cvl_igemm_loops(tile);
    cvl_tile_join(tile);
    area->row = row;
    area->panel = area->panels = 0;
    if (!cut->staged)
        return;
    area->whole = *tile;
    area->whole.out_row = cut->out_column / cut->columns.out_step;
    tile->out_lane = 1;
    tile->add = tile->bias = NULL;
    tile->act = CVL_ACT_NONE;
}

static void shift_tile(const struct cvl_igemm_block *block, const struct panels *panels, int shift,
                       struct cvl_tile *tile)
{
    const struct cvl_igemm *g = block->job->igemm;
    const int lanes = g->kern->lanes, channel = (block->first_panel + panels->first) * lanes;
    tile->vectors = panels->count;
    tile->last = cvl_min(g->out_channels - channel, panels->count * lanes) - (panels->count - 1) * lanes;
    tile->b += shift * block->b_panel;
    tile->out += shift * lanes * g->out.at[1];
    tile->add += tile->add ? shift * lanes * g->out.at[1] : 0;
    tile->bias += tile->bias ? shift * lanes : 0;
}

/* On to the panels that are multiplied now. */
static void shift_panels(const struct cvl_igemm_block *block, const struct panels *panels, struct area *area)
{
    const struct cvl_igemm_cut *cut = &block->job->cut;
    const ptrdiff_t lanes = block->job->igemm->kern->lanes, pixel = panels->count * lanes;
    const int shift = panels->first - area->panel;
    struct cvl_tile *tile = &area->tile;
    if (shift == 0 && panels->count == area->panels)
        return;
    area->panel = panels->first;
    area->panels = panels->count;
    shift_tile(block, panels, shift, tile);
    if (!cut->staged)
        return;
    shift_tile(block, panels, shift, &area->whole);
    tile->out = block->stage + area->column_class * pixel;
    tile->out_row = cut->column_classes * pixel;
    tile->last = tile->last * 2 <= lanes ? tile->last : (int)lanes;
}

/* A row that meets the same taps as the one above it lies a step below. */
static void place_row(const struct cvl_igemm_block *block, int row, const struct panels *panels, struct area *area)
{
    const struct cvl_igemm_inner *inner = &area->inner_rows;
    const int position = block->first_row + row;
    if (row > 0 && position > inner->first && position < inner->end) {
        cvl_igemm_next_row(block, block->job->cut.staged ? &area->whole : &area->tile, &area->tile.a);
        area->row = row;
    } else if (row != area->row) {
        start_row(block, row, area);
    }
    shift_panels(block, panels, area);
}

/* A piece of a row, of all column classes: their sums meet in the stage, pixel by pixel, and leave it as a row for each
 * channel. */
static void multiply_piece(const struct cvl_igemm_block *block, struct area *areas, int column, struct panels *panels)
{
    const struct cvl_gemm_kern *kern = block->job->igemm->kern;
    const struct cvl_igemm_cut *cut = &block->job->cut;
    struct cvl_tile *whole = &areas->whole;
    whole->rows = 0;
    for (int i = 0; i < cut->column_classes; i++) {
        const int columns = cvl_min(cut->stage_columns, areas[i].columns - column);
        if (columns <= 0)
            continue;
        whole->rows += columns;
        multiply_row(block, areas + i, column, columns, panels);
        areas[i].tile.a += columns * block->a_column;
    }
    kern->finish(whole, block->stage, (ptrdiff_t)panels->count * kern->lanes);
    cvl_tile_skip(whole, whole->rows);
}

/* Where the next row's first tile will read; from there on what the processor fetches by itself is enough. */
static void fetch_row(const struct cvl_igemm_block *block, const struct area *area)
{
    for (int tap = 0; tap < area->loops.count[2]; tap++)
        for (int line = 0; line < FETCH_LINES; line++)
            __builtin_prefetch(area->tile.a + block->a_row + tap * area->loops.a_step[2] + line * CVL_IGEMM_LINE);
}

/* Rows from `row` on that meet the same taps as it does. */
static int rows_alike(const struct cvl_igemm_block *block, const struct area *area, int row)
{
    const int position = block->first_row + row;
    const bool inside = position >= area->inner_rows.first && position < area->inner_rows.end;
    return inside ? cvl_min(area->rows, area->inner_rows.end - block->first_row) - row : 1;
}

/* Columns [0, from) and [to, ...), which meet padding. */
static void multiply_edges(const struct cvl_igemm_block *block, const struct area *area, int from, int to, int rows)
{
    for (int column = 0; column < area->columns; column++)
        if (column < from || column >= to)
            cvl_igemm_edge_column(block, &area->tile, &area->loops, &area->class.columns, column, rows);
}

/* Row by row, but for the columns at the edges where sums are short. */
static void multiply_class(const struct cvl_igemm_block *block, struct panels *panels, struct area *area)
{
    const struct cvl_igemm_inner *inner = &area->inner_columns;
    const bool apart = block->job->cut.in_place
                    && cvl_igemm_is_short(block->channels * area->class.rows.taps, panels->count);
    const int from = apart ? cvl_max(0, cvl_min(area->columns, inner->first - block->first_column)) : 0;
    const int to = apart ? cvl_max(from, cvl_min(area->columns, inner->end - block->first_column)) : area->columns;
    int edges_done = to - from == area->columns ? area->rows : 0;
    panels->next_vector = 0;
    for (int row = 0; area->columns > 0 && row < area->rows; row++) {
        place_row(block, row, panels, area);
        if (row == edges_done) {
            edges_done += rows_alike(block, area, row);
            multiply_edges(block, area, from, to, edges_done - row);
        }
        if (from == to)
            continue;
        fetch_row(block, area);
        cvl_tile_skip(&area->tile, from);
        multiply_row(block, area, from, to - from, panels);
        cvl_tile_skip(&area->tile, -from);
    }
}

static void multiply_staged(const struct cvl_igemm_block *block, int row_class, struct panels *panels,
                            struct area areas[CVL_IGEMM_STAGED_MOST])
{
    const struct cvl_igemm_cut *cut = &block->job->cut;
    panels->next_vector = 0;
    for (int i = 0; i < cut->column_classes; i++)
        if (areas[i].row_class != row_class)
            make_area(block, row_class, i, areas + i);
    for (int row = 0; row < areas->rows; row++) {
        int all = 0;
        for (int i = 0; i < cut->column_classes; i++) {
            place_row(block, row, panels, areas + i);
            all += cvl_max(0, areas[i].columns);
        }
        for (int column = 0; column < block->columns; column += cut->stage_columns)
            multiply_piece(block, areas, column, panels);
        for (int i = 0; i < cut->column_classes; i++)
            areas[i].tile.a -= cvl_max(0, areas[i].columns) * block->a_column;
        cvl_tile_skip(&areas->whole, -all);
    }
}

void cvl_igemm_multiply_channels(const struct cvl_igemm_block *block)
{
    const struct cvl_igemm *g = block->job->igemm;
    const struct cvl_igemm_cut *cut = &block->job->cut;
    struct panels panels = { .count = 0 };
    struct area areas[CVL_IGEMM_STAGED_MOST];
    for (int i = 0; i < CVL_IGEMM_STAGED_MOST; i++)
        areas[i].row_class = -1;
    for (; panels.first < block->panels; panels.first += panels.count) {
        panels.count = cvl_igemm_take(g->kern, cut->widest, block->panels - panels.first);
        panels.next = next_panels(block, panels.first, panels.count);
        for (int i = 0; i < cut->row_classes; i++)
            for (int j = 0; j < cut->column_classes; j++) {
                struct area *area = areas + (cut->staged ? j : 0);
                if (area->row_class != i || area->column_class != j)
                    make_area(block, i, j, area);
                if (cvl_igemm_clear_zeros(block, &area->class, j, panels.first, panels.count))
                    continue;
                if (!cut->staged)
                    multiply_class(block, &panels, area);
                else if (j == 0)
                    multiply_staged(block, i, &panels, areas);
            }
    }
}
