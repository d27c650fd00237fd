/* SPDX-License-Identifier: Apache-2.0
 * igemm: implicit GEMM, the matrix product of im2col without its matrix. For each tap (r,s)
 *     FWD         y[pixel][k]  += x[pixel at tap][c] * w[tap][c][k]
 *     BWD_DATA    dx[pixel][c] += dy[pixel at tap][k] * w[tap][k][c]     for each residue class of pixels mod stride
 *     BWD_FILTER  dw[tap][k][c] = sum over pixels of dy[pixel][k] * x[pixel at tap][c]
 * S. Chetlur et al., "cuDNN: efficient primitives for deep learning", 2014, who gather each tile of the matrix as it is
 * needed. Here a micro-kernel (gemm/tile.h) takes its operands at any strides, so most tiles read the image itself, and
 * the others a band: a copy of the rows that a block of pixels sees, once for all taps, with zeros for padding.
 *
 * Either channels or pixels lie along the lanes of a vector (knob `lanes`: 1, 2). Channels are the rule: the filter is
 * packed in panels and pixels are broadcast from where they lie, in NHWC and NCHW alike; NCHW output is transposed in
 * registers. Pixels are for few output channels and for short reductions in NCHW.
 * In NHWC, and in NCHW but for a few channels, tiles at the left and right edge leave products with padding out, so that
 * the image is read where it lies.
 *
 * Memory of FWD and BWD_DATA, for each thread, whatever the tensors' size:
 *     a band, at most 256 KiB (larger only where one pixel's taps of one channel need it), none where tiles read in place;
 *     with a raw filter the panels of a task, at most 320 KiB;
 *     in NCHW a stage of 112 pixels by the channels of a tile, at most 42 KiB.
 * BWD_DATA of up to 4 channels: the filter once, and for each thread the rows of dy that a row of dx sees, 256 KiB.
 * BWD_FILTER two bands and a task's sums (256 KiB), and where few tasks share out the filter, sums for each part of the
 * pixels instead, some 16 of them. A packed filter is as large as the filter with its channels rounded up to vectors.
 * Multiplications: direct convolution's less those with padding (lanes of pixels: with columns of padding too). Infinities
 * and NaNs in an image travel as IEEE says; in the filter (FWD, BWD_DATA) or in dy (BWD_FILTER) they meet the zeros of a
 * band's padding and make NaNs.
 * Knobs: `pixels` of a block, products `chunk`ed between two updates of the output, `pack` 1: always a band, 2: none
 * where the strides allow it, even if its rows collide in the cache.
 * It loses to Winograd and FFT where these save multiplications, and with few channels a group (depthwise), where
 * vectors stay empty. */
#include "conv/igemm/igemm_cut.h"
#include "conv/igemm/igemm_few.h"

#include "base/dtype.h"
#include "base/error.h"
#include "conv/accuracy.h"

#include <math.h>
#include <stdio.h>

enum { KNOB_MAX = 1 << 20 };

static const char *reject(const cvl_ctx *ctx, const cvl_conv_desc *desc)
{
    if (!cvl_conv_is_f32(desc))
        return cvl_reason("x, w and y must be f32, the problem has %s, %s and %s", cvl_dtype_name(desc->x_type),
                          cvl_dtype_name(desc->w_type), cvl_dtype_name(desc->y_type));
    return NULL;
}

struct cvl_igemm cvl_igemm_of(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    const bool backward = desc->pass == CVL_BWD_DATA;
    const int c = desc->c / desc->groups, k = desc->k / desc->groups;
    struct cvl_igemm g = {
        .ctx = ctx, .desc = desc, .kern = cvl_gemm_kern(ctx->isa), .taps = desc->r * desc->s,
        .out_channels = backward ? c : k, .in_channels = backward ? k : c,
        .out = cvl_conv_strides(desc, backward ? CVL_X : CVL_Y), .in = cvl_conv_strides(desc, backward ? CVL_Y : CVL_X),
        .w = cvl_conv_strides(desc, CVL_W), .variant = *variant,
    };
    g.w_out = g.w.at[backward];
    g.w_in = g.w.at[!backward];
    g.w_group = k * g.w.at[0];
    g.panels = cvl_divide_up(g.out_channels, g.kern->lanes);
    g.panel = (ptrdiff_t)g.taps * g.in_channels * g.kern->lanes + CVL_TILE_LANES;   /* off the multiples of a page */
    return g;
}

/* k additions onto a sum of about sqrt(i)/3 are each off by up to 2^-25 of it. */
static double tolerance(const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    const double k = cvl_conv_reduction(desc) + 1;
    return 0x1p-24 * (2 + 2 * sqrt(k) + k) / cvl_conv_largest_output(desc, k);
}

/* Shares of the peak that full tiles reach, and cycles that begin and end one of 28 sums. */
static const double tile_rate = 0.93, tile_cycles = 150;

