/* SPDX-License-Identifier: Apache-2.0
 * What conv-cache prints. All of it goes to stdout; CVL_ENOMEM is the only failure. */
#ifndef BENCH_CACHE_REPORT_H
#define BENCH_CACHE_REPORT_H

#include "bench/cache_groups.h"

/* A table for each environment: '*' or '-', problem, state, candidate, median, half of the interval, and the rest. */
cvl_status cache_show(const struct cvl_line_set *set, const struct cache_filter *filter);

/* Who won, by how much and how certainly, and why each other candidate did not. */
cvl_status cache_explain(const struct cvl_line_set *set, const struct cache_filter *filter);

/* "DIGEST  N choices  ENVIRONMENT  its description", a line for each environment: a number for who wins where. */
cvl_status cache_digest(const struct cvl_line_set *set, const struct cache_filter *filter);

void cache_describe(const struct cvl_line_set *set, uint64_t environment, char *text, size_t size);

/* The problems that were asked for where nothing could be chosen: PROBLEM STATE ENVIRONMENT, a line each. */
cvl_status cache_untuned(const struct cvl_line_set *set, const struct cache_filter *filter);

/* What a has and b lacks (-), the other way round (+), and where the winner (!) or its time (~) is another. */
cvl_status cache_diff(const struct cvl_line_set *a, const struct cvl_line_set *b);

#endif
