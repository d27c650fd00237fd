/* SPDX-License-Identifier: Apache-2.0
 * What a tuner holds, and how it comes to an answer. */
#ifndef TUNER_ANSWER_H
#define TUNER_ANSWER_H

#include "tuner/plan_table.h"
#include "tuner/record.h"
#include "tuner/store.h"

#include <pthread.h>
#include <stdatomic.h>

struct cvl_tuner {
    cvl_ctx               *ctx;
    cvl_tuner_options      options;         /* command is ours, cache_path is not kept */
    cvl_query              no_limits;       /* the query that NULL stands for; deny is ours */
    struct cvl_environment environment;
    uint64_t               environment_id;
    struct cvl_plan_table *table;
    pthread_mutex_t        mutex;           /* over what follows, and over writing to the table */
    struct cvl_store      *store;
    struct cvl_ctx         reckoner;        /* the ctx with the rates that the cache holds of it, and */
    struct cvl_model      *model;           /* what the cache teaches about estimates: both made when first asked for */
    double                 budget_s;        /* what is left */
    atomic_bool            budget_stopped;  /* by the progress function: all of it is gone */
    atomic_uint            budget;          /* how many there were */
    atomic_bool            store_failed;    /* and why, written before it */
    char                   store_failure[CVL_SENTENCE_MAX];
};

/* With the mutex held, which is given away while this thread measures. *stored lives as long as the tuner. CVL_ENOMEM:
 * no answer was found; that none exists is an answer. */
cvl_status cvl_tuner_answer(cvl_tuner *tuner, const cvl_conv_desc *desc, const cvl_query *query,
                            const struct cvl_plan_key *key, const struct cvl_plan_entry **stored);

/* Is there nothing new to find out, as things are? */
bool cvl_tuner_is_settled(const cvl_tuner *tuner, const struct cvl_plan_entry *entry);

#endif
