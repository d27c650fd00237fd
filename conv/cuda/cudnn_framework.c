/* SPDX-License-Identifier: Apache-2.0
 * cudnn-framework: cuDNN as deep-learning frameworks use it, a second peer for reports. Their "benchmark" switch makes
 * plans of the first ten configurations that heuristic A names, runs each once to warm it up and once to time it, and
 * keeps the fastest for good. This candidate does the same when its plan is made, on random data of its own; the time
 * that is reported is then measured like anyone's. One sample may choose another configuration each time: it is no
 * candidate for selections, which know the configurations by name, and takes part only where it is asked for. */
#include "base/alloc.h"
#include "base/error.h"
#include "conv/cuda/cudnn_run.h"
#include "conv/device_problem.h"

#define PLANS 10
#define SEED 1

struct contest {
    const cvl_ctx            *ctx;
    struct cvl_problem        host;
    struct cvl_device_problem problem;
    struct cvl_timer         *timer;
    void                     *stream;
};

static cvl_status contest_create(struct contest *contest, const cvl_ctx *ctx, const cvl_conv_desc *desc)
{
    const struct cvl_device *device = ctx->device;
    *contest = (struct contest){ .ctx = ctx };
    cvl_status status = cvl_problem_create(desc, SEED, NULL, &contest->host);
    if (status == CVL_OK)
        status = cvl_device_problem_create(device, &contest->host, NULL, &contest->problem);
    if (status == CVL_OK)
        status = device->stream_create(device, &contest->stream);
    if (status == CVL_OK)
        status = device->timer_create(device, &contest->timer);
    return status;
}

static void contest_destroy(struct contest *contest)
{
    const struct cvl_device *device = contest->ctx->device;
    device->timer_destroy(device, contest->timer);
    if (contest->stream)
        device->stream_destroy(device, contest->stream);
    cvl_device_problem_destroy(&contest->problem);
    cvl_problem_destroy(&contest->host);
}

static cvl_status launch(const struct contest *contest, struct cvl_cudnn_plan *made, void *workspace)
{
    const cvl_plan plan = { .ctx = contest->ctx, .desc = contest->host.desc, .state = made };
    cvl_conv_args args = contest->problem.args;
    args.stream = contest->stream;
    return cvl_cudnn_run(&plan, &args, workspace);
}

/* One sample, after a run that is not timed. */
static cvl_status sample(const struct contest *contest, struct cvl_cudnn_plan *made, double *seconds)
{
    const struct cvl_device *device = contest->ctx->device;
    void *workspace = made->workspace_bytes ? device->alloc(device, made->workspace_bytes) : NULL;
    if (made->workspace_bytes && !workspace)
        return cvl_fail(CVL_ENOMEM, "no memory for a workspace of %zu bytes", made->workspace_bytes);
    cvl_status status = launch(contest, made, workspace);
    if (status == CVL_OK)
        status = device->timer_start(device, contest->timer, contest->stream);
    if (status == CVL_OK)
        status = launch(contest, made, workspace);
    if (status == CVL_OK)
        status = device->timer_stop(device, contest->timer, contest->stream);
    if (status == CVL_OK)
        status = device->timer_seconds(device, contest->timer, seconds);
    if (workspace)
        device->free(device, workspace);
    return status;
}

/* A configuration that cannot be planned or run is passed over, as frameworks do. */
static cvl_status choose(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_cudnn_choices *choices,
                         struct cvl_variant *best)
{
    struct contest contest;
    double least = 0, seconds = 0;
    int valid = 0;
    cvl_status status = contest_create(&contest, ctx, desc);
    for (int i = 0; i < choices->count && valid < PLANS && status == CVL_OK; i++) {
        struct cvl_cudnn_plan made;
        if (cvl_cudnn_plan_here(ctx, desc, &choices->variant[i], &made) != CVL_OK)
            continue;
        if (sample(&contest, &made, &seconds) == CVL_OK && (valid++ == 0 || seconds < least)) {
            least = seconds;
            *best = choices->variant[i];
        }
        cvl_cudnn_plan_destroy(&made);
    }
    contest_destroy(&contest);
    if (status == CVL_OK && valid == 0)
        status = cvl_fail(CVL_EUNSUP, "cuDNN: of the first configurations none runs: %.256s", cvl_last_error());
    return status;
}

static cvl_status init(cvl_plan *plan)
{
    struct cvl_cudnn_choices choices;
    cvl_status status = cvl_cudnn_choices(plan->ctx, &plan->desc, &choices);
    if (status == CVL_OK && choices.count > 0)
        plan->variant = choices.variant[0];
    if (status == CVL_OK && !plan->ctx->device->description)
        status = choose(plan->ctx, &plan->desc, &choices, &plan->variant);
    if (status == CVL_OK)
        status = cvl_cudnn_init(plan);
    plan->variant.nondeterministic = true;
    return status;
}

static int variants(const cvl_ctx *ctx, const cvl_conv_desc *desc, struct cvl_variant *variants, int max)
{
    variants[0] = (struct cvl_variant){ .nondeterministic = true };
    return 1;
}

/* The notes of what will be chosen are not known before: it may be any of the first ones. */
static double tolerance(const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    return cvl_algo_cudnn.tolerance(desc, variant);
}

static const char *reject(const cvl_ctx *ctx, const cvl_conv_desc *desc)
{
    return cvl_algo_cudnn.reject(ctx, desc);
}

static double estimate(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    return cvl_algo_cudnn.estimate(ctx, desc, variant);
}

static bool finite_only(const cvl_conv_desc *desc)
{
    return true;
}

extern const struct cvl_algo cvl_algo_cudnn_framework;
const struct cvl_algo cvl_algo_cudnn_framework = {
    .name = "cudnn-framework", .revision = 1, .device = CVL_CUDA, .version = cvl_cudnn_version,
    .lacks = cvl_cudnn_lacks, .peer = true, .alignment = CVL_CUDNN_ALIGNMENT, .finite_only = finite_only,
    .flushes_denormals = true, .reject = reject, .variants = variants, .estimate = estimate, .tolerance = tolerance,
    .init = init, .run = cvl_cudnn_run, .fini = cvl_cudnn_fini,
};
