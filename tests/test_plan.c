/* SPDX-License-Identifier: Apache-2.0
 * Plans of every algorithm of the build: names of candidates, identities of packed filters, and that a run's bytes
 * depend neither on threads, nor on runs at the same time, nor on the residual being the output's own buffer. */
#include "expect.h"

#include "base/alloc.h"
#include "conv/registry.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RUNNERS = 4, RUNS = 6, CANDIDATES = CVL_VARIANTS_MAX };

/* ---- names ---- */

static void test_bad_candidates(void **state)
{
    static const struct { const char *name; cvl_status status; const char *fragment; } bad[] = {
        { "", CVL_ENOTFOUND, "no algorithm is called ''" },
        { "nope", CVL_ENOTFOUND, "no algorithm is called 'nope', expected one of reference" },
        { "im2", CVL_ENOTFOUND, "no algorithm is called 'im2'" },
        { "im2col ", CVL_ENOTFOUND, "no algorithm is called 'im2col '" },
        { ":rows=4", CVL_ENOTFOUND, "no algorithm is called ''" },
        { "im2col:", CVL_ENOTFOUND, "candidate 'im2col:' has the knob '', expected rows=NUMBER" },
        { "im2col:rows", CVL_ENOTFOUND, "the knob 'rows'" },
        { "im2col:rows=", CVL_ENOTFOUND, "the knob 'rows='" },
        { "im2col:rows=x", CVL_ENOTFOUND, "the knob 'rows=x'" },
        { "im2col:rows=4x", CVL_ENOTFOUND, "the knob 'rows=4x'" },
        { "im2col:rows=0", CVL_ENOTFOUND, "the knob 'rows=0'" },
        { "im2col:rows=-1", CVL_ENOTFOUND, "the knob 'rows=-1'" },
        { "im2col:rows=2147483648", CVL_ENOTFOUND, "the knob 'rows=2147483648'" },
        { "im2col:row=4", CVL_ENOTFOUND, "the knob 'row=4'" },
        { "im2col:=4", CVL_ENOTFOUND, "the knob '=4'" },
        { "im2col:rows=4:", CVL_ENOTFOUND, "the knob ''" },
        { "im2col:rows=4:rows=5", CVL_ENOTFOUND, "the knob 'rows=5'" },
        { "im2col:rows=1000000", CVL_ENOTFOUND, "rows is 1000000" },
        { "reference:rows=1", CVL_ENOTFOUND, "expected none" },
    };
    cvl_ctx *ctx = *state;
    const cvl_conv_desc d = expect_problem(expect_problems[0]);
    for (size_t i = 0; i < LENGTH(bad); i++) {
        cvl_plan *plan = (cvl_plan *)&d;
        expect_refused(cvl_plan_create(ctx, &d, bad[i].name, &plan), bad[i].status, bad[i].name, bad[i].fragment);
        assert_null(plan);
    }
    cvl_plan *plan;
    expect_refused(cvl_plan_create(ctx, &d, NULL, &plan), CVL_EINVAL, "NULL", "candidate is NULL");
    expect_refused(cvl_plan_create(NULL, &d, "reference", &plan), CVL_EINVAL, "NULL", "ctx is NULL");
    expect_refused(cvl_plan_create(ctx, NULL, "reference", &plan), CVL_EINVAL, "NULL", "cvl_conv_desc is NULL");
    expect_refused(cvl_plan_create(ctx, &d, "reference", NULL), CVL_EINVAL, "NULL", "plan is NULL");
    cvl_plan_destroy(NULL);
}

static void check_name(cvl_ctx *ctx, const cvl_conv_desc *d, const char *candidate)
{
    const struct cvl_algo *algo;
    struct cvl_variant variant;
    char name[CVL_CANDIDATE_MAX];
    assert_int_equal(cvl_candidate_parse(candidate, &algo, &variant), CVL_OK);
    cvl_candidate_print(algo, &variant, name);
    assert_string_equal(name, candidate);
    assert_null(strpbrk(candidate, ", \t"));
    cvl_plan *plan = expect_plan(ctx, d, candidate);
    assert_string_equal(cvl_plan_candidate(plan), candidate);
    assert_int_equal(cvl_plan_packed_id(plan) != 0, cvl_plan_packed_size(plan) != 0);
    cvl_plan_destroy(plan);
}

