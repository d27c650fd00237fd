/* SPDX-License-Identifier: Apache-2.0 */
#include "tuner/caches.h"

#include "conv/algo.h"

#define REFILLS 50              /* a run as long as so many fillings of the second-level cache is hot after any other */
#define WARM_UPS_MAX 6
#define WARM_UPS_AT_FIRST 3     /* enough to see who is far behind */
#define WARMER 0.96             /* a run of so much of the time of the one before: the next one may be faster still */

static size_t tensor_bytes(const struct cvl_arena *arena)
{
    const cvl_conv_desc *desc = &arena->problem.desc;
    return cvl_conv_bytes(desc, CVL_X) + cvl_conv_bytes(desc, CVL_W) + cvl_conv_bytes(desc, CVL_Y);
}

/* All that the candidates touch. */
static size_t footprint(const struct cvl_arena *arena)
{
    size_t workspace = 0, packed = 0;
    for (const struct cvl_contender *one = arena->contenders; one < arena->contenders + arena->count; one++) {
        packed += one->owns_packed ? one->out->plan->packed_bytes : 0;
        if (one->out->plan->workspace_bytes > workspace)
            workspace = one->out->plan->workspace_bytes;
    }
    return tensor_bytes(arena) + workspace + packed;
}

bool cvl_caches_are_filled(const struct cvl_arena *arena, const struct cvl_contender *contender)
{
    const cvl_plan *plan = contender->out->plan;
    return tensor_bytes(arena) + plan->workspace_bytes + plan->packed_bytes > cvl_cpu_l3() / 4;
}

/* Where the third level holds everything, also after another candidate's run, what is to be fetched from there again is
 * a second level's worth at most, less than a fiftieth of a long run. Half of it must be enough: where the packed
 * filters together were larger than that, a candidate after one that shares its filter looked a quarter faster than its
 * equal. */
static bool is_long(const struct cvl_arena *arena, const struct cvl_contender *contender)
{
    const struct cvl_cpu *cpu = cvl_cpu_info();
    const double refill_s = (double)cpu->l2 / (arena->ctx->rates.copy_l3 / arena->ctx->threads);
    return contender->out->time.samples > 0 && contender->out->time.min > REFILLS * refill_s &&
           footprint(arena) <= cpu->l3 / 2;
}

/* The third level gives the room of other data away only little by little: after others, runs on two threads with a
 * filter of 13 MB took 1.68, 1.14, 1.03, 1.02 and 1.01 times what they took later on; with one of 25 MB 1.81, 1.49, 1.21,
 * 1.11 and 1.04 times, with one of 38 MB 1.94, 1.71, 1.45, 1.35, 1.23, 1.17, 1.09 times. After two warm-ups the smaller
 * filter won or lost by who had run before (layer4.1.conv2 of ResNet-50). */
static cvl_status warm_up(struct cvl_arena *arena, const struct cvl_contender *contender)
{
    const int most = contender->out->time.samples > 0 ? WARM_UPS_MAX : WARM_UPS_AT_FIRST;
    double before = 0, seconds = 0;
    for (int i = 0; i < most && (i < 2 || seconds < WARMER * before); i++) {
        const double start = arena->now();
        const cvl_status status = cvl_contender_run(arena, contender, 1);
        if (status != CVL_OK || !cvl_caches_are_filled(arena, contender))
            return status;
        before = seconds;
        seconds = arena->now() - start;
    }
    return CVL_OK;
}

static void evict(struct cvl_arena *arena, const struct cvl_contender *contender)
{
    const struct cvl_problem *problem = &arena->problem;
    const cvl_conv_args *args = &problem->args;
    const double start = arena->now();
    cvl_evict(&arena->evictor);
    if (arena->state == CVL_COLD_FILTER) {
        cvl_touch(args->x, cvl_conv_bytes(&problem->desc, CVL_X));
        cvl_touch(args->y, cvl_conv_bytes(&problem->desc, CVL_Y));
        cvl_touch(arena->workspace, contender->out->plan->workspace_bytes);
        if (args->residual)
            cvl_touch(args->residual, problem->written_bytes);
    }
    arena->eviction_s = arena->now() - start;
}

cvl_status cvl_caches_prepare(struct cvl_arena *arena, const struct cvl_contender *contender)
{
    if (arena->state == CVL_HOT)
        return arena->latest == contender || is_long(arena, contender) ? CVL_OK : warm_up(arena, contender);
    evict(arena, contender);
    return CVL_OK;
}
