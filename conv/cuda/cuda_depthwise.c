/* SPDX-License-Identifier: Apache-2.0
 * cuda-depthwise: one filter per channel on the GPU,
 *     y[n,k,p,q] = act(sum over r,s of x[n, k/m, p*stride + r*dil - pad, ...] * w[k,r,s] + bias + residual), K = C * m,
 * and its gradients. An element takes part in so few products that bytes are the limit, so nothing goes through
 * shared memory: a thread slides over a run of up to eight outputs in registers and loads each input of a row once
 * for all of them and for up to seven taps, and the rows of taps, which neighbouring threads load too, meet in the
 * first-level cache. (The window is that of J. Zhang, F. Franchetti, T. M. Low, "High performance zero-memory
 * overhead direct convolutions", 2018.)
 *
 * NHWC: neighbouring threads have neighbouring vectors of channels, 16 bytes each, and run along columns. NCHW:
 * neighbouring threads have neighbouring columns and run along rows. Filters are cut into blocks of three, five or
 * seven taps, and what is left into single ones. A run at stride 1 is of eight, four or two outputs, at stride 2 of
 * four, with other strides and with dilation of one. Padding is skipped, or zeros times a weight. BWD_DATA with a
 * stride computes the residue classes of the image each by itself.
 *
 * BWD_FILTER has two stages: each thread (NCHW: each warp) sums a block of taps over one of `slices` slices of the
 * pixels, and the slices are then summed in their order: the same bits in every run. Memory: slices x the filter in
 * f32, at most 128 MiB (by default 32). The other passes read the filter as (r,s,k) in f32: packed, or written to
 * workspace by each run, unless it lies so. Multiplications: those of the formula. Where it loses: filters of more than
 * some 15 x 15 taps, which an FFT multiplies faster; channels that are no multiple of 16 bytes in NHWC, loaded one by
 * one; narrow NCHW images, whose warps load many short rows. */
#include "conv/algo.h"
#include "conv/cuda/cuda_depthwise_lists.h"

#include "base/alloc.h"
#include "base/cuda/cuda_error.h"
#include "base/dtype.h"
#include "conv/accuracy.h"
#include "conv/axis.h"

#include <math.h>
#include <string.h>

enum { RUN, SLICES };                      /* knobs */
enum { TAPS_MOST = 31, SLICES_MOST = 4096, SUMS_MOST = 128 << 20 };   /* bytes of a filter's slices */

static cvl_dtype read_type(const cvl_conv_desc *desc)
{
    return cvl_conv_type(desc, desc->pass == CVL_BWD_DATA ? CVL_Y : CVL_X);
}

static const char *reject(const cvl_ctx *ctx, const cvl_conv_desc *desc)
{
    if (!cvl_dtype_is_float(read_type(desc)))
        return cvl_reason("what is read must be f32, bf16 or f16, the problem has %s", cvl_dtype_name(read_type(desc)));
    if (desc->c != desc->groups)
        return cvl_reason("a group has %d channels, a depthwise one has 1: see cuda-igemm", desc->c / desc->groups);
    if (desc->x_layout != desc->y_layout)
        return cvl_reason("x and y must have the same layout");
    if (desc->r > TAPS_MOST || desc->s > TAPS_MOST)
        return cvl_reason("the filter is %d x %d, expected at most %d x %d", desc->r, desc->s, TAPS_MOST, TAPS_MOST);
    if (desc->pass == CVL_BWD_FILTER && (double)cvl_dw_filter_bytes(desc) > SUMS_MOST)
        return cvl_reason("the filter's gradient takes %zu bytes in f32, expected at most %d",
                          cvl_dw_filter_bytes(desc), SUMS_MOST);
    if (ctx->device->capability < 80)
        return cvl_reason("the GPU has compute capability %d.%d, expected 8.0 or more", ctx->device->capability / 10,
                          ctx->device->capability % 10);
    return NULL;
}

/* ---- choice ---- */

static cvl_status choice_of(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant,
                            struct cvl_dw_choice *choice)
{
    const int run = variant->knob[RUN], slices = variant->knob[SLICES];
    *choice = cvl_dw_choose(desc, ctx->device->multiprocessors);
    if (run != 0 && !(run > 0 && cvl_dw_runs(desc, run)))
        return cvl_fail(CVL_ENOTFOUND, "run is %d, expected 1, or without dilation 2, 4 or 8 at stride 1, or 4 at "
                        "stride 2", run);
    if (slices < 0 || slices > SLICES_MOST || (slices > 1 && slices * (double)cvl_dw_filter_bytes(desc) > SUMS_MOST))
        return cvl_fail(CVL_ENOTFOUND, "slices is %d, expected 0 to %d, of %d bytes together", slices, SLICES_MOST,
                        SUMS_MOST);
    if (run)
        choice->outs = run;
    if (slices && desc->pass == CVL_BWD_FILTER)
        choice->slices = slices;
    return CVL_OK;
}

/* The best guess under the name of the default, then other runs, then more and fewer slices. */
static int variants(const cvl_ctx *ctx, const cvl_conv_desc *desc, struct cvl_variant *variants, int max)
{
    static const int runs[] = { 8, 4, 2, 1 };
    const struct cvl_dw_choice best = cvl_dw_choose(desc, ctx->device->multiprocessors);
    const double bytes = (double)cvl_dw_filter_bytes(desc);
    int made = 0;
    variants[made++] = (struct cvl_variant){ .knob = { 0 } };
    for (int i = 0; i < 4 && made < max; i++)
        if (runs[i] != best.outs && cvl_dw_runs(desc, runs[i]))
            variants[made++] = (struct cvl_variant){ .knob = { [RUN] = runs[i] } };
    if (desc->pass == CVL_BWD_FILTER) {
        for (int factor = 2; factor <= 4 && made + 2 <= max; factor *= 2) {
            if (best.slices / factor > 0)
                variants[made++] = (struct cvl_variant){ .knob = { [SLICES] = best.slices / factor } };
            if (best.slices * factor <= SLICES_MOST && best.slices * factor * bytes <= SUMS_MOST)
                variants[made++] = (struct cvl_variant){ .knob = { [SLICES] = best.slices * factor } };
        }
    }
    return made;
}

