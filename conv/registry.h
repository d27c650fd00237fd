/* SPDX-License-Identifier: Apache-2.0
 * The algorithms of this build, in the order of conv/meson.build, and the names of their candidates. */
#ifndef CONV_REGISTRY_H
#define CONV_REGISTRY_H

#include "conv/algo.h"

extern const struct cvl_algo *const cvl_algos[];   /* ends with NULL */

const struct cvl_algo *cvl_algo_find(const char *name, size_t length);

/* Why this algorithm cannot take the problem on this ctx (device, then the algorithm's own reject), or NULL. */
const char *cvl_algo_refusal(const cvl_ctx *ctx, const struct cvl_algo *algo, const cvl_conv_desc *desc);

/* How many variants of one problem there can be. */
int cvl_algo_most(const struct cvl_algo *algo);

/* The variants of a problem that is not refused, at most cvl_algo_most; returns how many. */
int cvl_algo_variants(const cvl_ctx *ctx, const struct cvl_algo *algo, const cvl_conv_desc *desc,
                      struct cvl_variant variants[CVL_VARIANTS_MAX]);

/* "im2col:rows=14" <-> algorithm and knobs. Parse fails with CVL_ENOTFOUND and a sentence. */
void       cvl_candidate_print(const struct cvl_algo *algo, const struct cvl_variant *variant,
                               char name[CVL_CANDIDATE_MAX]);
cvl_status cvl_candidate_parse(const char *name, const struct cvl_algo **algo, struct cvl_variant *variant);

#endif
