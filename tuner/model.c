/* SPDX-License-Identifier: Apache-2.0
 * What is modelled is log(measured / estimated) of one algorithm, pass, layout and type: first as tuner/model_fit.c
 * says; what that leaves is averaged over the recorded problems, by a Gaussian of their distance (Nadaraya 1964; Watson
 * 1964), candidates with other knobs being farther away. All of it shrinks to "no correction" where little is known. A
 * distance between knobs that is 1 instead of KNOBS lets candidates of one algorithm blur into each other. */
#include "tuner/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "conv/desc.h"
#include "conv/registry.h"
#include "tuner/model_fit.h"

#define SAMPLES_MAX 16384   /* a prediction looks at all of a group's */
#define WIDTH 1.5           /* of the Gaussian, in doublings of one extent */
#define KNOBS 8.0           /* the square of a knob's doubling counts so many times */
#define SHRINK 1.0          /* neighbours of this weight in all correct by one half */
#define SAMPLES_OF_WEIGHT 6 /* so many make a record count in full */
#define SPREAD_LEAST 0.05

struct cvl_model {
    struct cvl_model_group *groups;
    uint64_t                environment;
    cvl_state               state;
    int                     count;
};

static void kind_of(const cvl_conv_desc *desc, int kind[7])
{
    kind[0] = (int)desc->pass;
    kind[1] = (int)desc->x_layout;
    kind[2] = (int)desc->y_layout;
    kind[3] = (int)desc->x_type;
    kind[4] = (int)desc->w_type;
    kind[5] = (int)desc->math;
    kind[6] = desc->const_filter;
}

static void features_of(const cvl_conv_desc *desc, float feature[CVL_FEATURES])
{
    int y[4];
    cvl_conv_dims(desc, CVL_Y, y);
    const double extents[CVL_FEATURES] = {
        (double)y[0] * y[2] * y[3], (double)desc->c / desc->groups,
        (double)desc->k / desc->groups, desc->groups, (double)desc->r * desc->s,
        (double)desc->stride_h * desc->stride_w, (double)desc->dil_h * desc->dil_w,
    };
    for (int i = 0; i < CVL_FEATURES; i++)
        feature[i] = (float)log2(fmax(extents[i], 1));
}

static void knobs_of(const struct cvl_variant *variant, float knob[CVL_KNOBS_MAX])
{
    for (int i = 0; i < CVL_KNOBS_MAX; i++)
        knob[i] = (float)log2(1.0 + variant->knob[i]);
}

static struct cvl_model_group *find_group(const struct cvl_model *model, const struct cvl_algo *algo, const int kind[7])
{
    for (struct cvl_model_group *group = model->groups; group; group = group->next)
        if (group->algo == algo && memcmp(group->kind, kind, sizeof group->kind) == 0)
            return group;
    return NULL;
}

static struct cvl_model_group *make_group(struct cvl_model *model, const struct cvl_algo *algo, const int kind[7])
{
    struct cvl_model_group *group = cvl_calloc(1, sizeof *group);
    if (!group)
        return NULL;
    group->algo = algo;
    memcpy(group->kind, kind, sizeof group->kind);
    group->next = model->groups;
    model->groups = group;
    return group;
}

/* An array of `count` elements with room for one more; NULL: no memory, and it stays as it is. */
static void *with_room(void *array, int count, size_t bytes)
{
    const bool full = (count & (count - 1)) == 0;
    return full ? realloc(array, (count ? 2 * (size_t)count : 1) * bytes) : array;
}

/* Its index, or -1: not there. */
static int find_setting(const struct cvl_model_group *group, const float knob[CVL_KNOBS_MAX])
{
    for (int i = 0; i < group->setting_count; i++)
        if (memcmp(group->settings[i].knob, knob, sizeof group->settings[i].knob) == 0)
            return i;
    return -1;
}

static int make_setting(struct cvl_model_group *group, const float knob[CVL_KNOBS_MAX])
{
    struct cvl_model_setting *more = with_room(group->settings, group->setting_count, sizeof *more);
    if (!more)
        return -1;
    group->settings = more;
    more[group->setting_count] = (struct cvl_model_setting){ .sum = 0 };
    memcpy(more[group->setting_count].knob, knob, sizeof more->knob);
    return group->setting_count++;
}

static void learn(struct cvl_model_group *group, const cvl_conv_desc *desc, const struct cvl_variant *variant,
                  double residual, int samples)
{
    struct cvl_model_sample *more = with_room(group->samples, group->count, sizeof *more);
    float knob[CVL_KNOBS_MAX];
    if (!more)
        return;
    group->samples = more;
    knobs_of(variant, knob);
    const int found = find_setting(group, knob), setting = found < 0 ? make_setting(group, knob) : found;
    if (setting < 0)
        return;
    struct cvl_model_sample *sample = &group->samples[group->count++];
    features_of(desc, sample->feature);
    sample->residual = (float)residual;
    sample->weight = (float)fmin(1, (double)samples / SAMPLES_OF_WEIGHT);
    sample->setting = setting;
    group->fitted = false;
}

