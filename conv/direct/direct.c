/* SPDX-License-Identifier: Apache-2.0
 * direct: the convolution as its formula reads, summed in registers.
 *
 *     out[o, t] = act(sum over reduction of a[t, .] * b[o, .] + bias + residual)
 *
 * where FWD sums x * w over (c,r,s), BWD_DATA dy * w over (k,r,s) and BWD_FILTER x * dy over (n,p,q). All three are one
 * strided sum (direct_axis.c), for every layout: a panel of lanes times some positions is held in registers while a
 * chunk of the reduction goes by (direct_kern.c), and in totals on the stack in between.
 *
 * Memory: no workspace; 35 KB of every thread's stack. With a constant filter and lanes of channels, the filter packed
 * in panels. Multiplications: those of the formula, none with padding.
 * Where it loses: to Winograd and FFT on large filters and many channels, which multiply less; to a blocked GEMM when
 * the filter outgrows the caches; with few channels a group (depthwise), where its short sums are mostly overhead; and
 * on an image whose lanes are far apart (depthwise NCHW with stride_w above 2). */
#include "conv/direct/direct.h"

#include "base/dtype.h"
#include "conv/accuracy.h"
#include "conv/traffic.h"

#include <math.h>

#define DECLARE(level) extern const struct cvl_direct_kern cvl_direct_kern_##level;
CVL_ISA_LIST(DECLARE)
#define ENTRY(level) &cvl_direct_kern_##level,
static const struct cvl_direct_kern *const kerns[] = { CVL_ISA_LIST(ENTRY) };

static const char *reject(const cvl_ctx *ctx, const cvl_conv_desc *desc)
{
    if (!cvl_conv_is_f32(desc))
        return cvl_reason("x, w and y must be f32, the problem has %s, %s and %s", cvl_dtype_name(desc->x_type),
                          cvl_dtype_name(desc->w_type), cvl_dtype_name(desc->y_type));
    return NULL;
}

/* Shares of the arithmetic peak that full vectors reach: of CHANNELS; of GROUPS and COLUMNS when these are contiguous
 * in memory, two apart, or further; and what every block of COLUMNS costs besides. Measured on one core with AVX-512,
 * ResNet-50 and MobileNet-V2. */
static const double channel_rate = 0.7, packed_gain = 1.2;
static const double lane_rates[] = { 0.25, 0.12, 0.03 };
static const double block_seconds = 0.25e-6;

static double filled(int used, int lanes)
{
    return (double)used / ((used + lanes - 1) / lanes * lanes);
}

static double lane_rate(ptrdiff_t stride)
{
    return lane_rates[stride == 1 ? 0 : stride == 2 ? 1 : 2];
}

/* Depends on nothing that may change between runs with one packed filter: not on n, h or w. */
static double rate(const struct cvl_direct_job *job, enum cvl_direct_lanes lanes)
{
    const cvl_conv_desc *d = job->desc;
    const bool channels_last = (d->pass == CVL_BWD_DATA ? d->y_layout : d->x_layout) == CVL_NHWC;
    const bool filter = d->pass == CVL_BWD_FILTER;
    switch (lanes) {
    case CVL_DIRECT_CHANNELS:
        return channel_rate * filled(job->out_channels, job->kern->lanes) *
               (filter && job->in_channels < 4 ? job->in_channels / 4.0 : 1);
    case CVL_DIRECT_GROUPS:
        return lane_rate(channels_last ? job->in_channels : 0) * filled(d->groups, job->kern->lanes);
    case CVL_DIRECT_COLUMNS:
        return lane_rate(channels_last ? 0 : d->pass == CVL_BWD_DATA ? 1 : d->stride_w);
    }
    return 0;
}

/* Everything but the pointers. */
static struct cvl_direct_job describe(const cvl_ctx *ctx, const cvl_conv_desc *desc)
{
    const bool backward = desc->pass == CVL_BWD_DATA;
    const int c = desc->c / desc->groups, k = desc->k / desc->groups;
    struct cvl_direct_job job = {
        .kern = kerns[ctx->isa], .desc = desc, .out_channels = backward ? c : k, .in_channels = backward ? k : c,
        .strides = {
            .out = cvl_conv_strides(desc, backward ? CVL_X : CVL_Y),
            .in = cvl_conv_strides(desc, backward ? CVL_Y : CVL_X),
            .w = cvl_conv_strides(desc, CVL_W),
        },
    };
    for (enum cvl_direct_lanes lanes = CVL_DIRECT_GROUPS; lanes <= CVL_DIRECT_COLUMNS; lanes++)
        if (rate(&job, lanes) > rate(&job, job.lanes))
            job.lanes = lanes;
    return job;
}

