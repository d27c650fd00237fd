/* SPDX-License-Identifier: Apache-2.0
 * The policy: which steps of a survey each mode takes, and what is remembered of the answer.
 *
 * Threads: all of it happens under the tuner's mutex, except the measuring itself, which one thread of the process does
 * at a time, whatever its tuner: who finds it going on answers with the best guess at once, and that answer is looked
 * at again when it is over. */
#include "tuner/answer.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "tuner/confirm.h"
#include "tuner/model.h"
#include "tuner/survey.h"
#include "tuner/tune.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What a mode does, in this order, until there is an answer. */
static const struct policy { bool records, measures, priors, guesses, notes_miss; } policies[] = {
    [CVL_MODE_ESTIMATE]   = { .guesses = true },
    [CVL_MODE_CACHED]     = { .records = true, .priors = true, .guesses = true, .notes_miss = true },
    [CVL_MODE_TUNE]       = { .records = true, .measures = true, .priors = true, .guesses = true },
    [CVL_MODE_EXHAUSTIVE] = { .records = true, .measures = true, .priors = true, .guesses = true },
    [CVL_MODE_FROZEN]     = { .records = true, .priors = true },
};

static atomic_bool measuring;   /* some thread of this process */

/* A failure to store is no reason to lose an answer: it is told once, and kept for cvl_tuner_store_status. */
static void note_store_failure(cvl_tuner *tuner, cvl_status status)
{
    if (status == CVL_OK || atomic_load(&tuner->store_failed))
        return;
    snprintf(tuner->store_failure, sizeof tuner->store_failure, "what was measured is not stored: %s",
             cvl_last_error());
    atomic_store(&tuner->store_failed, true);
    cvl_log(tuner->ctx, CVL_LOG_WARNING, "%s", tuner->store_failure);
}

/* The miss is noted in memory and written at the end: losing the note is harmless, and a place that cannot be written
 * is no failure of a program that only looks things up. */
static void note_miss(cvl_tuner *tuner, const struct cvl_survey *survey)
{
    char line[CVL_LINE_MAX];
    size_t length = cvl_environment_print(&tuner->environment, line);
    if (length)
        cvl_store_add(tuner->store, line, length);
    length = cvl_want_print(tuner->environment_id, survey->state, survey->problem, line);
    if (length)
        cvl_store_add(tuner->store, line, length);
}

static bool report_progress(void *arg, double done)
{
    cvl_tuner *tuner = arg;
    const bool go_on = tuner->options.progress(tuner->options.progress_arg, done);
    if (!go_on)
        atomic_store(&tuner->budget_stopped, true);
    return go_on;
}

static cvl_status store(cvl_tuner *tuner, const struct cvl_survey *survey)
{
    const cvl_status status = cvl_tune_store(survey, tuner->store);
    return status == CVL_OK ? cvl_store_sync(tuner->store) : status;
}

/* Called with the mutex held and `measuring` ours; gives the mutex away while it measures. */
static cvl_status measure(cvl_tuner *tuner, struct cvl_survey *survey)
{
    const unsigned budget = atomic_load(&tuner->budget);
    const struct cvl_tune_options options = {
        .exhaustive = tuner->options.mode == CVL_MODE_EXHAUSTIVE,
        .budget_s = tuner->budget_s, .seed = tuner->options.seed, .command = tuner->options.command,
        .progress = tuner->options.progress ? report_progress : NULL, .progress_arg = tuner,
    };
    pthread_mutex_unlock(&tuner->mutex);
    const double start = cvl_now();
    cvl_status status = cvl_tune(survey, &options);
    const double spent = cvl_now() - start;
    pthread_mutex_lock(&tuner->mutex);
    if (atomic_load(&tuner->budget) == budget)
        tuner->budget_s = atomic_load(&tuner->budget_stopped) ? 0 : fmax(0, tuner->budget_s - spent);
    if (status != CVL_OK) {
        cvl_log(tuner->ctx, CVL_LOG_WARNING, "%s is not measured: %s", survey->problem, cvl_last_error());
        return status;
    }
    for (int i = 0; i < survey->count && tuner->model; i++)
        if (survey->rows[i].result.source == CVL_SOURCE_MEASURED)
            cvl_model_add(tuner->model, &survey->rows[i].record);
    note_store_failure(tuner, store(tuner, survey));
    if (options.exhaustive)   /* answers by what it measured, also where the cache knows a candidate by more samples */
        return CVL_OK;
    return cvl_survey_load(survey, cvl_store_lines(tuner->store));
}

