/* SPDX-License-Identifier: Apache-2.0
 * igemm: implicit GEMM, the matrix product of im2col without its matrix. For each tap (r,s)
 *     FWD         y[pixel][k]  += x[pixel at tap][c] * w[tap][c][k]
 *     BWD_DATA    dx[pixel][c] += dy[pixel at tap][k] * w[tap][k][c]     for each residue class of pixels mod stride
 *     BWD_FILTER  dw[tap][k][c] = sum over pixels of dy[pixel][k] * x[pixel at tap][c]
 * S. Chetlur et al., "cuDNN: efficient primitives for deep learning", 2014, who gather each tile of the matrix as it is
 * needed. Here a micro-kernel (gemm/tile.h) takes its operands at any strides, so most tiles read the image itself, and
 * the others a band: a copy of the rows that a block of pixels sees, once for all taps, with zeros for padding.
 *
 * Either channels or pixels lie along the lanes of a vector (knob `lanes`: 1, 2). Channels are the rule: the filter
 * is packed in panels and pixels are broadcast from where they lie, in NHWC and NCHW alike; NCHW output is transposed
 * in registers, a row of pixels at a time. Pixels are for few output channels and for short reductions in NCHW. Tiles
 * at the left and right edge of an image leave products with padding out, so that images are read where they lie but
 * for narrow ones, and for images of a few channels, in NCHW.
 *
 * Memory of FWD and BWD_DATA, for each thread, whatever the tensors' size: a band, at most 256 KiB (larger only where
 * one pixel's taps of one channel need it), none where tiles read in place; with a raw filter the panels of a task,
 * at most 320 KiB; in NCHW a stage of 112 pixels by the channels of a tile, at most 42 KiB. BWD_DATA of up to 4
 * channels: the filter once, and for each thread the rows of dy that a row of dx sees, 256 KiB. BWD_FILTER, for each
 * thread: 128 floats and a band of either operand that is not read in place, whole cache lines, both at most 448 KiB
 * (larger only where one pixel's taps need it); and sums unless they are kept in dw: of a task, by aim 320 KiB, for
 * each thread, or where few tasks share out the filter those of every part of the pixels, about 512 KiB for the run. A
 * packed filter is as large as the filter with its channels rounded up to vectors.
 *
 * Multiplications: direct convolution's less those with padding (with columns of it too where pixels are lanes).
 * Infinities and NaNs in an image travel as IEEE says; in the filter (FWD, BWD_DATA) or in dy (BWD_FILTER) they meet
 * the zeros of a band's padding and make NaNs.
 * Knobs: `pixels` of a block, products `chunk`ed between two updates of the output, `pack` 1: always a band, 2: none
 * where the strides allow it, even if its rows collide in the cache.
 * It loses to Winograd and FFT where these save multiplications, and with few channels a group (depthwise), where
 * vectors stay empty. */
#include "conv/igemm/igemm_cut.h"
#include "conv/igemm/igemm_few.h"

#include "base/dtype.h"
#include "base/error.h"
#include "conv/accuracy.h"
#include "conv/traffic.h"

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

/* Share of the peak that tiles reach beside what cvl_tile_shape counts; and multiply-adds of a vector in the time that
 * one of what is written takes to leave a stage, that a row takes to begin, and a block. */
static const double tile_rate = 0.97, stage_slots = 8, row_slots = 250, block_slots = 500;

/* Pixels of a tile that are read in place fall on the same lines of a first-level cache of 8 ways: 1.4 to 1.8 times. */
static double collisions(const struct cvl_igemm *g, const struct cvl_igemm_cut *cut)
{
    const bool apart = cut->columns.step * cut->in_column % 1024 != 0;
    return !cut->in_place || apart || g->in.at[1] != 1 || cut->block_columns <= 8 ? 1 : 1.6;
}

/* Multiply-adds of a vector, or as long, of all tiles of a data pass. Of the residue classes of one tap, one is not
 * empty. */
