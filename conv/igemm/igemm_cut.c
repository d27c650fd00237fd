/* SPDX-License-Identifier: Apache-2.0
 * Cuts a data pass into tasks, blocks and chunks. A block of pixels is copied into a band (or read in place), chunk by
 * chunk of its channels; the panels of the filter then pass by it. Blocks are large enough that fetching a panel is
 * cheap beside what is multiplied with it, and a band with a chunk of a panel stays in the second-level cache. */
#include "conv/igemm/igemm_cut.h"

#include <math.h>

enum {
    POSITIONS = 224,             /* of a block */
    POSITIONS_MOST = 8 * POSITIONS,
    POSITIONS_BY_PLANE = 32 * POSITIONS,
    SHORT = 32,                  /* products of a sum */
    PLANES_FLOATS = 1 << 20,
    REDUCTION = 4608,            /* products summed before sums go to memory */
    BAND_FLOATS = 1 << 16,
    CHANNELS_APART = 8, COLUMNS_WIDE = 12,
    STAGE_PIXELS = 112,          /* whole vectors, and whole tiles of 7 */
    POSITIONS_LEAST = 56,
    TASKS = 8,
    RAW_POSITIONS = 512,         /* of a task that packs its own filter */
    TASK_FLOPS = 2000000,
};

/* One axis of an outer and an inner one whose elements follow one another in both images. */
static bool follows(int count, ptrdiff_t in_outer, ptrdiff_t out_outer, ptrdiff_t in_inner, ptrdiff_t out_inner)
{
    return in_outer == count * in_inner && out_outer == count * out_inner;
}

static bool is_whole(const struct cvl_axis *axis)
{
    return axis->taps == 1 && axis->step == 1 && axis->first == 0 && axis->count == axis->extent;
}

void cvl_igemm_merge(struct cvl_igemm_cut *cut)
{
    if (!is_whole(&cut->rows) || !is_whole(&cut->columns))
        return;
    if (cut->columns.count == 1) {
        cut->in_column = cut->in_row;
        cut->out_column = cut->out_row;
    } else if (cut->rows.count > 1
               && !follows(cut->columns.count, cut->in_row, cut->out_row, cut->in_column, cut->out_column)) {
        return;
    }
    cut->columns.count *= cut->rows.count;
    cut->columns.w = cut->columns.w_step = 0;
    cut->columns.extent = cut->columns.count;
    cut->rows.count = cut->rows.extent = 1;
    if (cut->images == 0)
        return;
    if (cut->columns.count == 1) {
        cut->in_column = cut->in_image;
        cut->out_column = cut->out_image;
    } else if (cut->images > 1
               && !follows(cut->columns.count, cut->in_image, cut->out_image, cut->in_column, cut->out_column)) {
        return;
    }
    cut->columns.count *= cut->images;
    cut->columns.extent = cut->columns.count;
    cut->images = 1;
}

/* Do channels so far apart find room in a first-level cache of 8 ways, each 1024 floats long? What is written competes
 * for it, so if it must keep them for a second panel, half of the ways are theirs (16 channels of 112x112: 4 % faster
 * than by a band). */
static bool spread(const struct cvl_igemm *g)
{
    const ptrdiff_t apart = g->in.at[1], same = apart & -apart;   /* they fall on sets that are multiples of this */
    const int ways = g->panels == 1 ? 8 : 4;
    return same < 256 || g->in_channels <= ways * cvl_max(1, (int)(1024 / same));
}

/* Whole vectors of pixels that lie side by side. */
static bool vectors_can_stay(const struct cvl_igemm *g, const struct cvl_igemm_cut *cut)
{
    const int knob = g->variant.knob[CVL_IGEMM_PACK];
    return knob != 1 && is_whole(&cut->rows) && is_whole(&cut->columns) && cut->in_column == 1
        && cut->columns.count % g->kern->lanes == 0 && (knob == 2 || spread(g));
}

