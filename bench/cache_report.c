/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/cache_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "tuner/environment.h"

#define PROBLEM_WIDTH 60
#define CANDIDATE_WIDTH 24

void cache_describe(const struct cvl_line_set *set, uint64_t id, char *text, size_t size)
{
    struct cvl_environment environment;
    if (cvl_line_set_environment(set, id, &environment))
        cvl_environment_describe(&environment, text, size);
    else
        snprintf(text, size, "an environment that is not in the file");
}

struct show { const struct cvl_line_set *set; uint64_t environment; int groups; bool pareto; };

static void show_environment(const struct show *show, uint64_t id)
{
    struct cvl_environment environment;
    char text[256];
    cache_describe(show->set, id, text, sizeof text);
    printf("%s# environment %016" PRIx64 ": %s", show->groups ? "\n" : "", id, text);
    if (cvl_line_set_environment(show->set, id, &environment))
        printf("%s%s%s%s%s", *environment.library ? "; " : "", environment.library,
               *environment.compiler ? ", " : "", environment.compiler, *environment.host ? "; on " : "");
    printf("\n%s %-*s %-11s %-*s %10s %9s %11s %8s %7s %s\n", "#", PROBLEM_WIDTH, "problem", "state", CANDIDATE_WIDTH,
           "candidate", "median_ms", "+-ms", "workspace", "error", "samples", "outcome");
}

/* Column by column as in the heading; nothing is empty, so that awk counts right. */
static void show_record(const struct cvl_record *record, bool chosen)
{
    char median[32] = "-", half[32] = "-", error[32] = "-";
    if (record->median_ms > 0) {
        snprintf(median, sizeof median, "%.5f", record->median_ms);
        snprintf(half, sizeof half, "%.5f", (record->ci_high_ms - record->ci_low_ms) / 2);
    }
    if (record->rel_error >= 0)
        snprintf(error, sizeof error, "%.1e", record->rel_error);
    printf("%s %-*s %-11s %-*s %10s %9s %11zu %8s %7d %s\n", chosen ? "*" : "-", PROBLEM_WIDTH, record->problem,
           cvl_state_name(record->state), CANDIDATE_WIDTH, record->candidate, median, half, record->workspace_bytes,
           error, record->samples, cvl_outcome_name(record->outcome));
}

/* Of the time x workspace x error front: nobody is better in one of them and no worse in the others. */
static bool is_on_front(const struct cache_group *group, int which)
{
    const struct cvl_record *one = &group->records[which];
    if (group->judgements[which].verdict == CVL_VERDICT_UNUSABLE || group->judgements[which].verdict == CVL_VERDICT_VOID)
        return false;
    for (int i = 0; i < group->count; i++) {
        const struct cvl_record *other = &group->records[i];
        const bool no_worse = other->median_ms <= one->median_ms && other->workspace_bytes <= one->workspace_bytes &&
                              other->rel_error <= one->rel_error;
        const bool equal = other->median_ms == one->median_ms && other->workspace_bytes == one->workspace_bytes &&
                           other->rel_error == one->rel_error;
        if (i != which && no_worse && (!equal || i < which) && group->judgements[i].verdict != CVL_VERDICT_UNUSABLE &&
            group->judgements[i].verdict != CVL_VERDICT_VOID)
            return false;
    }
    return true;
}

static void show_group(void *arg, const struct cache_group *group)
{
    struct show *show = arg;
    if (show->groups == 0 || show->environment != group->environment)
        show_environment(show, group->environment);
    show->environment = group->environment;
    show->groups++;
    for (int i = 0; i < group->count; i++)
        if (!show->pareto || i == group->chosen || is_on_front(group, i))
            show_record(&group->records[i], i == group->chosen);
}

cvl_status cache_show(const struct cvl_line_set *set, const struct cache_filter *filter)
{
    struct show show = { .set = set, .pareto = filter->pareto };
    return cache_groups_each(set, filter, show_group, &show);
}

