/* SPDX-License-Identifier: Apache-2.0
 * Properties of the oracle on random problems: layouts and 16-bit types change nothing, the backward passes are the
 * derivatives of the forward pass, samples are what they say, and comparison sees what it must. */
#include "conv/problem.h"
#include "conv/reference/oracle.h"

#include "base/dtype.h"
#include "base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PROBLEMS = 300 };

static int between(struct cvl_random *random, int low, int high)
{
    return low + cvl_random_below(random, high - low + 1);
}

/* A small f32 problem of any pass, layout, grouping, stride, dilation and padding that the check accepts. */
static cvl_conv_desc random_desc(struct cvl_random *random)
{
    cvl_conv_desc d;
    cvl_conv_desc_init(&d);
    do {
        d.pass = (cvl_pass)between(random, CVL_FWD, CVL_BWD_FILTER);
        d.x_layout = (cvl_layout)between(random, CVL_NCHW, CVL_NHWC);
        d.y_layout = (cvl_layout)between(random, CVL_NCHW, CVL_NHWC);
        d.w_layout = (cvl_filter_layout)between(random, CVL_KCRS, CVL_RSCK);
        d.groups = between(random, 1, 3);
        d.n = between(random, 1, 2);
        d.c = d.groups * between(random, 1, 3);
        d.k = d.groups * between(random, 1, 3);
        d.h = between(random, 1, 5);
        d.w = between(random, 1, 5);
        d.r = between(random, 1, 3);
        d.s = between(random, 1, 3);
        d.stride_h = between(random, 1, 3);
        d.stride_w = between(random, 1, 3);
        d.dil_h = between(random, 1, 2);
        d.dil_w = between(random, 1, 2);
        d.pad_top = between(random, 0, 3);
        d.pad_bottom = between(random, 0, 3);
        d.pad_left = between(random, 0, 3);
        d.pad_right = between(random, 0, 3);
    } while (cvl_conv_check(&d) != CVL_OK);
    return d;
}

static size_t written_count(const cvl_conv_desc *desc)
{
    return cvl_conv_count(desc, cvl_conv_written(desc->pass));
}

static double *all_values(const cvl_conv_desc *desc, const cvl_conv_args *args)
{
    double *values = malloc((written_count(desc) + 1) * sizeof *values);
    assert_non_null(values);
    cvl_oracle_range(desc, args, 0, written_count(desc), values);
    return values;
}

static void create(struct cvl_problem *problem, const cvl_conv_desc *desc, uint64_t seed)
{
    assert_int_equal(cvl_problem_create(desc, seed, NULL, problem), CVL_OK);
}

static cvl_conv_desc parsed(const char *text)
{
    cvl_conv_desc desc;
    if (cvl_conv_parse(text, &desc) != CVL_OK)
        fail_msg("%s: %s", text, cvl_last_error());
    return desc;
}

static void fail_on(const cvl_conv_desc *desc, const char *what)
{
    char text[CVL_CONV_TEXT_MAX];
    cvl_conv_print(desc, text, sizeof text);
    fail_msg("%s: %s", text, what);
}

/* ---- layouts and types ---- */

static size_t logical_offset(const cvl_conv_desc *desc, enum cvl_tensor tensor, size_t logical)
{
    const struct cvl_strides strides = cvl_conv_strides(desc, tensor);
    int dims[4], at[4];
    cvl_conv_dims(desc, tensor, dims);
    for (int i = 3; i >= 0; logical /= (size_t)dims[i], i--)
        at[i] = (int)(logical % (size_t)dims[i]);
    return (size_t)cvl_offset(&strides, at[0], at[1], at[2], at[3]);
}

static void relayout(const cvl_conv_desc *to_desc, const cvl_conv_desc *from_desc, enum cvl_tensor tensor, float *to,
                     const float *from)
{
    for (size_t i = 0; i < cvl_conv_count(to_desc, tensor); i++)
        to[logical_offset(to_desc, tensor, i)] = from[logical_offset(from_desc, tensor, i)];
}

