/* SPDX-License-Identifier: Apache-2.0
 * Which records are dropped for good. */
#include "bench/cache_job.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct pruning {
    const struct config *config;
    uint64_t             environment;
    int64_t              oldest;
    int                  lines, dropped;
};

static bool is_stale(const struct pruning *pruning, const struct cvl_record *record)
{
    char algorithm[CVL_CANDIDATE_MAX];
    const struct config *config = pruning->config;
    if (config->older_than_days != UNSET)
        return record->when < pruning->oldest;
    snprintf(algorithm, sizeof algorithm, "%.*s", (int)strcspn(record->candidate, ":"), record->candidate);
    return !config->environment && record->revision < cvl_build_revision(algorithm);
}

static bool drops(const struct pruning *pruning, enum cvl_line_kind kind, const char *line, size_t length)
{
    struct cvl_environment environment;
    struct cvl_record record;
    struct cvl_rates rates = { 0 };
    char problem[CVL_CONV_TEXT_MAX];
    uint64_t id = 0;
    cvl_state state;
    bool stale = false;
    if (kind == CVL_LINE_ENV && cvl_environment_parse(line, length, &environment, &id) != CVL_OK)
        return false;
    if (kind == CVL_LINE_WANT && cvl_want_parse(line, length, &id, &state, problem) != CVL_OK)
        return false;
    if (kind == CVL_LINE_RATES && cvl_rates_parse(line, length, &rates, &id) != CVL_OK)
        return false;
    if (kind == CVL_LINE_REC) {
        if (cvl_record_parse(line, length, &record) != CVL_OK)
            return false;
        id = record.environment;
        stale = is_stale(pruning, &record);
    }
    return stale || (kind != CVL_LINE_OTHER && pruning->config->environment && id == pruning->environment);
}

static bool keeps(void *arg, enum cvl_line_kind kind, const char *line, size_t length)
{
    struct pruning *pruning = arg;
    const bool dropped = drops(pruning, kind, line, length);
    pruning->lines++;
    pruning->dropped += dropped;
    return !dropped;
}

int cache_prune(struct job *job)
{
    struct pruning pruning = { .config = job->config };
    const char *id = job->config->environment;
    pruning.oldest = (int64_t)time(NULL) - (int64_t)job->config->older_than_days * 86400;
    int used = 0;
    if (id && (sscanf(id, "%16" SCNx64 "%n", &pruning.environment, &used) != 1 || used != 16 || id[used])) {
        cvl_fail(CVL_EINVAL, "--env '%s' is no environment, expected 16 hexadecimal digits as show prints them", id);
        return cache_refuse();
    }
    const int status = cache_open(job, false);
    if (status != OPTIONS_RUN)
        return status;
    const cvl_status pruned = cvl_store_prune(job->store, keeps, &pruning);
    if (pruned == CVL_OK)
        printf("%d of %d lines dropped from %s\n", pruning.dropped, pruning.lines, cvl_store_path(job->store));
    return cache_end(pruned);
}
