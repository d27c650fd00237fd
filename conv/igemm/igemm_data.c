/* SPDX-License-Identifier: Apache-2.0
 * FWD and BWD_DATA. A task owns a block of pixels and some panels of channels; for each chunk of the reduction it fills
 * a band with what the block reads and multiplies it with the panels, tile by tile. Sums live in what is written
 * between chunks: the first one adds bias and residual, the last one applies the activation. */
#include "base/profile.h"
#include "base/threads.h"
#include "conv/igemm/igemm_cut.h"

#include <assert.h>

struct job {
    const struct cvl_igemm *igemm;
    struct cvl_igemm_cut    cut;
    const float            *in, *bias, *residual, *packed, *w;
    float                  *written;
    float                  *scratch;       /* of all slots */
    ptrdiff_t               slot_floats;
};

/* What a task has at hand in one chunk and block. */
struct block {
    const struct job *job;
    int               group, first_panel, panels;
    int               channel, channels;               /* of the chunk */
    int               image, first_row, rows, first_column, columns;
    const float      *a;                               /* what row 0, column 0 of the block reads at tap 0 */
    ptrdiff_t         a_row, a_column, a_channel;      /* from one position to the next */
    ptrdiff_t         a_tap_row, a_tap_column;
    const float      *b;                               /* the first panel */
    ptrdiff_t         b_panel, b_tap;                  /* from one panel, and from one tap to the next */
};

/* Everything of a tile but its rows and lanes. */
static struct cvl_tile start(const struct block *block, int row, int column)
{
    const struct job *job = block->job;
    const struct cvl_igemm *g = job->igemm;
    const struct cvl_igemm_cut *cut = &job->cut;
    const bool first = block->channel == 0, last = block->channel + block->channels == g->in_channels;
    const cvl_epilogue *epi = &g->desc->epi;
    int tap, end;
    cvl_igemm_taps(&cut->rows, block->first_row + row, &tap, &end);
    const ptrdiff_t step_r = cut->rows.w_step * (ptrdiff_t)g->desc->s * block->b_tap;
    const ptrdiff_t step_s = cut->columns.w_step * block->b_tap;
    const ptrdiff_t at = job->cut.out_first + block->image * cut->out_image
                       + (block->first_row + row) * cut->out_row + (block->first_column + column) * cut->out_column;
    struct cvl_tile tile = {
        .count = { block->channels, cut->columns.taps, end - tap },
        .a = block->a + row * block->a_row + column * block->a_column + tap * block->a_tap_row,
        .a_step = { block->a_channel, block->a_tap_column, block->a_tap_row },
        .b = block->b + (cut->rows.w + (ptrdiff_t)tap * cut->rows.w_step) * g->desc->s * block->b_tap
           + cut->columns.w * block->b_tap,
        .b_step = { g->kern->lanes, step_s, step_r },
        .out = job->written + at, .add = first ? NULL : job->written + at,
        .act = last ? epi->act : CVL_ACT_NONE, .lo = epi->lo, .hi = epi->hi,
    };
    if (first && job->residual)
        tile.add = job->residual + at;
    return tile;
}

static void shift_channel(struct cvl_tile *tile, const struct block *block, int channel)
{
    const struct cvl_igemm *g = block->job->igemm;
    const ptrdiff_t at = (block->group * (ptrdiff_t)g->out_channels + channel) * g->out.at[1];
    tile->out += at;
    if (tile->add)
        tile->add += at;
    if (block->channel == 0 && block->job->bias)
        tile->bias = block->job->bias + block->group * g->out_channels + channel;
}

static int narrow(const struct cvl_gemm_kern *kern, int vectors)
{
    while (!kern->rows_max[vectors])
        vectors--;
    return vectors;
}

/* A row of pixels by some vectors of channels: rows are pixels, lanes are channels. Each of the first tiles fetches one
 * vector's panel of those that come next, which would otherwise arrive no faster than memory while the first tile that
 * reads them waits. */
static void multiply_row(const struct block *block, struct cvl_tile tile, ptrdiff_t next, int *next_vector)
{
    const struct cvl_gemm_kern *kern = block->job->igemm->kern;
    const int tiles = cvl_igemm_divide(block->columns, kern->rows_max[tile.vectors]);
    const int low = block->columns / tiles, higher = block->columns % tiles;
    cvl_tile_join(&tile);
    for (int i = 0; i < tiles; i++) {
        tile.rows = low + (i < higher);
        tile.b_next = next && *next_vector < tile.vectors ? next + *next_vector * tile.b_vector : 0;
        (*next_vector)++;
        kern->tile[tile.vectors](&tile);
        tile.a += tile.rows * tile.a_row;
        tile.out += tile.rows * tile.out_row;
        tile.add += tile.add ? tile.rows * tile.out_row : 0;
    }
}

/* From some panels to those that come next: in this chunk, or the first ones of the next chunk; 0: unknown. */
static ptrdiff_t next_panels(const struct block *block, int panel, int count)
{
    const struct cvl_igemm *g = block->job->igemm;
    if (panel + count < block->panels)
        return count * block->b_panel;
    const bool more = block->job->packed && block->channel + block->channels < g->in_channels;
    return more ? (ptrdiff_t)block->channels * g->kern->lanes - panel * block->b_panel : 0;
}

