/* SPDX-License-Identifier: Apache-2.0
 * conv-cache: look at cache files, put them together, take them with you. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/ctx.h"
#include "base/text.h"
#include "bench/cache_report.h"
#include "bench/options.h"
#include "tuner/segments.h"
#include "tuner/store.h"

#define EXIT_NOT_STORED 1
#define UNSET (-1)

struct config {
    const char *cache, *output, *environment;
    int         older_than_days;
};

static const struct flag flags[] = {
    { "cache", "PATH", "$CVL_CACHE, else $XDG_CACHE_HOME/convlab, else ~/.cache/convlab",
      "The cache: a directory, or one exported file, which is read-only.",
      .kind = FLAG_TEXT, .offset = offsetof(struct config, cache) },
    { "output", "OUT", NULL, "merge: the file to write.",
      .kind = FLAG_TEXT, .offset = offsetof(struct config, output), .letter = 'o' },
    { "env", "ID", NULL, "prune: drop all of this environment, by the id that show prints.",
      .kind = FLAG_TEXT, .offset = offsetof(struct config, environment) },
    { "older-than", "DAYS", NULL, "prune: drop what was measured longer ago.",
      .kind = FLAG_COUNT, .offset = offsetof(struct config, older_than_days), .low = 0, .high = 100000 },
    { .name = NULL },
};

static const struct note synopses[] = {
    { "show [--cache PATH] [PROBLEM...]",
      "Print every record, a table for each environment; * marks what this version would choose without limits." },
    { "explain [--cache PATH] PROBLEM...", "Say who won, by how much, and why each other candidate did not." },
    { "untuned [--cache PATH] [PROBLEM...]",
      "List the problems that were asked for and are not tuned: problem, state, environment." },
    { "diff A B",
      "Compare the winners of two caches: only in A (-), only in B (+), another winner (!), another time (~)." },
    { "export [--cache PATH] OUT", "Write the whole cache to one file, sorted, to ship or to keep." },
    { "import [--cache PATH] IN...", "Add the records of files or of other caches to the cache." },
    { "merge -o OUT IN...", "Write the union of files to one file; their order does not matter." },
    { "prune [--cache PATH] [--env ID] [--older-than DAYS]",
      "Drop records for good; with neither flag, those of an older revision of their algorithm than this version's. "
      "What is kept becomes one segment." },
    { NULL, NULL },
};

static const struct note environment_notes[] = {
    { "CVL_CACHE", "Where the cache is, unless --cache says it." },
    { "XDG_CACHE_HOME", "The folder of the default cache, convlab." },
    { NULL, NULL },
};

static const struct note exits[] = {
    { "0", "Everything was right; damaged lines are reported and passed over." },
    { "1", "Something could not be stored." },
    { "2", "Bad usage or bad input; nothing was written." },
    { NULL, NULL },
};

static const struct note examples[] = {
    { "conv-cache export mine.cvl", "Take this machine's measurements with you." },
    { "conv-cache merge -o all.cvl a.cvl b.cvl", "One file for the engines of two machines." },
    { "conv-cache untuned | while read -r p state env; do conv-bench --conv \"$p\" --state \"$state\"; done",
      "Tune what an engine asked for." },
    { NULL, NULL },
};

static const struct program program = {
    .name = "conv-cache", .summary = "show, merge and move caches of measured convolution algorithms",
    .description = "A cache holds what conv-bench and the selector of libcvl have measured, one checksummed line of "
                   "text a record. A line that is damaged is a miss, and is reported; the others are used.",
    .flags = flags, .commands = synopses, .environment = environment_notes, .exits = exits, .examples = examples,
};

static void log_sentence(void *arg, cvl_log_level level, const char *sentence)
{
    if (level == CVL_LOG_WARNING)
        fprintf(stderr, "conv-cache: %s\n", sentence);
}

/* What a command works on; released in one place. */
struct job {
    const struct config  *config;
    char                **operands;
    int                   count;
    cvl_ctx              *ctx;
    struct cvl_store     *store;
    struct cvl_line_set  *set, *other;
    struct cache_filter   filter;
};

static int refuse(void)
{
    return options_refuse(&program, NULL);
}

static int end_of(cvl_status status)
{
    if (status == CVL_OK)
        return EXIT_SUCCESS;
    options_refuse(&program, NULL);
    return status == CVL_EIO ? EXIT_NOT_STORED : EXIT_BAD_USAGE;
}