static double estimate(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    const struct cvl_igemm g = cvl_igemm_of(ctx, desc, variant);
    const double bytes = cvl_conv_bytes(desc, CVL_X) + cvl_conv_bytes(desc, CVL_W) + cvl_conv_bytes(desc, CVL_Y);
    const double memory = bytes / (2 * ctx->rates.copy_l3), lanes = g.kern->lanes;
    double filled = g.out_channels / (g.panels * lanes), steps = cvl_conv_reduction(desc), copied = 0;
    if (desc->n == 0)
        return 0;
    if (desc->pass == CVL_BWD_FILTER) {
        filled = fmax(filled, g.in_channels / (cvl_divide_up(g.in_channels, g.kern->lanes) * lanes));
        steps = fmin(steps, 448);
        copied = bytes * 2;
    } else {
        const struct cvl_igemm_cut cut = cvl_igemm_cut(&g, !desc->const_filter);
        if (cut.lanes == CVL_IGEMM_COLUMNS)
            filled = cut.columns.count / (cvl_divide_up(cut.columns.count, g.kern->lanes) * lanes)
                   * fmin(1, g.out_channels / 4.0);
        else if (g.out.at[1] != 1)
            steps /= 1 + 300 / (28 * steps);
        copied = cut.in_place ? 0 : (double)cvl_conv_bytes(desc, CVL_X) * cut.out_blocks;
        steps = fmin(steps, (double)cut.chunk * fmax(1, cut.rows.taps * cut.columns.taps));
    }
    const double share = tile_rate * filled * steps / (steps + tile_cycles / 28);
    return cvl_conv_flops(desc) / (ctx->rates.f32_flops * share) + copied / ctx->rates.copy_l2 + memory / 4;
}

static cvl_status check_knobs(const cvl_plan *plan)
{
    static const int most[] = { [CVL_IGEMM_LANES] = 2, [CVL_IGEMM_PIXELS] = KNOB_MAX, [CVL_IGEMM_CHUNK] = KNOB_MAX,
                                [CVL_IGEMM_PACK] = 2 };
    for (int i = 0; i <= CVL_IGEMM_PACK; i++)
        if (plan->variant.knob[i] < 0 || plan->variant.knob[i] > most[i])
            return cvl_fail(CVL_ENOTFOUND, "%s is %d, expected 0 to %d", plan->algo->knobs[i], plan->variant.knob[i],
                            most[i]);
    return CVL_OK;
}

static cvl_status init(cvl_plan *plan)
{
    const cvl_conv_desc *desc = &plan->desc;
    const struct cvl_igemm g = cvl_igemm_of(plan->ctx, desc, &plan->variant);
    const bool filter = desc->pass == CVL_BWD_FILTER;
    const cvl_status status = check_knobs(plan);
    if (status != CVL_OK)
        return status;
    if (cvl_igemm_is_few(&g)) {
        plan->workspace_bytes = cvl_igemm_few_workspace(&g);
        plan->packed_bytes = desc->const_filter ? cvl_igemm_few_packed(&g) : 0;
        snprintf(plan->packed_format, sizeof plan->packed_format, "rsck");
        return CVL_OK;
    }
    plan->workspace_bytes = filter ? cvl_igemm_filter_workspace(&g) : cvl_igemm_data_workspace(&g);
    if (desc->const_filter && !filter) {
        plan->packed_bytes = (size_t)desc->groups * (size_t)g.panels * (size_t)g.panel * sizeof(float);
        snprintf(plan->packed_format, sizeof plan->packed_format, "panels");
    }
    return CVL_OK;
}

static cvl_status pack(const cvl_plan *plan, const cvl_conv_args *args, void *packed)
{
    const struct cvl_igemm g = cvl_igemm_of(plan->ctx, &plan->desc, &plan->variant);
    if (cvl_igemm_is_few(&g))
        cvl_igemm_few_pack(&g, args->w, packed);
    else
        cvl_igemm_pack(&g, args->w, packed);
    return CVL_OK;
}

static cvl_status run(const cvl_plan *plan, const cvl_conv_args *args, void *workspace)
{
    const struct cvl_igemm g = cvl_igemm_of(plan->ctx, &plan->desc, &plan->variant);
    if (cvl_igemm_is_few(&g))
        return cvl_igemm_few(&g, args, workspace);
    return plan->desc.pass == CVL_BWD_FILTER ? cvl_igemm_filter(&g, args, workspace)
                                             : cvl_igemm_data(&g, args, workspace);
}

/* The choice by shape first, then what it may have chosen wrongly. */
static int variants(const cvl_ctx *ctx, const cvl_conv_desc *desc, struct cvl_variant *variants, int max)
{
    static const struct cvl_variant data[] = {
        { .knob = { 0 } }, { .knob = { CVL_IGEMM_CHANNELS } }, { .knob = { CVL_IGEMM_COLUMNS } },
        { .knob = { [CVL_IGEMM_PIXELS] = 112 } }, { .knob = { [CVL_IGEMM_PIXELS] = 448 } },
        { .knob = { [CVL_IGEMM_CHUNK] = 1024 } }, { .knob = { [CVL_IGEMM_PACK] = 1 } },
        { .knob = { [CVL_IGEMM_PACK] = 2 } },
        { .knob = { CVL_IGEMM_COLUMNS, 96 } },
    }, filter[] = {
        { .knob = { 0 } }, { .knob = { CVL_IGEMM_CHANNELS } }, { .knob = { CVL_IGEMM_COLUMNS } },
        { .knob = { [CVL_IGEMM_PIXELS] = 196 } }, { .knob = { [CVL_IGEMM_PIXELS] = 896 } },
    };
    const bool is_filter = desc->pass == CVL_BWD_FILTER;
    const int count = is_filter ? (int)(sizeof filter / sizeof *filter) : (int)(sizeof data / sizeof *data);
    int i;
    for (i = 0; i < max && i < count; i++)
        variants[i] = is_filter ? filter[i] : data[i];
    return i;
}

const struct cvl_algo cvl_algo_igemm = {
    .name = "igemm", .revision = 1, .device = CVL_CPU, .knobs = { "lanes", "pixels", "chunk", "pack" },
    .reject = reject, .variants = variants, .estimate = estimate, .tolerance = tolerance, .init = init, .pack = pack,
    .run = run,
};
