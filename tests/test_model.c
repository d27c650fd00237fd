/* SPDX-License-Identifier: Apache-2.0
 * What the cache teaches about estimates: on records made up from errors that are known. */
#include "conv/registry.h"
#include "tuner/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define HERE 7u

static cvl_conv_desc problem(int c, int size, int batch)
{
    cvl_conv_desc desc;
    char text[CVL_CONV_TEXT_MAX];
    snprintf(text, sizeof text, "fwd:f32:nhwc:n%dc%dh%dw%dk%dr3s3:pad1:const", batch, c, size, size, c);
    assert_int_equal(cvl_conv_parse(text, &desc), CVL_OK);
    return desc;
}

/* A record whose time is `off` times its estimate. */
static struct cvl_record record(const cvl_conv_desc *desc, const char *candidate, double off)
{
    struct cvl_record made = { .environment = HERE, .state = CVL_HOT, .samples = 9, .estimate_ms = 2,
                               .median_ms = 2 * off };
    const struct cvl_algo *algo;
    struct cvl_variant variant;
    assert_int_equal(cvl_candidate_parse(candidate, &algo, &variant), CVL_OK);
    made.revision = algo->revision;
    cvl_conv_print(desc, made.problem, sizeof made.problem);
    snprintf(made.candidate, sizeof made.candidate, "%s", candidate);
    return made;
}

static struct cvl_correction correct(struct cvl_model *model, const cvl_conv_desc *desc, const char *candidate)
{
    const struct cvl_algo *algo;
    struct cvl_variant variant;
    assert_int_equal(cvl_candidate_parse(candidate, &algo, &variant), CVL_OK);
    return cvl_model_correct(model, algo, desc, &variant);
}

static struct cvl_model *empty_model(void)
{
    struct cvl_model *model;
    assert_int_equal(cvl_model_create(NULL, HERE, CVL_HOT, &model), CVL_OK);
    return model;
}

static void test_nothing_known_corrects_nothing(void **state)
{
    const cvl_conv_desc desc = problem(64, 56, 1);
    struct cvl_model *model = empty_model();
    const struct cvl_correction correction = correct(model, &desc, "direct");
    assert_true(correction.factor == 1 && correction.spread == CVL_SPREAD_UNKNOWN);
    cvl_model_destroy(model);
}

/* What is always off by the same factor is found, far from the records too, and the more certain the more there are. */
static void test_a_bias_is_learnt(void **state)
{
    struct cvl_model *model = empty_model();
    const cvl_conv_desc near = problem(96, 28, 1), far = problem(512, 7, 8);
    double spread = CVL_SPREAD_UNKNOWN;
    for (int i = 0; i < 40; i++) {
        const cvl_conv_desc desc = problem(32 << i % 4, 7 << i % 3, 1 + i / 12);
        const struct cvl_record one = record(&desc, "direct", 1.5);
        cvl_model_add(model, &one);
        const struct cvl_correction correction = correct(model, &desc, "direct");
        assert_true(correction.spread < spread + 1e-9 || i % 12);
        spread = i % 12 ? spread : correction.spread;
    }
    assert_int_equal(cvl_model_count(model), 40);
    assert_true(fabs(correct(model, &near, "direct").factor - 1.5) < 0.05);
    assert_true(fabs(correct(model, &far, "direct").factor - 1.5) < 0.1);
    assert_true(correct(model, &near, "direct").spread < 0.3);
    assert_true(correct(model, &near, "im2col").factor == 1);    /* another algorithm */
    cvl_conv_desc backward = near;
    backward.pass = CVL_BWD_DATA;
    assert_true(correct(model, &backward, "direct").factor == 1);
    cvl_model_destroy(model);
}

