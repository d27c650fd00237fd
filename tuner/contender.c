/* SPDX-License-Identifier: Apache-2.0 */
#include "tuner/contender.h"

#include "base/alloc.h"
#include "conv/algo.h"
#include "conv/reference/oracle.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PACKS 3
#define PACK_AGAIN_S 0.002      /* a longer packing is timed once */
#define REFILLS 50              /* a run as long as so many fillings of the second-level cache is hot after any other */

void cvl_contender_settle(struct cvl_contender *contender, cvl_outcome outcome, const char *format, ...)
{
    va_list arguments;
    contender->live = false;
    contender->out->outcome = outcome;
    va_start(arguments, format);
    vsnprintf(contender->out->reason, sizeof contender->out->reason, format, arguments);
    va_end(arguments);
}

/* Those that fail to find a workspace are settled; the largest that is left serves all, one after another. */
static void make_workspace(struct cvl_arena *arena)
{
    for (;;) {
        size_t most = 0;
        for (int i = 0; i < arena->count; i++)
            if (arena->contenders[i].live && arena->contenders[i].out->plan->workspace_bytes > most)
                most = arena->contenders[i].out->plan->workspace_bytes;
        arena->workspace = most ? cvl_alloc(most) : NULL;
        if (arena->workspace || !most)
            return;
        for (int i = 0; i < arena->count; i++)
            if (arena->contenders[i].live && arena->contenders[i].out->plan->workspace_bytes == most)
                cvl_contender_settle(&arena->contenders[i], CVL_OUTCOME_FAILED, "no memory for a workspace of %zu bytes",
                                     most);
    }
}

cvl_status cvl_arena_create(struct cvl_arena *arena, const cvl_conv_desc *desc, uint64_t seed)
{
    cvl_status status = cvl_problem_create(desc, seed, NULL, &arena->problem);
    if (status != CVL_OK)
        return status;
    if (arena->state != CVL_HOT)
        status = cvl_evictor_create(arena->ctx, &arena->evictor);
    if (status != CVL_OK) {
        cvl_problem_destroy(&arena->problem);
        return status;
    }
    arena->checked = cvl_oracle_sample(desc, seed, arena->indices, CVL_CHECKED_OUTPUTS);
    cvl_oracle_values(arena->ctx, desc, &arena->problem.args, arena->indices, arena->checked, arena->want);
    make_workspace(arena);
    return CVL_OK;
}

void cvl_arena_destroy(struct cvl_arena *arena)
{
    for (int i = 0; i < arena->count; i++)
        if (arena->contenders[i].owns_packed)
            cvl_free(arena->contenders[i].packed);
    cvl_free(arena->workspace);
    cvl_evictor_destroy(&arena->evictor);
    cvl_problem_destroy(&arena->problem);
}

bool cvl_contender_pack(struct cvl_arena *arena, struct cvl_contender *contender)
{
    const cvl_plan *plan = contender->out->plan;
    double seconds[PACKS];
    int packs = 0;
    if (!arena->problem.desc.const_filter || plan->packed_bytes == 0)
        return true;
    for (const struct cvl_contender *other = arena->contenders; other < contender; other++)
        if (other->packed && other->out->plan->packed_id == plan->packed_id &&
            other->out->plan->packed_bytes == plan->packed_bytes) {
            contender->packed = other->packed;
            contender->out->pack_s = other->out->pack_s;
            return true;
        }
    contender->packed = cvl_alloc(plan->packed_bytes);
    contender->owns_packed = true;
    if (!contender->packed) {
        cvl_contender_settle(contender, CVL_OUTCOME_FAILED, "no memory for a packed filter of %zu bytes",
                             plan->packed_bytes);
        return false;
    }
    do {
        const double start = arena->now();
        if (cvl_plan_pack(plan, &arena->problem.args, contender->packed) != CVL_OK) {
            cvl_contender_settle(contender, CVL_OUTCOME_FAILED, "%s", cvl_last_error());
            return false;
        }
        seconds[packs] = arena->now() - start;
    } while (seconds[packs++] < PACK_AGAIN_S && packs < PACKS);
    contender->out->pack_s = cvl_stats_of(seconds, packs).median;
    return true;
}

