/* SPDX-License-Identifier: Apache-2.0
 * What cvl_plan_run and cvl_plan_pack refuse: missing, misaligned and overlapping memory, and senseless numbers. */
#include "expect.h"

#include "base/alloc.h"
#include "base/dtype.h"
#include "conv/algo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define QUANTIZED "fwd:u8-s8-u8:nhwc:n1c4h6w6k4r3s3:bias:residual:xzero:wzero:yzero:perchannel"

static void refuse_args(const cvl_plan *plan, const cvl_conv_args *args, void *workspace, const char *fragment)
{
    expect_refused(cvl_plan_run(plan, args, workspace), CVL_EINVAL, cvl_plan_candidate(plan), fragment);
}

/* Every tensor in its turn is missing, then misaligned, then on top of the one that is written. */
static void check_tensors(cvl_ctx *ctx, const cvl_conv_desc *d, const char *candidate)
{
    const enum cvl_tensor written = cvl_conv_written(d->pass);
    const size_t out = cvl_dtype_size(cvl_conv_type(d, written));
    struct cvl_problem problem;
    expect_filled(d, &problem);
    cvl_plan *plan = expect_plan(ctx, d, candidate);
    const struct { const char *name; size_t offset, element; bool read; } all[] = {
        { "args.x", offsetof(cvl_conv_args, x), cvl_dtype_size(d->x_type), written != CVL_X },
        { "args.w", offsetof(cvl_conv_args, w), cvl_dtype_size(d->w_type), written != CVL_W },
        { "args.y", offsetof(cvl_conv_args, y), cvl_dtype_size(d->y_type), written != CVL_Y },
        { "args.bias", offsetof(cvl_conv_args, bias), d->epi.bias ? 4 : 0, true },
        { "args.residual", offsetof(cvl_conv_args, residual), d->epi.residual ? out : 0, true },
    };
    void *workspace = cvl_alloc(cvl_plan_workspace_size(plan));
    for (size_t i = 0; i < LENGTH(all); i++) {
        char fragment[64];
        cvl_conv_args args = problem.args;
        void **slot = (void **)((char *)&args + all[i].offset), *const kept = *slot;
        if (all[i].element == 0 || plan->packed_required)
            continue;
        *slot = NULL;
        snprintf(fragment, sizeof fragment, "%s is NULL, expected", all[i].name);
        refuse_args(plan, &args, workspace, fragment);
        if (all[i].element > 1) {
            *slot = (char *)kept + 1;
            snprintf(fragment, sizeof fragment, "%s is at", all[i].name);
            refuse_args(plan, &args, workspace, fragment);
        }
        if (all[i].read) {
            *slot = (char *)problem.written + 4;
            snprintf(fragment, sizeof fragment, "%s overlaps", all[i].name);
            refuse_args(plan, &args, workspace, fragment);
        }
    }
    cvl_free(workspace);
    cvl_plan_destroy(plan);
    cvl_problem_destroy(&problem);
}

static void test_tensors(void **state)
{
    each_candidate_of_all(*state, check_tensors);
}

static int with_workspace, with_packed;

static void check_workspace(cvl_ctx *ctx, const cvl_conv_desc *d, const char *candidate)
{
    struct cvl_problem problem;
    expect_filled(d, &problem);
    cvl_plan *plan = expect_plan(ctx, d, candidate);
    char *workspace = cvl_alloc(cvl_plan_workspace_size(plan) + CVL_ALIGN);
    char *packed = cvl_alloc(cvl_plan_packed_size(plan) + CVL_ALIGN);
    if (cvl_plan_packed_size(plan) > 0) {   /* without it, some refuse sooner */
        assert_int_equal(cvl_plan_pack(plan, &problem.args, packed), CVL_OK);
        problem.args.packed = packed;
    }
    if (cvl_plan_workspace_size(plan) > 0) {
        with_workspace++;
        refuse_args(plan, &problem.args, NULL, "workspace is NULL, expected");
        refuse_args(plan, &problem.args, workspace + 32, "workspace is at");
    } else {
        assert_int_equal(cvl_plan_run(plan, &problem.args, NULL), CVL_OK);
    }
    cvl_free(workspace);
    cvl_conv_args none;
    cvl_conv_args_init(&none);
    if (cvl_plan_packed_size(plan) > 0) {
        with_packed++;
        expect_refused(cvl_plan_pack(plan, &none, packed), CVL_EINVAL, candidate, "args.w is NULL");
        expect_refused(cvl_plan_pack(plan, &problem.args, NULL), CVL_EINVAL, candidate, "packed is NULL");
        expect_refused(cvl_plan_pack(plan, &problem.args, packed + 32), CVL_EINVAL, candidate, "packed is at");
    } else {
        assert_int_equal(cvl_plan_pack(plan, &none, NULL), CVL_OK);
    }
    cvl_free(packed);
    cvl_plan_destroy(plan);
    cvl_problem_destroy(&problem);
}

