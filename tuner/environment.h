/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TUNER_ENVIRONMENT_H
#define TUNER_ENVIRONMENT_H

#include "base/ctx.h"
#include "tuner/line_set.h"

/* Where a ctx of this process measures. */
struct cvl_environment cvl_environment_of(const cvl_ctx *ctx);

/* How little a measurement at one place says about another: 0 for the same, more with another number of threads, more
 * still with another ISA level, most with another processor or GPU. */
double cvl_environment_distance(const struct cvl_environment *a, const struct cvl_environment *b);

/* "AMD EPYC 7B13, avx2, 8 threads" */
void cvl_environment_describe(const struct cvl_environment *environment, char *text, size_t size);

/* One sentence to the ctx's log when the lines at `path` were measured, and all of them on other processors. */
void cvl_environment_warn(const cvl_ctx *ctx, const struct cvl_environment *here, const struct cvl_line_set *lines,
                          const char *path);

#endif
