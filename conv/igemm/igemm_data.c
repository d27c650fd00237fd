/* SPDX-License-Identifier: Apache-2.0
 * FWD and BWD_DATA. A task owns a block of pixels and some panels of channels; for each chunk of the reduction it fills
 * a band with what the block reads and multiplies it with the panels, tile by tile. Sums live in what is written
 * between chunks: the first one adds bias and residual, the last one applies the activation. */
#include "base/profile.h"
#include "base/threads.h"
#include "conv/igemm/igemm_cut.h"

#include <assert.h>

enum { LINE = 16 };              /* floats of a line of the cache */

struct job {
    const struct cvl_igemm *igemm;
    struct cvl_igemm_cut    cut;
    const float            *in, *bias, *residual, *packed, *w;
    float                  *written;
    float                  *scratch;       /* of all slots */
    ptrdiff_t               slot_floats;
};

/* Runs of cache lines that the next block will read and write: tiles fetch them on the way. */
struct ahead { const float *from; ptrdiff_t lines; };

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
    float            *stage;
    struct ahead     *ahead;                           /* two */
};

/* Everything of a tile but its rows and lanes. */
static struct cvl_tile start(const struct block *block, const struct cvl_igemm_class *class, int row, int column)
{
    const struct job *job = block->job;
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

/* Of a tile's reduction, where all taps are inside. */
static int steps_of(const struct block *block)
{
    const struct cvl_igemm_cut *cut = &block->job->cut;
    return cvl_max(1, block->job->igemm->taps / (cut->row_classes * cut->column_classes)) * block->channels;
}

static int narrow(const struct cvl_gemm_kern *kern, int vectors)
{
    while (!kern->rows_max[vectors])
        vectors--;
    return vectors;
}

/* Panels that one tile takes, and how far it is to those that come next. */
struct panels {
    int       first, count;
    ptrdiff_t next;
    int       next_vector;       /* the first one that no tile has fetched yet */
};

/* Each of the first tiles fetches one vector's panel of those that come next, which would otherwise arrive no faster
 * than memory while the first tile that reads them waits; the others fetch what the next block reads and writes. The
 * distance is from the tile's b, which moves a line with each step. */
static ptrdiff_t fetch_ahead(const struct block *block, const struct cvl_tile *tile, struct panels *panels)
{
    if (panels->next && panels->next_vector < tile->vectors)
        return panels->next + panels->next_vector++ * tile->b_vector;
    struct ahead *ahead = block->ahead[0].lines > 0 ? block->ahead : block->ahead + 1;
    if (ahead->lines <= 0 || tile->count[1] * tile->count[2] != 1)
        return 0;
    const ptrdiff_t distance = ((intptr_t)ahead->from - (intptr_t)tile->b) / (ptrdiff_t)sizeof *tile->b;
    ahead->from += (ptrdiff_t)tile->count[0] * LINE;
    ahead->lines -= tile->count[0];
    return distance;
}

/* A row of pixels by some vectors of channels: rows are pixels, lanes are channels. */
static void multiply_row(const struct block *block, struct cvl_tile tile, int columns, struct panels *panels)
{
    const struct cvl_gemm_kern *kern = block->job->igemm->kern;
    const int tiles = cvl_divide_up(columns, kern->rows_max[tile.vectors]);
    const int low = columns / tiles, higher = columns % tiles;
    cvl_tile_join(&tile);
    for (int i = 0; i < tiles; i++) {
        tile.rows = low + (i < higher);
        tile.b_next = fetch_ahead(block, &tile, panels);
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

static int rows_of(const struct block *block, const struct cvl_igemm_class *class)
{
    return cvl_min(block->rows, class->rows.count - block->first_row);
}

static int columns_of(const struct block *block, const struct cvl_igemm_class *class)
{
    return cvl_min(block->columns, class->columns.count - block->first_column);
}

static struct cvl_tile start_panels(const struct block *block, const struct cvl_igemm_class *class, int row,
                                    const struct panels *panels)
{
    const struct cvl_igemm *g = block->job->igemm;
    const int lanes = g->kern->lanes, channel = (block->first_panel + panels->first) * lanes;
    struct cvl_tile tile = start(block, class, row, 0);
    tile.vectors = panels->count;
    tile.last = cvl_min(g->out_channels - channel, panels->count * lanes) - (panels->count - 1) * lanes;
    tile.a_row = block->a_column;
    tile.b += panels->first * block->b_panel;
    tile.b_vector = block->b_panel;
    tile.out_row = block->job->cut.out_column;
    tile.out_lane = g->out.at[1];
    tile.bias_lane = 1;
    shift_channel(&tile, block, channel);
    return tile;
}

/* One row of all column classes: their sums meet in the stage, pixel by pixel, and leave it as one row. */
static void multiply_staged_row(const struct block *block, int row_class, int row, struct panels *panels)
{
    const struct job *job = block->job;
    const struct cvl_igemm *g = job->igemm;
    const struct cvl_igemm_cut *cut = &job->cut;
    const ptrdiff_t pixel = panels->count * g->kern->lanes;
    struct cvl_tile whole = { .rows = 0 };
    for (int i = 0; i < cut->column_classes; i++) {
        const struct cvl_igemm_class class = cvl_igemm_class(g, cut, row_class, i);
        const int columns = columns_of(block, &class);
        struct cvl_tile tile = start_panels(block, &class, row, panels);
        if (i == 0)
            whole = tile;
        whole.rows += cvl_max(0, columns);
        tile.out = block->stage + i * pixel;
        tile.out_row = cut->column_classes * pixel;
        tile.out_lane = 1;
        tile.last = g->kern->lanes;
        tile.add = tile.bias = NULL;
        tile.act = CVL_ACT_NONE;
        if (columns > 0)
            multiply_row(block, tile, columns, panels);
    }
    whole.out_row = g->out.at[3];
    g->kern->finish(&whole, block->stage, pixel);
}

/* A class without a tap that nothing is added to. */
static bool is_zero(const struct block *block, const struct cvl_igemm_class *class)
{
    const struct job *job = block->job;
    return (class->rows.taps == 0 || class->columns.taps == 0) && !job->bias && !job->residual
           && job->igemm->desc->epi.act == CVL_ACT_NONE;
}

/* Zeros for some panels of all positions of a class, or of all column classes of a row class. */
static void clear(const struct block *block, const struct cvl_igemm_class *class, bool all_columns, int panel, int panels)
{
    const struct job *job = block->job;
    const struct cvl_igemm *g = job->igemm;
    const struct cvl_igemm_cut *cut = &job->cut;
    const int step = all_columns ? cut->column_classes : 1, lanes = g->kern->lanes;
    const int channel = (block->first_panel + panel) * lanes;
    const int channels = cvl_min(panels * lanes, g->out_channels - channel);
    const int most = all_columns ? g->desc->w - block->first_column * step : columns_of(block, class);
    const int columns = cvl_min(block->columns * step, most);
    if (block->channel != 0 || columns <= 0)
        return;
    for (int row = 0; row < rows_of(block, class); row++) {
        float *to = job->written + class->out_first + block->image * cut->out_image
                  + (block->first_row + row) * cut->out_row + block->first_column * cut->out_column
                  + (block->group * (ptrdiff_t)g->out_channels + channel) * g->out.at[1];
        if (all_columns && g->out.at[3] == 1)
            cvl_igemm_clear(to, g->out.at[1], channels, columns);
        else
            cvl_igemm_clear(to, all_columns ? g->out.at[3] : cut->out_column, columns, channels);
    }
}

/* Zeros of classes without taps: of some panels, as soon as their other rows are written, or of all panels at once where
 * channels lie side by side. Returns whether this class needs nothing else. */
static bool clear_zeros(const struct block *block, int row_class, int column_class, const struct panels *panels)
{
    const struct job *job = block->job;
    const bool by_pixel = job->igemm->out.at[1] == 1;
    const struct cvl_igemm_class class = cvl_igemm_class(job->igemm, &job->cut, row_class, column_class);
    const bool all_columns = class.rows.taps == 0;
    if (!is_zero(block, &class) || (job->cut.staged && !all_columns))
        return false;
    if ((!by_pixel || panels->first == 0) && (!all_columns || column_class == 0))
        clear(block, &class, all_columns, panels->first, by_pixel ? block->panels : panels->count);
    return true;
}

static void multiply_class(const struct block *block, int row_class, int column_class, struct panels *panels)
{
    const struct cvl_igemm_class class = cvl_igemm_class(block->job->igemm, &block->job->cut, row_class, column_class);
    const int columns = columns_of(block, &class);
    panels->next_vector = 0;
    for (int row = 0; columns > 0 && row < rows_of(block, &class); row++)
        multiply_row(block, start_panels(block, &class, row, panels), columns, panels);
}

static void multiply_staged(const struct block *block, int row_class, struct panels *panels)
{
    const struct cvl_igemm_class class = cvl_igemm_class(block->job->igemm, &block->job->cut, row_class, 0);
    panels->next_vector = 0;
    for (int row = 0; row < rows_of(block, &class); row++)
        multiply_staged_row(block, row_class, row, panels);
}

static void multiply_channels(const struct block *block)
{
    const struct cvl_igemm *g = block->job->igemm;
    const struct cvl_igemm_cut *cut = &block->job->cut;
    double cycles;
    const int widest = cvl_tile_shape(g->kern, block->columns, block->panels, steps_of(block), &cycles);
    struct panels panels = { .count = 0 };
    for (; panels.first < block->panels; panels.first += panels.count) {
        panels.count = narrow(g->kern, cvl_min(widest, block->panels - panels.first));
        panels.next = next_panels(block, panels.first, panels.count);
        for (int i = 0; i < cut->row_classes; i++)
            for (int j = 0; j < cut->column_classes; j++) {
                if (clear_zeros(block, i, j, &panels))
                    continue;
                if (!cut->staged)
                    multiply_class(block, i, j, &panels);
                else if (j == 0)
                    multiply_staged(block, i, &panels);
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
        const int channels = cvl_min(lanes, g->out_channels - channel);
        const int tiles = cvl_divide_up(channels, g->kern->rows_max[at.vectors]);
        const int low = channels / tiles, higher = channels % tiles;
        struct cvl_tile tile = at;
        if (panel > 0)
            tile.b_next = tile.b_next_vector = 0;
        tile.a += panel * block->b_panel;
        shift_channel(&tile, block, channel);
        for (int i = 0; i < tiles; i++) {
            tile.rows = low + (i < higher);
            g->kern->tile[tile.vectors](&tile);
            tile.b_next = tile.b_next_vector = 0;
            tile.a += tile.rows;
            tile.out += tile.rows * tile.out_row;
            tile.add += tile.add ? tile.rows * tile.out_row : 0;
            tile.bias += tile.bias ? tile.rows : 0;
        }
    }
}

static void multiply_columns(const struct block *block, const struct cvl_igemm_class *class)
{
    const struct cvl_igemm *g = block->job->igemm;
    const int columns = columns_of(block, class);
    const int lanes = g->kern->lanes, vectors = columns > 0 ? cvl_divide_up(columns, lanes) : 0;
    double cycles;
    const int widest = cvl_tile_shape(g->kern, cvl_min(lanes, g->out_channels), vectors, steps_of(block),
                                      &cycles);
    for (int row = 0; row < rows_of(block, class); row++)
        for (int vector = 0, take; vector < vectors; vector += take) {
            take = narrow(g->kern, cvl_min(widest, vectors - vector));
            struct cvl_tile tile = start(block, class, row, vector * lanes);
            tile.vectors = take;
            tile.last = cvl_min(columns - vector * lanes, take * lanes) - (take - 1) * lanes;
            tile.b_next = take * lanes;
            tile.b_next_vector = lanes;
            multiply_vectors(block, tile);
        }
}

static void multiply_column_classes(const struct block *block)
{
    const struct cvl_igemm_cut *cut = &block->job->cut;
    for (int i = 0; i < cut->row_classes; i++)
        for (int j = 0; j < cut->column_classes; j++) {
            const struct cvl_igemm_class class = cvl_igemm_class(block->job->igemm, cut, i, j);
            multiply_columns(block, &class);
        }
}

/* In NHWC the next block of whole rows follows this one in both images. */
static void look_ahead(const struct block *block, struct ahead ahead[2])
{
    const struct job *job = block->job;
    const struct cvl_igemm *g = job->igemm;
    const struct cvl_igemm_cut *cut = &job->cut;
    const bool by_row = cut->column_blocks == 1;
    const ptrdiff_t in = by_row ? block->rows * cut->in_row : block->columns * cut->in_column;
    const ptrdiff_t out = by_row ? block->rows * cut->out_row : block->columns * cut->out_column;
    ahead[0] = ahead[1] = (struct ahead){ NULL, 0 };
    if (g->in.at[1] != 1 || g->out.at[1] != 1 || g->desc->groups != 1 || cut->chunks != 1 || cut->out_blocks != 1)
        return;
    ahead[0].from = job->in + block->image * cut->in_image + block->first_row * cut->in_row
                  + block->first_column * cut->in_column + in;
    ahead[0].lines = in / LINE;
    ahead[1].from = job->written + block->image * cut->out_image + block->first_row * cut->out_row
                  + block->first_column * cut->out_column + out;
    ahead[1].lines = out / LINE;
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
    block->columns = cvl_min(cut->block_columns, cut->columns.count - block->first_column);
    number /= cut->column_blocks;
    block->first_row = number % cut->row_blocks * cut->block_rows;
    block->rows = cvl_min(cut->block_rows, cut->rows.count - block->first_row);
    block->image = number / cut->row_blocks;
}

static void data_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_igemm *g = job->igemm;
    const struct cvl_igemm_cut *cut = &job->cut;
    float *band = job->scratch + slot * job->slot_floats, *room = band + (cut->band_floats + 15) / 16 * 16;
    struct ahead ahead[2];
    struct block block = { .job = job, .ahead = ahead, .stage = room + (cut->raw_floats + 15) / 16 * 16 };
    block.first_panel = task % cut->out_blocks * cut->out_panels;
    block.panels = cvl_min(cut->out_panels, g->panels - block.first_panel);
    task /= cut->out_blocks;
    const int first = task % cut->spread * cut->tasks_blocks;
    const int last = cvl_min(cut->blocks, first + cut->tasks_blocks);
    block.group = task / cut->spread;
    for (int chunk = 0; chunk < cut->chunks; chunk++) {
        block.channel = chunk * cut->chunk;
        block.channels = cvl_min(cut->chunk, g->in_channels - block.channel);
        prepare_filter(&block, room);
        for (int number = first; number < last; number++) {
            locate(&block, number);
            prepare_image(&block, band);
            look_ahead(&block, ahead);
            cvl_phase("multiply");
            if (cut->lanes == CVL_IGEMM_CHANNELS)
                multiply_channels(&block);
            else
                multiply_column_classes(&block);
        }
    }
}

static ptrdiff_t slot_floats(const struct cvl_igemm_cut *cut)
{
    return (cut->band_floats + 15) / 16 * 16 + (cut->raw_floats + 15) / 16 * 16 + (cut->stage_floats + 15) / 16 * 16;
}

size_t cvl_igemm_data_workspace(const struct cvl_igemm *g)
{
    ptrdiff_t most = 0;
    for (int raw = !g->desc->const_filter; raw < 2; raw++) {
        const struct cvl_igemm_cut cut = cvl_igemm_cut(g, raw);
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
    job.cut = cvl_igemm_cut(g, !args->packed);
    job.slot_floats = slot_floats(&job.cut);
    cvl_parallel_for(g->ctx, g->desc->groups * job.cut.spread * job.cut.out_blocks, data_task, &job);
    cvl_phase(NULL);
    return CVL_OK;
}
