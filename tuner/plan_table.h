/* SPDX-License-Identifier: Apache-2.0
 * What a tuner has answered, by problem and query. Reading takes no lock and writes nothing that is shared: entries do
 * not change once they are in, and what is replaced or outgrown lives until the table is destroyed. Writers take turns
 * by the tuner's mutex. */
#ifndef TUNER_PLAN_TABLE_H
#define TUNER_PLAN_TABLE_H

#include "conv/desc.h"
#include "cvl/tuner.h"

/* Problem and limits as they were asked for. */
struct cvl_plan_key {
    struct cvl_conv_key problem;
    size_t              max_workspace;
    double              max_error;
    bool                deterministic;
    const char         *allow, *deny;    /* an entry's are its own copies */
    uint64_t            hash;            /* set by cvl_plan_key_of */
};

void cvl_plan_key_of(const cvl_conv_desc *desc, const cvl_query *query, struct cvl_plan_key *key);

/* When the answer of an entry is worth another look. */
enum cvl_retry {
    CVL_RETRY_NEVER,     /* it is final */
    CVL_RETRY_BUDGET,    /* once there is a new budget */
    CVL_RETRY_IDLE       /* once nobody else measures */
};

struct cvl_plan_entry {
    struct cvl_plan_key    key;
    cvl_status             status;       /* CVL_OK with a plan, or why there is none */
    cvl_plan              *plan;
    char                  *message;      /* of a failure */
    enum cvl_retry         retry;
    unsigned               budget;       /* the tuner's count of budgets when this was answered */
    bool                   measured;     /* by this tuner */
    double                 regret;       /* cvl_tuner_regret */
    cvl_result            *results;
    int                    count;
    struct cvl_plan_entry *older;        /* all entries that were ever in, for the end */
};

struct cvl_plan_table;

cvl_status cvl_plan_table_create(struct cvl_plan_table **table);
void       cvl_plan_table_destroy(struct cvl_plan_table *table);   /* with its entries and their plans */

/* From any thread at any time. NULL: not there. */
const struct cvl_plan_entry *cvl_plan_table_find(const struct cvl_plan_table *table, const struct cvl_plan_key *key);

/* By one thread at a time. Takes over the entry's plan, message and results, copies the key's strings, and replaces
 * what had the same key. CVL_ENOMEM: nothing was taken. *stored lives as long as the table. */
cvl_status cvl_plan_table_put(struct cvl_plan_table *table, const struct cvl_plan_entry *entry,
                              const struct cvl_plan_entry **stored);

/* Has this tuner measured the problem, for whatever query? For the thread that may put. */
bool cvl_plan_table_measured(const struct cvl_plan_table *table, const struct cvl_conv_key *problem);

#endif
