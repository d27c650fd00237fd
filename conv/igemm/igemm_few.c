/* SPDX-License-Identifier: Apache-2.0
 * BWD_DATA with at most four channels, as the gradient of an image has. One row of dx is computed at a time, with its
 * columns in the lanes: for each tap a vector of dy, `steps` deep, meets the filter's columns of every residue class of
 * dx's columns,
 *     dx[h][(t*sides + i)*channels + c] += dy[p(h,r)][t + offset][k] * w[r][s(i,offset)][k][c]
 * so that it serves sides * channels multiply-adds (6 for an RGB image with stride 2), and no class has a zero to
 * multiply with. A task keeps the rows of dy that one row of dx sees in a ring, as planes of channels with zeros where
 * the columns are padding, and copies each row once. The sums of all classes are woven together in registers, so
 * what is written is written in whole lines, once.
 *
 * Loads: vectors + sides * channels broadcasts for sides * channels * vectors multiply-adds: 10 for 24 with AVX-512. */
#include "base/profile.h"
#include "base/threads.h"
#include "conv/igemm/igemm_few.h"

#include <string.h>

enum {
    BAND_FLOATS = 1 << 16,
    TASKS = 16,                  /* wanted */
    ROWS_LEAST = 7,              /* of a task */
    ALIGN = 16,
};

#define DECLARE(level) extern const struct cvl_few_kern cvl_few_kern_##level;
CVL_ISA_LIST(DECLARE)
#define ENTRY(level) &cvl_few_kern_##level,
static const struct cvl_few_kern *const kerns[] = { CVL_ISA_LIST(ENTRY) };

const struct cvl_few_kern *cvl_few_kern(enum cvl_isa isa)
{
    return kerns[isa];
}

struct few {
    const struct cvl_igemm    *igemm;
    const struct cvl_few_kern *kern;
    struct cvl_axis            side[CVL_FEW_SIDES];
    int       sides, first, offsets;             /* columns of dy, relative to the position: first, ... */
    int       lead;                              /* columns before the band, so that copies of whole rows are aligned */
    int       top, ring;                         /* rows of dy, relative to the position of class 0: top, ... */
    int       columns, column_blocks;            /* positions of a block */
    int       rows, row_blocks;                  /* positions of a task; each has a row of every class */
    int       row_count, column_count;
    ptrdiff_t band_row, band_step, slot_floats;
    const float *dy, *w, *residual, *bias;
    float    *dx, *bands;
};

static void bound_axis(const struct cvl_axis *axis, int *first, int *last)
{
    if (axis->taps == 0)
        return;
    *first = cvl_min(*first, axis->first);
    *last = cvl_max(*last, axis->first + (axis->taps - 1) * axis->tap);
}

