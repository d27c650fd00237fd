/* SPDX-License-Identifier: Apache-2.0
 * The selector: measures the candidates of a problem, keeps every measurement in a cache of text records,
 * and hands out the fastest plan that a query's limits allow.
 *
 *     cvl_tuner_open(ctx, NULL, &tuner);
 *     cvl_tuner_plan(tuner, &desc, NULL, &plan);     (shared: the tuner owns it until cvl_tuner_close)
 *     cvl_plan_run(plan, &args, workspace);
 *     cvl_tuner_close(tuner); */
#ifndef CVL_TUNER_H
#define CVL_TUNER_H

#include "cvl/conv.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cvl_mode {
    CVL_MODE_ESTIMATE,    /* never measures; the cache's records of other problems correct the estimates */
    CVL_MODE_CACHED,      /* the cache, else the estimate, and the miss is noted in the cache */
    CVL_MODE_TUNE,        /* the cache, else measure within the budget and keep the result; see retune */
    CVL_MODE_EXHAUSTIVE,  /* measure every candidate to the end, ignoring cache and elimination */
    CVL_MODE_FROZEN       /* the cache or CVL_ENOTFOUND */
} cvl_mode;

/* What is in the processor's caches when the clock starts: everything; all but the filter; nothing. */
typedef enum cvl_state { CVL_HOT, CVL_COLD_FILTER, CVL_COLD } cvl_state;

CVL_API cvl_status  cvl_mode_parse(const char *word, cvl_mode *mode);     /* "tune" */
CVL_API const char *cvl_mode_name(cvl_mode mode);
CVL_API cvl_status  cvl_state_parse(const char *word, cvl_state *state);  /* "cold-filter" */
CVL_API const char *cvl_state_name(cvl_state state);

/* Limits on the answer. They are not part of the key: every one is answered from the same stored records. The defaults
 * that init sets are none, unless CVL_MAX_WORKSPACE, CVL_MAX_ERROR, CVL_DETERMINISTIC=1 or CVL_DENY set some. */
typedef struct cvl_query {
    size_t      size;
    size_t      max_workspace;   /* bytes; SIZE_MAX: any */
    double      max_error;       /* measured rel_error; 0: the default for the type, 5e-5 for f32 */
    bool        deterministic;   /* only candidates that give the same bits every time */
    const char *allow;           /* algorithms, comma-separated; NULL: all, the reference only
                                    for what no other takes */
    const char *deny;            /* likewise; NULL: none */
} cvl_query;

/* What happened to one candidate of one problem. */
typedef enum cvl_outcome {
    CVL_OUTCOME_OK, CVL_OUTCOME_REJECTED, CVL_OUTCOME_WRONG, CVL_OUTCOME_OVER_LIMIT,
    CVL_OUTCOME_ELIMINATED, CVL_OUTCOME_SKIPPED, CVL_OUTCOME_FAILED
} cvl_outcome;
typedef enum cvl_source { CVL_SOURCE_NONE, CVL_SOURCE_MEASURED, CVL_SOURCE_CACHE, CVL_SOURCE_ESTIMATE } cvl_source;
CVL_API const char *cvl_outcome_name(cvl_outcome outcome);   /* "over_limit" */
CVL_API const char *cvl_source_name(cvl_source source);      /* "measured" */

typedef struct cvl_result {
    char        candidate[CVL_CANDIDATE_MAX];   /* a rejected algorithm: its name */
    char        reason[192];                    /* why it is not ok or not chosen, one sentence; or empty */
    cvl_outcome outcome;
    cvl_source  source;
    bool        chosen, deterministic;
    int         samples;                        /* of all runs; 0: not measured, and the times below are 0 */
    double      median_ms, min_ms, ci_low_ms, ci_high_ms;   /* 95 % interval of the median */
    double      estimate_ms, pack_ms;
    double      rel_error, l2_error;            /* negative: not measured */
    size_t      workspace_bytes, packed_bytes;
} cvl_result;

