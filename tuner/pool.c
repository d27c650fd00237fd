/* SPDX-License-Identifier: Apache-2.0
 * Twenty tunings of ResNet-50 on two threads, pooled one by one in random orders: between two that are not pooled 7.5 %
 * of the choices flip outside the tie band, after pooling 0.5 %; the fastest by six runs' records loses 0.1 %, by one
 * run's 0.6 %. Shrunk variances made no difference to these, but intervals cover 90 instead of 60 % with them. */
#include "tuner/pool.h"

#include "base/alloc.h"
#include "tuner/measure.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEVIATIONS 1.959964       /* of a normal distribution on either side: 95 % */
#define SAMPLE_VARIANCE 3.0       /* of one sample, over that between runs: 0 to 4 made no difference when no sample was
                                     disturbed, and one that was is to count for little */
#define PRIOR_RUNS 2.0            /* the other candidates tell as much of a variance as so many runs */
#define MEDIAN_OF_SQUARES 0.4549  /* of a standard normal variable: the median of chi-square with one degree */
#define RUNS_REMEMBERED 15        /* earlier runs weigh no more: a machine that has changed is followed at last */

struct weighted { double value, weight; };

/* A candidate that both measured. */
struct pair {
    const struct cvl_record *stored;
    struct cvl_record       *measured;
    double                   change;     /* log of new over stored time, without the run's part */
    double                   runs, weight_stored, weight_new;
    double                   ms, variance;   /* pooled, of the logarithm */
};

struct pooling {
    struct pair     *pairs;
    struct weighted *sorted;
    int              count;
    double           shift, level;       /* of the new run's logarithms above the stored, and of the pooled ones */
    double           variance;           /* between runs, of a typical candidate */
};

static int compare(const void *a, const void *b)
{
    const struct weighted *x = a, *y = b;
    const int by_value = (x->value > y->value) - (x->value < y->value);
    return by_value ? by_value : (x->weight > y->weight) - (x->weight < y->weight);
}

/* Where half of the weight is below and half above; in the middle between two values when it is between them. */
static double median(struct weighted *values, int count)
{
    double all = 0, below = 0;
    qsort(values, (size_t)count, sizeof *values, compare);
    for (int i = 0; i < count; i++)
        all += values[i].weight;
    for (int i = 0; i < count; i++) {
        below += values[i].weight;
        if (i + 1 < count && fabs(2 * below - all) <= 1e-9 * all)
            return 0.5 * (values[i].value + values[i + 1].value);
        if (2 * below > all)
            return values[i].value;
    }
    return count ? values[count - 1].value : 0;
}

static bool is_timed(const struct cvl_record *record)
{
    return record->samples > 0 && record->median_ms > 0 && isfinite(record->median_ms) &&
           (record->outcome == CVL_OUTCOME_OK || record->outcome == CVL_OUTCOME_ELIMINATED);
}

static int runs_of(const struct cvl_record *record)
{
    return record->runs > 1 ? record->runs : 1;
}

static int add(int a, int b)
{
    return a < INT_MAX - b ? a + b : INT_MAX;
}

/* Of the logarithm, from its 95 % interval; 0: it says nothing. */
static double variance_of(double low, double high)
{
    return low > 0 && high > low && isfinite(high) ? pow(log(high / low) / (2 * DEVIATIONS), 2) : 0;
}

/* What a single run says of itself. Its ratios leave out what disturbed a round. */
static double variance_within(const struct cvl_record *record)
{
    if (runs_of(record) > 1 || record->samples < CVL_SAMPLES_OF_INTERVAL)
        return 0;
    return record->race && record->ratio_low > 0 ? variance_of(record->ratio_low, record->ratio_high)
                                                 : variance_of(record->ci_low_ms, record->ci_high_ms);
}

/* The inverse of a record's variance, in units of that between runs. */
static double weight_of(const struct cvl_record *record, double runs)
{
    return 1 / (1 / runs + SAMPLE_VARIANCE / record->samples);
}

static const struct cvl_record *find(const struct cvl_record *records, int count, const struct cvl_record *like)
{
    for (int i = 0; i < count; i++)
        if (records[i].revision == like->revision && strcmp(records[i].candidate, like->candidate) == 0)
            return &records[i];
    return NULL;
}

static void pair_up(struct pooling *pooling, const struct cvl_record *stored, int stored_count,
                    struct cvl_record *measured, int measured_count)
{
    for (int i = 0; i < measured_count; i++) {
        const struct cvl_record *before = find(stored, stored_count, &measured[i]);
        if (!before || !is_timed(before) || !is_timed(&measured[i]))
            continue;
        const double runs = fmin(runs_of(before), RUNS_REMEMBERED);
        pooling->pairs[pooling->count++] = (struct pair){
            .stored = before, .measured = &measured[i], .runs = runs,
            .change = log(measured[i].median_ms / before->median_ms),
            .weight_stored = weight_of(before, runs), .weight_new = weight_of(&measured[i], 1),
        };
    }
}

