/* SPDX-License-Identifier: Apache-2.0
 * Every candidate of every algorithm against the oracle: first the problems of regressions.csv, then random ones.
 *     test_oracle [--seed N] [--problems N] [--algo NAME] [--conv TEXT]... [--device cpu|cuda] [--bench]
 * --conv: these problems instead; --bench: time them instead of checking. CVL_TEST_SEED and CVL_TEST_PROBLEMS are the
 * defaults of the first two. A failure names its problem, and `--conv` brings it back with the same data. */
#include "harness.h"
#include "random_problem.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"
#include "conv/desc.h"
#include "conv/problem.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_SEED     2
#define DEFAULT_PROBLEMS 1500
#define SHARES_PROBLEMS  1000    /* fewer random problems say nothing about shares */
#define FILL_EVERY       4       /* one problem in so many is also run with one of the other fills */
#define LARGE            (1 << 19)   /* elements written */
#define CONVS_MAX        64
#define SKIPPED          77      /* the exit status that meson and automake know */
#define BENCH_SECONDS    0.3     /* for one candidate */

struct options {
    long long   seed, problems;
    const char *algo;
    const char *conv[CONVS_MAX];
    int         convs;
    bool        bench, cuda;
};

/* ---- checking ---- */

/* Adversarial fills are about values, which a large result has no more of than a small one. */
static bool check_text(struct harness *harness, const char *text)
{
    cvl_conv_desc desc;
    if (cvl_conv_parse(text, &desc) != CVL_OK) {
        printf("FAILED  %s: %s\n", text, cvl_last_error());
        return false;
    }
    const int fills = cvl_conv_count(&desc, cvl_conv_written(desc.pass)) > LARGE ? 1 : FILLS;
    for (int fill = 0; fill < fills; fill++)
        harness_check(harness, &desc, (enum fill)fill);
    return true;
}

/* The first column, `problem`, of every line but the first. */
static bool check_regressions(struct harness *harness, const char *path)
{
    char line[512];
    bool good = true;
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        return false;
    }
    for (int number = 1; fgets(line, sizeof line, file); number++) {
        line[strcspn(line, ",\r\n")] = '\0';
        if (number > 1 && *line && !check_text(harness, line))
            good = false;
    }
    fclose(file);
    return good;
}

static void check_random(struct harness *harness, const struct options *options)
{
    struct cvl_random random = { (uint64_t)options->seed };
    for (long long i = 0; i < options->problems; i++) {
        const cvl_conv_desc desc = random_problem(&random);
        harness_check(harness, &desc, FILL_PLAIN);
        if (i % FILL_EVERY == 0)
            harness_check(harness, &desc, (enum fill)(1 + i / FILL_EVERY % (FILLS - 1)));
    }
}

static bool check(struct harness *harness, const struct options *options)
{
    bool good = true;
    printf("seed %lld, %lld random problems, %s, %s\n", options->seed, options->convs ? 0 : options->problems,
           cvl_ctx_isa(harness->ctx[0]), harness->device->name);
    for (int i = 0; i < options->convs; i++)
        good &= check_text(harness, options->conv[i]);
    if (options->convs == 0) {
        good &= check_regressions(harness, CVL_TESTS_DIR "/regressions.csv");
        check_random(harness, options);
    }
    tally_print(&harness->tally);
    if (options->convs == 0 && !options->algo && options->problems >= SHARES_PROBLEMS)
        good &= tally_check(&harness->tally, harness->device->kind, CVL_TESTS_DIR "/expected_shares.csv") == 0;
    printf("%ld problems, %ld runs, %ld failures\n", harness->problems, harness->runs, harness->failures);
    return good && harness->failures == 0;
}

/* ---- timing ---- */

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_seconds(const cvl_plan *plan, const cvl_conv_args *args, void *workspace)
{
    enum { SAMPLES_MAX = 1001, SAMPLES_MIN = 3 };
    double samples[SAMPLES_MAX];
    int count = 0;
    cvl_plan_run(plan, args, workspace);
    const double start = cvl_now();
    while (count < SAMPLES_MIN || (count < SAMPLES_MAX && cvl_now() - start < BENCH_SECONDS)) {
        const double before = cvl_now();
        cvl_plan_run(plan, args, workspace);
        samples[count++] = cvl_now() - before;
    }
    qsort(samples, (size_t)count, sizeof *samples, compare_doubles);
    return samples[count / 2];
}

