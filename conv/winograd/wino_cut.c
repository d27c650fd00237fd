/* SPDX-License-Identifier: Apache-2.0
 * From a problem and the knobs to axes, phases and points, and to blocks that fit the caches. */
#include "conv/winograd/wino.h"

#include "base/error.h"

#include <math.h>

enum {
    NARROW_FLOATS = 4608,        /* of a strip: 18 KiB of the first-level cache */
    WIDE_FLOATS = 36864,         /* where columns lie side by side: whole rows of them, which memory gives faster */
    BLOCK_MAX = 64,              /* tiles */
    STAGED_TASKS = 8,
    GROUP_FLOATS = 1 << 16,      /* of a group's products: a quarter of the second-level cache */
};

/* Beyond 256 steps (128) a sum's error hardly grows, and longer sums are at most 1 % faster. Two sums for 64 channels
 * instead of one lower the errors by a quarter and take 2 % of the time, in F(2x2) and F(4x4) 1 to 5. */
static const struct cvl_wino_parts parts[] = {
    { .amplification = 2, .least = 2, .steps = 256 },           /* F(2x2), which is taken for its small error */
    { .amplification = 20, .least = 1, .steps = 256 },
    { .amplification = 30, .least = 2, .steps = 256 },          /* F(6x6) */
    { .amplification = HUGE_VAL, .least = 1, .steps = 128 },    /* F(7x7), which is taken for its speed */
};

#define DECLARE(level) extern const struct cvl_wino_kern cvl_wino_kern_##level;
CVL_ISA_LIST(DECLARE)
#define ENTRY(level) &cvl_wino_kern_##level,
static const struct cvl_wino_kern *const kerns[] = { CVL_ISA_LIST(ENTRY) };

const struct cvl_wino_kern *cvl_wino_kern(enum cvl_isa isa)
{
    return kerns[isa];
}

#define DECLARE_ROWS(level) extern const struct cvl_wino_rows_kern cvl_wino_rows_kern_##level;
CVL_ISA_LIST(DECLARE_ROWS)
#define ROWS_ENTRY(level) &cvl_wino_rows_kern_##level,
static const struct cvl_wino_rows_kern *const rows_kerns[] = { CVL_ISA_LIST(ROWS_ENTRY) };

const struct cvl_wino_rows_kern *cvl_wino_rows_kern(enum cvl_isa isa)
{
    return rows_kerns[isa];
}

/* ---- axes ---- */

static struct cvl_wino_axis make_axis(const cvl_conv_desc *d, bool rows)
{
    const bool backward = d->pass == CVL_BWD_DATA;
    const int image = rows ? d->h : d->w, result = rows ? cvl_conv_p(d) : cvl_conv_q(d);
    const int pad = rows ? d->pad_top : d->pad_left, stride = rows ? d->stride_h : d->stride_w;
    struct cvl_wino_axis axis = { .taps = rows ? d->r : d->s, .stride = stride };
    axis.phases = cvl_min(stride, axis.taps);
    axis.r = cvl_divide_up(axis.taps, stride);
    axis.pad = backward ? axis.taps - 1 - pad : pad;
    axis.extent = backward ? result : image;
    axis.out = backward ? image : result;
    return axis;
}

static bool set_tile(struct cvl_wino_axis *axis, int m, int set)
{
    const struct cvl_wino_matrices *f = cvl_wino_matrices(axis->r == 1 ? 1 : m, axis->r, set);
    if (!f && set)
        f = cvl_wino_matrices(axis->r == 1 ? 1 : m, axis->r, 0);
    if (!f)
        return false;
    axis->f = (int)(f - cvl_wino_matrices_all);
    axis->m = f->m;
    axis->t = axis->span = f->t;
    axis->tiles = cvl_divide_up(axis->out, f->m);
    return true;
}

/* ---- points ---- */

/* Whether all phases have all taps of this axis, or the later ones have one fewer. */
static bool has_short(const struct cvl_wino_axis *axis)
{
    return axis->phases * axis->r > axis->taps;
}

/* The order in which the phases that reach a point follow one another, whichever of its coordinates is infinite: short
 * ones come first and last. */
