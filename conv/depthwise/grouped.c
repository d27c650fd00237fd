/* SPDX-License-Identifier: Apache-2.0
 * grouped: a few channels a group (ResNeXt 32x4d, ShuffleNet), by the kernels of `depthwise`, whose window also sums over
 * the channels of a group.
 *     y[n,k,p,q] = act(sum over c of a group, r, s of x[n,c,...] * w[k,c,r,s] + bias + residual)
 * NHWC: a vector holds several whole groups of what is written, none padded to a vector; an input vector is loaded once
 * for a channel of all of these groups, whose lanes look up theirs, and multiplied with up to seven taps for each of up
 * to 14 columns. Groups of more than half a vector have vectors of their own and broadcast the input. NCHW: columns along
 * the lanes, whatever the groups are.
 *
 * Memory and edges as in depthwise.c. Multiplications: those of the formula without padding.
 * Where it loses: to Winograd (3x3, stride 1) from some 16 channels a group on, and to a blocked GEMM with more than 64,
 * since an input is loaded again for each vector of outputs. */
#include "conv/depthwise/depthwise.h"

#include "base/error.h"

enum { CHANNELS_MAX = 64 };

static const char *reject(const cvl_ctx *ctx, const cvl_conv_desc *desc)
{
    const int c = desc->c / desc->groups, k = desc->k / desc->groups;
    const char *reason = cvl_dw_reject(desc);
    if (!reason && c == 1)
        reason = cvl_reason("a group has 1 channel: see depthwise");
    if (!reason && (c > CHANNELS_MAX || k > CHANNELS_MAX))
        reason = cvl_reason("a group has %d input and %d output channels, expected at most %d", c, k, CHANNELS_MAX);
    return reason;
}

const struct cvl_algo cvl_algo_grouped = {
    .name = "grouped", .revision = 1, .device = CVL_CPU, .knobs = { "rows", "panels" }, .reject = reject,
    .variants = cvl_dw_variants, .estimate = cvl_dw_estimate, .tolerance = cvl_dw_tolerance, .init = cvl_dw_init,
    .pack = cvl_dw_pack_plan, .run = cvl_dw_run,
};
