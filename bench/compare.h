/* SPDX-License-Identifier: Apache-2.0
 * Today's chosen times beside those of an earlier result file, matched by the problem's text. */
#ifndef BENCH_COMPARE_H
#define BENCH_COMPARE_H

#include "bench/report.h"

struct comparison;

/* CVL_EINVAL or CVL_EIO: one sentence with file, line, column, value and what was expected. */
cvl_status comparison_open(const char *old_csv, struct comparison **comparison);
void       comparison_close(struct comparison *comparison);

void comparison_heading(FILE *to, const struct comparison *comparison, const struct bench_place *place);
void comparison_layer(FILE *to, struct comparison *comparison, const struct layer_report *report);
void comparison_totals(FILE *to, const struct comparison *comparison);

#endif
