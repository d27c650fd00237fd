/* SPDX-License-Identifier: Apache-2.0
 * Three passes over the records: who may run, who is the fastest of those, who of its equals is the best. Equality is
 * with the fastest alone: "as fast as" is not transitive, and a chain of ties must not end at a slow candidate. */
#include "tuner/choose.h"

#include "base/text.h"
#include "conv/desc.h"
#include "conv/registry.h"
#include "tuner/stats.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REFERENCE "reference"

int cvl_build_revision(const char *algorithm)
{
    const struct cvl_algo *algo = cvl_algo_find(algorithm, strlen(algorithm));
    return algo ? algo->revision : -1;
}

/* What an engine accepts unasked: rounding of the type, with room for algorithms that trade a few bits for speed. */
static double default_error(const cvl_conv_desc *desc)
{
    if (cvl_conv_is_integer(desc))
        return 0;
    return cvl_conv_is_f32(desc) && desc->math == CVL_MATH_F32 ? 5e-5 : 1e-2;
}

struct cvl_limits cvl_limits_of(const cvl_query *query, const cvl_conv_desc *desc)
{
    struct cvl_limits limits = { .max_workspace = SIZE_MAX, .revision = cvl_build_revision };
    if (query) {
        limits.max_workspace = query->max_workspace;
        limits.max_error = query->max_error;
        limits.deterministic = query->deterministic;
        limits.allow = query->allow;
        limits.deny = query->deny;
    }
    if (limits.max_error == 0)
        limits.max_error = default_error(desc);
    limits.tight_error = limits.max_error < default_error(desc);
    return limits;
}

static bool is_reference(const char *algorithm)
{
    return strcmp(algorithm, REFERENCE) == 0;
}

static bool is_peer(const char *algorithm)
{
    const struct cvl_algo *algo = cvl_algo_find(algorithm, strlen(algorithm));
    return algo && algo->peer;
}

bool cvl_limits_permit(const struct cvl_limits *limits, const char *algorithm)
{
    if (cvl_text_listed(limits->deny, algorithm))
        return false;
    return limits->allow ? cvl_text_listed(limits->allow, algorithm)
                         : !is_reference(algorithm) && !is_peer(algorithm);
}

static void algorithm_of(const struct cvl_record *record, char name[CVL_CANDIDATE_MAX])
{
    snprintf(name, CVL_CANDIDATE_MAX, "%.*s", (int)strcspn(record->candidate, ":"), record->candidate);
}

static bool is_void(const struct cvl_record *record, const struct cvl_limits *limits, const char *algorithm)
{
    return limits->revision && limits->revision(algorithm) != record->revision;
}

/* With no list of allowed algorithms the reference answers for what no other algorithm takes, or only with more
 * workspace than is allowed or without the same bits from every run. */
static bool reference_is_needed(const struct cvl_record *records, int count, const struct cvl_limits *limits)
{
    char algorithm[CVL_CANDIDATE_MAX];
    if (limits->allow || cvl_text_listed(limits->deny, REFERENCE))
        return false;
    for (int i = 0; i < count; i++) {
        algorithm_of(&records[i], algorithm);
        if (cvl_limits_permit(limits, algorithm) && !is_void(&records[i], limits, algorithm)
            && records[i].deterministic && records[i].workspace_bytes <= limits->max_workspace)
            return false;
    }
    return true;
}

static struct cvl_judgement CVL_PRINTF(2, 3) judge(enum cvl_verdict verdict, const char *format, ...)
{
    struct cvl_judgement judgement = { .verdict = verdict };
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(judgement.reason, sizeof judgement.reason, format, arguments);
    va_end(arguments);
    return judgement;
}

static struct cvl_judgement judge_void(const struct cvl_record *record, int revision, const char *algorithm)
{
    if (revision < 0)
        return judge(CVL_VERDICT_VOID, "this build has no algorithm '%s'", algorithm);
    return judge(CVL_VERDICT_VOID, "measured at revision %d of %s, this build has revision %d", record->revision,
                 algorithm, revision);
}

/* Verdict chosen stands for: may run. */
static struct cvl_judgement judge_alone(const struct cvl_record *record, const struct cvl_limits *limits,
                                        bool with_reference)
{
    char algorithm[CVL_CANDIDATE_MAX];
    algorithm_of(record, algorithm);
    if (!cvl_limits_permit(limits, algorithm) && !(with_reference && is_reference(algorithm)))
        return judge(CVL_VERDICT_DENIED, "the query does not allow %s", algorithm);
    if (is_void(record, limits, algorithm))
        return judge_void(record, limits->revision(algorithm), algorithm);
    if (record->outcome == CVL_OUTCOME_WRONG)
        return judge(CVL_VERDICT_UNUSABLE, "wrong: its rel_error was %.2g", record->rel_error);
    if (record->outcome == CVL_OUTCOME_FAILED)
        return judge(CVL_VERDICT_UNUSABLE, "it failed when it was measured");
    if (record->outcome == CVL_OUTCOME_SKIPPED)
        return judge(CVL_VERDICT_UNUSABLE, "by its estimate it was too slow to be worth a run");
    if (record->samples <= 0 || !(record->median_ms >= 0) || !(record->rel_error >= 0))
        return judge(CVL_VERDICT_UNUSABLE, "its record holds no time or no error");
    if (record->workspace_bytes > limits->max_workspace)
        return judge(CVL_VERDICT_OVER, "needs %zu bytes of workspace, the limit is %zu", record->workspace_bytes,
                     limits->max_workspace);
    if (limits->deterministic && !record->deterministic)
        return judge(CVL_VERDICT_OVER, "two runs may differ in their last bits");
    if (record->rel_error > limits->max_error)
        return judge(CVL_VERDICT_OVER, "its rel_error is %.2g, the limit is %.2g", record->rel_error,
                     limits->max_error);
    return (struct cvl_judgement){ .verdict = CVL_VERDICT_CHOSEN };
}

