/* SPDX-License-Identifier: Apache-2.0
 * The selector's policy on the algorithms of this build: what each mode measures, remembers and answers. Nothing here
 * depends on which candidate is the fastest. */
#include "conv/registry.h"
#include "tests/tuner_fixture.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- tune ---- */

static void test_tune_measures_once(void **state)
{
    struct fixture *f = *state;
    cvl_result rows[ROWS], again[ROWS];
    int count, count_again;
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_TUNE);
    const cvl_plan *plan = plan_of(tuner, &f->desc, NULL);
    const int measured = f->progress, chosen = rows_of(tuner, &f->desc, NULL, rows, &count);
    assert_true(measured > 0 && chosen >= 0);
    assert_string_equal(cvl_plan_candidate(plan), rows[chosen].candidate);
    assert_int_equal(cvl_plan_workspace_size(plan), rows[chosen].workspace_bytes);
    for (int i = 0; i < count; i++)
        assert_true(rows[i].source != CVL_SOURCE_CACHE);
    assert_int_equal(rows[chosen].source, CVL_SOURCE_MEASURED);
    assert_ptr_equal(plan_of(tuner, &f->desc, NULL), plan);
    assert_int_equal(f->progress, measured);
    assert_int_equal(cvl_tuner_close(tuner), CVL_OK);

    tuner = open_tuner(f, CVL_MODE_TUNE);
    assert_int_equal(rows_of(tuner, &f->desc, NULL, again, &count_again), chosen);
    assert_int_equal(f->progress, measured);
    assert_int_equal(count_again, count);
    for (int i = 0; i < count; i++) {
        assert_string_equal(again[i].candidate, rows[i].candidate);
        assert_true(again[i].source != CVL_SOURCE_MEASURED && again[i].median_ms == rows[i].median_ms);
        assert_int_equal(again[i].outcome, rows[i].outcome);
    }
    assert_int_equal(again[chosen].source, CVL_SOURCE_CACHE);
    assert_int_equal(cvl_tuner_close(tuner), CVL_OK);
}

static void test_rows_are_the_registry(void **state)
{
    struct fixture *f = *state;
    cvl_result rows[ROWS];
    int count, row = 0;
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_TUNE);
    rows_of(tuner, &f->desc, NULL, rows, &count);
    for (int a = 0; cvl_algo_name(a); a++) {
        char names[CVL_VARIANTS_MAX][CVL_CANDIDATE_MAX];
        if (strcmp(cvl_algo_name(a), "reference") == 0 || cvl_algos[a]->peer)
            continue;
        if (cvl_algo_reject(f->ctx, cvl_algo_name(a), &f->desc)) {
            assert_string_equal(rows[row].candidate, cvl_algo_name(a));
            assert_int_equal(rows[row++].outcome, CVL_OUTCOME_REJECTED);
            continue;
        }
        const int variants = cvl_algo_candidates(f->ctx, cvl_algo_name(a), &f->desc, names, CVL_VARIANTS_MAX);
        for (int i = 0; i < variants; i++)
            assert_string_equal(rows[row++].candidate, names[i]);
    }
    assert_int_equal(row, count);
    cvl_tuner_close(tuner);
}

static void test_results_say_how_many_there_are(void **state)
{
    struct fixture *f = *state;
    cvl_result rows[ROWS], one = { .samples = -7 };
    int count, all;
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_ESTIMATE);
    rows_of(tuner, &f->desc, NULL, rows, &all);
    assert_int_equal(cvl_tuner_results(tuner, &f->desc, NULL, &one, 0, &count), CVL_OK);
    assert_int_equal(count, all);
    assert_int_equal(one.samples, -7);
    cvl_tuner_close(tuner);
}

