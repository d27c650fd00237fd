/* SPDX-License-Identifier: Apache-2.0
 * The choice: a pure function of the records of one problem, the same for every order in which they come. The tuner
 * chooses with it, and so does whoever asks a cache file what it would answer. */
#ifndef TUNER_CHOOSE_H
#define TUNER_CHOOSE_H

#include "tuner/record.h"

#define CVL_TIE 0.02               /* candidates this close to the fastest are as fast */
#define CVL_TIE_MOST 0.05          /* past this, intervals that overlap speak of a busy machine, not of equal speed */
#define CVL_TIE_POOLED 0.10        /* the same where intervals come of several runs: what differs is then known to */
#define CVL_REASON_MAX 192

/* The revision of an algorithm, negative when there is none of that name. */
typedef int cvl_revision_fn(const char *algorithm);
int cvl_build_revision(const char *algorithm);   /* in this build */

/* A query with its defaults worked out. */
struct cvl_limits {
    size_t           max_workspace;
    double           max_error;
    bool             tight_error;    /* tighter than the default for the type */
    bool             deterministic;
    const char      *allow, *deny;   /* allow NULL: all, and the reference only where no other takes the problem */
    cvl_revision_fn *revision;       /* records of another revision are void; NULL: none is */
};

/* NULL query: no limits. Revisions are this build's. The strings stay the query's. */
struct cvl_limits cvl_limits_of(const cvl_query *query, const cvl_conv_desc *desc);

/* May a query be answered with this algorithm? The reference is not in "all". */
bool cvl_limits_permit(const struct cvl_limits *limits, const char *algorithm);

enum cvl_verdict {
    CVL_VERDICT_CHOSEN,
    CVL_VERDICT_TIED,      /* as fast, but second by error, workspace or name */
    CVL_VERDICT_SLOWER,
    CVL_VERDICT_OVER,      /* over the query's workspace cap or error bound, or not deterministic */
    CVL_VERDICT_DENIED,    /* by the query's lists */
    CVL_VERDICT_VOID,      /* of another revision of its algorithm, or of one that this build has not */
    CVL_VERDICT_UNUSABLE   /* wrong, failed or never timed */
};

struct cvl_judgement {
    enum cvl_verdict verdict;
    char             reason[CVL_REASON_MAX];   /* one sentence; empty for a clear winner */
};

/* Of records of one environment, state and problem: the index of the one to run, or -1 when the limits leave none.
 * Of those that the limits allow, these tie: all within CVL_TIE of the least median, and all within CVL_TIE_MOST
 * (CVL_TIE_POOLED, where both are pooled from several runs) whose interval overlaps with its, where both have samples
 * enough for one: that of the ratios where both ran in one race, that of the medians where not. Then the lower error
 * wins, then the smaller workspace, then the candidate's name. judgements: count, or NULL. */
int cvl_choose(const struct cvl_record *records, int count, const struct cvl_limits *limits,
               struct cvl_judgement *judgements);

#endif
