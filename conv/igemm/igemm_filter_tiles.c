/* SPDX-License-Identifier: Apache-2.0
 * The tiles of BWD_FILTER: a chunk of pixels is multiplied into a share of dw, tap by tap, while what the next chunk
 * reads is fetched (igemm_filter_kern.c). */
#include "base/profile.h"
#include "conv/igemm/igemm_filter_step.h"

#define DECLARE(level) extern const struct cvl_igemm_filter_kern cvl_igemm_filter_kern_##level;
CVL_ISA_LIST(DECLARE)
#define ENTRY(level) &cvl_igemm_filter_kern_##level,
static const struct cvl_igemm_filter_kern *const kerns[] = { CVL_ISA_LIST(ENTRY) };

const struct cvl_igemm_filter_kern *cvl_igemm_filter_kern(enum cvl_isa isa)
{
    return kerns[isa];
}

/* Positions [*begin, *end) of an axis of a chunk that meet tap j. */
static void meet(const struct cvl_axis *axis, int first, int count, int j, int *begin, int *end)
{
    cvl_tap_range(j, axis->tap, axis->step, -(axis->first + first * axis->step), count, axis->extent, begin, end);
}

/* The next tile's fetch where channels lie side by side: one of their lines in each position. */
static bool next_pixels(const float *from, const ptrdiff_t *steps, int line, int lines, int *number,
                        struct cvl_igemm_next *next)
{
    if (*number >= lines)
        return false;
    *next = (struct cvl_igemm_next){ from + (*number)++ * line, { steps[0], steps[1], steps[2] } };
    return true;
}

/* The same where planes do: a line of as many channels as the innermost loop has steps, and further lines of these, or
 * images, by the outer loops. What tiles of the same loops share. */
struct planes {
    const float *tensor;
    ptrdiff_t    channel, step[2];               /* of the outer loops */
    int          channels, run;                  /* in all, and of a tile */
    int          lines, covers, tiles;           /* fetches for a channel; lines of each; all fetches */
};

static struct planes planes_of(const struct cvl_filter_step *step, const struct cvl_tile *tile,
                               const struct cvl_igemm_operand *o, ptrdiff_t ahead, int channels)
{
    const struct cvl_igemm_chunk *chunk = &step->chunk;
    const int line = step->job->plan.igemm->kern->lanes, run = cvl_max(1, tile->count[0]);
    const int last = tile->count[2] > 1 ? 2 : 1, inner = chunk->images > 1 ? last - 1 : last;
    const int covers = inner == 2 ? tile->count[1] * tile->count[2] : inner == 1 ? tile->count[1] : 1;
    const int lines = cvl_divide_up(chunk->rows * chunk->columns * o->rows.step * o->columns.step, line * covers);
    const float *tensor = cvl_conv_pointer(step->job->args, o->is_x ? CVL_X : CVL_Y);
    return (struct planes){
        .tensor = tensor + ahead, .channel = o->channel,
        .step = { inner >= 1 ? line : o->image, inner == 2 ? tile->count[1] * line : o->image },
        .channels = channels, .run = run, .lines = lines, .covers = covers * line,
        .tiles = lines * cvl_divide_up(channels, run),
    };
}

static bool next_planes(const struct planes *planes, int *number, struct cvl_igemm_next *next)
{
    if (*number >= planes->tiles)
        return false;
    const int first = cvl_min(*number / planes->lines * planes->run, cvl_max(0, planes->channels - planes->run));
    *next = (struct cvl_igemm_next){
        planes->tensor + first * planes->channel + (*number)++ % planes->lines * planes->covers,
        { planes->channel, planes->step[0], planes->step[1] },
    };
    return true;
}

/* What tiles of the same loops fetch: lanes first, each panel its own; then rows, in whatever panel there is room. */
struct fetch {
    const float   *rows;                         /* of the tap's first row */
    bool           wide_planes, tall_planes;
    struct planes  wide, tall;
};