/* The same numbers in nchw and kcrs, from a problem of the same shape in other layouts. */
static void create_plain(struct cvl_problem *plain, const struct cvl_problem *problem)
{
    const enum cvl_tensor written = cvl_conv_written(problem->desc.pass);
    cvl_conv_desc desc = problem->desc;
    desc.x_layout = desc.y_layout = CVL_NCHW;
    desc.w_layout = CVL_KCRS;
    create(plain, &desc, 0);
    for (enum cvl_tensor tensor = CVL_X; tensor <= CVL_Y; tensor++)
        relayout(&desc, &problem->desc, tensor, cvl_conv_pointer(&plain->args, tensor),
                 cvl_conv_pointer(&problem->args, tensor));
    relayout(&desc, &problem->desc, written, (float *)plain->args.residual, problem->args.residual);
    if (desc.epi.bias)
        memcpy((void *)plain->args.bias, problem->args.bias, (size_t)cvl_conv_bias_count(&desc) * sizeof(float));
}

static void layouts_change_nothing(void **state)
{
    struct cvl_random random = {1};
    for (int i = 0; i < PROBLEMS; i++) {
        cvl_conv_desc desc = random_desc(&random);
        desc.epi = (cvl_epilogue){.bias = desc.pass != CVL_BWD_FILTER, .residual = true, .act = CVL_ACT_SILU};
        const enum cvl_tensor written = cvl_conv_written(desc.pass);
        struct cvl_problem problem, plain;
        create(&problem, &desc, cvl_random_next(&random));
        create_plain(&plain, &problem);
        double *got = all_values(&desc, &problem.args), *want = all_values(&plain.desc, &plain.args);
        for (size_t e = 0; e < written_count(&desc); e++)
            if (got[logical_offset(&desc, written, e)] != want[logical_offset(&plain.desc, written, e)])
                fail_on(&desc, "differs from nchw and kcrs");
        free(got);
        free(want);
        cvl_problem_destroy(&problem);
        cvl_problem_destroy(&plain);
    }
}

static void set_types(cvl_conv_desc *desc, cvl_dtype read, cvl_dtype written)
{
    cvl_dtype *const types[] = {[CVL_X] = &desc->x_type, [CVL_W] = &desc->w_type, [CVL_Y] = &desc->y_type};
    for (enum cvl_tensor tensor = CVL_X; tensor <= CVL_Y; tensor++)
        *types[tensor] = tensor == cvl_conv_written(desc->pass) ? written : read;
}

static void widen(float *to, cvl_dtype type, const void *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (float)cvl_dtype_load(type, from, i);
}

/* A 16-bit problem is the f32 problem of the same numbers until it is stored. */
static void types_change_nothing(void **state)
{
    struct cvl_random random = {2};
    for (int i = 0; i < PROBLEMS; i++) {
        cvl_conv_desc wide = random_desc(&random);
        wide.epi = (cvl_epilogue){.residual = true, .act = CVL_ACT_GELU};
        cvl_conv_desc desc = wide;
        const cvl_dtype read = i % 2 ? CVL_BF16 : CVL_F16, out = i % 4 < 2 ? read : CVL_F32;
        set_types(&desc, read, out);
        assert_int_equal(cvl_conv_check(&desc), CVL_OK);
        struct cvl_problem problem, other;
        create(&problem, &desc, cvl_random_next(&random));
        create(&other, &wide, 0);
        for (enum cvl_tensor tensor = CVL_X; tensor <= CVL_Y; tensor++)
            widen(cvl_conv_pointer(&other.args, tensor), cvl_conv_type(&desc, tensor),
                  cvl_conv_pointer(&problem.args, tensor), cvl_conv_count(&desc, tensor));
        widen((float *)other.args.residual, out, problem.args.residual, written_count(&desc));
        double *got = all_values(&desc, &problem.args), *want = all_values(&wide, &other.args);
        if (memcmp(got, want, written_count(&desc) * sizeof *got) != 0)
            fail_on(&desc, "differs from f32");
        free(got);
        free(want);
        cvl_problem_destroy(&problem);
        cvl_problem_destroy(&other);
    }
}

/* ---- derivatives ---- */

/* sum(y * dy) of the forward pass, whose derivatives the backward passes are. */
static double loss(const cvl_conv_desc *desc, const cvl_conv_args *args)
{
    cvl_conv_desc forward = *desc;
    forward.pass = CVL_FWD;
    double *y = all_values(&forward, args), sum = 0;
    for (size_t i = 0; i < cvl_conv_y_count(desc); i++)
        sum += y[i] * ((const float *)args->y)[i];
    free(y);
    return sum;
}

