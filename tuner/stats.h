/* SPDX-License-Identifier: Apache-2.0
 * The median of a few timings and how well it is known, with no assumption about their distribution: it has a long tail
 * to the right, which a mean and its standard error misread. */
#ifndef TUNER_STATS_H
#define TUNER_STATS_H

#include <stdbool.h>

#define CVL_SAMPLES_MAX 64
#define CVL_SAMPLES_OF_INTERVAL 6   /* the range of 6 misses the median with 2 / 2^6 = 0.03, that of 5 with 0.06 */

struct cvl_stats {
    int    samples;
    double median, min;
    double low, high;    /* covers the true median with at least 95 %; of fewer samples: their whole range */
};

/* Of 1 to CVL_SAMPLES_MAX values in any order. */
struct cvl_stats cvl_stats_of(const double *values, int count);

/* The rank k, from 1, such that [k-th smallest, k-th largest] of count values covers their distribution's median with
 * at least 95 %; 1 as well when no interval of so few values does. */
int cvl_stats_rank(int count);

/* The interval is one of 95 % and within +-share of the median. */
bool cvl_stats_precise(const struct cvl_stats *stats, double share);

#endif