/* Independent of the image's size, as packed filters must be. */
static struct few window(const struct cvl_igemm *g)
{
    const cvl_conv_desc *d = g->desc;
    struct few f = { .igemm = g, .kern = cvl_few_kern(g->ctx->isa), .sides = cvl_min(d->stride_w, d->w) };
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

static struct few cut(const struct cvl_igemm *g)
{
    struct few f = window(g);
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

/* ---- the filter: (r, s, k, c) ---- */

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

/* ---- a task: some rows of one image ---- */

struct rows {
    const struct few *few;
    const float *image;
    float       *band;
    int          position, first_row, columns, image_number;   /* position: the block's first column */
    int          filled;                         /* rows of dy below this one are in the ring, if they are needed */
};

static int left_inside(const struct few *f, const struct rows *rows)
{
    return cvl_max(0, rows->position + f->first);
}

static int right_inside(const struct few *f, const struct rows *rows)
{
    return cvl_min(cvl_conv_q(f->igemm->desc), rows->position + f->first + rows->columns + f->offsets - 1);
}

static float *ring_row(const struct rows *rows, int p)
{
    const struct few *f = rows->few;
    return rows->band + f->lead + (p - rows->first_row - f->top) % f->ring * f->band_row;
}

static void fill_row(const struct rows *rows, int p)
{
    const struct few *f = rows->few;
    const struct cvl_igemm *g = f->igemm;
    const int left = left_inside(f, rows), right = right_inside(f, rows);
    const struct cvl_copy copy = {
        .to = ring_row(rows, p) + left - rows->position - f->first, .to_row = f->band_step,
        .from = rows->image + p * g->in.at[2] + left * g->in.at[3], .from_row = g->in.at[1], .from_lane = g->in.at[3],
        .rows = g->in_channels, .lanes = right - left,
    };
    g->kern->copy(&copy);
}

/* Brings the ring up to what position row t sees. */
static void fill_to(struct rows *rows, int t)
{
    const struct few *f = rows->few;
    const int last = cvl_min(cvl_conv_p(f->igemm->desc), t + f->top + f->ring);
    cvl_phase("pack");
    for (int p = cvl_max(0, cvl_max(rows->filled, t + f->top)); p < last; p++)
        fill_row(rows, p);
    rows->filled = cvl_max(rows->filled, last);
    cvl_phase("multiply");
}

/* The row of dy that the next position row adds is fetched while the tiles of this one are computed. */
static void plan_fetch(const struct rows *rows, struct cvl_few_tile *tile)
{
    const struct few *f = rows->few;
    const struct cvl_igemm *g = f->igemm;
    const int left = left_inside(f, rows), right = right_inside(f, rows), p = rows->filled;
    tile->fetch = f->w;
    tile->fetch_lines = 1;
    if (p >= cvl_conv_p(g->desc) || p < 0 || left >= right)
        return;
    const bool planes = g->in.at[3] == 1;
    tile->fetch_step = planes ? g->in.at[1] : g->in.at[3];
    tile->fetch_lines = cvl_divide_up(planes ? right - left : g->in_channels, 16);
    tile->fetch = rows->image + p * g->in.at[2] + left * g->in.at[3];
}

static struct cvl_few_tile start(const struct few *f)
{
    const cvl_conv_desc *d = f->igemm->desc;
    struct cvl_few_tile tile = {
        .sides = f->sides, .channels = d->c, .steps = d->k, .offsets = f->offsets, .band_row = f->band_row,
        .band_step = f->band_step, .ring = f->ring, .w_column = (ptrdiff_t)d->k * d->c,
        .out_channel = f->igemm->out.at[1], .by_channel = d->x_layout == CVL_NCHW, .bias = f->bias,
        .act = d->epi.act, .lo = d->epi.lo, .hi = d->epi.hi,
    };
    for (int i = 0; i < f->sides; i++)
        tile.side[i] = (struct cvl_few_side){ f->side[i].first - f->first, f->side[i].taps, f->side[i].w,
                                              f->side[i].w_step };
    return tile;
}

/* Row t of class `class`: tiles of nearly equal width. */
static void multiply_row(const struct rows *rows, int class, int t)
{
    const struct few *f = rows->few;
    const struct cvl_igemm *g = f->igemm;
    const cvl_conv_desc *d = g->desc;
    const int lanes = g->kern->lanes, vectors = cvl_divide_up(rows->columns, lanes);
    const int tiles = cvl_divide_up(vectors, f->kern->vectors_max[f->sides][d->c]);
    const struct cvl_axis axis = cvl_axis_of(d, true, class);
    int first, last;
    cvl_axis_taps(&axis, t, &first, &last);
    struct cvl_few_tile tile = start(f);
    const int r = axis.w + first * axis.w_step, p = axis.first + t + first * axis.tap;
    tile.taps = last - first;
    tile.row = (p - rows->first_row - f->top) % f->ring;
    tile.row_step = axis.tap;
    tile.w = f->w + (ptrdiff_t)r * d->s * tile.w_column;
    tile.w_row = axis.w_step * (ptrdiff_t)d->s * tile.w_column;
    ptrdiff_t at = rows->image_number * g->out.at[0] + (class + (ptrdiff_t)t * d->stride_h) * g->out.at[2];
    int position = rows->position;
    at += (ptrdiff_t)position * f->sides * g->out.at[3];
    tile.band = rows->band + f->lead;
    plan_fetch(rows, &tile);
    const int parts = f->offsets * cvl_divide_up(d->k, CVL_FEW_CHUNK);
    tile.fetch_first = class * tiles * tile.taps * parts;
    for (int i = 0; i < tiles; i++) {
        tile.vectors = vectors / tiles + (i < vectors % tiles);
        tile.limit = (d->w - position * f->sides) * (tile.by_channel ? 1 : d->c);
        tile.out = f->dx + at;
        tile.add = f->residual ? f->residual + at : NULL;
        f->kern->tile(&tile);
        tile.fetch_first += tile.taps * parts;
        position += tile.vectors * lanes;
        tile.band += tile.vectors * lanes;
        at += (ptrdiff_t)tile.vectors * lanes * f->sides * g->out.at[3];
    }
}

static void few_task(int task, int slot, void *arg)
{
    const struct few *f = arg;
    const struct cvl_igemm *g = f->igemm;
    struct rows rows = { .few = f, .band = f->bands + slot * f->slot_floats };
    rows.position = task % f->column_blocks * f->columns;
    rows.columns = cvl_min(f->columns, f->column_count - rows.position);
    task /= f->column_blocks;
    rows.first_row = task % f->row_blocks * f->rows;
    rows.image_number = task / f->row_blocks;
    rows.image = f->dy + rows.image_number * g->in.at[0];
    rows.filled = rows.first_row + f->top;
    memset(rows.band, 0, (size_t)f->slot_floats * sizeof *rows.band);
    const int end = cvl_min(f->row_count, rows.first_row + f->rows);
    for (int t = rows.first_row; t < end; t++) {
        fill_to(&rows, t);
        for (int class = 0; class < cvl_axis_classes(g->desc, true); class++)
            if (class + (int64_t)t * g->desc->stride_h < g->desc->h)
                multiply_row(&rows, class, t);
    }
}

/* Raw filters are packed to the workspace's front, then the bias is repeated, so that any vector of pixels finds its
 * own at the remainder of its place; the rings follow. */
enum { BIAS_FLOATS = 32 };

size_t cvl_igemm_few_workspace(const struct cvl_igemm *g)
{
    const struct few f = cut(g);
    return (packed_floats(g) + BIAS_FLOATS + (size_t)f.slot_floats * (size_t)g->ctx->threads) * sizeof(float);
}

cvl_status cvl_igemm_few(const struct cvl_igemm *g, const cvl_conv_args *args, void *workspace)
{
    struct few f = cut(g);
    float *room = workspace, *bias = room + packed_floats(g);
    f.dy = args->y;
    f.dx = args->x;
    f.residual = args->residual;
    f.w = args->packed;
    f.bands = bias + BIAS_FLOATS;
    if (!args->packed) {
        cvl_phase("pack");
        cvl_igemm_few_pack(g, args->w, room);
        f.w = room;
    }
    for (int i = 0; args->bias && i < BIAS_FLOATS; i++)
        bias[i] = ((const float *)args->bias)[i % g->out_channels];
    f.bias = args->bias ? bias : NULL;
    cvl_parallel_for(g->ctx, g->desc->n * f.row_blocks * f.column_blocks, few_task, &f);
    cvl_phase(NULL);
    return CVL_OK;
}