void cvl_model_add(struct cvl_model *model, const struct cvl_record *record)
{
    const double estimate_ms = record->raw_ms > 0 ? record->raw_ms : record->estimate_ms;
    const struct cvl_algo *algo;
    struct cvl_variant variant;
    cvl_conv_desc desc;
    int kind[7];
    if (model->count == SAMPLES_MAX || record->environment != model->environment || record->state != model->state ||
        record->samples == 0 || !(record->median_ms > 0 && isfinite(record->median_ms)) ||
        !(estimate_ms > 0 && isfinite(estimate_ms)) ||
        cvl_candidate_parse(record->candidate, &algo, &variant) != CVL_OK ||
        algo->revision != record->revision || cvl_conv_parse(record->problem, &desc) != CVL_OK)
        return;
    kind_of(&desc, kind);
    struct cvl_model_group *group = find_group(model, algo, kind);
    if (!group)
        group = make_group(model, algo, kind);
    if (!group)
        return;
    learn(group, &desc, &variant, log(record->median_ms / estimate_ms), record->samples);
    model->count++;
}

static bool add_line(void *arg, enum cvl_line_kind kind, const char *line, size_t length)
{
    struct cvl_model *model = arg;
    struct cvl_record record;
    if (kind == CVL_LINE_REC && cvl_record_parse(line, length, &record) == CVL_OK)
        cvl_model_add(model, &record);
    return model->count < SAMPLES_MAX;
}

cvl_status cvl_model_create(const struct cvl_line_set *lines, uint64_t environment, cvl_state state,
                            struct cvl_model **model)
{
    *model = cvl_calloc(1, sizeof **model);
    if (!*model)
        return cvl_fail(CVL_ENOMEM, "no memory for a model of the estimates");
    (*model)->environment = environment;
    (*model)->state = state;
    return lines ? cvl_line_set_each(lines, false, add_line, *model) : CVL_OK;
}

void cvl_model_destroy(struct cvl_model *model)
{
    for (struct cvl_model_group *group = model ? model->groups : NULL, *next; group; group = next) {
        next = group->next;
        free(group->samples);
        free(group->settings);
        cvl_free(group);
    }
    cvl_free(model);
}

int cvl_model_count(const struct cvl_model *model)
{
    return model->count;
}

static double square_distance(const float *a, const float *b, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += (double)(a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

static double nearness(const struct cvl_model_group *group, const struct cvl_model_sample *sample,
                       const float feature[CVL_FEATURES], const float knob[CVL_KNOBS_MAX])
{
    const double problem = square_distance(sample->feature, feature, CVL_FEATURES);
    const double knobs = square_distance(group->settings[sample->setting].knob, knob, CVL_KNOBS_MAX);
    const double half_square = 0.5 * (problem / (WIDTH * WIDTH) + KNOBS * knobs);
    return half_square > 16 ? 0 : sample->weight * exp(-half_square);
}

struct cvl_correction cvl_model_correct(struct cvl_model *model, const struct cvl_algo *algo, const cvl_conv_desc *desc,
                                        const struct cvl_variant *variant)
{
    float feature[CVL_FEATURES], knob[CVL_KNOBS_MAX];
    double near = 0, sum = 0, squares = 0;
    int kind[7];
    kind_of(desc, kind);
    struct cvl_model_group *group = find_group(model, algo, kind);
    if (!group)
        return (struct cvl_correction){ 1, CVL_SPREAD_UNKNOWN };
    if (!group->fitted)
        cvl_model_fit(group);
    features_of(desc, feature);
    knobs_of(variant, knob);
    for (int i = 0; i < group->count; i++) {
        const double left = group->samples[i].left, weight = nearness(group, &group->samples[i], feature, knob);
        near += weight;
        sum += weight * left;
        squares += weight * left * left;
    }
    const int setting = find_setting(group, knob);
    const double mean = cvl_model_mean(group, feature) + (setting < 0 ? 0 : group->settings[setting].offset);
    const double left = sum / (near + SHRINK), unknown = CVL_SPREAD_UNKNOWN * CVL_SPREAD_UNKNOWN;
    const double variance = (fmax(squares - left * sum, 0) + SHRINK * unknown) / (near + SHRINK);
    return (struct cvl_correction){ exp(mean + left), fmax(sqrt(variance), SPREAD_LEAST) };
}
