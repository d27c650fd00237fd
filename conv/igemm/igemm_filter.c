/* SPDX-License-Identifier: Apache-2.0
 * BWD_FILTER: for every tap a product of y and x whose reduction runs over pixels and images,
 *     dw[k][c][r][s] = sum over n,p,q of dy[n][k][p][q] * x[n][c][p*stride + r*dil - pad][...].
 * One of the two gives the lanes, the other the rows of a tile. In NHWC both are read where they lie: a tap meets the
 * positions of a rectangle, so there is no padding. In NCHW the lanes' operand is turned, panel by panel. While a chunk
 * of the pixels is multiplied, its tiles fetch the next one (igemm_filter_kern.c). A task
 * owns a share of dw and passes by all pixels; its sums are kept in dw, or where these lie apart in scratch memory. If
 * dw is small, pixels are cut into parts as well, whose sums are added up in order. */
#include "base/profile.h"
#include "base/threads.h"
#include "conv/igemm/igemm_filter.h"

#define DECLARE(level) extern const struct cvl_igemm_filter_kern cvl_igemm_filter_kern_##level;
CVL_ISA_LIST(DECLARE)
#define ENTRY(level) &cvl_igemm_filter_kern_##level,
static const struct cvl_igemm_filter_kern *const kerns[] = { CVL_ISA_LIST(ENTRY) };

const struct cvl_igemm_filter_kern *cvl_igemm_filter_kern(enum cvl_isa isa)
{
    return kerns[isa];
}

struct job {
    struct cvl_igemm_filter_plan plan;
    const cvl_conv_args         *args;
    const struct cvl_igemm_filter_kern *kern;
    float                       *bands, *sums;
    ptrdiff_t                    slot_floats;    /* of the bands of a slot */
};

struct share { int group, first_row, rows, first_lane, lanes, first_tap, taps; };

static struct share share_of(const struct cvl_igemm_filter_plan *plan, int number)
{
    struct share share;
    share.first_row = number % plan->rows.blocks * plan->rows.block;
    share.rows = cvl_min(plan->rows.block, plan->rows.channels - share.first_row);
    number /= plan->rows.blocks;
    share.first_lane = number % plan->lanes.blocks * plan->lanes.block;
    share.lanes = cvl_min(plan->lanes.block, plan->lanes.channels - share.first_lane);
    number /= plan->lanes.blocks;
    share.first_tap = number % plan->tap_blocks * plan->tap_rows;
    share.taps = cvl_min(plan->tap_rows, plan->cut.rows.taps - share.first_tap);
    share.group = number / plan->tap_blocks;
    return share;
}

/* Where the sums of a share are kept: dw, or its scratch memory. */
struct target {
    float       *out;
    const float *residual;                       /* laid out like out, or NULL */
    ptrdiff_t    row, lane, tap_row, tap_column;
};

static struct target target_dw(const struct job *job, const struct share *share)
{
    const struct cvl_igemm_filter_plan *plan = &job->plan;
    const struct cvl_igemm *g = plan->igemm;
    const float *residual = job->args->residual;
    const struct target target = { .row = g->w.at[plan->rows.is_x], .lane = g->w.at[plan->lanes.is_x],
                                   .tap_row = g->w.at[2], .tap_column = g->w.at[3] };
    const ptrdiff_t at = share->group * g->w_group + share->first_row * target.row + share->first_lane * target.lane
                       + share->first_tap * target.tap_row;
    return (struct target){ (float *)job->args->w + at, residual ? residual + at : NULL, target.row, target.lane,
                            target.tap_row, target.tap_column };
}

static struct target target_scratch(const struct cvl_igemm_filter_plan *plan, const struct share *share, float *sums)
{
    const ptrdiff_t pitch = plan->lanes.block, tap = share->rows * pitch;
    return (struct target){ sums, NULL, pitch, 1, tap * plan->cut.columns.taps, tap };
}

/* Where the next chunk begins: planes from their tensor's first element on, pixels from their place in this chunk. */
struct ahead { ptrdiff_t rows, lanes; };

/* One pass of a chunk by a share. */
struct step {
    const struct job      *job;
    struct share           share;
    struct cvl_igemm_chunk chunk;
    struct target          target;
    bool                   first, last;          /* chunk of the share */
    struct ahead           ahead;
    int                    tall, wide;           /* what has been fetched of the rows' operand, and of the lanes' */
};

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
 * images, by the outer loops. */
