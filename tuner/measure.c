/* SPDX-License-Identifier: Apache-2.0
 * A candidate leaves the rounds when it is of no more use: dominated (clearly slower than one that is no worse in
 * workspace, error and determinism), or on the frontier of those but too slow for its precise time to matter. Later
 * queries with tighter limits still find an answer among what stays recorded. */
#include "tuner/measure.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "conv/algo.h"
#include "conv/problem.h"
#include "conv/reference/oracle.h"
#include "tuner/evict.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CHECKED_OUTPUTS 256
#define ROUNDS 15
#define PRECISE 0.02            /* half width of an interval that needs no more samples */
#define SLOW 1.5                /* so many times the best: dropped when dominated */
#define HOPELESS 4.0            /* so many times the best: fewer samples are proof */
#define ENOUGH 3                /* samples that judge a slow one; one disturbed sample must never do */
#define ENOUGH_HOPELESS 2
#define PATIENCE_S 2.0          /* after this long on one problem, 6 samples of each are enough */
#define PATIENT_SAMPLES 6
#define PACKS 3
#define PACK_AGAIN_S 0.02       /* a longer packing is timed once */
#define SAMPLE_S 100e-6
#define SAMPLE_RESOLUTIONS 1000
#define RUNS_MAX (1 << 20)

struct contender {
    struct cvl_measurement *out;
    void                   *packed;      /* NULL: the raw filter */
    bool                    owns_packed;
    bool                    live;
    int                     runs;        /* of one sample; 0: never timed */
    double                  seconds[ROUNDS];
};

struct session {
    const cvl_ctx                    *ctx;
    const struct cvl_measure_options *options;
    double                          (*now)(void);
    double                            start, deadline, sample_s, eviction_s;
    bool                              stopped;
    struct cvl_problem                problem;
    struct cvl_evictor                evictor;
    void                             *workspace;
    size_t                            workspace_bytes;
    size_t                            checked, indices[CHECKED_OUTPUTS];
    double                            want[CHECKED_OUTPUTS];
    int                               count;
    struct contender                 *contenders;   /* in the order of their first runs */
};

static void CVL_PRINTF(3, 4) settle(struct contender *contender, cvl_outcome outcome, const char *format, ...)
{
    va_list arguments;
    contender->live = false;
    contender->out->outcome = outcome;
    va_start(arguments, format);
    vsnprintf(contender->out->reason, sizeof contender->out->reason, format, arguments);
    va_end(arguments);
}

static const char *name(const struct contender *contender)
{
    return contender->out->plan->candidate;
}

static double share_done(const struct session *session)
{
    int left = 0;
    for (int i = 0; i < session->count; i++)
        if (session->contenders[i].live)
            left += ROUNDS - session->contenders[i].out->time.samples;
    return 1 - (double)left / (ROUNDS * session->count);
}

/* Is there time for something that takes about so long? Reports progress, and notices a wish to stop. */
static bool fits(struct session *session, double seconds)
{
    const struct cvl_measure_options *options = session->options;
    if (!session->stopped && options->progress && !options->progress(options->progress_arg, share_done(session)))
        session->stopped = true;
    return !session->stopped && session->now() + seconds <= session->deadline;
}

static void skip(const struct session *session, struct contender *contender)
{
    if (session->stopped)
        settle(contender, CVL_OUTCOME_SKIPPED, "the measuring was stopped");
    else
        settle(contender, CVL_OUTCOME_SKIPPED, "the budget of %.3g s leaves no time for it",
               session->options->budget_s);
}

/* Those that fail to find a workspace are settled; the largest that is left serves all, one after another. */
static void make_workspace(struct session *session)
{
    for (;;) {
        size_t most = 0;
        for (int i = 0; i < session->count; i++)
            if (session->contenders[i].live && session->contenders[i].out->plan->workspace_bytes > most)
                most = session->contenders[i].out->plan->workspace_bytes;
        session->workspace_bytes = most;
        session->workspace = most ? cvl_alloc(most) : NULL;
        if (session->workspace || !most)
            return;
        for (int i = 0; i < session->count; i++)
            if (session->contenders[i].live && session->contenders[i].out->plan->workspace_bytes == most)
                settle(&session->contenders[i], CVL_OUTCOME_FAILED, "no memory for a workspace of %zu bytes", most);
    }
}

/* Packs the filter, a few times to know how long it takes; candidates with the same packed bytes share them. */
static bool pack(struct session *session, struct contender *contender)
{
    const cvl_plan *plan = contender->out->plan;
    double seconds[PACKS];
    int packs = 0;
    if (!session->problem.desc.const_filter || plan->packed_bytes == 0)
        return true;
    for (const struct contender *other = session->contenders; other < contender; other++)
        if (other->packed && other->out->plan->packed_id == plan->packed_id &&
            other->out->plan->packed_bytes == plan->packed_bytes) {
            contender->packed = other->packed;
            contender->out->pack_s = other->out->pack_s;
            return true;
        }
    contender->packed = cvl_alloc(plan->packed_bytes);
    contender->owns_packed = true;
    if (!contender->packed) {
        settle(contender, CVL_OUTCOME_FAILED, "no memory for a packed filter of %zu bytes", plan->packed_bytes);
        return false;
    }
    do {
        const double start = session->now();
        if (cvl_plan_pack(plan, &session->problem.args, contender->packed) != CVL_OK) {
            settle(contender, CVL_OUTCOME_FAILED, "%s", cvl_last_error());
            return false;
        }
        seconds[packs] = session->now() - start;
    } while (seconds[packs++] < PACK_AGAIN_S && packs < PACKS);
    contender->out->pack_s = cvl_stats_of(seconds, packs).median;
    return true;
}