static void test_limits_are_answered_from_records(void **state)
{
    struct fixture *f = *state;
    cvl_result rows[ROWS];
    cvl_query query = limits();
    int count;
    tune(f);
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_TUNE);
    query.max_workspace = 0;
    const cvl_plan *plan = plan_of(tuner, &f->desc, &query);
    assert_int_equal(cvl_plan_workspace_size(plan), 0);
    const int chosen = rows_of(tuner, &f->desc, &query, rows, &count);
    assert_int_equal(rows[chosen].source, CVL_SOURCE_CACHE);
    for (int i = 0; i < count; i++)
        assert_true(rows[i].outcome == CVL_OUTCOME_OVER_LIMIT || rows[i].workspace_bytes == 0);

    query = limits();
    query.deny = "direct";
    assert_int_not_equal(strncmp(cvl_plan_candidate(plan_of(tuner, &f->desc, &query)), "direct", 6), 0);
    rows_of(tuner, &f->desc, &query, rows, &count);
    for (int i = 0; i < count; i++)
        assert_null(strstr(rows[i].candidate, "direct"));

    query = limits();
    query.max_error = 1e-30;
    assert_int_equal(cvl_tuner_plan(tuner, &f->desc, &query, &plan), CVL_ENOTFOUND);
    assert_null(plan);
    assert_non_null(strstr(cvl_last_error(), PROBLEM));
    assert_int_equal(rows_of(tuner, &f->desc, &query, rows, &count), -1);
    for (int i = 0; i < count; i++)
        if (rows[i].outcome == CVL_OUTCOME_OVER_LIMIT)
            assert_non_null(strstr(rows[i].reason, "the limit is 1e-30"));
    assert_int_equal(f->progress, 0);
    cvl_tuner_close(tuner);
}

static void test_no_workspace_always_has_an_answer(void **state)
{
    static const char *const problems[] = {
        PROBLEM, "fwd:f32:nhwc:n2c5h9w7k6r3s3:stride2", "bwd_data:f32:nchw:n1c4h8w8k4r3s3:pad1",
        "bwd_filter:f32:nhwc:n1c4h8w8k4r3s3:pad1", "fwd:f32:nchw:n1c8h8w8k8r3s3:pad1:g8",
        "fwd:bf16:nchw:n1c4h6w6k4r3s3", "fwd:u8-s8-s32:nhwc:n1c4h6w6k4r3s3", "fwd:f32:nchw:n0c4h6w6k4r3s3",
        "fwd:f32:nchw:n1c4h6w6k4r1s1:const",
    };
    static const cvl_mode modes[] = { CVL_MODE_ESTIMATE, CVL_MODE_CACHED, CVL_MODE_TUNE, CVL_MODE_EXHAUSTIVE };
    struct fixture *f = *state;
    cvl_query query = limits();
    query.max_workspace = 0;
    for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
        cvl_tuner *tuner = open_tuner(f, modes[m]);
        for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
            cvl_conv_desc desc;
            assert_int_equal(cvl_conv_parse(problems[i], &desc), CVL_OK);
            assert_int_equal(cvl_plan_workspace_size(plan_of(tuner, &desc, &query)), 0);
        }
        cvl_tuner_close(tuner);
    }
}

/* ---- other modes ---- */

static void test_estimate_never_measures_or_reads(void **state)
{
    struct fixture *f = *state;
    cvl_result rows[ROWS];
    int count;
    tune(f);
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_ESTIMATE);
    const int chosen = rows_of(tuner, &f->desc, NULL, rows, &count);
    for (int i = 0; i < count; i++) {
        assert_true(rows[i].source == CVL_SOURCE_ESTIMATE || rows[i].outcome == CVL_OUTCOME_REJECTED);
        assert_int_equal(rows[i].samples, 0);
        assert_true(rows[i].rel_error < 0);
        assert_true(rows[i].outcome != CVL_OUTCOME_OK || rows[i].estimate_ms >= rows[chosen].estimate_ms);
    }
    assert_int_equal(f->progress, 0);
    cvl_tuner_close(tuner);
}

static void test_cached_notes_a_miss(void **state)
{
    struct fixture *f = *state;
    cvl_result rows[ROWS];
    int count;
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_CACHED);
    const int chosen = rows_of(tuner, &f->desc, NULL, rows, &count);
    assert_int_equal(rows[chosen].source, CVL_SOURCE_ESTIMATE);
    assert_int_equal(cvl_tuner_close(tuner), CVL_OK);
    assert_int_equal(f->progress, 0);
    assert_int_equal(count_wants(f), 1);
}

