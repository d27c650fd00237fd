/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "base/text.h"
#include "bench/csv_table.h"

/* A layer is slower or faster when the two intervals do not meet and the medians differ by more than this. */
#define NOISE 0.02

struct old_time { const char *problem, *candidate; double median_ms, low_ms, high_ms; };

struct comparison {
    struct csv_table *table;
    struct old_time  *old;          /* the chosen rows that have a time */
    int               count;
    int               row;          /* of the first of them, for where it was measured */
    int               compared, slower, faster, missing;
    double            log_ratio;    /* sum over the compared */
};

static cvl_status read_time(const struct csv_table *table, int row, const char *column, double *ms)
{
    const char *field = csv_table_field(table, row, csv_table_find(table, column));
    if (cvl_text_double(field, strlen(field), ms) && *ms > 0)
        return CVL_OK;
    return cvl_fail(CVL_EINVAL, "%s: line %d, column %s: '%s' is not a number above 0", csv_table_name(table),
                    csv_table_line(table, row), column, field);
}

static cvl_status read_rows(struct comparison *comparison)
{
    const struct csv_table *table = comparison->table;
    const int chosen = csv_table_find(table, "chosen"), median = csv_table_find(table, "median_ms");
    cvl_status status = CVL_OK;
    for (int row = 0; status == CVL_OK && row < csv_table_rows(table); row++) {
        const char *flag = csv_table_field(table, row, chosen);
        if (strcmp(flag, "0") != 0 && strcmp(flag, "1") != 0)
            return cvl_fail(CVL_EINVAL, "%s: line %d, column chosen: '%s' is not 0 or 1", csv_table_name(table),
                            csv_table_line(table, row), flag);
        if (*flag == '0' || !*csv_table_field(table, row, median))
            continue;
        if (!comparison->count)
            comparison->row = row;
        struct old_time *old = &comparison->old[comparison->count++];
        old->problem = csv_table_field(table, row, csv_table_find(table, "problem"));
        old->candidate = csv_table_field(table, row, csv_table_find(table, "candidate"));
        status = read_time(table, row, "median_ms", &old->median_ms);
        if (status == CVL_OK)
            status = read_time(table, row, "ci_low_ms", &old->low_ms);
        if (status == CVL_OK)
            status = read_time(table, row, "ci_high_ms", &old->high_ms);
    }
    return status;
}

cvl_status comparison_open(const char *old_csv, struct comparison **out)
{
    static const char *const needed[] = { "problem", "candidate", "chosen", "median_ms", "ci_low_ms", "ci_high_ms",
                                          "threads", "isa", "machine" };
    *out = NULL;
    struct comparison *comparison = calloc(1, sizeof *comparison);
    if (!comparison)
        return cvl_fail(CVL_ENOMEM, "no memory to compare with %s", old_csv);
    cvl_status status = csv_table_load(old_csv, &comparison->table);
    for (size_t i = 0; status == CVL_OK && i < sizeof needed / sizeof *needed; i++)
        if (csv_table_find(comparison->table, needed[i]) < 0)
            status = cvl_fail(CVL_EINVAL, "%s: line 1: column %s is missing, expected what conv-bench --csv writes",
                              old_csv, needed[i]);
    if (status == CVL_OK) {
        comparison->old = calloc((size_t)csv_table_rows(comparison->table), sizeof *comparison->old);
        status = comparison->old ? read_rows(comparison)
                                 : cvl_fail(CVL_ENOMEM, "no memory to compare with %s", old_csv);
    }
    if (status == CVL_OK)
        *out = comparison;
    else
        comparison_close(comparison);
    return status;
}

void comparison_close(struct comparison *comparison)
{
    if (!comparison)
        return;
    csv_table_free(comparison->table);
    free(comparison->old);
    free(comparison);
}

/* Times of different places compare machines, not programs: the reader is told. */
void comparison_heading(FILE *to, const struct comparison *comparison, const struct bench_place *place)
{
    char threads[16];
    snprintf(threads, sizeof threads, "%d", place->threads);
    const struct { const char *column, *now; } same[] = {
        { "machine", place->machine }, { "isa", place->isa }, { "threads", threads },
    };
    fprintf(to, "\ncompared with %s:\n", csv_table_name(comparison->table));
    for (int i = 0; comparison->count && i < 3; i++) {
        const int column = csv_table_find(comparison->table, same[i].column);
        const char *then = csv_table_field(comparison->table, comparison->row, column);
        if (strcmp(then, same[i].now) != 0)
            fprintf(to, "note: %s was %s then and is %s now\n", same[i].column, then, same[i].now);
    }
    fprintf(to, "%-30s  %-20s %9s  %-20s %9s %8s\n", "layer", "old winner", "ms", "new winner", "ms", "new/old");
}

static const struct old_time *find(const struct comparison *comparison, const char *problem)
{
    for (int i = 0; i < comparison->count; i++)
        if (strcmp(comparison->old[i].problem, problem) == 0)
            return &comparison->old[i];
    return NULL;
}

void comparison_layer(FILE *to, struct comparison *comparison, const struct layer_report *report)
{
    const struct old_time *old = find(comparison, report->problem);
    const cvl_result *now = report->chosen;
    if (!old || !now || now->samples == 0) {
        comparison->missing++;
        fprintf(to, "%-30s  %s\n", report->label, old ? "has no time now" : "has no time there");
        return;
    }
    const double ratio = now->median_ms / old->median_ms;
    const bool slower = ratio > 1 + NOISE && now->ci_low_ms > old->high_ms;
    const bool faster = ratio < 1 - NOISE && now->ci_high_ms < old->low_ms;
    comparison->compared++;
    comparison->slower += slower;
    comparison->faster += faster;
    comparison->log_ratio += log(ratio);
    fprintf(to, "%-30s  %-20s %9.4f  %-20s %9.4f %8.3f%s\n", report->label, old->candidate, old->median_ms,
            now->candidate, now->median_ms, ratio, slower ? "  SLOWER" : faster ? "  faster" : "");
}

void comparison_totals(FILE *to, const struct comparison *comparison)
{
    fprintf(to, "%d layers compared, %d slower, %d faster", comparison->compared, comparison->slower,
            comparison->faster);
    if (comparison->missing)
        fprintf(to, ", %d without a time on both sides", comparison->missing);
    if (comparison->compared)
        fprintf(to, "; geometric mean of new/old: %.3f", exp(comparison->log_ratio / comparison->compared));
    fputc('\n', to);
}
