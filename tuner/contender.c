/* SPDX-License-Identifier: Apache-2.0 */
#include "tuner/contender.h"

#include "base/alloc.h"
#include "conv/algo.h"
#include "conv/reference/oracle.h"
#include "tuner/caches.h"

#include <stdarg.h>
#include <stdio.h>

#define PACKS 3
#define PACK_AGAIN_S 0.0004     /* a longer packing is timed once */

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
        arena->workspace = most ? arena->ctx->device->alloc(arena->ctx->device, most) : NULL;
        if (arena->workspace || !most)
            return;
        for (int i = 0; i < arena->count; i++)
            if (arena->contenders[i].live && arena->contenders[i].out->plan->workspace_bytes == most)
                cvl_contender_settle(&arena->contenders[i], CVL_OUTCOME_FAILED, "no memory for a workspace of %zu bytes",
                                     most);
    }
}

static bool on_gpu(const struct cvl_arena *arena)
{
    return arena->gpu.sets > 0;
}

cvl_status cvl_arena_create(struct cvl_arena *arena, const cvl_conv_desc *desc, uint64_t seed)
{
    const struct cvl_device *device = arena->ctx->device;
    cvl_status status = cvl_problem_create(desc, seed, NULL, &arena->problem);
    if (status == CVL_OK)
        status = cvl_device_problem_create(device, &arena->problem, NULL, &arena->on_device);
    if (status == CVL_OK && device->kind != CVL_CPU)
        status = cvl_gpu_timing_create(&arena->gpu, device, arena->state, &arena->problem);
    else if (status == CVL_OK && arena->state != CVL_HOT)
        status = cvl_evictor_create(arena->ctx, &arena->evictor);
    if (status != CVL_OK) {
        cvl_device_problem_destroy(&arena->on_device);
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
    const struct cvl_device *device = arena->ctx->device;
    for (int i = 0; i < arena->count; i++) {
        if (arena->contenders[i].owns_packed && arena->contenders[i].packed)
            device->free(device, arena->contenders[i].packed);
        cvl_gpu_capture_free(&arena->gpu, &arena->contenders[i].capture);
    }
    if (arena->workspace)
        device->free(device, arena->workspace);
    cvl_evictor_destroy(&arena->evictor);
    cvl_gpu_timing_destroy(&arena->gpu);
    cvl_device_problem_destroy(&arena->on_device);
    cvl_problem_destroy(&arena->problem);
}

int cvl_arena_least_runs(const struct cvl_arena *arena)
{
    return on_gpu(arena) ? arena->gpu.sets : 1;
}

bool cvl_arena_may_repeat(const struct cvl_arena *arena, int runs)
{
    return on_gpu(arena) ? runs < CVL_GPU_RUNS_MAX : arena->state == CVL_HOT;
}

/* ---- packing ---- */

/* Where the packed filter of a set of buffers begins, after that of the one before it; a CPU has one set. */
static size_t packed_stride(const struct cvl_contender *contender)
{
    return cvl_round_up(contender->out->plan->packed_bytes, 256);
}

static cvl_status pack(const struct cvl_arena *arena, const struct cvl_contender *contender)
{
    const struct cvl_device *device = arena->ctx->device;
    const cvl_plan *plan = contender->out->plan;
    cvl_status status = CVL_OK;
    if (!on_gpu(arena))
        return cvl_plan_pack(plan, &arena->problem.args, contender->packed);
    for (int i = 0; i < arena->gpu.sets && status == CVL_OK; i++) {
        const cvl_conv_args args = cvl_gpu_timing_args(&arena->gpu, i, NULL, 0);
        status = cvl_plan_pack(plan, &args, (char *)contender->packed + (size_t)i * packed_stride(contender));
    }
    return status == CVL_OK ? device->synchronize(device, arena->gpu.stream) : status;
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
    const size_t others = (size_t)cvl_arena_least_runs(arena) - 1;
    contender->packed = arena->ctx->device->alloc(arena->ctx->device, others * packed_stride(contender)
                                                                          + plan->packed_bytes);
    contender->owns_packed = true;
    if (!contender->packed) {
        cvl_contender_settle(contender, CVL_OUTCOME_FAILED, "no memory for a packed filter of %zu bytes",
                             plan->packed_bytes);
        return false;
    }
    do {
        const double start = arena->now();
        if (pack(arena, contender) != CVL_OK) {
            cvl_contender_settle(contender, CVL_OUTCOME_FAILED, "%s", cvl_last_error());
            return false;
        }
        seconds[packs] = (arena->now() - start) / cvl_arena_least_runs(arena);
    } while (seconds[packs++] < PACK_AGAIN_S && packs < PACKS);
    contender->out->pack_s = cvl_stats_of(seconds, packs).median;
    return true;
}

cvl_status cvl_contender_run(struct cvl_arena *arena, const struct cvl_contender *contender, int runs)
{
    cvl_conv_args args = arena->on_device.args;
    cvl_status status = CVL_OK;
    args.packed = contender->packed;
    arena->latest = contender;
    for (int i = 0; i < runs && status == CVL_OK; i++)
        status = cvl_plan_run(contender->out->plan, &args, arena->workspace);
    return status == CVL_OK ? arena->ctx->device->synchronize(arena->ctx->device, arena->ctx->stream) : status;
}

/* Launches of kernels that are new to the process take milliseconds: on a GPU the first run tells no time. */
static cvl_status time_first(struct cvl_arena *arena, struct cvl_contender *contender, double host_s)
{
    contender->first_s = host_s;
    if (!on_gpu(arena))
        return CVL_OK;
    return cvl_gpu_timing_sample(&arena->gpu, contender->out->plan, contender->packed, packed_stride(contender),
                                 arena->workspace, 1, true, &contender->capture, &contender->first_s);
}

/* A workspace that is all NaN and read before it is written cannot pass. */
static cvl_status run_checked(struct cvl_arena *arena, struct cvl_contender *contender)
{
    const struct cvl_device *device = arena->ctx->device;
    const cvl_plan *plan = contender->out->plan;
    cvl_status status = cvl_device_problem_spoil(&arena->on_device);
    if (status == CVL_OK && plan->workspace_bytes)
        status = device->fill(device, arena->workspace, 0xff, plan->workspace_bytes);
    const double start = arena->now();
    if (status == CVL_OK)
        status = cvl_contender_run(arena, contender, 1);
    const double seconds = arena->now() - start;
    if (!on_gpu(arena) && cvl_caches_are_filled(arena, contender))
        arena->latest = NULL;
    if (status == CVL_OK)
        status = cvl_device_problem_fetch(&arena->on_device);
    return status == CVL_OK ? time_first(arena, contender, seconds) : status;
}

bool cvl_contender_check(struct cvl_arena *arena, struct cvl_contender *contender)
{
    struct cvl_measurement *out = contender->out;
    const cvl_plan *plan = out->plan;
    const struct cvl_problem *problem = &arena->problem;
    if (run_checked(arena, contender) != CVL_OK) {
        cvl_contender_settle(contender, CVL_OUTCOME_FAILED, "%s", cvl_last_error());
        return false;
    }
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

static cvl_status sample_cpu(struct cvl_arena *arena, struct cvl_contender *contender, int runs, double *seconds)
{
    cvl_status status = cvl_caches_prepare(arena, contender);
    const double start = arena->now();
    if (status == CVL_OK)
        status = cvl_contender_run(arena, contender, runs);
    *seconds = (arena->now() - start) / runs;
    return status;
}

static cvl_status sample_gpu(struct cvl_arena *arena, struct cvl_contender *contender, int runs, double *seconds)
{
    const bool warm_up = arena->state == CVL_HOT && arena->latest != contender;
    arena->latest = contender;
    return cvl_gpu_timing_sample(&arena->gpu, contender->out->plan, contender->packed, packed_stride(contender),
                                 arena->workspace, runs, warm_up, &contender->capture, seconds);
}

double cvl_contender_sample(struct cvl_arena *arena, struct cvl_contender *contender, int runs)
{
    double seconds = 0;
    const cvl_status status = on_gpu(arena) ? sample_gpu(arena, contender, runs, &seconds)
                                            : sample_cpu(arena, contender, runs, &seconds);
    if (status == CVL_OK)
        return seconds;
    cvl_contender_settle(contender, CVL_OUTCOME_FAILED, "%s", cvl_last_error());
    contender->out->time.samples = 0;
    return -1;
}
