/* SPDX-License-Identifier: Apache-2.0
 * The measuring protocol on a GPU, on one that is faked: what is captured, which buffers the runs go round, what counts
 * as a sample, and that all is given back. Needs no CUDA. */
#include "fake_gpu.h"

#include "base/ctx.h"
#include "base/dtype.h"
#include "conv/algo.h"
#include "conv/desc.h"
#include "conv/reference/oracle.h"
#include "tuner/measure.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define CANDIDATES 2
#define SEEN_MAX 4096
#define RUN_S 7e-6                   /* of candidate 0; candidate 1 takes twice as long */
#define PACKED 100                   /* bytes */

static cvl_ctx ctx = { .device = &fake_gpu, .threads = 1 };
static bool wrong;                   /* candidate 0 writes nothing */
static struct cvl_conv_args seen[SEEN_MAX];   /* of the runs that were done, by candidate 0 */
static int seen_count;

struct run { const cvl_plan *plan; cvl_conv_args args; };

static void do_run(const void *arg)
{
    const struct run *run = arg;
    const cvl_conv_desc *desc = &run->plan->desc;
    const enum cvl_tensor written = cvl_conv_written(desc->pass);
    const int which = run->plan->variant.knob[0];
    if (which == 0 && seen_count < SEEN_MAX)
        seen[seen_count++] = run->args;
    /* Only a check looks at what was written, and spoils it before: timed runs need not write the same again. */
    void *const to = cvl_conv_pointer(&run->args, written);
    const cvl_dtype type = cvl_conv_type(desc, written);
    const bool computes = isnan(cvl_dtype_load(type, to, 0)) && !(wrong && which == 0);
    for (size_t i = 0; computes && i < cvl_conv_count(desc, written); i++)
        cvl_dtype_store(type, to, i, cvl_oracle_at(desc, &run->args, i));
}

static cvl_status run(const cvl_plan *plan, const cvl_conv_args *args, void *workspace)
{
    const struct run run = { plan, *args };
    if (plan->workspace_bytes)
        memset(workspace, 1, plan->workspace_bytes);
    fake_gpu_launch(args->stream, do_run, &run, sizeof run, RUN_S * (1 + plan->variant.knob[0]));
    return CVL_OK;
}

static cvl_status pack(const cvl_plan *plan, const cvl_conv_args *args, void *packed)
{
    memset(packed, 7, plan->packed_bytes);
    return CVL_OK;
}

static double tolerance(const cvl_conv_desc *desc, const struct cvl_variant *variant) { return 1e-6; }

static const struct cvl_algo fake = {
    .name = "fake", .device = CVL_CUDA, .tolerance = tolerance, .pack = pack, .run = run,
};

static double still(void) { return 1000 + fake_gpu_clock; }

struct bout {
    cvl_conv_desc          desc;
    cvl_plan               plans[CANDIDATES];
    struct cvl_measurement measured[CANDIDATES];
};

static void measure(struct bout *bout, const char *problem, cvl_state state, size_t packed_bytes)
{
    const struct cvl_measure_options options = { .state = state, .exhaustive = true, .budget_s = HUGE_VAL, .seed = 3,
                                                 .now = still };
    memset(bout, 0, sizeof *bout);
    assert_int_equal(cvl_conv_parse(problem, &bout->desc), CVL_OK);
    for (int i = 0; i < CANDIDATES; i++) {
        bout->plans[i] = (cvl_plan){ .ctx = &ctx, .algo = &fake, .desc = bout->desc, .workspace_bytes = 512,
                                     .packed_bytes = packed_bytes, .packed_id = 1, .variant = { .knob = { i } } };
        snprintf(bout->plans[i].candidate, sizeof bout->plans[i].candidate, "fake:id=%d", i);
        bout->measured[i].plan = &bout->plans[i];
        bout->measured[i].expected_s = RUN_S * (1 + i);
    }
    seen_count = fake_gpu_paces = fake_gpu_captures = fake_gpu_replays = 0;
    fake_gpu_clock = 0;
    assert_int_equal(cvl_measure(&ctx, &bout->desc, &options, bout->measured, CANDIDATES), CVL_OK);
    assert_int_equal(fake_gpu_live, 0);
}

static int different(const void *(*of)(const cvl_conv_args *args))
{
    int count = 0;
    for (int i = 0; i < seen_count; i++) {
        int earlier = 0;
        while (of(&seen[earlier]) != of(&seen[i]))
            earlier++;
        count += earlier == i;
    }
    return count;
}

