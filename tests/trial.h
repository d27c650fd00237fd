/* SPDX-License-Identifier: Apache-2.0
 * One problem with its data between guard pages, what the oracle says of it, and the line that tells of a failure. */
#ifndef TESTS_TRIAL_H
#define TESTS_TRIAL_H

#include "base/error.h"
#include "conv/algo.h"
#include "conv/device_problem.h"
#include "device_guard.h"
#include "harness.h"

struct trial {
    struct harness        *harness;
    enum fill              fill;
    char                   text[CVL_CONV_TEXT_MAX];
    cvl_conv_desc          desc;
    struct cvl_problem     problem[GUARD_SIDES];   /* the same data; what is read is frozen */
    struct cvl_device_problem on_device[GUARD_SIDES];   /* where the device has it */
    size_t                 count;                  /* written elements */
    double                *want;                   /* their values by the oracle */
    void                  *first;                  /* what the first way of running wrote */

    /* Of the candidate that is being run. */
    const struct cvl_algo *algo;
    struct tally_cell     *cell;
    char                   candidate[CVL_CANDIDATE_MAX];
    cvl_plan              *plan[HARNESS_CTXS];
    void                  *packed[GUARD_SIDES];    /* NULL: the raw filter is used */
};

/* False when the problem cannot hold the fill, or when a failure was told. */
bool trial_create(struct trial *trial, struct harness *harness, const cvl_conv_desc *desc, enum fill fill);
void trial_destroy(struct trial *trial);

/* One line on standard output, and one more failure of the harness. */
void trial_fail(const struct trial *trial, const char *how, const char *format, ...) CVL_PRINTF(3, 4);

/* What the line will say should a guard page be touched from now on; the program then ends. */
void trial_announce(const struct trial *trial, const char *how);
void trial_catch_signals(void);

#endif