static cvl_status run(struct session *session, struct contender *contender, int runs)
{
    cvl_conv_args args = session->problem.args;
    cvl_status status = CVL_OK;
    args.packed = contender->packed;
    for (int i = 0; i < runs && status == CVL_OK; i++)
        status = cvl_plan_run(contender->out->plan, &args, session->workspace);
    return status == CVL_OK ? session->ctx->device->synchronize(session->ctx->stream) : status;
}

/* All bits set are a NaN in every floating type: an output that is not written, or a workspace that is read before it
 * is written, cannot pass; an integer is seen by a value that saturation does not give. */
static bool check(struct session *session, struct contender *contender)
{
    struct cvl_measurement *out = contender->out;
    const cvl_plan *plan = out->plan;
    struct cvl_problem *problem = &session->problem;
    memset(problem->written, cvl_conv_is_integer(&problem->desc) ? 0xa5 : 0xff, problem->written_bytes);
    if (plan->workspace_bytes)
        memset(session->workspace, 0xff, plan->workspace_bytes);
    if (run(session, contender, 1) != CVL_OK) {
        settle(contender, CVL_OUTCOME_FAILED, "%s", cvl_last_error());
        return false;
    }
    const struct cvl_error error = cvl_oracle_compare(&problem->desc, problem->written, session->indices,
                                                      session->checked, session->want);
    const double tolerance = plan->algo->tolerance(&problem->desc, &plan->variant);
    out->rel_error = error.rel;
    out->l2_error = error.l2;
    if (!(error.rel <= tolerance)) {
        settle(contender, CVL_OUTCOME_WRONG, "rel_error is %.2g, its tolerance %.2g: output %zu is %.6g, expected %.6g",
               error.rel, tolerance, error.worst, error.got, error.want);
        return false;
    }
    return true;
}

static void prepare_caches(struct session *session, const struct contender *contender)
{
    const struct cvl_problem *problem = &session->problem;
    const cvl_conv_args *args = &problem->args;
    if (session->options->state == CVL_HOT)
        return;
    const double start = session->now();
    cvl_evict(&session->evictor);
    if (session->options->state == CVL_COLD_FILTER) {
        cvl_touch(args->x, cvl_conv_bytes(&problem->desc, CVL_X));
        cvl_touch(args->y, cvl_conv_bytes(&problem->desc, CVL_Y));
        cvl_touch(session->workspace, contender->out->plan->workspace_bytes);
        if (args->residual)
            cvl_touch(args->residual, problem->written_bytes);
    }
    session->eviction_s = session->now() - start;
}

/* Seconds of one run in a sample of `runs`; negative when it failed. */
static double sample(struct session *session, struct contender *contender, int runs)
{
    prepare_caches(session, contender);
    const double start = session->now();
    if (run(session, contender, runs) != CVL_OK) {
        settle(contender, CVL_OUTCOME_FAILED, "%s", cvl_last_error());
        contender->out->time.samples = 0;
        return -1;
    }
    return (session->now() - start) / runs;
}

static void keep(struct contender *contender, double seconds)
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
static const struct contender *best(const struct session *session, const struct contender *than)
{
    const struct contender *found = NULL;
    for (int i = 0; i < session->count; i++) {
        const struct contender *one = &session->contenders[i];
        const bool counts = one != than && one->out->time.samples > 0 && (!than || is_no_worse(one->out, than->out));
        if (counts && (!found || one->out->time.median < found->out->time.median))
            found = one;
    }
    return found;
}

static bool is_hopeless(struct session *session, struct contender *contender)
{
    const struct contender *rival = best(session, contender);
    if (session->options->exhaustive || !rival ||
        !(contender->out->expected_s > CVL_HOPELESS * rival->out->time.median))
        return false;
    settle(contender, CVL_OUTCOME_SKIPPED, "estimated to be %.0f times slower than %s, which needs no more workspace",
           contender->out->expected_s / rival->out->time.median, name(rival));
    return true;
}

