/* SPDX-License-Identifier: Apache-2.0
 * What a second measurement makes of the records of a first one, and how the choice takes it. */
#include "base/random.h"
#include "tuner/choose.h"
#include "tuner/pool.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define MANY 12
#define LENGTH(array) ((int)(sizeof(array) / sizeof *(array)))

/* Of one run: its interval is ms +- share of it. */
static struct cvl_record record(const char *candidate, double ms, double share, int samples, uint64_t race)
{
    struct cvl_record made = {
        .problem = "fwd:f32:nchw:n1c64h56w56k64r3s3:pad1", .outcome = CVL_OUTCOME_OK, .revision = 1, .samples = samples,
        .median_ms = ms, .min_ms = ms * (1 - 2 * share), .ci_low_ms = ms * (1 - share), .ci_high_ms = ms * (1 + share),
        .estimate_ms = 2 * ms, .rel_error = 1e-7, .l2_error = 1e-7, .deterministic = true, .when = 1000, .race = race,
    };
    snprintf(made.candidate, sizeof made.candidate, "%s", candidate);
    return made;
}

/* a, b, c... in one run, 9 samples each, known to half a percent. */
static void run_of(const double *ms, int count, uint64_t race, struct cvl_record *records)
{
    for (int i = 0; i < count; i++) {
        const char name[2] = { (char)('a' + i), '\0' };
        records[i] = record(name, ms[i], 0.005, 9, race);
        records[i].when = 1000 + (int64_t)race;
        records[i].rel_error = 1e-6 / (i + 1);   /* the later, the better for a tie */
    }
}

static double width(const struct cvl_record *one)
{
    return log(one->ci_high_ms / one->ci_low_ms);
}

static void assert_near(double value, double expected)
{
    if (!(fabs(value - expected) <= 2e-4 * expected))
        fail_msg("%.6g, expected %.6g", value, expected);
}

static enum cvl_verdict verdict_of(const struct cvl_record *records, int count, int which)
{
    const struct cvl_limits limits = { .max_workspace = SIZE_MAX, .max_error = 1, .allow = "a,b,c,d,e" };
    struct cvl_judgement judgements[MANY];
    cvl_choose(records, count, &limits, judgements);
    return judgements[which].verdict;
}

/* All of them a tenth slower: the machine was, and nobody is less certain for it. */
static void test_the_runs_part_widens_nothing(void **state)
{
    const double first[] = { 1, 1.1, 1.2, 1.3 }, second[] = { 1.1, 1.21, 1.32, 1.43 };
    struct cvl_record stored[4], measured[4];
    run_of(first, 4, 1, stored);
    run_of(second, 4, 2, measured);
    assert_int_equal(cvl_pool(stored, 4, measured, 4), CVL_OK);
    for (int i = 0; i < 4; i++) {
        assert_near(measured[i].median_ms, first[i] * sqrt(1.1));
        assert_true(width(&measured[i]) < width(&stored[i]));
        assert_near(sqrt(measured[i].ratio_low * measured[i].ratio_high), first[i]);
        assert_true(measured[i].race == 2 && measured[i].min_ms <= measured[i].ci_low_ms);
    }
}

static void test_a_stable_pair_stays_decided(void **state)
{
    const double first[] = { 1, 1.03, 1.2, 1.3, 1.4 }, second[] = { 1.001, 1.032, 1.199, 1.302, 1.403 };
    struct cvl_record stored[5], measured[5];
    run_of(first, 5, 1, stored);
    run_of(second, 5, 2, measured);
    assert_int_equal(cvl_pool(stored, 5, measured, 5), CVL_OK);
    assert_int_equal(verdict_of(measured, 5, 0), CVL_VERDICT_CHOSEN);
    assert_int_equal(verdict_of(measured, 5, 1), CVL_VERDICT_SLOWER);
    assert_true(measured[1].ratio_low > 1);
}

