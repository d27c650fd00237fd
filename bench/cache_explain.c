/* SPDX-License-Identifier: Apache-2.0
 * What the file alone can say of a choice: who won, by how much and how certainly, who lost and why, whom a limit
 * excluded, and what the estimate had thought. */
#include "bench/cache_report.h"

#include <stdio.h>
#include <time.h>
#include "tuner/stats.h"

struct explanation { const struct cvl_line_set *set; int groups; };

/* The fastest of the others that the limits would have let run. */
static int runner_up(const struct cache_group *group)
{
    for (int i = 0; i < group->count; i++)
        if (i != group->chosen && (group->judgements[i].verdict == CVL_VERDICT_TIED ||
                                   group->judgements[i].verdict == CVL_VERDICT_SLOWER))
            return i;
    return -1;
}

/* How sure it is that `slow` takes longer: by their ratios where they ran side by side, else by their intervals. */
static void put_certainty(const struct cvl_record *slow, const struct cvl_record *fast)
{
    const bool intervals = slow->samples >= CVL_SAMPLES_OF_INTERVAL && fast->samples >= CVL_SAMPLES_OF_INTERVAL;
    if (slow->race && slow->race == fast->race && slow->ratio_low > 0 && fast->ratio_high > 0)
        printf(" (%.2f to %.2f at 95 %%, side by side)", slow->ratio_low / fast->ratio_high,
               slow->ratio_high / fast->ratio_low);
    else if (intervals && fast->ci_low_ms > 0)
        printf(" (%.2f to %.2f at 95 %%)", slow->ci_low_ms / fast->ci_high_ms, slow->ci_high_ms / fast->ci_low_ms);
    else
        printf(" (of %d and %d samples)", slow->samples, fast->samples);
}

static void put_estimate(const struct cvl_record *record)
{
    if (record->estimate_ms > 0)
        printf("; the estimate was %.5f ms", record->estimate_ms);
}

static void put_provenance(const struct cvl_record *record)
{
    char day[32] = "", runs[32] = "";
    const time_t when = (time_t)record->when;
    struct tm utc;
    if (gmtime_r(&when, &utc))
        strftime(day, sizeof day, "%Y-%m-%d %H:%M", &utc);
    if (record->runs > 1)
        snprintf(runs, sizeof runs, " in %d runs", record->runs);
    printf("    %d samples%s, %s UTC, seed %llu%s%s\n", record->samples, runs, day, (unsigned long long)record->seed,
           record->command[0] ? ", by " : "", record->command);
}

static void explain_winner(const struct cache_group *group)
{
    const int second = runner_up(group);
    if (group->chosen < 0) {
        printf("  nothing can be chosen\n");
        return;
    }
    const struct cvl_record *winner = &group->records[group->chosen];
    printf("  %s wins with %.5f ms +- %.5f, %zu bytes of workspace, error %.1e", winner->candidate, winner->median_ms,
           (winner->ci_high_ms - winner->ci_low_ms) / 2, winner->workspace_bytes, winner->rel_error);
    if (second >= 0) {
        printf("; %s takes %.2f times as long", group->records[second].candidate,
               group->records[second].median_ms / winner->median_ms);
        put_certainty(&group->records[second], winner);
    }
    put_estimate(winner);
    printf("\n");
    if (group->judgements[group->chosen].reason[0])
        printf("    %s\n", group->judgements[group->chosen].reason);
    put_provenance(winner);
}

static void explain_loser(const struct cache_group *group, int which)
{
    const struct cvl_record *record = &group->records[which];
    printf("  %s: %s", record->candidate, group->judgements[which].reason[0] ? group->judgements[which].reason
                                                                             : "not chosen");
    if (group->judgements[which].verdict == CVL_VERDICT_SLOWER && group->chosen >= 0)
        put_certainty(record, &group->records[group->chosen]);
    put_estimate(record);
    printf("\n");
}

static void explain_group(void *arg, const struct cache_group *group)
{
    struct explanation *explanation = arg;
    char text[256];
    cache_describe(explanation->set, group->environment, text, sizeof text);
    printf("%s%s, %s, on %s\n", explanation->groups++ ? "\n" : "", group->problem, cvl_state_name(group->state), text);
    explain_winner(group);
    for (int i = 0; i < group->count; i++)
        if (i != group->chosen)
            explain_loser(group, i);
}

cvl_status cache_explain(const struct cvl_line_set *set, const struct cache_filter *filter)
{
    struct explanation explanation = { set, 0 };
    return cache_groups_each(set, filter, explain_group, &explanation);
}
