/* SPDX-License-Identifier: Apache-2.0
 * When something of a problem has no record, all of its candidates are measured again: times compare only when they
 * were taken side by side. Those without a record go first, so that a small budget gets further at each attempt. What
 * was known before is pooled with what comes out (tuner/pool.h), except in mode exhaustive, which stands alone. */
#include "tuner/tune.h"

#include "base/alloc.h"
#include "tuner/disk.h"
#include "tuner/measure.h"
#include "tuner/pool.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Later than the record that it replaces, though a clock of seconds may not have moved, or was set back. */
static int64_t time_stamp(const struct cvl_row *row)
{
    const int64_t now = (int64_t)time(NULL);
    const bool later = row->recorded && row->record.when >= now && row->record.when < INT64_MAX;
    return later ? row->record.when + 1 : now;
}

static struct cvl_record record_of(const struct cvl_survey *survey, const struct cvl_row *row,
                                   const struct cvl_measurement *measured, const struct cvl_tune_options *options,
                                   uint64_t race)
{
    const struct cvl_stats *stats = &measured->time;
    struct cvl_record record = {
        .environment = survey->environment_id, .state = survey->state, .outcome = measured->outcome,
        .revision = row->algo->revision, .samples = stats->samples,
        .median_ms = cvl_record_round(1e3 * stats->median), .min_ms = cvl_record_round(1e3 * stats->min),
        .ci_low_ms = cvl_record_round(1e3 * stats->low), .ci_high_ms = cvl_record_round(1e3 * stats->high),
        .estimate_ms = cvl_record_round(row->result.estimate_ms),
        .raw_ms = row->raw_ms != row->result.estimate_ms ? cvl_record_round(row->raw_ms) : 0,
        .pack_ms = cvl_record_round(1e3 * measured->pack_s),
        .rel_error = cvl_record_round(measured->rel_error), .l2_error = cvl_record_round(measured->l2_error),
        .workspace_bytes = row->result.workspace_bytes, .packed_bytes = row->result.packed_bytes,
        .deterministic = row->result.deterministic, .when = time_stamp(row), .seed = options->seed,
        .race = stats->samples > 0 ? race : 0,
    };
    if (stats->samples >= CVL_SAMPLES_OF_INTERVAL) {
        record.ratio_low = cvl_record_round(measured->ratio.low);
        record.ratio_high = cvl_record_round(measured->ratio.high);
    }
    memcpy(record.problem, survey->problem, sizeof record.problem);
    memcpy(record.candidate, row->result.candidate, sizeof record.candidate);
    snprintf(record.command, sizeof record.command, "%s", options->command ? options->command : "");
    return record;
}

static bool is_timed(const struct cvl_row *row)
{
    return row->recorded && row->result.samples > 0;
}

/* Skipped for want of time or worth, a record stays what it is; and one of times when no run succeeded today, say for
 * want of memory, unless the output was wrong. */
static bool says_something(const struct cvl_row *row, const struct cvl_measurement *measured, bool exhaustive)
{
    return measured->outcome != CVL_OUTCOME_SKIPPED &&
           (measured->outcome != CVL_OUTCOME_FAILED || exhaustive || !is_timed(row));
}

/* Pooling gives back what is stored where the rounds ended too early to add to it. */
static bool is_news(const struct cvl_row *row, const struct cvl_record *record)
{
    return !row->recorded || record->when != row->record.when || record->samples != row->record.samples;
}

static void take_record(struct cvl_row *row, const struct cvl_measurement *measured, const struct cvl_record *record)
{
    row->record = *record;
    row->result.source = CVL_SOURCE_MEASURED;
    cvl_row_adopt(row, record);
    memcpy(row->result.reason, measured->reason, sizeof measured->reason);
}

static void leave_unmeasured(const struct cvl_survey *survey, struct cvl_row *row,
                             const struct cvl_measurement *measured, const struct cvl_tune_options *options)
{
    if (row->recorded && measured->outcome == CVL_OUTCOME_FAILED)
        cvl_log(survey->ctx, CVL_LOG_WARNING, "%s: %s failed, its record stays: %s", survey->problem,
                row->result.candidate, measured->reason);
    if (row->recorded)
        return;
    if (measured->needless) {
        row->record = record_of(survey, row, measured, options, 0);
        row->needless = true;
    }
    row->result.outcome = measured->outcome;
    memcpy(row->result.reason, measured->reason, sizeof measured->reason);
}

