/* SPDX-License-Identifier: Apache-2.0
 * The measuring protocol: correct before fast, then all candidates side by side.
 *
 * Each candidate runs once on fresh random data and is compared with the oracle on sampled outputs: that is its warm-up
 * too. Then rounds follow, one sample of every live candidate each, from a start that rotates, so that what disturbs
 * the machine disturbs all of them alike. A sample is as many runs as take well over the clock's resolution. Threads
 * are pinned meanwhile; a round during which the processor's clock changed is played again, and a sample during which
 * another process took the processor is taken again. The last rounds are between those that may still win, compared
 * round by round. */
#ifndef TUNER_MEASURE_H
#define TUNER_MEASURE_H

#include "base/ctx.h"
#include "tuner/choose.h"
#include "tuner/stats.h"

/* A candidate whose estimate is this many times what another took that needs no more workspace is not worth a run; the
 * second figure is for estimates that are corrected by what another candidate of the same algorithm took. */
#define CVL_HOPELESS 4.0
#define CVL_HOPELESS_CORRECTED 2.0
#define CVL_HOPELESS_STORED 1.5      /* by its stored time: none of those was among the fastest in another run */
#define CVL_ROUNDS 15

struct cvl_measurement {
    const cvl_plan  *plan;
    double           expected_s;     /* one run, about: a stored median, else the estimate */
    double           hopeless;       /* not run when by its estimate so many times slower; 0: CVL_HOPELESS */
    bool             wanted_first;   /* before those that are not, should the budget end early */

    cvl_outcome      outcome;        /* ok, wrong, eliminated, skipped or failed */
    bool             needless;       /* skipped for its estimate, not for lack of time */
    char             reason[CVL_REASON_MAX];
    struct cvl_stats time;           /* seconds of one run; no samples unless ok or eliminated */
    struct cvl_stats ratio;          /* to the fastest of this measurement, from the rounds that both ran in */
    double           seconds[CVL_ROUNDS];   /* the samples, round by round */
    double           pack_s;
    double           rel_error, l2_error;   /* negative: it never ran */
};

struct cvl_measure_options {
    cvl_state        state;
    bool             exhaustive;     /* the same number of rounds for all, none dropped */
    double           budget_s;
    uint64_t         seed;
    cvl_progress_fn *progress;       /* false: stop as if the budget were spent */
    void            *progress_arg;
    double         (*now)(void);     /* NULL: cvl_now */
    double         (*probe)(void);   /* the reference kernel; NULL: cvl_drift_probe, or none with a `now` */
    long           (*preemptions)(void);   /* so far; NULL: cvl_drift_preemptions, or none with a `now` */
};

/* Plans of one problem on one ctx. What was measured before the budget ended or the caller stopped is kept, the others
 * are skipped. CVL_ENOMEM, and nothing measured, when there is no memory for the problem's tensors. */
cvl_status cvl_measure(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_measure_options *options,
                       struct cvl_measurement *measurements, int count);

#endif