static void test_cached_answers_from_the_cache(void **state)
{
    struct fixture *f = *state;
    cvl_result rows[ROWS];
    int count;
    tune(f);
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_CACHED);
    const int chosen = rows_of(tuner, &f->desc, NULL, rows, &count);
    assert_int_equal(rows[chosen].source, CVL_SOURCE_CACHE);
    assert_int_equal(cvl_tuner_close(tuner), CVL_OK);
    assert_int_equal(f->progress, 0);
    assert_int_equal(count_wants(f), 0);
}

static void test_frozen(void **state)
{
    struct fixture *f = *state;
    const cvl_plan *plan;
    cvl_conv_desc other;
    tune(f);
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_FROZEN);
    plan_of(tuner, &f->desc, NULL);
    assert_int_equal(cvl_conv_parse(OTHER_PROBLEM, &other), CVL_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cvl_tuner_plan(tuner, &other, NULL, &plan), CVL_ENOTFOUND);
        assert_non_null(strstr(cvl_last_error(), OTHER_PROBLEM));
        assert_non_null(strstr(cvl_last_error(), f->cache));
        assert_null(plan);
    }
    assert_int_equal(f->progress, 0);
    cvl_tuner_close(tuner);
}

static void test_exhaustive_measures_again(void **state)
{
    struct fixture *f = *state;
    cvl_query query = limits();
    cvl_result rows[ROWS];
    int count;
    tune(f);
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_EXHAUSTIVE);
    rows_of(tuner, &f->desc, NULL, rows, &count);
    for (int i = 0; i < count; i++)
        if (rows[i].outcome != CVL_OUTCOME_REJECTED) {
            assert_int_equal(rows[i].source, CVL_SOURCE_MEASURED);
            assert_int_equal(rows[i].samples, 15);
        }
    const int measured = f->progress;
    query.max_workspace = 0;
    plan_of(tuner, &f->desc, &query);
    assert_int_equal(f->progress, measured);
    cvl_tuner_close(tuner);
}

/* ---- budget ---- */

/* What is left on the table: much before anything is measured, afterwards as the records say, the same from the
 * cache. */
static void test_regret_is_bounded(void **state)
{
    struct fixture *f = *state;
    const char *const nobody = "nobody";
    cvl_query query = limits();
    double guessed, measured, cached, none = -1;
    f->options.budget_s = 0;
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_TUNE);
    assert_int_equal(cvl_tuner_regret(tuner, &f->desc, NULL, &guessed), CVL_OK);
    cvl_tuner_set_budget(tuner, 100);
    assert_int_equal(cvl_tuner_regret(tuner, &f->desc, NULL, &measured), CVL_OK);
    query.allow = nobody;
    assert_int_equal(cvl_tuner_regret(tuner, &f->desc, &query, &none), CVL_ENOTFOUND);
    assert_true(none == 0);
    cvl_tuner_close(tuner);
    tuner = open_tuner(f, CVL_MODE_CACHED);
    assert_int_equal(cvl_tuner_regret(tuner, &f->desc, NULL, &cached), CVL_OK);
    cvl_tuner_close(tuner);
    assert_true(guessed > 0.5 && measured >= 0);
    assert_true(fabs(cached - measured) < 1e-3 || cached < measured);
}

static void test_a_new_budget_is_spent(void **state)
{
    struct fixture *f = *state;
    cvl_result rows[ROWS];
    int count, chosen;
    f->options.budget_s = 0;
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_TUNE);
    const cvl_plan *guess = plan_of(tuner, &f->desc, NULL);
    chosen = rows_of(tuner, &f->desc, NULL, rows, &count);
    assert_int_equal(rows[chosen].source, CVL_SOURCE_ESTIMATE);
    assert_int_equal(f->progress, 0);
    cvl_tuner_set_budget(tuner, 100);
    const cvl_plan *plan = plan_of(tuner, &f->desc, NULL);
    chosen = rows_of(tuner, &f->desc, NULL, rows, &count);
    assert_int_equal(rows[chosen].source, CVL_SOURCE_MEASURED);
    assert_true(f->progress > 0);
    assert_ptr_not_equal(plan, guess);
    assert_int_equal(cvl_plan_workspace_size(guess), cvl_plan_workspace_size(guess));
    cvl_tuner_close(tuner);
}

