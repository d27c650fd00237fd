/* SPDX-License-Identifier: Apache-2.0
 * The choice rule, on tables of records. */
#include "conv/desc.h"
#include "tuner/choose.h"
#include "base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define MAX 8

/* A record in one line: its interval is median +- half of spread. */
struct line {
    const char *candidate;
    double      ms, spread, error;
    size_t      workspace;
    cvl_outcome outcome;
    int         revision, samples;   /* 0: 1 and 9 */
    bool        nondeterministic;
    uint64_t    race;
    double      ratio[2];
    int         runs;
};

static int revision_of(const char *algorithm)
{
    static const char *const known[] = { "reference", "direct", "im2col", "winograd" };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], algorithm) == 0)
            return 1;
    return -1;
}

static int make(const struct line *lines, struct cvl_record *records)
{
    int count = 0;
    for (; lines[count].candidate; count++) {
        const struct line *line = &lines[count];
        records[count] = (struct cvl_record){
            .outcome = line->outcome, .revision = line->revision ? line->revision : 1,
            .samples = line->outcome == CVL_OUTCOME_FAILED ? 0 : line->samples ? line->samples : 9,
            .median_ms = line->ms, .ci_low_ms = line->ms - line->spread / 2,
            .ci_high_ms = line->ms + line->spread / 2, .rel_error = line->error, .race = line->race,
            .runs = line->runs,
            .ratio_low = line->ratio[0], .ratio_high = line->ratio[1],
            .workspace_bytes = line->workspace, .deterministic = !line->nondeterministic,
        };
        snprintf(records[count].candidate, sizeof records[count].candidate, "%s", line->candidate);
    }
    return count;
}

static struct cvl_limits no_limits(void)
{
    return (struct cvl_limits){ .max_workspace = SIZE_MAX, .max_error = 5e-5, .revision = revision_of };
}

struct expectation {
    const char       *name;
    struct line       lines[MAX];
    struct cvl_limits limits;      /* zero fields: none */
    const char       *winner;      /* NULL: none */
    const char       *about;       /* one candidate, and a part of its reason */
    const char       *reason;
    enum cvl_verdict  verdict;
};