static void test_names_round_trip(void **state)
{
    each_candidate_of_all(*state, check_name);
}

static void test_candidates_differ(void **state)
{
    for (int i = 0; expect_problems[i]; i++) {
        const cvl_conv_desc d = expect_problem(expect_problems[i]);
        const char *algorithm;
        for (int a = 0; (algorithm = cvl_algo_name(a)); a++) {
            char all[CANDIDATES][CVL_CANDIDATE_MAX], first[1][CVL_CANDIDATE_MAX];
            const int count = cvl_algo_candidates(*state, algorithm, &d, all, CANDIDATES);
            for (int j = 0; j < count; j++)
                for (int k = 0; k < j; k++)
                    assert_string_not_equal(all[j], all[k]);
            assert_int_equal(cvl_algo_candidates(*state, algorithm, &d, first, 1), count > 0);
            if (count > 0)
                assert_string_equal(first[0], all[0]);
            assert_int_equal(cvl_algo_candidates(*state, algorithm, &d, NULL, 0), 0);
        }
    }
}

/* An algorithm either takes a problem under its plain name, or refuses it everywhere with the same reason. */
static void test_refusals(void **state)
{
    cvl_ctx *ctx = *state;
    int refused = 0;
    for (int i = 0; expect_problems[i]; i++) {
        const cvl_conv_desc d = expect_problem(expect_problems[i]);
        const char *algorithm;
        for (int a = 0; (algorithm = cvl_algo_name(a)); a++) {
            char candidates[CANDIDATES][CVL_CANDIDATE_MAX], want[CVL_SENTENCE_MAX + 64];
            const char *reason = cvl_algo_reject(ctx, algorithm, &d);
            cvl_plan *plan;
            if (!reason) {
                cvl_plan_destroy(expect_plan(ctx, &d, algorithm));
                continue;
            }
            refused++;
            assert_true(strlen(reason) > 5);
            snprintf(want, sizeof want, "%s: %s", algorithm, reason);
            expect_refused(cvl_plan_create(ctx, &d, algorithm, &plan), CVL_EUNSUP, expect_problems[i], want);
            assert_null(plan);
            assert_int_equal(cvl_algo_candidates(ctx, algorithm, &d, candidates, CANDIDATES), 0);
        }
    }
    assert_true(refused > 0);
}

static void test_reasons_of_reject(void **state)
{
    cvl_conv_desc d = expect_problem(expect_problems[0]);
    assert_null(cvl_algo_reject(*state, "reference", &d));
    assert_non_null(strstr(cvl_algo_reject(*state, "nope", &d), "no algorithm is called 'nope'"));
    assert_non_null(strstr(cvl_algo_reject(NULL, "reference", &d), "ctx is NULL"));
    d.stride_h = 0;
    assert_non_null(strstr(cvl_algo_reject(*state, "reference", &d), "stride_h is 0"));
    d.size = 0;
    assert_non_null(strstr(cvl_algo_reject(*state, "reference", &d), "cvl_conv_desc.size is 0"));
}

static void test_registry_ends(void **state)
{
    int count = 0;
    while (cvl_algos[count]) {
        assert_string_equal(cvl_algo_name(count), cvl_algos[count]->name);
        assert_ptr_equal(cvl_algo_find(cvl_algos[count]->name, strlen(cvl_algos[count]->name)), cvl_algos[count]);
        count++;
    }
    assert_true(count > 0);
    assert_null(cvl_algo_name(count));
    assert_null(cvl_algo_name(-1));
    assert_null(cvl_algo_find("reference", 4));
}

/* ---- empty batch ---- */

static void run_without_tensors(cvl_ctx *ctx, const cvl_conv_desc *d, const char *candidate)
{
    cvl_conv_args args;
    cvl_plan *plan = expect_plan(ctx, d, candidate);
    cvl_conv_args_init(&args);
    assert_int_equal(cvl_plan_run(plan, &args, NULL), CVL_OK);
    cvl_plan_destroy(plan);
}

