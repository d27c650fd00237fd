/* SPDX-License-Identifier: Apache-2.0
 * Regression, then neighbours. What is modelled is log(measured / estimated) of one algorithm, pass, layout and type:
 *   1. ridge regression (Hoerl and Kennard 1970) on the logarithms of the problem's extents: the mean error and its
 *      slopes;
 *   2. what that leaves is averaged over the recorded problems, by a Gaussian of their distance (Nadaraya 1964; Watson
 *      1964), candidates with other knobs being farther away.
 * Both shrink to "no correction" where little is known. Trained on ResNet-50 and VGG-16 (one thread, Zen 4), the regret
 * of the estimates fell from 4.9 to 1.6 % on ResNeXt-50 and from 2.5 to 0.6 % on ConvNeXt-T, and rose from 2.6 to 3.9 %
 * on Inception-v3 and from 3.5 to 5.4 % on EfficientNet-B0. Of an earlier 5.6 % on Inception-v3 it left 1.2 %, the
 * regression alone 5.5 %, neighbours alone 3.0 %; a distance between knobs that is 1 instead of KNOBS lets candidates
 * of one algorithm blur into each other. */
#include "tuner/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "conv/desc.h"
#include "conv/registry.h"

#define SAMPLES_MAX 16384   /* a prediction looks at all of a group's */
#define WIDTH 1.5           /* of the Gaussian, in doublings of one extent */
#define KNOBS 8.0           /* the square of a knob's doubling counts so many times */
#define SHRINK 0.2          /* neighbours of this weight in all correct by one half */
#define RIDGE_MEAN 1.0
#define RIDGE_SLOPE 8.0
#define SPREAD_LEAST 0.05

enum { FEATURES = 7, TERMS = FEATURES + 1 };
static const float centre[FEATURES] = { 8, 6, 6, 0, 2, 0, 0 };   /* logarithms of a usual problem's extents */

struct sample { float feature[FEATURES], knob[CVL_KNOBS_MAX], residual, left; };

/* Of one algorithm and one kind of problem. */
struct group {
    struct group          *next;
    const struct cvl_algo *algo;
    int                    kind[7];
    struct sample         *samples;
    int                    count;
    double                 xtx[TERMS][TERMS], xty[TERMS], weight[TERMS];
    bool                   fitted;
};