static void order_phases(struct cvl_wino *w)
{
    static const int row[] = { 0, 0, 1, 1 }, column[] = { 1, 0, 0, 1 };
    w->phases = 0;
    for (int i = 0; i < CVL_WINO_PHASES_MAX; i++)
        if (row[i] < w->rows.phases && column[i] < w->columns.phases) {
            w->phase_row[w->phases] = row[i];
            w->phase_column[w->phases++] = column[i];
        }
}

static void set_points(struct cvl_wino *w)
{
    w->points = w->rows.t * w->columns.t;
    w->u_floats = 0;
    for (int i = 0; i < w->points; i++) {
        const bool row = has_short(&w->rows) && i / w->columns.t == w->rows.t - 1;
        const bool column = has_short(&w->columns) && i % w->columns.t == w->columns.t - 1;
        int first = -1, count = 0;
        for (int phase = 0; phase < w->phases; phase++)
            if (!(row && w->phase_row[phase]) && !(column && w->phase_column[phase])) {
                first = first < 0 ? phase : first;
                count++;
            }
        const ptrdiff_t panel = (ptrdiff_t)count * w->in_channels * w->lanes;
        const ptrdiff_t pitch = panel + CVL_TILE_LANES;   /* off a page's multiples */
        w->point[i] = (struct cvl_wino_point){ first * w->in_channels, count * w->in_channels, w->u_floats, pitch };
        w->u_floats += w->panels * pitch;
    }
}

/* ---- blocks ---- */

/* Tiles of a micro-kernel's rows do not all fall on a few sets of the first-level cache. */
static ptrdiff_t tile_pitch(ptrdiff_t floats)
{
    return cvl_wino_round(floats) % 256 ? cvl_wino_round(floats) : cvl_wino_round(floats) + 16;
}

void cvl_wino_set_segment(struct cvl_wino *w, bool by_channel)
{
    const int columns = (by_channel ? WIDE_FLOATS : NARROW_FLOATS) / w->lanes / w->rows.t;
    const int beyond = w->columns.t - w->columns.m;
    w->segment = cvl_max(1, (columns - beyond) / w->columns.m);
    w->segment = cvl_wino_even(w->columns.tiles, cvl_min(w->segment, w->columns.tiles));
    w->strip_floats = cvl_wino_round((ptrdiff_t)w->rows.t * (w->segment * w->columns.m + beyond) * w->lanes);
}

/* As many panels as have room, or, staged, as make some tasks. */
static void set_group(struct cvl_wino *w)
{
    const int width = cvl_tile_shape(w->gemm, w->block, w->panels, w->point->count, NULL);
    const ptrdiff_t panel = (ptrdiff_t)w->points * w->block * w->lanes;
    int group = cvl_max(1, (int)(GROUP_FLOATS / panel) / width) * width;
    if (w->staged)
        group = cvl_min(group, cvl_divide_up(w->panels, w->panels >= 2 * STAGED_TASKS ? STAGED_TASKS : 4));
    w->group = cvl_min(w->panels, group);
    w->groups = cvl_divide_up(w->panels, w->group);
    w->m_tile = tile_pitch((ptrdiff_t)w->group * w->lanes);
    w->m_point = cvl_wino_odd_lines(w->m_tile * w->block);
    w->m_floats = w->m_point * w->points;
    const int held = w->staged ? w->tiles : w->block;
    w->v_tile = tile_pitch((ptrdiff_t)w->vectors * w->lanes);
    w->v_point = cvl_wino_odd_lines(w->v_tile * held);
    w->v_floats = w->v_point * w->points;
}

static void set_block(struct cvl_wino *w, int block)
{
    w->block = block;
    w->blocks = cvl_divide_up(w->tiles, block);
    set_group(w);
}

/* Blocks of equal size, such that products, traffic of the filter and room in the second-level cache cost least. A
 * number of blocks that some threads can share out evenly counts a little. */
