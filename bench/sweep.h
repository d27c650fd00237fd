/* SPDX-License-Identifier: Apache-2.0
 * The way through a list of layers: tune or verify each, and report it to whoever listens. */
#ifndef BENCH_SWEEP_H
#define BENCH_SWEEP_H

#include "bench/compare.h"
#include "bench/progress.h"
#include "bench/report_table.h"

#define RESULTS_MAX 256

struct sweep {
    const struct bench_config *config;
    const struct layer_list   *layers;
    struct bench_place         place;
    cvl_ctx                   *ctx;
    cvl_tuner                 *tuner;        /* NULL: verify */
    cvl_tuner                 *selector;     /* --algo auto: who says which algorithm runs; else NULL */
    cvl_query                  query;
    double                     start, budget_s;
    double                     budget_start; /* set by sweep_run */
    bool                       measures;     /* the mode does */
    FILE                      *table;        /* NULL: quiet */
    FILE                      *csv;          /* NULL: none */
    FILE                      *compared;     /* what is printed after the totals; NULL: none */
    struct comparison         *comparison;
    struct progress            progress;
    struct bench_totals        totals;
    bool                      *reported;     /* of the layers, while sweep_run is at work */
    bool                       fault;        /* something was wrong or failed, or had no answer */
    cvl_result                 results[RESULTS_MAX];
};

/* Ends early when the user interrupts; what was measured until then is reported. */
void sweep_run(struct sweep *sweep);

#endif
