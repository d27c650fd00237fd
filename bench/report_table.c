/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/report_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_WIDTH_MAX 30
#define CANDIDATE_WIDTH 22

static int label_width(const struct layer_list *list)
{
    int width = 5;
    for (int i = 0; i < list->count; i++) {
        char label[LABEL_MAX];
        workload_label(list, &list->at[i], label);
        const int length = (int)strlen(label);
        width = length > width ? length : width;
    }
    return width < LABEL_WIDTH_MAX ? width : LABEL_WIDTH_MAX;
}

/* As many digits as tell something; "~" marks an estimate. */
static const char *time_text(const cvl_result *result, char text[16])
{
    const double ms = report_time_ms(result);
    if (ms <= 0)
        return "-";
    snprintf(text, 16, "%s%.*f", result->samples > 0 ? "" : "~", ms < 1 ? 4 : ms < 100 ? 3 : 1, ms);
    return text;
}

static const char *error_text(const cvl_result *result, char text[16])
{
    if (result->rel_error < 0)
        return "-";
    snprintf(text, 16, "%.1e", result->rel_error);
    return text;
}

void report_table_heading(FILE *to, const struct layer_list *list, const struct bench_place *place)
{
    fprintf(to, "conv-bench %s, commit %s\n", cvl_version(), place->commit);
    fprintf(to, "%s, %s, isa %s, %d thread%s", place->machine, place->device, place->isa, place->threads,
            place->threads == 1 ? "" : "s");
    if (place->peak.measured && list->count > 0) {
        const char *name;
        const double rate = report_rate(&place->peak, &list->at[0].desc, &name);
        fprintf(to, ", %s peak %.1f %s", name, rate / 1e9, strcmp(name, "int8") == 0 ? "GOP/s" : "GFLOP/s");
    }
    fputs("\n\n", to);
}

void report_table_columns(FILE *to, const struct layer_list *list)
{
    fprintf(to, "%-*s  %-*s %8s %7s %6s %9s %7s  %s\n", label_width(list), "layer", CANDIDATE_WIDTH, "winner", "ms",
            "GFLOP/s", "% peak", "workspace", "error", "runner-up");
}

static void put_other(FILE *to, const cvl_result *chosen, const cvl_result *other)
{
    fprintf(to, "%s", other->candidate);
    if (chosen->samples > 0 && chosen->median_ms > 0)
        fprintf(to, " x%.2f", other->median_ms / chosen->median_ms);
}

void report_table_layer(FILE *to, const struct layer_list *list, const struct layer_report *report)
{
    const int width = label_width(list);
    const cvl_result *chosen = report->chosen;
    if (!chosen) {
        fprintf(to, "%-*s  no winner: %s\n", width, report->label, report->failure);
        fflush(to);
        return;
    }
    char ms[16], error[16], bytes[BYTES_TEXT_MAX], gflops[16] = "-", percent[16] = "-";
    if (chosen->samples > 0) {
        snprintf(gflops, sizeof gflops, "%.1f", report_gflops(report, chosen));
        snprintf(percent, sizeof percent, "%.1f", report_percent_peak(report, chosen));
    }
    fprintf(to, "%-*s  %-*s %8s %7s %6s %9s %7s  ", width, report->label, CANDIDATE_WIDTH, chosen->candidate,
            time_text(chosen, ms), gflops, percent, report_bytes(chosen->workspace_bytes, bytes),
            error_text(chosen, error));
    const cvl_result *runner_up = report_runner_up(report), *own = report_best_own(report);
    if (runner_up)
        put_other(to, chosen, runner_up);
    else
        fputc('-', to);
    fputc('\n', to);
    if (own) {
        fprintf(to, "%*s  best of ours: ", width, "");
        put_other(to, chosen, own);
        fprintf(to, ", %s ms, workspace %s, error %s\n", time_text(own, ms), report_bytes(own->workspace_bytes, bytes),
                error_text(own, error));
    }
    fflush(to);
}

/* The chosen one, then those with a time by their times, then the rest in their own order. */
static int by_time(const void *a, const void *b)
{
    const cvl_result *x = *(const cvl_result *const *)a, *y = *(const cvl_result *const *)b;
    const double x_ms = x->samples > 0 ? x->median_ms : HUGE_VAL, y_ms = y->samples > 0 ? y->median_ms : HUGE_VAL;
    if (x->chosen != y->chosen)
        return x->chosen ? -1 : 1;
    return x_ms != y_ms ? (x_ms < y_ms ? -1 : 1) : (x > y) - (x < y);
}