static struct fetch fetch_of(const struct cvl_filter_step *step, const struct cvl_tile *tile)
{
    const struct cvl_igemm_filter_plan *plan = &step->job->plan;
    struct fetch fetch = { .rows = tile->a, .wide_planes = plan->lanes.channel != 1,
                           .tall_planes = plan->rows.channel != 1 && !plan->joined };
    if (fetch.wide_planes)
        fetch.wide = planes_of(step, tile, &plan->lanes, step->ahead.lanes, step->share.lanes);
    if (fetch.tall_planes)
        fetch.tall = planes_of(step, tile, &plan->rows, step->ahead.rows, step->share.rows);
    return fetch;
}

static struct cvl_igemm_next next_of(struct cvl_filter_step *step, const struct cvl_tile *tile,
                                     const struct fetch *fetch)
{
    const struct cvl_igemm_filter_plan *plan = &step->job->plan;
    const int line = plan->igemm->kern->lanes;
    struct cvl_igemm_next next = { tile->b, { 0, 0, 0 } };
    if (fetch->wide_planes
            ? next_planes(&fetch->wide, &step->wide, &next)
            : !plan->lanes.packed
              && next_pixels(tile->b + step->ahead.lanes, tile->b_step, line, tile->vectors, &step->wide, &next))
        return next;
    if (fetch->tall_planes)
        next_planes(&fetch->tall, &step->tall, &next);
    else if (!plan->rows.packed)
        next_pixels(fetch->rows + step->ahead.rows, tile->a_step, line, cvl_divide_up(step->share.rows, line),
                    &step->tall, &next);
    return next;
}

/* The tiles of some vectors of lanes, which `tile` has, by all rows. */
static void multiply_rows(struct cvl_filter_step *step, struct cvl_tile *tile, int rows)
{
    const struct cvl_igemm_filter_plan *plan = &step->job->plan;
    const struct cvl_gemm_kern *kern = plan->igemm->kern;
    const int tiles = cvl_divide_up(rows, cvl_min(plan->height, kern->rows_max[tile->vectors]));
    const int low = rows / tiles, higher = rows % tiles;
    const struct fetch fetch = fetch_of(step, tile);
    for (int i = 0; i < tiles; i++) {
        tile->rows = low + (i < higher);
        if (tile->act == CVL_ACT_NONE && tile->count[0] > 0) {
            const struct cvl_igemm_next next = next_of(step, tile, &fetch);
            step->job->kern->tile[tile->vectors](tile, &next);
        } else {
            kern->tile[tile->vectors](tile);
        }
        cvl_tile_skip(tile, tile->rows);
    }
}

/* A long loop in two, if it divides. */
static void split_run(struct cvl_tile *tile)
{
    enum { RUN = 64 };
    const int runs = cvl_divide_up(tile->count[0], RUN);
    if (tile->count[2] > 1 || runs <= 1 || tile->count[0] % runs)
        return;
    tile->count[2] = tile->count[1];
    tile->count[1] = runs;
    tile->count[0] /= runs;
    tile->a_step[2] = tile->a_step[1];
    tile->b_step[2] = tile->b_step[1];
    tile->a_step[1] = tile->count[0] * tile->a_step[0];
    tile->b_step[1] = tile->count[0] * tile->b_step[0];
}