static const void *x_of(const cvl_conv_args *args) { return args->x; }
static const void *w_of(const cvl_conv_args *args) { return args->w; }
static const void *packed_of(const cvl_conv_args *args) { return args->packed; }

#define SMALL "fwd:f32:nchw:n1c4h8w8k4r3s3:pad1"
#define SMALL_PACKED SMALL ":const"

static void warm_samples_are_replays_on_the_same_buffers(void **state)
{
    struct bout bout;
    measure(&bout, SMALL, CVL_HOT, 0);
    for (int i = 0; i < CANDIDATES; i++) {
        assert_int_equal(bout.measured[i].outcome, CVL_OUTCOME_OK);
        assert_int_equal(bout.measured[i].time.samples, 15);
        assert_true(fabs(bout.measured[i].time.median / (RUN_S * (1 + i)) - 1) < 1e-9);
    }
    /* The check and what takes its time have buffers of the arena's and of the timing's. */
    assert_true(different(x_of) <= 2 && different(w_of) <= 2);
    assert_true(fake_gpu_replays >= 2 * 15);
    /* Doubled until 200 us: 1, 2, ... 32 runs for 7 us, 16 for 14 us. */
    assert_int_equal(fake_gpu_captures, 6 + 5);
    assert_true(fake_gpu_paces >= 15);
}

static void cold_samples_go_round_three_times_the_cache(void **state)
{
    struct bout bout;
    measure(&bout, "fwd:f32:nchw:n1c16h64w64k16r3s3:pad1", CVL_COLD, 0);
    const size_t bytes = cvl_conv_bytes(&bout.desc, CVL_X) + cvl_conv_bytes(&bout.desc, CVL_W)
                       + cvl_conv_bytes(&bout.desc, CVL_Y);
    assert_int_equal(bout.measured[0].outcome, CVL_OUTCOME_OK);
    assert_true((size_t)(different(x_of) - 1) * bytes >= 3 * FAKE_GPU_L2);
    assert_int_equal(different(x_of), different(w_of));
    assert_true(fabs(bout.measured[0].time.median / RUN_S - 1) < 1e-9);
}

static void cold_filters_go_round_alone(void **state)
{
    struct bout bout;
    measure(&bout, "fwd:f32:nchw:n1c128h4w4k128r3s3:pad1:const", CVL_COLD_FILTER, PACKED);
    assert_int_equal(bout.measured[1].outcome, CVL_OUTCOME_OK);
    assert_true(different(x_of) <= 2);
    assert_true((size_t)(different(w_of) - 1) * cvl_conv_bytes(&bout.desc, CVL_W) >= 3 * FAKE_GPU_L2);
    assert_int_equal(different(packed_of), different(w_of) - 1);
    for (int i = 0; i < seen_count; i++)
        if (seen[i].packed)
            assert_int_equal((uintptr_t)seen[i].packed % 256, 0);
}

static void what_cannot_be_captured_is_launched(void **state)
{
    struct bout bout;
    fake_gpu_refuses_capture = true;
    measure(&bout, SMALL_PACKED, CVL_HOT, PACKED);
    fake_gpu_refuses_capture = false;
    assert_int_equal(bout.measured[0].outcome, CVL_OUTCOME_OK);
    assert_int_equal(bout.measured[0].time.samples, 15);
    assert_int_equal(fake_gpu_captures, CANDIDATES);
    assert_int_equal(fake_gpu_replays, 0);
    assert_true(fabs(bout.measured[0].time.median / RUN_S - 1) < 1e-9);
}

static void wrong_results_are_seen(void **state)
{
    static const char *const problems[] = { SMALL, "bwd_data:f32:nchw:n1c4h8w8k4r3s3:pad1",
                                            "bwd_filter:f32:nhwc:n2c4h8w8k4r3s3:pad1" };
    struct bout bout;
    for (int i = 0; i < 3; i++) {
        wrong = true;
        measure(&bout, problems[i], CVL_HOT, 0);
        wrong = false;
        assert_int_equal(bout.measured[0].outcome, CVL_OUTCOME_WRONG);
        assert_int_equal(bout.measured[1].outcome, CVL_OUTCOME_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(warm_samples_are_replays_on_the_same_buffers),
        cmocka_unit_test(cold_samples_go_round_three_times_the_cache),
        cmocka_unit_test(cold_filters_go_round_alone),
        cmocka_unit_test(what_cannot_be_captured_is_launched),
        cmocka_unit_test(wrong_results_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
