/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/tuner_fixture.h"

#include "tuner/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool count_progress(void *arg, double done)
{
    ((struct fixture *)arg)->progress++;
    return true;
}

static void keep_log(void *arg, cvl_log_level level, const char *sentence)
{
    struct fixture *f = arg;
    const size_t used = strlen(f->log);
    snprintf(f->log + used, sizeof f->log - used, "%s\n", sentence);
}

int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    cvl_ctx_options options;
    *state = f;
    cvl_ctx_options_init(&options);
    options.threads = 2;
    options.log = keep_log;
    options.log_arg = f;
    snprintf(f->cache, sizeof f->cache, "/tmp/test_tuner.XXXXXX");
    if (!mkdtemp(f->cache) || cvl_ctx_create(&options, &f->ctx) != CVL_OK ||
        cvl_conv_parse(PROBLEM, &f->desc) != CVL_OK)
        return -1;
    cvl_tuner_options_init(&f->options);
    f->options.mode = CVL_MODE_TUNE;
    f->options.cache_path = f->cache;
    f->options.progress = count_progress;
    f->options.progress_arg = f;
    f->options.command = "test_tuner";
    return 0;
}

int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", f->cache);
    cvl_ctx_destroy(f->ctx);
    const int rc = system(command);
    free(f);
    return rc;
}

cvl_tuner *open_tuner(struct fixture *f, cvl_mode mode)
{
    cvl_tuner *tuner;
    f->options.mode = mode;
    assert_int_equal(cvl_tuner_open(f->ctx, &f->options, &tuner), CVL_OK);
    return tuner;
}

const cvl_plan *plan_of(cvl_tuner *tuner, const cvl_conv_desc *desc, const cvl_query *query)
{
    const cvl_plan *plan;
    if (cvl_tuner_plan(tuner, desc, query, &plan) != CVL_OK)
        fail_msg("%s", cvl_last_error());
    assert_non_null(plan);
    return plan;
}

int rows_of(cvl_tuner *tuner, const cvl_conv_desc *desc, const cvl_query *query, cvl_result rows[ROWS],
            int *count)
{
    int chosen = -1;
    assert_int_equal(cvl_tuner_results(tuner, desc, query, rows, ROWS, count), CVL_OK);
    assert_true(*count > 0 && *count <= ROWS);
    for (int i = 0; i < *count; i++) {
        const cvl_result *row = &rows[i];
        assert_true(row->candidate[0] != '\0');
        assert_int_equal(row->source == CVL_SOURCE_NONE, row->outcome == CVL_OUTCOME_REJECTED);
        assert_true(row->outcome == CVL_OUTCOME_REJECTED || row->estimate_ms > 0);
        assert_true((row->samples > 0) == (row->median_ms > 0));
        assert_true(row->samples == 0 || (row->min_ms <= row->median_ms && row->ci_low_ms <= row->median_ms &&
                                          row->median_ms <= row->ci_high_ms && row->rel_error >= 0));
        assert_true(row->outcome == CVL_OUTCOME_OK || row->reason[0] != '\0');
        if (!row->chosen)
            continue;
        assert_int_equal(chosen, -1);
        assert_int_equal(row->outcome, CVL_OUTCOME_OK);
        chosen = i;
    }
    return chosen;
}

void tune(struct fixture *f)
{
    cvl_tuner *tuner = open_tuner(f, CVL_MODE_TUNE);
    plan_of(tuner, &f->desc, NULL);
    assert_int_equal(cvl_tuner_close(tuner), CVL_OK);
    assert_true(f->progress > 0);
    f->progress = 0;
}

cvl_query limits(void)
{
    cvl_query query;
    cvl_query_init(&query);
    return query;
}

static bool find_want(void *arg, enum cvl_line_kind kind, const char *line, size_t length)
{
    int *count = arg;
    uint64_t environment;
    cvl_state state;
    char problem[CVL_CONV_TEXT_MAX];
    if (kind == CVL_LINE_WANT && cvl_want_parse(line, length, &environment, &state, problem) == CVL_OK)
        *count += strcmp(problem, PROBLEM) == 0;
    return true;
}

int count_wants(struct fixture *f)
{
    int count = 0;
    struct cvl_store *store;
    assert_int_equal(cvl_store_open(f->ctx, f->cache, &store), CVL_OK);
    cvl_line_set_each(cvl_store_lines(store), true, find_want, &count);
    cvl_store_close(store);
    return count;
}

void clear_variables(void)
{
    static const char *const variables[] = { "CVL_MODE", "CVL_CACHE", "CVL_MAX_WORKSPACE", "CVL_MAX_ERROR",
                                             "CVL_DETERMINISTIC", "CVL_DENY" };
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
}
