/* SPDX-License-Identifier: Apache-2.0
 * Who is worth a first run, and what it costs to find out. */
#include "tuner/session.h"

#include "conv/algo.h"
#include "tuner/race.h"

#include <math.h>

#define SLOW_AT_FIRST 4.0       /* times the best's median */
#define SLOW_AS_EXPECTED 1.5    /* times its own estimate */
#define RUNS_MAX (1 << 20)

/* What the estimates of an algorithm are to be multiplied by, from the one that came out best; 0: none has run yet. A
 * time far beyond its estimate says that the machine was busy: with it, one disturbed sample cost an algorithm all of
 * its candidates. */
static double correction(const struct cvl_session *session, const struct cvl_algo *algo)
{
    double least = 0;
    for (int i = 0; i < session->arena.count; i++) {
        const struct cvl_measurement *one = session->arena.contenders[i].out;
        const double ratio = one->time.samples > 0 && one->expected_s > 0 ? one->time.median / one->expected_s : 0;
        if (one->plan->algo == algo && ratio > 0 && ratio < CVL_HOPELESS && (least == 0 || ratio < least))
            least = ratio;
    }
    return least;
}

/* One that is no winner by the lower end of its estimate's interval is of use to tighter limits alone, and for those it
 * is enough that the estimate itself is behind. */
static bool is_hopeless(struct cvl_session *session, struct cvl_contender *contender)
{
    const struct cvl_contender *rival = cvl_race_best(&session->arena, contender);
    const struct cvl_contender *fastest = cvl_race_best(&session->arena, NULL);
    const double corrected = correction(session, contender->out->plan->algo);
    const double expected = contender->out->expected_s * (corrected > 0 ? corrected : 1);
    const double alone = contender->out->hopeless > 0 ? contender->out->hopeless : CVL_HOPELESS;
    const double limit = corrected > 0 ? fmin(CVL_HOPELESS_CORRECTED, alone) : alone;
    if (session->options->exhaustive || !rival)
        return false;
    const bool loses = expected > limit * fastest->out->time.median;
    if (!(expected > (loses ? 1 : limit) * rival->out->time.median))
        return false;
    contender->out->needless = true;
    cvl_contender_settle(contender, CVL_OUTCOME_SKIPPED,
                         "estimated to be %.1f times slower than %s, which needs no more workspace",
                         expected / rival->out->time.median, rival->out->plan->candidate);
    return true;
}

/* One that is so slow in its first run, from cold caches, needs no other to be known as slow. */
static bool is_slow(const struct cvl_session *session, const struct cvl_contender *contender)
{
    const struct cvl_contender *rival = cvl_race_best(&session->arena, contender);
    return !session->options->exhaustive && session->options->state == CVL_HOT && rival &&
           contender->first_s > SLOW_AT_FIRST * rival->out->time.median;
}

/* A first run may pay for what a library sets up once, and for fresh memory: where the estimate does not say it as
 * well, only a second one says that it is slow. */
static bool is_known_slow(struct cvl_session *session, struct cvl_contender *contender)
{
    if (!is_slow(session, contender))
        return false;
    if (contender->first_s > SLOW_AS_EXPECTED * contender->out->expected_s &&
        cvl_session_fits(session, contender->first_s))
        contender->first_s = cvl_session_sample(session, contender, 1);
    return contender->first_s < 0 || is_slow(session, contender);
}

void cvl_session_begin(struct cvl_session *session, struct cvl_contender *contender)
{
    double seconds;
    if (is_hopeless(session, contender))
        return;
    if (!cvl_session_fits(session, 2 * contender->out->expected_s)) {
        cvl_session_skip(session, contender);
        return;
    }
    if (!cvl_contender_pack(&session->arena, contender) || !cvl_contender_check(&session->arena, contender))
        return;
    contender->runs = cvl_arena_least_runs(&session->arena);
    if (is_known_slow(session, contender)) {
        if (contender->first_s >= 0)
            cvl_session_keep(contender, contender->first_s);
        return;
    }
    for (;;) {
        seconds = cvl_session_sample(session, contender, contender->runs);
        if (seconds < 0)
            return;
        if (seconds * contender->runs >= session->sample_s || !cvl_arena_may_repeat(&session->arena, contender->runs) ||
            contender->runs >= RUNS_MAX || !cvl_session_fits(session, 2 * seconds * contender->runs))
            break;
        contender->runs *= 2;
    }
    cvl_session_keep(contender, seconds);
}
