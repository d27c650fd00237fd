/* SPDX-License-Identifier: Apache-2.0
 * The median of a few timings and its interval. */
#include "base/random.h"
#include "tuner/stats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* Ranks of the 95 % interval of a median, as tables of nonparametric statistics give them. */
static void test_ranks(void **state)
{
    static const int table[][2] = { { 1, 1 }, { 2, 1 }, { 5, 1 }, { 6, 1 }, { 8, 1 }, { 9, 2 }, { 11, 2 }, { 12, 3 },
                                    { 15, 4 }, { 17, 5 }, { 20, 6 }, { 25, 8 }, { 30, 10 }, { 40, 14 }, { 50, 18 } };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_int_equal(cvl_stats_rank(table[i][0]), table[i][1]);
}

static void test_stats_of_few(void **state)
{
    const double odd[] = { 5, 1, 9, 2, 4, 3, 8, 7, 6 }, even[] = { 4, 1, 2, 3 };
    const struct cvl_stats nine = cvl_stats_of(odd, 9), four = cvl_stats_of(even, 4), one = cvl_stats_of(odd, 1);
    assert_true(nine.median == 5 && nine.min == 1 && nine.low == 2 && nine.high == 8 && nine.samples == 9);
    assert_true(four.median == 2.5 && four.low == 1 && four.high == 4);
    assert_true(one.median == 5 && one.low == 5 && one.high == 5);
}

/* The interval must hold the promised share of the time for a distribution with a long tail. */
static void test_interval_covers(void **state)
{
    struct cvl_random random = { 99 };
    const int trials = 20000, counts[] = { 6, 9, 15 };
    for (int c = 0; c < 3; c++) {
        int covered = 0;
        for (int trial = 0; trial < trials; trial++) {
            double values[15];
            for (int i = 0; i < counts[c]; i++)
                values[i] = 1 - log(1 - cvl_random_unit(&random));
            const struct cvl_stats stats = cvl_stats_of(values, counts[c]);
            covered += stats.low <= 1 + log(2) && stats.high >= 1 + log(2);
        }
        assert_true(covered >= 0.95 * trials);
        assert_true(covered <= 0.98 * trials);
    }
}

static void test_precise_needs_samples(void **state)
{
    const double same[] = { 1, 1, 1, 1, 1, 1 }, spread[] = { 1, 1, 1, 1.03, 1, 1 };
    const struct cvl_stats five = cvl_stats_of(same, 5), six = cvl_stats_of(same, 6), wide = cvl_stats_of(spread, 6);
    assert_false(cvl_stats_precise(&five, 0.02));
    assert_true(cvl_stats_precise(&six, 0.02));
    assert_false(cvl_stats_precise(&wide, 0.02));
    assert_true(cvl_stats_precise(&wide, 0.04));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_stats_of_few),
        cmocka_unit_test(test_interval_covers),
        cmocka_unit_test(test_precise_needs_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