/* All that is known of the problem here, allowed by the query or not. */
static int gather(const struct cvl_survey *survey, struct cvl_record *stored)
{
    int count = 0;
    for (int i = 0; i < survey->count; i++)
        if (survey->rows[i].recorded)
            stored[count++] = survey->rows[i].record;
    for (int i = 0; i < survey->outsider_count; i++)
        stored[count++] = survey->outsiders[i];
    return count;
}

/* rows, measurements: count. Without memory for it nothing is taken. */
static cvl_status take(struct cvl_survey *survey, const int *rows, const struct cvl_measurement *measurements,
                       int count, const struct cvl_tune_options *options)
{
    const uint64_t race = 1 + (cvl_disk_random() >> 24);
    const size_t most = (size_t)survey->count + (size_t)survey->outsider_count;
    struct cvl_record *stored = cvl_calloc(most + 1, sizeof *stored);
    struct cvl_record *records = cvl_calloc((size_t)count + 1, sizeof *records);
    int told = 0;
    cvl_status status = stored && records ? CVL_OK : cvl_fail(CVL_ENOMEM, "no memory for the records of %s",
                                                              survey->problem);
    for (int i = 0; i < count && status == CVL_OK; i++)
        if (says_something(&survey->rows[rows[i]], &measurements[i], options->exhaustive))
            records[told++] = record_of(survey, &survey->rows[rows[i]], &measurements[i], options, race);
    if (status == CVL_OK && !options->exhaustive)
        status = cvl_pool(stored, gather(survey, stored), records, told);
    for (int i = 0, next = 0; i < count && status == CVL_OK; i++) {
        struct cvl_row *row = &survey->rows[rows[i]];
        const bool said = says_something(row, &measurements[i], options->exhaustive);
        const struct cvl_record *record = said ? &records[next++] : NULL;
        if (record && is_news(row, record))
            take_record(row, &measurements[i], record);
        else
            leave_unmeasured(survey, row, &measurements[i], options);
    }
    cvl_free(records);
    cvl_free(stored);
    return status;
}

static bool is_to_be_measured(struct cvl_survey *survey, struct cvl_row *row, bool exhaustive)
{
    if (row->sidelined || !cvl_survey_plan(survey, row))
        return false;
    return exhaustive || cvl_survey_fits(survey, row);
}

cvl_status cvl_tune(struct cvl_survey *survey, const struct cvl_tune_options *options)
{
    const struct cvl_measure_options how = {
        .state = survey->state, .exhaustive = options->exhaustive, .budget_s = options->budget_s,
        .seed = options->seed, .progress = options->progress, .progress_arg = options->progress_arg,
    };
    struct cvl_measurement *measurements = cvl_calloc((size_t)survey->count + 1, sizeof *measurements);
    int *rows = cvl_calloc((size_t)survey->count + 1, sizeof *rows), count = 0;
    cvl_status status = CVL_OK;
    if (!measurements || !rows)
        status = cvl_fail(CVL_ENOMEM, "no memory to measure %s", survey->problem);
    for (int i = 0; i < survey->count && status == CVL_OK; i++) {
        struct cvl_row *row = &survey->rows[i];
        if (!is_to_be_measured(survey, row, options->exhaustive))
            continue;
        measurements[count].plan = row->plan;
        measurements[count].expected_s = 1e-3 * (is_timed(row) ? row->result.median_ms : row->result.estimate_ms);
        measurements[count].hopeless = is_timed(row) ? CVL_HOPELESS_STORED : cvl_survey_hopeless_times(row);
        measurements[count].wanted_first = !row->recorded && !cvl_survey_hopeless(survey, row);
        rows[count++] = i;
    }
    if (status == CVL_OK)
        status = cvl_measure(survey->ctx, &survey->desc, &how, measurements, count);
    if (status == CVL_OK)
        status = take(survey, rows, measurements, count, options);
    cvl_free(rows);
    cvl_free(measurements);
    return status;
}

cvl_status cvl_tune_store(const struct cvl_survey *survey, struct cvl_store *store)
{
    char line[CVL_LINE_MAX];
    size_t length = cvl_environment_print(&survey->environment, line);
    cvl_status status = length ? cvl_store_add(store, line, length) : CVL_OK;
    for (int i = 0; i < survey->count && status == CVL_OK; i++) {
        const struct cvl_row *row = &survey->rows[i];
        if (row->result.source != CVL_SOURCE_MEASURED && !(row->needless && !row->recorded))
            continue;
        length = cvl_record_print(&row->record, line);
        if (length)
            status = cvl_store_add(store, line, length);
    }
    return status;
}
