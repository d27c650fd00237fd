/* SPDX-License-Identifier: Apache-2.0
 * A candidate leaves the rounds when it is of no more use: dominated (clearly slower than one that is no worse in
 * workspace, error and determinism), or on the frontier of those but too slow for its precise time to matter. Later
 * queries with tighter limits still find an answer among what stays recorded. */
#include "tuner/measure.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "conv/algo.h"
#include "tuner/contender.h"

#include <math.h>

#define PRECISE 0.02            /* half width of an interval that needs no more samples */
#define SLOW 1.5                /* so many times the best: dropped when dominated */
#define ENOUGH 3                /* samples that judge a slow one; one disturbed sample must never do */
#define VERY_SLOW 4.0
#define ENOUGH_VERY_SLOW 2
#define PATIENCE_S 2.0          /* after this long on one problem, an interval of any width is enough */
#define SAMPLE_S 100e-6
#define SAMPLE_RESOLUTIONS 1000
#define RUNS_MAX (1 << 20)

struct session {
    const struct cvl_measure_options *options;
    struct cvl_arena                  arena;       /* contenders in the order of their first runs */
    double                            start, deadline, sample_s;
    bool                              stopped;
};

static const char *name(const struct cvl_contender *contender)
{
    return contender->out->plan->candidate;
}

static double share_done(const struct session *session)
{
    int left = 0;
    for (int i = 0; i < session->arena.count; i++)
        if (session->arena.contenders[i].live)
            left += CVL_ROUNDS - session->arena.contenders[i].out->time.samples;
    return 1 - (double)left / (CVL_ROUNDS * session->arena.count);
}

/* Is there time for something that takes about so long? Reports progress, and notices a wish to stop. */
static bool fits(struct session *session, double seconds)
{
    const struct cvl_measure_options *options = session->options;
    if (!session->stopped && options->progress && !options->progress(options->progress_arg, share_done(session)))
        session->stopped = true;
    return !session->stopped && session->arena.now() + seconds <= session->deadline;
}

static void skip(const struct session *session, struct cvl_contender *contender)
{
    if (session->stopped)
        cvl_contender_settle(contender, CVL_OUTCOME_SKIPPED, "the measuring was stopped");
    else
        cvl_contender_settle(contender, CVL_OUTCOME_SKIPPED, "the budget of %.3g s leaves no time for it",
                             session->options->budget_s);
}

static void keep(struct cvl_contender *contender, double seconds)
{
    const int samples = contender->out->time.samples;
    contender->seconds[samples] = seconds;
    contender->out->time = cvl_stats_of(contender->seconds, samples + 1);
}

/* In all but time; an error that is not known yet is no obstacle. */
static bool is_no_worse(const struct cvl_measurement *a, const struct cvl_measurement *b)
{
    return a->plan->workspace_bytes <= b->plan->workspace_bytes && (b->rel_error < 0 || a->rel_error <= b->rel_error) &&
           (!a->plan->variant.nondeterministic || b->plan->variant.nondeterministic);
}

/* The fastest that was measured right, of all or of those that are no worse than `than`. */
static const struct cvl_contender *best(const struct session *session, const struct cvl_contender *than)
{
    const struct cvl_contender *found = NULL;
    for (int i = 0; i < session->arena.count; i++) {
        const struct cvl_contender *one = &session->arena.contenders[i];
        const bool counts = one != than && one->out->time.samples > 0 && (!than || is_no_worse(one->out, than->out));
        if (counts && (!found || one->out->time.median < found->out->time.median))
            found = one;
    }
    return found;
}

static bool is_hopeless(struct session *session, struct cvl_contender *contender)
{
    const struct cvl_contender *rival = best(session, contender);
    if (session->options->exhaustive || !rival ||
        !(contender->out->expected_s > CVL_HOPELESS * rival->out->time.median))
        return false;
    cvl_contender_settle(contender, CVL_OUTCOME_SKIPPED,
                         "estimated to be %.0f times slower than %s, which needs no more workspace",
                         contender->out->expected_s / rival->out->time.median, name(rival));
    return true;
}

/* Round 0 of one candidate: pack, check, and find how many runs make a sample; the last such sample counts. */
static void begin(struct session *session, struct cvl_contender *contender)
{
    double seconds;
    if (is_hopeless(session, contender))
        return;
    if (!fits(session, 2 * contender->out->expected_s)) {
        skip(session, contender);
        return;
    }
    if (!cvl_contender_pack(&session->arena, contender) || !cvl_contender_check(&session->arena, contender))
        return;
    contender->runs = 1;
    for (;;) {
        seconds = cvl_contender_sample(&session->arena, contender, contender->runs);
        if (seconds < 0)
            return;
        if (seconds * contender->runs >= session->sample_s || session->options->state != CVL_HOT ||
            contender->runs >= RUNS_MAX || !fits(session, 2 * seconds * contender->runs))
            break;
        contender->runs *= 2;
    }
    keep(contender, seconds);
}

