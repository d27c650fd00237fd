/* SPDX-License-Identifier: Apache-2.0
 * The selector and what is in its cache: records that these tests wrote, of this machine and of others, and caches that
 * are damaged or cannot be written. */
#include "conv/registry.h"
#include "tests/tuner_fixture.h"
#include "tuner/confirm.h"
#include "tuner/environment.h"
#include "tuner/store.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

/* Records of every candidate: the last one is the fastest, and each takes what its place says. */
static void write_records(struct fixture *f, const struct cvl_environment *environment, int revision_change,
                          cvl_outcome of_the_last, char last[CVL_CANDIDATE_MAX])
{
    struct cvl_store *store;
    cvl_result rows[ROWS];
    char line[CVL_LINE_MAX];
    int count;
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_ESTIMATE);
    rows_of(tuner, &f->desc, NULL, rows, &count);
    cvl_tuner_close(tuner);
    while (rows[count - 1].outcome != CVL_OUTCOME_OK)
        count--;
    assert_int_equal(cvl_store_open(f->ctx, f->cache, &store), CVL_OK);
    size_t length = cvl_environment_print(environment, line);
    assert_int_equal(cvl_store_add(store, line, length), CVL_OK);
    for (int i = 0; i < count; i++) {
        if (rows[i].outcome != CVL_OUTCOME_OK)
            continue;
        const double ms = 1 + count - i;
        const struct cvl_algo *algo = cvl_algo_find(rows[i].candidate, strcspn(rows[i].candidate, ":"));
        struct cvl_record record = {
            .environment = cvl_environment_id(environment), .revision = algo->revision, .samples = 9,
            .median_ms = ms, .min_ms = ms, .ci_low_ms = ms, .ci_high_ms = ms, .estimate_ms = 1,
            .rel_error = 1e-7, .l2_error = 1e-7, .workspace_bytes = rows[i].workspace_bytes,
            .deterministic = true, .when = 1700000000, .problem = PROBLEM,
        };
        if (i == count - 1) {
            record.revision += revision_change;
            record.outcome = of_the_last;
        }
        memcpy(record.candidate, rows[i].candidate, sizeof record.candidate);
        length = cvl_record_print(&record, line);
        assert_true(length > 0);
        assert_int_equal(cvl_store_add(store, line, length), CVL_OK);
    }
    cvl_store_close(store);
    memcpy(last, rows[count - 1].candidate, CVL_CANDIDATE_MAX);
}

static void test_records_decide(void **state)
{
    struct fixture *f = *state;
    const struct cvl_environment here = cvl_environment_of(f->ctx);
    char fastest[CVL_CANDIDATE_MAX];
    double regret;
    write_records(f, &here, 0, CVL_OUTCOME_OK, fastest);
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_TUNE);
    assert_string_equal(cvl_plan_candidate(plan_of(tuner, &f->desc, NULL)), fastest);
    assert_int_equal(cvl_tuner_regret(tuner, &f->desc, NULL, &regret), CVL_OK);
    assert_true(regret == 0);   /* their intervals are points */
    assert_int_equal(f->progress, 0);
    cvl_tuner_close(tuner);
}

