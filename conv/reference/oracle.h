/* SPDX-License-Identifier: Apache-2.0
 * The oracle: any written element of any problem, from the formula, in double. The algorithm `reference` computes
 * all of them; the measuring protocol asks for some hundred of them. */
#ifndef CONV_REFERENCE_ORACLE_H
#define CONV_REFERENCE_ORACLE_H

#include "base/ctx.h"
#include "conv/desc.h"

/* How far an output is from the oracle over the elements that were compared. */
struct cvl_error {
    double rel;          /* max|got - want| / max|want|, or over the type's smallest normal number where that is larger
                            (integers: 1); infinity when a NaN or an infinity is misplaced */
    double l2;           /* the same in the 2-norm */
    size_t checked;
    size_t worst;        /* index of the element with the largest difference */
    double got, want;    /* its values */
};

/* The value of element `index` (its position in memory) of the tensor that the pass writes: act(conv + bias +
 * residual) before rounding to a floating type, or the stored integer of an integer problem. */
double cvl_oracle_at(const cvl_conv_desc *desc, const cvl_conv_args *args, size_t index);

/* Picks at most max different elements of the written tensor: its first and last, its corners, then random ones.
 * Returns how many; all of them when there are no more than max. */
size_t cvl_oracle_sample(const cvl_conv_desc *desc, uint64_t seed, size_t *indices, size_t max);

/* want[i] = cvl_oracle_at(indices[i]), on the ctx's threads; NULL indices: 0, 1, 2, ... */
void cvl_oracle_values(const cvl_ctx *ctx, const cvl_conv_desc *desc, const cvl_conv_args *args,
                       const size_t *indices, size_t count, double *want);

/* want[i] = cvl_oracle_at(first + i), on the calling thread. */
void cvl_oracle_range(const cvl_conv_desc *desc, const cvl_conv_args *args, size_t first, size_t count, double *want);

/* Compares `written` (typed as the pass writes it) with those values. */
struct cvl_error cvl_oracle_compare(const cvl_conv_desc *desc, const void *written, const size_t *indices, size_t count,
                                    const double *want);

#endif
