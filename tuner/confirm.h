/* SPDX-License-Identifier: Apache-2.0
 * Another machine's records, verified on first use: its two fastest candidates are timed here, and when they stand to
 * each other as they do there, its choice is taken without measuring the rest. Only of a machine with as many threads
 * and the same instruction set: others have other winners. */
#ifndef TUNER_CONFIRM_H
#define TUNER_CONFIRM_H

#include "tuner/survey.h"

#define CVL_CONFIRM 0.10   /* two ratios this close agree */

struct cvl_prior { int first, second; double times; char where[160]; };   /* rows; second over first, there */

/* Of a survey that has no record here. True: rows but those two are sidelined, to be measured next. */
bool cvl_prior_take(struct cvl_survey *survey, const struct cvl_line_set *lines, struct cvl_prior *prior);

/* After it, nobody is sidelined. True: confirmed, and the rest has records of needing none; else all is to be
 * measured. */
bool cvl_prior_confirm(struct cvl_survey *survey, const struct cvl_prior *prior);

#endif