static double harmonic(double a, double b)
{
    return a * b / (a + b);
}

/* Was everything measured again that may be among the fastest? */
static bool is_whole(const struct cvl_record *stored, int stored_count, const struct cvl_record *measured,
                     int measured_count)
{
    double least = HUGE_VAL;
    for (int i = 0; i < stored_count; i++)
        if (is_timed(&stored[i]))
            least = fmin(least, stored[i].median_ms);
    for (int i = 0; i < stored_count; i++)
        if (is_timed(&stored[i]) && stored[i].median_ms <= CVL_HOPELESS_STORED * least &&
            !find(measured, measured_count, &stored[i]))
            return false;
    return true;
}

/* Did the rounds go on until somebody had an interval? */
static bool is_conclusive(const struct cvl_record *records, int count)
{
    for (int i = 0; i < count; i++)
        if (is_timed(&records[i]) && records[i].samples >= CVL_SAMPLES_OF_INTERVAL)
            return true;
    return false;
}

/* Takes the run's part out of the changes. Those with most samples know it best. */
static void level_out(struct pooling *pooling, bool whole)
{
    double runs = 1;
    for (int i = 0; i < pooling->count; i++) {
        const struct pair *pair = &pooling->pairs[i];
        const double samples = harmonic(pair->stored->samples, pair->measured->samples);
        pooling->sorted[i] = (struct weighted){ pair->change, samples };
        runs = fmax(runs, pair->runs);
    }
    pooling->shift = median(pooling->sorted, pooling->count);
    pooling->level = whole ? pooling->shift / (runs + 1) : 0;
    for (int i = 0; i < pooling->count; i++)
        pooling->pairs[i].change -= pooling->shift;
}

/* Between runs, as this candidate's change alone has it. */
static double variance_between(const struct pair *pair)
{
    return pair->change * pair->change * harmonic(pair->weight_stored, pair->weight_new);
}

/* The median, as one candidate that another process disturbed is not to make the others uncertain; of changes from
 * which a median was taken. */
static void judge_variance(struct pooling *pooling)
{
    const int count = pooling->count;
    for (int i = 0; i < count; i++)
        pooling->sorted[i] = (struct weighted){ variance_between(&pooling->pairs[i]), 1 };
    pooling->variance = count > 1 ? median(pooling->sorted, count) / MEDIAN_OF_SQUARES * count / (count - 1) : 0;
}

/* No run is taken to be more exact than it says itself. */
static void pool_pair(const struct pooling *pooling, struct pair *pair)
{
    const struct cvl_record *stored = pair->stored;
    const double weight = pair->weight_stored + pair->weight_new, earlier = pair->runs - 1;
    const double known = variance_of(stored->ci_low_ms, stored->ci_high_ms) * pair->weight_stored;
    const double variance = (earlier * known + PRIOR_RUNS * pooling->variance + variance_between(pair)) /
                            (earlier + PRIOR_RUNS + 1);
    const double before = variance_within(stored), now = variance_within(pair->measured);
    const double within = before > 0 && now > 0 ? fmin(before, now) : fmax(before, now);
    pair->variance = fmax(variance / weight, within / (pair->runs + 1));
    pair->ms = stored->median_ms * exp(pooling->level + pair->change * pair->weight_new / weight);
}

static void write_pair(const struct pooling *pooling, const struct pair *pair)
{
    const struct cvl_record *stored = pair->stored;
    struct cvl_record *record = pair->measured;
    const double margin = exp(DEVIATIONS * sqrt(pair->variance));
    const double min_ms = fmin(stored->min_ms * exp(pooling->level),
                               record->min_ms * exp(pooling->level - pooling->shift));
    record->samples = add(stored->samples, record->samples);
    record->runs = add(runs_of(stored), 1);
    record->median_ms = cvl_record_round(pair->ms);
    record->min_ms = fmin(cvl_record_round(min_ms), record->median_ms);
    record->ci_low_ms = cvl_record_round(pair->ms / margin);
    record->ci_high_ms = cvl_record_round(pair->ms * margin);
    record->estimate_ms = stored->estimate_ms;
    record->raw_ms = stored->raw_ms;
    record->rel_error = fmax(stored->rel_error, record->rel_error);
    record->l2_error = fmax(stored->l2_error, record->l2_error);
}

static bool is_faster(const struct pair *a, const struct pair *b)
{
    return a->ms != b->ms ? a->ms < b->ms : strcmp(a->measured->candidate, b->measured->candidate) < 0;
}

