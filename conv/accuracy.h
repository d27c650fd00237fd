/* SPDX-License-Identifier: Apache-2.0
 * What the tolerances of f32 algorithms are measured against. */
#ifndef CONV_ACCURACY_H
#define CONV_ACCURACY_H

#include "cvl/conv.h"

/* A lower estimate of the largest output of a problem with cvl_problem's data, when every sum has k terms. */
double cvl_conv_largest_output(const cvl_conv_desc *desc, double k);

#endif
