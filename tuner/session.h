/* SPDX-License-Identifier: Apache-2.0
 * One measurement of a problem while it goes on: the candidates, the time that is left, and what disturbs it. */
#ifndef TUNER_SESSION_H
#define TUNER_SESSION_H

#include "tuner/contender.h"
#include "tuner/drift.h"

struct cvl_session {
    const struct cvl_measure_options *options;
    struct cvl_arena                  arena;       /* contenders in the order of their first runs */
    double                            start, deadline, sample_s;
    struct cvl_drift                  drift;
    long                            (*preemptions)(void);
    bool                              stopped;
};

/* Is there time for something that takes about so long? Reports progress, and notices a wish to stop. */
bool cvl_session_fits(struct cvl_session *session, double seconds);

/* Settles one for want of time. */
void cvl_session_skip(const struct cvl_session *session, struct cvl_contender *contender);

/* Seconds of one run, as cvl_contender_sample; what another process had a part in is taken again. */
double cvl_session_sample(struct cvl_session *session, struct cvl_contender *contender, int runs);

/* The sample counts. */
void cvl_session_keep(struct cvl_contender *contender, double seconds);

/* Round 0 of one candidate: pack, check, and find how many runs make a sample; the last such sample counts. One that is
 * hopeless by its estimate is settled unseen. */
void cvl_session_begin(struct cvl_session *session, struct cvl_contender *contender);

#endif
