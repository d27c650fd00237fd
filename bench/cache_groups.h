/* SPDX-License-Identifier: Apache-2.0
 * The records of a cache by problem, and what this build would choose from them. */
#ifndef BENCH_CACHE_GROUPS_H
#define BENCH_CACHE_GROUPS_H

#include "tuner/choose.h"
#include "tuner/line_set.h"

/* All records of one environment, state and problem, fastest first; those without a time last. */
struct cache_group {
    uint64_t              environment;
    cvl_state             state;
    const char           *problem;
    struct cvl_record    *records;
    struct cvl_judgement *judgements;
    int                   count, chosen;   /* chosen: index of the winner within the limits; -1: none */
};

/* Which problems are meant (canonical texts; count 0: all), under which limits the winner is chosen (NULL: none), and
 * whether only those are shown that some limit could choose. */
struct cache_filter { const char *const *problem; int count; const cvl_query *query; bool pareto; };
bool cache_filter_has(const struct cache_filter *filter, const char *problem);

typedef void cache_group_fn(void *arg, const struct cache_group *group);

/* Calls fn for every group, ordered by environment, state and problem. CVL_ENOMEM. Records that this version does not
 * understand are passed over. */
cvl_status cache_groups_each(const struct cvl_line_set *set, const struct cache_filter *filter, cache_group_fn *fn,
                             void *arg);

/* Calls fn with the one group, if there is any record of it. CVL_ENOMEM. */
cvl_status cache_group_find(const struct cvl_line_set *set, uint64_t environment, cvl_state state, const char *problem,
                            cache_group_fn *fn, void *arg);

#endif