static const struct expectation expectations[] = {
    { "the fastest wins",
      { { "direct", 3, .1, 1e-7, .workspace = 0 }, { "im2col", 1, .1, 2e-7, .workspace = 100 },
        { "winograd", 2, .1, 1e-6, .workspace = 50 } },
      .winner = "im2col", .about = "direct", .reason = "3.00 times slower than im2col", .verdict = CVL_VERDICT_SLOWER },
    { "a slower one that needs more workspace is told so",
      { { "direct", 1, 0, 1e-7, .workspace = 0 }, { "im2col", 1.83, 0, 2e-7, .workspace = 100 } },
      .winner = "direct", .about = "im2col", .reason = "1.83 times slower than direct, which needs no more workspace",
      .verdict = CVL_VERDICT_SLOWER },
    { "of several runs, intervals that overlap tie past 5 %",
      { { "direct", 1.08, .1, 1e-7, .samples = 20, .runs = 2, .race = 3, .ratio = { .99, 1.18 } },
        { "im2col", 1, .1, 2e-7, .samples = 20, .runs = 2, .race = 3, .ratio = { 1, 1 } } },
      .winner = "direct", .about = "im2col", .reason = "as fast as direct", .verdict = CVL_VERDICT_TIED },
    { "and not past 10 %",
      { { "direct", 1.12, .1, 1e-7, .samples = 20, .runs = 2, .race = 3, .ratio = { .99, 1.25 } },
        { "im2col", 1, .1, 2e-7, .samples = 20, .runs = 2, .race = 3, .ratio = { 1, 1 } } },
      .winner = "im2col", .about = "direct", .reason = "1.12 times slower", .verdict = CVL_VERDICT_SLOWER },
    { "of one run, past 5 % they do not",
      { { "direct", 1.08, .1, 1e-7, .samples = 9, .race = 3, .ratio = { .99, 1.18 } },
        { "im2col", 1, .1, 2e-7, .samples = 9, .race = 3, .ratio = { 1, 1 } } },
      .winner = "im2col", .about = "direct", .reason = "1.08 times slower", .verdict = CVL_VERDICT_SLOWER },
    { "within 2 % the lower error wins",
      { { "winograd", 1, 0, 1e-6, .workspace = 0 }, { "im2col", 1.02, 0, 1e-7, .workspace = 900 } },
      .winner = "im2col", .about = "winograd", .reason = "makes the smaller error", .verdict = CVL_VERDICT_TIED },
    { "beyond 2 % it does not",
      { { "winograd", 1, 0, 1e-6, .workspace = 0 }, { "im2col", 1.021, 0, 1e-7, .workspace = 0 } },
      .winner = "winograd", .about = "im2col", .reason = "1.02 times slower", .verdict = CVL_VERDICT_SLOWER },
    { "overlapping intervals tie",
      { { "winograd", 1, .2, 1e-6, .workspace = 0 }, { "im2col", 1.045, .2, 1e-7, .workspace = 0 } },
      .winner = "im2col", .about = "im2col", .reason = "as fast as winograd, and makes the smaller error",
      .verdict = CVL_VERDICT_CHOSEN },
    { "intervals that overlap on a busy machine are no tie",
      { { "winograd", 1, .8, 1e-6, .workspace = 0 }, { "im2col", 1.06, .8, 1e-7, .workspace = 0 } },
      .winner = "winograd", .about = "im2col", .reason = "1.06 times slower", .verdict = CVL_VERDICT_SLOWER },
    { "the range of a few samples is no interval",
      { { "winograd", 1, .2, 1e-6, .workspace = 0 }, { "im2col", 1.04, .2, 1e-7, .samples = 5 } },
      .winner = "winograd", .about = "im2col", .reason = "1.04 times slower", .verdict = CVL_VERDICT_SLOWER },
    { "of one race, the ratios decide",
      { { "winograd", 1, .2, 1e-6, .race = 7, .ratio = { 1, 1 } },
        { "im2col", 1.04, .2, 1e-7, .race = 7, .ratio = { 1.03, 1.06 } } },
      .winner = "winograd", .about = "im2col", .reason = "1.04 times slower", .verdict = CVL_VERDICT_SLOWER },
    { "of one race, ratios that overlap tie",
      { { "winograd", 1, .2, 1e-6, .race = 7, .ratio = { 1, 1 } },
        { "im2col", 1.04, .2, 1e-7, .race = 7, .ratio = { .99, 1.06 } } },
      .winner = "im2col", .about = "winograd", .reason = "which makes the smaller error", .verdict = CVL_VERDICT_TIED },
    { "who left the race early was behind",
      { { "winograd", 1, .2, 1e-6, .race = 7, .ratio = { 1, 1 } },
        { "im2col", 1.04, .2, 1e-7, .race = 7, .ratio = { .99, 1.06 }, .samples = 6 } },
      .winner = "winograd", .about = "im2col", .reason = "1.04 times slower", .verdict = CVL_VERDICT_SLOWER },
    { "of two races, the intervals decide",
      { { "winograd", 1, .2, 1e-6, .race = 7, .ratio = { 1, 1 } },
        { "im2col", 1.04, .2, 1e-7, .race = 8, .ratio = { 1.03, 1.06 } } },
      .winner = "im2col", .about = "winograd", .reason = "which makes the smaller error", .verdict = CVL_VERDICT_TIED },
    { "then the smaller workspace",
      { { "im2col:rows=9", 1, 0, 1e-7, .workspace = 900 }, { "im2col:rows=4", 1.01, 0, 1e-7, .workspace = 400 } },
      .winner = "im2col:rows=4", .about = "im2col:rows=9", .reason = "needs less workspace",
      .verdict = CVL_VERDICT_TIED },
    { "then the name",
      { { "im2col:rows=9", 1, 0, 1e-7, .workspace = 4 }, { "im2col:rows=4", 1, 0, 1e-7, .workspace = 4 } },
      .winner = "im2col:rows=4", .about = "im2col:rows=9", .reason = "first by name", .verdict = CVL_VERDICT_TIED },
    { "ties are with the fastest, not from one to the next",
      { { "winograd", 1, 0, 3e-6, .workspace = 0 }, { "im2col", 1.015, 0, 2e-6, .workspace = 0 },
        { "direct", 1.03, 0, 1e-7, .workspace = 0 } },
      .winner = "im2col", .about = "direct", .reason = "1.03 times slower than winograd",
      .verdict = CVL_VERDICT_SLOWER },
    { "a workspace cap",
      { { "direct", 3, 0, 1e-7, .workspace = 0 },
        { "im2col", 1, 0, 1e-7, .workspace = 101 } }, .limits = { .max_workspace = 100 },
      .winner = "direct", .about = "im2col", .reason = "needs 101 bytes of workspace, the limit is 100",
      .verdict = CVL_VERDICT_OVER },
    { "a cap is reached, not passed",
      { { "direct", 3, 0, 1e-7, .workspace = 0 },
        { "im2col", 1, 0, 1e-7, .workspace = 100 } }, .limits = { .max_workspace = 100 },
      .winner = "im2col", .about = "im2col", .reason = "", .verdict = CVL_VERDICT_CHOSEN },
    { "an error bound",
      { { "direct", 3, 0, 1e-7, .workspace = 0 },
        { "winograd", 1, 0, 1e-6, .workspace = 0 } }, .limits = { .max_error = 5e-7 },
      .winner = "direct", .about = "winograd", .reason = "its rel_error is 1e-06, the limit is 5e-07",
      .verdict = CVL_VERDICT_OVER },
    { "determinism",
      { { "direct", 3, 0, 1e-7, .workspace = 0 }, { "winograd", 1, 0, 1e-7, .nondeterministic = true } },
      .limits = { .deterministic = true },
      .winner = "direct", .about = "winograd", .reason = "last bits", .verdict = CVL_VERDICT_OVER },
    { "nobody asked for determinism",
      { { "direct", 3, 0, 1e-7, .workspace = 0 }, { "winograd", 1, 0, 1e-7, .nondeterministic = true } },
      .winner = "winograd", .about = "direct", .reason = "3.00 times", .verdict = CVL_VERDICT_SLOWER },
    { "a denied algorithm, whatever its knobs",
      { { "direct", 3, 0, 1e-7, .workspace = 0 },
        { "im2col:rows=4", 1, 0, 1e-7, .workspace = 0 } }, .limits = { .deny = "winograd,im2col" },
      .winner = "direct", .about = "im2col:rows=4", .reason = "does not allow im2col", .verdict = CVL_VERDICT_DENIED },
    { "a list of allowed ones",
      { { "direct", 3, 0, 1e-7, .workspace = 0 },
        { "im2col", 1, 0, 1e-7, .workspace = 0 } }, .limits = { .allow = "direct,reference" },
      .winner = "direct", .about = "im2col", .reason = "does not allow", .verdict = CVL_VERDICT_DENIED },
    { "wrong ones never win",
      { { "direct", 3, 0, 1e-7, .workspace = 0 },
        { "winograd", 1, 0, .3, .outcome = CVL_OUTCOME_WRONG } }, .limits = { .max_error = 1 },
      .winner = "direct", .about = "winograd", .reason = "wrong: its rel_error was 0.3",
      .verdict = CVL_VERDICT_UNUSABLE },
    { "failed ones never win",
      { { "direct", 3, 0, 1e-7, .workspace = 0 }, { "winograd", 0, 0, -1, .outcome = CVL_OUTCOME_FAILED } },
      .winner = "direct", .about = "winograd", .reason = "failed", .verdict = CVL_VERDICT_UNUSABLE },
    { "an eliminated one answers a query that excludes those that beat it",
      { { "direct", 1, 0, 1e-7, .workspace = 0 }, { "im2col", 3, 0, 1e-7, .outcome = CVL_OUTCOME_ELIMINATED } },
      .limits = { .deny = "direct" },
      .winner = "im2col", .about = "im2col", .reason = "", .verdict = CVL_VERDICT_CHOSEN },
    { "another revision is void",
      { { "direct", 3, 0, 1e-7, .workspace = 0 }, { "im2col", 1, 0, 1e-7, .revision = 2 } },
      .winner = "direct", .about = "im2col", .reason = "revision 2 of im2col, this build has revision 1",
      .verdict = CVL_VERDICT_VOID },
    { "so is an algorithm that this build has not",
      { { "direct", 3, 0, 1e-7, .workspace = 0 }, { "abacus", 1, 0, 1e-7, .workspace = 0 } },
      .winner = "direct", .about = "abacus", .reason = "no algorithm 'abacus'", .verdict = CVL_VERDICT_VOID },
    { "an unmeasured error is none to rely on",
      { { "direct", 3, 0, 1e-7, .workspace = 0 }, { "im2col", 1, 0, -1, .workspace = 0 } },
      .winner = "direct", .about = "im2col", .reason = "no time or no error", .verdict = CVL_VERDICT_UNUSABLE },
    { "the reference stands back where another algorithm takes the problem",
      { { "reference", 1, 0, 1e-8, .workspace = 0 }, { "direct", 3, 0, 1e-7, .workspace = 0 } },
      .winner = "direct", .about = "reference", .reason = "does not allow reference", .verdict = CVL_VERDICT_DENIED },
    { "and answers where none does",
      { { "reference", 1, 0, 1e-8, .workspace = 0 } },
      .winner = "reference", .about = "reference", .reason = "", .verdict = CVL_VERDICT_CHOSEN },
    { "a denied reference does not",
      { { "reference", 1, 0, 1e-8, .workspace = 0 } }, .limits = { .deny = "reference" },
      .winner = NULL, .about = "reference", .reason = "does not allow", .verdict = CVL_VERDICT_DENIED },
    { "void records of others do not keep the reference back",
      { { "reference", 1, 0, 1e-8, .workspace = 0 }, { "direct", 3, 0, 1e-7, .revision = 7 } },
      .winner = "reference", .about = "direct", .reason = "revision 7", .verdict = CVL_VERDICT_VOID },
    { "no candidate within the limits",
      { { "direct", 3, 0, 1e-7, .workspace = 1 },
        { "im2col", 1, 0, 1e-7, .workspace = 2 } }, .limits = { .max_workspace = 0, .max_error = 1 },
      .winner = NULL, .about = "direct", .reason = "needs 1 bytes", .verdict = CVL_VERDICT_OVER },
};