/* A rough count of cycles for one position by either kind of lanes. */
static enum cvl_igemm_lanes choose_lanes(const struct cvl_igemm *g, const struct cvl_igemm_cut *cut)
{
    const int lanes = g->kern->lanes;
    const double k = (double)g->taps / cut->row_classes / cut->column_classes * g->in_channels;
    const int vectors = cvl_divide_up(cut->columns.count, lanes);
    const double waste = (double)vectors * lanes / cut->columns.count;
    const bool rows_apart = cut->columns.step > 1 && cut->columns.taps > 1;
    const double copy = g->in_channels * (g->in.at[1] == 1 ? 5.0 : 2.5) * (rows_apart ? cut->columns.taps : 1);
    const double band = vectors_can_stay(g, cut) ? 0 : copy;
    const double channels = g->panels * (k + (g->out.at[1] == 1 ? 4 : 12));
    const double columns = waste / lanes * (g->out_channels * (1.03 * k + (cut->out_column == 1 ? 4 : 20)) + band);
    return columns < channels ? CVL_IGEMM_COLUMNS : CVL_IGEMM_CHANNELS;
}

/* Rows of a tile that fall on the same lines of the cache must not be more than its ways, as those of a tile of one
 * vector are (in place such tiles ran at half the speed); with several taps a band serves all of them. A few channels
 * that lie apart would be a short innermost loop, and narrow rows of them a line of the cache for each step, so they
 * are woven into a band. (For wide rows a band lost in NCHW: 89 to 102 GFLOP/s at 14x14; at 7x7 it wins, 103 to 82.) */
static bool can_stay(const struct cvl_igemm *g, const struct cvl_igemm_cut *cut)
{
    const struct cvl_axis *a = &cut->columns;
    const int knob = g->variant.knob[CVL_IGEMM_PACK];
    if (cut->lanes == CVL_IGEMM_COLUMNS)
        return vectors_can_stay(g, cut);
    if (a->taps == 0 || cut->rows.taps == 0)
        return true;
    if (knob)
        return knob == 2;
    if (g->in.at[1] == 1)
        return a->count <= 4 || a->step * cut->in_column % 1024 != 0
            || (a->taps * cut->rows.taps == 1 && g->panels > 1);
    return a->taps == 1 || (g->in_channels >= CHANNELS_APART && a->count >= COLUMNS_WIDE);
}

static void measure_band(const struct cvl_igemm *g, struct cvl_igemm_cut *cut)
{
    const bool by_tap = cut->lanes == CVL_IGEMM_COLUMNS && cut->columns.step > 1;
    cut->row_span = cvl_igemm_span(&cut->rows, cut->block_rows, false);
    cut->column_span = cvl_igemm_span(&cut->columns, cut->block_columns, by_tap);
    const ptrdiff_t columns = cut->column_span.size, rows = cut->row_span.size, lanes = g->kern->lanes;
    if (cut->planes) {
        cut->band_column = 1;
        cut->band_row = columns;
        cut->band_channel = (rows * columns + 15) / 16 * 16;
        if (cut->band_channel % 512 == 0)
            cut->band_channel += 16;
        cut->band_floats = cut->band_channel * cut->chunk + CVL_TILE_VECTORS * lanes;
    } else {
        cut->band_channel = 1;
        cut->band_column = cut->chunk % 256 == 0 ? cut->chunk + 16 : cut->chunk;
        cut->band_row = columns * cut->band_column;
        cut->band_floats = rows * cut->band_row;
    }
    if (cut->in_place)
        cut->band_floats = 0;
}

static int even(int total, int part)
{
    return cvl_divide_up(total, cvl_divide_up(total, part));
}

