/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "conv/reference/oracle.h"
#include "conv/registry.h"
#include "trial.h"

#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The ways in which one plan is run. The first is held against the oracle; all others must give its very bits, or,
 * where a variant is not deterministic, are held against the oracle too. */
static const struct how {
    const char     *name;
    int             ctx;
    enum guard_side side;
    bool            in_place;     /* the residual is the written tensor; only where there is a residual */
    bool            captured;     /* in a graph, which then runs */
} cpu_hows[] = {
    { "one thread", HARNESS_SERIAL, GUARD_END, false, false },
    { "one thread again", HARNESS_SERIAL, GUARD_END, false, false },
    { "three threads, guard page in front", HARNESS_PARALLEL, GUARD_START, false, false },
    { "a host's pool in reverse order", HARNESS_REVERSED, GUARD_END, false, false },
    { "residual in place", HARNESS_PARALLEL, GUARD_END, true, false },
};
static const struct how gpu_hows[] = {
    { "the default stream", HARNESS_SERIAL, GUARD_END, false, false },
    { "the default stream again", HARNESS_SERIAL, GUARD_END, false, false },
    { "a stream of its own, buffers at the start", HARNESS_PARALLEL, GUARD_START, false, false },
    { "captured in a graph", HARNESS_PARALLEL, GUARD_START, false, true },
    { "residual in place", HARNESS_PARALLEL, GUARD_END, true, false },
};
enum { HOWS = sizeof cpu_hows / sizeof *cpu_hows };
_Static_assert(HOWS == sizeof gpu_hows / sizeof *gpu_hows, "as many on each device");

/* ---- contexts ---- */

static void run_in_reverse(void *pool, int tasks, cvl_task_fn *fn, void *arg)
{
    for (int task = tasks - 1; task >= 0; task--)
        fn(task, task % 3, arg);
}

bool harness_create(struct harness *harness, cvl_device_kind kind, int index)
{
    static const int threads[] = { [HARNESS_SERIAL] = 1, [HARNESS_PARALLEL] = 3, [HARNESS_REVERSED] = 3 };
    memset(harness, 0, sizeof *harness);
    trial_catch_signals();
    if (cvl_device_get(kind, index, &harness->device) != CVL_OK
        || (harness->device->stream_create
            && harness->device->stream_create(harness->device, &harness->stream) != CVL_OK)) {
        fprintf(stderr, "no device: %s\n", cvl_last_error());
        return false;
    }
    for (int i = 0; i < HARNESS_CTXS; i++) {
        cvl_ctx_options options;
        cvl_ctx_options_init(&options);
        options.threads = threads[i];
        options.device = kind;
        options.device_index = index;
        options.stream = i == HARNESS_SERIAL ? NULL : harness->stream;
        options.parallel_for = i == HARNESS_REVERSED ? run_in_reverse : NULL;
        if (cvl_ctx_create(&options, &harness->ctx[i]) != CVL_OK) {
            fprintf(stderr, "no context: %s\n", cvl_last_error());
            return false;
        }
    }
    return true;
}

void harness_destroy(struct harness *harness)
{
    for (int i = 0; i < HARNESS_CTXS; i++)
        cvl_ctx_destroy(harness->ctx[i]);
    if (harness->stream)
        harness->device->stream_destroy(harness->device, harness->stream);
}

/* ---- one run ---- */

/* A buffer that ends flush begins where its size says. */
static enum guard_side side_of(const struct trial *trial, const struct how *how)
{
    return trial->algo->alignment ? GUARD_START : how->side;
}

static void check_values(struct trial *trial, const struct how *how, const void *written)
{
    const double tolerance = trial->algo->tolerance(&trial->desc, &trial->plan[0]->variant);
    const struct cvl_error error = cvl_oracle_compare(&trial->desc, written, NULL, trial->count, trial->want);
    const double share = error.rel == 0 ? 0 : error.rel / tolerance;
    if (!(error.rel <= tolerance))
        trial_fail(trial, how->name, "rel_error is %.3g, expected at most %.3g; element %zu is %.9g, expected %.9g",
                   error.rel, tolerance, error.worst, error.got, error.want);
    else if (trial->fill == FILL_PLAIN && share > trial->cell->worst)
        trial->cell->worst = share;
}

static void check_result(struct trial *trial, const struct how *how, bool first)
{
    const struct cvl_problem *problem = &trial->problem[side_of(trial, how)];
    if (!device_guard_intact(trial->harness->device, trial->on_device[side_of(trial, how)].written))
        trial_fail(trial, how->name, "wrote beside the written tensor");
    if (first)
        memcpy(trial->first, problem->written, problem->written_bytes);
    if (first || !cvl_plan_deterministic(trial->plan[0]))
        check_values(trial, how, problem->written);
    else if (memcmp(trial->first, problem->written, problem->written_bytes) != 0)
        trial_fail(trial, how->name, "other bits than in the first way");
}

