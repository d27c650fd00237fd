/* SPDX-License-Identifier: Apache-2.0 */
#include "tuner/survey.h"

#include "base/alloc.h"
#include "base/text.h"
#include "conv/registry.h"
#include "tuner/measure.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Completeness allows more than measuring skips, so that an estimate near the border cannot flip between two runs. */
#define HOPELESS_WITH_RECORD (CVL_HOPELESS / 2)

static void CVL_PRINTF(2, 3) explain(struct cvl_row *row, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(row->result.reason, sizeof row->result.reason, format, arguments);
    va_end(arguments);
}

static struct cvl_row *add_row(struct cvl_survey *survey, const struct cvl_algo *algo)
{
    struct cvl_row *row = &survey->rows[survey->count++];
    row->algo = algo;
    row->result.rel_error = row->result.l2_error = -1;
    return row;
}

/* Says whether one of them is deterministic. */
static bool add_candidates(struct cvl_survey *survey, const struct cvl_algo *algo)
{
    bool deterministic = false;
    struct cvl_variant variants[CVL_VARIANTS_MAX];
    const int count = cvl_algo_variants(survey->ctx, algo, &survey->desc, variants);
    for (int i = 0; i < count; i++) {
        struct cvl_row *row = add_row(survey, algo);
        row->variant = variants[i];
        cvl_candidate_print(algo, &variants[i], row->result.candidate);
        row->result.source = CVL_SOURCE_ESTIMATE;
        row->result.estimate_ms = 1e3 * algo->estimate(survey->ctx, &survey->desc, &variants[i]);
        row->result.deterministic = !variants[i].nondeterministic;
        deterministic |= row->result.deterministic;
    }
    return deterministic;
}

static void add_rejected(struct cvl_survey *survey, const struct cvl_algo *algo, const char *why)
{
    struct cvl_row *row = add_row(survey, algo);
    snprintf(row->result.candidate, sizeof row->result.candidate, "%s", algo->name);
    row->result.outcome = CVL_OUTCOME_REJECTED;
    row->unusable = true;
    explain(row, "%s", why);
}

/* With no list of allowed algorithms, the reference takes what no other algorithm takes, or only without the same bits
 * from every run, as a vendor's may: a selection never fails. */
static void add_rows(struct cvl_survey *survey)
{
    const struct cvl_algo *reference = NULL;
    bool accepted = false;
    for (int i = 0; cvl_algos[i]; i++) {
        const char *why;
        if (!cvl_limits_permit(&survey->limits, cvl_algos[i]->name)) {
            if (strcmp(cvl_algos[i]->name, "reference") == 0)
                reference = cvl_algos[i];
            continue;
        }
        why = cvl_algo_refusal(survey->ctx, cvl_algos[i], &survey->desc);
        if (why) {
            add_rejected(survey, cvl_algos[i], why);
        } else {
            accepted |= add_candidates(survey, cvl_algos[i]);
        }
    }
    if (!accepted && reference && !survey->limits.allow && !cvl_text_listed(survey->limits.deny, reference->name) &&
        !cvl_algo_refusal(survey->ctx, reference, &survey->desc))
        add_candidates(survey, reference);
}

cvl_status cvl_survey_create(cvl_ctx *ctx, const cvl_conv_desc *desc, const cvl_query *query,
                             struct cvl_survey *survey)
{
    int algorithms = 0;
    while (cvl_algos[algorithms])
        algorithms++;
    survey->ctx = ctx;
    survey->desc = *desc;
    survey->limits = cvl_limits_of(query, desc);
    survey->count = 0;
    survey->chosen = -1;
    survey->rows = cvl_calloc((size_t)algorithms * CVL_VARIANTS_MAX, sizeof *survey->rows);
    if (!survey->rows)
        return cvl_fail(CVL_ENOMEM, "no memory for the candidates of a problem");
    cvl_conv_print(desc, survey->problem, sizeof survey->problem);
    add_rows(survey);
    return CVL_OK;
}

void cvl_survey_destroy(struct cvl_survey *survey)
{
    for (int i = 0; i < survey->count; i++)
        cvl_plan_destroy(survey->rows[i].plan);
    cvl_free(survey->rows);
    survey->rows = NULL;
    survey->count = 0;
}

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