/* A candidate that was listed when it was measured, and is no more. */
static void test_records_of_unlisted_candidates_decide(void **state)
{
    static const char unlisted[] = "im2col:rows=11";
    static const cvl_mode modes[] = { CVL_MODE_CACHED, CVL_MODE_TUNE, CVL_MODE_FROZEN };
    struct fixture *f = *state;
    const struct cvl_environment here = cvl_environment_of(f->ctx);
    struct cvl_record record = {
        .environment = cvl_environment_id(&here), .samples = 9, .median_ms = 1, .min_ms = 1, .ci_low_ms = 1,
        .ci_high_ms = 1, .rel_error = 1e-7, .l2_error = 1e-7, .deterministic = true, .when = 1700000000,
        .problem = PROBLEM,
    };
    const struct cvl_algo *algo = cvl_algo_find("im2col", 6);
    struct cvl_store *store;
    cvl_result rows[ROWS];
    char line[CVL_LINE_MAX], listed[CVL_CANDIDATE_MAX];
    int count;
    write_records(f, &here, 0, CVL_OUTCOME_OK, listed);   /* none in less than 2 ms */
    memcpy(record.candidate, unlisted, sizeof unlisted);
    assert_int_equal(cvl_store_open(f->ctx, f->cache, &store), CVL_OK);
    for (record.revision = algo->revision; record.revision < algo->revision + 2; record.revision++) {
        const size_t length = cvl_record_print(&record, line);
        assert_int_equal(cvl_store_add(store, line, length), CVL_OK);
        cvl_store_sync(store);
        for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
            cvl_tuner *tuner = open_tuner(f, modes[i]);
            const char *chosen = cvl_plan_candidate(plan_of(tuner, &f->desc, NULL));
            assert_string_equal(chosen, record.revision == algo->revision ? unlisted : listed);
            for (int row = rows_of(tuner, &f->desc, NULL, rows, &count), j = 0; j < count; j++)
                assert_true(j == row || strcmp(rows[j].candidate, unlisted) != 0);
            cvl_tuner_close(tuner);
        }
    }
    cvl_store_close(store);
    assert_int_equal(f->progress, 0);
}

static void test_wrong_records_forbid(void **state)
{
    struct fixture *f = *state;
    const struct cvl_environment here = cvl_environment_of(f->ctx);
    cvl_result rows[ROWS];
    int count;
    char wrong[CVL_CANDIDATE_MAX];
    write_records(f, &here, 0, CVL_OUTCOME_WRONG, wrong);
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_CACHED);
    assert_string_not_equal(cvl_plan_candidate(plan_of(tuner, &f->desc, NULL)), wrong);
    rows_of(tuner, &f->desc, NULL, rows, &count);
    for (int i = 0; i < count; i++)
        if (strcmp(rows[i].candidate, wrong) == 0)
            assert_int_equal(rows[i].outcome, CVL_OUTCOME_WRONG);
    cvl_tuner_close(tuner);
}

static void test_another_revision_is_void_alone(void **state)
{
    struct fixture *f = *state;
    const struct cvl_environment here = cvl_environment_of(f->ctx);
    char stale[CVL_CANDIDATE_MAX];
    write_records(f, &here, 1, CVL_OUTCOME_OK, stale);
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_FROZEN);
    assert_string_not_equal(cvl_plan_candidate(plan_of(tuner, &f->desc, NULL)), stale);
    cvl_tuner_close(tuner);
    assert_int_equal(f->progress, 0);
    tuner = open_tuner(f, CVL_MODE_TUNE);
    plan_of(tuner, &f->desc, NULL);
    assert_true(f->progress > 0);
    cvl_tuner_close(tuner);
}

static void test_a_cache_of_other_machines_is_told(void **state)
{
    struct fixture *f = *state;
    struct cvl_environment here = cvl_environment_of(f->ctx), far = here;
    char last[CVL_CANDIDATE_MAX];
    snprintf(far.cpu, sizeof far.cpu, "Abacus 3000");
    write_records(f, &far, 0, CVL_OUTCOME_OK, last);
    cvl_tuner_close(open_tuner(f, CVL_MODE_CACHED));
    const char *told = strstr(f->log, "other machines, such as Abacus 3000");
    assert_non_null(told);
    assert_null(strstr(told + 1, "other machines"));

    here.threads = 64;
    write_records(f, &here, 0, CVL_OUTCOME_OK, last);
    f->log[0] = '\0';
    cvl_tuner_close(open_tuner(f, CVL_MODE_CACHED));
    assert_null(strstr(f->log, "other machines"));
}

