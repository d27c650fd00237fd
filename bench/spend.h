/* SPDX-License-Identifier: Apache-2.0
 * A budget that may be too small for all layers goes to where most is to be gained. */
#ifndef BENCH_SPEND_H
#define BENCH_SPEND_H

#include "bench/sweep.h"

/* Is the whole budget less than the layers will take, about? */
bool spend_is_scarce(const struct sweep *sweep);

/* Tunes layers until the budget is spent or nothing is to be gained: each time the one with the greatest expected gain,
 * count x (time of the choice - least time that another may have), for its share of what is left. Calls done for each
 * layer that needs no more. CVL_ENOMEM: nothing was tuned. */
typedef void spend_fn(struct sweep *sweep, int layer);
cvl_status spend_by_gain(struct sweep *sweep, spend_fn *done);

#endif
