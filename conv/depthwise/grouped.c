/* SPDX-License-Identifier: Apache-2.0
 * grouped: a few channels a group (ResNeXt, S. Xie et al. 2017; ShuffleNet, X. Zhang et al. 2018).
 *     y[n,k,p,q] = act(sum over c of a group, r, s of x[n,c,...] * w[k,c,r,s] + bias + residual)
 * Written channels lie along the lanes: of several whole groups, none padded to a vector, or of one larger group. A
 * tile of 2 x 7 outputs stays in registers beside the 3 x 3 weights of one channel; an input is loaded once for the six
 * products of a weight that it is part of, its lanes looking up the channel of their own group by one permutation. So
 * at stride 1 a permutation or a broadcast comes with 3.5 multiply-adds, at stride 2 with 1.7. Where a group has whole
 * pairs of vectors the tile is one row of two vectors (grouped_pair_kern.c). BWD_FILTER is the dual: a tile of y stays
 * in registers, and nine totals. BWD_DATA of 3 x 3 taps and a stride of two sums its four residue
 * classes in one pass (grouped_quad_kern.c). Padding is skipped with its products.
 *
 * Memory: a band of rows of one unit for each thread, where x is planes or its points lie far apart (these are brought
 * while the first rows are summed up), and a band of outputs where y is planes; a packed filter (in workspace where it
 * is not constant); BWD_FILTER: its totals, up to 16 times. Multiplications: those of the formula without padding.
 * Where it loses: to Winograd (3x3, stride 1) from some 16 channels a group on; planes of 4 channels a group, where
 * transposing there and back is a quarter of the time; filters other than 3x3, whose taps share inputs along a row
 * only; groups that fill their vectors badly (9 to 15 channels). */
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

/* Multiply-adds at a tile's rate, lanes that no group uses among them, and every byte moved as often as bands do. */
static double estimate(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    static const double fast = 0.85, slow = 0.3, transposed = 0.5;   /* of the peak; of the rate of copying bytes */
    static const struct cvl_variant none;
    const struct cvl_group group = cvl_group_of(ctx, desc, variant), chosen = cvl_group_of(ctx, desc, &none);
    const double rate = cvl_group_brings(&chosen) && !cvl_group_brings(&group) ? slow : fast;
    const double x = (double)cvl_conv_bytes(desc, CVL_X), y = (double)cvl_conv_bytes(desc, CVL_Y);
    const double copy = x + y < (1 << 20) ? ctx->rates.copy_l2 : ctx->rates.copy_l3;
    const double used = (double)desc->groups * group.out_channels / (group.units * group.panels * group.kern->lanes);
    double moved = (x + y) / 2;
    if (cvl_group_brings(&group))
        moved += (desc->pass == CVL_BWD_DATA ? y : x) / (group.in_last ? 1 : transposed);
    if (!group.out_last)
        moved += (desc->pass == CVL_BWD_DATA ? x : y) / transposed;
    return moved / copy + cvl_conv_flops(desc) / (ctx->rates.f32_flops * rate * used) + 1e-6;
}

static int variants(const cvl_ctx *ctx, const cvl_conv_desc *desc, struct cvl_variant *variants, int max)
{
    variants[0] = (struct cvl_variant){ .knob = { 0 } };
    const struct cvl_group group = cvl_group_of(ctx, desc, &variants[0]);
    if (!cvl_group_may_stay(&group) || max < 2)
        return 1;
    const int other = cvl_group_brings(&group) ? CVL_GROUP_IN_PLACE : CVL_GROUP_BROUGHT;
    variants[1] = (struct cvl_variant){ .knob[CVL_GROUP_BRING] = other };
    return 2;
}

static cvl_status init(cvl_plan *plan)
{
    const struct cvl_group group = cvl_group_of(plan->ctx, &plan->desc, &plan->variant);
    const int *knob = plan->variant.knob;
    if (knob[CVL_GROUP_ROWS] < 0 || knob[CVL_GROUP_ROWS] > 1 << 20)
        return cvl_fail(CVL_ENOTFOUND, "rows is %d, expected 0 to %d", knob[CVL_GROUP_ROWS], 1 << 20);
    if (knob[CVL_GROUP_BRING] < 0 || knob[CVL_GROUP_BRING] > CVL_GROUP_BROUGHT)
        return cvl_fail(CVL_ENOTFOUND, "bring is %d, expected 1 (in place) or 2 (brought)", knob[CVL_GROUP_BRING]);
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
    const struct cvl_group group = cvl_group_of(plan->ctx, &plan->desc, &plan->variant);
    cvl_group_pack(&group, args->w, packed);
    return CVL_OK;
}

static cvl_status run(const cvl_plan *plan, const cvl_conv_args *args, void *workspace)
{
    const struct cvl_group group = cvl_group_of(plan->ctx, &plan->desc, &plan->variant);
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
    .name = "grouped", .revision = 4, .device = CVL_CPU, .knobs = { "rows", "bring" }, .reject = reject,
    .variants = variants, .estimate = estimate, .tolerance = cvl_dw_tolerance, .init = init, .pack = pack, .run = run,
};
