/* SPDX-License-Identifier: Apache-2.0
 * A candidate leaves the rounds when it is of no more use: dominated (clearly slower than one that is no worse in
 * workspace, error and determinism), or clearly behind the fastest, so that a precise time would not matter; or when,
 * compared round by round, it cannot be faster by more than what counts as a tie. One that would be chosen for a tie
 * stays until it is clear whether there is one. The rounds end when one is left. */
#include "tuner/race.h"

#include "conv/algo.h"

#include <math.h>

/* Dropped when it took so many times as long as the fastest in each of so many rounds: the fewer rounds, the more one
 * of them may have been disturbed. From the fourth on it may as well have been a little faster, and would be no
 * gain. */
static const struct bar { int samples; double times; } bars[] = { { 1, 2.5 }, { 2, 1.06 }, { 3, 1.02 }, { 4, 0.99 } };
#define AS_EXPECTED 1.2         /* so far behind by one sample and by its estimate, it is slow: bursts of 1.6 times pass
                                   over several candidates' first samples on a shared machine, alone they say nothing */
#define SAMPLES_OF_PATIENCE 8   /* after these, a possible gain of CVL_TIE_MOST is not worth more */
#define ROUNDING 1e-6           /* the largest rel_error of those that only round, about */
#define DOMINATED 1.5           /* so far behind one that is no worse, it is of no use to any query */

/* An error that is not known yet is taken to be that of the same algorithm, or a rounding. */
static bool is_as_exact(const struct cvl_measurement *a, const struct cvl_measurement *b)
{
    if (b->rel_error >= 0)
        return a->rel_error <= b->rel_error;
    return a->plan->algo == b->plan->algo || a->rel_error <= ROUNDING;
}

/* In all but time. */
static bool is_no_worse(const struct cvl_measurement *a, const struct cvl_measurement *b)
{
    return a->plan->workspace_bytes <= b->plan->workspace_bytes && is_as_exact(a, b) &&
           (!a->plan->variant.nondeterministic || b->plan->variant.nondeterministic);
}

struct cvl_stats cvl_race_ratio(const struct cvl_measurement *a, const struct cvl_measurement *b)
{
    double ratios[CVL_ROUNDS];
    const int rounds = a->time.samples < b->time.samples ? a->time.samples : b->time.samples;
    for (int i = 0; i < rounds; i++)
        ratios[i] = a->seconds[i] / b->seconds[i];
    return rounds > 0 ? cvl_stats_of(ratios, rounds) : (struct cvl_stats){ 0 };
}

bool cvl_race_is_apart(const struct cvl_measurement *slow, const struct cvl_measurement *fast)
{
    const struct cvl_stats ratio = cvl_race_ratio(slow, fast);
    return ratio.samples >= CVL_SAMPLES_OF_INTERVAL && ratio.low > 1 && ratio.median > 1 + CVL_TIE;
}

const struct cvl_contender *cvl_race_best(const struct cvl_arena *arena, const struct cvl_contender *than)
{
    const struct cvl_contender *found = NULL;
    for (int i = 0; i < arena->count; i++) {
        const struct cvl_contender *one = &arena->contenders[i];
        const bool counts = one != than && one->out->time.samples > 0 && (!than || is_no_worse(one->out, than->out));
        if (counts && (!found || one->out->time.median < found->out->time.median))
            found = one;
    }
    return found;
}

static bool is_behind(const struct cvl_measurement *one, const struct cvl_measurement *fastest)
{
    const struct cvl_stats ratio = cvl_race_ratio(one, fastest);
    if (ratio.min > AS_EXPECTED && one->expected_s > AS_EXPECTED * fastest->time.median)
        return true;
    for (size_t i = 0; i < sizeof bars / sizeof *bars; i++)
        if (ratio.samples >= bars[i].samples && ratio.min > bars[i].times)
            return true;
    return false;
}