struct wants { const struct cvl_line_set *set; const struct cache_filter *filter; cvl_status status; };

static void note_chosen(void *arg, const struct cache_group *group)
{
    *(bool *)arg = group->chosen >= 0;
}

static bool list_want(void *arg, enum cvl_line_kind kind, const char *line, size_t length)
{
    struct wants *wants = arg;
    char problem[CVL_CONV_TEXT_MAX];
    uint64_t environment;
    cvl_state state;
    bool tuned = false;
    if (kind != CVL_LINE_WANT || cvl_want_parse(line, length, &environment, &state, problem) != CVL_OK ||
        !cache_filter_has(wants->filter, problem))
        return true;
    wants->status = cache_group_find(wants->set, environment, state, problem, note_chosen, &tuned);
    if (wants->status == CVL_OK && !tuned)
        printf("%-*s %-11s %016" PRIx64 "\n", PROBLEM_WIDTH, problem, cvl_state_name(state), environment);
    return wants->status == CVL_OK;
}

cvl_status cache_untuned(const struct cvl_line_set *set, const struct cache_filter *filter)
{
    struct wants wants = { set, filter, CVL_OK };
    const cvl_status status = cvl_line_set_each(set, true, list_want, &wants);
    return status == CVL_OK ? wants.status : status;
}

/* The winner of one group, by value; without one, an empty name. */
static void copy_winner(void *arg, const struct cache_group *group)
{
    if (group->chosen >= 0)
        *(struct cvl_record *)arg = group->records[group->chosen];
}

struct diff {
    const struct cvl_line_set *other;
    bool                       reversed;   /* only says what the other lacks */
    int                        same, changed, alone;
    cvl_status                 status;
};

static void diff_line(char mark, const struct cvl_record *record)
{
    printf("%c %-*s %-11s %s %.5f ms\n", mark, PROBLEM_WIDTH, record->problem, cvl_state_name(record->state),
           record->candidate, record->median_ms);
}

static void diff_group(void *arg, const struct cache_group *group)
{
    struct diff *diff = arg;
    struct cvl_record mine = { .candidate = "" }, theirs = { .candidate = "" };
    copy_winner(&mine, group);
    if (diff->status == CVL_OK)
        diff->status = cache_group_find(diff->other, group->environment, group->state, group->problem, copy_winner,
                                        &theirs);
    if (!mine.candidate[0])
        return;
    if (!theirs.candidate[0]) {
        diff->alone++;
        diff_line(diff->reversed ? '+' : '-', &mine);
        return;
    }
    const bool apart = mine.ci_low_ms > theirs.ci_high_ms || theirs.ci_low_ms > mine.ci_high_ms;
    const bool other = strcmp(mine.candidate, theirs.candidate) != 0;
    diff->changed += other || apart;
    diff->same += !other && !apart;
    if (!diff->reversed && (other || apart))
        printf("%c %-*s %-11s %s %.5f ms -> %s %.5f ms, %.2f times\n", other ? '!' : '~', PROBLEM_WIDTH, mine.problem,
               cvl_state_name(mine.state), mine.candidate, mine.median_ms, theirs.candidate, theirs.median_ms,
               theirs.median_ms / mine.median_ms);
}

cvl_status cache_diff(const struct cvl_line_set *a, const struct cvl_line_set *b)
{
    const struct cache_filter all = { .count = 0 };
    struct diff forth = { .other = b }, back = { .other = a, .reversed = true };
    cvl_status status = cache_groups_each(a, &all, diff_group, &forth);
    if (status == CVL_OK)
        status = forth.status;
    if (status == CVL_OK)
        status = cache_groups_each(b, &all, diff_group, &back);
    if (status == CVL_OK)
        status = back.status;
    if (status == CVL_OK)
        printf("%d same, %d changed, %d only in the first, %d only in the second\n", forth.same, forth.changed,
               forth.alone, back.alone);
    return status;
}
