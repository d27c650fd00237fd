/* SPDX-License-Identifier: Apache-2.0
 * im2col: the convolution as a matrix product. With L[(c,r,s)][(p,q)] = x[c, p*stride_h + r*dil_h - pad_top,
 * q*stride_w + s*dil_w - pad_left], or zero outside of the image, for each image and group
 *     y[k][(p,q)] = sum over (c,r,s) of w[k][(c,r,s)] * L[(c,r,s)][(p,q)].
 * K. Chellapilla, S. Puri, P. Simard, "High performance convolutional neural networks for document processing", 2006.
 * The backward passes are the other two products of the same three matrices; that of the data ends with col2im, which
 * adds each element of W^T Y to the pixel that it was lowered from.
 *
 * Nothing is reordered: transposes and leading dimensions of the GEMM (OpenBLAS's sgemm) absorb every layout of filter,
 * x and y, so there is no packed filter.
 * Memory: c*r*s * rows*q * 4 bytes, with `rows` output rows lowered at a time (knob; default: all p of an image), for
 * any number of threads. 1x1 layers of stride 1 without padding are not lowered and need none: they are one GEMM.
 * Multiplications: direct convolution's, and those with the zeros of the padding.
 * It loses where lowering costs as much as the product, that is with few filters to a group (depthwise above all: its
 * products are of one row), where r*s copies of the image leave the caches (a band that fits repairs that), and where
 * Winograd's savings apply. `parts` (knob) is the number of tasks that the larger side of the product is cut into;
 * few parts keep the GEMM's rate, many feed threads.
 *
 * Infinities and NaNs travel as IEEE says except through padding, where FWD multiplies the filter and BWD_FILTER
 * multiplies dy by zero: an infinity or NaN there makes a NaN also in sums whose tap lies outside of the image. */
#include "conv/im2col/passes.h"

#include "base/error.h"
#include "conv/accuracy.h"
#include "conv/desc.h"

#include <limits.h>
#include <math.h>

static const char *reject(const cvl_ctx *ctx, const cvl_conv_desc *desc)
{
    if (!cvl_conv_is_f32(desc))
        return "x, w and y must all be f32, the type of OpenBLAS's sgemm";
    const double pixels = (double)cvl_conv_p(desc) * cvl_conv_q(desc);
    if (pixels > INT_MAX)
        return cvl_reason("an output image has %.0f pixels, OpenBLAS counts up to %d", pixels, INT_MAX);
    return NULL;
}

static cvl_status init(cvl_plan *plan)
{
    const cvl_conv_desc *desc = &plan->desc;
    const int rows = plan->variant.knob[CVL_IM2COL_ROWS], parts = plan->variant.knob[CVL_IM2COL_PARTS];
    const int most = cvl_conv_is_pointwise(desc) ? 0 : cvl_conv_p(desc);
    if (rows < 0 || rows > most)
        return cvl_fail(CVL_ENOTFOUND, "rows is %d, expected 0 to %d: %s", rows, most,
                        most ? "the height of the output" : "this problem is not lowered");
    if (parts < 0 || parts > CVL_IM2COL_PARTS_MAX)
        return cvl_fail(CVL_ENOTFOUND, "parts is %d, expected 0 to %d", parts, CVL_IM2COL_PARTS_MAX);
    const struct cvl_im2col im2col = cvl_im2col_of(desc, &plan->variant);
    if ((double)im2col.spread * desc->groups * im2col.parts > INT_MAX)
        return cvl_fail(CVL_ENOTFOUND, "parts is %d, too many for %d images of %d groups", parts, desc->n,
                        desc->groups);
    if (im2col.lowered)
        plan->workspace_bytes = (size_t)im2col.taps * (size_t)im2col.rows * (size_t)im2col.q * sizeof(float);
    return CVL_OK;
}

/* k additions, each off by up to half of the last place of a partial sum of about sqrt(i)/3, are off by k/10 such
 * halves of 1 in the mean square, by k/2 in the worst of many outputs. Exponential functions are good to two places. */
static double tolerance(const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    const double k = cvl_conv_reduction(desc) + 1;
    return 0x1p-24 * (2 + 2 * sqrt(k) + k) / cvl_conv_largest_output(desc, k);
}

/* Bytes copied per second when the band and its part of the image take so many bytes. */
static double copy_rate(const cvl_ctx *ctx, double bytes)
{
    const struct cvl_cpu *cpu = cvl_cpu_info();
    if (bytes <= (double)cpu->l2 * ctx->threads)
        return ctx->rates.copy_l2;
    return bytes <= (double)cpu->l3 ? ctx->rates.copy_l3 : ctx->rates.copy_dram;
}

