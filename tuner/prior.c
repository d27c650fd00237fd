/* SPDX-License-Identifier: Apache-2.0
 * What another environment recorded, where this one recorded nothing: times of another machine say little, but more
 * than an estimate does about which candidate is the fastest. */
#include "base/alloc.h"
#include "tuner/survey.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cvl_survey_forget(struct cvl_survey *survey)
{
    survey->chosen = -1;
    for (int i = 0; i < survey->count; i++) {
        struct cvl_row *row = &survey->rows[i];
        const cvl_result old = row->result;
        if (!row->recorded && !row->needless)
            continue;
        row->recorded = row->needless = false;
        row->result = (cvl_result){
            .source = CVL_SOURCE_ESTIMATE, .estimate_ms = old.estimate_ms, .rel_error = -1, .l2_error = -1,
            .workspace_bytes = old.workspace_bytes, .packed_bytes = old.packed_bytes,
            .deterministic = !row->variant.nondeterministic,
        };
        memcpy(row->result.candidate, old.candidate, sizeof old.candidate);
    }
}

struct neighbour {
    uint64_t               id;
    double                 distance;
    struct cvl_environment environment;
};

static int compare_neighbours(const void *a, const void *b)
{
    const struct neighbour *x = a, *y = b;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* The other environments of the records, nearest first; one whose own line is missing comes last. */
static int find_neighbours(const struct cvl_survey *survey, const struct cvl_line_set *lines,
                           const struct cvl_record *records, int count, struct neighbour *neighbours)
{
    int found = 0;
    for (int i = 0; i < count; i++) {
        struct neighbour one = { .id = records[i].environment, .distance = HUGE_VAL };
        bool known = one.id == survey->environment_id;
        for (int j = 0; j < found && !known; j++)
            known = neighbours[j].id == one.id;
        if (known)
            continue;
        if (cvl_line_set_environment(lines, one.id, &one.environment))
            one.distance = cvl_environment_distance(&survey->environment, &one.environment);
        else
            snprintf(one.environment.cpu, sizeof one.environment.cpu, "an unknown machine");
        neighbours[found++] = one;
    }
    qsort(neighbours, (size_t)found, sizeof *neighbours, compare_neighbours);
    return found;
}

static void flag_prior(struct cvl_survey *survey, const struct neighbour *from)
{
    char where[CVL_REASON_MAX - 48];
    cvl_environment_describe(&from->environment, where, sizeof where);
    for (int i = 0; i < survey->count; i++)
        if (survey->rows[i].recorded)
            snprintf(survey->rows[i].result.reason, sizeof survey->rows[i].result.reason,
                     "%s, by records of another environment: %s", i == survey->chosen ? "chosen" : "not chosen", where);
    cvl_log(survey->ctx, CVL_LOG_INFO, "%s: no record of this machine, taking %s as on %s", survey->problem,
            survey->rows[survey->chosen].result.candidate, where);
}

bool cvl_survey_prior(struct cvl_survey *survey, const struct cvl_line_set *lines)
{
    struct cvl_record *records;
    int count, found = 0;
    if (cvl_survey_recorded(survey) || cvl_survey_records(survey, lines, &records, &count) != CVL_OK)
        return false;
    struct neighbour *neighbours = cvl_calloc((size_t)count + 1, sizeof *neighbours);
    if (neighbours)
        found = find_neighbours(survey, lines, records, count, neighbours);
    for (int i = 0; i < found && survey->chosen < 0; i++) {
        cvl_survey_forget(survey);
        survey->prior_id = neighbours[i].id;
        cvl_survey_adopt(survey, records, count, neighbours[i].id);
        if (cvl_survey_choose(survey))
            flag_prior(survey, &neighbours[i]);
    }
    if (found && survey->chosen < 0)
        cvl_survey_forget(survey);
    cvl_free(neighbours);
    cvl_free(records);
    return survey->chosen >= 0;
}
