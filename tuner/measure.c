/* SPDX-License-Identifier: Apache-2.0
 * Budget, first runs and rounds; tuner/race.c says who stays in them. */
#include "tuner/measure.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "conv/algo.h"
#include "tuner/drift.h"
#include "tuner/pin.h"
#include "tuner/race.h"

#include <math.h>

#define SLOW_AT_FIRST 4.0       /* times the best's median */
#define SLOW_AS_EXPECTED 1.5    /* times its own estimate */
#define PATIENCE_S 2.0          /* after this long on one problem, an interval of any width is enough */
#define SAMPLE_S 100e-6
#define SAMPLE_RESOLUTIONS 1000
#define RUNS_MAX (1 << 20)
#define ROUNDS_AGAIN 5          /* rounds that a changing clock may spoil; then all count */
#define SAMPLES_AGAIN 2         /* of one that was preempted; then it counts */
#define PREEMPTED_S 10e-3       /* a longer one is hardly off by a time slice, and seldom spared */

struct session {
    const struct cvl_measure_options *options;
    struct cvl_arena                  arena;       /* contenders in the order of their first runs */
    double                            start, deadline, sample_s;
    struct cvl_drift                  drift;
    long                            (*preemptions)(void);
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
    contender->out->seconds[samples] = seconds;
    contender->out->time = cvl_stats_of(contender->out->seconds, samples + 1);
}

/* What the estimates of an algorithm are to be multiplied by, from the one that came out best; 0: none has run yet. */
static double correction(const struct session *session, const struct cvl_algo *algo)
{
    double least = 0;
    for (int i = 0; i < session->arena.count; i++) {
        const struct cvl_measurement *one = session->arena.contenders[i].out;
        const double ratio = one->time.samples > 0 && one->expected_s > 0 ? one->time.median / one->expected_s : 0;
        if (one->plan->algo == algo && ratio > 0 && (least == 0 || ratio < least))
            least = ratio;
    }
    return least;
}

/* One that is no winner by the lower end of its estimate's interval is of use to tighter limits alone, and for those it
 * is enough that the estimate itself is behind. */
static bool is_hopeless(struct session *session, struct cvl_contender *contender)
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
                         expected / rival->out->time.median, name(rival));
    return true;
}

/* One that is so slow in its first run, from cold caches, needs no other to be known as slow. */
static bool is_slow(const struct session *session, const struct cvl_contender *contender)
{
    const struct cvl_contender *rival = cvl_race_best(&session->arena, contender);
    return !session->options->exhaustive && session->options->state == CVL_HOT && rival &&
           contender->first_s > SLOW_AT_FIRST * rival->out->time.median;
}

static long preemptions(const struct session *session)
{
    return session->preemptions ? session->preemptions() : 0;
}

/* Seconds of one run, as cvl_contender_sample; what another process had a part in is taken again. */
static double sample(struct session *session, struct cvl_contender *contender, int runs)
{
    for (int again = 0;; again++) {
        const long before = preemptions(session);
        const double seconds = cvl_contender_sample(&session->arena, contender, runs);
        if (seconds < 0 || again == SAMPLES_AGAIN || preemptions(session) == before || seconds * runs > PREEMPTED_S ||
            !fits(session, 2 * seconds * runs))
            return seconds;
    }
}

/* A first run may pay for what a library sets up once, and for fresh memory: where the estimate does not say it as
 * well, only a second one says that it is slow. */
static bool is_known_slow(struct session *session, struct cvl_contender *contender)
{
    if (!is_slow(session, contender))
        return false;
    if (contender->first_s > SLOW_AS_EXPECTED * contender->out->expected_s && fits(session, contender->first_s))
        contender->first_s = sample(session, contender, 1);
    return contender->first_s < 0 || is_slow(session, contender);
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
    contender->runs = cvl_arena_least_runs(&session->arena);
    if (is_known_slow(session, contender)) {
        if (contender->first_s >= 0)
            keep(contender, contender->first_s);
        return;
    }
    for (;;) {
        seconds = sample(session, contender, contender->runs);
        if (seconds < 0)
            return;
        if (seconds * contender->runs >= session->sample_s || !cvl_arena_may_repeat(&session->arena, contender->runs) ||
            contender->runs >= RUNS_MAX || !fits(session, 2 * seconds * contender->runs))
            break;
        contender->runs *= 2;
    }
    keep(contender, seconds);
}