/* The loss is linear in each input, so that a step of one is as good as a small one: only rounding is left. */
static void check_derivatives(const cvl_conv_desc *desc, const cvl_conv_args *args)
{
    float *input = cvl_conv_pointer(args, cvl_conv_written(desc->pass));
    double *gradient = all_values(desc, args);
    const double before = loss(desc, args);
    for (size_t i = 0; i < written_count(desc); i++) {
        const float kept = input[i], moved = kept + 1;
        input[i] = moved;
        const double slope = (loss(desc, args) - before) / ((double)moved - kept);
        input[i] = kept;
        if (!(fabs(slope - gradient[i]) <= 1e-12))
            fail_on(desc, "is not the derivative of fwd");
    }
    free(gradient);
}

static void backward_passes_are_derivatives(void **state)
{
    struct cvl_random random = {3};
    for (int i = 0; i < PROBLEMS; i++) {
        cvl_conv_desc desc = random_desc(&random);
        struct cvl_problem inputs, dy;
        desc.pass = CVL_FWD;
        create(&inputs, &desc, cvl_random_next(&random));
        desc.pass = CVL_BWD_DATA;
        create(&dy, &desc, cvl_random_next(&random));
        cvl_conv_args args = inputs.args;
        args.y = dy.args.y;
        check_derivatives(&desc, &args);
        desc.pass = CVL_BWD_FILTER;
        check_derivatives(&desc, &args);
        cvl_problem_destroy(&inputs);
        cvl_problem_destroy(&dy);
    }
}

/* ---- samples ---- */

static int by_size(const void *a, const void *b)
{
    const size_t left = *(const size_t *)a, right = *(const size_t *)b;
    return (left > right) - (left < right);
}

static void check_sample(const cvl_conv_desc *desc, size_t max)
{
    enum { MOST = 300 };
    size_t indices[MOST + 1], again[MOST + 1];
    const size_t total = written_count(desc);
    indices[max] = 0x5eed;
    const size_t count = cvl_oracle_sample(desc, 7, indices, max);
    assert_int_equal(indices[max], 0x5eed);
    assert_int_equal(cvl_oracle_sample(desc, 7, again, max), count);
    assert_memory_equal(indices, again, count * sizeof *indices);
    assert_true(count <= max && count <= total);
    if (total <= max)
        assert_int_equal(count, total);
    if (total >= 32 * max)   /* no stretch is all corners */
        assert_int_equal(count, max);
    qsort(indices, count, sizeof *indices, by_size);
    for (size_t i = 1; i < count; i++)
        assert_true(indices[i - 1] < indices[i]);
    if (count >= 2) {
        assert_int_equal(indices[0], 0);
        assert_int_equal(indices[count - 1], total - 1);
    }
}

static void samples_are_different_elements(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 5, 16, 17, 40, 300};
    const cvl_conv_desc large = parsed("bwd_data:f32:nhwc:n64c128h160w160k8r3s3:pad1");
    struct cvl_random random = {4};
    size_t some[40], others[40];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check_sample(&large, sizes[i]);
        for (int problem = 0; problem < PROBLEMS; problem++) {
            const cvl_conv_desc desc = random_desc(&random);
            check_sample(&desc, sizes[i]);
        }
    }
    assert_int_equal(cvl_oracle_sample(&large, 1, some, 40), 40);
    assert_int_equal(cvl_oracle_sample(&large, 2, others, 40), 40);
    assert_memory_equal(some, others, 16 * sizeof *some);   /* the corners */
    assert_memory_not_equal(some, others, sizeof some);
}

static void sampled_values_are_those_of_all(void **state)
{
    struct cvl_random random = {5};
    size_t indices[50];
    double sampled[50];
    for (int i = 0; i < PROBLEMS; i++) {
        const cvl_conv_desc desc = random_desc(&random);
        struct cvl_problem problem;
        create(&problem, &desc, cvl_random_next(&random));
        double *all = all_values(&desc, &problem.args), *parallel = all_values(&desc, &problem.args);
        memset(parallel, 0, written_count(&desc) * sizeof *parallel);
        const size_t count = cvl_oracle_sample(&desc, 1, indices, 50);
        cvl_oracle_values(*state, &desc, &problem.args, indices, count, sampled);
        for (size_t e = 0; e < count; e++)
            assert_true(sampled[e] == all[indices[e]] && sampled[e] == cvl_oracle_at(&desc, &problem.args, indices[e]));
        cvl_oracle_values(*state, &desc, &problem.args, NULL, written_count(&desc), parallel);
        assert_memory_equal(parallel, all, written_count(&desc) * sizeof *all);
        free(all);
        free(parallel);
        cvl_problem_destroy(&problem);
    }
}