static double data_slots(const struct cvl_igemm *g, const struct cvl_igemm_cut *cut)
{
    const int classes = cut->row_classes * cut->column_classes, lanes = g->kern->lanes;
    const int taps = cvl_max(1, g->taps / classes), rows = cvl_min(lanes, g->out_channels);
    const bool channels = cut->lanes == CVL_IGEMM_CHANNELS;
    const double blocks = (double)g->desc->groups * cut->images * cut->column_blocks * cut->chunks * cut->row_blocks;
    const int left = g->panels * lanes - g->out_channels;   /* lanes without a channel; half a vector counts as half */
    double slots;
    if (channels) {
        cvl_tile_shape(g->kern, cut->block_columns, cut->out_panels, taps * cut->chunk, &slots);
        slots *= lanes == CVL_TILE_LANES && left * 2 >= lanes ? 1 - 0.5 / g->panels : 1;
    } else {
        cvl_tile_shape(g->kern, rows, cvl_divide_up(cut->block_columns, lanes), taps * cut->chunk, &slots);
    }
    slots = slots * (channels ? collisions(g, cut) : 1) * cvl_min(classes, g->taps) + row_slots;
    slots *= channels ? cut->out_blocks : (double)g->out_channels / rows;
    slots += cut->staged ? stage_slots * cut->block_columns * classes * g->panels : 0;
    return blocks * (slots * cut->block_rows + block_slots * cut->out_blocks);
}

/* What is fetched from the third level is hidden by three quarters; what comes from memory is not: DeepLab-v3's 1x1
 * layers of 65x65 and 130x130 took 1.06 to 1.28 times as long as without it. */
static double memory_seconds(const struct cvl_rates *rates, double read, double written)
{
    const double rate = cvl_comes_from_memory(read + written) ? rates->copy_dram : 4 * rates->copy_l3;
    return (read + 2 * written) / (2 * rate);
}

static double estimate_data(const struct cvl_igemm *g)
{
    const cvl_conv_desc *desc = g->desc;
    const cvl_ctx *ctx = g->ctx;
    const bool forward = desc->pass == CVL_FWD;
    const double read = cvl_conv_bytes(desc, forward ? CVL_X : CVL_Y);
    const double written = cvl_conv_bytes(desc, forward ? CVL_Y : CVL_X);
    const double memory = memory_seconds(&ctx->rates, read + cvl_conv_bytes(desc, CVL_W), written);
    if (cvl_igemm_is_few(g))
        return cvl_conv_flops(desc) / (0.8 * ctx->rates.f32_flops) + memory;
    const struct cvl_igemm_cut cut = cvl_igemm_cut(g, !desc->const_filter);
    const double copied = cut.in_place ? 0 : read * cut.out_blocks;
    const double slots = data_slots(g, &cut) * cvl_axis_inside(desc);
    return slots * 2 * g->kern->lanes / (tile_rate * ctx->rates.f32_flops) + copied / ctx->rates.copy_l2 + memory;
}

/* Half of the lanes' channels may be empty; 5 multiply-adds of a vector begin and end each 448 pixels. */
static double estimate_filter(const struct cvl_igemm *g)
{
    const cvl_conv_desc *desc = g->desc;
    const double bytes = cvl_conv_bytes(desc, CVL_X) + cvl_conv_bytes(desc, CVL_W) + cvl_conv_bytes(desc, CVL_Y);
    const double lanes = g->kern->lanes, steps = fmin(cvl_conv_reduction(desc), 448);
    const double filled = fmax(g->out_channels / (g->panels * lanes),
                               g->in_channels / (cvl_divide_up(g->in_channels, g->kern->lanes) * lanes));
    return cvl_conv_flops(desc) / (0.93 * filled * steps / (steps + 5) * g->ctx->rates.f32_flops)
         + 2 * bytes / g->ctx->rates.copy_l2 + bytes / (8 * g->ctx->rates.copy_l3);
}

