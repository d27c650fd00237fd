/* SPDX-License-Identifier: Apache-2.0
 * conv-cache: look at cache files, put them together, take them with you. */
#include "bench/cache_job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/ctx.h"

static const struct flag flags[] = {
    { "cache", "PATH", "$CVL_CACHE, else $XDG_CACHE_HOME/convlab, else ~/.cache/convlab",
      "The cache: a directory, or one exported file, which is read-only; several, uppermost first, are separated by "
      "colons.",
      .kind = FLAG_TEXT, .offset = offsetof(struct config, cache) },
    { "output", "OUT", NULL, "merge: the file to write.",
      .kind = FLAG_TEXT, .offset = offsetof(struct config, output), .letter = 'o' },
    { "net", "NAME", NULL, "export: only the problems of this network, whatever their pass, layout, type and batch.",
      .kind = FLAG_TEXT, .offset = offsetof(struct config, net) },
    { "pareto", NULL, NULL, "show: only candidates that are best at some limit on time, workspace and error.",
      .kind = FLAG_SET, .offset = offsetof(struct config, pareto) },
    { "max-workspace", "BYTES", "any", "show, explain, digest: choose within this workspace; K, M and G are allowed.",
      .kind = FLAG_BYTES, .offset = offsetof(struct config, max_workspace) },
    { "max-error", "EPS", "5e-5 for f32", "show, explain, digest: choose within this measured rel_error.",
      .kind = FLAG_NUMBER, .offset = offsetof(struct config, max_error), .low = 0, .high = 1e9 },
    { "deterministic", NULL, NULL, "show, explain, digest: choose what gives the same bits every time.",
      .kind = FLAG_SET, .offset = offsetof(struct config, deterministic) },
    { "allow", "NAME,...", "all", "show, explain, digest: choose among these algorithms.",
      .kind = FLAG_TEXT, .offset = offsetof(struct config, allow) },
    { "deny", "NAME,...", "none", "show, explain, digest: choose none of these algorithms.",
      .kind = FLAG_TEXT, .offset = offsetof(struct config, deny) },
    { "env", "ID", NULL, "prune: drop all of this environment, by the id that show prints.",
      .kind = FLAG_TEXT, .offset = offsetof(struct config, environment) },
    { "older-than", "DAYS", NULL, "prune: drop what was measured longer ago.",
      .kind = FLAG_COUNT, .offset = offsetof(struct config, older_than_days), .low = 0, .high = 100000 },
    { .name = NULL },
};

static const struct note synopses[] = {
    { "show [--cache PATH] [--pareto] [LIMITS] [PROBLEM...]",
      "Print every record, a table for each environment; * marks what this version would choose within the limits." },
    { "explain [--cache PATH] [LIMITS] PROBLEM...",
      "Say who won, by how much and how certainly, why each other candidate did not, and what its estimate was." },
    { "digest [--cache PATH] [LIMITS] [PROBLEM...]",
      "Print one number for the choices of each environment: it changes when a winner does, and not when a time does." },
    { "untuned [--cache PATH] [PROBLEM...]",
      "List the problems that were asked for and are not tuned: problem, state, environment." },
    { "diff A B",
      "Compare the winners of two caches: only in A (-), only in B (+), another winner (!), another time (~)." },
    { "export [--cache PATH] [--net NAME] OUT", "Write the cache, or what it holds of one network, to one sorted file." },
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

const struct program conv_cache_program = {
    .name = "conv-cache", .summary = "show, merge and move caches of measured convolution algorithms",
    .description = "A cache holds what conv-bench and the selector of libcvl have measured, one checksummed line of "
                   "text a record. A line that is damaged is a miss, and is reported; the others are used.\n"
                   "LIMITS are --max-workspace, --max-error, --deterministic, --allow and --deny: any of them is "
                   "answered from what is stored.",
    .flags = flags, .commands = synopses, .environment = environment_notes, .exits = exits, .examples = examples,
};

typedef cvl_status report_fn(const struct cvl_line_set *set, const struct cache_filter *filter);

static int report(struct job *job, report_fn *print)
{
    const struct config *config = job->config;
    job->query = (cvl_query){
        .size = sizeof job->query, .max_workspace = config->max_workspace, .max_error = config->max_error,
        .deterministic = config->deterministic, .allow = config->allow, .deny = config->deny,
    };
    job->filter.query = &job->query;
    job->filter.pareto = config->pareto;
    int status = cache_take_problems(job);
    if (status == OPTIONS_RUN)
        status = cache_open(job, false);
    return status == OPTIONS_RUN ? cache_end(print(cvl_store_lines(job->store), &job->filter)) : status;
}

static int show(struct job *job) { return report(job, cache_show); }
static int explain(struct job *job) { return report(job, cache_explain); }
static int digest(struct job *job) { return report(job, cache_digest); }
static int untuned(struct job *job) { return report(job, cache_untuned); }

static const struct command {
    const char *name;
    int       (*run)(struct job *job);
    int         least, most;           /* operands */
} commands[] = {
    { "show", show, 0, 1 << 20 },
    { "explain", explain, 1, 1 << 20 },
    { "untuned", untuned, 0, 1 << 20 },
    { "digest", digest, 0, 1 << 20 },
    { "diff", cache_diff_files, 2, 2 },
    { "export", cache_export, 1, 1 },
    { "import", cache_import, 1, 1 << 20 },
    { "merge", cache_merge, 1, 1 << 20 },
    { "prune", cache_prune, 0, 0 },
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
    options.log = cache_log;
    int status = cvl_ctx_create(&options, &job->ctx) == CVL_OK ? command->run(job) : cache_refuse();
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
    struct config config = { .older_than_days = UNSET, .max_workspace = SIZE_MAX };
    int first;
    const int status = options_parse(&conv_cache_program, argc, argv, &config, &first);
    if (status != OPTIONS_RUN)
        return status;
    const struct command *command = first < argc ? find_command(argv[first]) : NULL;
    if (!command) {
        if (first < argc)
            cvl_fail(CVL_EINVAL, "there is no command '%s', see conv-cache --help", argv[first]);
        else
            cvl_fail(CVL_EINVAL, "expected a command, see conv-cache --help");
        return cache_refuse();
    }
    struct job job = { .config = &config, .operands = argv + first + 1, .count = argc - first - 1 };
    if (job.count < command->least || job.count > command->most) {
        cvl_fail(CVL_EINVAL, "%d operands given, expected conv-cache %s", job.count, synopsis_of(command));
        return cache_refuse();
    }
    return run(command, &job);
}