static cvl_status run(struct cvl_arena *arena, struct cvl_contender *contender, int runs)
{
    cvl_conv_args args = arena->problem.args;
    cvl_status status = CVL_OK;
    args.packed = contender->packed;
    arena->latest = contender;
    for (int i = 0; i < runs && status == CVL_OK; i++)
        status = cvl_plan_run(contender->out->plan, &args, arena->workspace);
    return status == CVL_OK ? arena->ctx->device->synchronize(arena->ctx->stream) : status;
}

/* All bits set are a NaN in every floating type: an output that is not written, or a workspace that is read before it
 * is written, cannot pass; an integer is seen by a value that saturation does not give. */
bool cvl_contender_check(struct cvl_arena *arena, struct cvl_contender *contender)
{
    struct cvl_measurement *out = contender->out;
    const cvl_plan *plan = out->plan;
    struct cvl_problem *problem = &arena->problem;
    memset(problem->written, cvl_conv_is_integer(&problem->desc) ? 0xa5 : 0xff, problem->written_bytes);
    if (plan->workspace_bytes)
        memset(arena->workspace, 0xff, plan->workspace_bytes);
    const double start = arena->now();
    if (run(arena, contender, 1) != CVL_OK) {
        cvl_contender_settle(contender, CVL_OUTCOME_FAILED, "%s", cvl_last_error());
        return false;
    }
    contender->first_s = arena->now() - start;
    const struct cvl_error error = cvl_oracle_compare(&problem->desc, problem->written, arena->indices,
                                                      arena->checked, arena->want);
    const double tolerance = plan->algo->tolerance(&problem->desc, &plan->variant);
    out->rel_error = error.rel;
    out->l2_error = error.l2;
    if (!(error.rel <= tolerance)) {
        cvl_contender_settle(contender, CVL_OUTCOME_WRONG,
                             "rel_error is %.2g, its tolerance %.2g: output %zu is %.6g, expected %.6g", error.rel,
                             tolerance, error.worst, error.got, error.want);
        return false;
    }
    return true;
}

/* All that the candidates touch. */
static size_t footprint(const struct cvl_arena *arena)
{
    const cvl_conv_desc *desc = &arena->problem.desc;
    size_t workspace = 0, packed = 0;
    for (const struct cvl_contender *one = arena->contenders; one < arena->contenders + arena->count; one++) {
        packed += one->owns_packed ? one->out->plan->packed_bytes : 0;
        if (one->out->plan->workspace_bytes > workspace)
            workspace = one->out->plan->workspace_bytes;
    }
    return cvl_conv_bytes(desc, CVL_X) + cvl_conv_bytes(desc, CVL_W) + cvl_conv_bytes(desc, CVL_Y) + workspace + packed;
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

static cvl_status prepare_caches(struct cvl_arena *arena, struct cvl_contender *contender)
{
    const struct cvl_problem *problem = &arena->problem;
    const cvl_conv_args *args = &problem->args;
    if (arena->state == CVL_HOT)
        return arena->latest == contender || is_long(arena, contender) ? CVL_OK : run(arena, contender, 1);
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
    return CVL_OK;
}

double cvl_contender_sample(struct cvl_arena *arena, struct cvl_contender *contender, int runs)
{
    cvl_status status = prepare_caches(arena, contender);
    const double start = arena->now();
    if (status == CVL_OK)
        status = run(arena, contender, runs);
    if (status == CVL_OK)
        return (arena->now() - start) / runs;
    cvl_contender_settle(contender, CVL_OUTCOME_FAILED, "%s", cvl_last_error());
    contender->out->time.samples = 0;
    return -1;
}