/* Those that were in every run compare by their ratios to the fastest of them, like those of one race. */
static void write_ratios(const struct pooling *pooling)
{
    const struct pair *fastest = NULL;
    int runs = 0;
    for (int i = 0; i < pooling->count; i++)
        runs = runs > pooling->pairs[i].measured->runs ? runs : pooling->pairs[i].measured->runs;
    for (int i = 0; i < pooling->count; i++) {
        const struct pair *pair = &pooling->pairs[i];
        if (pair->measured->runs == runs && pair->measured->samples >= CVL_SAMPLES_OF_INTERVAL &&
            (!fastest || is_faster(pair, fastest)))
            fastest = pair;
    }
    for (int i = 0; i < pooling->count; i++) {
        const struct pair *pair = &pooling->pairs[i];
        struct cvl_record *record = pair->measured;
        const bool compares = fastest && record->runs == runs && record->samples >= CVL_SAMPLES_OF_INTERVAL;
        const double ratio = compares ? pair->ms / fastest->ms : 0;
        const double margin = !compares || pair == fastest ? 1
                                  : exp(DEVIATIONS * sqrt(pair->variance + fastest->variance));
        record->race = record->runs == runs ? record->race : 0;
        record->ratio_low = cvl_record_round(ratio / margin);
        record->ratio_high = cvl_record_round(ratio * margin);
    }
}

/* New ones, at the others' level; they were in no other run, and compare by their intervals. */
static void write_alone(const struct pooling *pooling, struct cvl_record *record)
{
    const double level = exp(pooling->level - pooling->shift);
    double *const times[] = { &record->median_ms, &record->min_ms, &record->ci_low_ms, &record->ci_high_ms };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        *times[i] = cvl_record_round(*times[i] * level);
    record->race = 0;
    record->ratio_low = record->ratio_high = 0;
}

/* What was wrong once is not to be chosen for its earlier times: it wins the merge by its time stamp. */
static void write_wrong(const struct cvl_record *stored, struct cvl_record *record)
{
    record->samples = stored->samples > record->samples ? stored->samples : record->samples;
    record->median_ms = stored->median_ms;
    record->min_ms = stored->min_ms;
    record->ci_low_ms = stored->ci_low_ms;
    record->ci_high_ms = stored->ci_high_ms;
}

static bool is_paired(const struct pooling *pooling, const struct cvl_record *record)
{
    for (int i = 0; i < pooling->count; i++)
        if (pooling->pairs[i].measured == record)
            return true;
    return false;
}

static void replace_wrong(const struct cvl_record *stored, int stored_count, struct cvl_record *measured,
                          int measured_count)
{
    for (int i = 0; i < measured_count; i++) {
        const struct cvl_record *before = find(stored, stored_count, &measured[i]);
        if (before && measured[i].outcome == CVL_OUTCOME_WRONG)
            write_wrong(before, &measured[i]);
    }
}

static void pool_all(struct pooling *pooling, bool whole, struct cvl_record *measured, int measured_count)
{
    if (pooling->count == 0)
        return;
    level_out(pooling, whole);
    judge_variance(pooling);
    for (int i = 0; i < measured_count; i++)
        if (is_timed(&measured[i]) && !is_paired(pooling, &measured[i]))
            write_alone(pooling, &measured[i]);
    for (int i = 0; i < pooling->count; i++) {
        pool_pair(pooling, &pooling->pairs[i]);
        write_pair(pooling, &pooling->pairs[i]);
    }
    write_ratios(pooling);
}

cvl_status cvl_pool(const struct cvl_record *stored, int stored_count, struct cvl_record *measured, int measured_count)
{
    struct pooling pooling = {
        .pairs = cvl_calloc((size_t)measured_count + 1, sizeof *pooling.pairs),
        .sorted = cvl_calloc((size_t)measured_count + 1, sizeof *pooling.sorted),
    };
    const cvl_status status = pooling.pairs && pooling.sorted
                                  ? CVL_OK : cvl_fail(CVL_ENOMEM, "no memory to pool %d records", measured_count);
    if (status == CVL_OK) {
        pair_up(&pooling, stored, stored_count, measured, measured_count);
        replace_wrong(stored, stored_count, measured, measured_count);
        if (is_conclusive(measured, measured_count) || !is_conclusive(stored, stored_count))
            pool_all(&pooling, is_whole(stored, stored_count, measured, measured_count), measured, measured_count);
        else
            for (int i = 0; i < pooling.count; i++)
                *pooling.pairs[i].measured = *pooling.pairs[i].stored;
    }
    cvl_free(pooling.sorted);
    cvl_free(pooling.pairs);
    return status;
}