static void choose_block(struct cvl_wino *w)
{
    enum { TRIES = 12 };
    const int first = cvl_max(1, cvl_divide_up(w->tiles, BLOCK_MAX));
    int best = 1;
    double least = INFINITY;
    for (int blocks = first; blocks < first + TRIES && blocks <= w->tiles; blocks++) {
        set_block(w, cvl_divide_up(w->tiles, blocks));
        const double uneven = (double)cvl_divide_up(w->blocks, 4) * 4 / w->blocks - 1;
        const double cycles = cvl_wino_cycles(w) * (1 + 0.03 * uneven);
        if (cycles < least) {
            least = cycles;
            best = w->block;
        }
    }
    set_block(w, best);
}

/* "4" is 4x4, "24" is 2x4; an axis of one tap has tiles of one. */
static cvl_status set_tiles(struct cvl_wino *w, const struct cvl_variant *v)
{
    const int least = cvl_max(w->rows.r, w->columns.r) < 7 ? 4 : 2;
    const int m = v->knob[CVL_WINO_M] ? v->knob[CVL_WINO_M] : least, set = v->knob[CVL_WINO_POINTS];
    if (!set_tile(&w->rows, m < 10 ? m : m / 10, set) || !set_tile(&w->columns, m % 10, set))
        return cvl_fail(CVL_ENOTFOUND, "m is %d, expected a digit, or two for rows and columns, such that there is an "
                        "F(m,%d) and an F(m,%d)", m, w->rows.r, w->columns.r);
    return CVL_OK;
}

static double amplification(const struct cvl_wino *w)
{
    return cvl_wino_matrices_all[w->rows.f].amplification * cvl_wino_matrices_all[w->columns.f].amplification;
}

double cvl_wino_amplification(const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    struct cvl_wino w = { .rows = make_axis(desc, true), .columns = make_axis(desc, false) };
    return set_tiles(&w, variant) == CVL_OK ? amplification(&w) : 1;
}

cvl_status cvl_wino_cut(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant,
                        struct cvl_wino *w)
{
    const bool backward = desc->pass == CVL_BWD_DATA;
    *w = (struct cvl_wino){
        .ctx = ctx, .desc = desc, .gemm = cvl_gemm_kern(ctx->isa), .kern = cvl_wino_kern(ctx->isa),
        .rows_kern = cvl_wino_rows_kern(ctx->isa),
        .rows = make_axis(desc, true), .columns = make_axis(desc, false),
        .in = cvl_conv_strides(desc, backward ? CVL_Y : CVL_X), .out = cvl_conv_strides(desc, backward ? CVL_X : CVL_Y),
        .w = cvl_conv_strides(desc, CVL_W), .in_channels = backward ? desc->k : desc->c,
        .out_channels = backward ? desc->c : desc->k, .staged = variant->knob[CVL_WINO_STAGED],
    };
    const cvl_status status = set_tiles(w, variant);
    if (status != CVL_OK)
        return status;
    w->parts = parts;
    while (amplification(w) > w->parts->amplification)
        w->parts++;
    w->transform = w->kern->input;
    w->lanes = w->gemm->lanes;
    order_phases(w);
    w->vectors = cvl_divide_up(w->phases * w->in_channels, w->lanes);
    w->panels = cvl_divide_up(w->out_channels, w->lanes);
    set_points(w);
    cvl_wino_set_segment(w, w->in.at[3] == 1);
    w->tiles = desc->n * w->rows.tiles * w->columns.tiles;
    if (variant->knob[CVL_WINO_TILES])
        set_block(w, cvl_max(1, cvl_min(w->tiles, variant->knob[CVL_WINO_TILES])));
    else
        choose_block(w);
    return CVL_OK;
}

struct cvl_wino_segment cvl_wino_segment(const struct cvl_wino *w, int tile, int last)
{
    struct cvl_wino_segment segment = { .column = tile % w->columns.tiles };
    const int row = tile / w->columns.tiles;
    segment.image = row / w->rows.tiles;
    segment.row = row % w->rows.tiles;
    segment.tiles = cvl_min(cvl_min(w->columns.tiles - segment.column, last - tile), w->segment);
    return segment;
}

ptrdiff_t cvl_wino_ahead(const struct cvl_wino *w, const struct cvl_wino_segment *segment, ptrdiff_t row,
                         ptrdiff_t column)
{
    const bool beside = segment->column + segment->tiles < w->columns.tiles;
    return beside ? segment->tiles * column : row - segment->column * column;
}