static void test_workspace_and_packed(void **state)
{
    with_workspace = with_packed = 0;
    each_candidate_of_all(*state, check_workspace);
    assert_true(with_workspace > 0);
    print_message("%d candidates with workspace, %d with packed filters\n", with_workspace, with_packed);
}

static void test_size_of_args(void **state)
{
    const cvl_conv_desc d = expect_problem(QUANTIZED);
    struct cvl_problem problem;
    expect_filled(&d, &problem);
    cvl_plan *plan = expect_plan(*state, &d, "reference");
    cvl_quant quant = problem.quant;
    problem.args.quant = &quant;
    problem.args.size = offsetof(cvl_conv_args, stream);
    problem.args.stream = (void *)1;
    assert_int_equal(cvl_plan_run(plan, &problem.args, NULL), CVL_OK);
    problem.args.size = 0;
    refuse_args(plan, &problem.args, NULL, "cvl_conv_args.size is 0");
    problem.args.size = sizeof problem.args + 8;
    refuse_args(plan, &problem.args, NULL, "cvl_conv_args.size is");
    problem.args.size = sizeof problem.args;
    quant.size = 0;
    refuse_args(plan, &problem.args, NULL, "cvl_quant.size is 0");
    refuse_args(plan, NULL, NULL, "cvl_conv_args is NULL");
    expect_refused(cvl_plan_run(NULL, &problem.args, NULL), CVL_EINVAL, "NULL", "plan is NULL");
    cvl_plan_destroy(plan);
    cvl_problem_destroy(&problem);
}

/* Each changes one thing of a good cvl_quant. */
static void no_x_scale(cvl_quant *q) { q->x_scale = 0; }
static void bad_y_scale(cvl_quant *q) { q->y_scale = -1; }
static void no_w_scale(cvl_quant *q) { q->w_scale = NULL; }
static void no_w_zero(cvl_quant *q) { q->w_zero = NULL; }
static void big_x_zero(cvl_quant *q) { q->x_zero = 256; }
static void negative_y_zero(cvl_quant *q) { q->y_zero = -1; }

static void test_quant(void **state)
{
    static const struct { void (*spoil)(cvl_quant *); const char *fragment; } bad[] = {
        { no_x_scale, "quant.x_scale is 0, expected" }, { bad_y_scale, "quant.y_scale is -1" },
        { no_w_scale, "quant.w_scale is NULL" },        { no_w_zero, "quant.w_zero is NULL" },
        { big_x_zero, "quant.x_zero is 256, expected a value of u8" }, { negative_y_zero, "quant.y_zero is -1" },
    };
    const cvl_conv_desc d = expect_problem(QUANTIZED);
    struct cvl_problem problem;
    expect_filled(&d, &problem);
    cvl_plan *plan = expect_plan(*state, &d, "reference");
    cvl_conv_args args = problem.args;
    for (size_t i = 0; i < LENGTH(bad); i++) {
        cvl_quant quant = problem.quant;
        bad[i].spoil(&quant);
        args.quant = &quant;
        refuse_args(plan, &args, NULL, bad[i].fragment);
    }
    args.quant = NULL;
    refuse_args(plan, &args, NULL, "args.quant is NULL");
    cvl_plan_destroy(plan);
    cvl_problem_destroy(&problem);

    /* Plain sums without zero points read no cvl_quant. */
    const cvl_conv_desc sums = expect_problem("fwd:u8-s8-s32:nhwc:n1c4h6w6k4r3s3:perchannel");
    expect_filled(&sums, &problem);
    plan = expect_plan(*state, &sums, "reference");
    problem.args.quant = NULL;
    assert_int_equal(cvl_plan_run(plan, &problem.args, NULL), CVL_OK);
    cvl_plan_destroy(plan);
    cvl_problem_destroy(&problem);
}

static int set_up(void **state)
{
    *state = expect_ctx(NULL, 2);
    return 0;
}

static int tear_down(void **state)
{
    cvl_ctx_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_workspace_and_packed),
        cmocka_unit_test(test_size_of_args),
        cmocka_unit_test(test_quant),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