/* It may win yet, but not by more than what counts as a tie. */
static bool is_of_no_gain(const struct cvl_measurement *one, const struct cvl_measurement *fastest)
{
    const struct cvl_stats ratio = cvl_race_ratio(one, fastest);
    return ratio.samples >= CVL_SAMPLES_OF_INTERVAL &&
           ratio.low >= 1 - (ratio.samples < SAMPLES_OF_PATIENCE ? CVL_TIE : CVL_TIE_MOST);
}

/* In what decides between two that are as fast. */
static bool is_preferred(const struct cvl_measurement *a, const struct cvl_measurement *b)
{
    if (a->rel_error != b->rel_error)
        return a->rel_error < b->rel_error;
    return a->plan->workspace_bytes < b->plan->workspace_bytes;
}

/* Slower by more than a tie in the median, as fast by the interval: the choice would be it, for want of rounds. */
static bool may_tie(const struct cvl_measurement *one, const struct cvl_measurement *fastest)
{
    const struct cvl_stats ratio = cvl_race_ratio(one, fastest);
    return is_preferred(one, fastest) && ratio.low <= 1 && ratio.median > 1 + CVL_TIE &&
           ratio.median <= 1 + CVL_TIE_MOST;
}

static void leave(struct cvl_contender *contender, const struct cvl_contender *rival)
{
    const struct cvl_stats *time = &contender->out->time;
    contender->live = false;
    if (rival && time->low > DOMINATED * rival->out->time.median)
        cvl_contender_settle(contender, CVL_OUTCOME_ELIMINATED, "%.2f times slower than %s, which needs no more workspace",
                             time->median / rival->out->time.median, rival->out->plan->candidate);
}

void cvl_race_drop(struct cvl_arena *arena)
{
    const struct cvl_contender *fastest = cvl_race_best(arena, NULL);
    for (int i = 0; i < arena->count; i++) {
        struct cvl_contender *contender = &arena->contenders[i];
        if (!contender->live || contender->out->time.samples == 0 || contender == fastest)
            continue;
        if (is_behind(contender->out, fastest->out))
            leave(contender, cvl_race_best(arena, contender));
        else if (is_of_no_gain(contender->out, fastest->out) && !may_tie(contender->out, fastest->out))
            contender->live = false;
    }
}

bool cvl_race_is_decided(const struct cvl_arena *arena, bool patient)
{
    const struct cvl_contender *fastest = cvl_race_best(arena, NULL);
    for (int i = 0; i < arena->count; i++) {
        const struct cvl_contender *one = &arena->contenders[i];
        if (one->live && (one->out->time.samples < CVL_SAMPLES_OF_INTERVAL || (patient && one != fastest)))
            return false;
    }
    return true;
}

/* The fastest of those that took part longest. */
static const struct cvl_measurement *leader_of(const struct cvl_arena *arena)
{
    const struct cvl_measurement *leader = NULL;
    for (int i = 0; i < arena->count; i++) {
        const struct cvl_measurement *one = arena->contenders[i].out;
        const int more = leader ? one->time.samples - leader->time.samples : one->time.samples;
        if (more > 0 || (more == 0 && leader && one->time.median < leader->time.median))
            leader = one;
    }
    return leader;
}

/* The ratio of a few rounds may be a disturbance of the leader's: it makes nobody faster. */
static void scale(struct cvl_measurement *one, const struct cvl_measurement *leader)
{
    const int samples = one->time.samples;
    const double level = samples < CVL_SAMPLES_OF_INTERVAL
                             ? fmax(1, leader->time.median / cvl_stats_of(leader->seconds, samples).median)
                             : leader->time.median * one->ratio.median / one->time.median;
    for (int i = 0; i < samples; i++)
        one->seconds[i] *= level;
    one->time = cvl_stats_of(one->seconds, samples);
}

void cvl_race_finish(struct cvl_arena *arena)
{
    const struct cvl_measurement *leader = leader_of(arena);
    for (int i = 0; i < arena->count && leader; i++) {
        struct cvl_measurement *one = arena->contenders[i].out;
        if (one->time.samples == 0)
            continue;
        one->ratio = cvl_race_ratio(one, leader);
        if (one->time.samples < leader->time.samples)
            scale(one, leader);
    }
}
