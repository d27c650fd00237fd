/* SPDX-License-Identifier: Apache-2.0
 * cuda-stem: a network's first layer, whose image has up to four channels, forward on the GPU's tensor cores,
 *     y[n,p,q,k] = act(sum over r,s,c of x[n, p*stride + r - pad, q*stride + s - pad, c] * w[k,c,r,s] + bias + ...).
 * Three channels are no run of 16 bytes, so an implicit GEMM brings every pixel's s*c inputs singly, r times over:
 * 147 loads for a pixel of 7 x 7. In NHWC the s*c inputs of a row of taps are neighbours: here the patch that 128
 * pixels see is brought into shared memory once (28 loads for a pixel of two rows of 64 at stride 2), fragments are
 * read there, a pixel stride*c elements after the one before it, and (s, c) is packed into the reduction, a row of taps
 * made even, the whole a multiple of 16: 147 become 160. (NVIDIA's CUTLASS has such a case, "few channels"; the layout
 * here is ours.)
 *
 * A block keeps its filters in shared memory and goes round the tiles of all images. Memory: the packed filter, some
 * 20 kB for 64 of k, or workspace of that size for a filter that is packed by each run. Multiplications: direct
 * convolution's, and those that fill up. Where it loses: wide filters of one or two channels, which large tiles of the
 * Fourier transform would multiply faster; NCHW images and f32 go to cuda-igemm.
 * Infinities and NaNs: zeros of the filled-up filter meet elements of the image beside a pixel's taps. */
#include "conv/algo.h"
#include "conv/cuda/cuda_stem_lists.h"

#include "base/cuda/cuda_error.h"
#include "base/dtype.h"
#include "base/error.h"
#include "conv/accuracy.h"
#include "conv/axis.h"

#include <math.h>
#include <string.h>

enum { BLOCKS_MOST = 4, SHARED_USUAL = 99 << 10, SHARED_KEPT = 1 << 10 };   /* kept: by the system, for each block */

static int shared_of(const cvl_ctx *ctx)
{
    return ctx->device->shared_bytes ? (int)ctx->device->shared_bytes : SHARED_USUAL;
}

static struct cvl_stem shape_of(const cvl_conv_desc *desc)
{
    cvl_conv_args args;
    cvl_conv_args_init(&args);
    return cvl_stem_of(desc, &args, NULL);
}

static const char *reject(const cvl_ctx *ctx, const cvl_conv_desc *desc)
{
    const char *reason = cvl_stem_reject(desc);
    if (reason)
        return reason;
    if (ctx->device->capability < 80)
        return cvl_reason("the GPU has compute capability %d.%d, expected 8.0 or more", ctx->device->capability / 10,
                          ctx->device->capability % 10);
    const struct cvl_stem g = shape_of(desc);
    if (cvl_stem_shared_bytes(&g) > shared_of(ctx))
        return cvl_reason("a block needs %d bytes of shared memory, and has %d", cvl_stem_shared_bytes(&g),
                          shared_of(ctx));
    return NULL;
}

static bool finite_only(const cvl_conv_desc *desc)
{
    return true;
}

/* As many as run at the same time, or as there are tiles. */
static int blocks_of(const cvl_ctx *ctx, const struct cvl_stem *g)
{
    const int fit = (shared_of(ctx) + SHARED_KEPT) / (cvl_stem_shared_bytes(g) + SHARED_KEPT);
    const int sms = ctx->device->multiprocessors > 0 ? ctx->device->multiprocessors : 132;
    const int blocks = sms * cvl_min(fit, BLOCKS_MOST) / cvl_divide_up(g->k, CVL_STEM_K);
    return cvl_min(cvl_max(blocks, 1), g->tiles);
}

/* Bytes at four fifths of the copy rate, or a quarter of the tensor cores' (assumed, not measured), and launches. */
static double estimate(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    static const double launch_s = 2.5e-6, memory = 0.8, arithmetic = 0.25;
    const struct cvl_stem g = shape_of(desc);
    const double bytes = (double)cvl_conv_bytes(desc, CVL_X) + (double)cvl_conv_bytes(desc, CVL_Y);
    const double products = (double)g.tiles * CVL_STEM_PIXELS * cvl_divide_up(g.k, CVL_STEM_K) * CVL_STEM_K * g.depth;
    return fmax(bytes / 2 / (ctx->rates.copy_dram * memory), 2 * products / (ctx->rates.bf16_flops * arithmetic))
         + (desc->const_filter ? 1 : 2) * launch_s;
}

/* Tensor cores cut sums off at 2^-22 of them; what is stored in 16 bits is rounded. */
static double tolerance(const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    static const double stored[] = { [CVL_F32] = 0x1p-24, [CVL_BF16] = 0x1p-8, [CVL_F16] = 0x1p-11 };
    const double k = cvl_conv_reduction(desc) + 1;
    return 0x1p-21 * (2 + 2 * sqrt(k) + k) / cvl_conv_largest_output(desc, k) + stored[desc->y_type];
}

static cvl_status init(cvl_plan *plan)
{
    if (!plan->desc.const_filter) {
        plan->workspace_bytes = cvl_stem_packed_bytes(&plan->desc);
        return CVL_OK;
    }
    plan->packed_bytes = cvl_stem_packed_bytes(&plan->desc);
    plan->packed_required = true;
    memcpy(plan->packed_format, "rsc", sizeof "rsc");
    return CVL_OK;
}

static cvl_status pack(const cvl_plan *plan, const cvl_conv_args *args, void *packed)
{
    const struct cvl_stem_pack f = cvl_stem_pack_of(&plan->desc, args->w, packed);
    return cvl_cuda_check(cvl_cuda_stem_pack(&f, args->stream), "packing the filter of cuda-stem");
}

static cvl_status run(const cvl_plan *plan, const cvl_conv_args *args, void *workspace)
{
    const struct cvl_stem g = cvl_stem_of(&plan->desc, args, args->packed ? args->packed : workspace);
    cvl_status status = CVL_OK;
    if (g.tiles == 0)
        return CVL_OK;
    if (!args->packed)
        status = pack(plan, args, workspace);
    return status == CVL_OK ? cvl_cuda_check(cvl_cuda_stem(&g, blocks_of(plan->ctx, &g), args->stream),
                                             "a launch of cuda-stem")
                            : status;
}

extern const struct cvl_algo cvl_algo_cuda_stem;
const struct cvl_algo cvl_algo_cuda_stem = {
    .name = "cuda-stem", .revision = 2, .device = CVL_CUDA, .finite_only = finite_only, .reject = reject,
    .estimate = estimate, .tolerance = tolerance, .init = init, .pack = pack, .run = run,
};
