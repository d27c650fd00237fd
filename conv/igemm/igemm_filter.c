/* SPDX-License-Identifier: Apache-2.0
 * BWD_FILTER: for every tap a product of y and x whose reduction runs over pixels and images,
 *     dw[k][c][r][s] = sum over n,p,q of dy[n][k][p][q] * x[n][c][p*stride + r*dil - pad][...].
 * One of the two gives the lanes, the other the rows of a tile. In NHWC both are read where they lie: a tap meets the
 * positions of a rectangle, so there is no padding. In NCHW the lanes' operand is turned, panel by panel. While a chunk
 * of the pixels is multiplied, its tiles fetch the next one (igemm_filter_tiles.c). A task owns a share of dw and goes
 * through all pixels; its sums are kept in dw, or where these lie apart in scratch memory. If dw is small, pixels are
 * cut into parts as well, whose sums are added up in order. */
#include "base/profile.h"
#include "base/threads.h"
#include "conv/igemm/igemm_filter_step.h"

static struct cvl_filter_share share_of(const struct cvl_igemm_filter_plan *plan, int number)
{
    struct cvl_filter_share share;
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

static struct cvl_filter_target target_dw(const struct cvl_filter_job *job, const struct cvl_filter_share *share)
{
    const struct cvl_igemm_filter_plan *plan = &job->plan;
    const struct cvl_igemm *g = plan->igemm;
    const float *residual = job->args->residual;
    const struct cvl_filter_target target = { .row = g->w.at[plan->rows.is_x], .lane = g->w.at[plan->lanes.is_x],
                                   .tap_row = g->w.at[2], .tap_column = g->w.at[3] };
    const ptrdiff_t at = share->group * g->w_group + share->first_row * target.row + share->first_lane * target.lane
                       + share->first_tap * target.tap_row;
    return (struct cvl_filter_target){ (float *)job->args->w + at, residual ? residual + at : NULL, target.row,
                                       target.lane, target.tap_row, target.tap_column };
}

static struct cvl_filter_target target_scratch(const struct cvl_igemm_filter_plan *plan,
                                               const struct cvl_filter_share *share, float *sums)
{
    const ptrdiff_t pitch = plan->lanes.block, tap = share->rows * pitch;
    return (struct cvl_filter_target){ sums, NULL, pitch, 1, tap * plan->cut.columns.taps, tap };
}

/* Where the taps of a channel lie side by side, blocks of taps and lanes are exchanged: written one by one, the 9 of
 * 512 x 512 channels took 40 % of the pass. (A single tap, exchanged like that, took 25 %.) */
static bool unpack_runs(const struct cvl_filter_job *job, const struct cvl_filter_share *share, const float *sums)
{
    const struct cvl_igemm_filter_plan *plan = &job->plan;
    const ptrdiff_t pitch = plan->lanes.block;
    const int columns = plan->cut.columns.taps;
    const struct cvl_filter_target dw = target_dw(job, share);
    if (dw.residual || plan->igemm->desc->epi.act != CVL_ACT_NONE || dw.tap_column != 1 || dw.tap_row != columns
        || share->taps * columns == 1)
        return false;
    for (int i = 0; i < share->rows; i++) {
        const struct cvl_copy copy = {
            .to = dw.out + i * dw.row, .to_row = dw.lane, .rows = share->lanes, .lanes = share->taps * columns,
            .from = sums + i * pitch, .from_row = 1, .from_lane = share->rows * pitch,
        };
        plan->igemm->kern->copy(&copy);
    }
    return true;
}

/* dw of a share from its sums. */
static void unpack(const struct cvl_filter_job *job, const struct cvl_filter_share *share, const float *sums)
{
    const struct cvl_igemm_filter_plan *plan = &job->plan;
    const int step = plan->igemm->kern->lanes, pitch = plan->lanes.block, columns = plan->cut.columns.taps;
    const struct cvl_filter_target dw = target_dw(job, share);
    const cvl_epilogue *epi = &plan->igemm->desc->epi;
    if (unpack_runs(job, share, sums))
        return;
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
static struct cvl_filter_ahead ahead_of(const struct cvl_filter_step *step, int task, int chunk)
{
    const struct cvl_igemm_filter_plan *plan = &step->job->plan;
    const struct cvl_filter_share *share = &step->share;
    struct cvl_filter_share next = *share;
    chunk++;
    if (step->last) {
        task++;
        if (task >= plan->shares * plan->parts)
            task = 0;
        next = share_of(plan, task % plan->shares);
        chunk = first_chunk(plan, task / plan->shares);
    }
    const struct cvl_igemm_chunk to = cvl_igemm_chunk(plan, chunk);
    return (struct cvl_filter_ahead){
        distance(&plan->rows, &step->chunk, share->group * plan->rows.channels + share->first_row, &to,
                 next.group * plan->rows.channels + next.first_row),
        distance(&plan->lanes, &step->chunk, share->group * plan->lanes.channels + share->first_lane, &to,
                 next.group * plan->lanes.channels + next.first_lane),
    };
}

/* Task: a share and a part of the pixels; neighbours have the same part. */
static void filter_task(int task, int slot, void *arg)
{
    const struct cvl_filter_job *job = arg;
    const struct cvl_igemm_filter_plan *plan = &job->plan;
    const int number = task % plan->shares, part = task / plan->shares;
    float *band = job->bands + slot * job->slot_floats, *other = band + aligned(plan->rows.floats);
    float *sums = job->sums + (plan->parts > 1 ? number * plan->parts + part : slot) * aligned(plan->sums_floats);
    const int first = first_chunk(plan, part), last = first_chunk(plan, part + 1);
    struct cvl_filter_step step = { .job = job, .share = share_of(plan, number) };
    step.target = plan->direct ? target_dw(job, &step.share) : target_scratch(plan, &step.share, sums);
    for (int chunk = first; chunk < last; chunk++) {
        step.chunk = cvl_igemm_chunk(plan, chunk);
        step.first = chunk == first;
        step.last = chunk == last - 1;
        step.ahead = ahead_of(&step, task, chunk);
        cvl_filter_pass_by(&step, band, other);
    }
    if (!plan->direct && plan->parts == 1) {
        cvl_phase("unpack");
        unpack(job, &step.share, sums);
    }
}

static void add_task(int task, int slot, void *arg)
{
    const struct cvl_filter_job *job = arg;
    const struct cvl_igemm_filter_plan *plan = &job->plan;
    const ptrdiff_t floats = aligned(plan->sums_floats);
    float *sums = job->sums + (ptrdiff_t)task * plan->parts * floats;
    for (int part = 1; part < plan->parts; part++)
        for (ptrdiff_t i = 0; i < plan->sums_floats; i++)
            sums[i] += sums[part * floats + i];
    const struct cvl_filter_share share = share_of(plan, task);
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
    struct cvl_filter_job job = { .plan = cvl_igemm_filter_plan(g), .args = args,
                                  .kern = cvl_igemm_filter_kern(g->ctx->isa), .bands = workspace };
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
