/* SPDX-License-Identifier: Apache-2.0
 * Budget and rounds; tuner/session_begin.c says who enters them, tuner/race.c who stays. */
#include "tuner/measure.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "conv/algo.h"
#include "tuner/pin.h"
#include "tuner/race.h"
#include "tuner/session.h"

#include <math.h>

#define PATIENCE_S 2.0          /* after this long on one problem, an interval of any width is enough */
#define SAMPLE_S 100e-6
#define SAMPLE_RESOLUTIONS 1000
#define ROUNDS_AGAIN 5          /* rounds that a changing clock may spoil; then all count */
#define SAMPLES_AGAIN 2         /* of one that was preempted; then it counts */
#define PREEMPTED_S 10e-3       /* a longer sample is long */

static double share_done(const struct cvl_session *session)
{
    int left = 0;
    for (int i = 0; i < session->arena.count; i++)
        if (session->arena.contenders[i].live)
            left += CVL_ROUNDS - session->arena.contenders[i].out->time.samples;
    return 1 - (double)left / (CVL_ROUNDS * session->arena.count);
}

static long preemptions(const struct cvl_session *session)
{
    return session->preemptions ? session->preemptions() : 0;
}

/* A long sample is hardly off by a time slice, and seldom spared one; but it may be long for its disturbance alone. */
static bool is_worth_another(const struct cvl_contender *contender, double seconds, int runs)
{
    return seconds * runs <= PREEMPTED_S || seconds > CVL_HOPELESS * contender->out->expected_s;
}

double cvl_session_sample(struct cvl_session *session, struct cvl_contender *contender, int runs)
{
    for (int again = 0;; again++) {
        const long before = preemptions(session);
        const double seconds = cvl_contender_sample(&session->arena, contender, runs);
        if (seconds < 0 || again == SAMPLES_AGAIN || preemptions(session) == before ||
            !is_worth_another(contender, seconds, runs) || !cvl_session_fits(session, 2 * seconds * runs))
            return seconds;
    }
}

bool cvl_session_fits(struct cvl_session *session, double seconds)
{
    const struct cvl_measure_options *options = session->options;
    if (!session->stopped && options->progress && !options->progress(options->progress_arg, share_done(session)))
        session->stopped = true;
    return !session->stopped && session->arena.now() + seconds <= session->deadline;
}

void cvl_session_skip(const struct cvl_session *session, struct cvl_contender *contender)
{
    if (session->stopped)
        cvl_contender_settle(contender, CVL_OUTCOME_SKIPPED, "the measuring was stopped");
    else
        cvl_contender_settle(contender, CVL_OUTCOME_SKIPPED, "the budget of %.3g s leaves no time for it",
                             session->options->budget_s);
}

void cvl_session_keep(struct cvl_contender *contender, double seconds)
{
    const int samples = contender->out->time.samples;
    contender->out->seconds[samples] = seconds;
    contender->out->time = cvl_stats_of(contender->out->seconds, samples + 1);
}

static void play_round(struct cvl_session *session, int round)
{
    if (session->arena.gpu.sets > 0 && cvl_gpu_timing_settle(&session->arena.gpu) != CVL_OK)
        session->stopped = true;
    for (int i = 0; i < session->arena.count; i++) {
        struct cvl_contender *contender = &session->arena.contenders[(round + i) % session->arena.count];
        if (!contender->live)
            continue;
        const double expected_s = contender->out->time.median * (contender->runs + 1) + session->arena.eviction_s;
        if (!cvl_session_fits(session, expected_s)) {
            contender->live = false;
            continue;
        }
        const double seconds = cvl_session_sample(session, contender, contender->runs);
        if (seconds >= 0)
            cvl_session_keep(contender, seconds);
    }
}

static bool is_decided(const struct cvl_session *session)
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

static void line_up(struct cvl_session *session, struct cvl_measurement *measurements)
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
static bool has_time(struct cvl_session *session)
{
    double least = HUGE_VAL;
    for (int i = 0; i < session->arena.count; i++)
        least = fmin(least, session->arena.contenders[i].out->expected_s);
    return cvl_session_fits(session, 2 * least);
}

/* What was sampled while the clock changed compares with nothing. */
static void forget_round(struct cvl_session *session, int round)
{
    for (int i = 0; i < session->arena.count; i++) {
        struct cvl_measurement *one = session->arena.contenders[i].out;
        if (one->time.samples > round)
            one->time = cvl_stats_of(one->seconds, round);
    }
}

/* All contenders have `round` samples, or have left. */
static void play_steady_round(struct cvl_session *session, int round)
{
    play_round(session, round);
    while (session->drift.probe && !cvl_drift_is_steady(&session->drift) && session->drift.disturbed <= ROUNDS_AGAIN &&
           cvl_session_fits(session, 0)) {
        forget_round(session, round);
        play_round(session, round);
    }
}

static void play(struct cvl_session *session)
{
    for (int i = 0; i < session->arena.count; i++)
        if (session->arena.contenders[i].live)
            cvl_session_begin(session, &session->arena.contenders[i]);
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
    struct cvl_session session = {
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
            cvl_session_skip(&session, &session.arena.contenders[i]);
    }
    cvl_free(session.arena.contenders);
    return status;
}
