/* SPDX-License-Identifier: Apache-2.0
 * What tells that a sample is not the candidate's alone. The processor's clock is watched by a reference kernel, a
 * chain of operations that touches no memory, so that its time changes only when the clock does. How often something
 * else took a processor from us, the operating system counts. */
#ifndef TUNER_DRIFT_H
#define TUNER_DRIFT_H

#include <stdbool.h>

struct cvl_drift {
    double (*probe)(void);   /* seconds of the reference kernel */
    double   least, latest;
    int      disturbed;      /* how often it was off by more than what counts as steady */
};

double cvl_drift_probe(void);   /* some 20 microseconds; the least of three */

void cvl_drift_begin(struct cvl_drift *drift, double (*probe)(void));
/* Was the clock the same since the last call? */
bool cvl_drift_is_steady(struct cvl_drift *drift);

/* How often, by now, a thread of this process lost its processor to another. */
long cvl_drift_preemptions(void);

#endif
