/* SPDX-License-Identifier: Apache-2.0
 * A descriptor with data: the tensors that one run of it needs, filled with seeded random non-zero values. The tuner,
 * the bench and the tests measure and verify on these. */
#ifndef CONV_PROBLEM_H
#define CONV_PROBLEM_H

#include "conv/desc.h"

/* Where tensors live: cvl_alloc and cvl_free, or a test's own (guard pages at either end). */
struct cvl_placement {
    void *(*alloc)(void *arg, size_t bytes, size_t element);
    void  (*free)(void *arg, void *memory);
    void   *arg;
};

struct cvl_problem {
    cvl_conv_desc        desc;
    cvl_conv_args        args;     /* points at the tensors below; residual is a buffer of its own */
    cvl_quant            quant;
    void                *written;  /* the tensor that the pass writes */
    size_t               written_bytes;
    struct cvl_placement placement;
};

/* NULL placement: cvl_alloc. CVL_ENOMEM leaves nothing behind. Floats are of either sign in (0.0625, 1], integers are
 * over their whole range, zero points are near the middle of theirs, and scales such that few outputs saturate. The
 * written tensor is NaN (integers: 0xa5 bytes). Scales and zero points that the problem must not read are poisoned. */
cvl_status cvl_problem_create(const cvl_conv_desc *desc, uint64_t seed, const struct cvl_placement *placement,
                              struct cvl_problem *problem);
void       cvl_problem_destroy(struct cvl_problem *problem);

#endif