/* Each run for itself is certain of another order, by more than what counts as a tie; so is their mean. */
static void test_an_unstable_pair_ties(void **state)
{
    const double first[] = { 1, 1.03, 1.2, 1.3, 1.4 }, second[] = { 1.1, 1, 1.199, 1.302, 1.403 };
    struct cvl_record stored[5], measured[5];
    run_of(first, 5, 1, stored);
    run_of(second, 5, 2, measured);
    measured[0].rel_error = stored[0].rel_error = 1e-9;
    assert_int_equal(verdict_of(stored, 5, 1), CVL_VERDICT_SLOWER);
    assert_int_equal(verdict_of(measured, 5, 0), CVL_VERDICT_SLOWER);
    assert_int_equal(cvl_pool(stored, 5, measured, 5), CVL_OK);
    assert_true(measured[0].median_ms > 1.02 * measured[1].median_ms);
    assert_int_equal(verdict_of(measured, 5, 0), CVL_VERDICT_CHOSEN);   /* for its error */
    assert_int_equal(verdict_of(measured, 5, 1), CVL_VERDICT_TIED);
    assert_int_equal(verdict_of(measured, 5, 2), CVL_VERDICT_SLOWER);
}

static void test_samples_add_up_and_win_the_merge(void **state)
{
    const double first[] = { 1, 1.1, 1.2 }, second[] = { 1.01, 1.1, 1.2 };
    struct cvl_record stored[3], measured[3];
    char old_line[CVL_LINE_MAX], new_line[CVL_LINE_MAX];
    run_of(first, 3, 1, stored);
    for (int runs = 2; runs < 5; runs++) {
        run_of(second, 3, (uint64_t)runs, measured);
        measured[1].samples = 2;
        measured[1].when = 1;   /* a clock that was set back */
        assert_int_equal(cvl_pool(stored, 3, measured, 3), CVL_OK);
        for (int i = 0; i < 3; i++) {
            struct cvl_record read;
            const size_t length = cvl_record_print(&measured[i], new_line);
            assert_int_equal(measured[i].samples, stored[i].samples + (i == 1 ? 2 : 9));
            assert_int_equal(measured[i].runs, runs);
            assert_true(measured[i].estimate_ms == stored[i].estimate_ms);
            assert_true(cvl_line_compare(new_line, length, old_line, cvl_record_print(&stored[i], old_line)) > 0);
            assert_int_equal(cvl_record_parse(new_line, length, &read), CVL_OK);
            assert_int_equal(read.runs, runs);
        }
        memcpy(stored, measured, sizeof stored);
    }
}

/* The more samples, the more a run counts. */
static void test_weights_grow_with_samples(void **state)
{
    const double first[] = { 1, 1, 1, 1, 1 }, second[] = { 1, 1, 1.1, 1, 1 };
    double before = 1;
    for (int samples = 1; samples <= 15; samples++) {
        struct cvl_record stored[5], measured[5];
        run_of(first, 5, 1, stored);
        run_of(second, 5, 2, measured);
        measured[2].samples = samples;   /* the others' make it conclusive */
        assert_int_equal(cvl_pool(stored, 5, measured, 5), CVL_OK);
        assert_true(measured[2].median_ms > before && measured[2].median_ms < 1.06);
        before = measured[2].median_ms;
    }
}

static void test_what_is_new_stays_as_measured(void **state)
{
    const double first[] = { 1, 1.1, 1.2 }, second[] = { 1.21, 1.331, 1.452, 1.21 };
    struct cvl_record stored[3], measured[4];
    run_of(first, 3, 1, stored);
    run_of(second, 4, 2, measured);
    measured[3].ratio_low = measured[3].ratio_high = 1;
    assert_int_equal(cvl_pool(stored, 3, measured, 4), CVL_OK);
    assert_near(measured[3].median_ms, measured[0].median_ms);   /* the pooled level */
    assert_near(width(&measured[3]), log(1.005 / 0.995));
    assert_true(measured[3].samples == 9 && measured[3].runs == 0);
    assert_true(measured[3].race == 0 && measured[3].ratio_high == 0);   /* it was in no other run */
}

static void test_alone_it_is_as_measured(void **state)
{
    const double ms[] = { 1, 1.1 };
    struct cvl_record measured[2], before[2];
    run_of(ms, 2, 2, measured);
    memcpy(before, measured, sizeof before);
    assert_int_equal(cvl_pool(NULL, 0, measured, 2), CVL_OK);
    assert_memory_equal(measured, before, sizeof before);
    assert_int_equal(cvl_pool(before, 2, measured, 0), CVL_OK);
}

static void test_another_revision_is_not_pooled(void **state)
{
    const double first[] = { 1, 1.1, 1.2 }, second[] = { 1, 1.1, 0.6 };
    struct cvl_record stored[3], measured[3];
    run_of(first, 3, 1, stored);
    run_of(second, 3, 2, measured);
    measured[2].revision = 2;
    assert_int_equal(cvl_pool(stored, 3, measured, 3), CVL_OK);
    assert_true(measured[2].median_ms == 0.6 && measured[2].samples == 9 && measured[2].runs == 0);
    assert_int_equal(measured[0].samples, 18);
}

