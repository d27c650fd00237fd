/* SPDX-License-Identifier: Apache-2.0
 * BWD_FILTER: dw is a correlation of x with dy, whose outputs are the r x s taps: F(r x s, m x m'). For each tile of
 * m x m' elements of dy, and the t x t' of x that it meets,
 *     dw = A^T [ sum over tiles and images of (G dy G^T) .* (B^T x B) ] A
 * so that the reduction of the matrix products, one for each of the t*t' points, runs over the tiles of all images, and
 * the inverse is taken once. Multiplications are those of F(m x m', r x s): (m+r-1)^2 for m^2 * r^2.
 *
 * A task owns a block of channels of each side and a part of the tiles. It takes chunks of tiles through both
 * transforms and adds their products to its sums, (point, channel, channel), which stay in the second- or third-level
 * cache. Blocks of channels transform the other side's tiles again, once for each block; staged, all tiles of both
 * sides are transformed first, once, for small images with many channels.
 *
 * Memory: t*t' * K' * C' sums for each thread (of K' and C' channels of a block), or for each of the parts of the tiles
 * where few blocks share out the filter; t*t' * tiles * (K' + C') for each thread, or staged for all tiles and all K
 * and C. */
#include "base/error.h"
#include "base/profile.h"
#include "base/threads.h"
#include "conv/winograd/wino_filter.h"

enum {
    SEGMENT_FLOATS = 4608,       /* of a strip: 18 KiB of the first-level cache */
    BLOCK_CHANNELS = 128,
    CHUNK_TILES = 48,
    STAGED_CHUNK_TILES = 128,
    GROUP_VECTORS = 4,           /* channel vectors of one run of tiles, whose neighbours in memory are read together */
    TASKS = 8,
    STAGE_VECTORS = 4,           /* channel vectors that a task of the staged transform takes */
};

/* ---- the cut ---- */

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
    y->tiles = cvl_wino_divide(y->out, y->m);
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

static int even(int total, int part)
{
    return cvl_wino_divide(total, cvl_wino_divide(total, part));
}

/* A stride of an odd number of cache lines: neighbours do not fall on the same sets. */
static ptrdiff_t odd_lines(ptrdiff_t floats)
{
    return (floats + 15) / 16 % 2 ? (floats + 15) / 16 * 16 : (floats + 15) / 16 * 16 + 16;
}

static void set_side(struct cvl_wino_filter *f, struct cvl_wino_side *side)
{
    const int lanes = f->gemm->lanes;
    struct cvl_wino *w = &side->wino;
    side->channels = side->is_x ? f->desc->c : f->desc->k;
    side->block = cvl_wino_divide(even(side->channels, BLOCK_CHANNELS), lanes) * lanes;
    side->blocks = cvl_wino_divide(side->channels, side->block);
    w->ctx = f->ctx;
    w->desc = f->desc;
    w->gemm = f->gemm;
    w->kern = f->kern;
    w->rows_kern = cvl_wino_rows_kern(f->ctx->isa);
    w->transform = side->is_x ? f->kern->input : f->kern->filter;
    w->in = cvl_conv_strides(f->desc, side->is_x ? CVL_X : CVL_Y);
    w->lanes = lanes;
    w->in_channels = side->channels;
    w->phases = 1;
    w->vectors = cvl_wino_divide(side->channels, lanes);
    w->points = f->points;
    w->tiles = f->tiles;
    const int columns = SEGMENT_FLOATS / lanes / w->rows.t, beyond = w->columns.t - w->columns.m;
    w->segment = cvl_wino_max(1, cvl_wino_min((columns - beyond) / w->columns.m, w->columns.tiles));
    w->strip_floats = cvl_wino_round((ptrdiff_t)w->rows.t * (w->segment * w->columns.m + beyond) * lanes);
}

/* Strides of what is transformed at a time. */
static void set_strides(const struct cvl_wino_filter *f, struct cvl_wino_side *side)
{
    struct cvl_wino *w = &side->wino;
    w->v_tile = w->lanes;
    w->v_point = odd_lines((ptrdiff_t)w->lanes * (f->staged ? f->tiles : f->chunk));
    side->panel = odd_lines(w->v_point * f->points);
    w->v_floats = side->panel * (f->staged ? w->vectors : side->block / w->lanes);
}

static int share_count(const struct cvl_wino_filter *f)
{
    return f->rows.blocks * f->lanes.blocks;
}

