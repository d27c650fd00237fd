/* SPDX-License-Identifier: Apache-2.0 */
#include "on_host.h"

#include "conv/accuracy.h"
#include "conv/problem.h"
#include "conv/reference/oracle.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void *place(void *arg, size_t bytes, size_t element)
{
    return guard_alloc(*(enum guard_side *)arg, bytes, element);
}

static void unplace(void *arg, void *memory) { guard_free(memory); }

void on_host_check(const cvl_conv_desc *desc, on_host_run *run, const void *choice, enum guard_side side,
                   double tolerance, const char *how)
{
    const struct cvl_placement placement = { place, unplace, &side };
    const size_t count = cvl_conv_count(desc, cvl_conv_written(desc->pass));
    double *want = malloc((count + 1) * sizeof *want);
    char text[CVL_CONV_TEXT_MAX];
    struct cvl_problem problem;
    assert_int_equal(cvl_problem_create(desc, 7, &placement, &problem), CVL_OK);
    cvl_oracle_range(desc, &problem.args, 0, count, want);
    if (desc->epi.residual) {
        memcpy(problem.written, problem.args.residual, problem.written_bytes);
        guard_free((void *)problem.args.residual);
        problem.args.residual = problem.written;
    }
    run(desc, choice, problem.args);
    const struct cvl_error error = cvl_oracle_compare(desc, problem.written, NULL, count, want);
    cvl_conv_print(desc, text, sizeof text);
    if (!(error.rel <= tolerance))
        fail_msg("%s, %s, side %d: rel_error %g; element %zu of %zu is %.9g, expected %.9g", text, how, side, error.rel,
                 error.worst, count, error.got, error.want);
    if (problem.args.residual == problem.written)
        problem.args.residual = NULL;
    cvl_problem_destroy(&problem);
    free(want);
}

double on_host_rounding(const cvl_conv_desc *desc)
{
    static const double stored[] = { [CVL_F32] = 0x1p-24, [CVL_BF16] = 0x1p-8, [CVL_F16] = 0x1p-11 };
    const double k = cvl_conv_reduction(desc) + 1;
    return 0x1p-24 * (2 + 2 * sqrt(k) + k) / cvl_conv_largest_output(desc, k)
         + stored[cvl_conv_type(desc, cvl_conv_written(desc->pass))];
}