static void cut_block(const struct cvl_igemm *g, struct cvl_igemm_cut *cut, int target)
{
    const int reduction = g->variant.knob[CVL_IGEMM_CHUNK] ? g->variant.knob[CVL_IGEMM_CHUNK] : REDUCTION;
    const int unit = cut->lanes == CVL_IGEMM_CHANNELS ? g->kern->rows_max[2] : 3 * g->kern->lanes;
    const int taps = cvl_max(1, cut->rows.taps * cut->columns.taps);
    cut->block_columns = cut->columns.count;
    if (cut->columns.count > target + target / 2)
        cut->block_columns = cvl_divide_up(even(cut->columns.count, target), unit) * unit;
    cut->block_rows = even(cut->rows.count, cvl_max(1, target / cut->block_columns));
    cut->chunk = even(g->in_channels, cvl_max(1, reduction / taps));
    if (cut->chunk < g->in_channels && cut->chunk >= 16)
        cut->chunk = cvl_min(g->in_channels, (cut->chunk + 15) / 16 * 16);
    for (measure_band(g, cut); cut->band_floats > BAND_FLOATS; measure_band(g, cut)) {
        if (cut->block_rows > 1)
            cut->block_rows = even(cut->rows.count, cut->block_rows / 2);
        else if (cut->chunk > 64)
            cut->chunk = even(g->in_channels, cut->chunk / 2);
        else if (cut->block_columns > unit)
            cut->block_columns = cvl_divide_up(cut->block_columns / 2, unit) * unit;
        else if (cut->chunk > 1)
            cut->chunk = even(g->in_channels, cut->chunk / 2);
        else
            break;
    }
    cut->row_blocks = cvl_divide_up(cut->rows.count, cut->block_rows);
    cut->column_blocks = cvl_divide_up(cut->columns.count, cut->block_columns);
    cut->chunks = cvl_divide_up(g->in_channels, cut->chunk);
}

static double task_count(const struct cvl_igemm *g, const struct cvl_igemm_cut *cut)
{
    return (double)cut->images * cut->row_blocks * cut->column_blocks * g->desc->groups
         * cvl_divide_up(g->panels, cut->out_panels);
}

/* More tasks from fewer channels each. The band is filled once more for each of them, which costs about 3/16 of a
 * multiplication with one panel and one tap. 8 panels are tiles of 3, 3 and 2 vectors; 4 lost 3 % with tiles of 2, and
 * 6 share out 32 panels unevenly. */
static void split_panels(const struct cvl_igemm *g, struct cvl_igemm_cut *cut, int tasks)
{
    const int taps = cvl_max(1, cut->rows.taps * cut->columns.taps);
    const int least = cut->in_place ? 8 : cvl_max(4, 16 / taps);
    const double flops = 2.0 * cut->block_rows * cut->block_columns * taps * g->in_channels * g->kern->lanes;
    cut->out_panels = g->panels;
    while (cut->out_panels >= 2 * least && task_count(g, cut) < tasks && flops * cut->out_panels > 2 * TASK_FLOPS)
        cut->out_panels = even(g->panels, cut->out_panels / 2);
}

/* Planes of an image beyond the caches are written in long runs where the sums are so short that the band need not be
 * in the first-level cache: 3 channels to 64 of 224x224 run at 94 GFLOP/s instead of 77. */
static bool writes_planes(const struct cvl_igemm *g, const struct cvl_igemm_cut *cut)
{
    const double written = (double)g->out_channels * cut->rows.count * cut->columns.count;
    return cut->lanes == CVL_IGEMM_COLUMNS && g->taps * g->in_channels <= SHORT && written >= PLANES_FLOATS;
}

/* Beginning a block costs about 500 cycles, which short sums feel; pixels read in place may be as many as the
 * second-level cache holds. */
static int target_positions(const struct cvl_igemm *g, const struct cvl_igemm_cut *cut)
{
    const int steps = cvl_max(1, cut->rows.taps * cut->columns.taps) * g->in_channels;
    if (g->variant.knob[CVL_IGEMM_PIXELS])
        return g->variant.knob[CVL_IGEMM_PIXELS];
    if (cut->by_plane)
        return POSITIONS_BY_PLANE;
    return cvl_max(POSITIONS, cvl_min((cut->in_place ? BAND_FLOATS : BAND_FLOATS / 2) / steps, POSITIONS_MOST));
}