static void test_other_environments_are_a_prior(void **state)
{
    struct fixture *f = *state;
    struct cvl_environment near = cvl_environment_of(f->ctx), far;
    cvl_result rows[ROWS];
    char fastest[CVL_CANDIDATE_MAX];
    int count, chosen;
    far = near;
    near.threads = 64;
    snprintf(far.cpu, sizeof far.cpu, "Abacus 3000");
    write_records(f, &near, 0, CVL_OUTCOME_OK, fastest);
    write_records(f, &far, 0, CVL_OUTCOME_WRONG, fastest);

    cvl_tuner *tuner = open_tuner(f, CVL_MODE_FROZEN);
    chosen = rows_of(tuner, &f->desc, NULL, rows, &count);
    assert_string_equal(rows[chosen].candidate, fastest);
    assert_non_null(strstr(rows[chosen].reason, "another environment"));
    assert_non_null(strstr(rows[chosen].reason, "64 threads"));
    assert_non_null(strstr(f->log, "64 threads"));
    cvl_tuner_close(tuner);

    tuner = open_tuner(f, CVL_MODE_CACHED);
    assert_string_equal(cvl_plan_candidate(plan_of(tuner, &f->desc, NULL)), fastest);
    cvl_tuner_close(tuner);
    assert_int_equal(count_wants(f), 1);
    assert_int_equal(f->progress, 0);

    tuner = open_tuner(f, CVL_MODE_TUNE);
    chosen = rows_of(tuner, &f->desc, NULL, rows, &count);
    assert_true(f->progress > 0);
    assert_int_equal(rows[chosen].source, CVL_SOURCE_MEASURED);
    cvl_tuner_close(tuner);
}

/* What was measured of a row, made up. */
static void pretend(const struct cvl_survey *survey, int row, double ms)
{
    struct cvl_row *one = &survey->rows[row];
    one->recorded = true;
    one->result.outcome = CVL_OUTCOME_OK;
    one->result.samples = one->record.samples = 9;
    one->result.median_ms = one->record.median_ms = ms;
}

/* The two fastest of another machine stand here as they do there, or they do not. */
static void test_a_prior_is_confirmed_by_its_two_fastest(void **state)
{
    struct fixture *f = *state;
    const struct cvl_environment here = cvl_environment_of(f->ctx);
    struct cvl_environment far = here;
    struct cvl_store *store;
    char fastest[CVL_CANDIDATE_MAX];
    snprintf(far.cpu, sizeof far.cpu, "Abacus 3000");
    write_records(f, &far, 0, CVL_OUTCOME_OK, fastest);
    assert_int_equal(cvl_store_open(f->ctx, f->cache, &store), CVL_OK);
    for (int agrees = 0; agrees < 2; agrees++) {
        struct cvl_survey survey = { .state = CVL_HOT, .environment = here,
                                     .environment_id = cvl_environment_id(&here) };
        struct cvl_prior prior;
        int needless = 0, usable = 0;
        assert_int_equal(cvl_survey_create(f->ctx, &f->desc, NULL, &survey), CVL_OK);
        assert_true(cvl_prior_take(&survey, cvl_store_lines(store), &prior));
        assert_string_equal(survey.rows[prior.first].result.candidate, fastest);
        assert_true(prior.times > 1 && strstr(prior.where, "Abacus 3000"));
        assert_false(cvl_survey_recorded(&survey));
        for (int i = 0; i < survey.count; i++)
            assert_int_equal(survey.rows[i].sidelined, i != prior.first && i != prior.second);
        pretend(&survey, prior.first, 10);
        pretend(&survey, prior.second, 10 * prior.times * (agrees ? 1.09 : 1.11));
        assert_int_equal(cvl_prior_confirm(&survey, &prior), agrees);
        for (int i = 0; i < survey.count; i++) {
            const struct cvl_row *row = &survey.rows[i];
            usable += !row->unusable;
            needless += row->needless;
            assert_false(row->sidelined);
            assert_true(!row->needless || row->record.estimate_ms >= 20);
        }
        assert_int_equal(needless, agrees ? usable - 2 : 0);
        assert_int_equal(cvl_survey_complete(&survey), agrees);
        cvl_survey_destroy(&survey);
    }
    cvl_store_close(store);
}

