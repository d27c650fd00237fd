/* SPDX-License-Identifier: Apache-2.0
 * Where the time of a plan goes, by the phases that its algorithm names. */
#ifndef BENCH_PROFILE_REPORT_H
#define BENCH_PROFILE_REPORT_H

#include <stdio.h>
#include "cvl/conv.h"

cvl_status profile_print(FILE *to, const cvl_plan *plan);   /* "    im2col:rows=14: lower 31 %, gemm 66 %, rest 3 %" */

#endif