static bool packs(const struct cvl_direct_job *job)
{
    return job->desc->const_filter && job->desc->pass != CVL_BWD_FILTER && job->lanes == CVL_DIRECT_CHANNELS;
}

static double estimate(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    const struct cvl_direct_job job = describe(ctx, desc);
    const double bytes = cvl_conv_bytes(desc, CVL_X) + cvl_conv_bytes(desc, CVL_W) + cvl_conv_bytes(desc, CVL_Y);
    double share = rate(&job, job.lanes) * (packs(&job) ? packed_gain : 1), blocks = 0;
    if (job.lanes == CVL_DIRECT_COLUMNS) {
        const int classes = cvl_direct_classes(desc, true) * cvl_direct_classes(desc, false);
        const int columns = desc->pass == CVL_BWD_DATA ? (desc->w - 1) / desc->stride_w + 1 : cvl_conv_q(desc);
        share *= filled(columns, job.kern->lanes);
        blocks = (double)desc->n * desc->groups * job.out_channels * classes;
    }
    const double copy = cvl_comes_from_memory(bytes) ? ctx->rates.copy_dram : ctx->rates.copy_l3;
    return cvl_conv_flops(desc) / (ctx->rates.f32_flops * share) + bytes / (2 * copy) +
           blocks * block_seconds / ctx->threads;
}

/* k additions of random signs onto a sum of about sqrt(i)/3 are each off by up to 2^-25 of it: by k/10 of that in the
 * mean square, and by k on a long path among many outputs. Here chunks of m additions are summed apart, whose errors
 * add up like the square root of their number, and k/m chunks of sqrt(m)/3 are added up. The epilogue rounds twice
 * more, and its exponential functions are good to a few places of what they are given. */
static double tolerance(const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    const double k = cvl_conv_reduction(desc) + 1, m = fmin(k, CVL_DIRECT_STEPS);
    return 0x1p-24 * (2 + 2 * sqrt(k) + sqrt(k * m) + (k - m) / sqrt(m)) / cvl_conv_largest_output(desc, k);
}

static cvl_status init(cvl_plan *plan)
{
    const struct cvl_direct_job job = describe(plan->ctx, &plan->desc);
    if (packs(&job))
        plan->packed_bytes =
            sizeof(float) * plan->desc.groups * cvl_direct_panels(&job) * cvl_direct_packed_panel(&job);
    return CVL_OK;
}

static cvl_status pack(const cvl_plan *plan, const cvl_conv_args *args, void *packed)
{
    struct cvl_direct_job job = describe(plan->ctx, &plan->desc);
    job.filter = args->w;
    cvl_direct_pack(plan->ctx, &job, packed);
    return CVL_OK;
}

static cvl_status run(const cvl_plan *plan, const cvl_conv_args *args, void *workspace)
{
    const cvl_conv_desc *desc = &plan->desc;
    struct cvl_direct_job job = describe(plan->ctx, desc);
    const bool backward = desc->pass == CVL_BWD_DATA;
    job.in_image = backward ? args->y : args->x;
    job.out_image = args->y;
    job.filter = args->w;
    if (args->packed)
        cvl_direct_use_packed(&job, args->packed);
    job.written = cvl_conv_pointer(args, cvl_conv_written(desc->pass));
    job.bias = args->bias;
    job.residual = args->residual;
    if (desc->pass == CVL_BWD_FILTER)
        cvl_direct_filter(plan->ctx, &job);
    else
        cvl_direct_data(plan->ctx, &job);
    return CVL_OK;
}

const struct cvl_algo cvl_algo_direct = {
    .name = "direct", .revision = 2, .device = CVL_CPU,
    .reject = reject, .estimate = estimate, .tolerance = tolerance, .init = init, .pack = pack, .run = run,
};