static struct cvl_limits limits_of(const struct expectation *expectation)
{
    struct cvl_limits limits = no_limits();
    const struct cvl_limits *set = &expectation->limits;
    if (set->max_workspace || set->max_error == 1)
        limits.max_workspace = set->max_workspace;
    if (set->max_error)
        limits.max_error = set->max_error;
    limits.deterministic = set->deterministic;
    limits.allow = set->allow;
    limits.deny = set->deny;
    return limits;
}

static const char *winner_of(const struct cvl_record *records, int chosen)
{
    return chosen < 0 ? "nobody" : records[chosen].candidate;
}

static void test_table(void **state)
{
    for (size_t i = 0; i < sizeof expectations / sizeof *expectations; i++) {
        const struct expectation *e = &expectations[i];
        const struct cvl_limits limits = limits_of(e);
        struct cvl_record records[MAX];
        struct cvl_judgement judgements[MAX];
        const int count = make(e->lines, records);
        const int chosen = cvl_choose(records, count, &limits, judgements);
        bool seen = false;
        if (strcmp(winner_of(records, chosen), e->winner ? e->winner : "nobody") != 0)
            fail_msg("%s: %s won, expected %s", e->name, winner_of(records, chosen), e->winner);
        for (int j = 0; j < count; j++) {
            assert_int_equal(judgements[j].verdict == CVL_VERDICT_CHOSEN, j == chosen);
            if (strcmp(records[j].candidate, e->about) != 0)
                continue;
            seen = true;
            if (judgements[j].verdict != e->verdict || !strstr(judgements[j].reason, e->reason) ||
                (*e->reason == '\0' && *judgements[j].reason))
                fail_msg("%s: verdict %d, reason '%s', expected %d and '%s'", e->name, judgements[j].verdict,
                         judgements[j].reason, e->verdict, e->reason);
        }
        assert_true(seen);
    }
}

