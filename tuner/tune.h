/* SPDX-License-Identifier: Apache-2.0
 * Measures the rows of a survey and turns what came out into records. */
#ifndef TUNER_TUNE_H
#define TUNER_TUNE_H

#include "tuner/store.h"
#include "tuner/survey.h"

struct cvl_tune_options {
    bool             exhaustive;    /* rows over the workspace cap too */
    double           budget_s;
    uint64_t         seed;
    const char      *command;       /* provenance, or NULL */
    cvl_progress_fn *progress;
    void            *progress_arg;
};

/* Rows that were measured have a record afterwards, those that were not a reason. Failures are CVL_ENOMEM. */
cvl_status cvl_tune(struct cvl_survey *survey, const struct cvl_tune_options *options);

/* Adds the records that cvl_tune made to the store, and the environment that they refer to. CVL_ENOMEM. */
cvl_status cvl_tune_store(const struct cvl_survey *survey, struct cvl_store *store);

#endif
