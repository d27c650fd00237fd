/* SPDX-License-Identifier: Apache-2.0 */
#include "tuner/survey.h"

#include "base/alloc.h"
#include "base/text.h"
#include "conv/registry.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void cvl_row_explain(struct cvl_row *row, const char *format, ...)
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

/* Seconds by the algorithm's own estimate, then by what the cache says of it. */
static void estimate(struct cvl_survey *survey, struct cvl_row *row)
{
    const cvl_ctx *reckoner = survey->reckoner ? survey->reckoner : survey->ctx;
    struct cvl_correction correction = { 1, CVL_SPREAD_UNKNOWN };
    if (survey->model)
        correction = cvl_model_correct(survey->model, row->algo, &survey->desc, &row->variant);
    row->raw_ms = 1e3 * row->algo->estimate(reckoner, &survey->desc, &row->variant);
    row->result.estimate_ms = correction.factor * row->raw_ms;
    row->spread = correction.spread;
}

static struct cvl_row *add_candidate(struct cvl_survey *survey, const struct cvl_algo *algo,
                                     const struct cvl_variant *variant)
{
    struct cvl_row *row = add_row(survey, algo);
    row->variant = *variant;
    cvl_candidate_print(algo, variant, row->result.candidate);
    row->result.source = CVL_SOURCE_ESTIMATE;
    estimate(survey, row);
    row->result.deterministic = !variant->nondeterministic;
    return row;
}

static void add_candidates(struct cvl_survey *survey, const struct cvl_algo *algo)
{
    struct cvl_variant variants[CVL_VARIANTS_MAX];
    const int count = cvl_algo_variants(survey->ctx, algo, &survey->desc, variants);
    for (int i = 0; i < count; i++)
        add_candidate(survey, algo, &variants[i]);
}

static void add_rejected(struct cvl_survey *survey, const struct cvl_algo *algo, const char *why)
{
    struct cvl_row *row = add_row(survey, algo);
    snprintf(row->result.candidate, sizeof row->result.candidate, "%s", algo->name);
    row->result.outcome = CVL_OUTCOME_REJECTED;
    row->unusable = true;
    cvl_row_explain(row, "%s", why);
}

/* Same bits from every run, within the workspace? Only a limit on it is worth making plans for. */
static bool serves(struct cvl_survey *survey, struct cvl_row *row)
{
    if (row->unusable || !row->result.deterministic)
        return false;
    return survey->limits.max_workspace == SIZE_MAX
        || (cvl_survey_plan(survey, row) && row->result.workspace_bytes <= survey->limits.max_workspace);
}

/* With no list of allowed algorithms, the reference takes what no other algorithm takes, or only with more workspace
 * than is allowed or without the same bits from every run, as a vendor's may: a selection never fails. */
static void add_rows(struct cvl_survey *survey)
{
    const struct cvl_algo *reference = NULL;
    bool served = false;
    for (int i = 0; cvl_algos[i]; i++) {
        const char *why;
        if (!cvl_limits_permit(&survey->limits, cvl_algos[i]->name)) {
            if (strcmp(cvl_algos[i]->name, "reference") == 0)
                reference = cvl_algos[i];
            continue;
        }
        why = cvl_algo_refusal(survey->ctx, cvl_algos[i], &survey->desc);
        if (why)
            add_rejected(survey, cvl_algos[i], why);
        else
            add_candidates(survey, cvl_algos[i]);
    }
    for (int i = 0; i < survey->count && !served; i++)
        served = serves(survey, &survey->rows[i]);
    if (!served && reference && !survey->limits.allow && !cvl_text_listed(survey->limits.deny, reference->name) &&
        !cvl_algo_refusal(survey->ctx, reference, &survey->desc))
        add_candidates(survey, reference);
}

static bool has_room(struct cvl_survey *survey)
{
    if (survey->count < survey->capacity)
        return true;
    struct cvl_row *more = cvl_calloc(2 * (size_t)survey->capacity, sizeof *more);
    if (!more)
        return false;
    memcpy(more, survey->rows, (size_t)survey->count * sizeof *more);
    cvl_free(survey->rows);
    survey->rows = more;
    survey->capacity *= 2;
    return true;
}

struct cvl_row *cvl_survey_add(struct cvl_survey *survey, const char *candidate)
{
    const struct cvl_algo *algo;
    struct cvl_variant variant;
    if (cvl_candidate_parse(candidate, &algo, &variant) != CVL_OK || !cvl_limits_permit(&survey->limits, algo->name) ||
        cvl_algo_refusal(survey->ctx, algo, &survey->desc) || !has_room(survey))
        return NULL;
    struct cvl_row *row = add_candidate(survey, algo, &variant);
    if (!cvl_survey_plan(survey, row)) {
        memset(&survey->rows[--survey->count], 0, sizeof *row);
        return NULL;
    }
    row->result.deterministic = !row->plan->variant.nondeterministic;
    return row;
}

cvl_status cvl_survey_create(cvl_ctx *ctx, const cvl_conv_desc *desc, const cvl_query *query,
                             struct cvl_survey *survey)
{
    int rows = 0;
    for (int i = 0; cvl_algos[i]; i++)
        rows += cvl_algos[i]->device == ctx->device->kind ? cvl_algo_most(cvl_algos[i]) : 1;   /* one says why not */
    survey->ctx = ctx;
    survey->desc = *desc;
    survey->limits = cvl_limits_of(query, desc);
    survey->count = survey->outsider_count = 0;
    survey->outsiders = NULL;
    survey->chosen = -1;
    survey->capacity = rows;
    survey->rows = cvl_calloc((size_t)survey->capacity, sizeof *survey->rows);
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
    cvl_free(survey->outsiders);
    cvl_free(survey->rows);
    survey->outsiders = NULL;
    survey->rows = NULL;
    survey->count = survey->outsider_count = 0;
}

cvl_plan *cvl_survey_plan(struct cvl_survey *survey, struct cvl_row *row)
{
    if (row->plan || row->unusable)
        return row->plan;
    if (cvl_plan_create(survey->ctx, &survey->desc, row->result.candidate, &row->plan) != CVL_OK) {
        row->plan = NULL;
        row->unusable = true;
        row->result.outcome = CVL_OUTCOME_FAILED;
        cvl_row_explain(row, "%s", cvl_last_error());
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
        cvl_row_explain(row, "needs %zu bytes of workspace, the limit is %zu", row->result.workspace_bytes,
                limits->max_workspace);
        return false;
    }
    if (limits->deterministic && !row->result.deterministic) {
        row->result.outcome = CVL_OUTCOME_OVER_LIMIT;
        cvl_row_explain(row, "two runs may differ in their last bits");
        return false;
    }
    return true;
}