/* Those that this run had no time for, or did not ask for, compare with the others as they are. */
static void test_the_level_stays_when_a_rival_was_not_measured(void **state)
{
    const double first[] = { 1, 1.1, 1.04, 1.7 }, second[] = { 1.2, 1.32 };
    for (int missing = 0; missing < 2; missing++) {
        struct cvl_record stored[4], measured[2];
        run_of(first, 4, 1, stored);
        run_of(second, 2, 2, measured);
        if (missing == 0)
            stored[2].median_ms = 1.6;
        assert_int_equal(cvl_pool(stored, 4, measured, 2), CVL_OK);
        assert_near(measured[0].median_ms, missing ? 1 : sqrt(1.2));
        assert_near(measured[1].median_ms, missing ? 1.1 : 1.1 * sqrt(1.2));
        assert_true(measured[0].min_ms <= measured[0].median_ms);
    }
}

/* Stopped after a sample or two of each, all but one of them disturbed. */
static void test_a_fragment_adds_nothing(void **state)
{
    const double first[] = { 1, 1.1, 1.2 }, second[] = { 1.2, 5.5, 6, 7 };
    struct cvl_record stored[3], measured[4];
    run_of(first, 3, 1, stored);
    run_of(second, 4, 2, measured);
    for (int i = 0; i < 4; i++)
        measured[i].samples = 2;
    assert_int_equal(cvl_pool(stored, 3, measured, 4), CVL_OK);
    assert_memory_equal(measured, stored, sizeof stored);
    assert_true(measured[3].median_ms == 7);   /* nothing else is known of it */

    for (int i = 0; i < 3; i++)
        stored[i].samples = 3;
    run_of(second, 4, 2, measured);
    assert_int_equal(cvl_pool(stored, 3, measured, 4), CVL_OK);
    assert_int_equal(measured[0].samples, 12);
}

static void test_wrong_takes_its_records_place(void **state)
{
    const double ms[] = { 1, 1.1 };
    struct cvl_record stored[2], measured[2];
    char old_line[CVL_LINE_MAX], new_line[CVL_LINE_MAX];
    run_of(ms, 2, 1, stored);
    run_of(ms, 2, 2, measured);
    stored[0].samples = 40;
    measured[0] = (struct cvl_record){ .outcome = CVL_OUTCOME_WRONG, .revision = 1, .rel_error = 0.5, .when = 2000,
                                       .candidate = "a" };
    memcpy(measured[0].problem, stored[0].problem, sizeof stored[0].problem);
    assert_int_equal(cvl_pool(stored, 2, measured, 2), CVL_OK);
    assert_true(measured[0].outcome == CVL_OUTCOME_WRONG && measured[0].rel_error == 0.5);
    assert_true(cvl_line_compare(new_line, cvl_record_print(&measured[0], new_line), old_line,
                                 cvl_record_print(&stored[0], old_line)) > 0);
    assert_int_equal(verdict_of(measured, 2, 0), CVL_VERDICT_UNUSABLE);
    assert_int_equal(measured[1].samples, 18);
}

/* Whatever a file says. */
static void test_odd_records_make_finite_ones(void **state)
{
    static const struct { double ms, low, high, min; int samples, runs; } odd[] = {
        { 1, 1, 1, 1, 9, 0 }, { 1, 0, 0, 0, 9, 3 }, { 1, 0.9, HUGE_VAL, 0, 1, 0 }, { 1, 2, 1, 3, INT32_MAX, INT32_MAX },
        { 1e-300, 0, 1e300, 0, 9, 2 }, { HUGE_VAL, 1, HUGE_VAL, 1, 9, 0 }, { 0, 0, 0, 0, 9, 0 }, { 1, 1, 1, 1, 0, 0 },
    };
    for (int i = 0; i < LENGTH(odd); i++)
        for (int count = 1; count < 4; count++) {
            const double ms[] = { 1, 1, 1.1 };
            struct cvl_record stored[3], measured[3];
            char line[CVL_LINE_MAX];
            run_of(ms, count, 1, stored);
            run_of(ms, count, 2, measured);
            stored[0].median_ms = odd[i].ms;
            stored[0].ci_low_ms = odd[i].low;
            stored[0].ci_high_ms = odd[i].high;
            stored[0].min_ms = odd[i].min;
            stored[0].samples = odd[i].samples;
            stored[0].runs = odd[i].runs;
            assert_int_equal(cvl_pool(stored, count, measured, count), CVL_OK);
            for (int j = 0; j < count; j++) {
                const struct cvl_record *one = &measured[j];
                assert_true(one->samples >= 9 && isfinite(one->median_ms) && one->median_ms > 0);
                assert_true(one->ci_low_ms <= one->median_ms && one->median_ms <= one->ci_high_ms);
                assert_true(one->ratio_low <= one->ratio_high && !isnan(one->ratio_high) && !isnan(one->min_ms));
                assert_true(cvl_record_print(one, line) > 0);
            }
        }
}

