/* SPDX-License-Identifier: Apache-2.0
 * When something of a problem has no record, all of its candidates are measured again: times compare only when they
 * were taken side by side. Those without a record go first, so that a small budget gets further at each attempt. */
#include "tuner/tune.h"

#include "base/alloc.h"
#include "tuner/disk.h"
#include "tuner/measure.h"

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

static void take(const struct cvl_survey *survey, struct cvl_row *row, const struct cvl_measurement *measured,
                 const struct cvl_tune_options *options, uint64_t race)
{
    if (measured->outcome != CVL_OUTCOME_SKIPPED) {
        row->record = record_of(survey, row, measured, options, race);
        row->recorded = true;
        row->result.source = CVL_SOURCE_MEASURED;
    }
    if (measured->needless && !row->recorded) {
        row->record = record_of(survey, row, measured, options, race);
        row->needless = true;
    }
    if (measured->outcome != CVL_OUTCOME_SKIPPED || !row->recorded) {
        row->result.outcome = measured->outcome;
        memcpy(row->result.reason, measured->reason, sizeof measured->reason);
    }
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
    const uint64_t race = 1 + (cvl_disk_random() >> 24);
    cvl_status status = CVL_OK;
    if (!measurements || !rows)
        status = cvl_fail(CVL_ENOMEM, "no memory to measure %s", survey->problem);
    for (int i = 0; i < survey->count && status == CVL_OK; i++) {
        struct cvl_row *row = &survey->rows[i];
        if (!is_to_be_measured(survey, row, options->exhaustive))
            continue;
        const bool timed = row->recorded && row->result.samples > 0;
        measurements[count].plan = row->plan;
        measurements[count].expected_s = 1e-3 * (timed ? row->result.median_ms : row->result.estimate_ms);
        measurements[count].hopeless = cvl_survey_hopeless_times(row);
        measurements[count].wanted_first = !row->recorded && !cvl_survey_hopeless(survey, row);
        rows[count++] = i;
    }
    if (status == CVL_OK)
        status = cvl_measure(survey->ctx, &survey->desc, &how, measurements, count);
    for (int i = 0; i < count && status == CVL_OK; i++)
        take(survey, &survey->rows[rows[i]], &measurements[i], options, race);
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