static void drop_the_slow(struct session *session)
{
    const struct cvl_contender *fastest = best(session, NULL);
    for (int i = 0; i < session->arena.count; i++) {
        struct cvl_contender *contender = &session->arena.contenders[i];
        const struct cvl_stats *time = &contender->out->time;
        const struct cvl_contender *rival = best(session, contender);
        if (!contender->live || time->samples == 0)
            continue;
        const double ratio = rival ? time->low / rival->out->time.median : 0;
        if ((ratio > SLOW && time->samples >= ENOUGH) || (ratio > VERY_SLOW && time->samples >= ENOUGH_VERY_SLOW))
            cvl_contender_settle(contender, CVL_OUTCOME_ELIMINATED,
                                 "%.2f times slower than %s, which needs no more workspace",
                                 time->median / rival->out->time.median, name(rival));
        else if (time->samples >= ENOUGH && time->low > SLOW * fastest->out->time.median)
            contender->live = false;
    }
}

static void play_round(struct session *session, int round)
{
    for (int i = 0; i < session->arena.count; i++) {
        struct cvl_contender *contender = &session->arena.contenders[(round + i) % session->arena.count];
        if (!contender->live)
            continue;
        if (!fits(session, contender->out->time.median * contender->runs + session->arena.eviction_s)) {
            contender->live = false;
            continue;
        }
        const double seconds = cvl_contender_sample(&session->arena, contender, contender->runs);
        if (seconds >= 0)
            keep(contender, seconds);
    }
}

static bool is_settled(const struct session *session)
{
    const bool patient = session->arena.now() - session->start < PATIENCE_S;
    bool precise = true, sampled = true, live = false;
    for (int i = 0; i < session->arena.count; i++) {
        const struct cvl_contender *contender = &session->arena.contenders[i];
        if (!contender->live)
            continue;
        live = true;
        precise = precise && cvl_stats_precise(&contender->out->time, PRECISE);
        sampled = sampled && contender->out->time.samples >= CVL_SAMPLES_OF_INTERVAL;
    }
    return !live || (!session->options->exhaustive && (precise || (sampled && !patient)));
}

static bool goes_before(const struct cvl_measurement *a, const struct cvl_measurement *b)
{
    return a->wanted_first != b->wanted_first ? a->wanted_first : a->expected_s < b->expected_s;
}

static void line_up(struct session *session, struct cvl_measurement *measurements)
{
    for (int i = 0; i < session->arena.count; i++) {
        int at = i;
        for (; at > 0 && goes_before(&measurements[i], session->arena.contenders[at - 1].out); at--)
            session->arena.contenders[at].out = session->arena.contenders[at - 1].out;
        session->arena.contenders[at].out = &measurements[i];
        session->arena.contenders[i].live = true;
        measurements[i].outcome = CVL_OUTCOME_OK;
        measurements[i].reason[0] = '\0';
        measurements[i].time = (struct cvl_stats){ 0 };
        measurements[i].pack_s = 0;
        measurements[i].rel_error = measurements[i].l2_error = -1;
    }
}

/* Making the tensors takes time too: not when no candidate could run on them. */
static bool has_time(struct session *session)
{
    double least = HUGE_VAL;
    for (int i = 0; i < session->arena.count; i++)
        least = fmin(least, session->arena.contenders[i].out->expected_s);
    return fits(session, 2 * least);
}

static void play(struct session *session)
{
    for (int i = 0; i < session->arena.count; i++)
        if (session->arena.contenders[i].live)
            begin(session, &session->arena.contenders[i]);
    for (int round = 1; round < CVL_ROUNDS; round++) {
        if (!session->options->exhaustive)
            drop_the_slow(session);
        if (is_settled(session))
            break;
        play_round(session, round);
    }
}

cvl_status cvl_measure(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_measure_options *options,
                       struct cvl_measurement *measurements, int count)
{
    const double resolution_s = options->now ? 0 : cvl_clock_resolution();
    struct session session = {
        .options = options, .sample_s = fmax(SAMPLE_S, SAMPLE_RESOLUTIONS * resolution_s),
        .arena = { .ctx = ctx, .state = options->state, .now = options->now ? options->now : cvl_now, .count = count },
    };
    cvl_status status = CVL_OK;
    if (count == 0)
        return CVL_OK;
    session.start = session.arena.now();
    session.deadline = session.start + options->budget_s;
    session.arena.contenders = cvl_calloc((size_t)count, sizeof *session.arena.contenders);
    if (!session.arena.contenders)
        return cvl_fail(CVL_ENOMEM, "no memory to measure %d candidates", count);
    line_up(&session, measurements);
    if (has_time(&session)) {
        status = cvl_arena_create(&session.arena, desc, options->seed);
        if (status == CVL_OK) {
            play(&session);
            cvl_arena_destroy(&session.arena);
        }
    } else {
        for (int i = 0; i < count; i++)
            skip(&session, &session.arena.contenders[i]);
    }
    cvl_free(session.arena.contenders);
    return status;
}
