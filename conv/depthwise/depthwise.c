/* SPDX-License-Identifier: Apache-2.0
 * depthwise: one filter per channel,
 *     y[n,k,p,q] = act(sum over r,s of x[n, k/m, p*stride + r*dil - pad, ...] * w[k,r,s] + bias + residual),  K = C * m,
 * and its gradients, by register-blocked sliding windows over the image where it lies. With so few products for each
 * input the limit is how often a value is loaded: an input is loaded once for up to seven taps and a run of up to 14
 * outputs in registers. (The window over direct loops is that of J. Zhang, F. Franchetti, T. M. Low, "High performance
 * zero-memory overhead direct convolutions", 2018.)
 *
 * Strips have channels along the lanes and runs of columns in registers; bands have columns along the lanes and runs of
 * rows, or where the taps are 3 x 3 one row after another, two to a vector where they are narrow. NHWC is summed in
 * strips; NCHW in bands, or in strips of planes that are turned into points of a vector of channels in workspace and
 * back: with 5x5 taps and more that costs little. Dilation makes several images of every dil-th column, and BWD_DATA
 * with a stride several of every stride-th (conv/axis.h), so that one kernel serves all; only with 3 x 3 taps and a
 * stride of two are they summed in one pass. Long filters are cut into blocks of seven taps. Padding is never read:
 * rows, columns and vectors that lie on it are skipped with their products, and at an edge in bands lanes are masked.
 *
 * Memory: the filter is packed in panels of lanes (in workspace where it is not constant); turned planes take a task's
 * rows of 16 channels for each thread; BWD_FILTER (depthwise_filter.c) sums in parts, at most 16 filters' worth, and
 * brings planes into lanes a band at a time unless taps are 3 x 3. Multiplications: those of the formula without
 * padding.
 * Where it loses: filters of more than some 15 x 15 taps on large images, which an FFT multiplies faster; NCHW with a
 * stride of two and other than 3 x 3 taps, half of whose loads cross cache lines; NCHW with stride_w above 2, gathered
 * lane by lane. */
#include "conv/depthwise/depthwise.h"
#include "conv/depthwise/depthwise_strip.h"

#include "base/alloc.h"
#include "base/dtype.h"
#include "base/error.h"
#include "conv/accuracy.h"

#include <math.h>
#include <stdio.h>

/* ---- what is along the lanes ---- */

static void choose_panels(struct cvl_dw *dw)
{
    const int lanes = dw->lanes, in = dw->in_channels, out = dw->out_channels, groups = dw->desc->groups;
    const int most = cvl_max(in, out);
    dw->looks_up = most > 1;
    if (most > lanes / 2) {
        dw->panel_groups = 1;
        dw->panels = groups * cvl_divide_up(out, lanes);
        return;
    }
    dw->panel_groups = lanes / most;
    dw->panels = cvl_divide_up(groups, dw->panel_groups);
    for (int lane = 0; lane < dw->panel_groups * out; lane++)
        dw->lookup[lane] = lane / out * in;
}

struct cvl_dw cvl_dw_of(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    const bool backward = desc->pass == CVL_BWD_DATA;
    const int c = desc->c / desc->groups, k = desc->k / desc->groups;
    struct cvl_dw dw = {
        .ctx = ctx, .desc = desc, .lanes = cvl_dw_lanes(ctx), .variant = *variant,
        .out_channels = backward ? c : k, .in_channels = backward ? k : c,
        .out = cvl_conv_strides(desc, backward ? CVL_X : CVL_Y), .in = cvl_conv_strides(desc, backward ? CVL_Y : CVL_X),
        .w = cvl_conv_strides(desc, CVL_W),
    };
    dw.w_out = dw.w.at[backward];
    dw.w_in = dw.w.at[!backward];
    dw.w_group = k * dw.w.at[0];
    choose_panels(&dw);
    return dw;
}

struct cvl_dw_panel cvl_dw_panel_of(const struct cvl_dw *dw, int panel)
{
    const int lanes = dw->lanes;
    if (dw->panel_groups == 1) {
        const int each = cvl_divide_up(dw->out_channels, lanes), first = panel % each * lanes, group = panel / each;
        return (struct cvl_dw_panel){ group * dw->out_channels + first, cvl_min(lanes, dw->out_channels - first), group, 1 };
    }
    const int group = panel * dw->panel_groups, groups = cvl_min(dw->panel_groups, dw->desc->groups - group);
    return (struct cvl_dw_panel){ group * dw->out_channels, groups * dw->out_channels, group, groups };
}

/* ---- the contract ---- */

/* k additions onto a sum of about sqrt(i)/3 are each off by up to 2^-25 of it. */
double cvl_dw_tolerance(const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    const double k = cvl_conv_reduction(desc) + 1;
    return 0x1p-24 * (2 + 2 * sqrt(k) + k) / cvl_conv_largest_output(desc, k);
}

static const char *reject(const cvl_ctx *ctx, const cvl_conv_desc *desc)
{
    if (!cvl_conv_is_f32(desc))
        return cvl_reason("x, w and y must be f32, the problem has %s, %s and %s", cvl_dtype_name(desc->x_type),
                          cvl_dtype_name(desc->w_type), cvl_dtype_name(desc->y_type));
    if (desc->groups == 1)
        return cvl_reason("groups is 1, expected 2 or more");
    if (desc->c != desc->groups)
        return cvl_reason("a group has %d channels, a depthwise one has 1: see grouped", desc->c / desc->groups);
    if (desc->x_layout != desc->y_layout && (desc->k != desc->c || desc->pass == CVL_BWD_FILTER))
        return cvl_reason("x and y must have the same layout in bwd_filter and with more than one filter a channel");
    return NULL;
}

