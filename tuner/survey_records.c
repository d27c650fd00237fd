/* SPDX-License-Identifier: Apache-2.0
 * What a set of lines knows of a survey's rows. */
#include "tuner/survey.h"

#include "base/alloc.h"
#include "conv/registry.h"

#include <string.h>

static struct cvl_row *find_row(struct cvl_survey *survey, const char *candidate)
{
    for (int i = 0; i < survey->count; i++)
        if (survey->rows[i].result.outcome != CVL_OUTCOME_REJECTED &&
            strcmp(survey->rows[i].result.candidate, candidate) == 0)
            return &survey->rows[i];
    return NULL;
}

/* A record that was measured by this survey is recognised when it comes back from the set. */
static bool is_own(const struct cvl_row *row, const struct cvl_record *record)
{
    return row->result.source == CVL_SOURCE_MEASURED && row->record.when == record->when &&
           row->record.samples == record->samples && row->record.median_ms == record->median_ms;
}

void cvl_row_adopt(struct cvl_row *row, const struct cvl_record *record)
{
    cvl_result *result = &row->result;
    if (record->outcome == CVL_OUTCOME_SKIPPED) {
        row->needless = true;
        row->record = *record;
        return;
    }
    if (!is_own(row, record)) {
        result->source = CVL_SOURCE_CACHE;
        result->reason[0] = '\0';
    }
    row->recorded = true;
    row->record = *record;
    result->outcome = record->outcome;
    result->deterministic = record->deterministic;
    result->samples = record->samples;
    result->median_ms = record->median_ms;
    result->min_ms = record->min_ms;
    result->ci_low_ms = record->ci_low_ms;
    result->ci_high_ms = record->ci_high_ms;
    result->pack_ms = record->pack_ms;
    result->rel_error = record->rel_error;
    result->l2_error = record->l2_error;
    result->workspace_bytes = record->workspace_bytes;
    result->packed_bytes = record->packed_bytes;
}

cvl_status cvl_survey_records(const struct cvl_survey *survey, const struct cvl_line_set *lines,
                              struct cvl_record **records, int *count)
{
    const int total = cvl_line_set_records(lines, survey->state, survey->problem, NULL, 0);
    struct cvl_line *found = cvl_calloc((size_t)total + 1, sizeof *found);
    *records = cvl_calloc((size_t)total + 1, sizeof **records);
    *count = 0;
    if (!found || !*records) {
        cvl_free(found);
        cvl_free(*records);
        return cvl_fail(CVL_ENOMEM, "no memory for %d records", total);
    }
    cvl_line_set_records(lines, survey->state, survey->problem, found, total);
    for (int i = 0; i < total; i++)
        if (cvl_record_parse(found[i].text, found[i].length, &(*records)[*count]) == CVL_OK)
            ++*count;
    cvl_free(found);
    return CVL_OK;
}

/* One that is not listed is worth a row where it may be chosen. */
static struct cvl_row *make_row(struct cvl_survey *survey, const struct cvl_record *record)
{
    const struct cvl_algo *algo = cvl_algo_find(record->candidate, strcspn(record->candidate, ":"));
    const bool choosable = record->outcome == CVL_OUTCOME_OK && algo && algo->revision == record->revision;
    return choosable ? cvl_survey_add(survey, record->candidate) : NULL;
}

void cvl_survey_adopt(struct cvl_survey *survey, const struct cvl_record *records, int count, uint64_t environment)
{
    for (int i = 0; i < count; i++) {
        if (records[i].environment != environment)
            continue;
        struct cvl_row *row = find_row(survey, records[i].candidate);
        if (!row)
            row = make_row(survey, &records[i]);
        if (row && !row->unusable && row->algo->revision == records[i].revision)
            cvl_row_adopt(row, &records[i]);
    }
}

/* Of what stays behind when the rows have taken theirs. */
static void keep_outsiders(struct cvl_survey *survey, struct cvl_record *records, int count)
{
    int kept = 0;
    for (int i = 0; i < count; i++)
        if (records[i].environment == survey->environment_id && records[i].samples > 0 &&
            !find_row(survey, records[i].candidate))
            records[kept++] = records[i];
    cvl_free(survey->outsiders);
    survey->outsiders = records;
    survey->outsider_count = kept;
}

cvl_status cvl_survey_load(struct cvl_survey *survey, const struct cvl_line_set *lines)
{
    struct cvl_record *records;
    int count;
    const cvl_status status = cvl_survey_records(survey, lines, &records, &count);
    if (status != CVL_OK)
        return status;
    cvl_survey_adopt(survey, records, count, survey->environment_id);
    keep_outsiders(survey, records, count);
    return CVL_OK;
}

bool cvl_survey_recorded(const struct cvl_survey *survey)
{
    for (int i = 0; i < survey->count; i++)
        if (survey->rows[i].recorded)
            return true;
    return false;
}