static bool is_faster(const struct cvl_record *a, const struct cvl_record *b)
{
    return a->median_ms != b->median_ms ? a->median_ms < b->median_ms : strcmp(a->candidate, b->candidate) < 0;
}

static bool has_interval(const struct cvl_record *record)
{
    return record->samples >= CVL_SAMPLES_OF_INTERVAL;
}

/* Two that ran side by side compare by their ratios to the fastest of that race: what disturbed a round is in neither.
 * One that left the race before the other was behind. */
static bool overlaps(const struct cvl_record *record, const struct cvl_record *fastest)
{
    if (record->race && record->race == fastest->race && record->ratio_low > 0 && fastest->ratio_high > 0)
        return record->samples >= fastest->samples && record->ratio_low <= fastest->ratio_high;
    return record->ci_low_ms <= fastest->ci_high_ms;
}

/* The range of a few samples is no interval: a candidate that was dropped early, for being slow, ties with nobody
 * because its samples and those of the fastest were scattered by a busy machine. */
static bool ties(const struct cvl_record *record, const struct cvl_record *fastest)
{
    const double most = record->runs > 1 && fastest->runs > 1 ? CVL_TIE_POOLED : CVL_TIE_MOST;
    return record->median_ms <= (1 + CVL_TIE) * fastest->median_ms ||
           (record->median_ms <= (1 + most) * fastest->median_ms && has_interval(record) &&
            has_interval(fastest) && overlaps(record, fastest));
}

/* Of two that are as fast; *why completes "... wins because it". */
static bool is_better(const struct cvl_record *a, const struct cvl_record *b, const char **why)
{
    if (a->rel_error != b->rel_error) {
        *why = "makes the smaller error";
        return a->rel_error < b->rel_error;
    }
    if (a->workspace_bytes != b->workspace_bytes) {
        *why = "needs less workspace";
        return a->workspace_bytes < b->workspace_bytes;
    }
    *why = "comes first by name";
    return strcmp(a->candidate, b->candidate) < 0;
}

static struct cvl_judgement judge_against(const struct cvl_record *record, const struct cvl_record *winner,
                                          const struct cvl_record *fastest)
{
    const char *why;
    if (record == winner) {
        if (record == fastest)
            return (struct cvl_judgement){ .verdict = CVL_VERDICT_CHOSEN };
        is_better(winner, fastest, &why);
        return judge(CVL_VERDICT_CHOSEN, "as fast as %s, and %s", fastest->candidate, why);
    }
    if (ties(record, fastest)) {
        is_better(winner, record, &why);
        return judge(CVL_VERDICT_TIED, "as fast as %s, which %s", winner->candidate, why);
    }
    return judge(CVL_VERDICT_SLOWER, "%.2f times slower than %s%s", record->median_ms / fastest->median_ms,
                 fastest->candidate,
                 fastest->workspace_bytes <= record->workspace_bytes ? ", which needs no more workspace" : "");
}

int cvl_choose(const struct cvl_record *records, int count, const struct cvl_limits *limits,
               struct cvl_judgement *judgements)
{
    const bool with_reference = reference_is_needed(records, count, limits);
    const struct cvl_record *fastest = NULL, *winner = NULL;
    const char *why;
    for (int i = 0; i < count; i++) {
        const struct cvl_judgement alone = judge_alone(&records[i], limits, with_reference);
        if (judgements)
            judgements[i] = alone;
        if (alone.verdict == CVL_VERDICT_CHOSEN && (!fastest || is_faster(&records[i], fastest)))
            fastest = &records[i];
    }
    if (!fastest)
        return -1;
    for (int i = 0; i < count; i++)
        if (judge_alone(&records[i], limits, with_reference).verdict == CVL_VERDICT_CHOSEN &&
            ties(&records[i], fastest) && (!winner || is_better(&records[i], winner, &why)))
            winner = &records[i];
    for (int i = 0; judgements && i < count; i++)
        if (judgements[i].verdict == CVL_VERDICT_CHOSEN)
            judgements[i] = judge_against(&records[i], winner, fastest);
    return (int)(winner - records);
}