/* ---- comparison ---- */

static struct cvl_error compare_f32(const float got[4], const double want[4])
{
    const cvl_conv_desc desc = parsed("fwd:f32:nchw:n1c1h1w4k1r1s1");
    return cvl_oracle_compare(&desc, got, NULL, 4, want);
}

static void comparison_of_floats(void **state)
{
    struct cvl_error error = compare_f32((float[]){1, 2, -4.5f, 3}, (double[]){1, 2, -4, 2.75});
    assert_true(error.rel == 0.125 && error.worst == 2 && error.got == -4.5 && error.want == -4 && error.checked == 4);
    assert_true(fabs(error.l2 - sqrt(0.3125 / (1 + 4 + 16 + 7.5625))) < 1e-15);
    error = compare_f32((float[]){0, 0, 0, 0}, (double[]){0, 0, -0.0, 0});
    assert_true(error.rel == 0 && error.l2 == 0);
    error = compare_f32((float[]){0, 0x1p-126f, 0, 0}, (double[]){0, 0, 0, 0});
    assert_true(error.rel == 1);
    const cvl_conv_desc desc = parsed("fwd:f32:nchw:n1c1h1w4k1r1s1");
    error = cvl_oracle_compare(&desc, (float[]){9, 8, 7, 6}, (size_t[]){3, 1}, 2, (double[]){8, 8});
    assert_true(error.rel == 0.25 && error.worst == 3 && error.checked == 2);
    error = cvl_oracle_compare(&desc, NULL, NULL, 0, NULL);
    assert_true(error.rel == 0 && error.l2 == 0 && error.checked == 0);
}

static void comparison_of_what_is_not_finite(void **state)
{
    static const struct { float got; double want; } misplaced[] = {
        {NAN, 1}, {1, NAN}, {INFINITY, 1}, {1, INFINITY}, {INFINITY, -INFINITY}, {NAN, INFINITY}, {INFINITY, NAN},
        {0x1.fffffep127f, 1e39},
    };
    struct cvl_error error = compare_f32((float[]){NAN, INFINITY, -INFINITY, 2}, (double[]){NAN, 1e39, -INFINITY, 2});
    assert_true(error.rel == 0 && error.l2 == 0);
    for (size_t i = 0; i < sizeof misplaced / sizeof *misplaced; i++) {
        error = compare_f32((float[]){1, 2, misplaced[i].got, 3}, (double[]){1, 2, misplaced[i].want, 3});
        assert_true(error.rel == INFINITY && error.l2 == INFINITY && error.worst == 2);
    }
}

static void comparison_of_other_types(void **state)
{
    const cvl_conv_desc f16 = parsed("fwd:f16:nchw:n1c1h1w2k1r1s1"), s8 = parsed("fwd:s8:nchw:n1c1h1w2k1r1s1");
    const uint16_t halves[2] = {0x3c00, 0x7c00};   /* 1, infinity */
    struct cvl_error error = cvl_oracle_compare(&f16, halves, NULL, 2, (double[]){1 + 0x1p-13, 65520});
    assert_true(error.rel == 0x1p-13 / (1 + 0x1p-13));   /* against the unrounded value */
    error = cvl_oracle_compare(&f16, halves, NULL, 2, (double[]){1, 65519});
    assert_true(error.rel == INFINITY && error.worst == 1);
    error = cvl_oracle_compare(&s8, (int8_t[]){-100, 5}, NULL, 2, (double[]){-100, 5});
    assert_true(error.rel == 0 && error.l2 == 0);
    error = cvl_oracle_compare(&s8, (int8_t[]){-100, 5}, NULL, 2, (double[]){-100, 4});
    assert_true(error.rel == 0.01 && error.worst == 1);
}

static int set_up(void **state)
{
    return cvl_ctx_create(NULL, (cvl_ctx **)state);
}

static int tear_down(void **state)
{
    cvl_ctx_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts_change_nothing),          cmocka_unit_test(types_change_nothing),
        cmocka_unit_test(backward_passes_are_derivatives), cmocka_unit_test(samples_are_different_elements),
        cmocka_unit_test(sampled_values_are_those_of_all), cmocka_unit_test(comparison_of_floats),
        cmocka_unit_test(comparison_of_what_is_not_finite), cmocka_unit_test(comparison_of_other_types),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
