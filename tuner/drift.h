/* SPDX-License-Identifier: Apache-2.0
 * Watches the processor's clock by a reference kernel: a chain of operations that touches no memory, so that its time
 * changes only when the clock does, or when something else takes the processor. */
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

#endif
