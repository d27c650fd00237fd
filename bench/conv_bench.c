/* SPDX-License-Identifier: Apache-2.0
 * conv-bench: reads what is to be measured, opens what is written to, and sweeps. Nothing is opened for writing before
 * all input has been read and found right. */
#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/ctx.h"
#include "base/text.h"
#include "bench/audit.h"
#include "bench/bench_flags.h"
#include "bench/constants.h"
#include "bench/lists.h"
#include "bench/report_csv.h"
#include "bench/sweep.h"
#include "bench_commit.h"
#include "tuner/store.h"

#define DEFAULT_BUDGET_S 60
#define PEAK_SECONDS 0.1

static struct bench_config config;
static struct sweep sweep;

static int refuse(const char *sentence) { return options_refuse(&conv_bench_program, sentence); }

static void log_to_stderr(void *arg, cvl_log_level level, const char *sentence)
{
    if (level < CVL_LOG_WARNING && !getenv("CVL_VERBOSE"))
        return;
    progress_clear(&sweep.progress);
    fprintf(stderr, "conv-bench: %s\n", sentence);
}

static cvl_status open_ctx(cvl_ctx **ctx)
{
    cvl_ctx_options options;
    cvl_ctx_options_init(&options);
    options.threads = config.threads;
    options.device = config.device;
    options.device_index = config.device_index;
    options.log = log_to_stderr;
    return cvl_ctx_create(&options, ctx);
}

static void make_query(cvl_query *query)
{
    cvl_query_init(query);
    if (config.max_workspace != SIZE_MAX)
        query->max_workspace = config.max_workspace;
    if (config.max_error > 0)
        query->max_error = config.max_error;
    query->deterministic |= config.deterministic;
    if (*config.allow)
        query->allow = config.allow;
    if (*config.deny)
        query->deny = config.deny;
}

static cvl_mode effective_mode(void)
{
    const char *word = getenv("CVL_MODE");
    cvl_tuner_options options;
    cvl_tuner_options_init(&options);
    if (config.mode != UNSET)
        return (cvl_mode)config.mode;
    return word && *word && !config.retune ? options.mode : CVL_MODE_TUNE;
}

static cvl_status open_tuners(const char *command)
{
    cvl_tuner_options options;
    cvl_tuner_options_init(&options);
    options.mode = effective_mode();
    options.state = (cvl_state)config.state;
    options.cache_path = config.cache;
    options.command = command;
    options.progress = progress_tell;
    options.progress_arg = &sweep.progress;
    options.retune = config.retune;
    sweep.measures = options.mode == CVL_MODE_TUNE || options.mode == CVL_MODE_EXHAUSTIVE;
    sweep.budget_s = config.budget_s != UNSET ? config.budget_s
        : options.mode == CVL_MODE_EXHAUSTIVE ? HUGE_VAL : DEFAULT_BUDGET_S;
    cvl_status status = cvl_tuner_open(sweep.ctx, &options, &sweep.tuner);
    if (status == CVL_OK && config.algo_auto) {
        options.retune = false;
        if (options.mode != CVL_MODE_ESTIMATE && options.mode != CVL_MODE_FROZEN)
            options.mode = CVL_MODE_CACHED;
        status = cvl_tuner_open(sweep.ctx, &options, &sweep.selector);
    }
    return status;
}

static void describe_place(struct bench_place *place)
{
    const struct cvl_device *device = sweep.ctx->device;
    *place = (struct bench_place){
        .machine = *device->model ? device->model : cvl_cpu_info()->model, .isa = cvl_ctx_isa(sweep.ctx),
        .device = device->name,
        .commit = BENCH_COMMIT, .threads = cvl_ctx_threads(sweep.ctx), .state = (cvl_state)config.state,
    };
    if (!config.verify && effective_mode() != CVL_MODE_ESTIMATE)   /* else nothing has a time to compare with it */
        place->peak = sweep.ctx->rates.measured ? sweep.ctx->rates   /* for the estimates, in this run */
                                                : cvl_rates_measure(sweep.ctx, PEAK_SECONDS, true);
}

static cvl_status open_csv(void)
{
    const bool to_stdout = config.csv && strcmp(config.csv, "-") == 0;
    sweep.table = config.quiet ? NULL : to_stdout ? stderr : stdout;
    if (!config.csv)
        return CVL_OK;
    sweep.csv = to_stdout ? stdout : fopen(config.csv, "wb");
    if (!sweep.csv)
        return cvl_fail(CVL_EIO, "--csv '%s' cannot be written: %s", config.csv, strerror(errno));
    report_csv_header(sweep.csv);
    return CVL_OK;
}

/* False, after one sentence, when the result file is not complete. */
static bool close_csv(void)
{
    if (!sweep.csv)
        return true;
    bool written = !ferror(sweep.csv);
    written &= (sweep.csv == stdout ? fflush(sweep.csv) : fclose(sweep.csv)) == 0;
    if (!written)
        fprintf(stderr, "conv-bench: --csv '%s' could not be written to the end\n", config.csv);
    return written;
}

static bool close_tuners(void)
{
    const cvl_status status = cvl_tuner_close(sweep.selector);
    const cvl_status stored = cvl_tuner_close(sweep.tuner);
    return status == CVL_OK && stored == CVL_OK;
}

