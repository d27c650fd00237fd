/* SPDX-License-Identifier: Apache-2.0 */
#include "tuner/drift.h"

#include <stdint.h>
#include <sys/resource.h>
#include "base/clock.h"

#define LINKS 6000       /* multiplications, each waiting for the one before: 3 to 4 cycles each */
#define STEADY 0.05      /* of the time before */

static volatile uint64_t kept;

static double chain(void)
{
    uint64_t value = kept | 1;
    const double start = cvl_now();
    for (int i = 0; i < LINKS; i++)
        value *= 0x9e3779b97f4a7c15u;
    kept = value;
    return cvl_now() - start;
}

double cvl_drift_probe(void)
{
    double least = chain();
    for (int i = 1; i < 3; i++) {
        const double one = chain();
        least = one < least ? one : least;
    }
    return least;
}

void cvl_drift_begin(struct cvl_drift *drift, double (*probe)(void))
{
    drift->probe = probe;
    drift->disturbed = 0;
    drift->least = drift->latest = probe();
}

bool cvl_drift_is_steady(struct cvl_drift *drift)
{
    const double before = drift->latest, now = drift->probe();
    const bool steady = now <= (1 + STEADY) * before && before <= (1 + STEADY) * now;
    drift->latest = now;
    drift->least = now < drift->least ? now : drift->least;
    drift->disturbed += !steady;
    return steady;
}

long cvl_drift_preemptions(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_nivcsw : 0;
}