/* The cache, which must be there unless `fresh`. */
static int open_cache(struct job *job, bool fresh)
{
    if (cvl_store_open(job->ctx, job->config->cache, &job->store) != CVL_OK)
        return refuse();
    const char *path = cvl_store_path(job->store);
    if (!fresh && access(path, R_OK) != 0) {
        cvl_fail(CVL_EIO, "%s: %s, expected a cache", *path ? path : "--cache ''", strerror(errno));
        return refuse();
    }
    return OPTIONS_RUN;
}

/* Problems on the command line, as the cache spells them. */
static int take_problems(struct job *job)
{
    for (int i = 0; i < job->count; i++) {
        cvl_conv_desc desc;
        static char text[CVL_CONV_TEXT_MAX];
        if (cvl_conv_parse(job->operands[i], &desc) != CVL_OK)
            return refuse();
        cvl_conv_print(&desc, text, sizeof text);
        job->operands[i] = strdup(text);
        if (!job->operands[i]) {
            cvl_fail(CVL_ENOMEM, "no memory for %s", text);
            return refuse();
        }
        job->filter.count = i + 1;
    }
    job->filter.problem = (const char *const *)job->operands;
    return OPTIONS_RUN;
}

typedef cvl_status report_fn(const struct cvl_line_set *set, const struct cache_filter *filter);

static int report(struct job *job, report_fn *print)
{
    int status = take_problems(job);
    if (status == OPTIONS_RUN)
        status = open_cache(job, false);
    return status == OPTIONS_RUN ? end_of(print(cvl_store_lines(job->store), &job->filter)) : status;
}

static int show(struct job *job) { return report(job, cache_show); }
static int explain(struct job *job) { return report(job, cache_explain); }
static int untuned(struct job *job) { return report(job, cache_untuned); }

/* A file or a cache directory. What cannot be read is bad input, and so is what holds nothing of a cache. */
static cvl_status load(struct job *job, const char *path, struct cvl_line_set **set)
{
    struct cvl_read_report report = { .lines = 0 };
    struct stat at;
    if (!*set && cvl_line_set_create(set) != CVL_OK)
        return CVL_ENOMEM;
    const bool directory = stat(path, &at) == 0 && S_ISDIR(at.st_mode);
    const cvl_status status = directory ? cvl_segments_read(job->ctx, path, *set, NULL, NULL)
                                        : cvl_line_set_read(*set, path, &report);
    if (status != CVL_OK || directory)
        return status;
    if (!report.has_schema && report.lines > 0 && report.lines == report.bad)
        return cvl_fail(CVL_ECORRUPT, "%s, expected a cache file", report.why);
    if (report.why[0])
        log_sentence(NULL, CVL_LOG_WARNING, report.why);
    return CVL_OK;
}

static int load_all(struct job *job)
{
    for (int i = 0; i < job->count; i++)
        if (load(job, job->operands[i], &job->set) != CVL_OK)
            return refuse();
    return OPTIONS_RUN;
}

static int diff(struct job *job)
{
    if (load(job, job->operands[0], &job->set) != CVL_OK || load(job, job->operands[1], &job->other) != CVL_OK)
        return refuse();
    return end_of(cache_diff(job->set, job->other));
}

static int export(struct job *job)
{
    const int status = open_cache(job, false);
    if (status != OPTIONS_RUN)
        return status;
    return end_of(cvl_line_set_write(cvl_store_lines(job->store), job->operands[0]));
}

static bool add_to_store(void *arg, enum cvl_line_kind kind, const char *line, size_t length)
{
    return cvl_store_add(arg, line, length) == CVL_OK;
}

static int import(struct job *job)
{
    int status = load_all(job);
    if (status == OPTIONS_RUN)
        status = open_cache(job, true);
    if (status != OPTIONS_RUN)
        return status;
    const int before = cvl_line_set_count(cvl_store_lines(job->store));
    cvl_status added = cvl_line_set_each(job->set, false, add_to_store, job->store);
    if (added == CVL_OK)
        added = cvl_store_sync(job->store);
    if (added == CVL_OK)
        printf("%d of %d lines are new in %s\n", cvl_line_set_count(cvl_store_lines(job->store)) - before,
               cvl_line_set_count(job->set), cvl_store_path(job->store));
    return end_of(added);
}

static int merge(struct job *job)
{
    if (!job->config->output)
        return options_refuse(&program, "merge needs -o OUT, the file to write");
    const int status = load_all(job);
    return status == OPTIONS_RUN ? end_of(cvl_line_set_write(job->set, job->config->output)) : status;
}

struct pruning {
    const struct config *config;
    uint64_t             environment;
    int64_t              oldest;
    int                  lines, dropped;
};

