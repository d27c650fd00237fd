/* SPDX-License-Identifier: Apache-2.0
 * What the tests of the selector share: a context, a problem, and a cache directory of its own for every test. */
#ifndef TESTS_TUNER_FIXTURE_H
#define TESTS_TUNER_FIXTURE_H

#include "base/ctx.h"
#include "cvl/tuner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define ROWS 64
#define PROBLEM "fwd:f32:nchw:n1c8h12w12k8r3s3:pad1:relu"
#define OTHER_PROBLEM "fwd:f32:nchw:n1c8h13w12k8r3s3:pad1"

struct fixture {
    cvl_ctx          *ctx;             /* 2 threads */
    char              cache[64];
    cvl_conv_desc     desc;            /* PROBLEM */
    cvl_tuner_options options;
    int               progress;        /* calls: how often something was about to be measured */
    char              log[4096];
};

int set_up(void **state);
int tear_down(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* Clears the variables that a user may have set; for main. */
void clear_variables(void);

cvl_tuner      *open_tuner(struct fixture *f, cvl_mode mode);
const cvl_plan *plan_of(cvl_tuner *tuner, const cvl_conv_desc *desc, const cvl_query *query);

/* Rows of a problem, checked for what always holds; the chosen one's index, or -1. */
int rows_of(cvl_tuner *tuner, const cvl_conv_desc *desc, const cvl_query *query, cvl_result rows[ROWS], int *count);

/* Opens, tunes PROBLEM and closes; progress is 0 afterwards. */
void tune(struct fixture *f);

cvl_query limits(void);                /* none */

/* How many notes the cache holds that PROBLEM was asked for and not found. */
int count_wants(struct fixture *f);

#endif
