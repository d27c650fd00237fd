/* SPDX-License-Identifier: Apache-2.0
 * The table for people: a heading, one line a layer, totals. Readable at 120 columns. */
#ifndef BENCH_REPORT_TABLE_H
#define BENCH_REPORT_TABLE_H

#include "bench/report.h"

/* Sums over the layers that were reported. */
struct bench_totals {
    int    layers, timed, measured, cached, estimated, unanswered;
    double ms, flops;             /* weighted by count, of the timed layers */
    double stake_ms, loss_ms;     /* weighted by count, of all: the choices' times, and what of them may be regret */
    double log_percent;           /* sum of the logarithms of percent_peak, */
    int    percents;              /* of so many */
    size_t workspace;             /* largest of the chosen */
};

void report_table_heading(FILE *to, const struct layer_list *list, const struct bench_place *place);
void report_table_columns(FILE *to, const struct layer_list *list);
void report_table_layer(FILE *to, const struct layer_list *list, const struct layer_report *report);
void report_table_why(FILE *to, const struct layer_report *report);
void report_table_totals(FILE *to, const struct bench_totals *totals, double seconds, const char *cache);

void totals_add(struct bench_totals *totals, const struct layer_report *report);

#endif
