/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/sweep.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "bench/profile_report.h"
#include "bench/report_csv.h"
#include "bench/spend.h"
#include "bench/verify.h"

/* Every layer gets its share of what is left, so that one that needs less leaves the rest to those that follow. */
static void share_budget(struct sweep *sweep, int layer)
{
    double rest = 0;
    for (int i = 0; i < sweep->layers->count; i++)
        rest += sweep->reported[i] ? 0 : workload_cost(&sweep->layers->at[i].desc);
    const double left = sweep->budget_s - (cvl_now() - sweep->budget_start);
    cvl_tuner_set_budget(sweep->tuner, left > 0 ? left * workload_cost(&sweep->layers->at[layer].desc) / rest : 0);
}

static void note_failure(struct sweep *sweep, struct layer_report *report)
{
    snprintf(report->failure, sizeof report->failure, "%s", cvl_last_error());
    sweep->fault = true;
}

/* The selector's choice, and the query that lets only its algorithm run. */
static cvl_status narrow(const struct sweep *sweep, const cvl_conv_desc *desc, cvl_query *query,
                         char algorithm[CVL_CANDIDATE_MAX])
{
    const cvl_plan *plan;
    const cvl_status status = cvl_tuner_plan(sweep->selector, desc, query, &plan);
    if (status != CVL_OK)
        return status;
    const char *candidate = cvl_plan_candidate(plan);
    snprintf(algorithm, CVL_CANDIDATE_MAX, "%.*s", (int)strcspn(candidate, ":"), candidate);
    query->allow = algorithm;
    return CVL_OK;
}

static int keep_chosen(cvl_result *results, int count)
{
    for (int i = 0; i < count; i++) {
        if (results[i].chosen) {
            results[0] = results[i];
            return 1;
        }
    }
    return 0;
}

static const cvl_plan *tune(struct sweep *sweep, struct layer_report *report, int layer)
{
    const cvl_conv_desc *desc = &report->layer->desc;
    const cvl_plan *plan = NULL;
    cvl_query query = sweep->query;
    char algorithm[CVL_CANDIDATE_MAX];
    int count = 0;
    share_budget(sweep, layer);
    cvl_status status = sweep->selector ? narrow(sweep, desc, &query, algorithm) : CVL_OK;
    if (status == CVL_OK)
        status = cvl_tuner_plan(sweep->tuner, desc, &query, &plan);
    if (status != CVL_OK)
        note_failure(sweep, report);
    if (cvl_tuner_results(sweep->tuner, desc, &query, sweep->results, RESULTS_MAX, &count) != CVL_OK)
        note_failure(sweep, report);
    cvl_tuner_regret(sweep->tuner, desc, &query, &report->regret);
    count = count < RESULTS_MAX ? count : RESULTS_MAX;
    if (sweep->selector)
        count = keep_chosen(sweep->results, count);
    report_take(report, sweep->results, count);
    return status == CVL_OK ? plan : NULL;
}

static void verify(struct sweep *sweep, struct layer_report *report)
{
    int count;
    if (verify_layer(sweep->ctx, &report->layer->desc, &sweep->query, sweep->results, RESULTS_MAX, &count) != CVL_OK) {
        note_failure(sweep, report);
        fprintf(stderr, "conv-bench: %s: %s\n", report->label, report->failure);
    }
    report_take(report, sweep->results, count);
}

/* What is wrong is told even to those who asked for quiet. */
static void tell_faults(struct sweep *sweep, const struct layer_report *report)
{
    for (int i = 0; i < report->count; i++) {
        const cvl_result *result = &report->results[i];
        if (result->outcome != CVL_OUTCOME_WRONG && result->outcome != CVL_OUTCOME_FAILED)
            continue;
        sweep->fault = true;
        fprintf(stderr, "conv-bench: %s: %s: %s: %s: %s\n", report->label, report->problem, result->candidate,
                cvl_outcome_name(result->outcome), result->reason);
    }
}

static void put_layer(struct sweep *sweep, const struct layer_report *report, const cvl_plan *plan)
{
    progress_clear(&sweep->progress);
    tell_faults(sweep, report);
    if (sweep->csv)
        report_csv_layer(sweep->csv, report);
    if (sweep->compared)
        comparison_layer(sweep->compared, sweep->comparison, report);
    if (!sweep->table)
        return;
    if (sweep->tuner)
        report_table_layer(sweep->table, sweep->layers, report);
    else
        verify_print(sweep->table, report);
    if (sweep->config->why)
        report_table_why(sweep->table, report);
    if (sweep->config->profile && plan && profile_print(sweep->table, plan) != CVL_OK)
        fprintf(stderr, "conv-bench: %s: %s\n", report->label, cvl_last_error());
}

static void visit(struct sweep *sweep, int layer)
{
    struct layer_report report;
    const cvl_plan *plan = NULL;
    report_init(&report, sweep->layers, &sweep->layers->at[layer], &sweep->place);
    sweep->progress.label = report.label;
    progress_tell(&sweep->progress, 0);
    if (sweep->tuner)
        plan = tune(sweep, &report, layer);
    else
        verify(sweep, &report);
    put_layer(sweep, &report, plan);
    totals_add(&sweep->totals, &report);
    sweep->reported[layer] = true;
}

/* Layers come in the order of the grid; with a budget that is not enough for all, in that of their measuring, and what
 * is left then as it is. */
void sweep_run(struct sweep *sweep)
{
    const bool scarce = sweep->tuner && sweep->measures && !sweep->selector && spend_is_scarce(sweep);
    progress_start(&sweep->progress, sweep->layers->count, sweep->config->quiet);
    sweep->budget_start = cvl_now();
    sweep->reported = calloc((size_t)sweep->layers->count + 1, sizeof *sweep->reported);
    if (!sweep->reported || (scarce && spend_by_gain(sweep, visit) != CVL_OK)) {
        fprintf(stderr, "conv-bench: no memory for %d layers\n", sweep->layers->count);
        sweep->fault = true;
    }
    for (int i = 0; sweep->reported && i < sweep->layers->count && (scarce || !interrupt_signal()); i++) {
        if (sweep->reported[i])
            continue;
        if (!scarce)
            sweep->progress.done = i;
        visit(sweep, i);
    }
    free(sweep->reported);
}
