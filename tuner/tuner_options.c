/* SPDX-License-Identifier: Apache-2.0
 * The words of the public enums, and the defaults of options and queries: the program's, which an environment variable
 * overrides and the caller may set again. A variable that cannot be read counts as unset here, and cvl_tuner_open
 * refuses it with a sentence. */
#include "tuner/tuner_options.h"

#include "base/ctx.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const mode_names[] = {
    [CVL_MODE_ESTIMATE] = "estimate",     [CVL_MODE_CACHED] = "cached", [CVL_MODE_TUNE] = "tune",
    [CVL_MODE_EXHAUSTIVE] = "exhaustive", [CVL_MODE_FROZEN] = "frozen", NULL,
};
static const char *const state_names[] = {
    [CVL_HOT] = "hot", [CVL_COLD_FILTER] = "cold-filter", [CVL_COLD] = "cold", NULL,
};
static const char *const outcome_names[] = {
    [CVL_OUTCOME_OK] = "ok",                 [CVL_OUTCOME_REJECTED] = "rejected",
    [CVL_OUTCOME_WRONG] = "wrong",           [CVL_OUTCOME_OVER_LIMIT] = "over_limit",
    [CVL_OUTCOME_ELIMINATED] = "eliminated", [CVL_OUTCOME_SKIPPED] = "skipped",
    [CVL_OUTCOME_FAILED] = "failed",         NULL,
};
static const char *const source_names[] = {
    [CVL_SOURCE_NONE] = "", [CVL_SOURCE_MEASURED] = "measured", [CVL_SOURCE_CACHE] = "cache",
    [CVL_SOURCE_ESTIMATE] = "estimate", NULL,
};

static const char *name_of(const char *const *names, int value)
{
    for (int i = 0; names[i]; i++)
        if (i == value)
            return names[i];
    return "unknown";
}

/* The index of word; or -1, and a sentence that lists what was expected. */
static int find(const char *const *names, const char *what, const char *word)
{
    char known[128] = "";
    struct cvl_text text = { known, sizeof known, 0 };
    for (int i = 0; names[i]; i++) {
        if (word && strcmp(names[i], word) == 0)
            return i;
        cvl_text_add(&text, "%s%s", i ? ", " : "", names[i]);
    }
    cvl_fail(CVL_EINVAL, "%s is '%s', expected one of %s", what, word ? word : "", known);
    return -1;
}

const char *cvl_mode_name(cvl_mode mode) { return name_of(mode_names, mode); }
const char *cvl_state_name(cvl_state state) { return name_of(state_names, state); }
const char *cvl_outcome_name(cvl_outcome outcome) { return name_of(outcome_names, outcome); }
const char *cvl_source_name(cvl_source source) { return name_of(source_names, source); }

static cvl_status parse_mode(const char *what, const char *word, cvl_mode *mode)
{
    const int found = find(mode_names, what, word);
    if (found < 0)
        return CVL_EINVAL;
    *mode = (cvl_mode)found;
    return CVL_OK;
}

cvl_status cvl_mode_parse(const char *word, cvl_mode *mode)
{
    return parse_mode("mode", word, mode);
}

cvl_status cvl_state_parse(const char *word, cvl_state *state)
{
    const int found = find(state_names, "state", word);
    if (found < 0)
        return CVL_EINVAL;
    *state = (cvl_state)found;
    return CVL_OK;
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static cvl_status read_limits(cvl_query *query)
{
    const char *word;
    long long bytes;
    double error;
    if ((word = variable("CVL_MAX_WORKSPACE"))) {
        if (!cvl_text_int(word, strlen(word), 0, INT64_MAX, &bytes))
            return cvl_fail(CVL_EINVAL, "CVL_MAX_WORKSPACE is '%s', expected a number of bytes", word);
        query->max_workspace = (size_t)bytes;
    }
    if ((word = variable("CVL_MAX_ERROR"))) {
        if (!cvl_text_double(word, strlen(word), &error) || error < 0)
            return cvl_fail(CVL_EINVAL, "CVL_MAX_ERROR is '%s', expected a number from 0", word);
        query->max_error = error;
    }
    if ((word = variable("CVL_DETERMINISTIC"))) {
        if (strcmp(word, "0") != 0 && strcmp(word, "1") != 0)
            return cvl_fail(CVL_EINVAL, "CVL_DETERMINISTIC is '%s', expected 0 or 1", word);
        query->deterministic = *word == '1';
    }
    if ((word = variable("CVL_DENY")))
        query->deny = word;
    return CVL_OK;
}

cvl_status cvl_tuner_environment_check(void)
{
    cvl_query query;
    cvl_mode mode;
    const char *word = variable("CVL_MODE");
    cvl_query_init(&query);
    if (word && parse_mode("CVL_MODE", word, &mode) != CVL_OK)
        return CVL_EINVAL;
    return read_limits(&query);
}

void cvl_query_init_size(cvl_query *query, size_t size)
{
    cvl_query defaults = { .size = sizeof defaults, .max_workspace = SIZE_MAX };
    if (size < sizeof size)
        return;
    read_limits(&defaults);
    cvl_copy_sized(query, size, &defaults, sizeof defaults);
}

void cvl_tuner_options_init_size(cvl_tuner_options *options, size_t size)
{
    cvl_tuner_options defaults = { .size = sizeof defaults, .mode = CVL_MODE_CACHED, .budget_s = HUGE_VAL, .seed = 1 };
    const char *word = variable("CVL_MODE");
    if (size < sizeof size)
        return;
    if (word)
        parse_mode("CVL_MODE", word, &defaults.mode);
    cvl_copy_sized(options, size, &defaults, sizeof defaults);
}
