/* SPDX-License-Identifier: Apache-2.0
 * winograd: minimal filtering, F(m x m', r x s): a tile of m x m' outputs from t x t' = (m+r-1) x (m'+s-1) inputs with
 * t*t' multiplications instead of m*m'*r*s, summed over the channels before the inverse:
 *     y = A^T [ sum over c of (G w G^T) .* (B^T x B) ] A
 * A. Lavin, S. Gray, "Fast algorithms for convolutional neural networks", 2016; the sums are a matrix product for each
 * of the t*t' points. BWD_DATA is the same of dy and the rotated filter, with r-1-pad. A stride of 2 takes image and
 * filter apart into phases, whose correlations of half the taps are sums in the transformed domain too; a phase that
 * has a tap fewer is zero at infinity, and skips that point.
 *
 * 3x3 takes 2.25 times fewer multiplications with m=2, 4 with m=4, 5.06 with m=6 and 5.44 with m=7; of stride 2, whose
 * phases have two taps and one, (2+1/m)^2 instead of 9 an output. A tile that hangs over the edge computes for nothing:
 * 7 fits 7, 14, 28 and 56.
 *
 * Knobs: `m` is the tile, one digit or two for rows and columns; `tiles` of a block; `staged` 1: all tiles are
 * transformed before the first is multiplied; `points` 1: the classic point set, with fewer operations and more error.
 * Memory: the packed filter has t*t' x K x C floats. Blocked, each thread has t*t' x tiles x (C + K') floats, K' <= K;
 * staged, t*t' x all tiles x C, and for each thread t*t' x tiles x K'. A raw filter is packed in the workspace, in
 * every run.
 * Errors: those of direct convolution times what the transforms make of rounding, in 3x3 by m: 1.7 (2), 4.1 (3), 4.8
 * (4), 15 (5), 21 (6), 68 (7); a rectangle has the geometric mean. Long reductions are sums of parts: beyond 256
 * channels, or 128 for the largest tiles, errors hardly grow. `tolerance` is the bound, winograd-errors measures.
 * It loses to implicit GEMM where channels are few (the transforms cost more than they save) and where the transformed
 * filter is read for few tiles: at 512 channels and 7x7 outputs of stride 2 it is 47 MB of 1x7 and 2x4, whose bare
 * products take 1.63 and 1.76 ms (a Zen 4; filter-floor), and those of all other tiles more: 1x4 1.80, 2 1.90, 2x3
 * 2.04, 1x3 2.07, 2x7 2.84, 4 3.05; 1x7 takes 1.67 and igemm 1.85. Infinities and NaNs reach all outputs of their
 * tiles. */
#include "conv/winograd/wino_filter.h"

#include "base/alloc.h"
#include "base/dtype.h"
#include "base/error.h"
#include "conv/accuracy.h"

#include <math.h>
#include <stdio.h>

static const char *reject(const cvl_ctx *ctx, const cvl_conv_desc *d)
{
    if (!cvl_conv_is_f32(d))
        return cvl_reason("x, w and y must be f32, the problem has %s, %s and %s", cvl_dtype_name(d->x_type),
                          cvl_dtype_name(d->w_type), cvl_dtype_name(d->y_type));
    if (d->groups > 1)
        return cvl_reason("groups is %d, Winograd needs 1", d->groups);
    if (d->dil_h > 1 || d->dil_w > 1)
        return cvl_reason("dilation is %dx%d, Winograd needs 1", d->dil_h, d->dil_w);
    const int most = d->pass == CVL_FWD ? 2 : 1;
    if (d->stride_h > most || d->stride_w > most)
        return cvl_reason("stride is %dx%d, Winograd needs at most %d in this pass", d->stride_h, d->stride_w, most);
    if (d->pass == CVL_BWD_FILTER)
        return cvl_wino_filter_reject(ctx, d);
    struct cvl_wino wino;
    if (d->r * d->s == 1 || cvl_wino_cut(ctx, d, &(struct cvl_variant){ .knob = { 2 } }, &wino) != CVL_OK)
        return cvl_reason("the filter is %dx%d, there is no transform of it", d->r, d->s);
    return NULL;
}

