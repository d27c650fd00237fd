/* SPDX-License-Identifier: Apache-2.0
 * How far Winograd's tiles are from the oracle: tile x channels x data, as CSV. 3x3 of 14x14 outputs, both images and
 * filters random; `relu`: what is negative in the image is zero. `bound` is the algorithm's tolerance, `direct` plain
 * f32 sums. Exit status 1: an error is above its bound. */
#include "base/alloc.h"
#include "conv/algo.h"
#include "conv/problem.h"
#include "conv/reference/oracle.h"

#include <stdio.h>

static const char *const candidates[] = {
    "direct", "winograd:m=2", "winograd:m=24", "winograd:m=3", "winograd:m=4", "winograd:m=4:points=1", "winograd:m=5",
    "winograd:m=47", "winograd:m=57", "winograd:m=6", "winograd:m=67", "winograd:m=7",
};
enum { CANDIDATES = sizeof candidates / sizeof *candidates };

/* A problem of so many channels, and what its outputs are. */
struct trial {
    const char        *data;
    struct cvl_problem problem;
    double            *want;
    size_t             outputs;
};

static cvl_status compute(const cvl_plan *plan, const struct trial *trial)
{
    void *workspace = cvl_alloc(cvl_plan_workspace_size(plan));
    const cvl_status status = workspace ? cvl_plan_run(plan, &trial->problem.args, workspace) : CVL_ENOMEM;
    cvl_free(workspace);
    return status;
}

static cvl_status report(cvl_ctx *ctx, const struct trial *trial, const char *candidate, bool *good)
{
    const cvl_conv_desc *desc = &trial->problem.desc;
    cvl_plan *plan = NULL;
    cvl_status status = cvl_plan_create(ctx, desc, candidate, &plan);
    if (status == CVL_OK)
        status = compute(plan, trial);
    if (status == CVL_OK) {
        const struct cvl_error error = cvl_oracle_compare(desc, trial->problem.written, NULL, trial->outputs,
                                                          trial->want);
        const double bound = plan->algo->tolerance(desc, &plan->variant);
        printf("%s,%d,%s,%.2e,%.2e,%.2e\n", candidate, desc->c, trial->data, error.rel, error.l2, bound);
        *good = *good && error.rel <= bound;
    }
    cvl_plan_destroy(plan);
    return status;
}

static cvl_status try_channels(cvl_ctx *ctx, int channels, bool relu, bool *good)
{
    char text[CVL_CONV_TEXT_MAX];
    cvl_conv_desc desc;
    struct trial trial = { .data = relu ? "relu" : "random" };
    snprintf(text, sizeof text, "fwd:f32:nhwc:n1c%dh14w14k32r3s3:pad1", channels);
    cvl_status status = cvl_conv_parse(text, &desc);
    if (status == CVL_OK)
        status = cvl_problem_create(&desc, 1, NULL, &trial.problem);
    if (status != CVL_OK)
        return status;
    float *x = trial.problem.args.x;
    for (size_t i = 0; relu && i < cvl_conv_count(&desc, CVL_X); i++)
        x[i] = x[i] > 0 ? x[i] : 0;
    trial.outputs = cvl_conv_count(&desc, CVL_Y);
    trial.want = cvl_alloc(trial.outputs * sizeof *trial.want);
    status = trial.want ? CVL_OK : CVL_ENOMEM;
    if (status == CVL_OK)
        cvl_oracle_values(ctx, &desc, &trial.problem.args, NULL, trial.outputs, trial.want);
    for (int i = 0; i < CANDIDATES && status == CVL_OK; i++)
        status = report(ctx, &trial, candidates[i], good);
    cvl_free(trial.want);
    cvl_problem_destroy(&trial.problem);
    return status;
}

int main(void)
{
    cvl_ctx *ctx = NULL;
    bool good = true;
    cvl_status status = cvl_ctx_create(NULL, &ctx);
    printf("candidate,c,data,rel_error,l2_error,bound\n");
    for (int channels = 16; channels <= 2048 && status == CVL_OK; channels *= channels < 256 ? 4 : 2)
        for (int relu = 0; relu < 2 && status == CVL_OK; relu++)
            status = try_channels(ctx, channels, relu, &good);
    if (status != CVL_OK)
        fprintf(stderr, "winograd-errors: %s\n", cvl_last_error());
    cvl_ctx_destroy(ctx);
    return status != CVL_OK || !good;
}
