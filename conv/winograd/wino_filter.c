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
#include "base/profile.h"
#include "base/threads.h"
#include "conv/winograd/wino_filter.h"

enum {
    GROUP_VECTORS = 4,           /* channel vectors of one run of tiles, whose neighbours in memory are read together */
    STAGE_VECTORS = 4,           /* channel vectors that a task of the staged transform takes */
};

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
    share.rows = cvl_min(f->rows.block, f->rows.channels - share.first_row);
    share.lanes = cvl_min(f->lanes.block, f->lanes.channels - share.first_lane);
    return share;
}

/* Channels and tiles of one side, to v: (panel, point, tile, lane). */
struct area { int channel, channels, tile, last_tile; };

static void transform(const struct job *job, const struct cvl_wino_side *side, const struct area *area, float *v,
                      float *strip)
{
    const struct cvl_wino *w = &side->wino;
    const float *data = cvl_conv_pointer(job->args, side->is_x ? CVL_X : CVL_Y);
    const int first = area->channel / w->lanes, last = cvl_divide_up(area->channel + area->channels, w->lanes);
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
    const int first = chunk * f->chunk, last = cvl_min(f->tiles, first + f->chunk);
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
    const int first = task % f->parts * f->part_chunks, last = cvl_min(f->chunks, first + f->part_chunks);
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

/* As many parts, `apart` floats from one to the next, in their order. Three at a time pass the sums through the cache
 * less often; all seven took as long as one after the other. */
static void add_parts(float *restrict sums, const float *restrict parts, int count, ptrdiff_t apart, ptrdiff_t floats)
{
    int part = 0;
    for (; part + 3 <= count; part += 3) {
        const float *a = parts + part * apart, *b = a + apart, *c = b + apart;
        for (ptrdiff_t i = 0; i < floats; i++)
            sums[i] = sums[i] + a[i] + b[i] + c[i];
    }
    for (; part < count; part++)
        for (ptrdiff_t i = 0; i < floats; i++)
            sums[i] += parts[part * apart + i];
}

/* A slice of a share's sums. */
static void add_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_wino_filter *f = job->filter;
    const ptrdiff_t first = task % f->parts * f->s_floats / f->parts;
    const ptrdiff_t last = (task % f->parts + 1) * f->s_floats / f->parts;
    float *sums = job->sums + (ptrdiff_t)(task / f->parts) * f->parts * f->s_floats + first;
    add_parts(sums, sums + f->s_floats, f->parts - 1, f->s_floats, last - first);
}

/* One panel of a share's rows. */
static int panels_of(const struct cvl_wino_filter *f) { return cvl_divide_up(f->rows.block, f->gemm->lanes); }

static void invert_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_wino_filter *f = job->filter;
    const int number = task / panels_of(f), row = task % panels_of(f) * f->gemm->lanes;
    struct cvl_wino_share share = share_of(f, number);
    if (row >= share.rows)
        return;
    share.first_row += row;
    share.rows = cvl_min(f->gemm->lanes, share.rows - row);
    invert(job, &share, job->sums + (ptrdiff_t)number * f->parts * f->s_floats + row * f->s_row, slot);
}

/* Staged: some channel vectors of one row of tiles, of the rows side first. */
static int stage_tasks(const struct cvl_wino_side *side)
{
    const struct cvl_wino *w = &side->wino;
    return cvl_divide_up(w->vectors, STAGE_VECTORS) * (w->tiles / w->columns.tiles);
}

static void stage_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_wino_filter *f = job->filter;
    const bool is_rows = task < stage_tasks(&f->rows);
    const struct cvl_wino_side *side = is_rows ? &f->rows : &f->lanes;
    const struct cvl_wino *w = &side->wino;
    const int number = is_rows ? task : task - stage_tasks(&f->rows);
    const int groups = cvl_divide_up(w->vectors, STAGE_VECTORS);
    struct area area = { .channel = number % groups * STAGE_VECTORS * w->lanes,
                         .tile = number / groups * w->columns.tiles };
    area.channels = cvl_min(STAGE_VECTORS * w->lanes, side->channels - area.channel);
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
    return f->s_floats * (f->parts > 1 ? (ptrdiff_t)cvl_wino_filter_shares(f) * f->parts : f->ctx->threads);
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
    cvl_parallel_for(f->ctx, cvl_wino_filter_shares(f) * f->parts, sum_task, &job);
    if (f->parts > 1) {
        cvl_phase("output");
        cvl_parallel_for(f->ctx, cvl_wino_filter_shares(f) * f->parts, add_task, &job);
        cvl_parallel_for(f->ctx, cvl_wino_filter_shares(f) * panels_of(f), invert_task, &job);
    }
    cvl_phase(NULL);
    return CVL_OK;
}
