/* SPDX-License-Identifier: Apache-2.0
 * The interval between two order statistics: a sample is above the median or below it like a fair coin, so that the
 * k-th smallest of n is above the median with probability P(Binomial(n, 1/2) < k). */
#include "tuner/stats.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MISS 0.05   /* allowed probability that the interval does not cover the median */

int cvl_stats_rank(int count)
{
    double term = ldexp(1, -count), below = term;   /* C(n,i) / 2^n, and its sum over i <= rank - 1 */
    int rank = 1;
    for (int i = 1; i < count; i++) {
        term *= (double)(count - i + 1) / i;
        below += term;
        if (2 * below > MISS)
            break;
        rank = i + 1;
    }
    return rank;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct cvl_stats cvl_stats_of(const double *values, int count)
{
    double sorted[CVL_SAMPLES_MAX];
    assert(count >= 1 && count <= CVL_SAMPLES_MAX);
    memcpy(sorted, values, (size_t)count * sizeof *values);
    qsort(sorted, (size_t)count, sizeof *sorted, compare);
    const int rank = cvl_stats_rank(count);
    return (struct cvl_stats){
        .samples = count,
        .median = 0.5 * (sorted[(count - 1) / 2] + sorted[count / 2]),
        .min = sorted[0],
        .low = sorted[rank - 1],
        .high = sorted[count - rank],
    };
}

bool cvl_stats_precise(const struct cvl_stats *stats, double share)
{
    return stats->samples >= CVL_SAMPLES_OF_INTERVAL && stats->high - stats->median <= share * stats->median &&
           stats->median - stats->low <= share * stats->median;
}