/* Round 0 of one candidate: pack, check, and find how many runs make a sample; the last such sample counts. */
static void begin(struct session *session, struct contender *contender)
{
    double seconds;
    if (is_hopeless(session, contender))
        return;
    if (!fits(session, 2 * contender->out->expected_s)) {
        skip(session, contender);
        return;
    }
    if (!pack(session, contender) || !check(session, contender))
        return;
    contender->runs = 1;
    for (;;) {
        seconds = sample(session, contender, contender->runs);
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
    const struct contender *fastest = best(session, NULL);
    for (int i = 0; i < session->count; i++) {
        struct contender *contender = &session->contenders[i];
        const struct cvl_stats *time = &contender->out->time;
        const struct contender *rival = best(session, contender);
        if (!contender->live || time->samples == 0)
            continue;
        const double ratio = rival ? time->low / rival->out->time.median : 0;
        if ((ratio > SLOW && time->samples >= ENOUGH) || (ratio > HOPELESS && time->samples >= ENOUGH_HOPELESS))
            settle(contender, CVL_OUTCOME_ELIMINATED, "%.2f times slower than %s, which needs no more workspace",
                   time->median / rival->out->time.median, name(rival));
        else if (time->samples >= ENOUGH && time->low > SLOW * fastest->out->time.median)
            contender->live = false;
    }
}

static void play_round(struct session *session, int round)
{
    for (int i = 0; i < session->count; i++) {
        struct contender *contender = &session->contenders[(round + i) % session->count];
        if (!contender->live)
            continue;
        if (!fits(session, contender->out->time.median * contender->runs + session->eviction_s)) {
            contender->live = false;
            continue;
        }
        const double seconds = sample(session, contender, contender->runs);
        if (seconds >= 0)
            keep(contender, seconds);
    }
}

static bool is_settled(const struct session *session)
{
    const bool patient = session->now() - session->start < PATIENCE_S;
    bool precise = true, sampled = true, live = false;
    for (int i = 0; i < session->count; i++) {
        const struct contender *contender = &session->contenders[i];
        if (!contender->live)
            continue;
        live = true;
        precise = precise && cvl_stats_precise(&contender->out->time, PRECISE);
        sampled = sampled && contender->out->time.samples >= PATIENT_SAMPLES;
    }
    return !live || (!session->options->exhaustive && (precise || (sampled && !patient)));
}

static bool goes_before(const struct cvl_measurement *a, const struct cvl_measurement *b)
{
    return a->wanted_first != b->wanted_first ? a->wanted_first : a->expected_s < b->expected_s;
}

static void line_up(struct session *session, struct cvl_measurement *measurements)
{
    for (int i = 0; i < session->count; i++) {
        int at = i;
        for (; at > 0 && goes_before(&measurements[i], session->contenders[at - 1].out); at--)
            session->contenders[at].out = session->contenders[at - 1].out;
        session->contenders[at].out = &measurements[i];
        session->contenders[i].live = true;
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
    for (int i = 0; i < session->count; i++)
        least = fmin(least, session->contenders[i].out->expected_s);
    return fits(session, 2 * least);
}

static cvl_status create(struct session *session, const cvl_conv_desc *desc)
{
    const double resolution_s = session->options->now ? 0 : cvl_clock_resolution();
    session->sample_s = fmax(SAMPLE_S, SAMPLE_RESOLUTIONS * resolution_s);
    cvl_status status = cvl_problem_create(desc, session->options->seed, NULL, &session->problem);
    if (status != CVL_OK)
        return status;
    if (session->options->state != CVL_HOT)
        status = cvl_evictor_create(session->ctx, &session->evictor);
    if (status != CVL_OK) {
        cvl_problem_destroy(&session->problem);
        return status;
    }
    session->checked = cvl_oracle_sample(desc, session->options->seed, session->indices, CHECKED_OUTPUTS);
    cvl_oracle_values(session->ctx, desc, &session->problem.args, session->indices, session->checked, session->want);
    make_workspace(session);
    return CVL_OK;
}

static void destroy(struct session *session)
{
    for (int i = 0; i < session->count; i++)
        if (session->contenders[i].owns_packed)
            cvl_free(session->contenders[i].packed);
    cvl_free(session->workspace);
    cvl_evictor_destroy(&session->evictor);
    cvl_problem_destroy(&session->problem);
}

cvl_status cvl_measure(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_measure_options *options,
                       struct cvl_measurement *measurements, int count)
{
    struct session session = { .ctx = ctx, .options = options, .count = count, .now = options->now };
    cvl_status status = CVL_OK;
    if (count == 0)
        return CVL_OK;
    session.contenders = cvl_calloc((size_t)count, sizeof *session.contenders);
    if (!session.contenders)
        return cvl_fail(CVL_ENOMEM, "no memory to measure %d candidates", count);
    if (!session.now)
        session.now = cvl_now;
    session.start = session.now();
    session.deadline = session.start + options->budget_s;
    line_up(&session, measurements);
    if (!has_time(&session)) {
        for (int i = 0; i < count; i++)
            skip(&session, &session.contenders[i]);
        goto done;
    }
    status = create(&session, desc);
    if (status != CVL_OK)
        goto done;
    for (int i = 0; i < count; i++)
        if (session.contenders[i].live)
            begin(&session, &session.contenders[i]);
    for (int round = 1; round < ROUNDS; round++) {
        if (!options->exhaustive)
            drop_the_slow(&session);
        if (is_settled(&session))
            break;
        play_round(&session, round);
    }
    destroy(&session);
done:
    cvl_free(session.contenders);
    return status;
}