/* A run that leaves this thread flushing denormals or rounding otherwise would change its caller's arithmetic. */
static void check_arithmetic(struct trial *trial, const struct how *how)
{
    volatile float denormal = 0x1p-140f;
    if (denormal * 1.0f != 0 && fegetround() == FE_TONEAREST)
        return;
    trial_fail(trial, how->name, "left the floating-point environment changed");
    fesetenv(FE_DFL_ENV);
}

/* As plans ask for it of the workspace and of packed filters. */
static size_t alignment(const struct trial *trial)
{
    return trial->harness->device->kind == CVL_CPU ? 64 : 256;
}

/* A plan that cannot be captured, as a vendor's may, is run without. */
static cvl_status run_captured(const struct trial *trial, const cvl_plan *plan, const cvl_conv_args *args, void *workspace)
{
    const struct cvl_device *device = trial->harness->device;
    struct cvl_graph *graph = NULL;
    cvl_status status = device->capture_begin(device, trial->harness->stream);
    if (status != CVL_OK)
        return status;
    status = cvl_plan_run(plan, args, workspace);
    if (device->capture_end(device, trial->harness->stream, &graph) != CVL_OK || status != CVL_OK)
        return plan->algo->version ? cvl_plan_run(plan, args, workspace) : CVL_EDEVICE;
    status = device->graph_launch(device, graph, trial->harness->stream);
    if (status == CVL_OK)
        status = device->synchronize(device, trial->harness->stream);
    device->graph_destroy(device, graph);
    return status;
}

static cvl_status run_and_fetch(const struct trial *trial, const struct how *how, const cvl_plan *plan,
                                const cvl_conv_args *args, void *workspace)
{
    const struct cvl_device *device = trial->harness->device;
    cvl_status status = how->captured ? run_captured(trial, plan, args, workspace) : cvl_plan_run(plan, args, workspace);
    if (status == CVL_OK)
        status = device->synchronize(device, how->ctx == HARNESS_SERIAL ? NULL : trial->harness->stream);
    return status == CVL_OK ? cvl_device_problem_fetch(&trial->on_device[side_of(trial, how)]) : status;
}

static void run_plan(struct trial *trial, const struct how *how, bool first)
{
    const struct cvl_device *device = trial->harness->device;
    const struct cvl_device_problem *problem = &trial->on_device[side_of(trial, how)];
    const cvl_plan *plan = trial->plan[how->ctx];
    const size_t bytes = cvl_plan_workspace_size(plan);
    cvl_conv_args args = problem->args;
    void *workspace = bytes ? device_guard_alloc(device, side_of(trial, how), bytes, alignment(trial)) : NULL;
    cvl_status status = workspace ? device->fill(device, workspace, 0xff, bytes) : CVL_OK;
    if (trial->packed[0]) {
        args.packed = trial->packed[side_of(trial, how)];
        args.w = NULL;
    }
    if (status == CVL_OK)
        status = cvl_device_problem_spoil(problem);
    if (how->in_place && status == CVL_OK) {
        status = device->upload(device, problem->written, problem->host->args.residual, problem->host->written_bytes);
        args.residual = problem->written;
    }
    trial_announce(trial, how->name);
    trial->harness->runs++;
    if (status == CVL_OK)
        status = run_and_fetch(trial, how, plan, &args, workspace);
    if (status != CVL_OK)
        trial_fail(trial, how->name, "the run was refused: %s", cvl_last_error());
    else
        check_result(trial, how, first);
    check_arithmetic(trial, how);
    if (workspace && !device_guard_intact(device, workspace))
        trial_fail(trial, how->name, "wrote beside its workspace of %zu bytes", bytes);
    device_guard_free(device, workspace);
}

static void run_all_ways(struct trial *trial)
{
    const int ways = trial->fill == FILL_PLAIN ? HOWS : 1;
    const struct how *hows = trial->harness->device->kind == CVL_CPU ? cpu_hows : gpu_hows;
    for (int i = 0; i < ways; i++)
        if (!hows[i].in_place || trial->desc.epi.residual)
            run_plan(trial, &hows[i], i == 0);
}

/* ---- packed filters ---- */

