/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/profile_report.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/profile.h"
#include "bench/run_buffers.h"
#include "conv/algo.h"
#include "conv/problem.h"

#define RUNS_SECONDS 0.1
#define RUNS_MIN 3

/* The runs' sum over phases; total covers what no phase was named for, too. */
struct profiled { struct cvl_profile profile; double total; };

static cvl_status run_often(const cvl_plan *plan, const cvl_conv_args *args, void *workspace, struct profiled *profiled)
{
    cvl_status status = cvl_plan_run(plan, args, workspace);   /* a warm-up */
    cvl_profile_start(&profiled->profile);
    const double start = cvl_now();
    for (int runs = 0; status == CVL_OK && (runs < RUNS_MIN || cvl_now() - start < RUNS_SECONDS); runs++) {
        status = cvl_plan_run(plan, args, workspace);
        cvl_phase(NULL);
    }
    profiled->total = cvl_now() - start;
    cvl_profile_stop();
    return status;
}

static void put_shares(FILE *to, const cvl_plan *plan, const struct profiled *profiled)
{
    double rest = profiled->total;
    fprintf(to, "    %s:", cvl_plan_candidate(plan));
    for (int i = 0; i < profiled->profile.count; i++) {
        fprintf(to, " %s %.1f %%,", profiled->profile.name[i], 100 * profiled->profile.seconds[i] / profiled->total);
        rest -= profiled->profile.seconds[i];
    }
    fprintf(to, " rest %.1f %%\n", rest > 0 ? 100 * rest / profiled->total : 0);
}

cvl_status profile_print(FILE *to, const cvl_plan *plan)
{
    struct cvl_problem problem;
    struct profiled profiled;
    struct run_buffers buffers;
    if (plan->ctx->device->kind != CVL_CPU)
        return cvl_fail(CVL_EUNSUP, "parts of a run are timed on the CPU alone");
    cvl_status status = cvl_problem_create(&plan->desc, 1, NULL, &problem);
    if (status != CVL_OK)
        return status;
    status = run_buffers_create(plan->ctx->device, plan, &problem.args, &buffers);
    if (status == CVL_OK) {
        status = run_often(plan, &problem.args, buffers.workspace, &profiled);
        run_buffers_free(&buffers);
    }
    if (status == CVL_OK)
        put_shares(to, plan, &profiled);
    cvl_problem_destroy(&problem);
    return status;
}
