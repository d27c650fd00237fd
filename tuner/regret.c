/* SPDX-License-Identifier: Apache-2.0
 * How much is left on the table: by how much the best of all candidates may be faster than the chosen one, given what
 * was measured and how well, and what is only estimated. */
#include "tuner/stats.h"
#include "tuner/survey.h"

#include <math.h>

#define DEVIATIONS 2.0   /* of a normal distribution: 95 % */

/* Of the time of `slow` over that of `fast`, both measured: the upper end of a 95 % interval. */
static double most_times(const struct cvl_record *slow, const struct cvl_record *fast)
{
    if (slow->race && slow->race == fast->race && slow->ratio_high > 0 && fast->ratio_low > 0)
        return slow->ratio_high / fast->ratio_low;
    if (slow->samples >= CVL_SAMPLES_OF_INTERVAL && fast->samples >= CVL_SAMPLES_OF_INTERVAL)
        return slow->ci_high_ms / fast->ci_low_ms;
    return slow->median_ms / fast->min_ms;   /* it left the race early: this is what it left for */
}

/* Of two of which at most one was measured. */
static double most_times_by_estimate(const struct cvl_row *chosen, const struct cvl_row *other)
{
    const double chosen_spread = chosen->recorded ? 0 : chosen->spread;
    const double chosen_ms = chosen->recorded ? chosen->result.median_ms : chosen->result.estimate_ms;
    const double other_ms = other->recorded ? other->result.median_ms : other->result.estimate_ms;
    const double other_spread = other->recorded ? 0 : other->spread;
    return chosen_ms / other_ms * exp(DEVIATIONS * hypot(chosen_spread, other_spread));
}

/* One that was not worth a run by its estimate is taken to be slower: that estimate was beyond its interval. */
static bool is_rival(const struct cvl_row *row)
{
    if (row->unusable || (row->needless && !row->recorded))
        return false;
    if (row->recorded)
        return row->result.samples > 0 &&
               (row->result.outcome == CVL_OUTCOME_OK || row->result.outcome == CVL_OUTCOME_ELIMINATED);
    return row->result.outcome == CVL_OUTCOME_OK ||
           (row->result.outcome == CVL_OUTCOME_SKIPPED && row->result.estimate_ms > 0);
}

double cvl_survey_regret(const struct cvl_survey *survey)
{
    double most = 1;
    if (survey->chosen < 0)
        return 0;
    const struct cvl_row *chosen = &survey->rows[survey->chosen];
    for (int i = 0; i < survey->count; i++) {
        const struct cvl_row *row = &survey->rows[i];
        if (row == chosen || !is_rival(row))
            continue;
        const double times = row->recorded && chosen->recorded ? most_times(&chosen->record, &row->record)
                                                               : most_times_by_estimate(chosen, row);
        most = fmax(most, times);
    }
    return most - 1;
}