/* Seconds of one loop of GEMMs: as many rounds of tasks as the threads need, each a call and a share of the product. */
static double gemm_seconds(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_im2col *im2col)
{
    const double call = 0.3e-6, best = 0.85;
    int m, n, k;
    cvl_im2col_sizes(desc, im2col, &m, &n, &k);
    const double tasks = (double)im2col->spread * desc->groups * im2col->parts;
    const double larger = (double)(m > n ? m : n) / im2col->parts, smaller = m > n ? n : m;
    const double full = best / (1 + 4 / larger) / (1 + 4 / smaller) / (1 + 8.0 / k);
    const double product = 2.0 * larger * smaller * k / (full * ctx->rates.f32_flops / ctx->threads);
    const double bytes = 4.0 * (larger * k + smaller * k + larger * smaller);
    const double touched = bytes / (3 * ctx->rates.copy_l3 / ctx->threads);
    return ceil(tasks / ctx->threads) * (call + product + touched);
}

/* Lowering has no runs that are contiguous in both image and matrix. */
static bool moves_elements(const cvl_conv_desc *desc)
{
    return desc->x_layout == CVL_NCHW ? desc->stride_w > 1 : desc->w_layout == CVL_KCRS && desc->r * desc->s > 1;
}

static double estimate(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    const struct cvl_im2col im2col = cvl_im2col_of(desc, variant);
    const double loop = ctx->threads > 1 ? 3e-6 : 0.1e-6;
    const double gemms = im2col.images ? im2col.images / im2col.spread * im2col.bands : 0;
    double band = loop + gemm_seconds(ctx, desc, &im2col);
    if (im2col.lowered) {
        const double bytes = 4.0 * im2col.taps * im2col.rows * im2col.q;
        band += loop + bytes * (moves_elements(desc) ? 2.5 : 1) / copy_rate(ctx, bytes);
    }
    return gemms * band;
}

/* A list of values of a knob, each once. */
struct values { int count, at[4]; };

static void offer(struct values *values, int value)
{
    for (int i = 0; i < values->count; i++)
        if (values->at[i] == value)
            return;
    values->at[values->count++] = value;
}

/* The whole image, what fits half of a core's L2 cache, halves or quarters, and single rows. */
static struct values offer_rows(const cvl_conv_desc *desc)
{
    const struct cvl_im2col whole = cvl_im2col_of(desc, &(struct cvl_variant){ .knob = { 0 } });
    struct values rows = { 1, { 0 } };
    if (!whole.lowered || whole.p == 1)
        return rows;
    const size_t row_bytes = (size_t)whole.taps * (size_t)whole.q * sizeof(float), share = cvl_cpu_info()->l2 / 2;
    const size_t fitting = share / row_bytes;
    if (fitting > 1 && fitting < (size_t)whole.p) {
        const int bands = (whole.p + (int)fitting - 1) / (int)fitting;
        offer(&rows, (whole.p + bands - 1) / bands);
    }
    for (int bands = 2; rows.count < 3 && bands <= 4; bands *= 2)
        offer(&rows, (whole.p + bands - 1) / bands);
    offer(&rows, 1);
    return rows;
}

/* The default, and powers of two from as many tasks as threads; slices of less than 16 or of half a million operations
 * are not worth a call. */
static struct values offer_parts(const cvl_ctx *ctx, const cvl_conv_desc *desc, int rows)
{
    const struct cvl_im2col im2col = cvl_im2col_of(desc, &(struct cvl_variant){ .knob = { rows, 0 } });
    struct values parts = { 0 };
    int m, n, k, fit = 1;
    cvl_im2col_sizes(desc, &im2col, &m, &n, &k);
    const int most = (int)fmin((m > n ? m : n) / 16, fmin(2.0 * m * n * k / 5e5, CVL_IM2COL_PARTS_MAX));
    while ((double)fit * desc->groups * im2col.spread < ctx->threads && fit < CVL_IM2COL_PARTS_MAX)
        fit *= 2;
    for (int part = fit; part == fit || (part == 2 * fit && ctx->threads > 1); part *= 2)
        if (part == 1 || part <= most)
            offer(&parts, part == im2col.parts ? 0 : part);
    if (parts.count == 0 || ctx->threads > 1)
        offer(&parts, 0);
    return parts;
}

/* The fastest by estimate first. */
static int variants(const cvl_ctx *ctx, const cvl_conv_desc *desc, struct cvl_variant *variants, int max)
{
    const struct values rows = offer_rows(desc);
    double seconds[CVL_VARIANTS_MAX];
    int count = 0;
    max = max < CVL_VARIANTS_MAX ? max : CVL_VARIANTS_MAX;
    for (int i = 0; i < rows.count; i++) {
        const struct values parts = offer_parts(ctx, desc, rows.at[i]);
        for (int j = 0; j < parts.count && count < max; j++) {
            const struct cvl_variant variant = { .knob = { rows.at[i], parts.at[j] } };
            const double guess = estimate(ctx, desc, &variant);
            int at = count++;
            for (; at > 0 && seconds[at - 1] > guess; at--) {
                seconds[at] = seconds[at - 1];
                variants[at] = variants[at - 1];
            }
            seconds[at] = guess;
            variants[at] = variant;
        }
    }
    return count;
}

const struct cvl_algo cvl_algo_im2col = {
    .name = "im2col", .revision = 1, .device = CVL_CPU, .knobs = { "rows", "parts" },
    .reject = reject, .variants = variants, .estimate = estimate, .tolerance = tolerance,
    .init = init, .run = cvl_im2col_run,
};