/* Rounding errors of direct convolution, which grow with the root of the sum's length, times what the tile makes of
 * them; the largest of all outputs is some five of them from zero. */
static double tolerance(const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    if (desc->pass == CVL_BWD_FILTER)
        return cvl_wino_filter_tolerance(desc, variant);
    const double k = cvl_conv_reduction(desc) + 1;
    return 0x1p-24 * cvl_wino_amplification(desc, variant) * (6 + sqrt(k)) * sqrt(k) / cvl_conv_largest_output(desc, k);
}

static bool finite_only(const cvl_conv_desc *desc)
{
    return true;
}

static const struct cvl_wino_pass *pass_of(const cvl_conv_desc *desc)
{
    return desc->pass == CVL_BWD_FILTER ? &cvl_wino_filter_pass : &cvl_wino_data_pass;
}

static double estimate(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    return pass_of(desc)->estimate(ctx, desc, variant);
}

static int variants(const cvl_ctx *ctx, const cvl_conv_desc *desc, struct cvl_variant *variants, int max)
{
    return cvl_wino_variants(pass_of(desc), ctx, desc, variants, max);
}

static cvl_status init(cvl_plan *plan)
{
    if (plan->desc.pass == CVL_BWD_FILTER)
        return cvl_wino_filter_init(plan);
    struct cvl_wino *wino = cvl_calloc(1, sizeof *wino);
    if (!wino)
        return cvl_fail(CVL_ENOMEM, "no memory for a plan of %s", plan->candidate);
    plan->state = wino;
    const cvl_status status = cvl_wino_cut(plan->ctx, &plan->desc, &plan->variant, wino);
    if (status != CVL_OK) {
        cvl_free(wino);
        plan->state = NULL;
        return status;
    }
    plan->workspace_bytes = cvl_wino_workspace(wino);
    if (plan->desc.const_filter) {
        plan->packed_bytes = (size_t)wino->u_floats * sizeof(float);
        plan->packed_required = true;
        snprintf(plan->packed_format, sizeof plan->packed_format, "points=%d m=%dx%d stride=%dx%d",
                 plan->variant.knob[CVL_WINO_POINTS], wino->rows.m, wino->columns.m, plan->desc.stride_h,
                 plan->desc.stride_w);
    }
    return CVL_OK;
}

static void fini(cvl_plan *plan)
{
    cvl_free(plan->state);
}

static cvl_status pack(const cvl_plan *plan, const cvl_conv_args *args, void *packed)
{
    const struct cvl_wino *wino = plan->state;
    float *scratch = cvl_alloc((size_t)cvl_wino_pack_scratch(wino) * sizeof(float));
    if (!scratch)
        return cvl_fail(CVL_ENOMEM, "no memory to pack a filter in");
    cvl_prefer_large_pages(packed, plan->packed_bytes);
    cvl_wino_pack(wino, args->w, packed, scratch);
    cvl_free(scratch);
    return CVL_OK;
}

static cvl_status run(const cvl_plan *plan, const cvl_conv_args *args, void *workspace)
{
    return plan->desc.pass == CVL_BWD_FILTER ? cvl_wino_filter_run(plan->state, args, workspace)
                                             : cvl_wino_run(plan->state, args, workspace);
}

const struct cvl_algo cvl_algo_winograd = {
    .name = "winograd", .revision = 4, .device = CVL_CPU, .knobs = { "m", "tiles", "staged", "points" },
    .reject = reject, .variants = variants, .estimate = estimate, .tolerance = tolerance, .finite_only = finite_only,
    .init = init, .pack = pack, .run = run, .fini = fini,
};