static void play_round(struct session *session, int round)
{
    if (session->arena.gpu.sets > 0 && cvl_gpu_timing_settle(&session->arena.gpu) != CVL_OK)
        session->stopped = true;
    for (int i = 0; i < session->arena.count; i++) {
        struct cvl_contender *contender = &session->arena.contenders[(round + i) % session->arena.count];
        if (!contender->live)
            continue;
        if (!fits(session, contender->out->time.median * (contender->runs + 1) + session->arena.eviction_s)) {
            contender->live = false;
            continue;
        }
        const double seconds = sample(session, contender, contender->runs);
        if (seconds >= 0)
            keep(contender, seconds);
    }
}

static bool is_decided(const struct session *session)
{
    const bool patient = session->arena.now() - session->start < PATIENCE_S;
    bool live = false;
    for (int i = 0; i < session->arena.count; i++)
        live |= session->arena.contenders[i].live;
    return !live || (!session->options->exhaustive && cvl_race_is_decided(&session->arena, patient));
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
        measurements[i].needless = false;
        measurements[i].reason[0] = '\0';
        measurements[i].time = measurements[i].ratio = (struct cvl_stats){ 0 };
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

/* What was sampled while the clock changed compares with nothing. */
static void forget_round(struct session *session, int round)
{
    for (int i = 0; i < session->arena.count; i++) {
        struct cvl_measurement *one = session->arena.contenders[i].out;
        if (one->time.samples > round)
            one->time = cvl_stats_of(one->seconds, round);
    }
}

/* All contenders have `round` samples, or have left. */
static void play_steady_round(struct session *session, int round)
{
    play_round(session, round);
    while (session->drift.probe && !cvl_drift_is_steady(&session->drift) && session->drift.disturbed <= ROUNDS_AGAIN &&
           fits(session, 0)) {
        forget_round(session, round);
        play_round(session, round);
    }
}

static void play(struct session *session)
{
    for (int i = 0; i < session->arena.count; i++)
        if (session->arena.contenders[i].live)
            begin(session, &session->arena.contenders[i]);
    for (int round = 1; round < CVL_ROUNDS; round++) {
        if (!session->options->exhaustive)
            cvl_race_drop(&session->arena);
        if (is_decided(session))
            break;
        play_steady_round(session, round);
    }
    cvl_race_finish(&session->arena);
}

cvl_status cvl_measure(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_measure_options *options,
                       struct cvl_measurement *measurements, int count)
{
    const double resolution_s = options->now ? 0 : cvl_clock_resolution();
    struct session session = {
        .options = options, .sample_s = ctx->device->kind == CVL_CPU ? fmax(SAMPLE_S, SAMPLE_RESOLUTIONS * resolution_s)
                                                                     : CVL_GPU_SAMPLE_S,
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
            struct cvl_pins *pins = cvl_pin_threads(ctx);
            session.preemptions = options->preemptions || options->now ? options->preemptions : cvl_drift_preemptions;
            if (options->probe || !options->now)
                cvl_drift_begin(&session.drift, options->probe ? options->probe : cvl_drift_probe);
            play(&session);
            cvl_pin_release(pins);
            if (session.drift.disturbed)
                cvl_log(ctx, CVL_LOG_INFO, "the processor's clock changed %d times while rounds were measured",
                        session.drift.disturbed);
            cvl_arena_destroy(&session.arena);
        }
    } else {
        for (int i = 0; i < count; i++)
            skip(&session, &session.arena.contenders[i]);
    }
    cvl_free(session.arena.contenders);
    return status;
}
