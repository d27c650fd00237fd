/* SPDX-License-Identifier: Apache-2.0
 * The problems that tuner, bench and tests measure on: what their tensors hold, and that nothing is left behind. */
#include "conv/problem.h"
#include "conv/reference/oracle.h"

#include "base/alloc.h"
#include "base/dtype.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static cvl_conv_desc parsed(const char *text)
{
    cvl_conv_desc desc;
    if (cvl_conv_parse(text, &desc) != CVL_OK)
        fail_msg("%s: %s", text, cvl_last_error());
    return desc;
}

/* Both signs, within (1/16, 1], and their mean magnitude that of a uniform distribution. */
static void check_floats(cvl_dtype type, const void *tensor, size_t count)
{
    double sum = 0, magnitudes = 0;
    for (size_t i = 0; i < count; i++) {
        const double value = cvl_dtype_load(type, tensor, i);
        assert_true(fabs(value) > 0.0625 && fabs(value) <= 1);
        sum += value;
        magnitudes += fabs(value);
    }
    assert_true(fabs(sum / (double)count) < 0.05);
    assert_true(fabs(magnitudes / (double)count - 0.533) < 0.02);
}

static void floats_are_random_and_not_zero(void **state)
{
    static const char *const texts[] = {
        "fwd:f32:nchw:n1c3h33w33k64r7s7:bias:residual", "fwd:bf16:nhwc:n1c3h33w33k64r7s7:bias:residual",
        "fwd:f16:nchw:n1c3h33w33k64r7s7:bias:residual",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const cvl_conv_desc desc = parsed(texts[i]);
        struct cvl_problem problem;
        assert_int_equal(cvl_problem_create(&desc, 1, NULL, &problem), CVL_OK);
        check_floats(desc.x_type, problem.args.x, cvl_conv_x_count(&desc));
        check_floats(desc.w_type, problem.args.w, cvl_conv_w_count(&desc));
        check_floats(desc.y_type, problem.args.residual, cvl_conv_y_count(&desc));
        for (int k = 0; k < desc.k; k++)
            assert_true(fabsf(((const float *)problem.args.bias)[k]) > 0.0625f);
        assert_ptr_equal(problem.written, problem.args.y);
        assert_int_equal(problem.written_bytes, cvl_conv_bytes(&desc, CVL_Y));
        for (size_t e = 0; e < cvl_conv_y_count(&desc); e++)
            assert_true(isnan(cvl_dtype_load(desc.y_type, problem.written, e)));
        cvl_problem_destroy(&problem);
    }
}

static void seeds_decide(void **state)
{
    const cvl_conv_desc desc = parsed("bwd_filter:f32:nchw:n1c3h9w9k5r3s3:residual");
    struct cvl_problem a, b, c;
    assert_int_equal(cvl_problem_create(&desc, 1, NULL, &a), CVL_OK);
    assert_int_equal(cvl_problem_create(&desc, 1, NULL, &b), CVL_OK);
    assert_int_equal(cvl_problem_create(&desc, 2, NULL, &c), CVL_OK);
    assert_memory_equal(a.args.x, b.args.x, cvl_conv_bytes(&desc, CVL_X));
    assert_memory_equal(a.args.y, b.args.y, cvl_conv_bytes(&desc, CVL_Y));
    assert_memory_equal(a.args.residual, b.args.residual, cvl_conv_bytes(&desc, CVL_W));
    assert_memory_not_equal(a.args.x, c.args.x, cvl_conv_bytes(&desc, CVL_X));
    assert_null(a.args.bias);
    assert_null(a.args.quant);
    cvl_problem_destroy(&a);
    cvl_problem_destroy(&b);
    cvl_problem_destroy(&c);
}