static void test_a_prior_that_is_not_confirmed_is_measured(void **state)
{
    struct fixture *f = *state;
    struct cvl_environment far = cvl_environment_of(f->ctx);
    cvl_result rows[ROWS];
    char fastest[CVL_CANDIDATE_MAX];
    int count, measured = 0;
    snprintf(far.cpu, sizeof far.cpu, "Abacus 3000");
    write_records(f, &far, 0, CVL_OUTCOME_OK, fastest);
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_TUNE);
    const int chosen = rows_of(tuner, &f->desc, NULL, rows, &count);
    for (int i = 0; i < count; i++)
        measured += rows[i].samples > 0;
    assert_int_equal(rows[chosen].source, CVL_SOURCE_MEASURED);
    assert_true(measured >= 2);
    assert_non_null(strstr(f->log, "on Abacus 3000"));
    const bool confirmed = strstr(f->log, "which is confirmed");
    assert_true(confirmed == (measured == 2) || count == 2);
    cvl_tuner_close(tuner);
    f->progress = 0;
    tuner = open_tuner(f, CVL_MODE_TUNE);       /* either way it is settled */
    plan_of(tuner, &f->desc, NULL);
    assert_int_equal(f->progress, 0);
    cvl_tuner_close(tuner);
}

static void overwrite_caches(const struct fixture *f)
{
    DIR *directory = opendir(f->cache);
    const struct dirent *entry;
    char path[512];
    assert_non_null(directory);
    while ((entry = readdir(directory))) {
        snprintf(path, sizeof path, "%s/%s", f->cache, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "r+");
        if (!file)
            continue;
        for (int c, i = 0; (c = fgetc(file)) != EOF; i++)
            if (i > 40 && i % 50 == 0) {
                fseek(file, -1, SEEK_CUR);
                fputc(c == '\n' ? c : c ^ 1, file);
                fflush(file);
            }
        fclose(file);
    }
    closedir(directory);
}

static void test_a_damaged_cache_is_a_miss(void **state)
{
    struct fixture *f = *state;
    tune(f);
    overwrite_caches(f);
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_TUNE);
    plan_of(tuner, &f->desc, NULL);
    assert_true(f->progress > 0);
    assert_non_null(strstr(f->log, f->cache));
    assert_int_equal(cvl_tuner_close(tuner), CVL_OK);
    f->progress = 0;
    tuner = open_tuner(f, CVL_MODE_TUNE);
    plan_of(tuner, &f->desc, NULL);
    assert_int_equal(f->progress, 0);
    cvl_tuner_close(tuner);
}

/* ---- tuning again ---- */

/* Of PROBLEM, in this environment: the records with a time, sorted by candidate as the set does. */
static int stored_records(struct fixture *f, struct cvl_record records[ROWS])
{
    struct cvl_store *store;
    struct cvl_line lines[ROWS];
    int count = 0;
    assert_int_equal(cvl_store_open(f->ctx, f->cache, &store), CVL_OK);
    const int all = cvl_line_set_records(cvl_store_lines(store), CVL_HOT, PROBLEM, lines, ROWS);
    assert_true(all > 0 && all <= ROWS);
    for (int i = 0; i < all; i++) {
        assert_int_equal(cvl_record_parse(lines[i].text, lines[i].length, &records[count]), CVL_OK);
        count += records[count].samples > 0;
    }
    cvl_store_close(store);
    return count;
}

static const struct cvl_record *find_record(const struct cvl_record *records, int count, const char *candidate)
{
    for (int i = 0; i < count; i++)
        if (strcmp(records[i].candidate, candidate) == 0)
            return &records[i];
    fail_msg("no record of %s", candidate);
    return NULL;
}

