/* SPDX-License-Identifier: Apache-2.0
 * The expected gain of measuring a layer is what the selector says may be left on the table: large where estimates
 * decide between candidates that may differ, small where they agree or where the layer takes no time; and 0 once it is
 * measured. A layer gets its share of what is left of the budget; one that has used it up stands in line again with
 * what it may still gain, so that what others left over reaches it. */
#include "bench/spend.h"

#include <stdlib.h>
#include "base/clock.h"

#define LEAST_SHARE_S 0.02   /* of a turn: less would not even make the tensors */
#define USED_UP 0.9          /* of its share: there was more to measure */
#define TURN_TIRES 0.5       /* a turn without effect halves what is expected of the next */

bool spend_is_scarce(const struct sweep *sweep)
{
    double cost = 0;
    for (int i = 0; i < sweep->layers->count; i++)
        cost += workload_cost(&sweep->layers->at[i].desc);
    return cost > sweep->budget_s;
}

static double left_s(const struct sweep *sweep)
{
    return sweep->budget_s - (cvl_now() - sweep->budget_start);
}

/* Milliseconds of the whole network that may be saved by a better choice for the layer. */
static double gain_of(struct sweep *sweep, int layer)
{
    const struct layer *at = &sweep->layers->at[layer];
    double regret;
    int count;
    if (cvl_tuner_regret(sweep->tuner, &at->desc, &sweep->query, &regret) != CVL_OK ||
        cvl_tuner_results(sweep->tuner, &at->desc, &sweep->query, sweep->results, RESULTS_MAX, &count) != CVL_OK)
        return 0;
    for (int i = 0; i < count && i < RESULTS_MAX; i++)
        if (sweep->results[i].chosen)
            return at->count * report_time_ms(&sweep->results[i]) * regret / (1 + regret);
    return 0;
}

struct turns { double *gain; bool *done; };

static int most_promising(const struct sweep *sweep, const struct turns *turns, double *sum)
{
    int best = -1;
    *sum = 0;
    for (int i = 0; i < sweep->layers->count; i++) {
        if (turns->done[i] || !(turns->gain[i] > 0))
            continue;
        *sum += turns->gain[i];
        if (best < 0 || turns->gain[i] > turns->gain[best])
            best = i;
    }
    return best;
}

static void take_turn(struct sweep *sweep, struct turns *turns, int layer, double share, spend_fn *done)
{
    const double start = cvl_now();
    const cvl_plan *plan;
    sweep->progress.label = sweep->layers->at[layer].name;
    cvl_tuner_set_budget(sweep->tuner, share);
    cvl_tuner_plan(sweep->tuner, &sweep->layers->at[layer].desc, &sweep->query, &plan);
    const double spent = cvl_now() - start, gain = gain_of(sweep, layer);
    turns->gain[layer] = gain < turns->gain[layer] ? gain : TURN_TIRES * turns->gain[layer];
    turns->done[layer] = spent < USED_UP * share;
    if (turns->done[layer] && !interrupt_signal())
        done(sweep, layer);
    sweep->progress.done += turns->done[layer];
}

cvl_status spend_by_gain(struct sweep *sweep, spend_fn *done)
{
    const size_t count = (size_t)sweep->layers->count;
    struct turns turns = { calloc(count + 1, sizeof *turns.gain), calloc(count + 1, sizeof *turns.done) };
    cvl_status status = turns.gain && turns.done ? CVL_OK : CVL_ENOMEM;
    cvl_tuner_set_budget(sweep->tuner, 0);
    for (int i = 0; status == CVL_OK && i < sweep->layers->count && !interrupt_signal(); i++)
        turns.gain[i] = gain_of(sweep, i);
    sweep->budget_start = cvl_now();   /* of measuring: looking at what estimates say is none */
    while (status == CVL_OK && !interrupt_signal() && left_s(sweep) > 0) {
        double sum;
        const int layer = most_promising(sweep, &turns, &sum);
        if (layer < 0)
            break;
        const double left = left_s(sweep), least = left < LEAST_SHARE_S ? left : LEAST_SHARE_S;
        const double share = left * turns.gain[layer] / sum;
        take_turn(sweep, &turns, layer, share > least ? share : least, done);
    }
    cvl_tuner_set_budget(sweep->tuner, 0);
    free(turns.gain);
    free(turns.done);
    return status;
}