static void set_chunks(struct cvl_wino_filter *f, int tiles)
{
    const int chunk = tiles ? tiles : f->staged ? STAGED_CHUNK_TILES : CHUNK_TILES;
    f->chunk = f->tiles ? even(f->tiles, cvl_wino_min(chunk, f->tiles)) : 1;
    f->chunks = cvl_wino_divide(f->tiles, f->chunk);
    f->parts = cvl_wino_max(1, cvl_wino_min(f->chunks, TASKS / share_count(f)));
    f->part_chunks = cvl_wino_max(1, cvl_wino_divide(f->chunks, f->parts));
    f->parts = cvl_wino_max(1, cvl_wino_divide(f->chunks, f->part_chunks));
}

cvl_status cvl_wino_filter_cut(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant,
                               struct cvl_wino_filter *f)
{
    *f = (struct cvl_wino_filter){
        .ctx = ctx, .desc = desc, .gemm = cvl_gemm_kern(ctx->isa), .kern = cvl_wino_kern(ctx->isa),
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
    set_chunks(f, variant->knob[CVL_WINO_TILES]);
    set_strides(f, &f->rows);
    set_strides(f, &f->lanes);
    f->s_row = odd_lines(f->lanes.block);
    f->s_point = odd_lines(f->rows.block * f->s_row);
    f->s_floats = f->s_point * f->points;
    const ptrdiff_t strip = x->strip_floats > y->strip_floats ? x->strip_floats : y->strip_floats;
    const ptrdiff_t inverse = cvl_wino_round(cvl_wino_filter_scratch(f));
    f->slot_floats = (strip > inverse ? strip : inverse) + (f->staged ? 0 : x->v_floats + y->v_floats);
    return CVL_OK;
}

/* ---- the run ---- */

struct job {
    const struct cvl_wino_filter *filter;
    const cvl_conv_args          *args;
    float                        *rows, *lanes;   /* staged: of all tiles */
    float                        *sums, *slots;
};

static struct cvl_wino_share share_of(const struct cvl_wino_filter *f, int number)
{
    struct cvl_wino_share share = {
        .first_row = number % f->rows.blocks * f->rows.block, .first_lane = number / f->rows.blocks * f->lanes.block,
    };
    share.rows = cvl_wino_min(f->rows.block, f->rows.channels - share.first_row);
    share.lanes = cvl_wino_min(f->lanes.block, f->lanes.channels - share.first_lane);
    return share;
}

/* Channels and tiles of one side, to v: (panel, point, tile, lane). */
struct area { int channel, channels, tile, last_tile; };

static void transform(const struct job *job, const struct cvl_wino_side *side, const struct area *area, float *v,
                      float *strip)
{
    const struct cvl_wino *w = &side->wino;
    const float *data = cvl_conv_pointer(job->args, side->is_x ? CVL_X : CVL_Y);
    const int first = area->channel / w->lanes, last = cvl_wino_divide(area->channel + area->channels, w->lanes);
    for (int group = first; group < last; group += GROUP_VECTORS)
        for (int tile = area->tile; tile < area->last_tile;) {
            const struct cvl_wino_segment segment = cvl_wino_segment(w, tile, area->last_tile);
            for (int vector = group; vector < last && vector < group + GROUP_VECTORS; vector++) {
                const struct cvl_wino_input input = {
                    .image = data + segment.image * w->in.at[0], .strip = strip, .first = vector, .last = vector + 1,
                    .v = v + (vector - first) * side->panel + (tile - area->tile) * w->v_tile,
                };
                cvl_wino_input(w, &segment, &input);
            }
            tile += segment.tiles;
        }
}

/* Both sides of a chunk, for a share. */
static struct cvl_wino_product bring(const struct job *job, const struct cvl_wino_share *share, int chunk, float *slot)
{
    const struct cvl_wino_filter *f = job->filter;
    const int first = chunk * f->chunk, last = cvl_wino_min(f->tiles, first + f->chunk);
    if (f->staged)
        return (struct cvl_wino_product){
            .rows = job->rows + first * f->rows.wino.v_tile + share->first_row / f->gemm->lanes * f->rows.panel,
            .lanes = job->lanes + first * f->lanes.wino.v_tile + share->first_lane / f->gemm->lanes * f->lanes.panel,
            .tiles = last - first,
        };
    const struct area rows = { share->first_row, share->rows, first, last };
    const struct area lanes = { share->first_lane, share->lanes, first, last };
    float *a = slot, *b = a + f->rows.wino.v_floats, *strip = b + f->lanes.wino.v_floats;
    cvl_phase("input");
    transform(job, &f->rows, &rows, a, strip);
    transform(job, &f->lanes, &lanes, b, strip);
    return (struct cvl_wino_product){ .rows = a, .lanes = b, .tiles = last - first };
}

static void invert(const struct job *job, const struct cvl_wino_share *share, const float *sums, int slot)
{
    const struct cvl_wino_filter *f = job->filter;
    cvl_phase("output");
    cvl_wino_filter_inverse(f, share, job->args, sums, job->slots + slot * f->slot_floats);
}

/* A share and a part of the tiles. */
static void sum_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_wino_filter *f = job->filter;
    const struct cvl_wino_share share = share_of(f, task / f->parts);
    const int first = task % f->parts * f->part_chunks, last = cvl_wino_min(f->chunks, first + f->part_chunks);
    float *sums = job->sums + (f->parts > 1 ? task : slot) * f->s_floats;
    for (int chunk = first; chunk < last; chunk++) {
        struct cvl_wino_product product = bring(job, &share, chunk, job->slots + slot * f->slot_floats);
        product.sums = sums;
        product.first = chunk == first;
        cvl_phase("multiply");
        cvl_wino_filter_multiply(f, &share, &product);
    }
    if (first >= last)   /* an empty batch */
        f->gemm->zero(sums, f->s_row, (int)(f->s_floats / f->s_row), (int)f->s_row);
    if (f->parts == 1)
        invert(job, &share, sums, slot);
}

