/* SPDX-License-Identifier: Apache-2.0
 * The best of several is best partly by luck. So it is named by the even rounds, and the regret is measured in the odd
 * ones, round by round: then chance makes it neither larger nor smaller. */
#include "bench/audit.h"

#include <math.h>
#include <stdlib.h>
#include "base/alloc.h"
#include "base/error.h"
#include "conv/algo.h"
#include "tuner/environment.h"
#include "tuner/race.h"
#include "tuner/survey.h"

#define LABEL_WIDTH 22
#define CANDIDATE_WIDTH 24
#define SEED 2             /* other data than a tuner takes */
#define WORTH_A_RACE 2.0   /* stored as so many times slower than the winner: no contender */

/* The median over the even or odd rounds of a's time, or of its ratio to b's. */
static double median_of(const struct cvl_measurement *a, const struct cvl_measurement *b, int parity)
{
    double values[CVL_ROUNDS];
    int count = 0;
    for (int i = parity; i < a->time.samples && (!b || i < b->time.samples); i += 2)
        values[count++] = b ? a->seconds[i] / b->seconds[i] : a->seconds[i];
    return count ? cvl_stats_of(values, count).median : HUGE_VAL;
}

static bool is_contender(struct cvl_survey *survey, int row)
{
    struct cvl_row *one = &survey->rows[row];
    const struct cvl_result *winner = &survey->rows[survey->chosen].result;
    if (!cvl_survey_plan(survey, one) || !cvl_survey_fits(survey, one))
        return false;
    return row == survey->chosen || !one->recorded ||
           (one->result.samples > 0 && one->result.median_ms < WORTH_A_RACE * winner->median_ms);
}

/* What the audit came to for one layer. */
struct verdict { const struct cvl_measurement *stored, *best; double regret; bool flip; };

static struct verdict judge(const struct cvl_measurement *measured, int count, int winner, double max_error)
{
    struct verdict verdict = { .stored = &measured[winner], .best = &measured[winner] };
    double least = median_of(verdict.stored, NULL, 0);
    for (int i = 0; i < count; i++) {
        const double median = median_of(&measured[i], NULL, 0);
        if (measured[i].outcome == CVL_OUTCOME_OK && measured[i].rel_error <= max_error && median < least) {
            verdict.best = &measured[i];
            least = median;
        }
    }
    const double ratio = median_of(verdict.stored, verdict.best, 1);
    verdict.regret = isfinite(ratio) ? ratio - 1 : 0;
    verdict.flip = verdict.regret > CVL_TIE && cvl_race_is_apart(verdict.stored, verdict.best);
    return verdict;
}

static void put_layer(const struct audit *audit, const char *label, const struct verdict *verdict)
{
    FILE *to = audit->table;
    progress_clear(audit->progress);
    if (!to)
        return;
    fprintf(to, "%-*s %-*s %9.4f %9.4f %7.1f %%  %s%s\n", LABEL_WIDTH, label, CANDIDATE_WIDTH,
            verdict->stored->plan->candidate, 1e3 * verdict->stored->time.median, 1e3 * verdict->best->time.median,
            100 * verdict->regret, verdict->flip ? "FLIP: " : "", verdict->best->plan->candidate);
    fflush(to);
}

static cvl_status race(struct audit *audit, struct cvl_survey *survey, const struct layer *layer, const char *label)
{
    const struct cvl_measure_options how = {
        .state = audit->state, .exhaustive = true, .budget_s = HUGE_VAL, .seed = SEED,
        .progress = progress_tell, .progress_arg = audit->progress,
    };
    struct cvl_measurement *measured = cvl_calloc((size_t)survey->count, sizeof *measured);
    int count = 0, winner = 0;
    if (!measured)
        return cvl_fail(CVL_ENOMEM, "no memory to audit %s", survey->problem);
    for (int i = 0; i < survey->count; i++) {
        if (!is_contender(survey, i))
            continue;
        winner = i == survey->chosen ? count : winner;
        measured[count].plan = survey->rows[i].plan;
        measured[count++].expected_s = 1e-3 * survey->rows[i].result.estimate_ms;
    }
    const cvl_status status = cvl_measure(audit->ctx, &survey->desc, &how, measured, count);
    if (status == CVL_OK && measured[winner].time.samples > 0) {
        const struct verdict verdict = judge(measured, count, winner, survey->limits.max_error);
        const double stored_ms = 1e3 * verdict.stored->time.median;
        audit->audited++;
        audit->flips += verdict.flip;
        audit->stored_ms += layer->count * stored_ms;
        audit->best_ms += layer->count * stored_ms / (1 + verdict.regret);
        audit->worst_regret = fmax(audit->worst_regret, verdict.regret);
        put_layer(audit, label, &verdict);
    }
    cvl_free(measured);
    return status;
}

static cvl_status audit_layer(struct audit *audit, const struct layer *layer, const char *label)
{
    struct cvl_survey survey = { .state = audit->state, .environment = cvl_environment_of(audit->ctx) };
    survey.environment_id = cvl_environment_id(&survey.environment);
    cvl_status status = cvl_survey_create(audit->ctx, &layer->desc, audit->query, &survey);
    if (status == CVL_OK)
        status = cvl_survey_load(&survey, cvl_store_lines(audit->store));
    if (status == CVL_OK && !cvl_survey_choose(&survey))
        status = cvl_fail(CVL_ENOTFOUND, "the cache chooses nothing for %s", survey.problem);
    if (status == CVL_OK)
        status = race(audit, &survey, layer, label);
    cvl_survey_destroy(&survey);
    return status;
}

static void put_heading(FILE *to)
{
    fprintf(to, "%-*s %-*s %9s %9s %9s  %s\n", LABEL_WIDTH, "layer", CANDIDATE_WIDTH, "stored winner", "its ms", "best ms",
            "regret", "the best of this race");
}

static void put_totals(const struct audit *audit)
{
    fprintf(audit->table, "\naudited %d of %d layers; regret %.2f %% of the time of all, each layer times its count, "
            "%.1f %% at worst; %d choice%s flipped outside the tie band\n", audit->audited, audit->layers->count,
            audit->best_ms > 0 ? 100 * (audit->stored_ms / audit->best_ms - 1) : 0, 100 * audit->worst_regret,
            audit->flips, audit->flips == 1 ? "" : "s");
}

bool audit_run(struct audit *audit)
{
    bool complete = true;
    if (audit->table)
        put_heading(audit->table);
    for (int i = 0; i < audit->layers->count && !interrupt_signal(); i++) {
        char label[LABEL_MAX];
        workload_label(audit->layers, &audit->layers->at[i], label);
        audit->progress->done = i;
        audit->progress->label = label;
        if (audit_layer(audit, &audit->layers->at[i], label) != CVL_OK) {
            progress_clear(audit->progress);
            fprintf(stderr, "conv-bench: %s: %s\n", label, cvl_last_error());
            complete = false;
        }
    }
    progress_clear(audit->progress);
    if (audit->table)
        put_totals(audit);
    return complete;
}
