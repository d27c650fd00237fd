/* SPDX-License-Identifier: Apache-2.0
 * The records of one algorithm and one kind of problem, and what is alike in how far off their estimates were. */
#ifndef TUNER_MODEL_FIT_H
#define TUNER_MODEL_FIT_H

#include "conv/algo.h"

enum { CVL_FEATURES = 7, CVL_MODEL_TERMS = CVL_FEATURES + 1 };   /* logarithms of extents; the mean and their slopes */

struct cvl_model_sample { float feature[CVL_FEATURES], residual, weight, left; int setting; };

/* Of the knobs, and how far candidates with it are off beside the others. */
struct cvl_model_setting { float knob[CVL_KNOBS_MAX]; double sum, weight, offset; };

struct cvl_model_group {
    struct cvl_model_group   *next;
    const struct cvl_algo    *algo;
    int                       kind[7];
    struct cvl_model_sample  *samples;
    struct cvl_model_setting *settings;
    int                       count, setting_count;
    double                    slope[CVL_MODEL_TERMS];
    bool                      fitted;
};

/* Slopes and offsets, and what both leave of each sample. */
void   cvl_model_fit(struct cvl_model_group *group);

/* By the slopes alone. */
double cvl_model_mean(const struct cvl_model_group *group, const float feature[CVL_FEATURES]);

#endif
