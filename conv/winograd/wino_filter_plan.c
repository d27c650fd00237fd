/* SPDX-License-Identifier: Apache-2.0
 * BWD_FILTER: which problems and tiles, how long they take, and how far off they may be. */
#include "base/alloc.h"
#include "base/error.h"
#include "conv/accuracy.h"
#include "conv/winograd/wino_filter.h"

#include <math.h>

const char *cvl_wino_filter_reject(const cvl_ctx *ctx, const cvl_conv_desc *d)
{
    struct cvl_wino_filter f;
    if (d->r * d->s == 1 || cvl_wino_filter_cut(ctx, d, &(struct cvl_variant){ .knob = { 2 } }, &f) != CVL_OK)
        return cvl_reason("the filter is %dx%d, there is no transform of it", d->r, d->s);
    return NULL;
}

/* Direct convolution's errors, magnified by the transforms; of a few products too all elements of a tile take part. */
double cvl_wino_filter_tolerance(const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    const double k = cvl_conv_reduction(desc) + 1;
    struct cvl_wino x, y;
    double magnified = 1;
    if (cvl_wino_filter_axes(desc, variant, &x, &y))
        magnified = cvl_wino_matrices_all[x.rows.f].amplification * cvl_wino_matrices_all[x.columns.f].amplification;
    return 0x1p-24 * magnified * (10 + 2 * sqrt(k) + k) / cvl_conv_largest_output(desc, k);
}

/* Shares of the peak and of the cache's rate that products and transforms reach. */
static const double product_rate = 0.82, transform_rate = 0.6;

double cvl_wino_filter_estimate(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    struct cvl_wino_filter f;
    if (cvl_wino_filter_cut(ctx, desc, variant, &f) != CVL_OK)
        return INFINITY;
    const double sums = (double)f.rows.channels * f.lanes.wino.vectors * f.gemm->lanes * f.points;
    const double rows_times = f.staged ? 1 : f.lanes.blocks, lanes_times = f.staged ? 1 : f.rows.blocks;
    const double vectors = rows_times * f.rows.wino.vectors + lanes_times * f.lanes.wino.vectors;
    const double transformed = vectors * f.gemm->lanes * sizeof(float) * f.points * f.tiles;
    const double image = (double)cvl_conv_bytes(desc, CVL_X) + (double)cvl_conv_bytes(desc, CVL_Y);
    const double kept = f.staged && transformed > 32e6 ? transformed / ctx->rates.copy_dram : 0;
    return 2 * sums * f.tiles / (ctx->rates.f32_flops * product_rate) + transformed / (ctx->rates.copy_l3 * transform_rate)
         + 2 * sums * sizeof(float) * fmax(f.parts, 1) / ctx->rates.copy_l3 + image / (2 * ctx->rates.copy_dram) + kept;
}

/* Those that are not far slower than the best guess, best guess first. */
int cvl_wino_filter_variants(const cvl_ctx *ctx, const cvl_conv_desc *desc, struct cvl_variant *variants, int max)
{
    static const struct cvl_variant all[] = {
        { .knob = { 6 } }, { .knob = { 5 } }, { .knob = { 4 } }, { .knob = { 3 } }, { .knob = { 2 } },
        { .knob = { 6, 96 } }, { .knob = { 4, 96 } }, { .knob = { 6, 0, 1 } }, { .knob = { 5, 0, 1 } },
        { .knob = { 4, 0, 1 } }, { .knob = { 4, 256, 1 } },
    };
    const double far = 1.5;
    double seconds[CVL_VARIANTS_MAX];
    int count = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const double guess = cvl_wino_filter_estimate(ctx, desc, &all[i]);
        int at = count;
        if (!(guess < INFINITY))
            continue;
        for (; at > 0 && seconds[at - 1] > guess; at--) {
            seconds[at] = seconds[at - 1];
            if (at < max)
                variants[at] = variants[at - 1];
        }
        seconds[at] = guess;
        if (at < max)
            variants[at] = all[i];
        count++;
    }
    int kept = 0;
    while (kept < count && kept < max && seconds[kept] <= far * seconds[0])
        kept++;
    return kept;
}

cvl_status cvl_wino_filter_init(cvl_plan *plan)
{
    struct cvl_wino_filter *filter = cvl_calloc(1, sizeof *filter);
    if (!filter)
        return cvl_fail(CVL_ENOMEM, "no memory for a plan of %s", plan->candidate);
    const cvl_status status = cvl_wino_filter_cut(plan->ctx, &plan->desc, &plan->variant, filter);
    if (status != CVL_OK) {
        cvl_free(filter);
        return status;
    }
    plan->state = filter;
    plan->workspace_bytes = cvl_wino_filter_workspace(filter);
    return CVL_OK;
}
