/* SPDX-License-Identifier: Apache-2.0
 * What the commands of conv-cache share. Each returns an exit status. */
#ifndef BENCH_CACHE_JOB_H
#define BENCH_CACHE_JOB_H

#include "bench/cache_report.h"
#include "bench/options.h"
#include "tuner/store.h"

#define EXIT_NOT_STORED 1
#define UNSET (-1)

struct config {
    const char *cache, *output, *environment, *net;
    int         older_than_days;
    bool        pareto, deterministic;
    size_t      max_workspace;
    double      max_error;           /* 0: the default for the type */
    const char *deny, *allow;
};

extern const struct program conv_cache_program;

/* What a command works on; released in one place. */
struct job {
    const struct config  *config;
    char                **operands;
    int                   count;
    cvl_ctx              *ctx;
    struct cvl_store     *store;
    struct cvl_line_set  *set, *other;
    struct cache_filter   filter;
    cvl_query             query;     /* the flags' limits */
};

void cache_log(void *arg, cvl_log_level level, const char *sentence);   /* warnings to stderr */
int  cache_refuse(void);               /* cvl_last_error() to stderr; EXIT_BAD_USAGE */
int  cache_end(cvl_status status);     /* of a command's last step */

/* OPTIONS_RUN or an exit status. The cache must be there unless `fresh`. */
int  cache_open(struct job *job, bool fresh);

/* Operands that are problems, as the cache spells them, become the filter. */
int  cache_take_problems(struct job *job);

/* Files and directories of caches. */
int cache_diff_files(struct job *job);
int cache_export(struct job *job);
int cache_import(struct job *job);
int cache_merge(struct job *job);
int cache_prune(struct job *job);

#endif