enum { STREAMED_BYTES = 4 << 20 };

/* NCHW: columns along the lanes and channels along the lanes, the likelier one first. */
static int variants(const cvl_ctx *ctx, const cvl_conv_desc *desc, struct cvl_variant *variants, int max)
{
    const struct cvl_variant best = { .knob = { 0 } };
    const struct cvl_dw dw = cvl_dw_of(ctx, desc, &best);
    int count = 0;
    variants[count++] = best;
    if (desc->pass != CVL_BWD_FILTER && desc->x_layout == CVL_NCHW && desc->y_layout == CVL_NCHW && desc->k == desc->c
        && max > 1)
        variants[count++] = (struct cvl_variant){ .knob[CVL_DW_TURN] = cvl_dw_plan_of(&dw).bands ? 2 : 1 };
    /* What comes from memory is better read in short tasks, along the rows. */
    if (desc->pass != CVL_BWD_FILTER && cvl_conv_bytes(desc, CVL_X) + cvl_conv_bytes(desc, CVL_Y) > STREAMED_BYTES)
        for (int rows = 4; rows <= 8 && count < max; rows += 4)
            variants[count++] = (struct cvl_variant){ .knob[CVL_DW_ROWS] = rows };
    return count;
}

static double filter_seconds(const struct cvl_dw *dw)
{
    static const double rate = 0.8;   /* of the peak, with full lanes in the first-level cache */
    const cvl_conv_desc *desc = dw->desc;
    const struct cvl_rates *rates = &dw->ctx->rates;
    const double bytes = cvl_conv_bytes(desc, CVL_X) + cvl_conv_bytes(desc, CVL_Y);
    const double memory = bytes / 2 / (bytes < (1 << 20) ? rates->copy_l2 : rates->copy_l3);
    const int columns = cvl_conv_q(desc);
    const double filled = desc->x_layout == CVL_NHWC
                              ? (double)desc->groups * dw->out_channels / (dw->panels * dw->lanes)
                              : (double)columns / (cvl_divide_up(columns, dw->lanes) * dw->lanes);
    return fmax(memory, cvl_conv_flops(desc) / (rates->f32_flops * rate * filled)) + 1e-6;
}

static double estimate(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    const struct cvl_dw dw = cvl_dw_of(ctx, desc, variant);
    return desc->pass == CVL_BWD_FILTER ? filter_seconds(&dw) : cvl_dw_sum_seconds(&dw);
}

static cvl_status init(cvl_plan *plan)
{
    const int *knob = plan->variant.knob;
    if (knob[CVL_DW_TURN] > 2)
        return cvl_fail(CVL_ENOTFOUND, "turn is %d, expected 0 to 2", knob[CVL_DW_TURN]);
    for (int i = 0; plan->algo->knobs[i]; i++)
        if (knob[i] < 0 || knob[i] > 1 << 20)
            return cvl_fail(CVL_ENOTFOUND, "%s is %d, expected 0 to %d", plan->algo->knobs[i], knob[i], 1 << 20);
    struct cvl_dw_state *state = cvl_alloc(sizeof *state);
    if (!state)
        return cvl_fail(CVL_ENOMEM, "no memory for a plan of %s", plan->candidate);
    plan->state = state;
    *state = (struct cvl_dw_state){ .dw = cvl_dw_of(plan->ctx, &plan->desc, &plan->variant) };
    if (plan->desc.pass == CVL_BWD_FILTER) {
        plan->workspace_bytes = cvl_dw_filter_workspace(&state->dw);
        return CVL_OK;
    }
    state->plan = cvl_dw_plan_of(&state->dw);
    const size_t packed_bytes = cvl_dw_packed_floats(&state->dw) * sizeof(float);
    plan->packed_bytes = plan->desc.const_filter ? packed_bytes : 0;
    plan->packed_required = plan->desc.const_filter;
    snprintf(plan->packed_format, sizeof plan->packed_format, "panels");
    plan->workspace_bytes = (plan->desc.const_filter ? 0 : packed_bytes)
                          + state->plan.scratch_floats * sizeof(float) * (size_t)plan->ctx->threads;
    return CVL_OK;
}

static cvl_status pack(const cvl_plan *plan, const cvl_conv_args *args, void *packed)
{
    const struct cvl_dw_state *state = plan->state;
    cvl_dw_pack(&state->dw, args->w, packed);
    return CVL_OK;
}

static cvl_status run(const cvl_plan *plan, const cvl_conv_args *args, void *workspace)
{
    const struct cvl_dw_state *state = plan->state;
    return plan->desc.pass == CVL_BWD_FILTER ? cvl_dw_filter(&state->dw, args, workspace)
                                             : cvl_dw_sum(state, args, workspace);
}

static void fini(cvl_plan *plan)
{
    cvl_free(plan->state);
}

const struct cvl_algo cvl_algo_depthwise = {
    .name = "depthwise", .revision = 5, .device = CVL_CPU, .knobs = { "rows", "panels", "turn" }, .reject = reject,
    .variants = variants, .estimate = estimate, .tolerance = cvl_dw_tolerance, .init = init,
    .pack = pack, .run = run, .fini = fini,
};