static void run_filter_of_nothing(cvl_ctx *ctx, const cvl_conv_desc *d, const char *candidate)
{
    struct cvl_problem problem;
    expect_filled(d, &problem);
    cvl_plan *plan = expect_plan(ctx, d, candidate);
    void *workspace = cvl_alloc(cvl_plan_workspace_size(plan));
    const float *residual = problem.args.residual, *got = problem.args.w;
    cvl_conv_args args = problem.args;
    args.x = args.y = NULL;
    memset(args.w, 0xff, problem.written_bytes);
    if (cvl_plan_run(plan, &args, workspace) != CVL_OK)
        fail_msg("%s: %s", candidate, cvl_last_error());
    for (size_t i = 0; i < cvl_conv_w_count(d); i++)
        assert_true(got[i] == (residual[i] > 0 ? residual[i] : 0));
    cvl_free(workspace);
    cvl_plan_destroy(plan);
    cvl_problem_destroy(&problem);
}

static void test_empty_batch(void **state)
{
    assert_true(each_candidate(*state, "fwd:f32:nchw:n0c3h5w5k4r3s3:bias:residual", run_without_tensors) > 1);
    assert_true(each_candidate(*state, "bwd_data:f32:nhwc:n0c3h5w5k4r3s3:pad1", run_without_tensors) > 1);
    assert_true(each_candidate(*state, "bwd_filter:f32:nchw:n0c3h5w5k4r3s3:residual:relu", run_filter_of_nothing) > 1);
}

/* ---- packed filters ---- */

static uint64_t identity(const char *isa, int threads, const char *text, const char *candidate)
{
    cvl_ctx *ctx = expect_ctx(isa, threads);
    const cvl_conv_desc d = expect_problem(text);
    cvl_plan *plan = expect_plan(ctx, &d, candidate);
    const uint64_t id = cvl_plan_packed_identity(plan);
    if (cvl_plan_packed_size(plan) > 0)
        assert_int_equal(cvl_plan_packed_id(plan), id);
    cvl_plan_destroy(plan);
    cvl_ctx_destroy(ctx);
    return id;
}

static void test_packed_ids(void **state)
{
    static const char *const same[] = {
        "fwd:f32:nchw:n1c8h9w9k4r3s3",
        "fwd:f32:nchw:n7c8h9w9k4r3s3",
        "fwd:f32:nchw:n0c8h30w21k4r3s3:stride2:pad1:dil2:bias:residual:relu:const",
        "fwd:f32:nhwc-nchw-kcrs:n1c8h9w9k4r3s3",
    };
    static const char *const others[] = {
        "fwd:f32:nchw:n1c8h9w9k5r3s3", "fwd:f32:nchw:n1c9h9w9k4r3s3", "fwd:f32:nchw:n1c8h9w9k4r2s3",
        "fwd:f32:nchw:n1c8h9w9k4r3s2", "fwd:f32:nchw:n1c8h9w9k4r3s3:g2", "fwd:f32:nchw-nchw-rsck:n1c8h9w9k4r3s3",
        "bwd_data:f32:nchw:n1c8h9w9k4r3s3", "fwd:bf16:nchw:n1c8h9w9k4r3s3", "fwd:bf16-bf16-f32:nchw:n1c8h9w9k4r3s3",
        "fwd:u8-s8-s32:nchw:n1c8h9w9k4r3s3", "fwd:u8-s8-s32:nchw:n1c8h9w9k4r3s3:xzero",
        "fwd:u8-s8-s32:nchw:n1c8h9w9k4r3s3:wzero", "fwd:u8-s8-s32:nchw:n1c8h9w9k4r3s3:wzero:perchannel",
    };
    const char *lowest = cvl_isa_name(0), *best = cvl_isa_name(cvl_isa_best());
    uint64_t ids[LENGTH(others) + 2] = { identity(best, 1, same[0], "reference") };
    for (size_t i = 1; i < LENGTH(same); i++)
        assert_int_equal(identity(best, 1 + (int)i, same[i], "reference"), ids[0]);
    for (size_t i = 0; i < LENGTH(others); i++)
        ids[i + 1] = identity(best, 1, others[i], "reference");
    ids[LENGTH(others) + 1] = identity(best, 1, same[0], "im2col");
    for (size_t i = 0; i < LENGTH(ids); i++)
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(ids[i], ids[j]);
    assert_int_equal(identity(lowest, 1, same[0], "reference") == ids[0], strcmp(lowest, best) == 0);
    assert_int_not_equal(identity(best, 1, same[0], "im2col:rows=1"), identity(best, 1, same[0], "im2col:rows=2"));
}