struct cvl_model {
    struct group *groups;
    uint64_t      environment;
    cvl_state     state;
    int           count;
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

static void features_of(const cvl_conv_desc *desc, float feature[FEATURES])
{
    int y[4];
    cvl_conv_dims(desc, CVL_Y, y);
    const double extents[FEATURES] = {
        (double)y[0] * y[2] * y[3], (double)desc->c / desc->groups,
        (double)desc->k / desc->groups, desc->groups, (double)desc->r * desc->s,
        (double)desc->stride_h * desc->stride_w, (double)desc->dil_h * desc->dil_w,
    };
    for (int i = 0; i < FEATURES; i++)
        feature[i] = (float)log2(fmax(extents[i], 1));
}

static void knobs_of(const struct cvl_variant *variant, float knob[CVL_KNOBS_MAX])
{
    for (int i = 0; i < CVL_KNOBS_MAX; i++)
        knob[i] = (float)log2(1.0 + variant->knob[i]);
}

/* 1, then the features about their centres, halved so that a slope is worth what the mean is. */
static double term(const float feature[FEATURES], int i)
{
    return i == 0 ? 1 : 0.5 * (feature[i - 1] - centre[i - 1]);
}

static struct group *find_group(const struct cvl_model *model, const struct cvl_algo *algo, const int kind[7])
{
    for (struct group *group = model->groups; group; group = group->next)
        if (group->algo == algo && memcmp(group->kind, kind, sizeof group->kind) == 0)
            return group;
    return NULL;
}

static struct group *make_group(struct cvl_model *model, const struct cvl_algo *algo, const int kind[7])
{
    struct group *group = cvl_calloc(1, sizeof *group);
    if (!group)
        return NULL;
    group->algo = algo;
    memcpy(group->kind, kind, sizeof group->kind);
    group->next = model->groups;
    model->groups = group;
    return group;
}

static struct sample *make_sample(struct group *group)
{
    if ((group->count & (group->count - 1)) == 0) {
        const size_t capacity = group->count ? 2 * (size_t)group->count : 1;
        struct sample *more = realloc(group->samples, capacity * sizeof *more);
        if (!more)
            return NULL;
        group->samples = more;
    }
    return &group->samples[group->count++];
}

static void learn(struct group *group, const cvl_conv_desc *desc, const struct cvl_variant *variant, double residual)
{
    struct sample *sample = make_sample(group);
    if (!sample)
        return;
    features_of(desc, sample->feature);
    knobs_of(variant, sample->knob);
    sample->residual = (float)residual;
    for (int i = 0; i < TERMS; i++) {
        group->xty[i] += term(sample->feature, i) * residual;
        for (int j = 0; j < TERMS; j++)
            group->xtx[i][j] += term(sample->feature, i) * term(sample->feature, j);
    }
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
    struct group *group = find_group(model, algo, kind);
    if (!group)
        group = make_group(model, algo, kind);
    if (!group)
        return;
    learn(group, &desc, &variant, log(record->median_ms / estimate_ms));
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
    for (struct group *group = model ? model->groups : NULL, *next; group; group = next) {
        next = group->next;
        free(group->samples);
        cvl_free(group);
    }
    cvl_free(model);
}

int cvl_model_count(const struct cvl_model *model)
{
    return model->count;
}

static double mean_of(const struct group *group, const float feature[FEATURES])
{
    double sum = 0;
    for (int i = 0; i < TERMS; i++)
        sum += group->weight[i] * term(feature, i);
    return sum;
}

/* Cholesky's decomposition of the normal equations, which the ridge makes positive definite. */
static void fit(struct group *group)
{
    double l[TERMS][TERMS], y[TERMS];
    for (int i = 0; i < TERMS; i++) {
        for (int j = 0; j <= i; j++) {
            double sum = group->xtx[i][j] + (i != j ? 0 : i == 0 ? RIDGE_MEAN : RIDGE_SLOPE);
            for (int k = 0; k < j; k++)
                sum -= l[i][k] * l[j][k];
            l[i][j] = i == j ? sqrt(fmax(sum, 1e-9)) : sum / l[j][j];
        }
        y[i] = group->xty[i];
        for (int k = 0; k < i; k++)
            y[i] -= l[i][k] * y[k];
        y[i] /= l[i][i];
    }
    for (int i = TERMS - 1; i >= 0; i--) {
        group->weight[i] = y[i];
        for (int k = i + 1; k < TERMS; k++)
            group->weight[i] -= l[k][i] * group->weight[k];
        group->weight[i] /= l[i][i];
    }
    for (int i = 0; i < group->count; i++)
        group->samples[i].left = (float)(group->samples[i].residual - mean_of(group, group->samples[i].feature));
    group->fitted = true;
}

static double nearness(const struct sample *sample, const float feature[FEATURES], const float knob[CVL_KNOBS_MAX])
{
    float problem = 0, knobs = 0;
    for (int i = 0; i < FEATURES; i++)
        problem += (sample->feature[i] - feature[i]) * (sample->feature[i] - feature[i]);
    for (int i = 0; i < CVL_KNOBS_MAX; i++)
        knobs += (sample->knob[i] - knob[i]) * (sample->knob[i] - knob[i]);
    const double half_square = 0.5 * (problem / (WIDTH * WIDTH) + KNOBS * knobs);
    return half_square > 16 ? 0 : exp(-half_square);
}

struct cvl_correction cvl_model_correct(struct cvl_model *model, const struct cvl_algo *algo, const cvl_conv_desc *desc,
                                        const struct cvl_variant *variant)
{
    float feature[FEATURES], knob[CVL_KNOBS_MAX];
    double near = 0, sum = 0, squares = 0;
    int kind[7];
    kind_of(desc, kind);
    struct group *group = find_group(model, algo, kind);
    if (!group)
        return (struct cvl_correction){ 1, CVL_SPREAD_UNKNOWN };
    if (!group->fitted)
        fit(group);
    features_of(desc, feature);
    knobs_of(variant, knob);
    for (int i = 0; i < group->count; i++) {
        const double left = group->samples[i].left, weight = nearness(&group->samples[i], feature, knob);
        near += weight;
        sum += weight * left;
        squares += weight * left * left;
    }
    const double left = sum / (near + SHRINK), unknown = CVL_SPREAD_UNKNOWN * CVL_SPREAD_UNKNOWN;
    const double variance = (fmax(squares - left * sum, 0) + SHRINK * unknown) / (near + SHRINK);
    return (struct cvl_correction){ exp(mean_of(group, feature) + left), fmax(sqrt(variance), SPREAD_LEAST) };
}