static void adopt(struct cvl_row *row, const struct cvl_record *record)
{
    cvl_result *result = &row->result;
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

void cvl_survey_adopt(struct cvl_survey *survey, const struct cvl_record *records, int count, uint64_t environment)
{
    for (int i = 0; i < count; i++) {
        struct cvl_row *row = records[i].environment == environment ? find_row(survey, records[i].candidate) : NULL;
        if (row && !row->unusable && row->algo->revision == records[i].revision)
            adopt(row, &records[i]);
    }
}

cvl_status cvl_survey_load(struct cvl_survey *survey, const struct cvl_line_set *lines)
{
    struct cvl_record *records;
    int count;
    const cvl_status status = cvl_survey_records(survey, lines, &records, &count);
    if (status != CVL_OK)
        return status;
    cvl_survey_adopt(survey, records, count, survey->environment_id);
    cvl_free(records);
    return CVL_OK;
}

bool cvl_survey_recorded(const struct cvl_survey *survey)
{
    for (int i = 0; i < survey->count; i++)
        if (survey->rows[i].recorded)
            return true;
    return false;
}

cvl_plan *cvl_survey_plan(struct cvl_survey *survey, struct cvl_row *row)
{
    if (row->plan || row->unusable)
        return row->plan;
    if (cvl_plan_create(survey->ctx, &survey->desc, row->result.candidate, &row->plan) != CVL_OK) {
        row->plan = NULL;
        row->unusable = true;
        row->result.outcome = CVL_OUTCOME_FAILED;
        explain(row, "%s", cvl_last_error());
        return NULL;
    }
    row->result.workspace_bytes = cvl_plan_workspace_size(row->plan);
    row->result.packed_bytes = cvl_plan_packed_size(row->plan);
    return row->plan;
}

bool cvl_survey_fits(struct cvl_survey *survey, struct cvl_row *row)
{
    const struct cvl_limits *limits = &survey->limits;
    if (row->unusable || (!row->recorded && !cvl_survey_plan(survey, row)))
        return false;
    if (row->result.workspace_bytes > limits->max_workspace) {
        row->result.outcome = CVL_OUTCOME_OVER_LIMIT;
        explain(row, "needs %zu bytes of workspace, the limit is %zu", row->result.workspace_bytes,
                limits->max_workspace);
        return false;
    }
    if (limits->deterministic && !row->result.deterministic) {
        row->result.outcome = CVL_OUTCOME_OVER_LIMIT;
        explain(row, "two runs may differ in their last bits");
        return false;
    }
    return true;
}

bool cvl_survey_hopeless(struct cvl_survey *survey, struct cvl_row *row)
{
    for (int i = 0; i < survey->count; i++) {
        const struct cvl_row *rival = &survey->rows[i];
        if (rival->recorded && rival->result.samples > 0 &&
            rival->result.workspace_bytes <= row->result.workspace_bytes &&
            (rival->result.deterministic || !row->result.deterministic) &&
            row->result.estimate_ms > HOPELESS_WITH_RECORD * rival->result.median_ms) {
            row->result.outcome = CVL_OUTCOME_SKIPPED;
            explain(row, "estimated to be %.0f times slower than %s, which needs no more workspace",
                    row->result.estimate_ms / rival->result.median_ms, rival->result.candidate);
            return true;
        }
    }
    return false;
}

bool cvl_survey_complete(struct cvl_survey *survey)
{
    bool complete = true;
    for (int i = 0; i < survey->count; i++) {
        struct cvl_row *row = &survey->rows[i];
        if (!row->recorded && cvl_survey_fits(survey, row) && !cvl_survey_hopeless(survey, row))
            complete = false;
    }
    return complete;
}

/* A reason from the measuring says more than one that is worked out from the record. */
static void apply(struct cvl_row *row, const struct cvl_judgement *judgement)
{
    if (judgement->verdict == CVL_VERDICT_OVER)
        row->result.outcome = CVL_OUTCOME_OVER_LIMIT;
    if (row->result.reason[0] == '\0' || judgement->verdict == CVL_VERDICT_OVER ||
        judgement->verdict == CVL_VERDICT_CHOSEN)
        explain(row, "%s", judgement->reason);
}

bool cvl_survey_choose(struct cvl_survey *survey)
{
    struct cvl_record *records = cvl_calloc((size_t)survey->count + 1, sizeof *records);
    struct cvl_judgement *judgements = cvl_calloc((size_t)survey->count + 1, sizeof *judgements);
    int *rows = cvl_calloc((size_t)survey->count + 1, sizeof *rows), count = 0;
    survey->chosen = -1;
    if (records && judgements && rows) {
        for (int i = 0; i < survey->count; i++)
            if (survey->rows[i].recorded && !survey->rows[i].unusable) {
                rows[count] = i;
                records[count++] = survey->rows[i].record;
            }
        const int chosen = cvl_choose(records, count, &survey->limits, judgements);
        survey->chosen = chosen < 0 ? -1 : rows[chosen];
        for (int i = 0; i < count; i++)
            apply(&survey->rows[rows[i]], &judgements[i]);
    }
    cvl_free(rows);
    cvl_free(judgements);
    cvl_free(records);
    return survey->chosen >= 0;
}

/* Records that forbid a candidate hold for a guess as well: wrong is wrong. */
static bool may_guess(struct cvl_survey *survey, struct cvl_row *row)
{
    return !row->recorded && cvl_survey_fits(survey, row);
}

bool cvl_survey_guess(struct cvl_survey *survey)
{
    const struct cvl_row *best = NULL;
    for (int i = 0; i < survey->count; i++) {
        struct cvl_row *row = &survey->rows[i];
        if (may_guess(survey, row) && (!best || row->result.estimate_ms < best->result.estimate_ms))
            best = row;
    }
    survey->chosen = best ? (int)(best - survey->rows) : -1;
    for (int i = 0; best && i < survey->count; i++) {
        struct cvl_row *row = &survey->rows[i];
        if (row != best && !row->unusable && row->result.reason[0] == '\0')
            explain(row, "estimated to be %.2f times slower than %s",
                    row->result.estimate_ms / best->result.estimate_ms, best->result.candidate);
    }
    return best;
}

void cvl_survey_finish(struct cvl_survey *survey)
{
    for (int i = 0; i < survey->count; i++) {
        struct cvl_row *row = &survey->rows[i];
        row->result.chosen = i == survey->chosen;
        if (!row->recorded && !row->unusable)
            cvl_survey_plan(survey, row);
        if (!row->result.chosen)
            continue;
        row->result.outcome = CVL_OUTCOME_OK;
        if (!row->recorded)
            row->result.reason[0] = '\0';
    }
}