static void multiply_channels(const struct block *block)
{
    const struct job *job = block->job;
    const struct cvl_igemm *g = job->igemm;
    const int lanes = g->kern->lanes;
    int height;
    const int widest = cvl_igemm_tile_shape(g->kern, block->columns, block->panels, &height);
    for (int panel = 0, take; panel < block->panels; panel += take) {
        take = narrow(g->kern, cvl_igemm_min(widest, block->panels - panel));
        const int channel = (block->first_panel + panel) * lanes;
        const ptrdiff_t next = next_panels(block, panel, take);
        int next_vector = 0;
        for (int row = 0; row < block->rows; row++) {
            struct cvl_tile tile = start(block, row, 0);
            tile.vectors = take;
            tile.last = cvl_igemm_min(g->out_channels - channel, take * lanes) - (take - 1) * lanes;
            tile.a_row = block->a_column;
            tile.b += panel * block->b_panel;
            tile.b_vector = block->b_panel;
            tile.b_packed = true;
            tile.out_row = job->cut.out_column;
            tile.out_lane = g->out.at[1];
            tile.bias_lane = 1;
            shift_channel(&tile, block, channel);
            multiply_row(block, tile, next, &next_vector);
        }
    }
}

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

/* Some vectors of pixels by all channels: rows are channels, lanes are pixels. */
static void multiply_vectors(const struct block *block, struct cvl_tile at)
{
    const struct cvl_igemm *g = block->job->igemm;
    const int lanes = g->kern->lanes;
    exchange(&at);
    cvl_tile_join(&at);
    at.a_row = 1;
    at.b_vector = lanes;
    at.out_row = g->out.at[1];
    at.out_lane = block->job->cut.out_column;
    at.bias_row = 1;
    for (int panel = 0; panel < block->panels; panel++) {
        const int channel = (block->first_panel + panel) * lanes;
        const int channels = cvl_igemm_min(lanes, g->out_channels - channel);
        const int tiles = cvl_igemm_divide(channels, g->kern->rows_max[at.vectors]);
        const int low = channels / tiles, higher = channels % tiles;
        struct cvl_tile tile = at;
        tile.a += panel * block->b_panel;
        shift_channel(&tile, block, channel);
        for (int i = 0; i < tiles; i++) {
            tile.rows = low + (i < higher);
            g->kern->tile[tile.vectors](&tile);
            tile.a += tile.rows;
            tile.out += tile.rows * tile.out_row;
            tile.add += tile.add ? tile.rows * tile.out_row : 0;
            tile.bias += tile.bias ? tile.rows : 0;
        }
    }
}

static void multiply_columns(const struct block *block)
{
    const struct cvl_igemm *g = block->job->igemm;
    const int lanes = g->kern->lanes, vectors = cvl_igemm_divide(block->columns, lanes);
    int height;
    const int widest = cvl_igemm_tile_shape(g->kern, cvl_igemm_min(lanes, g->out_channels), vectors, &height);
    for (int row = 0; row < block->rows; row++)
        for (int vector = 0, take; vector < vectors; vector += take) {
            take = narrow(g->kern, cvl_igemm_min(widest, vectors - vector));
            struct cvl_tile tile = start(block, row, vector * lanes);
            tile.vectors = take;
            tile.last = cvl_igemm_min(block->columns - vector * lanes, take * lanes) - (take - 1) * lanes;
            multiply_vectors(block, tile);
        }
}

/* Where the block's pixels are read: in the band, which is filled, or in the image. */
static void prepare_image(struct block *block, float *band)
{
    const struct job *job = block->job;
    const struct cvl_igemm *g = job->igemm;
    const struct cvl_igemm_cut *cut = &job->cut;
    const float *image = job->in + block->image * cut->in_image
                       + (block->group * (ptrdiff_t)g->in_channels + block->channel) * g->in.at[1];
    if (cut->in_place) {
        block->a = image + (cut->rows.first + (ptrdiff_t)block->first_row * cut->rows.step) * cut->in_row
                 + (cut->columns.first + (ptrdiff_t)block->first_column * cut->columns.step) * cut->in_column;
        block->a_row = cut->rows.step * cut->in_row;
        block->a_column = cut->columns.step * cut->in_column;
        block->a_channel = g->in.at[1];
        block->a_tap_row = cut->rows.tap * cut->in_row;
        block->a_tap_column = cut->columns.tap * cut->in_column;
        return;
    }
    struct cvl_igemm_band fill = {
        .kern = g->kern, .image = image, .row = cut->in_row, .column = cut->in_column, .channel = g->in.at[1],
        .rows = cut->rows, .columns = cut->columns, .first_row = block->first_row, .row_count = block->rows,
        .first_column = block->first_column, .column_count = block->columns, .channels = block->channels,
        .row_span = cvl_igemm_span(&cut->rows, block->rows, cut->row_span.by_tap),
        .column_span = cvl_igemm_span(&cut->columns, block->columns, cut->column_span.by_tap),
        .planes = cut->planes, .to = band, .to_row = cut->band_row, .to_column = cut->band_column,
        .to_channel = cut->band_channel,
    };
    cvl_phase("pack");
    cvl_igemm_fill(&fill);
    block->a = band;
    block->a_row = fill.row_span.at_t * cut->band_row;
    block->a_column = fill.column_span.at_t * cut->band_column;
    block->a_channel = cut->band_channel;
    block->a_tap_row = fill.row_span.at_j * cut->band_row;
    block->a_tap_column = fill.column_span.at_j * cut->band_column;
}

