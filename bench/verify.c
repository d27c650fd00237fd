/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/verify.h"

#include "base/alloc.h"
#include "base/ctx.h"
#include "base/error.h"
#include "bench/run_buffers.h"
#include "conv/device_problem.h"
#include "conv/reference/oracle.h"
#include "conv/registry.h"
#include "tuner/choose.h"

#define SEED 1

/* One problem with what the oracle says of all its outputs. */
struct check {
    cvl_ctx                  *ctx;
    struct cvl_problem        problem;
    struct cvl_device_problem on_device;
    double                   *want;
    size_t                    outputs;
};

static void check_destroy(struct check *check)
{
    cvl_device_problem_destroy(&check->on_device);
    cvl_problem_destroy(&check->problem);
    cvl_free(check->want);
}

static cvl_status check_create(struct check *check, cvl_ctx *ctx, const cvl_conv_desc *desc)
{
    *check = (struct check){ .ctx = ctx, .outputs = cvl_conv_count(desc, cvl_conv_written(desc->pass)) };
    cvl_status status = cvl_problem_create(desc, SEED, NULL, &check->problem);
    if (status != CVL_OK)
        return status;
    status = cvl_device_problem_create(ctx->device, &check->problem, NULL, &check->on_device);
    if (status != CVL_OK) {
        cvl_problem_destroy(&check->problem);
        return status;
    }
    check->want = cvl_alloc(check->outputs * sizeof *check->want);
    if (!check->want) {
        check_destroy(check);
        return cvl_fail(CVL_ENOMEM, "no memory for %zu outputs of the oracle", check->outputs);
    }
    cvl_oracle_values(ctx, &check->problem.desc, &check->problem.args, NULL, check->outputs, check->want);
    return CVL_OK;
}

/* What a candidate does not write stays NaN, or in integers a rare number. */
static cvl_status run(struct check *check, const cvl_plan *plan)
{
    const struct cvl_device *device = check->ctx->device;
    cvl_conv_args args = check->on_device.args;
    struct run_buffers buffers;
    cvl_status status = run_buffers_create(device, plan, &args, &buffers);
    if (status != CVL_OK)
        return status;
    status = cvl_device_problem_spoil(&check->on_device);
    if (status == CVL_OK)
        status = cvl_plan_run(plan, &args, buffers.workspace);
    if (status == CVL_OK)
        status = device->synchronize(device, check->ctx->stream);
    if (status == CVL_OK)
        status = cvl_device_problem_fetch(&check->on_device);
    run_buffers_free(&buffers);
    return status;
}

static void judge(struct check *check, const cvl_plan *plan, cvl_result *result)
{
    const struct cvl_error error =
        cvl_oracle_compare(&check->problem.desc, check->problem.written, NULL, check->outputs, check->want);
    const double tolerance = plan->algo->tolerance(&plan->desc, &plan->variant);
    result->rel_error = error.rel;
    result->l2_error = error.l2;
    if (error.rel <= tolerance)
        return;
    result->outcome = CVL_OUTCOME_WRONG;
    snprintf(result->reason, sizeof result->reason,
             "element %zu is %.9g, the oracle says %.9g; error %.2e, tolerance %.2e", error.worst, error.got,
             error.want, error.rel, tolerance);
}

static void fail_with(cvl_result *result, cvl_outcome outcome, const char *sentence)
{
    result->outcome = outcome;
    snprintf(result->reason, sizeof result->reason, "%s", sentence);
}

static void verify_candidate(struct check *check, const cvl_query *query, cvl_result *result)
{
    cvl_plan *plan;
    if (cvl_plan_create(check->ctx, &check->problem.desc, result->candidate, &plan) != CVL_OK) {
        fail_with(result, CVL_OUTCOME_FAILED, cvl_last_error());
        return;
    }
    result->workspace_bytes = cvl_plan_workspace_size(plan);
    result->packed_bytes = cvl_plan_packed_size(plan);
    result->deterministic = cvl_plan_deterministic(plan);
    if (result->workspace_bytes > query->max_workspace)
        fail_with(result, CVL_OUTCOME_OVER_LIMIT, "needs more workspace than was allowed");
    else if (query->deterministic && !result->deterministic)
        fail_with(result, CVL_OUTCOME_OVER_LIMIT, "is not deterministic");
    else if (run(check, plan) != CVL_OK)
        fail_with(result, CVL_OUTCOME_FAILED, cvl_last_error());
    else
        judge(check, plan, result);
    cvl_plan_destroy(plan);
}

static cvl_result *append(cvl_result *results, int max, int *count, const char *name)
{
    if (*count == max)
        return NULL;
    cvl_result *result = &results[(*count)++];
    *result = (cvl_result){ .outcome = CVL_OUTCOME_OK, .rel_error = -1, .l2_error = -1 };
    snprintf(result->candidate, sizeof result->candidate, "%s", name);
    return result;
}

static void verify_algorithm(struct check *check, const struct cvl_algo *algo, const cvl_query *query,
                             cvl_result *results, int max, int *count)
{
    struct cvl_variant variants[CVL_VARIANTS_MAX];
    const int variant_count = cvl_algo_variants(check->ctx, algo, &check->problem.desc, variants);
    for (int i = 0; i < variant_count; i++) {
        char name[CVL_CANDIDATE_MAX];
        cvl_candidate_print(algo, &variants[i], name);
        cvl_result *result = append(results, max, count, name);
        if (result)
            verify_candidate(check, query, result);
    }
}

cvl_status verify_layer(cvl_ctx *ctx, const cvl_conv_desc *desc, const cvl_query *query, cvl_result *results, int max,
                        int *count)
{
    const struct cvl_limits limits = cvl_limits_of(query, desc);
    struct check check;
    *count = 0;
    const cvl_status status = check_create(&check, ctx, desc);
    if (status != CVL_OK)
        return status;
    for (const struct cvl_algo *const *algo = cvl_algos; *algo; algo++) {
        if (!cvl_limits_permit(&limits, (*algo)->name))
            continue;
        const char *refusal = cvl_algo_refusal(ctx, *algo, desc);
        if (!refusal) {
            verify_algorithm(&check, *algo, query, results, max, count);
            continue;
        }
        cvl_result *result = append(results, max, count, (*algo)->name);
        if (result)
            fail_with(result, CVL_OUTCOME_REJECTED, refusal);
    }
    check_destroy(&check);
    return CVL_OK;
}

void verify_print(FILE *to, const struct layer_report *report)
{
    int right = 0, wrong = 0;
    const cvl_result *worst = NULL;
    for (int i = 0; i < report->count; i++) {
        const cvl_result *result = &report->results[i];
        right += result->outcome == CVL_OUTCOME_OK;
        wrong += result->outcome == CVL_OUTCOME_WRONG || result->outcome == CVL_OUTCOME_FAILED;
        if (result->rel_error >= 0 && (!worst || result->rel_error > worst->rel_error))
            worst = result;
    }
    fprintf(to, "%-30s  %3d right, %d wrong or failed", report->label, right, wrong);
    if (worst)
        fprintf(to, "; largest error %.2e, of %s", worst->rel_error, worst->candidate);
    else
        fputs("; nothing that may run takes this problem", to);
    fputc('\n', to);
    fflush(to);
}