/* Pairs of problems that differ in n, h, w and threads: one packed filter serves both, byte for byte. */
static void test_packed_filters_interchange(void **state)
{
    static const char *const pairs[][2] = {
        { "fwd:f32:nchw:n1c10h9w9k20r3s3:pad1:const", "fwd:f32:nchw:n5c10h3w40k20r3s3:pad1:const" },
        { "fwd:f32:nhwc:n0c10h9w9k20r3s3:stride2:const", "fwd:f32:nhwc:n2c10h30w4k20r3s3:stride2:const" },
        { "bwd_data:f32:nchw:n1c10h9w9k20r3s3:g2:const", "bwd_data:f32:nchw:n2c10h5w60k20r3s3:g2:const" },
        { "fwd:u8-s8-s32:nhwc:n1c10h9w9k20r3s3:const", "fwd:u8-s8-s32:nhwc:n2c10h5w60k20r3s3:const" },
    };
    cvl_ctx *ctxs[] = { expect_ctx(NULL, 1), expect_ctx(NULL, 3) };
    const char *algorithm;
    int packed_plans = 0;
    for (size_t i = 0; i < LENGTH(pairs); i++)
        for (int a = 0; (algorithm = cvl_algo_name(a)); a++) {
            const cvl_conv_desc d[] = { expect_problem(pairs[i][0]), expect_problem(pairs[i][1]) };
            if (cvl_algo_reject(ctxs[0], algorithm, &d[0]))
                continue;
            struct cvl_problem filter;
            unsigned char *packed[2];
            cvl_plan *plans[2];
            expect_filled(&d[0], &filter);
            for (int j = 0; j < 2; j++) {
                plans[j] = expect_plan(ctxs[j], &d[j], algorithm);
                packed[j] = cvl_alloc(cvl_plan_packed_size(plans[j]));
                assert_int_equal(cvl_plan_pack(plans[j], &filter.args, packed[j]), CVL_OK);
            }
            packed_plans += cvl_plan_packed_size(plans[0]) > 0;
            assert_int_equal(cvl_plan_packed_size(plans[0]), cvl_plan_packed_size(plans[1]));
            assert_int_equal(cvl_plan_packed_id(plans[0]), cvl_plan_packed_id(plans[1]));
            assert_memory_equal(packed[0], packed[1], cvl_plan_packed_size(plans[0]));
            for (int j = 0; j < 2; j++) {
                cvl_plan_destroy(plans[j]);
                cvl_free(packed[j]);
            }
            cvl_problem_destroy(&filter);
        }
    assert_true(packed_plans > 0);
    cvl_ctx_destroy(ctxs[0]);
    cvl_ctx_destroy(ctxs[1]);
}

/* ---- the same bytes ---- */

/* One run's own memory. */
struct run {
    const cvl_plan *plan;
    cvl_conv_args   args;
    void           *workspace, *written;
    size_t          bytes;
    cvl_status      status;
};

static void set_written(cvl_conv_args *args, cvl_pass pass, void *memory)
{
    void **const slots[] = { &args->x, &args->w, &args->y };
    *slots[cvl_conv_written(pass)] = memory;
}

static struct run prepared(const cvl_plan *plan, const struct cvl_problem *problem, const void *packed)
{
    struct run run = { plan, problem->args, cvl_alloc(cvl_plan_workspace_size(plan)),
                       cvl_alloc(problem->written_bytes), problem->written_bytes, CVL_OK };
    if (packed)
        run.args.packed = packed;
    memset(run.workspace, 0xff, cvl_plan_workspace_size(plan));   /* NaNs: what is not written first shows */
    memset(run.written, 0xff, run.bytes);
    set_written(&run.args, problem->desc.pass, run.written);
    return run;
}

static void release(struct run *run)
{
    cvl_free(run->workspace);
    cvl_free(run->written);
}

static void *pack(const cvl_plan *plan, const struct cvl_problem *problem)
{
    if (cvl_plan_packed_size(plan) == 0)
        return NULL;
    void *packed = cvl_alloc(cvl_plan_packed_size(plan));
    assert_int_equal(cvl_plan_pack(plan, &problem->args, packed), CVL_OK);
    return packed;
}

