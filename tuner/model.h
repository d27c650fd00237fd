/* SPDX-License-Identifier: Apache-2.0
 * What the records of other problems teach about an estimate: how far off an algorithm's estimates have been, in the
 * mean and near the problem asked about. Not thread-safe. */
#ifndef TUNER_MODEL_H
#define TUNER_MODEL_H

#include "conv/algo.h"
#include "tuner/line_set.h"

#define CVL_SPREAD_UNKNOWN 0.7   /* of a logarithm: an estimate of which nothing is known, a factor of 2 */

struct cvl_model;

/* Learns from the records of one environment and state; lines NULL: from none. CVL_ENOMEM. */
cvl_status cvl_model_create(const struct cvl_line_set *lines, uint64_t environment, cvl_state state,
                            struct cvl_model **model);
void       cvl_model_destroy(struct cvl_model *model);   /* NULL is allowed */

/* Learns from one more. Records that do not count (void, never timed, of no algorithm of this build), and those for
 * which there is no memory, are passed over. */
void       cvl_model_add(struct cvl_model *model, const struct cvl_record *record);
int        cvl_model_count(const struct cvl_model *model);   /* records that it learnt from */

struct cvl_correction {
    double factor;   /* what the estimate is to be multiplied by */
    double spread;   /* standard deviation of the logarithm of what is then still wrong */
};
struct cvl_correction cvl_model_correct(struct cvl_model *model, const struct cvl_algo *algo, const cvl_conv_desc *desc,
                                        const struct cvl_variant *variant);

#endif