static bool stop_at_third(void *arg, double done)
{
    return ++((struct fixture *)arg)->progress < 3;
}

static void test_a_stop_ends_the_budget(void **state)
{
    struct fixture *f = *state;
    cvl_result rows[ROWS];
    cvl_conv_desc other;
    int count;
    f->options.progress = stop_at_third;
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_TUNE);
    const int chosen = rows_of(tuner, &f->desc, NULL, rows, &count);
    assert_true(chosen >= 0);
    assert_int_equal(f->progress, 3);
    assert_int_equal(cvl_conv_parse(OTHER_PROBLEM, &other), CVL_OK);
    plan_of(tuner, &other, NULL);
    assert_int_equal(f->progress, 3);
    cvl_tuner_close(tuner);
}

/* ---- many plans, many threads ---- */

static void test_many_problems_keep_their_plans(void **state)
{
    enum { MANY = 300 };
    struct fixture *f = *state;
    const cvl_plan *plans[MANY];
    cvl_query query = limits();
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_ESTIMATE);
    for (int i = 0; i < MANY; i++) {
        f->desc.h = 3 + i;
        plans[i] = plan_of(tuner, &f->desc, NULL);
        for (int j = 0; j < i; j++)
            assert_ptr_not_equal(plans[i], plans[j]);
    }
    for (int i = 0; i < MANY; i++) {
        f->desc.h = 3 + i;
        assert_ptr_equal(plan_of(tuner, &f->desc, NULL), plans[i]);
        assert_ptr_equal(plan_of(tuner, &f->desc, &query), plans[i]);
    }
    query.deny = "im2col";
    assert_ptr_not_equal(plan_of(tuner, &f->desc, &query), plans[MANY - 1]);
    char same_word[] = "im2col";
    const cvl_plan *denied = plan_of(tuner, &f->desc, &query);
    query.deny = same_word;
    assert_ptr_equal(plan_of(tuner, &f->desc, &query), denied);
    cvl_tuner_close(tuner);
}

struct crowd {
    cvl_tuner           *tuner;
    const cvl_conv_desc *desc;
    int                  failures;
};

enum { PROBLEMS = 6, REPEATS = 200 };

static void *ask(void *arg)
{
    struct crowd *crowd = arg;
    for (int i = 0; i < REPEATS * PROBLEMS; i++) {
        cvl_conv_desc desc = *crowd->desc;
        const cvl_plan *plan = NULL;
        desc.w += i % PROBLEMS;
        if (cvl_tuner_plan(crowd->tuner, &desc, NULL, &plan) != CVL_OK || !plan || !*cvl_plan_candidate(plan))
            crowd->failures++;
    }
    return NULL;
}

static void test_many_threads_ask_at_once(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[4];
    struct crowd crowds[4];
    cvl_result rows[ROWS];
    int count;
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_TUNE);
    for (int i = 0; i < 4; i++) {
        crowds[i] = (struct crowd){ tuner, &f->desc, 0 };
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &crowds[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(crowds[i].failures, 0);
    }
    for (int i = 0; i < PROBLEMS; i++, f->desc.w++) {
        const int chosen = rows_of(tuner, &f->desc, NULL, rows, &count);
        assert_int_equal(rows[chosen].source, CVL_SOURCE_MEASURED);
    }
    cvl_tuner_close(tuner);
}

/* ---- the edge ---- */