static bool same_bytes(const struct cvl_device *device, const void *a, const void *b, size_t bytes)
{
    void *host[2] = { malloc(bytes + 1), malloc(bytes + 1) };
    const bool same = host[0] && host[1] && device->download(device, host[0], a, bytes) == CVL_OK
                   && device->download(device, host[1], b, bytes) == CVL_OK && memcmp(host[0], host[1], bytes) == 0;
    free(host[0]);
    free(host[1]);
    return same;
}

static cvl_status pack(const struct trial *trial, const cvl_plan *plan, int side, void *packed)
{
    const cvl_status status = cvl_plan_pack(plan, &trial->on_device[side].args, packed);
    return status == CVL_OK ? trial->harness->device->synchronize(trial->harness->device, plan->ctx->stream) : status;
}

/* Packed bytes depend on none of n, h, w and threads: a plan for a larger image makes the same ones. */
static void check_packed_for_larger_image(struct trial *trial)
{
    const cvl_plan *usual = trial->plan[HARNESS_SERIAL];
    const size_t bytes = cvl_plan_packed_size(usual);
    cvl_conv_desc larger = trial->desc;
    cvl_plan *plan;
    larger.n++;
    larger.h++;
    larger.w += 2;
    if (cvl_plan_create(trial->harness->ctx[HARNESS_PARALLEL], &larger, trial->candidate, &plan) != CVL_OK)
        return;   /* its knobs do not fit the larger image */
    const struct cvl_device *device = trial->harness->device;
    void *again = device_guard_alloc(device, GUARD_START, bytes, alignment(trial));
    if (cvl_plan_packed_id(plan) != cvl_plan_packed_id(usual) || cvl_plan_packed_size(plan) != bytes)
        trial_fail(trial, "larger image", "packed_id or packed_size changes with n, h, w or threads");
    else if (pack(trial, plan, 0, again) != CVL_OK)
        trial_fail(trial, "larger image", "%s", cvl_last_error());
    else if (!same_bytes(device, again, trial->packed[GUARD_START], bytes))
        trial_fail(trial, "larger image", "packed bytes change with n, h, w or threads");
    device_guard_free(device, again);
    cvl_plan_destroy(plan);
}

static void run_packed(struct trial *trial)
{
    const struct cvl_device *device = trial->harness->device;
    const size_t bytes = cvl_plan_packed_size(trial->plan[HARNESS_SERIAL]);
    bool packed = true;
    trial_announce(trial, "packing");
    for (int side = 0; side < GUARD_SIDES; side++) {
        trial->packed[side] = device_guard_alloc(device, (enum guard_side)side, bytes, alignment(trial));
        /* Bytes that are left unwritten differ between the two. */
        if (device->fill(device, trial->packed[side], side ? 0xff : 0x5a, bytes) != CVL_OK
            || pack(trial, trial->plan[side], side, trial->packed[side]) != CVL_OK) {
            trial_fail(trial, "packing", "%s", cvl_last_error());
            packed = false;
        } else if (!device_guard_intact(device, trial->packed[side])) {
            trial_fail(trial, "packing", "wrote beside its %zu packed bytes", bytes);
        }
        if (device->kind == CVL_CPU)
            guard_freeze(trial->packed[side]);
    }
    if (packed && !same_bytes(device, trial->packed[0], trial->packed[1], bytes))
        trial_fail(trial, "packing", "other packed bytes with three threads, or some left unwritten");
    if (packed) {
        run_all_ways(trial);
        check_packed_for_larger_image(trial);
    }
    for (int side = 0; side < GUARD_SIDES; side++) {
        device_guard_free(device, trial->packed[side]);
        trial->packed[side] = NULL;
    }
}

/* ---- candidates ---- */

static void check_plan(const struct trial *trial)
{
    const cvl_plan *plan = trial->plan[HARNESS_SERIAL];
    if (strcmp(cvl_plan_candidate(plan), trial->candidate) != 0)
        trial_fail(trial, "plan", "its plan calls itself %s", cvl_plan_candidate(plan));
    for (int i = HARNESS_PARALLEL; i <= HARNESS_REVERSED; i++)
        if (cvl_plan_packed_size(trial->plan[i]) != cvl_plan_packed_size(plan)
            || cvl_plan_packed_id(trial->plan[i]) != cvl_plan_packed_id(plan))
            trial_fail(trial, "plan", "packed_size or packed_id changes with the number of threads");
}

static bool is_listed(const struct cvl_variant *variants, int count, const struct cvl_variant *variant)
{
    for (int i = 0; i < count; i++)
        if (memcmp(variants[i].knob, variant->knob, sizeof variant->knob) == 0)
            return true;
    return false;
}

/* A vendor's candidate may exist for some numbers of threads only: where a context neither offers nor knows it, the one
 * that offers it stands in. */