static bool bench_candidate(cvl_ctx *ctx, const struct cvl_problem *problem, const char *candidate)
{
    cvl_conv_args args = problem->args;
    cvl_plan *plan;
    if (cvl_plan_create(ctx, &problem->desc, candidate, &plan) != CVL_OK) {
        printf("FAILED  %s: %s\n", candidate, cvl_last_error());
        return false;
    }
    void *workspace = cvl_alloc(cvl_plan_workspace_size(plan)), *packed = cvl_alloc(cvl_plan_packed_size(plan));
    bool good = workspace && packed;
    if (good && cvl_plan_packed_size(plan) > 0) {
        good = cvl_plan_pack(plan, &args, packed) == CVL_OK;
        args.packed = packed;
    }
    good = good && cvl_plan_run(plan, &args, workspace) == CVL_OK;
    if (good) {
        const double seconds = median_seconds(plan, &args, workspace);
        printf("%-32s %10.4f ms %9.1f GFLOP/s %12zu bytes of workspace\n", candidate, 1e3 * seconds,
               1e-9 * cvl_conv_flops(&problem->desc) / seconds, cvl_plan_workspace_size(plan));
    } else {
        printf("FAILED  %s: %s\n", candidate, cvl_last_error());
    }
    cvl_free(workspace);
    cvl_free(packed);
    cvl_plan_destroy(plan);
    return good;
}

static bool bench_text(struct harness *harness, const char *text)
{
    char candidates[64][CVL_CANDIDATE_MAX];
    cvl_conv_desc desc;
    struct cvl_problem problem;
    bool good = true;
    if (cvl_conv_parse(text, &desc) != CVL_OK || cvl_problem_create(&desc, 1, NULL, &problem) != CVL_OK) {
        printf("FAILED  %s: %s\n", text, cvl_last_error());
        return false;
    }
    for (int threads = 0; threads < 2; threads++) {
        cvl_ctx_options options;
        cvl_ctx *ctx;
        cvl_ctx_options_init(&options);
        options.threads = threads == 0;
        if (cvl_ctx_create(&options, &ctx) != CVL_OK)
            return false;
        printf("%s, %s, threads %d\n", text, cvl_ctx_isa(ctx), cvl_ctx_threads(ctx));
        for (int algo = 0; cvl_algo_name(algo); algo++) {
            const bool named = !harness->only || strcmp(harness->only, cvl_algo_name(algo)) == 0;
            const int count = named ? cvl_algo_candidates(ctx, cvl_algo_name(algo), &desc, candidates, 64) : 0;
            for (int i = 0; i < count; i++)
                good &= bench_candidate(ctx, &problem, candidates[i]);
        }
        cvl_ctx_destroy(ctx);
    }
    cvl_problem_destroy(&problem);
    return good;
}

/* ---- the command line ---- */

static bool read_number(const char *name, const char *text, long long *value)
{
    if (text && cvl_text_int(text, strlen(text), 0, LLONG_MAX, value))
        return true;
    fprintf(stderr, "%s is '%s', expected a whole number of 0 or more\n", name, text ? text : "");
    return false;
}

static bool read_environment(struct options *options)
{
    const char *seed = getenv("CVL_TEST_SEED"), *problems = getenv("CVL_TEST_PROBLEMS");
    return (!seed || read_number("CVL_TEST_SEED", seed, &options->seed))
        && (!problems || read_number("CVL_TEST_PROBLEMS", problems, &options->problems));
}

static bool read_options(int argc, char **argv, struct options *options)
{
    *options = (struct options){ .seed = DEFAULT_SEED, .problems = DEFAULT_PROBLEMS };
    bool good = read_environment(options);
    for (int i = 1; i < argc && good; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--bench") == 0)
            options->bench = true;
        else if (strcmp(argv[i], "--seed") == 0)
            good = read_number(argv[i++], value, &options->seed);
        else if (strcmp(argv[i], "--problems") == 0)
            good = read_number(argv[i++], value, &options->problems);
        else if (strcmp(argv[i], "--algo") == 0 && value)
            options->algo = argv[++i];
        else if (strcmp(argv[i], "--device") == 0 && value && (!strcmp(value, "cpu") || !strcmp(value, "cuda")))
            options->cuda = strcmp(argv[++i], "cuda") == 0;
        else if (strcmp(argv[i], "--conv") == 0 && value && options->convs < CONVS_MAX)
            options->conv[options->convs++] = argv[++i];
        else
            good = fprintf(stderr, "'%s' is not understood; see the head of test_oracle.c\n", argv[i]) < 0;
    }
    return good;
}

/* Starts the program again with OpenMP threads that sleep when they wait: the three of a context may share one
 * processor, and one that spins would take it from one that works. */
static void start_patiently(char **argv)
{
    if (!getenv("OMP_WAIT_POLICY") && setenv("OMP_WAIT_POLICY", "passive", 1) == 0)
        execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    struct options options;
    static struct harness harness;
    bool good = true;
    if (!read_options(argc, argv, &options))
        return 2;
    if (!options.bench)
        start_patiently(argv);
    const struct cvl_device *device;
    if (options.cuda && cvl_device_get(CVL_CUDA, 0, &device) != CVL_OK) {
        printf("skipped: %s\n", cvl_last_error());
        return SKIPPED;
    }
    if (!harness_create(&harness, options.cuda ? CVL_CUDA : CVL_CPU, 0))
        return 1;
    harness.only = options.algo;
    if (options.bench)
        for (int i = 0; i < options.convs; i++)
            good &= bench_text(&harness, options.conv[i]);
    else
        good = check(&harness, &options);
    harness_destroy(&harness);
    return good ? 0 : 1;
}