/* Off by 2 where images are large, by 1/2 where they are small: the neighbours decide, and the knobs count. */
static void test_neighbours_and_knobs_count(void **state)
{
    struct cvl_model *model = empty_model();
    const cvl_conv_desc large = problem(64, 60, 1), small = problem(64, 6, 1);
    for (int i = 0; i < 12; i++) {
        const cvl_conv_desc a = problem(48 + 4 * i, 56 + i, 1), b = problem(48 + 4 * i, 5 + i % 3, 1);
        const struct cvl_record records[] = {
            record(&a, "im2col", 2), record(&b, "im2col", 0.5),
            record(&a, "im2col:rows=28", 1), record(&b, "im2col:rows=28", 1),
        };
        for (int j = 0; j < 4; j++)
            cvl_model_add(model, &records[j]);
    }
    assert_true(correct(model, &large, "im2col").factor > 1.8);
    assert_true(correct(model, &small, "im2col").factor < 0.6);
    assert_true(fabs(log(correct(model, &large, "im2col:rows=28").factor)) < 0.12);
    cvl_model_destroy(model);
}

/* A candidate of another kind, three times as slow as estimated, is off by itself: far from all records too. */
static void test_settings_have_offsets(void **state)
{
    struct cvl_model *model = empty_model();
    const cvl_conv_desc far = problem(2048, 65, 1);
    for (int i = 0; i < 24; i++) {
        const cvl_conv_desc desc = problem(32 << i % 4, 7 << i % 3, 1);
        const struct cvl_record plain = record(&desc, "im2col", 1), slow = record(&desc, "im2col:rows=28", 3);
        cvl_model_add(model, &plain);
        cvl_model_add(model, &slow);
    }
    assert_true(correct(model, &far, "im2col").factor < 1.2);
    assert_true(correct(model, &far, "im2col:rows=28").factor > 2.2);
    const double unknown = correct(model, &far, "im2col:rows=5").factor;
    assert_true(unknown > 1.2 && unknown < 2.2);
    cvl_model_destroy(model);
}

static void test_a_single_sample_says_little(void **state)
{
    double factor[2];
    for (int samples = 1; samples < 10; samples += 8) {
        struct cvl_model *model = empty_model();
        const cvl_conv_desc desc = problem(64, 28, 1);
        struct cvl_record one = record(&desc, "direct", 3);
        one.samples = samples;
        cvl_model_add(model, &one);
        factor[samples > 1] = correct(model, &desc, "direct").factor;
        cvl_model_destroy(model);
    }
    assert_true(factor[0] > 1.05 && factor[0] < 1 + 0.7 * (factor[1] - 1));
}

static void test_records_that_do_not_count(void **state)
{
    struct cvl_model *model = empty_model();
    const cvl_conv_desc desc = problem(64, 56, 1);
    for (int i = 0; i < 8; i++) {
        struct cvl_record one = record(&desc, "direct", 3);
        switch (i) {
        case 0: one.environment++; break;
        case 1: one.state = CVL_COLD; break;
        case 2: one.samples = 0; break;
        case 3: one.median_ms = INFINITY; break;
        case 4: one.estimate_ms = 0; break;
        case 5: one.revision++; break;
        case 6: snprintf(one.candidate, sizeof one.candidate, "of_another_build:m=4"); break;
        case 7: snprintf(one.problem, sizeof one.problem, "fwd:nonsense"); break;
        }
        cvl_model_add(model, &one);
    }
    assert_int_equal(cvl_model_count(model), 0);
    struct cvl_record corrected = record(&desc, "direct", 1);   /* the correction it was given is not learnt again */
    corrected.raw_ms = corrected.estimate_ms / 4;
    cvl_model_add(model, &corrected);
    assert_true(correct(model, &desc, "direct").factor > 2);
    cvl_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_known_corrects_nothing),
        cmocka_unit_test(test_a_bias_is_learnt),
        cmocka_unit_test(test_neighbours_and_knobs_count),
        cmocka_unit_test(test_settings_have_offsets),
        cmocka_unit_test(test_a_single_sample_says_little),
        cmocka_unit_test(test_records_that_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