static double estimate(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    const struct cvl_igemm g = cvl_igemm_of(ctx, desc, variant);
    if (desc->n == 0)
        return 0;
    return desc->pass == CVL_BWD_FILTER ? estimate_filter(&g) : estimate_data(&g);
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

/* So many pixels are worth a try where a sum has few products and the beginning of a block weighs. */
enum { LONG_BLOCK = 1792, LONG_BLOCK_PRODUCTS = 160 };

/* How a candidate goes about a data pass; with few channels it is another algorithm without knobs. */
struct way { bool few; struct cvl_igemm_cut cut; };

static struct way way_of(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    const struct cvl_igemm g = cvl_igemm_of(ctx, desc, variant);
    return (struct way){ cvl_igemm_is_few(&g), cvl_igemm_cut(&g, !desc->const_filter) };
}

static bool same(const struct way *one, const struct way *other)
{
    const struct cvl_igemm_cut *a = &one->cut, *b = &other->cut;
    if (one->few || other->few)
        return one->few == other->few;
    return a->lanes == b->lanes && a->in_place == b->in_place && a->block_rows == b->block_rows
        && a->block_columns == b->block_columns && a->chunk == b->chunk && a->out_panels == b->out_panels
        && a->tasks_blocks == b->tasks_blocks;
}

/* The choice by shape first, then what it may have chosen wrongly, less what comes to the same. */
static int data_variants(const cvl_ctx *ctx, const cvl_conv_desc *desc, struct cvl_variant *variants, int max)
{
    static const struct cvl_variant all[] = {
        { .knob = { 0 } }, { .knob = { [CVL_IGEMM_PIXELS] = 448 } }, { .knob = { [CVL_IGEMM_PIXELS] = 112 } },
        { .knob = { CVL_IGEMM_CHANNELS } }, { .knob = { CVL_IGEMM_COLUMNS } }, { .knob = { [CVL_IGEMM_PACK] = 2 } },
        { .knob = { [CVL_IGEMM_PACK] = 1 } }, { .knob = { [CVL_IGEMM_CHUNK] = 1024 } },
        { .knob = { CVL_IGEMM_COLUMNS, 96 } }, { .knob = { [CVL_IGEMM_PIXELS] = LONG_BLOCK } },
    };
    const struct cvl_igemm g = cvl_igemm_of(ctx, desc, &all[0]);
    struct way ways[sizeof all / sizeof *all];
    int count = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all && count < max; i++) {
        int before = 0;
        if (all[i].knob[CVL_IGEMM_PIXELS] == LONG_BLOCK && g.taps * g.in_channels > LONG_BLOCK_PRODUCTS)
            continue;
        ways[count] = way_of(ctx, desc, &all[i]);
        while (before < count && !same(&ways[before], &ways[count]))
            before++;
        if (before == count)
            variants[count++] = all[i];
    }
    return count;
}

static int variants(const cvl_ctx *ctx, const cvl_conv_desc *desc, struct cvl_variant *variants, int max)
{
    static const struct cvl_variant filter[] = {
        { .knob = { 0 } }, { .knob = { CVL_IGEMM_CHANNELS } }, { .knob = { CVL_IGEMM_COLUMNS } },
        { .knob = { [CVL_IGEMM_PIXELS] = 196 } }, { .knob = { [CVL_IGEMM_PIXELS] = 896 } },
    };
    const int count = (int)(sizeof filter / sizeof *filter);
    if (desc->pass != CVL_BWD_FILTER)
        return data_variants(ctx, desc, variants, max);
    for (int i = 0; i < max && i < count; i++)
        variants[i] = filter[i];
    return cvl_min(max, count);
}

const struct cvl_algo cvl_algo_igemm = {
    .name = "igemm", .revision = 5, .device = CVL_CPU, .knobs = { "lanes", "pixels", "chunk", "pack" },
    .reject = reject, .variants = variants, .estimate = estimate, .tolerance = tolerance, .init = init, .pack = pack,
    .run = run,
};