static void *run_repeatedly(void *arg)
{
    struct run *run = arg;
    for (int i = 0; i < RUNS && run->status == CVL_OK; i++)
        run->status = cvl_plan_run(run->plan, &run->args, run->workspace);
    return NULL;
}

static void assert_same_bytes(const struct run *run, const struct run *want, const char *what)
{
    if (run->status != CVL_OK)
        fail_msg("%s: %s", cvl_plan_candidate(run->plan), cvl_status_name(run->status));
    if (memcmp(run->written, want->written, want->bytes) != 0)
        fail_msg("%s: other bytes %s", cvl_plan_candidate(run->plan), what);
}

static void check_concurrent(cvl_ctx *ctx, const cvl_conv_desc *d, const char *candidate)
{
    struct cvl_problem problem;
    expect_filled(d, &problem);
    cvl_plan *plan = expect_plan(ctx, d, candidate);
    void *packed = pack(plan, &problem);
    struct run want = prepared(plan, &problem, packed), runs[RUNNERS];
    pthread_t threads[RUNNERS];
    want.status = cvl_plan_run(plan, &want.args, want.workspace);
    assert_int_equal(want.status, CVL_OK);
    for (int i = 0; i < RUNNERS; i++) {
        runs[i] = prepared(plan, &problem, packed);
        assert_int_equal(pthread_create(&threads[i], NULL, run_repeatedly, &runs[i]), 0);
    }
    for (int i = 0; i < RUNNERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < RUNNERS; i++) {
        if (cvl_plan_deterministic(plan))
            assert_same_bytes(&runs[i], &want, "when runs overlap in time");
        release(&runs[i]);
    }
    release(&want);
    cvl_free(packed);
    cvl_plan_destroy(plan);
    cvl_problem_destroy(&problem);
}

static void test_concurrent_runs(void **state)
{
    each_candidate_of_all(*state, check_concurrent);
}

/* The same candidate on one thread, on three, and with the residual in the very buffer that is written. */
static void check_bytes(cvl_ctx *ctx, const cvl_conv_desc *d, const char *candidate)
{
    cvl_ctx *more = expect_ctx(NULL, 3);
    struct cvl_problem problem;
    expect_filled(d, &problem);
    cvl_plan *plan = expect_plan(ctx, d, candidate), *wide = expect_plan(more, d, candidate);
    void *packed = pack(plan, &problem);
    struct run want = prepared(plan, &problem, packed), run = prepared(wide, &problem, packed);
    want.status = cvl_plan_run(plan, &want.args, want.workspace);
    run.status = cvl_plan_run(wide, &run.args, run.workspace);
    assert_int_equal(want.status, CVL_OK);
    if (cvl_plan_deterministic(plan)) {
        assert_true(cvl_plan_workspace_size(wide) >= cvl_plan_workspace_size(plan));   /* scratch for each thread */
        assert_same_bytes(&run, &want, "on three threads");
        if (d->epi.residual) {
            memcpy(run.written, problem.args.residual, run.bytes);
            run.args.residual = run.written;
            run.status = cvl_plan_run(wide, &run.args, run.workspace);
            assert_same_bytes(&run, &want, "with the residual in place");
        }
    }
    release(&run);
    release(&want);
    cvl_free(packed);
    cvl_plan_destroy(wide);
    cvl_plan_destroy(plan);
    cvl_problem_destroy(&problem);
    cvl_ctx_destroy(more);
}

static void test_bytes_of_threads_and_residual(void **state)
{
    cvl_ctx *one = expect_ctx(NULL, 1);
    each_candidate_of_all(one, check_bytes);
    cvl_ctx_destroy(one);
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
        cmocka_unit_test(test_bad_candidates),
        cmocka_unit_test(test_names_round_trip),
        cmocka_unit_test(test_candidates_differ),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_reasons_of_reject),
        cmocka_unit_test(test_registry_ends),
        cmocka_unit_test(test_empty_batch),
        cmocka_unit_test(test_packed_ids),
        cmocka_unit_test(test_packed_filters_interchange),
        cmocka_unit_test(test_concurrent_runs),
        cmocka_unit_test(test_bytes_of_threads_and_residual),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
