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
#include "conv/igemm/igemm_few_cut.h"

#include <string.h>

#define DECLARE(level) extern const struct cvl_few_kern cvl_few_kern_##level;
CVL_ISA_LIST(DECLARE)
#define ENTRY(level) &cvl_few_kern_##level,
static const struct cvl_few_kern *const kerns[] = { CVL_ISA_LIST(ENTRY) };

const struct cvl_few_kern *cvl_few_kern(enum cvl_isa isa)
{
    return kerns[isa];
}

/* A task: some rows of one image. */
struct rows {
    const struct cvl_few *few;
    const float *image;
    float       *band;
    int          position, first_row, columns, image_number;   /* position: the block's first column */
    int          filled;                         /* rows of dy below this one are in the ring, if they are needed */
};

static int left_inside(const struct cvl_few *f, const struct rows *rows)
{
    return cvl_max(0, rows->position + f->first);
}

static int right_inside(const struct cvl_few *f, const struct rows *rows)
{
    return cvl_min(cvl_conv_q(f->igemm->desc), rows->position + f->first + rows->columns + f->offsets - 1);
}

static float *ring_row(const struct rows *rows, int p)
{
    const struct cvl_few *f = rows->few;
    return rows->band + f->lead + (p - rows->first_row - f->top) % f->ring * f->band_row;
}

static void fill_row(const struct rows *rows, int p)
{
    const struct cvl_few *f = rows->few;
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
    const struct cvl_few *f = rows->few;
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
    const struct cvl_few *f = rows->few;
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

static struct cvl_few_tile start(const struct cvl_few *f)
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
    const struct cvl_few *f = rows->few;
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
    const struct cvl_few *f = arg;
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
    const struct cvl_few f = cvl_igemm_few_cut(g);
    return cvl_igemm_few_packed(g)
         + (BIAS_FLOATS + (size_t)f.slot_floats * (size_t)g->ctx->threads) * sizeof(float);
}

cvl_status cvl_igemm_few(const struct cvl_igemm *g, const cvl_conv_args *args, void *workspace)
{
    struct cvl_few f = cvl_igemm_few_cut(g);
    float *room = workspace, *bias = room + cvl_igemm_few_packed(g) / sizeof(float);
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