/* Outputs use most of their range and few of them saturate, whatever the reduction and the zero points. */
static void requantized_outputs_fit(void **state)
{
    static const char *const texts[] = {
        "fwd:u8-s8-u8:nhwc:n1c3h20w20k64r1s1:xzero:yzero",
        "fwd:u8-s8-u8:nhwc:n1c512h6w6k64r3s3:bias:xzero:wzero:yzero:perchannel",
        "fwd:s8-s8-s8:nchw:n1c64h10w10k64r3s3:pad1:bias:wzero:perchannel",
        "fwd:u8-s8-s8:nchw:n1c64h10w10k64r3s3:pad1:bias",
        "bwd_data:s8-s8-u8:nchw:n1c64h10w10k32r3s3:pad1:bias:xzero:wzero:yzero:perchannel",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const cvl_conv_desc desc = parsed(texts[i]);
        const enum cvl_tensor written = cvl_conv_written(desc.pass);
        const double middle = cvl_conv_type(&desc, written) == CVL_U8 ? 127.5 : -0.5;
        const size_t count = cvl_conv_count(&desc, written);
        struct cvl_problem problem;
        assert_int_equal(cvl_problem_create(&desc, 3, NULL, &problem), CVL_OK);
        size_t saturated = 0;
        double lowest = INFINITY, highest = -INFINITY;
        for (size_t e = 0; e < count; e++) {
            const double value = cvl_oracle_at(&desc, &problem.args, e);
            saturated += fabs(value - middle) > 127;
            lowest = fmin(lowest, value);
            highest = fmax(highest, value);
        }
        assert_true(highest - lowest > 100);
        assert_true((double)saturated < 0.02 * (double)count);
        cvl_problem_destroy(&problem);
    }
}

static void what_must_not_be_read_is_poisoned(void **state)
{
    const cvl_conv_desc desc = parsed("fwd:u8-s8-s32:nchw:n1c1h1w1k2r1s1:xzero");
    struct cvl_problem problem;
    assert_int_equal(cvl_problem_create(&desc, 1, NULL, &problem), CVL_OK);
    assert_in_range(problem.quant.x_zero, 0, 255);
    assert_false(problem.quant.y_zero >= -128 && problem.quant.y_zero <= 255);
    assert_true(isnan(problem.quant.x_scale) && isnan(problem.quant.y_scale));
    assert_null(problem.quant.w_scale);
    assert_null(problem.quant.w_zero);
    cvl_problem_destroy(&problem);
}

/* A placement that counts, and that refuses from some allocation on. */
struct counter { int left, live; };

static void *counting_alloc(void *arg, size_t bytes, size_t element)
{
    struct counter *counter = arg;
    if (counter->left-- <= 0)
        return NULL;
    counter->live++;
    return cvl_alloc(bytes);
}

static void counting_free(void *arg, void *memory)
{
    ((struct counter *)arg)->live--;
    cvl_free(memory);
}

static void no_memory_leaves_nothing(void **state)
{
    const cvl_conv_desc desc = parsed("fwd:u8-s8-u8:nchw:n1c1h4w4k2r3s3:bias:residual:xzero:wzero:yzero:perchannel");
    enum { TENSORS = 7 };   /* x, w, y, bias, residual, scales, zero points */
    for (int allowed = 0; allowed <= TENSORS; allowed++) {
        struct counter counter = {.left = allowed};
        const struct cvl_placement placement = {counting_alloc, counting_free, &counter};
        struct cvl_problem problem;
        const cvl_status status = cvl_problem_create(&desc, 1, &placement, &problem);
        assert_int_equal(status, allowed < TENSORS ? CVL_ENOMEM : CVL_OK);
        assert_int_equal(counter.live, allowed < TENSORS ? 0 : TENSORS);
        if (status == CVL_OK)
            cvl_problem_destroy(&problem);
        assert_int_equal(counter.live, 0);
    }
}

static void an_empty_batch_has_tensors(void **state)
{
    const cvl_conv_desc desc = parsed("fwd:f32:nchw:n0c3h4w4k2r3s3:bias:residual");
    struct cvl_problem problem;
    assert_int_equal(cvl_problem_create(&desc, 1, NULL, &problem), CVL_OK);
    assert_non_null(problem.args.x);
    assert_non_null(problem.args.y);
    assert_non_null(problem.args.residual);
    assert_int_equal(problem.written_bytes, 0);
    cvl_problem_destroy(&problem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_are_random_and_not_zero),    cmocka_unit_test(seeds_decide),
        cmocka_unit_test(requantized_outputs_fit),           cmocka_unit_test(what_must_not_be_read_is_poisoned),
        cmocka_unit_test(no_memory_leaves_nothing),          cmocka_unit_test(an_empty_batch_has_tensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