static void shuffle(struct cvl_record *records, int count, struct cvl_random *random)
{
    for (int i = count - 1; i > 0; i--) {
        const int j = cvl_random_below(random, i + 1);
        const struct cvl_record swapped = records[i];
        records[i] = records[j];
        records[j] = swapped;
    }
}

/* Random records from a few values, so that ties of every kind happen. */
static void random_records(struct cvl_record *records, struct cvl_random *random)
{
    static const char *const algorithms[] = { "direct", "im2col", "winograd", "abacus" };
    for (int i = 0; i < MAX; i++) {
        const double ms = 1 + 0.015 * cvl_random_below(random, 5), spread = 0.02 * cvl_random_below(random, 3);
        records[i] = (struct cvl_record){
            .revision = 1, .samples = 9, .median_ms = ms, .ci_low_ms = ms - spread, .ci_high_ms = ms + spread,
            .rel_error = 1e-7 * cvl_random_below(random, 3), .workspace_bytes = (size_t)cvl_random_below(random, 3),
            .deterministic = cvl_random_below(random, 4) > 0,
        };
        snprintf(records[i].candidate, sizeof records[i].candidate, "%s:rows=%d",
                 algorithms[cvl_random_below(random, 4)], i);
    }
}

static void test_order_does_not_matter(void **state)
{
    struct cvl_random random = { 20240611 };
    for (int trial = 0; trial < 2000; trial++) {
        struct cvl_record records[MAX];
        struct cvl_limits limits = no_limits();
        char first[CVL_CANDIDATE_MAX];
        random_records(records, &random);
        limits.max_workspace = (size_t)cvl_random_below(&random, 3);
        limits.deterministic = cvl_random_below(&random, 2);
        snprintf(first, sizeof first, "%s", winner_of(records, cvl_choose(records, MAX, &limits, NULL)));
        for (int i = 0; i < 5; i++) {
            shuffle(records, MAX, &random);
            assert_string_equal(winner_of(records, cvl_choose(records, MAX, &limits, NULL)), first);
        }
    }
}