/* Where this machine knows nothing of the problem and another does, that one is asked, and checked. */
static bool confirm_prior(cvl_tuner *tuner, struct cvl_survey *survey)
{
    struct cvl_prior prior;
    if (tuner->options.mode != CVL_MODE_TUNE || !cvl_prior_take(survey, cvl_store_lines(tuner->store), &prior))
        return false;
    const bool measured = measure(tuner, survey) == CVL_OK, confirmed = cvl_prior_confirm(survey, &prior);
    if (!measured || !confirmed)
        return false;
    note_store_failure(tuner, store(tuner, survey));
    return true;
}

/* Is there nothing to measure? In mode exhaustive, and when it tunes again, there is once in the life of a tuner. */
static bool is_known(const cvl_tuner *tuner, struct cvl_survey *survey, const struct cvl_plan_entry *entry)
{
    const bool complete = cvl_survey_complete(survey);
    const bool measured = cvl_plan_table_measured(tuner->table, &entry->key.problem);
    if (tuner->options.mode == CVL_MODE_EXHAUSTIVE)
        return measured;
    return complete && (measured || !tuner->options.retune);
}

/* Measures if something is missing, and there is a budget. Whatever comes of it, an answer is found from what is known.
 * *entry: whether it happened, and when to look again. */
static void measure_if_needed(cvl_tuner *tuner, struct cvl_survey *survey, struct cvl_plan_entry *entry)
{
    const bool known = is_known(tuner, survey, entry);
    entry->budget = atomic_load(&tuner->budget);
    entry->retry = CVL_RETRY_NEVER;
    if (known)
        return;
    entry->retry = CVL_RETRY_BUDGET;
    if (!(tuner->budget_s > 0))
        return;
    if (atomic_exchange(&measuring, true)) {
        entry->retry = CVL_RETRY_IDLE;
        return;
    }
    entry->measured = confirm_prior(tuner, survey) || measure(tuner, survey) == CVL_OK;
    atomic_store(&measuring, false);
    if (entry->measured && cvl_survey_complete(survey))
        entry->retry = CVL_RETRY_NEVER;
}

/* A chosen candidate whose plan cannot be made after all leaves its place to the next. */
static void choose(const cvl_tuner *tuner, const struct policy *policy, struct cvl_survey *survey)
{
    const struct cvl_line_set *lines = cvl_store_lines(tuner->store);
    while ((policy->records && cvl_survey_choose(survey)) || (policy->priors && cvl_survey_prior(survey, lines)) ||
           (policy->guesses && cvl_survey_guess(survey)))
        if (cvl_survey_plan(survey, &survey->rows[survey->chosen]))
            return;
}

static void log_choice(const cvl_tuner *tuner, const struct cvl_survey *survey)
{
    const cvl_result *result;
    if (survey->chosen < 0) {
        cvl_log(tuner->ctx, CVL_LOG_WARNING, "%s", cvl_last_error());
        return;
    }
    result = &survey->rows[survey->chosen].result;
    cvl_log(tuner->ctx, CVL_LOG_INFO, "%s: %s, %.4g ms (%s), %zu bytes of workspace", survey->problem,
            result->candidate, result->samples ? result->median_ms : result->estimate_ms,
            cvl_source_name(result->source), result->workspace_bytes);
}

static cvl_status fail_to_choose(const cvl_tuner *tuner, const struct cvl_survey *survey)
{
    const char *path = cvl_store_path(tuner->store);
    if (tuner->options.mode == CVL_MODE_FROZEN)
        return cvl_fail(CVL_ENOTFOUND, "no record of %s that the query's limits allow, in %s", survey->problem,
                        *path ? path : "a cache that is not on disk");
    return cvl_fail(CVL_ENOTFOUND, "no candidate for %s within the query's limits", survey->problem);
}