/* Bytes at 55 % of the copy rate, as an H100 measured, or loads and products of the run (assumed), and launches. */
static double estimate(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    static const double launch_s = 2.5e-6, memory = 0.55, arithmetic = 0.4;
    struct cvl_dw_choice choice;
    if (choice_of(ctx, desc, variant, &choice) != CVL_OK)
        return INFINITY;
    const double filter = (double)cvl_dw_filter_bytes(desc) * (desc->pass == CVL_BWD_FILTER ? choice.slices : 1);
    const double bytes = (double)cvl_conv_bytes(desc, CVL_X) + (double)cvl_conv_bytes(desc, CVL_Y) + 2 * filter;
    const double shared = choice.outs / (choice.outs + 2.0);   /* loads and products share the issue slots */
    const double products = cvl_conv_flops(desc) / (ctx->rates.f32_flops * arithmetic * shared);
    const int launches = desc->pass == CVL_BWD_FILTER || !(desc->const_filter || cvl_dw_reads_raw(desc)) ? 2 : 1;
    return fmax(bytes / 2 / (ctx->rates.copy_dram * memory), products) + launches * launch_s;
}

/* k additions onto a sum of about sqrt(i)/3 are each off by up to 2^-25 of it; what is stored in 16 bits is rounded. */
static double tolerance(const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    static const double stored[] = { [CVL_F32] = 0x1p-24, [CVL_BF16] = 0x1p-8, [CVL_F16] = 0x1p-11 };
    const double k = cvl_conv_reduction(desc) + 1;
    return 0x1p-24 * (2 + 2 * sqrt(k) + k) / cvl_conv_largest_output(desc, k)
         + stored[cvl_conv_type(desc, cvl_conv_written(desc->pass))];
}

/* ---- plans ---- */

static cvl_status init(cvl_plan *plan)
{
    struct cvl_dw_choice choice;
    const size_t filter = cvl_dw_filter_bytes(&plan->desc);
    const cvl_status status = choice_of(plan->ctx, &plan->desc, &plan->variant, &choice);
    if (status != CVL_OK)
        return status;
    struct cvl_dw_choice *kept = cvl_alloc(sizeof *kept);
    if (!kept)
        return cvl_fail(CVL_ENOMEM, "no memory for a plan of cuda-depthwise");
    *kept = choice;
    plan->state = kept;
    if (plan->desc.pass == CVL_BWD_FILTER) {
        plan->workspace_bytes = filter * (size_t)choice.slices;
    } else if (plan->desc.const_filter) {
        plan->packed_bytes = filter;
        plan->packed_required = true;
        memcpy(plan->packed_format, "rsk", sizeof "rsk");
    } else if (!cvl_dw_reads_raw(&plan->desc)) {
        plan->workspace_bytes = filter;
    }
    return CVL_OK;
}

static void fini(cvl_plan *plan)
{
    cvl_free(plan->state);
}

static cvl_status pack(const cvl_plan *plan, const cvl_conv_args *args, void *packed)
{
    const struct cvl_dw_pack p = { .list = cvl_dw_filter_list(&plan->desc), .from = args->w, .type = plan->desc.w_type,
                                   .to = packed };
    return cvl_cuda_check(cvl_cuda_dw_pack(&p, args->stream), "packing the filter of cuda-depthwise");
}

static int launch(const struct cvl_dw_launch *g, const cvl_conv_desc *desc, void *stream)
{
    static int (*const kernels[])(const struct cvl_dw_launch *, int, void *) = {
        [CVL_F32] = cvl_cuda_dw_f32, [CVL_BF16] = cvl_cuda_dw_bf16, [CVL_F16] = cvl_cuda_dw_f16,
    };
    return kernels[read_type(desc)](g, desc->pass == CVL_BWD_FILTER, stream);
}

static cvl_status run(const cvl_plan *plan, const cvl_conv_args *args, void *workspace)
{
    const cvl_conv_desc *desc = &plan->desc;
    const float *w = args->packed ? args->packed : args->w;
    struct cvl_dw_launch g;
    int error = 0;
    if (desc->pass != CVL_BWD_FILTER && !args->packed && !cvl_dw_reads_raw(desc)) {
        const cvl_status status = pack(plan, args, workspace);
        if (status != CVL_OK)
            return status;
        w = workspace;
    }
    for (int class = 0; error == 0 && cvl_dw_next(desc, plan->state, args, w, workspace, &class, &g);)
        error = launch(&g, desc, args->stream);
    return cvl_cuda_check(error, "a launch of cuda-depthwise");
}

extern const struct cvl_algo cvl_algo_cuda_depthwise;
const struct cvl_algo cvl_algo_cuda_depthwise = {
    .name = "cuda-depthwise", .revision = 2, .device = CVL_CUDA, .knobs = { "run", "slices" }, .reject = reject,
    .variants = variants, .estimate = estimate, .tolerance = tolerance, .init = init, .pack = pack, .run = run,
    .fini = fini,
};
