/* SPDX-License-Identifier: Apache-2.0
 * Every candidate, run once, all of its outputs against the oracle. */
#ifndef BENCH_VERIFY_H
#define BENCH_VERIFY_H

#include "bench/report.h"

/* One row per candidate or rejected algorithm: at most max at results, how many at *count. Outcomes are ok, wrong,
 * rejected, over_limit and failed; nothing is timed. CVL_ENOMEM: not enough for the problem's tensors. */
cvl_status verify_layer(cvl_ctx *ctx, const cvl_conv_desc *desc, const cvl_query *query, cvl_result *results, int max,
                        int *count);

/* "layer1.0.conv2    3 candidates right, worst 2.1e-07 of im2col:rows=14" */
void verify_print(FILE *to, const struct layer_report *report);

#endif