/* One tap (or, joined, one row of taps): `tile` has all but what depends on it. */
static void multiply_tap(struct cvl_filter_step *step, const struct cvl_igemm_reach *a, const struct cvl_igemm_reach *b,
                         struct cvl_tile tile, int r, int s)
{
    const struct cvl_igemm_filter_plan *plan = &step->job->plan;
    const struct cvl_igemm_cut *cut = &plan->cut;
    const struct cvl_igemm_chunk *chunk = &step->chunk;
    const int tap_row = step->share.first_tap + r, across = plan->joined ? cut->columns.taps : 1;
    int top, bottom, left = 0, right = chunk->columns;
    meet(&cut->rows, chunk->first_row, chunk->rows, tap_row, &top, &bottom);
    if (!plan->joined)
        meet(&cut->columns, chunk->first_column, chunk->columns, s, &left, &right);
    if (plan->lanes.channel == 1 && (plan->lanes.is_x ? tap_row < cut->rows.step && s < cut->columns.step : r + s == 0))
        step->wide = 0;   /* pixels that no tap before has seen */
    const bool none = right <= left || bottom <= top || chunk->images <= 0;
    if (none && !step->first && !step->last)
        return;
    tile.count[0] = none ? 0 : right - left;
    tile.count[1] = none ? 1 : bottom - top;
    tile.count[2] = none ? 1 : chunk->images;
    tile.a = a->data;
    tile.b = b->data;
    if (!none) {
        tile.a += a->at + tap_row * a->tap_row + s * a->tap_column + top * a->step[1] + left * a->step[0];
        tile.b += b->at + tap_row * b->tap_row + s * b->tap_column + top * b->step[1] + left * b->step[0];
    }
    const ptrdiff_t at = r * step->target.tap_row + s * step->target.tap_column;
    tile.out += at;
    tile.add += tile.add ? at : 0;
    cvl_tile_join(&tile);
    if (plan->rows.planes || plan->lanes.channel != 1)
        split_run(&tile);
    multiply_rows(step, &tile, step->share.rows * across);
}

/* All taps of a panel of lanes, `vectors` from vector on. */
static void multiply_panel(struct cvl_filter_step *step, const struct cvl_igemm_reach *a,
                           const struct cvl_igemm_reach *b, int vector, int vectors)
{
    const struct cvl_igemm_filter_plan *plan = &step->job->plan;
    const struct cvl_filter_target *target = &step->target;
    const cvl_epilogue *epi = &plan->igemm->desc->epi;
    const int lanes = plan->igemm->kern->lanes;
    const int last = cvl_min(lanes, step->share.lanes - (vector + vectors - 1) * lanes);
    struct cvl_tile tile = {
        .vectors = vectors, .last = plan->direct ? last : lanes, .a_row = a->channel, .b_vector = lanes,
        .out = target->out + vector * lanes, .out_row = target->row, .out_lane = 1,
    };
    for (int i = 0; i < 3; i++) {
        tile.a_step[i] = a->step[i];
        tile.b_step[i] = b->step[i];
    }
    tile.add = !step->first ? tile.out : target->residual ? target->residual + vector * lanes : NULL;
    if (plan->direct && step->last) {
        tile.act = epi->act;
        tile.lo = epi->lo;
        tile.hi = epi->hi;
    }
    for (int r = 0; r < step->share.taps; r++)
        for (int s = 0; s < (plan->joined ? 1 : plan->cut.columns.taps); s++)
            multiply_tap(step, a, b, tile, r, s);
}

void cvl_filter_pass_by(struct cvl_filter_step *step, float *rows_band, float *lanes_band)
{
    const struct cvl_igemm_filter_plan *plan = &step->job->plan;
    const struct cvl_filter_share *share = &step->share;
    const float *rows = cvl_conv_pointer(step->job->args, plan->rows.is_x ? CVL_X : CVL_Y);
    const float *wide = cvl_conv_pointer(step->job->args, plan->lanes.is_x ? CVL_X : CVL_Y);
    const int lanes = plan->igemm->kern->lanes, vectors = cvl_divide_up(share->lanes, lanes);
    const int row = share->group * plan->rows.channels + share->first_row;
    const int lane = share->group * plan->lanes.channels + share->first_lane;
    step->tall = step->wide = 0;
    cvl_phase("pack");
    const struct cvl_igemm_reach a = cvl_igemm_bring(plan, &plan->rows, rows, &step->chunk, row, share->rows,
                                                     rows_band);
    for (int vector = 0, take; vector < vectors; vector += take) {
        for (take = cvl_min(plan->vectors, vectors - vector); !plan->igemm->kern->rows_max[take];)
            take--;
        cvl_phase("pack");
        const struct cvl_igemm_reach b = cvl_igemm_bring(plan, &plan->lanes, wide, &step->chunk, lane + vector * lanes,
            cvl_min(take * lanes, share->lanes - vector * lanes), lanes_band);
        cvl_phase("multiply");
        multiply_panel(step, &a, &b, vector, take);
    }
}