static bool is_allowed(const struct cvl_record *record, const struct cvl_limits *limits)
{
    return strncmp(record->candidate, "abacus", 6) != 0 && record->workspace_bytes <= limits->max_workspace;
}

/* Whoever wins is allowed, and not clearly slower than the fastest that is. */
static void test_winner_is_as_fast_as_any(void **state)
{
    struct cvl_random random = { 7 };
    for (int trial = 0; trial < 2000; trial++) {
        struct cvl_record records[MAX];
        struct cvl_limits limits = no_limits();
        double least = HUGE_VAL, high = 0;
        random_records(records, &random);
        limits.max_workspace = (size_t)cvl_random_below(&random, 3);
        for (int i = 0; i < MAX; i++)
            if (is_allowed(&records[i], &limits))
                least = fmin(least, records[i].median_ms);
        for (int i = 0; i < MAX; i++)
            if (is_allowed(&records[i], &limits) && records[i].median_ms == least)
                high = fmax(high, records[i].ci_high_ms);
        const int chosen = cvl_choose(records, MAX, &limits, NULL);
        assert_int_equal(chosen >= 0, isfinite(least));
        if (chosen < 0)
            continue;
        assert_true(is_allowed(&records[chosen], &limits));
        assert_true(records[chosen].median_ms <= (1 + CVL_TIE) * least || records[chosen].ci_low_ms <= high);
        assert_true(records[chosen].median_ms <= (1 + CVL_TIE_MOST) * least);
    }
}

static void test_no_records(void **state)
{
    const struct cvl_limits limits = no_limits();
    assert_int_equal(cvl_choose(NULL, 0, &limits, NULL), -1);
}

static void test_any_revision(void **state)
{
    struct cvl_limits limits = no_limits();
    struct cvl_record records[MAX];
    const int count = make((struct line[]){ { "abacus", 1, 0, 1e-7, .revision = 9 }, { .candidate = NULL } }, records);
    assert_int_equal(cvl_choose(records, count, &limits, NULL), -1);
    limits.revision = NULL;
    assert_int_equal(cvl_choose(records, count, &limits, NULL), 0);
}

static void test_default_limits(void **state)
{
    static const struct { const char *problem; double bound; } defaults[] = {
        { "fwd:f32:nchw:n1c1h4w4k1r1s1", 5e-5 },
        { "fwd:bf16:nchw:n1c1h4w4k1r1s1", 1e-2 },
        { "bwd_filter:f16:nchw:n1c1h4w4k1r1s1", 1e-2 },
        { "fwd:u8-s8-s32:nchw:n1c1h4w4k1r1s1", 0 },
    };
    cvl_query query;
    cvl_conv_desc desc;
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
        assert_int_equal(cvl_conv_parse(defaults[i].problem, &desc), CVL_OK);
        const struct cvl_limits limits = cvl_limits_of(NULL, &desc);
        assert_true(limits.max_error == defaults[i].bound);
        assert_true(limits.max_workspace == SIZE_MAX && !limits.deterministic && !limits.allow && !limits.deny);
    }
    cvl_query_init(&query);
    query.max_error = 1e-3;
    query.max_workspace = 0;
    const struct cvl_limits limits = cvl_limits_of(&query, &desc);
    assert_true(limits.max_error == 1e-3 && limits.max_workspace == 0);
}

static void test_revisions_of_this_build(void **state)
{
    assert_true(cvl_build_revision("reference") >= 0);
    assert_int_equal(cvl_build_revision("abacus"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_winner_is_as_fast_as_any),
        cmocka_unit_test(test_no_records),
        cmocka_unit_test(test_any_revision),
        cmocka_unit_test(test_default_limits),
        cmocka_unit_test(test_revisions_of_this_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