/* Fills the entry from a survey whose choice is made; the chosen plan moves over. */
static cvl_status fill(const cvl_tuner *tuner, struct cvl_survey *survey, struct cvl_plan_entry *entry)
{
    cvl_survey_finish(survey);
    entry->regret = cvl_survey_regret(survey);
    entry->results = cvl_calloc((size_t)survey->count + 1, sizeof *entry->results);
    if (!entry->results)
        return cvl_fail(CVL_ENOMEM, "no memory for the results of %s", survey->problem);
    entry->count = survey->count;
    for (int i = 0; i < survey->count; i++)
        entry->results[i] = survey->rows[i].result;
    if (survey->chosen >= 0) {
        entry->plan = survey->rows[survey->chosen].plan;
        survey->rows[survey->chosen].plan = NULL;
    } else {
        const size_t size = CVL_SENTENCE_MAX;
        entry->status = fail_to_choose(tuner, survey);
        entry->message = cvl_alloc(size);
        if (!entry->message)
            return cvl_fail(CVL_ENOMEM, "no memory for the results of %s", survey->problem);
        snprintf(entry->message, size, "%s", cvl_last_error());
    }
    log_choice(tuner, survey);
    return CVL_OK;
}

/* Everything that the cache holds is learnt from once, when the first estimate is asked for. */
static void learn(cvl_tuner *tuner)
{
    const struct cvl_line_set *lines = cvl_store_lines(tuner->store);
    if (tuner->model)
        return;
    tuner->reckoner = *tuner->ctx;
    cvl_line_set_rates(lines, tuner->environment_id, &tuner->reckoner.rates);
    cvl_model_create(lines, tuner->environment_id, tuner->options.state, &tuner->model);
}

/* What this tuner measured for the same question stays measured when a new budget makes it look again. */
static void mark_own(const cvl_tuner *tuner, struct cvl_survey *survey, struct cvl_plan_entry *entry)
{
    const struct cvl_plan_entry *before = cvl_plan_table_find(tuner->table, &entry->key);
    if (!before || !before->measured)
        return;
    entry->measured = true;
    for (int i = 0; i < survey->count; i++)
        if (survey->rows[i].recorded)
            survey->rows[i].result.source = CVL_SOURCE_MEASURED;
}

static cvl_status answer_survey(cvl_tuner *tuner, struct cvl_survey *survey, struct cvl_plan_entry *entry)
{
    const struct policy *policy = &policies[tuner->options.mode];
    cvl_status status = CVL_OK;
    if (policy->records)
        status = cvl_survey_load(survey, cvl_store_lines(tuner->store));
    if (status != CVL_OK)
        return status;
    if (policy->measures)
        measure_if_needed(tuner, survey, entry);
    if (policy->notes_miss && !cvl_survey_recorded(survey))
        note_miss(tuner, survey);
    mark_own(tuner, survey, entry);
    choose(tuner, policy, survey);
    return fill(tuner, survey, entry);
}

cvl_status cvl_tuner_answer(cvl_tuner *tuner, const cvl_conv_desc *desc, const cvl_query *query,
                            const struct cvl_plan_key *key, const struct cvl_plan_entry **stored)
{
    struct cvl_survey survey = {
        .state = tuner->options.state, .environment = tuner->environment, .environment_id = tuner->environment_id,
        .reckoner = &tuner->reckoner,
    };
    struct cvl_plan_entry entry = { .key = *key };
    learn(tuner);
    survey.model = tuner->model;
    cvl_status status = cvl_survey_create(tuner->ctx, desc, query, &survey);
    if (status == CVL_OK)
        status = answer_survey(tuner, &survey, &entry);
    if (status == CVL_OK)
        status = cvl_plan_table_put(tuner->table, &entry, stored);
    if (status != CVL_OK) {
        cvl_plan_destroy(entry.plan);
        cvl_free(entry.message);
        cvl_free(entry.results);
    }
    cvl_survey_destroy(&survey);
    return status;
}

bool cvl_tuner_is_settled(const cvl_tuner *tuner, const struct cvl_plan_entry *entry)
{
    switch (entry->retry) {
    case CVL_RETRY_NEVER:
        return true;
    case CVL_RETRY_BUDGET:
        return entry->budget == atomic_load_explicit(&tuner->budget, memory_order_relaxed);
    case CVL_RETRY_IDLE:
        return atomic_load_explicit(&measuring, memory_order_relaxed);
    }
    return true;
}
