/* SPDX-License-Identifier: Apache-2.0
 * BWD_FILTER: from a problem and the knobs to tiles, blocks of channels and chunks of tiles that fit the caches. */
#include "base/error.h"
#include "conv/winograd/wino_filter.h"

#include <math.h>

enum {
    CHUNK_TILES = 48,
    STAGED_CHUNK_TILES = 128,
    TASKS = 8,
};

static bool set_axis(const cvl_conv_desc *d, bool rows, int m, struct cvl_wino_axis *x, struct cvl_wino_axis *y)
{
    const int taps = rows ? d->r : d->s;
    const struct cvl_wino_matrices *f = taps == 1 ? cvl_wino_matrices(1, 1, CVL_WINO_FINE)
                                                  : cvl_wino_matrices(taps, m, CVL_WINO_GRADIENT);
    if (!f)
        return false;
    *y = (struct cvl_wino_axis){
        .f = (int)(f - cvl_wino_matrices_all), .m = f->r, .r = f->m, .t = f->t, .span = f->r, .stride = 1,
        .phases = 1, .taps = taps, .extent = rows ? cvl_conv_p(d) : cvl_conv_q(d),
    };
    y->out = y->extent;
    y->tiles = cvl_divide_up(y->out, y->m);
    *x = *y;
    x->span = f->t;
    x->pad = rows ? d->pad_top : d->pad_left;
    x->extent = rows ? d->h : d->w;
    return true;
}

bool cvl_wino_filter_axes(const cvl_conv_desc *d, const struct cvl_variant *variant, struct cvl_wino *x,
                          struct cvl_wino *y)
{
    const int m = variant->knob[CVL_WINO_M] ? variant->knob[CVL_WINO_M] : 4;
    return set_axis(d, true, m < 10 ? m : m / 10, &x->rows, &y->rows)
        && set_axis(d, false, m % 10, &x->columns, &y->columns);
}

static void set_side(struct cvl_wino_filter *f, struct cvl_wino_side *side)
{
    const int lanes = f->gemm->lanes;
    struct cvl_wino *w = &side->wino;
    side->channels = side->is_x ? f->desc->c : f->desc->k;
    w->ctx = f->ctx;
    w->desc = f->desc;
    w->gemm = f->gemm;
    w->kern = f->kern;
    w->rows_kern = f->rows_kern;
    w->transform = side->is_x ? f->kern->input : f->kern->filter;
    w->in = cvl_conv_strides(f->desc, side->is_x ? CVL_X : CVL_Y);
    w->lanes = lanes;
    w->in_channels = side->channels;
    w->phases = 1;
    w->vectors = cvl_divide_up(side->channels, lanes);
    w->points = f->points;
    w->tiles = f->tiles;
    cvl_wino_set_segment(w, w->in.at[3] == 1);
}

/* Strides of what is transformed at a time. */
static void set_strides(const struct cvl_wino_filter *f, struct cvl_wino_side *side)
{
    struct cvl_wino *w = &side->wino;
    w->v_tile = w->lanes;
    w->v_point = cvl_wino_odd_lines((ptrdiff_t)w->lanes * (f->staged ? f->tiles : f->chunk));
    side->panel = cvl_wino_odd_lines(w->v_point * f->points);
    w->v_floats = side->panel * (f->staged ? w->vectors : side->block / w->lanes);
}

int cvl_wino_filter_shares(const struct cvl_wino_filter *f)
{
    return f->rows.blocks * f->lanes.blocks;
}

static void set_chunks(struct cvl_wino_filter *f, int tiles)
{
    const int chunk = tiles ? tiles : f->staged ? STAGED_CHUNK_TILES : CHUNK_TILES;
    f->chunk = f->tiles ? cvl_wino_even(f->tiles, cvl_min(chunk, f->tiles)) : 1;
    f->chunks = cvl_divide_up(f->tiles, f->chunk);
    f->parts = cvl_max(1, cvl_min(f->chunks, TASKS / cvl_wino_filter_shares(f)));
    f->part_chunks = cvl_max(1, cvl_divide_up(f->chunks, f->parts));
    f->parts = cvl_max(1, cvl_divide_up(f->chunks, f->part_chunks));
}

static void set_channels(struct cvl_wino_side *side, int block)
{
    const int lanes = side->wino.lanes;
    side->block = cvl_divide_up(cvl_wino_even(side->channels, block), lanes) * lanes;
    side->blocks = cvl_divide_up(side->channels, side->block);
}

static void set_blocks(struct cvl_wino_filter *f, int rows, int lanes, int tiles)
{
    set_channels(&f->rows, rows);
    set_channels(&f->lanes, lanes);
    set_chunks(f, tiles);
    set_strides(f, &f->rows);
    set_strides(f, &f->lanes);
    f->s_row = cvl_wino_odd_lines(f->lanes.block);
    f->s_point = cvl_wino_odd_lines(f->rows.block * f->s_row);
    f->s_floats = f->s_point * f->points;
}

/* Of channels, such that products, traffic and transforms, which large blocks repeat less, cost least. */
static void choose_blocks(struct cvl_wino_filter *f, int tiles)
{
    static const int channels[] = { 32, 48, 64, 96, 128 };
    enum { TRIES = sizeof channels / sizeof *channels };
    int best = 0;
    double least = INFINITY;
    for (int i = 0; i < TRIES * TRIES; i++) {
        set_blocks(f, channels[i / TRIES], channels[i % TRIES], tiles);
        const double cycles = cvl_wino_filter_cycles(f);
        if (cycles < least) {
            least = cycles;
            best = i;
        }
    }
    set_blocks(f, channels[best / TRIES], channels[best % TRIES], tiles);
}

cvl_status cvl_wino_filter_cut(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant,
                               struct cvl_wino_filter *f)
{
    *f = (struct cvl_wino_filter){
        .ctx = ctx, .desc = desc, .gemm = cvl_gemm_kern(ctx->isa), .kern = cvl_wino_kern(ctx->isa),
        .rows_kern = cvl_wino_rows_kern(ctx->isa),
        .w = cvl_conv_strides(desc, CVL_W), .staged = variant->knob[CVL_WINO_STAGED],
    };
    f->rows.is_x = desc->c < desc->k;
    f->lanes.is_x = !f->rows.is_x;
    struct cvl_wino *x = f->rows.is_x ? &f->rows.wino : &f->lanes.wino;
    struct cvl_wino *y = f->rows.is_x ? &f->lanes.wino : &f->rows.wino;
    if (!cvl_wino_filter_axes(desc, variant, x, y))
        return cvl_fail(CVL_ENOTFOUND, "m is %d, expected a digit, or two for rows and columns, such that there is an "
                        "F(%d,m) and an F(%d,m)", variant->knob[CVL_WINO_M], desc->r, desc->s);
    f->points = x->rows.t * x->columns.t;
    f->tiles = desc->n * x->rows.tiles * x->columns.tiles;
    set_side(f, &f->rows);
    set_side(f, &f->lanes);
    choose_blocks(f, variant->knob[CVL_WINO_TILES]);
    const ptrdiff_t strip = x->strip_floats > y->strip_floats ? x->strip_floats : y->strip_floats;
    const ptrdiff_t inverse = cvl_wino_round(cvl_wino_filter_scratch(f));
    f->slot_floats = (strip > inverse ? strip : inverse) + (f->staged ? 0 : x->v_floats + y->v_floats);
    return CVL_OK;
}