static void test_bad_arguments(void **state)
{
    struct fixture *f = *state;
    const cvl_plan *plan;
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_ESTIMATE), *none;
    cvl_query query = limits();
    query.max_error = -1;
    assert_int_equal(cvl_tuner_plan(tuner, &f->desc, &query, &plan), CVL_EINVAL);
    assert_non_null(strstr(cvl_last_error(), "-1"));
    f->desc.c = -4;
    assert_int_equal(cvl_tuner_plan(tuner, &f->desc, NULL, &plan), CVL_EINVAL);
    assert_int_equal(cvl_tuner_plan(tuner, NULL, NULL, &plan), CVL_EINVAL);
    cvl_tuner_close(tuner);
    f->options.mode = (cvl_mode)77;
    assert_int_equal(cvl_tuner_open(f->ctx, &f->options, &none), CVL_EINVAL);
    assert_null(none);
    f->options.mode = CVL_MODE_TUNE;
    f->options.budget_s = NAN;
    assert_int_equal(cvl_tuner_open(f->ctx, &f->options, &none), CVL_EINVAL);
    assert_int_equal(cvl_tuner_close(NULL), CVL_OK);
}

static void test_variables_are_defaults(void **state)
{
    static const struct { const char *name, *good, *bad; } variables[] = {
        { "CVL_MODE", "frozen", "thaw" }, { "CVL_MAX_WORKSPACE", "4096", "4k" }, { "CVL_MAX_ERROR", "1e-3", "-1" },
        { "CVL_DETERMINISTIC", "1", "yes" },
    };
    struct fixture *f = *state;
    cvl_tuner_options options;
    cvl_tuner *tuner;
    setenv("CVL_DENY", "im2col", 1);
    for (int i = 0; i < 4; i++)
        setenv(variables[i].name, variables[i].good, 1);
    const cvl_query query = limits();
    cvl_tuner_options_init(&options);
    assert_int_equal(options.mode, CVL_MODE_FROZEN);
    assert_true(query.max_workspace == 4096 && query.max_error == 1e-3 && query.deterministic);
    assert_string_equal(query.deny, "im2col");
    for (int i = 0; i < 4; i++) {
        setenv(variables[i].name, variables[i].bad, 1);
        assert_int_equal(cvl_tuner_open(f->ctx, &f->options, &tuner), CVL_EINVAL);
        assert_non_null(strstr(cvl_last_error(), variables[i].name));
        assert_non_null(strstr(cvl_last_error(), variables[i].bad));
        unsetenv(variables[i].name);
    }
    unsetenv("CVL_DENY");
}

static void test_words(void **state)
{
    cvl_mode mode;
    cvl_state at;
    for (int i = CVL_MODE_ESTIMATE; i <= CVL_MODE_FROZEN; i++) {
        assert_int_equal(cvl_mode_parse(cvl_mode_name((cvl_mode)i), &mode), CVL_OK);
        assert_int_equal((int)mode, i);
    }
    for (int i = CVL_HOT; i <= CVL_COLD; i++) {
        assert_int_equal(cvl_state_parse(cvl_state_name((cvl_state)i), &at), CVL_OK);
        assert_int_equal((int)at, i);
    }
    assert_int_equal(cvl_mode_parse("tuned", &mode), CVL_EINVAL);
    assert_string_equal(cvl_last_error(),
                        "mode is 'tuned', expected one of estimate, cached, tune, exhaustive, frozen");
    assert_int_equal(cvl_state_parse("", &at), CVL_EINVAL);
    assert_string_equal(cvl_outcome_name(CVL_OUTCOME_OVER_LIMIT), "over_limit");
    assert_string_equal(cvl_source_name(CVL_SOURCE_MEASURED), "measured");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_tune_measures_once),
        TEST(test_rows_are_the_registry),
        TEST(test_results_say_how_many_there_are),
        TEST(test_limits_are_answered_from_records),
        TEST(test_no_workspace_always_has_an_answer),
        TEST(test_estimate_never_measures_or_reads),
        TEST(test_cached_notes_a_miss),
        TEST(test_cached_answers_from_the_cache),
        TEST(test_frozen),
        TEST(test_exhaustive_measures_again),
        TEST(test_regret_is_bounded),
        TEST(test_a_new_budget_is_spent),
        TEST(test_a_stop_ends_the_budget),
        TEST(test_many_problems_keep_their_plans),
        TEST(test_many_threads_ask_at_once),
        TEST(test_bad_arguments),
        TEST(test_variables_are_defaults),
        TEST(test_words),
    };
    clear_variables();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
