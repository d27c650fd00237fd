/* SPDX-License-Identifier: Apache-2.0
 * Random convolution problems of every kind that cvl_conv_check accepts, small enough to be held against the oracle. */
#ifndef TESTS_RANDOM_PROBLEM_H
#define TESTS_RANDOM_PROBLEM_H

#include "base/random.h"
#include "cvl/conv.h"

/* Products that a problem may take; an image of 12 x 12 x 32 under a 3x3 filter to 32 channels takes 1.3 million. */
#define RANDOM_PROBLEM_COST_MAX 1.5e6

cvl_conv_desc random_problem(struct cvl_random *random);

#endif