static cvl_tuner *open_retuner(struct fixture *f)
{
    f->options.retune = true;
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_TUNE);
    f->options.retune = false;
    return tuner;
}

static void test_retune_pools(void **state)
{
    struct fixture *f = *state;
    struct cvl_record before[ROWS], after[ROWS];
    cvl_result rows[ROWS];
    cvl_query query = limits();
    int count, pooled = 0;
    tune(f);
    const int known = stored_records(f, before);
    cvl_tuner *tuner = open_retuner(f);
    const int chosen = rows_of(tuner, &f->desc, NULL, rows, &count);
    const int measured = f->progress;
    assert_true(measured > 0);
    query.max_workspace = 0;
    plan_of(tuner, &f->desc, &query);
    plan_of(tuner, &f->desc, NULL);
    cvl_tuner_set_budget(tuner, 100);
    plan_of(tuner, &f->desc, NULL);
    assert_int_equal(f->progress, measured);   /* once in its life */
    cvl_tuner_close(tuner);

    const int now = stored_records(f, after);
    assert_true(now >= known);
    for (int i = 0; i < known; i++) {
        const struct cvl_record *one = find_record(after, now, before[i].candidate);
        pooled += one->runs == 2;
        assert_true(one->runs == 2 ? one->samples > before[i].samples : one->samples == before[i].samples);
    }
    assert_true(pooled > 1);
    assert_int_equal(find_record(after, now, rows[chosen].candidate)->samples, rows[chosen].samples);
    assert_int_equal(rows[chosen].source, CVL_SOURCE_MEASURED);
    tuner = open_tuner(f, CVL_MODE_FROZEN);
    assert_string_equal(cvl_plan_candidate(plan_of(tuner, &f->desc, NULL)), rows[chosen].candidate);
    cvl_tuner_close(tuner);
}

static void test_retune_tunes_what_is_new(void **state)
{
    struct fixture *f = *state;
    struct cvl_record records[ROWS];
    cvl_tuner *tuner = open_retuner(f);
    plan_of(tuner, &f->desc, NULL);
    assert_true(f->progress > 0);
    cvl_tuner_close(tuner);
    for (int i = stored_records(f, records) - 1; i >= 0; i--)
        assert_int_equal(records[i].runs, 0);
}

static bool stop_at_fifth(void *arg, double done)
{
    return ++((struct fixture *)arg)->progress < 5;
}

/* Stopped before anybody had an interval, or without a budget: all is as it was. */
static void test_a_stopped_retune_loses_nothing(void **state)
{
    struct fixture *f = *state;
    struct cvl_record before[ROWS], after[ROWS];
    tune(f);
    const int known = stored_records(f, before);
    for (int stop = 0; stop < 2; stop++) {
        f->options.progress = stop ? stop_at_fifth : f->options.progress;
        f->options.budget_s = stop ? 100 : 0;
        cvl_tuner *tuner = open_retuner(f);
        plan_of(tuner, &f->desc, NULL);
        cvl_tuner_close(tuner);
        const int now = stored_records(f, after);
        for (int i = 0; i < known; i++) {
            const struct cvl_record *one = find_record(after, now, before[i].candidate);
            assert_memory_equal(one, &before[i], sizeof *one);
        }
        assert_int_equal(f->progress, 5 * stop);
    }
}

/* When a candidate has lost its record, all are measured again, and what is known of the others is pooled too: they
 * would win the merge by their samples, and not compare with the new one. */
static void test_measuring_what_lacks_pools_the_others(void **state)
{
    struct fixture *f = *state;
    const struct cvl_environment here = cvl_environment_of(f->ctx);
    struct cvl_record records[ROWS];
    char stale[CVL_CANDIDATE_MAX];
    write_records(f, &here, -1, CVL_OUTCOME_OK, stale);
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_TUNE);
    plan_of(tuner, &f->desc, NULL);
    cvl_tuner_close(tuner);
    assert_true(f->progress > 0);
    int pooled = 0;
    for (int i = stored_records(f, records) - 1; i >= 0; i--) {
        pooled += records[i].runs == 2;
        assert_true(records[i].runs == 0 || records[i].samples > 9);
    }
    const int count = stored_records(f, records);
    assert_true(pooled > 0);
    assert_int_equal(find_record(records, count, stale)->runs, 0);
}

