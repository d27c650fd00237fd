/* SPDX-License-Identifier: Apache-2.0
 * What cuDNN names for a GPU that is only described: no driver and no device are needed. Skipped where cuDNN is not
 * found. */
#include "described_gpu.h"

#include "base/text.h"
#include "conv/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static const struct cvl_algo *cudnn;

/* What is offered for a problem by its text; 0 where it is refused. */
static int offer(const char *text, struct cvl_variant variants[CVL_VARIANTS_MAX])
{
    cvl_conv_desc desc;
    if (cvl_conv_parse(text, &desc) != CVL_OK)
        fail_msg("%s: %s", text, cvl_last_error());
    return cvl_algo_refusal(described_gpu(), cudnn, &desc) ? 0
         : cvl_algo_variants(described_gpu(), cudnn, &desc, variants);
}

static int need_cudnn(void **state)
{
    cudnn = cvl_algo_find("cudnn", strlen("cudnn"));
    return cudnn ? 0 : -1;
}

static void need_library(void)
{
    if (cudnn->lacks()) {
        print_message("skipped: %s\n", cudnn->lacks());
        skip();
    }
}

static void many_configurations_are_named(void **state)
{
    static const struct { const char *problem; int least; } cases[] = {
        { "fwd:bf16:nhwc:n32c64h56w56k64r3s3:pad1", 20 },
        { "fwd:f16:nhwc:n32c64h56w56k64r3s3:pad1", 20 },
        { "bwd_data:bf16:nhwc:n32c64h56w56k64r3s3:pad1", 10 },
        { "bwd_filter:bf16:nhwc:n32c64h56w56k64r3s3:pad1", 10 },
        { "fwd:bf16:nchw:n32c64h56w56k64r3s3:pad1", 10 },
        { "fwd:f32:nchw:n32c64h56w56k64r3s3:pad1:math=tf32", 20 },
        { "fwd:bf16:nhwc:n1c3h224w224k64r7s7:stride2:pad3", 5 },
        { "fwd:bf16:nhwc:n32c192h56w56k192r3s3:pad1:g192", 1 },
        { "fwd:f32:nhwc:n1c8h15w17k8r3s3:pad1x2x3x0:dil2", 1 },
    };
    struct cvl_variant variants[CVL_VARIANTS_MAX];
    need_library();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int count = offer(cases[i].problem, variants);
        if (count < cases[i].least)
            fail_msg("%s: %d configurations, expected %d at least", cases[i].problem, count, cases[i].least);
        print_message("%-60s %2d\n", cases[i].problem, count);
    }
}

/* Tensor cores would round f32 inputs: their engines are for tf32 alone. */
static void f32_is_f32(void **state)
{
    struct cvl_variant exact[CVL_VARIANTS_MAX], rounded[CVL_VARIANTS_MAX];
    char name[CVL_CANDIDATE_MAX];
    int tensor_cores = 0;
    cvl_conv_desc desc;
    cvl_plan *plan;
    need_library();
    const int few = offer("fwd:f32:nhwc:n32c64h56w56k64r3s3:pad1", exact);
    const int many = offer("fwd:f32:nhwc:n32c64h56w56k64r3s3:pad1:math=tf32", rounded);
    assert_true(few >= 1 && many > few);
    for (int i = 0; i < few; i++)
        assert_int_equal(exact[i].notes & 1, 0);
    assert_int_equal(cvl_conv_parse("fwd:f32:nhwc:n32c64h56w56k64r3s3:pad1", &desc), CVL_OK);
    for (int i = 0; i < many; i++)
        if (rounded[i].notes & 1) {
            cvl_candidate_print(cudnn, &rounded[i], name);
            assert_int_not_equal(cvl_plan_create(described_gpu(), &desc, name, &plan), CVL_OK);
            assert_true(cudnn->tolerance(&desc, &rounded[i]) > cudnn->tolerance(&desc, &exact[0]));
            tensor_cores++;
        }
    assert_true(tensor_cores > 0);
}

