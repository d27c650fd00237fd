/* SPDX-License-Identifier: Apache-2.0
 * Two effects, found together by backfitting (Breiman and Friedman 1985):
 *   1. ridge regression (Hoerl and Kennard 1970) on the logarithms of the problem's extents: the mean error and its
 *      slopes, which all candidates of the group share;
 *   2. an offset for each setting of the knobs, a random effect (Robinson 1991): a kernel of another kind must not
 *      shift the mean of all.
 * A record counts by its samples: one that left the race after its first run may have been disturbed. The offsets came
 * after oneDNN's kernel for plain layouts, twice too slow in 3x3 layers, made its blocked ones look slow in dilated ones. */
#include "tuner/model_fit.h"

#include <math.h>
#include <string.h>

#define RIDGE_MEAN 1.0
#define RIDGE_SLOPE 30.0
#define RIDGE_OFFSET 3.0
#define ROUNDS 4            /* of the backfitting: the offsets change by less than a percent then */

enum { TERMS = CVL_MODEL_TERMS };
static const float centre[CVL_FEATURES] = { 8, 6, 6, 0, 2, 0, 0 };   /* logarithms of a usual problem's extents */

/* 1, then the features about their centres, halved so that a slope is worth what the mean is. */
static double term(const float feature[CVL_FEATURES], int i)
{
    return i == 0 ? 1 : 0.5 * (feature[i - 1] - centre[i - 1]);
}

double cvl_model_mean(const struct cvl_model_group *group, const float feature[CVL_FEATURES])
{
    double sum = 0;
    for (int i = 0; i < TERMS; i++)
        sum += group->slope[i] * term(feature, i);
    return sum;
}

/* The normal equations of what the offsets leave. */
static void sum_up(const struct cvl_model_group *group, double xtx[TERMS][TERMS], double xty[TERMS])
{
    memset(xtx, 0, TERMS * sizeof *xtx);
    memset(xty, 0, TERMS * sizeof *xty);
    for (const struct cvl_model_sample *one = group->samples; one < group->samples + group->count; one++) {
        const double residual = one->residual - group->settings[one->setting].offset;
        for (int i = 0; i < TERMS; i++) {
            const double weighted = one->weight * term(one->feature, i);
            xty[i] += weighted * residual;
            for (int j = 0; j <= i; j++)
                xtx[i][j] += weighted * term(one->feature, j);
        }
    }
    for (int i = 0; i < TERMS; i++)
        xtx[i][i] += i == 0 ? RIDGE_MEAN : RIDGE_SLOPE;
}

/* Cholesky's decomposition, in place, of what the ridge makes positive definite. */
static void solve(double l[TERMS][TERMS], const double xty[TERMS], double slope[TERMS])
{
    for (int i = 0; i < TERMS; i++) {
        for (int j = 0; j <= i; j++) {
            double sum = l[i][j];
            for (int k = 0; k < j; k++)
                sum -= l[i][k] * l[j][k];
            l[i][j] = i == j ? sqrt(fmax(sum, 1e-9)) : sum / l[j][j];
        }
        slope[i] = xty[i];
        for (int k = 0; k < i; k++)
            slope[i] -= l[i][k] * slope[k];
        slope[i] /= l[i][i];
    }
    for (int i = TERMS - 1; i >= 0; i--) {
        for (int k = i + 1; k < TERMS; k++)
            slope[i] -= l[k][i] * slope[k];
        slope[i] /= l[i][i];
    }
}

static void offset_settings(struct cvl_model_group *group)
{
    for (struct cvl_model_setting *one = group->settings; one < group->settings + group->setting_count; one++)
        one->sum = one->weight = 0;
    for (const struct cvl_model_sample *one = group->samples; one < group->samples + group->count; one++) {
        struct cvl_model_setting *setting = &group->settings[one->setting];
        setting->sum += one->weight * (one->residual - cvl_model_mean(group, one->feature));
        setting->weight += one->weight;
    }
    for (struct cvl_model_setting *one = group->settings; one < group->settings + group->setting_count; one++)
        one->offset = one->sum / (one->weight + RIDGE_OFFSET);
}

void cvl_model_fit(struct cvl_model_group *group)
{
    double xtx[TERMS][TERMS], xty[TERMS];
    for (int i = 0; i < ROUNDS; i++) {
        sum_up(group, xtx, xty);
        solve(xtx, xty, group->slope);
        offset_settings(group);
    }
    for (struct cvl_model_sample *one = group->samples; one < group->samples + group->count; one++)
        one->left = (float)(one->residual - cvl_model_mean(group, one->feature) - group->settings[one->setting].offset);
    group->fitted = true;
}
