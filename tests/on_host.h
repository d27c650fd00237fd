/* SPDX-License-Identifier: Apache-2.0
 * Kernels of the GPU, run on the host thread by thread and held against the oracle. */
#ifndef TESTS_ON_HOST_H
#define TESTS_ON_HOST_H

#include "base/random.h"
#include "conv/desc.h"
#include "guard.h"

/* Runs all kernels of a problem; choice is the caller's. */
typedef void on_host_run(const cvl_conv_desc *desc, const void *choice, cvl_conv_args args);

/* Fails the test when an output is further off than the tolerance, with what `how` says of the choice. Tensors lie at
 * the guarded side. Where the problem has a residual it is the written tensor: an element that is stored twice adds it
 * twice. */
void on_host_check(const cvl_conv_desc *desc, on_host_run *run, const void *choice, enum guard_side side,
                   double tolerance, const char *how);

/* What f32 sums in any order, and a result that is rounded to its type, may be off by. */
double on_host_rounding(const cvl_conv_desc *desc);

static inline int between(struct cvl_random *random, int low, int high)
{
    return low + cvl_random_below(random, high - low + 1);
}

#endif
