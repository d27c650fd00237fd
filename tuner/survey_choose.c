/* SPDX-License-Identifier: Apache-2.0
 * Which row of a survey to run: by its records, or by the estimates where there are none. */
#include "tuner/survey.h"

#include "base/alloc.h"
#include "tuner/measure.h"

#include <math.h>

/* Completeness allows more than measuring skips, so that an estimate near the border cannot flip between two runs. */
#define WITH_RECORD 0.6

static bool is_timed(const struct cvl_record *record)
{
    return record->samples > 0 && (record->outcome == CVL_OUTCOME_OK || record->outcome == CVL_OUTCOME_ELIMINATED);
}

static double correction(const struct cvl_survey *survey, const struct cvl_algo *algo)
{
    double least = 0;
    for (int i = 0; i < survey->count; i++) {
        const struct cvl_row *row = &survey->rows[i];
        const double ratio = row->recorded && is_timed(&row->record) && row->result.estimate_ms > 0
                                 ? row->result.median_ms / row->result.estimate_ms : 0;
        if (row->algo == algo && ratio > 0 && (least == 0 || ratio < least))
            least = ratio;
    }
    return least;
}

static bool beats(const struct cvl_record *rival, const struct cvl_row *row, double limit_ms)
{
    return is_timed(rival) && rival->workspace_bytes <= row->result.workspace_bytes &&
           (rival->deterministic || !row->result.deterministic) && rival->median_ms < limit_ms;
}

static bool has_times(const struct cvl_survey *survey)
{
    for (int i = 0; i < survey->count; i++)
        if (survey->rows[i].recorded && is_timed(&survey->rows[i].record))
            return true;
    return false;
}

static const struct cvl_record *find_rival(const struct cvl_survey *survey, const struct cvl_row *row, double limit_ms)
{
    for (int i = 0; i < survey->count; i++)
        if (survey->rows[i].recorded && beats(&survey->rows[i].record, row, limit_ms))
            return &survey->rows[i].record;
    for (int i = 0; i < survey->outsider_count && has_times(survey); i++)
        if (beats(&survey->outsiders[i], row, limit_ms))
            return &survey->outsiders[i];
    return NULL;
}

/* The lower end of the estimate's interval is then above the other's time. */
double cvl_survey_hopeless_times(const struct cvl_row *row)
{
    return fmin(CVL_HOPELESS, exp(2 * row->spread));
}

bool cvl_survey_hopeless(struct cvl_survey *survey, struct cvl_row *row)
{
    const double corrected = correction(survey, row->algo);
    const double expected_ms = row->result.estimate_ms * (corrected > 0 ? corrected : 1);
    const double alone = cvl_survey_hopeless_times(row);
    const double limit = fmax(1, WITH_RECORD * (corrected > 0 ? fmin(CVL_HOPELESS_CORRECTED, alone) : alone));
    const struct cvl_record *rival = find_rival(survey, row, expected_ms / limit);
    if (!rival && row->needless && has_times(survey)) {
        row->result.outcome = CVL_OUTCOME_SKIPPED;
        if (row->result.reason[0] == '\0')
            cvl_row_explain(row, "by its estimate it was too slow to be worth a run");
        return true;
    }
    if (!rival)
        return false;
    row->result.outcome = CVL_OUTCOME_SKIPPED;
    cvl_row_explain(row, "estimated to be %.1f times slower than %s, which needs no more workspace",
                    expected_ms / rival->median_ms, rival->candidate);
    return true;
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
        cvl_row_explain(row, "%s", judgement->reason);
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

/* Records that forbid a candidate hold for a guess as well: wrong is wrong. An error bound that somebody asked for is
 * kept by what the algorithm promises, as nothing was measured. */
static bool may_guess(struct cvl_survey *survey, struct cvl_row *row)
{
    if (row->recorded || !cvl_survey_fits(survey, row))
        return false;
    if (!survey->limits.tight_error || row->algo->tolerance(&survey->desc, &row->variant) <= survey->limits.max_error)
        return true;
    row->result.outcome = CVL_OUTCOME_OVER_LIMIT;
    cvl_row_explain(row, "not measured, and its rel_error may be %.2g: the limit is %.2g",
                    row->algo->tolerance(&survey->desc, &row->variant), survey->limits.max_error);
    return false;
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
            cvl_row_explain(row, "estimated to be %.2f times slower than %s",
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