static void add_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_wino_filter *f = job->filter;
    const struct cvl_wino_share share = share_of(f, task);
    float *sums = job->sums + (ptrdiff_t)task * f->parts * f->s_floats;
    for (int part = 1; part < f->parts; part++)
        for (ptrdiff_t i = 0; i < f->s_floats; i++)
            sums[i] += sums[part * f->s_floats + i];
    invert(job, &share, sums, slot);
}

/* Staged: some channel vectors of one row of tiles, of the rows side first. */
static int stage_tasks(const struct cvl_wino_side *side)
{
    const struct cvl_wino *w = &side->wino;
    return cvl_wino_divide(w->vectors, STAGE_VECTORS) * (w->tiles / w->columns.tiles);
}

static void stage_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_wino_filter *f = job->filter;
    const bool is_rows = task < stage_tasks(&f->rows);
    const struct cvl_wino_side *side = is_rows ? &f->rows : &f->lanes;
    const struct cvl_wino *w = &side->wino;
    const int number = is_rows ? task : task - stage_tasks(&f->rows), groups = cvl_wino_divide(w->vectors, STAGE_VECTORS);
    struct area area = { .channel = number % groups * STAGE_VECTORS * w->lanes,
                         .tile = number / groups * w->columns.tiles };
    area.channels = cvl_wino_min(STAGE_VECTORS * w->lanes, side->channels - area.channel);
    area.last_tile = area.tile + w->columns.tiles;
    float *v = is_rows ? job->rows : job->lanes;
    transform(job, side, &area, v + area.tile * w->v_tile + area.channel / w->lanes * side->panel,
              job->slots + slot * f->slot_floats);
}

static ptrdiff_t staged_floats(const struct cvl_wino_filter *f)
{
    return f->staged ? f->rows.wino.v_floats + f->lanes.wino.v_floats : 0;
}

static ptrdiff_t sums_floats(const struct cvl_wino_filter *f)
{
    return f->s_floats * (f->parts > 1 ? (ptrdiff_t)share_count(f) * f->parts : f->ctx->threads);
}

size_t cvl_wino_filter_workspace(const struct cvl_wino_filter *f)
{
    return (size_t)(staged_floats(f) + sums_floats(f) + f->slot_floats * f->ctx->threads) * sizeof(float);
}

cvl_status cvl_wino_filter_run(const struct cvl_wino_filter *f, const cvl_conv_args *args, void *workspace)
{
    struct job job = { .filter = f, .args = args, .rows = workspace };
    job.lanes = job.rows + (f->staged ? f->rows.wino.v_floats : 0);
    job.sums = job.rows + staged_floats(f);
    job.slots = job.sums + sums_floats(f);
    if (f->staged) {
        cvl_phase("input");
        cvl_parallel_for(f->ctx, stage_tasks(&f->rows) + stage_tasks(&f->lanes), stage_task, &job);
    }
    cvl_parallel_for(f->ctx, share_count(f) * f->parts, sum_task, &job);
    if (f->parts > 1)
        cvl_parallel_for(f->ctx, share_count(f), add_task, &job);
    cvl_phase(NULL);
    return CVL_OK;
}