static bool create_plan(struct trial *trial, int index, const struct cvl_variant *variant)
{
    struct cvl_variant offered[CVL_VARIANTS_MAX];
    cvl_ctx *const *ctx = trial->harness->ctx;
    const cvl_status status = cvl_plan_create(ctx[index], &trial->desc, trial->candidate, &trial->plan[index]);
    if (status != CVL_ENOTFOUND || is_listed(offered, cvl_algo_variants(ctx[index], trial->algo, &trial->desc, offered),
                                             variant))
        return status == CVL_OK;
    const int other = index == HARNESS_PARALLEL ? HARNESS_SERIAL : HARNESS_PARALLEL;
    return cvl_plan_create(ctx[other], &trial->desc, trial->candidate, &trial->plan[index]) == CVL_OK;
}

static void check_candidate(struct trial *trial, const struct cvl_variant *variant)
{
    bool planned = true;
    cvl_candidate_print(trial->algo, variant, trial->candidate);
    trial_announce(trial, "estimating and planning");
    const double seconds = trial->algo->estimate(trial->harness->ctx[HARNESS_SERIAL], &trial->desc, variant);
    if (!isfinite(seconds) || seconds < 0)
        trial_fail(trial, "estimate", "estimates %g seconds", seconds);
    for (int i = 0; i < HARNESS_CTXS && planned; i++)
        if (!create_plan(trial, i, variant)) {
            trial_fail(trial, "plan", "no plan on context %d: %s", i, cvl_last_error());
            planned = false;
        }
    if (planned) {
        check_plan(trial);
        if (!(trial->plan[HARNESS_SERIAL]->packed_required && cvl_plan_packed_size(trial->plan[HARNESS_SERIAL]) > 0))
            run_all_ways(trial);
        if (cvl_plan_packed_size(trial->plan[HARNESS_SERIAL]) > 0)
            run_packed(trial);
        trial->cell->candidates += trial->fill == FILL_PLAIN;
    }
    for (int i = 0; i < HARNESS_CTXS; i++) {
        cvl_plan_destroy(trial->plan[i]);
        trial->plan[i] = NULL;
    }
    *trial->candidate = '\0';
}

/* Some variants are offered for many threads only; all of them must be right with any number. */
static void check_algo(struct trial *trial, int index)
{
    const cvl_ctx *ctx = trial->harness->ctx[HARNESS_SERIAL];
    struct cvl_variant variants[2 * CVL_VARIANTS_MAX];
    const bool plain = trial->fill == FILL_PLAIN && !cvl_conv_is_blocked(&trial->desc);   /* what shares are about */
    int count = 0;
    trial->algo = cvl_algos[index];
    trial->cell = tally_at(&trial->harness->tally, index, &trial->desc);
    trial->cell->offered += plain;
    if ((trial->fill == FILL_INFINITE || trial->fill == FILL_NAN) && trial->algo->finite_only
        && trial->algo->finite_only(&trial->desc))
        return;
    if (trial->fill == FILL_DENORMAL && trial->algo->flushes_denormals)
        return;
    trial_announce(trial, "asking for variants");
    const char *refusal = cvl_algo_refusal(ctx, trial->algo, &trial->desc);
    if (refusal && (!*refusal || refusal[strlen(refusal) - 1] == '.'))
        trial_fail(trial, "reject", "its reason is '%s', expected a lower-case phrase without a full stop", refusal);
    if (refusal)
        return;
    trial->cell->accepted += plain;
    for (int i = HARNESS_SERIAL; i <= HARNESS_PARALLEL; i++)
        count += cvl_algo_variants(trial->harness->ctx[i], trial->algo, &trial->desc, variants + count);
    for (int i = 0; i < count; i++)
        if (!is_listed(variants, i, &variants[i]))
            check_candidate(trial, &variants[i]);
}

/* A vendor's library for GPUs may compile for each of its many candidates: it takes part in few problems, unless it is
 * asked for by name. */
static bool is_wanted(const struct harness *harness, const struct cvl_algo *algo)
{
    enum { VENDORS_EVERY = 64 };
    if (algo->device != harness->device->kind)
        return false;
    if (harness->only)
        return strcmp(harness->only, algo->name) == 0;
    return algo->device == CVL_CPU || !algo->version || harness->problems % VENDORS_EVERY == 1;
}

void harness_check(struct harness *harness, const cvl_conv_desc *desc, enum fill fill)
{
    struct trial trial;
    if (trial_create(&trial, harness, desc, fill)) {
        harness->problems++;
        for (int i = 0; cvl_algos[i]; i++)
            if (is_wanted(harness, cvl_algos[i]))
                check_algo(&trial, i);
    }
    trial_destroy(&trial);
}
