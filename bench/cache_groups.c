/* SPDX-License-Identifier: Apache-2.0
 * Sorted by bytes, the records of one group stand together: "rec ENVIRONMENT STATE PROBLEM CANDIDATE ...". */
#include "bench/cache_groups.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"

#define RECORDS_MIN 64

struct walk {
    const struct cache_filter *filter;
    const uint64_t            *only;         /* environment; NULL: all */
    cache_group_fn            *fn;
    void                      *arg;
    struct cvl_record         *records;
    struct cvl_judgement      *judgements;
    int                        count, capacity;
    cvl_status                 status;
};

bool cache_filter_has(const struct cache_filter *filter, const char *problem)
{
    for (int i = 0; i < filter->count; i++)
        if (strcmp(filter->problem[i], problem) == 0)
            return true;
    return filter->count == 0;
}

static int by_time(const void *a, const void *b)
{
    const struct cvl_record *x = a, *y = b;
    const double x_ms = x->median_ms > 0 ? x->median_ms : INFINITY, y_ms = y->median_ms > 0 ? y->median_ms : INFINITY;
    return x_ms < y_ms ? -1 : x_ms > y_ms ? 1 : strcmp(x->candidate, y->candidate);
}

static int choose(const struct walk *walk)
{
    cvl_conv_desc desc;
    memset(walk->judgements, 0, (size_t)walk->count * sizeof *walk->judgements);
    if (cvl_conv_parse(walk->records[0].problem, &desc) != CVL_OK)
        return -1;
    const struct cvl_limits limits = cvl_limits_of(walk->filter->query, &desc);
    return cvl_choose(walk->records, walk->count, &limits, walk->judgements);
}

static void hand_over(struct walk *walk)
{
    if (walk->count == 0)
        return;
    qsort(walk->records, (size_t)walk->count, sizeof *walk->records, by_time);
    const struct cvl_record *first = &walk->records[0];
    const struct cache_group group = {
        first->environment, first->state, first->problem, walk->records, walk->judgements, walk->count, choose(walk),
    };
    walk->fn(walk->arg, &group);
    walk->count = 0;
}

static bool make_room(struct walk *walk)
{
    if (walk->count < walk->capacity)
        return true;
    const int capacity = walk->capacity ? 2 * walk->capacity : RECORDS_MIN;
    struct cvl_record *records = realloc(walk->records, (size_t)capacity * sizeof *records);
    if (records)
        walk->records = records;
    struct cvl_judgement *judgements = realloc(walk->judgements, (size_t)capacity * sizeof *judgements);
    if (judgements)
        walk->judgements = judgements;
    if (!records || !judgements) {
        walk->status = cvl_fail(CVL_ENOMEM, "no memory for the %d records of one problem", capacity);
        return false;
    }
    walk->capacity = capacity;
    return true;
}

static bool take(void *arg, enum cvl_line_kind kind, const char *line, size_t length)
{
    struct walk *walk = arg;
    struct cvl_record record;
    if (kind != CVL_LINE_REC || cvl_record_parse(line, length, &record) != CVL_OK ||
        (walk->only && *walk->only != record.environment) || !cache_filter_has(walk->filter, record.problem))
        return true;
    const struct cvl_record *first = walk->records;
    if (walk->count && (record.environment != first->environment || record.state != first->state ||
                        strcmp(record.problem, first->problem) != 0))
        hand_over(walk);
    if (!make_room(walk))
        return false;
    walk->records[walk->count++] = record;
    return true;
}

static cvl_status finish(struct walk *walk)
{
    if (walk->status == CVL_OK)
        hand_over(walk);
    free(walk->judgements);
    free(walk->records);
    return walk->status;
}

cvl_status cache_groups_each(const struct cvl_line_set *set, const struct cache_filter *filter, cache_group_fn *fn,
                             void *arg)
{
    struct walk walk = { .filter = filter, .fn = fn, .arg = arg };
    const cvl_status status = cvl_line_set_each(set, true, take, &walk);
    if (walk.status == CVL_OK)
        walk.status = status;
    return finish(&walk);
}

cvl_status cache_group_find(const struct cvl_line_set *set, uint64_t environment, cvl_state state, const char *problem,
                            cache_group_fn *fn, void *arg)
{
    const struct cache_filter all = { .count = 0 };
    struct walk walk = { .filter = &all, .only = &environment, .fn = fn, .arg = arg };
    const int count = cvl_line_set_records(set, state, problem, NULL, 0);
    struct cvl_line *lines = cvl_alloc((size_t)count * sizeof *lines);
    if (!lines)
        return cvl_fail(CVL_ENOMEM, "no memory for the %d records of one problem", count);
    cvl_line_set_records(set, state, problem, lines, count);
    for (int i = 0; i < count && walk.status == CVL_OK; i++)
        take(&walk, CVL_LINE_REC, lines[i].text, lines[i].length);
    cvl_free(lines);
    return finish(&walk);
}