static void cut_tasks(const struct cvl_igemm *g, struct cvl_igemm_cut *cut, bool raw)
{
    const int knob = g->variant.knob[CVL_IGEMM_PIXELS], lanes = g->kern->lanes;
    const double total = cvl_conv_flops(g->desc);
    const int wanted = (int)fmin(TASKS, total / TASK_FLOPS);
    for (int target = target_positions(g, cut);; target /= 2) {
        cut_block(g, cut, target);
        split_panels(g, cut, wanted);
        if (knob || target <= POSITIONS_LEAST || task_count(g, cut) >= wanted)
            break;
    }
    cut->blocks = cut->images * cut->row_blocks * cut->column_blocks;
    cut->tasks_blocks = 1;
    if (raw) {
        const double positions = (double)cut->block_rows * cut->block_columns;
        const int64_t room = BAND_FLOATS / ((int64_t)g->taps * cut->chunk * lanes);
        cut->out_panels = cvl_max(1, cvl_min(cut->out_panels, (int)room));
        cut->tasks_blocks = cvl_max(1, cvl_min(cut->blocks, (int)(RAW_POSITIONS / positions)));
        cut->raw_floats = (ptrdiff_t)g->taps * cut->chunk * lanes * cut->out_panels;
    }
    cut->out_blocks = cvl_divide_up(g->panels, cut->out_panels);
    cut->spread = cvl_divide_up(cut->blocks, cut->tasks_blocks);
}

/* As many vectors as give the largest tile, unless another number takes clearly less. A tile of one vector and 14
 * rows multiplies as fast, but its rows, each a stream of its own, lie too many for the first-level cache (512 channels
 * of every second pixel: 91 % of the peak; 7 rows of 3 vectors: 94). Vectors of pixels: 91.5 by 2, 93 by 3 (64 channels
 * of 56x56). */
static int widest_tile(const struct cvl_igemm *g, const struct cvl_igemm_cut *cut)
{
    const int taps = cvl_max(1, g->taps / (cut->row_classes * cut->column_classes)), steps = taps * cut->chunk;
    const bool channels = cut->lanes == CVL_IGEMM_CHANNELS;
    const int rows = channels ? cut->block_columns : cvl_min(g->kern->lanes, g->out_channels);
    const int vectors = channels ? cut->out_panels : cvl_divide_up(cut->block_columns, g->kern->lanes);
    const int large = g->kern->rows_max[3] * 3 > g->kern->rows_max[2] * 2 ? 3 : 2;
    double least;
    const int best = cvl_tile_shape(g->kern, rows, vectors, steps, &least);
    const bool level = large <= vectors && cvl_tile_slots(g->kern, rows, vectors, steps, large) < 1.003 * least;
    return level ? large : best;
}

struct cvl_igemm_cut cvl_igemm_cut(const struct cvl_igemm *g, bool raw)
{
    struct cvl_igemm_cut cut = {
        .rows = cvl_igemm_union(g->desc, true), .columns = cvl_igemm_union(g->desc, false),
        .row_classes = cvl_axis_classes(g->desc, true), .column_classes = cvl_axis_classes(g->desc, false),
        .images = g->desc->n, .in_image = g->in.at[0], .in_row = g->in.at[2], .in_column = g->in.at[3],
        .out_image = g->out.at[0],
    };
    cut.out_row = cut.rows.out_step * g->out.at[2];
    cut.out_column = cut.columns.out_step * g->out.at[3];
    cut.out_first = cut.rows.out * g->out.at[2] + cut.columns.out * g->out.at[3];
    if (cut.rows.out_step == 1 && cut.columns.out_step == 1)
        cvl_igemm_merge(&cut);
    const int knob = g->variant.knob[CVL_IGEMM_LANES];
    cut.lanes = knob ? (enum cvl_igemm_lanes)knob : choose_lanes(g, &cut);
    cut.in_place = can_stay(g, &cut);
    cut.planes = cut.lanes == CVL_IGEMM_COLUMNS
              || (g->in.at[1] != 1 && g->in_channels >= CHANNELS_APART && cut.columns.count >= COLUMNS_WIDE);
    cut.staged = cut.lanes == CVL_IGEMM_CHANNELS && g->out.at[1] != 1 && cut.column_classes <= CVL_IGEMM_STAGED_MOST;
    cut.by_plane = writes_planes(g, &cut);
    cut_tasks(g, &cut, raw);
    cut.widest = widest_tile(g, &cut);
    cut.stage_columns = cvl_min(cut.block_columns, STAGE_PIXELS / cvl_min(cut.column_classes, STAGE_PIXELS));
    if (cut.staged)
        cut.stage_floats = (ptrdiff_t)cut.stage_columns * cut.column_classes * cut.widest * g->kern->lanes;
    return cut;
}