static void test_exhaustive_stands_alone(void **state)
{
    struct fixture *f = *state;
    struct cvl_record records[ROWS];
    cvl_result rows[ROWS];
    int count;
    tune(f);
    for (int i = 0; i < 3; i++) {
        cvl_tuner *tuner = open_retuner(f);
        plan_of(tuner, &f->desc, NULL);
        cvl_tuner_close(tuner);
    }
    const int known = stored_records(f, records);
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_EXHAUSTIVE);
    rows_of(tuner, &f->desc, NULL, rows, &count);
    cvl_tuner_close(tuner);
    int more = 0;
    for (int i = 0; i < known; i++)
        more += records[i].samples > 15;
    assert_true(more > 0);
    for (int i = 0; i < count; i++)
        assert_true(rows[i].source != CVL_SOURCE_MEASURED || rows[i].samples == 15);
}

static void test_retune_is_of_mode_tune(void **state)
{
    static const cvl_mode others[] = { CVL_MODE_ESTIMATE, CVL_MODE_CACHED, CVL_MODE_EXHAUSTIVE, CVL_MODE_FROZEN };
    struct fixture *f = *state;
    cvl_tuner *tuner;
    f->options.retune = true;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        f->options.mode = others[i];
        assert_int_equal(cvl_tuner_open(f->ctx, &f->options, &tuner), CVL_EINVAL);
        assert_non_null(strstr(cvl_last_error(), cvl_mode_name(others[i])));
        assert_null(tuner);
    }
}

static void test_a_cache_that_cannot_be_written(void **state)
{
    struct fixture *f = *state;
    cvl_result rows[ROWS];
    int count;
    f->options.cache_path = "/dev/null/convlab";
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_TUNE);
    const int chosen = rows_of(tuner, &f->desc, NULL, rows, &count);
    assert_int_equal(rows[chosen].source, CVL_SOURCE_MEASURED);
    assert_int_equal(cvl_tuner_store_status(tuner), CVL_EIO);
    assert_non_null(strstr(cvl_last_error(), "/dev/null"));
    assert_int_equal(cvl_tuner_close(tuner), CVL_EIO);
}

static void test_nothing_on_disk(void **state)
{
    struct fixture *f = *state;
    f->options.cache_path = "";
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_TUNE);
    plan_of(tuner, &f->desc, NULL);
    assert_int_equal(cvl_tuner_close(tuner), CVL_OK);
    tuner = open_tuner(f, CVL_MODE_FROZEN);
    const cvl_plan *plan;
    assert_int_equal(cvl_tuner_plan(tuner, &f->desc, NULL, &plan), CVL_ENOTFOUND);
    cvl_tuner_close(tuner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_records_decide),
        TEST(test_records_of_unlisted_candidates_decide),
        TEST(test_wrong_records_forbid),
        TEST(test_another_revision_is_void_alone),
        TEST(test_a_cache_of_other_machines_is_told),
        TEST(test_other_environments_are_a_prior),
        TEST(test_a_prior_is_confirmed_by_its_two_fastest),
        TEST(test_a_prior_that_is_not_confirmed_is_measured),
        TEST(test_a_damaged_cache_is_a_miss),
        TEST(test_retune_pools),
        TEST(test_retune_tunes_what_is_new),
        TEST(test_a_stopped_retune_loses_nothing),
        TEST(test_measuring_what_lacks_pools_the_others),
        TEST(test_exhaustive_stands_alone),
        TEST(test_retune_is_of_mode_tune),
        TEST(test_a_cache_that_cannot_be_written),
        TEST(test_nothing_on_disk),
    };
    clear_variables();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