/* Called while a problem is measured: what share of it is done. Return false to stop as if the budget were spent. */
typedef bool cvl_progress_fn(void *arg, double done);

typedef struct cvl_tuner_options {
    size_t           size;
    cvl_mode         mode;          /* default: CVL_MODE if set, else CVL_MODE_CACHED */
    cvl_state        state;         /* default: CVL_HOT */
    const char      *cache_path;    /* a directory, or one exported file (read-only), or several that are laid one over
                                       another, uppermost first, separated by ':', where an empty one stands for the
                                       user's, the project's and the shipped one ("mine.cvl:"); NULL: CVL_CACHE if set,
                                       else those three: $XDG_CACHE_HOME/convlab or ~/.cache/convlab, ./.convlab,
                                       PREFIX/share/convlab. "": keep nothing on disk. A problem is answered by the
                                       uppermost that knows it; what is measured goes to the first directory. */
    double           budget_s;      /* seconds that this tuner may measure; default: no bound */
    uint64_t         seed;          /* of the random data and of the checked outputs */
    const char      *command;       /* provenance, kept in the records; NULL: none */
    cvl_progress_fn *progress;
    void            *progress_arg;
    bool             retune;        /* mode tune only, else CVL_EINVAL: measure again what the cache holds, each problem
                                       once in the life of this tuner and within the budget, and store for every
                                       candidate old and new samples pooled, with an interval that covers what differed
                                       between the runs. What the budget does not reach keeps its records. */
} cvl_tuner_options;

typedef struct cvl_tuner cvl_tuner;

CVL_API void cvl_query_init_size(cvl_query *query, size_t size);
CVL_API void cvl_tuner_options_init_size(cvl_tuner_options *options, size_t size);
static inline void cvl_query_init(cvl_query *query) { cvl_query_init_size(query, sizeof *query); }
static inline void cvl_tuner_options_init(cvl_tuner_options *options)
{
    cvl_tuner_options_init_size(options, sizeof *options);
}

/* A cache that is missing, damaged or unreadable is no error: what it lacks is a miss, and one sentence a file
 * goes to the context's log. NULL options: all defaults. */
CVL_API cvl_status cvl_tuner_open(cvl_ctx *ctx, const cvl_tuner_options *options, cvl_tuner **tuner);
/* From any thread. One thread of the process measures at a time; others meanwhile get the estimate.
 * CVL_ENOTFOUND: frozen and no record, or no candidate within the query's limits. NULL query: no limits. */
CVL_API cvl_status cvl_tuner_plan(cvl_tuner *tuner, const cvl_conv_desc *desc, const cvl_query *query,
                                  const cvl_plan **plan);
/* What is known of every candidate of a problem after cvl_tuner_plan: at most max rows at results, the number
 * that exists at *count; one row has chosen set, unless nothing could be chosen. */
CVL_API cvl_status cvl_tuner_results(cvl_tuner *tuner, const cvl_conv_desc *desc, const cvl_query *query,
                                     cvl_result *results, int max, int *count);
/* What may be left on the table after cvl_tuner_plan: at most so much slower than the best candidate is the chosen one,
 * as a share of the best time (0.02: 2 %), at 95 % by the intervals of what was measured, and by how far off estimates
 * of its kind have been for what was not. CVL_ENOTFOUND: nothing was chosen. */
CVL_API cvl_status cvl_tuner_regret(cvl_tuner *tuner, const cvl_conv_desc *desc, const cvl_query *query,
                                    double *regret);
CVL_API void       cvl_tuner_set_budget(cvl_tuner *tuner, double seconds);   /* what may be measured from now on */
/* CVL_OK, or the first failure to store a measurement (CVL_EIO), which is no reason to lose an answer. */
CVL_API cvl_status cvl_tuner_store_status(const cvl_tuner *tuner);
/* Releases its plans. Returns what cvl_tuner_store_status would. NULL is allowed. */
CVL_API cvl_status cvl_tuner_close(cvl_tuner *tuner);

#ifdef __cplusplus
}
#endif
#endif