/* Where the cache of this run lies. */
static void cache_place(char *place, size_t size)
{
    struct cvl_store *store = NULL;
    snprintf(place, size, "%s", config.cache ? config.cache : "");
    if (config.cache || cvl_store_open(sweep.ctx, NULL, &store) != CVL_OK)
        return;
    snprintf(place, size, "%s", cvl_store_path(store));
    cvl_store_close(store);
}

static void put_heading(void)
{
    if (!sweep.table)
        return;
    report_table_heading(sweep.table, sweep.layers, &sweep.place);
    if (!config.verify)
        report_table_columns(sweep.table, sweep.layers);
}

static void put_totals(void)
{
    char place[4096];
    progress_clear(&sweep.progress);
    if (!sweep.table || config.verify)
        return;
    cache_place(place, sizeof place);
    report_table_totals(sweep.table, &sweep.totals, cvl_now() - sweep.start, place);
}

/* Everything is open: measure, print, close; the exit status. The comparison is one block after the totals. */
static int measure(void)
{
    char *compared = NULL;
    size_t compared_size = 0;
    if (sweep.comparison && (sweep.compared = open_memstream(&compared, &compared_size)))
        comparison_heading(sweep.compared, sweep.comparison, &sweep.place);
    put_heading();
    sweep_run(&sweep);
    put_totals();
    if (sweep.compared) {
        comparison_totals(sweep.compared, sweep.comparison);
        fclose(sweep.compared);
        fputs(compared, sweep.csv == stdout ? stderr : stdout);
        free(compared);
    }

    const bool stored = close_tuners(), written = close_csv();
    if (interrupt_signal())
        return 128 + interrupt_signal();
    return sweep.fault || !stored || !written ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int audit(void)
{
    struct audit audit = {
        .ctx = sweep.ctx, .layers = sweep.layers, .state = (cvl_state)config.state, .query = &sweep.query,
        .progress = &sweep.progress, .table = config.quiet ? NULL : stdout,
    };
    if (cvl_store_open(sweep.ctx, config.cache, &audit.store) != CVL_OK)
        return refuse(NULL);
    progress_start(&sweep.progress, sweep.layers->count, config.quiet);
    const bool complete = audit_run(&audit);
    cvl_store_close(audit.store);
    return interrupt_signal() ? 128 + interrupt_signal() : complete ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int bench(const char *command)
{
    struct layer_list layers = { 0 };
    int exit_status = EXIT_BAD_USAGE;
    sweep.config = &config;
    sweep.layers = &layers;
    if (workload_read(&config, &layers) != CVL_OK
        || (config.compare && comparison_open(config.compare, &sweep.comparison) != CVL_OK)
        || open_ctx(&sweep.ctx) != CVL_OK) {
        refuse(NULL);
        goto done;
    }
    make_query(&sweep.query);
    interrupt_install();
    sweep.start = cvl_now();
    if (config.audit) {
        exit_status = audit();
        goto done;
    }
    if ((!config.verify && open_tuners(command) != CVL_OK) || open_csv() != CVL_OK) {
        refuse(NULL);
        close_tuners();
        goto done;
    }
    if (sweep.measures)
        constants_ensure(sweep.ctx, config.cache);
    describe_place(&sweep.place);
    exit_status = measure();
done:
    comparison_close(sweep.comparison);
    layer_list_free(&layers);
    cvl_ctx_destroy(sweep.ctx);
    return exit_status;
}

/* The answers that need no layers. */
static int list(void)
{
    cvl_status status = CVL_OK;
    cvl_ctx *ctx = NULL;
    if (config.list_nets)
        status = list_nets(stdout);
    if (status == CVL_OK && (config.list_algos || config.machine))
        status = open_ctx(&ctx);
    if (status == CVL_OK && config.list_algos)
        list_algos(stdout, ctx);
    if (status == CVL_OK && config.machine)
        status = list_machine(stdout, ctx, config.cache);
    cvl_ctx_destroy(ctx);
    if (status != CVL_OK)
        refuse(NULL);
    return status == CVL_OK ? EXIT_SUCCESS : status == CVL_EIO ? EXIT_FAILURE : EXIT_BAD_USAGE;
}

/* Every layer makes and frees some hundred megabytes: what is freed is kept, else the kernel clears pages for a tenth
 * of the time. */
static void keep_memory(void)
{
#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 512 << 20);
#endif
}

int main(int argc, char **argv)
{
    char command[192], sentence[256];
    int first;
    config = bench_defaults;
    const int status = options_parse(&conv_bench_program, argc, argv, &config, &first);
    if (status != OPTIONS_RUN)
        return status;
    if (first < argc) {
        snprintf(sentence, sizeof sentence, "'%.128s' is not a flag, expected flags only; see conv-bench --help",
                 argv[first]);
        return refuse(sentence);
    }
    if (config.retune && config.mode != UNSET && config.mode != CVL_MODE_TUNE)
        return refuse("--retune is of --mode tune, expected no other --mode");
    keep_memory();
    if (config.list_nets || config.list_algos || config.machine)
        return list();
    struct cvl_text text = { command, sizeof command, 0 };
    for (int i = 0; i < argc; i++)
        cvl_text_add(&text, "%s%s", i ? " " : "", i ? argv[i] : "conv-bench");
    return bench(command);
}