static void test_order_does_not_matter(void **state)
{
    const double first[] = { 1, 1.02, 1.2, 1.3, 1.4 }, second[] = { 1.07, 1, 1.31, 1.302, 1.5 };
    struct cvl_record stored[5], measured[5], turned_stored[5], turned[5];
    run_of(first, 5, 1, stored);
    run_of(second, 5, 2, measured);
    measured[3].samples = 2;
    for (int i = 0; i < 5; i++) {
        turned_stored[i] = stored[(i + 2) % 5];
        turned[i] = measured[4 - i];
    }
    assert_int_equal(cvl_pool(stored, 5, measured, 5), CVL_OK);
    assert_int_equal(cvl_pool(turned_stored, 5, turned, 5), CVL_OK);
    for (int i = 0; i < 5; i++)
        assert_memory_equal(&turned[i], &measured[4 - i], sizeof *turned);
}

/* ---- the promise, on runs of the model ---- */

static double normal(struct cvl_random *random)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += cvl_random_unit(random);
    return sum;
}

/* 1, 1.01, 1.02... in truth; every run has a part of its own, and a part of each candidate. */
static void simulate(struct cvl_random *random, uint64_t race, struct cvl_record *records)
{
    const double run = 0.05 * normal(random);
    double ms[MANY];
    for (int i = 0; i < MANY; i++)
        ms[i] = (1 + 0.01 * i) * exp(run + 0.02 * normal(random));
    run_of(ms, MANY, race, records);
}

/* Of the ratio of two candidates, most often. The intervals of one run alone hold it in less than half of the cases. */
static void test_intervals_cover(void **state)
{
    struct cvl_random random = { 7 };
    int covered = 0, alone = 0, all = 0;
    for (int trial = 0; trial < 300; trial++) {
        struct cvl_record stored[MANY], measured[MANY];
        simulate(&random, 1, stored);
        for (uint64_t run = 2; run < 5; run++) {
            simulate(&random, run, measured);
            assert_int_equal(cvl_pool(stored, MANY, measured, MANY), CVL_OK);
            if (run < 4)
                memcpy(stored, measured, sizeof stored);
        }
        int fastest = 0;
        for (int i = 0; i < MANY; i++)
            fastest = measured[i].ratio_high == 1 && measured[i].ratio_low == 1 ? i : fastest;
        simulate(&random, 5, stored);
        for (int i = 0; i < MANY; i++) {
            const double truth = (1 + 0.01 * i) / (1 + 0.01 * fastest);
            if (i == fastest)
                continue;
            all++;
            covered += measured[i].ratio_low <= truth && truth <= measured[i].ratio_high;
            alone += stored[i].ci_low_ms / stored[fastest].ci_high_ms <= truth
                     && truth <= stored[i].ci_high_ms / stored[fastest].ci_low_ms;
        }
    }
    assert_true(covered > 0.85 * all && covered < 0.99 * all);
    assert_true(alone < 0.5 * all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_runs_part_widens_nothing),
        cmocka_unit_test(test_a_stable_pair_stays_decided),
        cmocka_unit_test(test_an_unstable_pair_ties),
        cmocka_unit_test(test_samples_add_up_and_win_the_merge),
        cmocka_unit_test(test_weights_grow_with_samples),
        cmocka_unit_test(test_what_is_new_stays_as_measured),
        cmocka_unit_test(test_alone_it_is_as_measured),
        cmocka_unit_test(test_another_revision_is_not_pooled),
        cmocka_unit_test(test_the_level_stays_when_a_rival_was_not_measured),
        cmocka_unit_test(test_a_fragment_adds_nothing),
        cmocka_unit_test(test_wrong_takes_its_records_place),
        cmocka_unit_test(test_odd_records_make_finite_ones),
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_intervals_cover),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