/* The panels of this chunk: where they were packed, or packed now. */
static void prepare_filter(struct block *block, float *room)
{
    const struct job *job = block->job;
    const struct cvl_igemm *g = job->igemm;
    const int lanes = g->kern->lanes;
    if (job->packed) {
        block->b = job->packed + ((ptrdiff_t)block->group * g->panels + block->first_panel) * g->panel
                 + (ptrdiff_t)block->channel * lanes;
        block->b_panel = g->panel;
        block->b_tap = (ptrdiff_t)g->in_channels * lanes;
        return;
    }
    cvl_phase("pack");
    const struct cvl_igemm_panels panels = {
        .w = job->w, .to = room, .pitch = (ptrdiff_t)g->taps * block->channels * lanes, .group = block->group,
        .first = block->first_panel, .last = block->first_panel + block->panels, .channel = block->channel,
        .channels = block->channels,
    };
    cvl_igemm_pack_panels(g, &panels);
    block->b = room;
    block->b_panel = panels.pitch;
    block->b_tap = (ptrdiff_t)block->channels * lanes;
}

static void locate(struct block *block, int number)
{
    const struct cvl_igemm_cut *cut = &block->job->cut;
    block->first_column = number % cut->column_blocks * cut->block_columns;
    block->columns = cvl_igemm_min(cut->block_columns, cut->columns.count - block->first_column);
    number /= cut->column_blocks;
    block->first_row = number % cut->row_blocks * cut->block_rows;
    block->rows = cvl_igemm_min(cut->block_rows, cut->rows.count - block->first_row);
    block->image = number / cut->row_blocks;
}

static void data_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_igemm *g = job->igemm;
    const struct cvl_igemm_cut *cut = &job->cut;
    float *band = job->scratch + slot * job->slot_floats, *room = band + (cut->band_floats + 15) / 16 * 16;
    struct block block = { .job = job };
    block.first_panel = task % cut->out_blocks * cut->out_panels;
    block.panels = cvl_igemm_min(cut->out_panels, g->panels - block.first_panel);
    task /= cut->out_blocks;
    const int first = task % cut->spread * cut->tasks_blocks;
    const int last = cvl_igemm_min(cut->blocks, first + cut->tasks_blocks);
    block.group = task / cut->spread;
    for (int chunk = 0; chunk < cut->chunks; chunk++) {
        block.channel = chunk * cut->chunk;
        block.channels = cvl_igemm_min(cut->chunk, g->in_channels - block.channel);
        prepare_filter(&block, room);
        for (int number = first; number < last; number++) {
            locate(&block, number);
            prepare_image(&block, band);
            cvl_phase("multiply");
            if (cut->lanes == CVL_IGEMM_CHANNELS)
                multiply_channels(&block);
            else
                multiply_columns(&block);
        }
    }
}

static ptrdiff_t slot_floats(const struct cvl_igemm_cut *cut)
{
    return (cut->band_floats + 15) / 16 * 16 + (cut->raw_floats + 15) / 16 * 16;
}

size_t cvl_igemm_data_workspace(const struct cvl_igemm *g)
{
    ptrdiff_t most = 0;
    for (int i = 0; i < cvl_igemm_classes(g->desc, true); i++)
        for (int j = 0; j < cvl_igemm_classes(g->desc, false); j++)
            for (int raw = !g->desc->const_filter; raw < 2; raw++) {
                const struct cvl_igemm_cut cut = cvl_igemm_cut(g, i, j, raw);
                const ptrdiff_t floats = slot_floats(&cut);
                most = floats > most ? floats : most;
            }
    return (size_t)most * sizeof(float) * (size_t)g->ctx->threads;
}

cvl_status cvl_igemm_data(const struct cvl_igemm *g, const cvl_conv_args *args, void *workspace)
{
    const bool backward = g->desc->pass == CVL_BWD_DATA;
    struct job job = { .igemm = g, .in = backward ? args->y : args->x, .written = backward ? args->x : args->y,
                       .bias = args->bias, .residual = args->residual, .packed = args->packed, .w = args->w,
                       .scratch = workspace };
    for (int i = 0; i < cvl_igemm_classes(g->desc, true); i++)
        for (int j = 0; j < cvl_igemm_classes(g->desc, false); j++) {
            job.cut = cvl_igemm_cut(g, i, j, !args->packed);
            job.slot_floats = slot_floats(&job.cut);
            cvl_parallel_for(g->ctx, g->desc->groups * job.cut.spread * job.cut.out_blocks, data_task, &job);
        }
    cvl_phase(NULL);
    return CVL_OK;
}