static bool next_planes(const struct step *step, const struct cvl_tile *tile, const struct cvl_igemm_operand *o,
                        ptrdiff_t ahead, int channels, int *number, struct cvl_igemm_next *next)
{
    const struct cvl_igemm_chunk *chunk = &step->chunk;
    const int line = step->job->plan.igemm->kern->lanes, run = tile->count[0];
    const int last = tile->count[2] > 1 ? 2 : 1, inner = chunk->images > 1 ? last - 1 : last;
    const int covers = inner == 2 ? tile->count[1] * tile->count[2] : inner == 1 ? tile->count[1] : 1;
    const int lines = cvl_divide_up(chunk->rows * chunk->columns * o->rows.step * o->columns.step, line * covers);
    if (*number >= lines * cvl_divide_up(channels, run))
        return false;
    const int first = cvl_min(*number / lines * run, cvl_max(0, channels - run));
    const float *tensor = cvl_conv_pointer(step->job->args, o->is_x ? CVL_X : CVL_Y);
    *next = (struct cvl_igemm_next){
        tensor + ahead + first * o->channel + (*number)++ % lines * covers * line,
        { o->channel, inner >= 1 ? line : o->image, inner == 2 ? tile->count[1] * line : o->image },
    };
    return true;
}

/* Lanes first, each panel its own; then rows, in whatever panel there is room. `rows`: the tap's first. */
static struct cvl_igemm_next next_of(struct step *step, const struct cvl_tile *tile, const float *rows)
{
    const struct cvl_igemm_filter_plan *plan = &step->job->plan;
    const int line = plan->igemm->kern->lanes;
    struct cvl_igemm_next next = { tile->b, { 0, 0, 0 } };
    if (plan->lanes.channel != 1
            ? next_planes(step, tile, &plan->lanes, step->ahead.lanes, step->share.lanes, &step->wide, &next)
            : !plan->lanes.packed
              && next_pixels(tile->b + step->ahead.lanes, tile->b_step, line, tile->vectors, &step->wide, &next))
        return next;
    if (plan->rows.channel != 1 && !plan->joined)
        next_planes(step, tile, &plan->rows, step->ahead.rows, step->share.rows, &step->tall, &next);
    else if (!plan->rows.packed)
        next_pixels(rows + step->ahead.rows, tile->a_step, line, cvl_divide_up(step->share.rows, line), &step->tall,
                    &next);
    return next;
}