static void names_are_read_and_refused(void **state)
{
    static const char *const wrong[] = {
        "cudnn:k2=1", "cudnn:eng=1048575", "cudnn:eng=-1", "cudnn:eng", "cudnn:eng=1:eng=1", "cudnn:eng=0:k2=1:k2=1",
        "cudnn:eng=0:k=1", "cudnn:eng=0:k99999=1", "cudnn:eng=0:j1=1",
        "cudnn:eng=1:k0=0:k1=0:k2=0:k3=0:k4=0:k5=0:k6=0:k7=0:k8=0:k9=0:k10=0:k11=0",
    };
    const struct cvl_algo *algo;
    struct cvl_variant variant;
    char name[CVL_CANDIDATE_MAX];
    cvl_conv_desc desc;
    cvl_plan *plan;
    assert_int_equal(cvl_candidate_parse("cudnn:k13=0:eng=0:k2=1048575", &algo, &variant), CVL_OK);
    cvl_candidate_print(algo, &variant, name);
    assert_string_equal(name, "cudnn:eng=0:k2=1048575:k13=0");
    need_library();
    assert_int_equal(cvl_conv_parse("fwd:bf16:nhwc:n1c64h8w8k64r3s3:pad1", &desc), CVL_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (cvl_plan_create(described_gpu(), &desc, wrong[i], &plan) != CVL_ENOTFOUND)
            fail_msg("%s: %s", wrong[i], cvl_last_error());
    assert_int_equal(cvl_plan_create(described_gpu(), &desc, "cudnn", &plan), CVL_OK);
    assert_string_equal(cvl_plan_candidate(plan), "cudnn");
    cvl_plan_destroy(plan);
    assert_int_equal(cvl_plan_create(described_gpu(), &desc, "cudnn-framework", &plan), CVL_OK);
    assert_false(cvl_plan_deterministic(plan));
    cvl_plan_destroy(plan);
}

static void epilogues_are_fused_or_refused(void **state)
{
    enum { REFUSED, COMPILED, TAKEN };   /* compiled by cuDNN for the problem, which takes a driver, or its stub */
    static const struct { const char *problem; int how; } cases[] = {
        { "fwd:f32:nhwc:n8c64h14w14k64r3s3:pad1:math=tf32:bias:relu", TAKEN },
        { "fwd:f32:nhwc:n8c64h14w14k64r3s3:pad1:bias:relu", TAKEN },
        { "fwd:bf16:nhwc:n8c64h14w14k64r3s3:pad1:relu", COMPILED },
        { "fwd:bf16:nhwc:n8c64h14w14k64r3s3:pad1:bias:relu", COMPILED },
        { "fwd:bf16:nhwc:n8c64h14w14k64r3s3:pad1:bias:residual:relu", COMPILED },
        { "fwd:f16:nhwc:n8c64h14w14k64r3s3:pad1:silu", COMPILED },
        { "fwd:bf16-bf16-f32:nhwc:n8c64h14w14k64r3s3:pad1:gelu", COMPILED },
        { "bwd_data:f32:nhwc:n8c64h14w14k64r3s3:pad1:math=tf32:bias:relu6", COMPILED },
        { "bwd_filter:bf16:nhwc:n8c64h14w14k64r3s3:pad1:residual", COMPILED },
        { "fwd:f32:nhwc:n8c64h14w14k64r3s3:pad1:math=tf32:hardswish", REFUSED },
        { "fwd:u8-s8-s32:nhwc:n8c64h14w14k64r3s3:pad1", REFUSED },
        { "fwd:f32:nhwc:n0c64h14w14k64r3s3:pad1", REFUSED },
    };
    struct cvl_variant variants[CVL_VARIANTS_MAX];
    need_library();
    described_gpu();
    const bool driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    if (!driver)
        print_message("what cuDNN compiles is left out: there is neither a driver nor its stub\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int count = offer(cases[i].problem, variants);
        print_message("%-66s %2d\n", cases[i].problem, count);
        if ((count > 0) != (cases[i].how != REFUSED) && (driver || cases[i].how != COMPILED))
            fail_msg("%s: %d configurations", cases[i].problem, count);
    }
}

static void nothing_runs_on_a_description(void **state)
{
    static float tensor[64 * 64 * 9] __attribute__((aligned(256)));
    static char workspace[1 << 20] __attribute__((aligned(256)));
    cvl_conv_desc desc;
    cvl_conv_args args;
    cvl_plan *plan;
    need_library();
    cvl_conv_args_init(&args);
    args.x = tensor;
    args.w = tensor + 1024;
    args.y = tensor + 8192;
    assert_int_equal(cvl_conv_parse("fwd:f32:nchw:n1c4h8w8k4r3s3:pad1", &desc), CVL_OK);
    assert_int_equal(cvl_plan_create(described_gpu(), &desc, "cudnn", &plan), CVL_OK);
    assert_true(cvl_plan_workspace_size(plan) <= sizeof workspace);
    assert_int_equal(cvl_plan_run(plan, &args, workspace), CVL_EDEVICE);
    args.x = (char *)args.x + 4;
    assert_int_equal(cvl_plan_run(plan, &args, workspace), CVL_EINVAL);
    assert_non_null(strstr(cvl_last_error(), "16 bytes"));
    cvl_plan_destroy(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_configurations_are_named),
        cmocka_unit_test(f32_is_f32),
        cmocka_unit_test(names_are_read_and_refused),
        cmocka_unit_test(epilogues_are_fused_or_refused),
        cmocka_unit_test(nothing_runs_on_a_description),
    };
    return cmocka_run_group_tests(tests, need_cudnn, NULL);
}