static void put_candidate(FILE *to, const cvl_result *result)
{
    char ms[16], error[16], bytes[BYTES_TEXT_MAX];
    fprintf(to, "  %c %-*s %-10s ", result->chosen ? '*' : ' ', CANDIDATE_WIDTH, result->candidate,
            cvl_outcome_name(result->outcome));
    if (result->outcome != CVL_OUTCOME_REJECTED)
        fprintf(to, "%9s ms %9s %8s  ", time_text(result, ms), report_bytes(result->workspace_bytes, bytes),
                error_text(result, error));
    fprintf(to, "%s\n", result->chosen && !*result->reason ? "the fastest" : result->reason);
}

void report_table_why(FILE *to, const struct layer_report *report)
{
    const cvl_result **sorted = malloc((size_t)report->count * sizeof *sorted + 1);
    for (int i = 0; sorted && i < report->count; i++)
        sorted[i] = &report->results[i];
    if (sorted)
        qsort(sorted, (size_t)report->count, sizeof *sorted, by_time);
    for (int i = 0; i < report->count; i++)
        put_candidate(to, sorted ? sorted[i] : &report->results[i]);
    free(sorted);
    fflush(to);
}

void totals_add(struct bench_totals *totals, const struct layer_report *report)
{
    const cvl_result *chosen = report->chosen;
    totals->layers++;
    switch (report_source(report)) {
    case CVL_SOURCE_MEASURED: totals->measured++; break;
    case CVL_SOURCE_CACHE:    totals->cached++; break;
    case CVL_SOURCE_ESTIMATE: totals->estimated++; break;
    case CVL_SOURCE_NONE:     totals->unanswered++; break;
    }
    if (!chosen)
        return;
    if (chosen->workspace_bytes > totals->workspace)
        totals->workspace = chosen->workspace_bytes;
    if (report->regret >= 0) {
        totals->stake_ms += report->layer->count * report_time_ms(chosen);
        totals->loss_ms += report->layer->count * report_time_ms(chosen) * report->regret / (1 + report->regret);
    }
    if (chosen->samples == 0)
        return;
    totals->timed++;
    totals->ms += report->layer->count * chosen->median_ms;
    totals->flops += report->layer->count * cvl_conv_flops(&report->layer->desc);
    const double percent = report_percent_peak(report, chosen);
    if (percent > 0) {
        totals->log_percent += log(percent);
        totals->percents++;
    }
}

static void put_sources(FILE *to, const struct bench_totals *totals)
{
    if (totals->layers && totals->cached == totals->layers) {
        fprintf(to, "answered %d of %d layers from the cache, measured none", totals->cached, totals->layers);
        return;
    }
    fprintf(to, "measured %d of %d layers", totals->measured, totals->layers);
    if (totals->cached)
        fprintf(to, ", answered %d from the cache", totals->cached);
    if (totals->estimated)
        fprintf(to, ", estimated %d", totals->estimated);
    if (totals->unanswered)
        fprintf(to, ", no answer for %d", totals->unanswered);
}

void report_table_totals(FILE *to, const struct bench_totals *totals, double seconds, const char *cache)
{
    char bytes[BYTES_TEXT_MAX];
    fprintf(to, "\ntotal of %d timed layers, each times its count: %.3f ms", totals->timed, totals->ms);
    if (totals->ms > 0)
        fprintf(to, ", %.1f GFLOP/s", totals->flops / (totals->ms * 1e6));
    if (totals->percents)
        fprintf(to, "; geometric mean %.1f %% of peak", exp(totals->log_percent / totals->percents));
    fprintf(to, "\nlargest workspace %s\n", report_bytes(totals->workspace, bytes));
    put_sources(to, totals);
    fprintf(to, ", in %.1f s; %s%s\n", seconds, *cache ? "cache: " : "no cache is kept", cache);
    if (totals->stake_ms > 0)
        fprintf(to, "%.3g s: %d/%d layers, regret at most %.1f %% (95 %%)\n", seconds, totals->timed, totals->layers,
                100 * totals->loss_ms / (totals->stake_ms - totals->loss_ms));
    fflush(to);
}
