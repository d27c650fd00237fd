/* SPDX-License-Identifier: Apache-2.0 */
#include "tuner/confirm.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static bool is_timed(const struct cvl_row *row)
{
    return row->recorded && row->result.samples > 0 && row->result.outcome == CVL_OUTCOME_OK;
}

static int runner_up(const struct cvl_survey *survey)
{
    int found = -1;
    for (int i = 0; i < survey->count; i++)
        if (i != survey->chosen && is_timed(&survey->rows[i]) &&
            (found < 0 || survey->rows[i].result.median_ms < survey->rows[found].result.median_ms))
            found = i;
    return found;
}

/* Has that machine an opinion of everything that could run here? */
static bool covers(const struct cvl_survey *survey)
{
    for (int i = 0; i < survey->count; i++)
        if (!survey->rows[i].unusable && !survey->rows[i].recorded && !survey->rows[i].needless)
            return false;
    return true;
}

static bool is_alike(const struct cvl_survey *survey, const struct cvl_line_set *lines)
{
    struct cvl_environment there;
    return cvl_line_set_environment(lines, survey->prior_id, &there) && there.threads == survey->environment.threads &&
           strcmp(there.isa, survey->environment.isa) == 0 && strcmp(there.gpu, survey->environment.gpu) == 0;
}

static void describe(const struct cvl_survey *survey, const struct cvl_line_set *lines, struct cvl_prior *prior)
{
    struct cvl_environment there;
    if (cvl_line_set_environment(lines, survey->prior_id, &there))
        cvl_environment_describe(&there, prior->where, sizeof prior->where);
}

bool cvl_prior_take(struct cvl_survey *survey, const struct cvl_line_set *lines, struct cvl_prior *prior)
{
    if (cvl_survey_recorded(survey))   /* and these records stay */
        return false;
    const bool found = cvl_survey_prior(survey, lines);
    bool taken = found && covers(survey) && is_alike(survey, lines);
    *prior = (struct cvl_prior){ .first = survey->chosen, .second = taken ? runner_up(survey) : -1 };
    taken &= prior->second >= 0;
    if (taken) {
        prior->times = survey->rows[prior->second].result.median_ms / survey->rows[prior->first].result.median_ms;
        describe(survey, lines, prior);
    }
    for (int i = 0; i < survey->count && taken; i++) {
        struct cvl_row *row = &survey->rows[i];
        row->prior_ms = row->recorded && row->result.samples > 0 ? row->result.median_ms : row->record.estimate_ms;
        row->sidelined = i != prior->first && i != prior->second;
    }
    cvl_survey_forget(survey);
    return taken;
}

static void make_needless(const struct cvl_survey *survey, struct cvl_row *row, double scale,
                          const struct cvl_prior *prior)
{
    row->needless = true;
    row->result.outcome = CVL_OUTCOME_SKIPPED;
    cvl_row_explain(row, "not measured: %s had it slower, and was confirmed", prior->where);
    row->record = (struct cvl_record){
        .environment = survey->environment_id, .state = survey->state, .outcome = CVL_OUTCOME_SKIPPED,
        .revision = row->algo->revision, .estimate_ms = cvl_record_round(scale * row->prior_ms),
        .workspace_bytes = row->result.workspace_bytes, .packed_bytes = row->result.packed_bytes,
        .deterministic = row->result.deterministic, .when = (int64_t)time(NULL), .rel_error = -1, .l2_error = -1,
    };
    memcpy(row->record.problem, survey->problem, sizeof row->record.problem);
    memcpy(row->record.candidate, row->result.candidate, sizeof row->record.candidate);
    snprintf(row->record.command, sizeof row->record.command, "confirmed: %s", prior->where);
}

bool cvl_prior_confirm(struct cvl_survey *survey, const struct cvl_prior *prior)
{
    const struct cvl_row *first = &survey->rows[prior->first], *second = &survey->rows[prior->second];
    bool confirmed = is_timed(first) && is_timed(second);
    if (confirmed) {
        const double times = second->record.median_ms / first->record.median_ms;
        confirmed = times <= (1 + CVL_CONFIRM) * prior->times && prior->times <= (1 + CVL_CONFIRM) * times;
        cvl_log(survey->ctx, CVL_LOG_INFO, "%s: %s against %s is %.2f here and %.2f on %s, which %s", survey->problem,
                second->result.candidate, first->result.candidate, times, prior->times, prior->where,
                confirmed ? "is confirmed" : "does not count");
    }
    for (int i = 0; i < survey->count; i++) {
        struct cvl_row *row = &survey->rows[i];
        if (row->sidelined && confirmed && !row->unusable)
            make_needless(survey, row, first->record.median_ms / first->prior_ms, prior);
        row->sidelined = false;
    }
    return confirmed;
}
