/* SPDX-License-Identifier: Apache-2.0
 * Are the stored choices still right? Each problem's stored candidates race again, all of them to the end, and the
 * stored winner is held against the best. */
#ifndef BENCH_AUDIT_H
#define BENCH_AUDIT_H

#include "bench/progress.h"
#include "bench/workload.h"
#include "tuner/store.h"

struct audit {
    cvl_ctx                 *ctx;
    const struct layer_list *layers;
    struct cvl_store        *store;      /* nothing is added to it */
    cvl_state                state;
    const cvl_query         *query;
    struct progress         *progress;
    FILE                    *table;      /* NULL: quiet */

    /* What came of the layers. */
    int    audited, flips;
    double best_ms, stored_ms;           /* each layer times its count */
    double worst_regret;
};

/* Ends early when the user interrupts. False, after a sentence each on stderr: there were layers for which the cache
 * chooses nothing, or that could not be measured. */
bool audit_run(struct audit *audit);

#endif