static bool is_stale(const struct pruning *pruning, const struct cvl_record *record)
{
    char algorithm[CVL_CANDIDATE_MAX];
    const struct config *config = pruning->config;
    if (config->older_than_days != UNSET)
        return record->when < pruning->oldest;
    snprintf(algorithm, sizeof algorithm, "%.*s", (int)strcspn(record->candidate, ":"), record->candidate);
    return !config->environment && record->revision < cvl_build_revision(algorithm);
}

static bool drops(const struct pruning *pruning, enum cvl_line_kind kind, const char *line, size_t length)
{
    struct cvl_environment environment;
    struct cvl_record record;
    char problem[CVL_CONV_TEXT_MAX];
    uint64_t id = 0;
    cvl_state state;
    bool stale = false;
    if (kind == CVL_LINE_ENV && cvl_environment_parse(line, length, &environment, &id) != CVL_OK)
        return false;
    if (kind == CVL_LINE_WANT && cvl_want_parse(line, length, &id, &state, problem) != CVL_OK)
        return false;
    if (kind == CVL_LINE_REC) {
        if (cvl_record_parse(line, length, &record) != CVL_OK)
            return false;
        id = record.environment;
        stale = is_stale(pruning, &record);
    }
    return stale || (kind != CVL_LINE_OTHER && pruning->config->environment && id == pruning->environment);
}

static bool keeps(void *arg, enum cvl_line_kind kind, const char *line, size_t length)
{
    struct pruning *pruning = arg;
    const bool dropped = drops(pruning, kind, line, length);
    pruning->lines++;
    pruning->dropped += dropped;
    return !dropped;
}

static int prune(struct job *job)
{
    struct pruning pruning = { .config = job->config };
    const char *id = job->config->environment;
    pruning.oldest = (int64_t)time(NULL) - (int64_t)job->config->older_than_days * 86400;
    int used = 0;
    if (id && (sscanf(id, "%16" SCNx64 "%n", &pruning.environment, &used) != 1 || used != 16 || id[used])) {
        cvl_fail(CVL_EINVAL, "--env '%s' is no environment, expected 16 hexadecimal digits as show prints them", id);
        return refuse();
    }
    const int status = open_cache(job, false);
    if (status != OPTIONS_RUN)
        return status;
    const cvl_status pruned = cvl_store_prune(job->store, keeps, &pruning);
    if (pruned == CVL_OK)
        printf("%d of %d lines dropped from %s\n", pruning.dropped, pruning.lines, cvl_store_path(job->store));
    return end_of(pruned);
}

static const struct command {
    const char *name;
    int       (*run)(struct job *job);
    int         least, most;           /* operands */
} commands[] = {
    { "show", show, 0, 1 << 20 },      { "explain", explain, 1, 1 << 20 }, { "untuned", untuned, 0, 1 << 20 },
    { "diff", diff, 2, 2 },            { "export", export, 1, 1 },         { "import", import, 1, 1 << 20 },
    { "merge", merge, 1, 1 << 20 },    { "prune", prune, 0, 0 },
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static const char *synopsis_of(const struct command *command)
{
    const size_t length = strlen(command->name);
    for (const struct note *note = synopses; note->name; note++)
        if (strncmp(note->name, command->name, length) == 0 && note->name[length] == ' ')
            return note->name;
    return command->name;
}

static int run(const struct command *command, struct job *job)
{
    cvl_ctx_options options;
    cvl_ctx_options_init(&options);
    options.threads = 1;
    options.log = log_sentence;
    int status = cvl_ctx_create(&options, &job->ctx) == CVL_OK ? command->run(job) : refuse();
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "conv-cache: cannot write the output: %s\n", strerror(errno));
        status = EXIT_NOT_STORED;
    }
    for (int i = 0; i < job->filter.count; i++)
        free(job->operands[i]);
    cvl_line_set_destroy(job->other);
    cvl_line_set_destroy(job->set);
    cvl_store_close(job->store);
    cvl_ctx_destroy(job->ctx);
    return status;
}

int main(int argc, char **argv)
{
    struct config config = { .older_than_days = UNSET };
    int first;
    const int status = options_parse(&program, argc, argv, &config, &first);
    if (status != OPTIONS_RUN)
        return status;
    const struct command *command = first < argc ? find_command(argv[first]) : NULL;
    if (!command) {
        if (first < argc)
            cvl_fail(CVL_EINVAL, "there is no command '%s', see conv-cache --help", argv[first]);
        else
            cvl_fail(CVL_EINVAL, "expected a command, see conv-cache --help");
        return refuse();
    }
    struct job job = { .config = &config, .operands = argv + first + 1, .count = argc - first - 1 };
    if (job.count < command->least || job.count > command->most) {
        cvl_fail(CVL_EINVAL, "%d operands given, expected conv-cache %s", job.count, synopsis_of(command));
        return refuse();
    }
    return run(command, &job);
}
