/* SPDX-License-Identifier: Apache-2.0
 * grouped: a few channels a group (ResNeXt 32x4d, ShuffleNet).
 *     y[n,k,p,q] = act(sum over c of a group, r, s of x[n,c,...] * w[k,c,r,s] + bias + residual)
 */
#include "conv/depthwise/grouped.h"

#include "base/dtype.h"
#include "base/error.h"
#include "conv/accuracy.h"
#include "conv/depthwise/depthwise.h"

#include <math.h>
#include <stdio.h>

enum { CHANNELS_MAX = 64 };

static const char *reject(const cvl_ctx *ctx, const cvl_conv_desc *desc)
{
    const int c = desc->c / desc->groups, k = desc->k / desc->groups;
    if (!cvl_conv_is_f32(desc))
        return cvl_reason("x, w and y must be f32, the problem has %s, %s and %s", cvl_dtype_name(desc->x_type),
                          cvl_dtype_name(desc->w_type), cvl_dtype_name(desc->y_type));
    if (desc->groups == 1)
        return cvl_reason("groups is 1, expected 2 or more");
    if (c == 1)
        return cvl_reason("a group has 1 channel: see depthwise");
    if (c > CHANNELS_MAX || k > CHANNELS_MAX)
        return cvl_reason("a group has %d input and %d output channels, expected at most %d", c, k, CHANNELS_MAX);
    return NULL;
}

static double estimate(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    return cvl_dw_estimate(ctx, desc, variant);
}

static cvl_status init(cvl_plan *plan)
{
    const struct cvl_group group = cvl_group_of(plan->ctx, &plan->desc, plan->variant.knob[0]);
    if (plan->variant.knob[0] < 0 || plan->variant.knob[0] > 1 << 20)
        return cvl_fail(CVL_ENOTFOUND, "rows is %d, expected 0 to %d", plan->variant.knob[0], 1 << 20);
    if (plan->desc.pass == CVL_BWD_FILTER) {
        plan->workspace_bytes = cvl_group_filter_floats(&group) * sizeof(float);
        return CVL_OK;
    }
    plan->workspace_bytes = cvl_group_data_floats(&group) * sizeof(float);
    if (plan->desc.const_filter) {
        plan->packed_bytes = cvl_group_packed_floats(&group) * sizeof(float);
        plan->packed_required = true;
        snprintf(plan->packed_format, sizeof plan->packed_format, "units");
    } else {
        plan->workspace_bytes += cvl_group_packed_floats(&group) * sizeof(float);
    }
    return CVL_OK;
}

static cvl_status pack(const cvl_plan *plan, const cvl_conv_args *args, void *packed)
{
    const struct cvl_group group = cvl_group_of(plan->ctx, &plan->desc, plan->variant.knob[0]);
    cvl_group_pack(&group, args->w, packed);
    return CVL_OK;
}

static cvl_status run(const cvl_plan *plan, const cvl_conv_args *args, void *workspace)
{
    const struct cvl_group group = cvl_group_of(plan->ctx, &plan->desc, plan->variant.knob[0]);
    float *floats = workspace;
    if (plan->desc.pass == CVL_BWD_FILTER) {
        cvl_group_filter(&group, args, floats);
    } else if (args->packed) {
        cvl_group_data(&group, args, args->packed, floats);
    } else {
        cvl_group_pack(&group, args->w, floats);
        cvl_group_data(&group, args, floats, floats + cvl_group_packed_floats(&group));
    }
    return CVL_OK;
}

const struct cvl_algo cvl_algo_grouped = {
    .name = "grouped", .revision = 2, .device = CVL_CPU, .knobs = { "rows" }, .reject = reject,
    .variants = NULL, .estimate = estimate, .tolerance = cvl_dw_tolerance, .init = init, .pack = pack, .run = run,
};
