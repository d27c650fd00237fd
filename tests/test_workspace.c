/* SPDX-License-Identifier: Apache-2.0
 * What igemm's head promises of its workspace: kilobytes for each thread, whatever the tensors' size, plus what all
 * threads share. */
#include "conv/desc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH(array) (sizeof array / sizeof *array)
#define KIB           (size_t)1024

static const char *const shapes[] = {
    "n1c3h224w224k64r7s7:stride2:pad3", "n1c64h56w56k64r3s3:pad1", "n1c64h56w56k256r1s1",
    "n1c512h28w28k1024r1s1:stride2",
    "n1c512h7w7k512r3s3:pad1", "n1c2048h7w7k512r1s1", "n1c96h56w56k24r1s1", "n1c3h224w224k64r3s3:pad1",
    "n1c17h31w29k65r5s5:stride2:pad2", "n1c128h28w28k128r3s3:pad2:dil2", "n1c64h28w28k64r3s3:pad1:g4", "n1c1h1w1k1r1s1",
};

/* Bytes of a plan of igemm: of the default candidate, for so many images and threads. */
static size_t workspace(const char *pass, const char *layout, const char *shape, int images, int threads, bool packed,
                        cvl_conv_desc *desc)
{
    char text[128];
    cvl_ctx_options options;
    cvl_ctx *ctx;
    cvl_plan *plan;
    snprintf(text, sizeof text, "%s:f32:%s:%s", pass, layout, shape);
    assert_int_equal(cvl_conv_parse(text, desc), CVL_OK);
    desc->n = images;
    desc->const_filter = packed;
    cvl_ctx_options_init(&options);
    options.threads = threads;
    assert_int_equal(cvl_ctx_create(&options, &ctx), CVL_OK);
    assert_int_equal(cvl_plan_create(ctx, desc, "igemm", &plan), CVL_OK);
    const size_t bytes = cvl_plan_workspace_size(plan);
    cvl_plan_destroy(plan);
    cvl_ctx_destroy(ctx);
    return bytes;
}

/* shared + threads * each */
static void split(const char *pass, const char *layout, const char *shape, int images, bool packed, size_t *shared,
                  size_t *each, cvl_conv_desc *desc)
{
    const size_t one = workspace(pass, layout, shape, images, 1, packed, desc);
    const size_t two = workspace(pass, layout, shape, images, 2, packed, desc);
    const size_t seven = workspace(pass, layout, shape, images, 7, packed, desc);
    assert_true(one <= two && two <= 2 * one);
    *each = two - one;
    *shared = one - *each;
    assert_int_equal(seven, *shared + 7 * *each);
}

static void check_pass(const char *pass, size_t each_most, size_t shared_most)
{
    static const char *const layouts[] = { "nchw", "nhwc" };
    for (size_t i = 0; i < LENGTH(shapes); i++)
        for (size_t layout = 0; layout < LENGTH(layouts); layout++)
            for (int images = 1; images <= 64; images *= 64)
                for (int packed = 0; packed < 2; packed++) {
                    size_t shared, each;
                    cvl_conv_desc desc;
                    split(pass, layouts[layout], shapes[i], images, packed, &shared, &each, &desc);
                    if (each > each_most || shared > shared_most)
                        fail_msg("%s %s %s n%d packed %d: %zu bytes for each thread, %zu for all", pass,
                                 layouts[layout], shapes[i], images, packed, each, shared);
                }
}

static void forward(void **state) { check_pass("fwd", (256 + 320 + 42) * KIB, 0); }

/* Few channels: 7 x 7 taps by 64 channels by 3 is the largest filter of the shapes, and a bias repeated. */
static void backward_data(void **state)
{
    check_pass("bwd_data", (256 + 320 + 42) * KIB, 7 * 7 * 64 * 3 * sizeof(float) + 256);
}

/* Two bands and a task's sums, or all parts' sums for all threads together. */
static void backward_filter(void **state) { check_pass("bwd_filter", 1024 * KIB, 1024 * KIB); }

/* A pointwise image in NHWC is read where it lies: with a raw filter as small as this, a task's panels are all there
 * is, and tasks have an equal share of the filter. */
static void pointwise(void **state)
{
    static const char *const passes[] = { "fwd", "bwd_data" };
    for (size_t i = 0; i < LENGTH(passes); i++) {
        size_t shared, each;
        cvl_conv_desc desc;
        split(passes[i], "nhwc", "n1c64h56w56k64r1s1", 8, false, &shared, &each, &desc);
        const size_t filter = cvl_conv_bytes(&desc, CVL_W);
        assert_int_equal(shared, 0);
        assert_in_range(each, 1, filter);
        assert_int_equal(filter % each, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward), cmocka_unit_test(backward_data), cmocka_unit_test(backward_filter),
        cmocka_unit_test(pointwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
