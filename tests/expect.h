/* SPDX-License-Identifier: Apache-2.0
 * What tests of the library's edge share: things that must succeed, failures that must say why, and a walk over all
 * candidates. All of them end the test when it is otherwise. */
#ifndef TESTS_EXPECT_H
#define TESTS_EXPECT_H

#include "conv/problem.h"

#define LENGTH(array) (sizeof (array) / sizeof *(array))

cvl_conv_desc expect_problem(const char *text);
void          expect_filled(const cvl_conv_desc *desc, struct cvl_problem *problem);   /* from a fixed seed */
cvl_ctx      *expect_ctx(const char *isa, int threads);
cvl_plan     *expect_plan(cvl_ctx *ctx, const cvl_conv_desc *desc, const char *candidate);

void expect_same(const cvl_conv_desc *a, const cvl_conv_desc *b, const char *what);   /* in every field */
void expect_prints(const cvl_conv_desc *desc, const char *text);

/* got is want, and cvl_last_error has the fragment in it; what: named in the message otherwise. */
void expect_refused(cvl_status got, cvl_status want, const char *what, const char *fragment);

/* Calls fn for every candidate of every algorithm; returns how many there were. */
typedef void candidate_fn(cvl_ctx *ctx, const cvl_conv_desc *desc, const char *candidate);
int  each_candidate(cvl_ctx *ctx, const char *problem, candidate_fn *fn);

/* A few problems of every pass, layout and kind of types; ends with NULL. The first is f32 and forward. */
extern const char *const expect_problems[];
void each_candidate_of_all(cvl_ctx *ctx, candidate_fn *fn);

#endif