/* The tiles of some vectors of lanes, which `tile` has, by all rows. */
static void multiply_rows(struct step *step, struct cvl_tile tile, int rows)
{
    const struct cvl_igemm_filter_plan *plan = &step->job->plan;
    const struct cvl_gemm_kern *kern = plan->igemm->kern;
    const int tiles = cvl_divide_up(rows, cvl_min(plan->height, kern->rows_max[tile.vectors]));
    const int low = rows / tiles, higher = rows % tiles;
    const float *first = tile.a;
    for (int i = 0; i < tiles; i++) {
        tile.rows = low + (i < higher);
        if (tile.act == CVL_ACT_NONE && tile.count[0] > 0) {
            const struct cvl_igemm_next next = next_of(step, &tile, first);
            step->job->kern->tile[tile.vectors](&tile, &next);
        } else {
            kern->tile[tile.vectors](&tile);
        }
        tile.a += tile.rows * tile.a_row;
        tile.out += tile.rows * tile.out_row;
        tile.add += tile.add ? tile.rows * tile.out_row : 0;
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
static void multiply_tap(struct step *step, const struct cvl_igemm_reach *a, const struct cvl_igemm_reach *b,
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
    multiply_rows(step, tile, step->share.rows * across);
}

/* All taps of a panel of lanes, `vectors` from vector on. */
static void multiply_panel(struct step *step, const struct cvl_igemm_reach *a, const struct cvl_igemm_reach *b,
                           int vector, int vectors)
{
    const struct cvl_igemm_filter_plan *plan = &step->job->plan;
    const struct target *target = &step->target;
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

static void pass_by(struct step *step, float *rows_band, float *lanes_band)
{
    const struct cvl_igemm_filter_plan *plan = &step->job->plan;
    const struct share *share = &step->share;
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

/* dw of a share from its sums. */
static void unpack(const struct job *job, const struct share *share, const float *sums)
{
    const struct cvl_igemm_filter_plan *plan = &job->plan;
    const int step = plan->igemm->kern->lanes, pitch = plan->lanes.block, columns = plan->cut.columns.taps;
    const struct target dw = target_dw(job, share);
    const cvl_epilogue *epi = &plan->igemm->desc->epi;
    for (int tap = 0; tap < share->taps * columns; tap++)
        for (int i = 0; i < share->rows; i += step)
            for (int j = 0; j < share->lanes; j += step) {
                const ptrdiff_t at = i * dw.row + j * dw.lane + tap / columns * dw.tap_row
                                   + tap % columns * dw.tap_column;
                const struct cvl_tile tile = {
                    .rows = cvl_min(step, share->rows - i), .vectors = 1,
                    .last = cvl_min(step, share->lanes - j), .out = dw.out + at, .out_row = dw.row,
                    .out_lane = dw.lane, .act = epi->act, .lo = epi->lo, .hi = epi->hi,
                    .add = dw.residual ? dw.residual + at : NULL,
                };
                plan->igemm->kern->finish(&tile, sums + ((ptrdiff_t)tap * share->rows + i) * pitch + j, pitch);
            }
}

static ptrdiff_t aligned(ptrdiff_t floats) { return (floats + 15) / 16 * 16; }

static int first_chunk(const struct cvl_igemm_filter_plan *plan, int part)
{
    return (int)((int64_t)plan->chunks * part / plan->parts);
}

static ptrdiff_t distance(const struct cvl_igemm_operand *o, const struct cvl_igemm_chunk *from, int first,
                          const struct cvl_igemm_chunk *to, int next)
{
    return cvl_igemm_place(o, to, next) - (o->channel == 1 ? cvl_igemm_place(o, from, first) : 0);
}

/* The task's next chunk, or the first one of the task that this thread is likely to have then. */
static struct ahead ahead_of(const struct step *step, int task, int chunk)
{
    const struct cvl_igemm_filter_plan *plan = &step->job->plan;
    const struct share *share = &step->share;
    struct share next = *share;
    chunk++;
    if (step->last) {
        task += plan->igemm->ctx->threads;
        if (task >= plan->shares * plan->parts)
            task = 0;
        next = share_of(plan, task % plan->shares);
        chunk = first_chunk(plan, task / plan->shares);
    }
    const struct cvl_igemm_chunk to = cvl_igemm_chunk(plan, chunk);
    return (struct ahead){
        distance(&plan->rows, &step->chunk, share->group * plan->rows.channels + share->first_row, &to,
                 next.group * plan->rows.channels + next.first_row),
        distance(&plan->lanes, &step->chunk, share->group * plan->lanes.channels + share->first_lane, &to,
                 next.group * plan->lanes.channels + next.first_lane),
    };
}

/* Task: a share and a part of the pixels; neighbours have the same part. */
static void filter_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_igemm_filter_plan *plan = &job->plan;
    const int number = task % plan->shares, part = task / plan->shares;
    float *band = job->bands + slot * job->slot_floats, *other = band + aligned(plan->rows.floats);
    float *sums = job->sums + (plan->parts > 1 ? number * plan->parts + part : slot) * aligned(plan->sums_floats);
    const int first = first_chunk(plan, part), last = first_chunk(plan, part + 1);
    struct step step = { .job = job, .share = share_of(plan, number) };
    step.target = plan->direct ? target_dw(job, &step.share) : target_scratch(plan, &step.share, sums);
    for (int chunk = first; chunk < last; chunk++) {
        step.chunk = cvl_igemm_chunk(plan, chunk);
        step.first = chunk == first;
        step.last = chunk == last - 1;
        step.ahead = ahead_of(&step, task, chunk);
        pass_by(&step, band, other);
    }
    if (!plan->direct && plan->parts == 1) {
        cvl_phase("unpack");
        unpack(job, &step.share, sums);
    }
}

static void add_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_igemm_filter_plan *plan = &job->plan;
    const ptrdiff_t floats = aligned(plan->sums_floats);
    float *sums = job->sums + (ptrdiff_t)task * plan->parts * floats;
    for (int part = 1; part < plan->parts; part++)
        for (ptrdiff_t i = 0; i < plan->sums_floats; i++)
            sums[i] += sums[part * floats + i];
    const struct share share = share_of(plan, task);
    unpack(job, &share, sums);
}

static ptrdiff_t slot_floats(const struct cvl_igemm_filter_plan *plan)
{
    return aligned(plan->rows.floats) + aligned(plan->lanes.floats) + CVL_TILE_VECTORS * CVL_TILE_LANES;
}

size_t cvl_igemm_filter_workspace(const struct cvl_igemm *g)
{
    const struct cvl_igemm_filter_plan plan = cvl_igemm_filter_plan(g);
    const ptrdiff_t sums = plan.direct ? 0 : plan.parts > 1 ? (ptrdiff_t)plan.shares * plan.parts : g->ctx->threads;
    return (size_t)(slot_floats(&plan) * g->ctx->threads + sums * aligned(plan.sums_floats)) * sizeof(float);
}

cvl_status cvl_igemm_filter(const struct cvl_igemm *g, const cvl_conv_args *args, void *workspace)
{
    struct job job = { .plan = cvl_igemm_filter_plan(g), .args = args, .kern = cvl_igemm_filter_kern(g->ctx->isa),
                       .bands = workspace };
    job.slot_floats = slot_floats(&job.plan);
    job.sums = job.bands + job.slot_floats * g->ctx->threads;
    cvl_parallel_for(g->ctx, job.plan.shares * job.plan.parts, filter_task, &job);
    if (job.plan.parts > 1) {
        cvl_phase("unpack");
        cvl_parallel_for(g->ctx, job.plan.shares, add_task, &job);
    }
    cvl_phase(NULL);
    return CVL_OK;
}
