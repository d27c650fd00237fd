/* SPDX-License-Identifier: Apache-2.0 */
#include "expect.h"

#include "conv/algo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SEED = 7 };

const char *const expect_problems[] = {
    "fwd:f32:nchw:n2c8h13w11k12r3s3:stride2:pad1:bias:residual:relu",
    "fwd:f32:nhwc:n1c24h7w9k16r1s1",
    "fwd:f32:nhwc-nchw-rsck:n1c6h12w9k4r2s3:pad2x0x1x1:dil2:g2:residual:gelu:const",
    "bwd_data:f32:nchw:n2c8h9w9k6r3s3:stride2:pad1:bias:residual",
    "bwd_filter:f32:nhwc:n3c5h10w8k7r3s3:pad1:residual",
    "fwd:bf16-bf16-f32:nchw:n1c4h6w6k4r3s3:residual",
    "fwd:u8-s8-u8:nhwc:n1c4h6w6k4r3s3:bias:residual:xzero:wzero:yzero:perchannel",
    "bwd_data:s32-s8-s8:nchw:n1c4h6w6k4r3s3",
    "bwd_filter:u8-s32-u8:nchw:n2c4h6w6k4r3s3:xzero:yzero",
    NULL
};

cvl_conv_desc expect_problem(const char *text)
{
    cvl_conv_desc d;
    if (cvl_conv_parse(text, &d) != CVL_OK)
        fail_msg("%s: %s", text, cvl_last_error());
    return d;
}

void expect_filled(const cvl_conv_desc *d, struct cvl_problem *problem)
{
    if (cvl_problem_create(d, SEED, NULL, problem) != CVL_OK)
        fail_msg("%s", cvl_last_error());
}

cvl_ctx *expect_ctx(const char *isa, int threads)
{
    cvl_ctx_options options;
    cvl_ctx *ctx;
    cvl_ctx_options_init(&options);
    options.isa = isa;
    options.threads = threads;
    if (cvl_ctx_create(&options, &ctx) != CVL_OK)
        fail_msg("%s", cvl_last_error());
    return ctx;
}

cvl_plan *expect_plan(cvl_ctx *ctx, const cvl_conv_desc *d, const char *candidate)
{
    cvl_plan *plan;
    if (cvl_plan_create(ctx, d, candidate, &plan) != CVL_OK)
        fail_msg("%s: %s", candidate, cvl_last_error());
    return plan;
}

void expect_refused(cvl_status got, cvl_status want, const char *what, const char *fragment)
{
    if (got != want || !strstr(cvl_last_error(), fragment))
        fail_msg("%s: %s '%s', expected %s '%s'", what, cvl_status_name(got), cvl_last_error(), cvl_status_name(want),
                 fragment);
}

int each_candidate(cvl_ctx *ctx, const char *problem, candidate_fn *fn)
{
    const cvl_conv_desc d = expect_problem(problem);
    const char *algorithm;
    int total = 0;
    for (int i = 0; (algorithm = cvl_algo_name(i)); i++) {
        char candidates[CVL_VARIANTS_MAX][CVL_CANDIDATE_MAX];
        const int count = cvl_algo_candidates(ctx, algorithm, &d, candidates, CVL_VARIANTS_MAX);
        for (int j = 0; j < count; j++)
            fn(ctx, &d, candidates[j]);
        total += count;
    }
    return total;
}

void each_candidate_of_all(cvl_ctx *ctx, candidate_fn *fn)
{
    for (const char *const *problem = expect_problems; *problem; problem++)
        assert_in_range(each_candidate(ctx, *problem, fn), 1, 1000);
}

void expect_same(const cvl_conv_desc *a, const cvl_conv_desc *b, const char *what)
{
    struct cvl_conv_key a_key, b_key;
    cvl_conv_key_of(a, &a_key);
    cvl_conv_key_of(b, &b_key);
    if (!cvl_conv_key_equal(&a_key, &b_key) || cvl_conv_key_hash(&a_key) != cvl_conv_key_hash(&b_key) ||
        a->size != b->size)
        fail_msg("%s: two problems, expected one", what);
}

void expect_prints(const cvl_conv_desc *d, const char *want)
{
    char text[CVL_CONV_TEXT_MAX];
    assert_int_equal(cvl_conv_print(d, text, sizeof text), strlen(want));
    assert_string_equal(text, want);
}
