/* SPDX-License-Identifier: Apache-2.0
 * What the GPU's algorithms say and plan without a GPU: reasons, candidates and their names, estimates, workspaces. */
#include "described_gpu.h"
#include "random_problem.h"

#include "conv/algo.h"
#include "conv/desc.h"
#include "conv/registry.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define SEED 5
#define PROBLEMS 400
#define VENDORS_EVERY 32           /* a vendor's library compiles kernels for a problem, tenths of a second */
#define WORKSPACE_MAX ((size_t)64 << 30)

static int planned[64], refused[64], driverless;

static void check_reason(const struct cvl_algo *algo, const char *reason, const char *text)
{
    const size_t length = strlen(reason);
    if (length == 0 || reason[length - 1] == '.')
        fail_msg("%s refuses %s because '%s', expected a lower-case phrase without a full stop", algo->name, text,
                 reason);
}

static void check_candidate(cvl_ctx *ctx, const struct cvl_algo *algo, const cvl_conv_desc *desc,
                            const struct cvl_variant *variant, const char *text)
{
    char name[CVL_CANDIDATE_MAX];
    const struct cvl_algo *found;
    struct cvl_variant back;
    cvl_plan *plan;
    cvl_candidate_print(algo, variant, name);
    if (cvl_candidate_parse(name, &found, &back) != CVL_OK || found != algo
        || memcmp(back.knob, variant->knob, sizeof back.knob) != 0)
        fail_msg("%s is not read back: %s", name, cvl_last_error());
    const double seconds = algo->estimate(ctx, desc, variant);
    if (!isfinite(seconds) || seconds <= 0 || seconds > 1)
        fail_msg("%s estimates %g seconds for %s", name, seconds, text);
    const double tolerance = algo->tolerance(desc, variant);
    if (!isfinite(tolerance) || tolerance < 0)
        fail_msg("%s has the tolerance %g for %s", name, tolerance, text);
    const cvl_status status = cvl_plan_create(ctx, desc, name, &plan);
    if (status == CVL_EDEVICE && algo->version) {   /* a vendor's library that compiles for the device and loads it */
        driverless++;
        return;
    }
    if (status != CVL_OK)
        fail_msg("%s has no plan for %s: %s", name, text, cvl_last_error());
    if (strcmp(cvl_plan_candidate(plan), name) != 0 || cvl_plan_workspace_size(plan) > WORKSPACE_MAX
        || cvl_plan_deterministic(plan) == variant->nondeterministic)
        fail_msg("the plan of %s for %s calls itself %s, takes %zu bytes, is deterministic: %d", name, text,
                 cvl_plan_candidate(plan), cvl_plan_workspace_size(plan), cvl_plan_deterministic(plan));
    cvl_plan_destroy(plan);
}

static void check_problem(cvl_ctx *ctx, int index, const cvl_conv_desc *desc)
{
    const struct cvl_algo *algo = cvl_algos[index];
    struct cvl_variant variants[CVL_VARIANTS_MAX];
    char text[CVL_CONV_TEXT_MAX];
    cvl_conv_print(desc, text, sizeof text);
    const char *reason = cvl_algo_refusal(ctx, algo, desc);
    if (reason) {
        check_reason(algo, reason, text);
        refused[index]++;
        return;
    }
    const int count = cvl_algo_variants(ctx, algo, desc, variants);
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < i; j++)
            if (memcmp(variants[i].knob, variants[j].knob, sizeof variants[i].knob) == 0)
                fail_msg("%s offers candidate %d twice for %s", algo->name, i, text);
        check_candidate(ctx, algo, desc, &variants[i], text);
    }
    planned[index] += count;
}

/* What random problems hardly ever are: first layers. */
static const char *const rare[] = {
    "fwd:bf16:nhwc:n32c3h224w224k64r7s7:stride2:pad3:bias:relu", "fwd:f16:nhwc:n1c3h224w224k32r3s3:stride2:pad1:const",
    "fwd:bf16-bf16-f32:nhwc-nchw-kcrs:n2c1h28w28k6r5s5:pad2:residual", "fwd:f16:nhwc:n0c4h32w32k70r3s3:pad1",
};
enum { RARE = sizeof rare / sizeof *rare };

static cvl_conv_desc problem_of(struct cvl_random *random, int i)
{
    cvl_conv_desc desc;
    if (i >= RARE)
        return random_problem(random);
    if (cvl_conv_parse(rare[i], &desc) != CVL_OK)
        fail_msg("%s: %s", rare[i], cvl_last_error());
    return desc;
}

static void every_candidate_is_planned(void **state)
{
    cvl_ctx *ctx = described_gpu();
    struct cvl_random random = { SEED };
    for (int i = 0; i < PROBLEMS; i++) {
        const cvl_conv_desc desc = problem_of(&random, i);
        for (int index = 0; cvl_algos[index]; index++)
            if (cvl_algos[index]->device == CVL_CUDA && !(cvl_algos[index]->lacks && cvl_algos[index]->lacks())
                && (!cvl_algos[index]->version || i % VENDORS_EVERY == VENDORS_EVERY - 1))
                check_problem(ctx, index, &desc);
    }
    print_message("%d candidates need a driver to be planned\n", driverless);
    for (int index = 0; cvl_algos[index]; index++) {
        const struct cvl_algo *algo = cvl_algos[index];
        if (algo->device == CVL_CUDA && algo->lacks && algo->lacks())
            print_message("%s is left out: %s\n", algo->name, algo->lacks());
        else if (algo->device == CVL_CUDA) {
            print_message("%-16s %d candidates planned, %d problems refused\n", algo->name, planned[index],
                          refused[index]);
            assert_true(planned[index] > 0);
        }
    }
}

static void cpu_algorithms_refuse_a_gpu(void **state)
{
    struct cvl_random random = { SEED };
    const cvl_conv_desc desc = random_problem(&random);
    for (int index = 0; cvl_algos[index]; index++)
        if (cvl_algos[index]->device == CVL_CPU)
            assert_non_null(cvl_algo_refusal(described_gpu(), cvl_algos[index], &desc));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_candidate_is_planned),
        cmocka_unit_test(cpu_algorithms_refuse_a_gpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
