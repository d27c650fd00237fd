/* SPDX-License-Identifier: Apache-2.0
 * One problem under one query: a row for every candidate that this build offers, what is known of each, and which one
 * to run. The tuner's policy is a sequence of these steps. */
#ifndef TUNER_SURVEY_H
#define TUNER_SURVEY_H

#include "conv/algo.h"
#include "tuner/choose.h"
#include "tuner/environment.h"
#include "tuner/line_set.h"
#include "tuner/model.h"

struct cvl_row {
    const struct cvl_algo *algo;
    struct cvl_variant     variant;
    cvl_plan              *plan;        /* made when something asks for it */
    bool                   recorded;    /* the record is of this candidate at this build's revision */
    bool                   needless;    /* the record says: by its estimate too slow to be worth a run */
    bool                   sidelined;   /* not to be measured now */
    double                 prior_ms;    /* what another machine measured of it */
    bool                   unusable;    /* its plan cannot be made; result says why */
    double                 raw_ms, spread;   /* the estimate before its correction; how far off the corrected may be */
    struct cvl_record      record;
    cvl_result             result;
};

struct cvl_survey {
    cvl_ctx                *ctx;
    const cvl_ctx          *reckoner;   /* whose rates the estimates reckon with; NULL: ctx */
    struct cvl_model       *model;      /* corrects them; NULL: nothing does */
    cvl_conv_desc           desc;       /* complete and checked */
    char                    problem[CVL_CONV_TEXT_MAX];
    cvl_state               state;
    struct cvl_environment  environment;
    uint64_t                environment_id;
    struct cvl_limits       limits;
    int                     count, capacity;
    struct cvl_row         *rows;       /* in the order of the registry, then of the variants, then cvl_survey_add's */
    struct cvl_record      *outsiders;  /* of this environment, of algorithms that the query does not allow */
    int                     outsider_count;
    int                     chosen;     /* -1: none */
    uint64_t                prior_id;   /* the environment that cvl_survey_prior took the records from */
};

/* Why the row is not chosen, or what is to be known of it. */
void cvl_row_explain(struct cvl_row *row, const char *format, ...) CVL_PRINTF(2, 3);

/* The row's record, from now on, which its result shows. */
void cvl_row_adopt(struct cvl_row *row, const struct cvl_record *record);

/* state, environment and its id, reckoner and model are set by the caller before; rows are without records. CVL_ENOMEM.
 * The strings of the query must outlive it. */
cvl_status cvl_survey_create(cvl_ctx *ctx, const cvl_conv_desc *desc, const cvl_query *query,
                             struct cvl_survey *survey);
void       cvl_survey_destroy(struct cvl_survey *survey);

/* A row for a candidate that is not listed, and can run; NULL: it cannot, or is not allowed. Rows may move. */
struct cvl_row *cvl_survey_add(struct cvl_survey *survey, const char *candidate);

/* Takes the records of the survey's environment from a set; what one of them names and nobody lists gets a row: it was
 * listed when it was measured, by another version or on a machine with other caches. CVL_ENOMEM. */
cvl_status cvl_survey_load(struct cvl_survey *survey, const struct cvl_line_set *lines);

/* In two steps: all records of the problem and state, for cvl_free, whatever their environment; and what of them is of
 * one environment and of this build. */
cvl_status cvl_survey_records(const struct cvl_survey *survey, const struct cvl_line_set *lines,
                              struct cvl_record **records, int *count);
void       cvl_survey_adopt(struct cvl_survey *survey, const struct cvl_record *records, int count,
                            uint64_t environment);

/* Is there any? */
bool       cvl_survey_recorded(const struct cvl_survey *survey);

/* The row's plan, made if need be; NULL when it cannot be, and then the row is unusable. */
cvl_plan  *cvl_survey_plan(struct cvl_survey *survey, struct cvl_row *row);

/* Is this row worth measuring under the limits? Decides rows over a cap, which need a plan to know. */
bool       cvl_survey_fits(struct cvl_survey *survey, struct cvl_row *row);

/* Is a candidate without a record so slow by its estimate, compared with those that have one, that it needs none? Then
 * it is marked as skipped. Those that the query does not allow count too, once something is recorded that it does: what
 * they made needless is not measured because they are denied. */
double     cvl_survey_hopeless_times(const struct cvl_row *row);   /* slower by its estimate */
bool       cvl_survey_hopeless(struct cvl_survey *survey, struct cvl_row *row);

/* Has every candidate that could be chosen a record, or no need of one? */
bool       cvl_survey_complete(struct cvl_survey *survey);

/* Three ways to choose, from best to worst: each sets chosen and the rows' reasons, and tells whether it found one.
 * A prior is what the nearest other environment recorded, where this one recorded nothing. */
bool       cvl_survey_choose(struct cvl_survey *survey);
bool       cvl_survey_prior(struct cvl_survey *survey, const struct cvl_line_set *lines);
bool       cvl_survey_guess(struct cvl_survey *survey);
void       cvl_survey_forget(struct cvl_survey *survey);   /* all records and the choice: rows as created */

/* At most so much slower than the best candidate is the chosen one, as a share of the best time: an upper bound at 95
 * %. 0 when nothing is chosen. */
double     cvl_survey_regret(const struct cvl_survey *survey);

/* Completes the rows for cvl_tuner_results. */
void       cvl_survey_finish(struct cvl_survey *survey);

#endif
