/* SPDX-License-Identifier: Apache-2.0
 * The kernels of cuda-depthwise on the host, thread by thread, against the oracle. */
#include "conv/cuda/cuda_depthwise_filter.h"
#include "conv/cuda/cuda_depthwise_lists.h"
#include "on_host.h"
#include "random_problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { PROBLEMS = 1500 };

/* ---- one launch ---- */

static void run_data(const struct cvl_dw_launch *g, cvl_dtype type)
{
    for (int part = 0; part < g->parts; part++)
        for (int thread = 0; thread < g->part[part].threads; thread++)
            cvl_dw_data_thread(g, part, thread, type, g->taps, g->outs, g->step, g->vector);
}

/* Lanes add up as __shfl_xor_sync has them. */
static void run_filter(const struct cvl_dw_launch *g, cvl_dtype type)
{
    const int lanes = g->channels_last ? 1 : CVL_DW_WARP;
    float sums[CVL_DW_WARP][CVL_DW_TAPS_MOST][CVL_DW_VECTOR_MOST];
    struct cvl_dw_share share;
    for (int first = 0; first < g->part[0].threads; first += lanes) {
        for (int lane = lanes - 1; lane >= 0; lane--) {
            share = cvl_dw_share_of(g, first + lane, g->taps);
            cvl_dw_filter_thread(g, &share, type, g->taps, g->outs, g->step, g->vector, sums[lane]);
        }
        for (int apart = lanes / 2; apart > 0; apart /= 2)
            for (int lane = 0; lane < apart; lane++)
                for (int j = 0; j < g->taps; j++)
                    sums[lane][j][0] += sums[lane + apart][j][0];
        cvl_dw_filter_store(g, &share, g->taps, g->vector, sums[0]);
    }
    for (int index = 0; index < g->dw.count; index++)
        cvl_dw_filter_sum(g, index);
}

static void run_problem(const cvl_conv_desc *desc, const void *chosen, cvl_conv_args args)
{
    const struct cvl_dw_choice *choice = chosen;
    const struct cvl_list list = cvl_dw_filter_list(desc);
    const cvl_dtype type = cvl_conv_type(desc, desc->pass == CVL_BWD_DATA ? CVL_Y : CVL_X);
    const size_t bytes = cvl_dw_filter_bytes(desc);
    float *w = guard_alloc(GUARD_START, bytes, 4), *partial = guard_alloc(GUARD_END, bytes * (size_t)choice->slices, 4);
    struct cvl_dw_launch g;
    memset(partial, 0xff, bytes * (size_t)choice->slices);
    for (int i = 0; i < list.count && desc->pass != CVL_BWD_FILTER; i++)
        w[i] = (float)cvl_dtype_load(desc->w_type, args.w, (size_t)cvl_list_site(&list, i).at);
    for (int class = 0; cvl_dw_next(desc, choice, &args, w, partial, &class, &g);)
        (desc->pass == CVL_BWD_FILTER ? run_filter : run_data)(&g, type);
    guard_free(w);
    guard_free(partial);
}

/* ---- problems ---- */

/* A random problem made depthwise: filters of up to 31, multipliers, channels in whole vectors in half of them. */
static cvl_conv_desc depthwise_problem(struct cvl_random *random)
{
    cvl_conv_desc d;
    do {
        d = random_problem(random);
        const int multiplier = cvl_random_below(random, 3) ? 1 : between(random, 2, 3);
        d.c = d.groups = cvl_random_below(random, 2) ? 8 * between(random, 1, 4) : between(random, 1, 20);
        d.k = d.c * multiplier;
        d.n = between(random, d.pass == CVL_BWD_FILTER ? 0 : 1, 3);
        d.y_layout = d.x_layout;
        if (cvl_random_below(random, 2)) {
            d.r = between(random, 1, cvl_random_below(random, 4) ? 7 : 31);
            d.s = cvl_random_below(random, 2) ? d.r : between(random, 1, 9);
            d.pad_top = d.pad_bottom = d.r / 2;
            d.pad_left = d.pad_right = d.s / 2;
        }
        if (cvl_random_below(random, 2))
            d.dil_h = d.dil_w = 1;
        if (cvl_random_below(random, 3) == 0) {
            const cvl_dtype type = cvl_random_below(random, 2) ? CVL_BF16 : CVL_F16;
            d.x_type = d.w_type = d.y_type = type;
        }
    } while (cvl_conv_check(&d) != CVL_OK || cvl_conv_is_integer(&d) || cvl_conv_flops(&d) > 4e6);
    return d;
}

static void random_problems_are_right(void **state)
{
    static const int outs[] = { 8, 4, 2, 1 };
    struct cvl_random random = { 31 };
    int runs[9] = { 0 }, vectors[9] = { 0 }, passes[3] = { 0 };
    for (int i = 0; i < PROBLEMS;) {
        const cvl_conv_desc desc = depthwise_problem(&random);
        struct cvl_dw_choice choice = cvl_dw_choose(&desc, between(&random, 0, 3));
        cvl_conv_args args;
        struct cvl_dw_launch g;
        int class = 0;
        const int out = outs[cvl_random_below(&random, 4)];
        char how[64];
        choice.outs = cvl_dw_runs(&desc, out) ? out : choice.outs;
        if (desc.pass == CVL_BWD_FILTER && cvl_random_below(&random, 2))
            choice.slices = between(&random, 1, 9);
        snprintf(how, sizeof how, "runs of %d, %d slices", choice.outs, choice.slices);
        on_host_check(&desc, run_problem, &choice, i % 3 ? GUARD_START : GUARD_END, on_host_rounding(&desc), how);
        cvl_conv_args_init(&args);
        if (cvl_dw_next(&desc, &choice, &args, NULL, NULL, &class, &g)) {
            runs[g.outs]++;
            vectors[g.vector]++;
            passes[desc.pass]++;
        }
        i++;
    }
    print_message("runs of 8, 4, 2, 1: %d %d %d %d; vectors of 8, 4, 1: %d %d %d; passes: %d %d %d\n", runs[8], runs[4],
                  runs[2], runs[1], vectors[8], vectors[4], vectors[1], passes[0], passes[1], passes[2]);
    assert_true(runs[8] >= 50 && runs[4] >= 50 && runs[2] >= 50 && runs[1] >= 50);
    assert_true(vectors[8] >= 30 && vectors[4] >= 50 && vectors[1] >= 200);
    assert_true(passes[0] >= 200 && passes[1] >= 200 && passes[2] >= 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(random_problems_are_right) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
