/* SPDX-License-Identifier: Apache-2.0
 * The result file: one row per layer and candidate, flushed layer by layer. */
#ifndef BENCH_REPORT_CSV_H
#define BENCH_REPORT_CSV_H

#include "bench/report.h"

void report_csv_header(FILE *to);
void report_csv_layer(FILE *to, const struct layer_report *report);   /* ferror(to) says whether it was written */

#endif
