/* SPDX-License-Identifier: Apache-2.0
 * cudnn: NVIDIA's cuDNN 9 (docs.nvidia.com/deeplearning/cudnn) through its graph interface, as one more candidate:
 * every run compares with the library that a user of GPUs could pick instead. The algorithms are cuDNN's: implicit GEMM
 * on CUDA cores and tensor cores, Winograd, FFT, and kernels that it compiles for the problem.
 *
 * Candidates: every engine configuration that heuristics A, B and fallback name for the problem, by engine and knobs:
 * cudnn:eng=62:k2=5:k13=1. Numbers are cuDNN's and mean something in one of its versions, which the cache's environment
 * matches. `cudnn` alone is the heuristics' first.
 * Problems: float types; epilogues where it has a configuration: many of those are of kernels that it compiles for the
 * problem, and need the driver even to be planned. Tensors need 16-byte alignment: its kernels load vectors.
 * Arithmetic: f32 problems with math f32 are offered what has no note of tensor cores, which would round to tf32.
 * Determinism is told by its numerical notes.
 * Memory: cuDNN's workspace, to the byte. Each run makes one small descriptor on the host.
 * Infinities and NaNs: some engines transform, others skip padding by multiplying zeros. Denormals: engine 25 takes
 * them for zeros (cuDNN 9.14, f32 BWD_DATA on an H100). */
#include "base/dtype.h"
#include "base/error.h"
#include "conv/accuracy.h"
#include "conv/cuda/cudnn_run.h"

#include <math.h>
#include <string.h>

static const char *reject(const cvl_ctx *ctx, const cvl_conv_desc *desc)
{
    struct cvl_cudnn_choices choices;
    if (cvl_cudnn_lacks())
        return cvl_cudnn_lacks();
    if (cvl_conv_is_integer(desc))
        return "the sums are integers, and cuDNN's int8 is for scales in f32";
    if (desc->n == 0)
        return "the batch is empty, and cuDNN has no such tensor";
    if (cvl_cudnn_choices(ctx, desc, &choices) != CVL_OK)
        return cvl_reason("%s", cvl_last_error());
    if (choices.count == 0)
        return cvl_reason("%s has no configuration for these types, layouts and epilogue%s", cvl_cudnn_version(),
                          choices.left_out ? " in f32 arithmetic" : "");
    return NULL;
}

static bool finite_only(const cvl_conv_desc *desc)
{
    return true;
}

static int variants(const cvl_ctx *ctx, const cvl_conv_desc *desc, struct cvl_variant *variants, int max)
{
    struct cvl_cudnn_choices choices;
    if (cvl_cudnn_choices(ctx, desc, &choices) != CVL_OK)
        choices.count = 0;
    const int count = choices.count < max ? choices.count : max;
    memcpy(variants, choices.variant, (size_t)count * sizeof *variants);
    return count > 0 ? count : 1;
}

/* Half of the peak, or every tensor once from memory at four fifths of its speed; each further answer of the heuristics
 * is taken for a little slower than the one before. */
static double estimate(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    const bool tensor_cores = variant->notes & CVL_CUDNN_NOTE(TENSOR_CORE);
    const double tensor_rate = cvl_conv_is_f32(desc) ? ctx->rates.tf32_flops : ctx->rates.bf16_flops;
    const double rate = tensor_cores && tensor_rate > 0 ? tensor_rate : ctx->rates.f32_flops;
    const double moved = (double)cvl_conv_bytes(desc, CVL_X) + (double)cvl_conv_bytes(desc, CVL_Y)
                       + (double)cvl_conv_bytes(desc, CVL_W);
    const double rank = (double)(variant->notes >> CVL_CUDNN_RANK_SHIFT);
    return 4e-6 + (1 + rank / 32) * fmax(cvl_conv_flops(desc) / (0.5 * rate), moved / (1.6 * ctx->rates.copy_dram));
}

/* As for our own f32 sums, in whatever order. Tensor cores cut f32 inputs to 10 bits behind the point, which is less
 * than 2^-9 of a product. Winograd's transforms lose the digits that their largest coefficients' growth takes: a factor
 * that grows with the tile; an FFT some rounding for each of its stages. With 16-bit tensors what is transformed is
 * rounded to that type again. Engines that cut the reduction of a filter's gradient into slices (47: k0 of them) keep
 * the sums of slices in the gradient's type and have no note of it: bf16 on an H100 was off by 0.0056, or
 * 1.4 roundings. */
static double tolerance(const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    static const double roundings[] = { [CVL_F32] = 0, [CVL_BF16] = 0x1p-8, [CVL_F16] = 0x1p-11 };
    static const struct { unsigned note; double growth; } transforms[] = {
        { CVL_CUDNN_NOTE(WINOGRAD_TILE_13x13), 256 }, { CVL_CUDNN_NOTE(WINOGRAD_TILE_6x6), 128 },
        { CVL_CUDNN_NOTE(WINOGRAD_TILE_4x4), 32 },    { CVL_CUDNN_NOTE(WINOGRAD), 8 },
        { CVL_CUDNN_NOTE(FFT), 16 },                  { ~0u, 1 },
    };
    const double k = cvl_conv_reduction(desc) + 1, largest = cvl_conv_largest_output(desc, k);
    const enum cvl_tensor read = desc->pass == CVL_FWD ? CVL_X : CVL_Y;
    const cvl_dtype type = cvl_conv_type(desc, read);
    int i = 0;
    while (transforms[i].note != ~0u && !(variant->notes & transforms[i].note))
        i++;
    const double growth = transforms[i].growth;
    double error = 0x1p-24 * growth * (2 + 2 * sqrt(k) + k) / largest;
    if (cvl_conv_is_f32(desc) && variant->notes & (CVL_CUDNN_NOTE(TENSOR_CORE) | CVL_CUDNN_NOTE(DOWN_CONVERT_INPUTS)))
        error += 0x1p-9 * (1 + 2 * sqrt(k)) / largest;
    if (growth > 1)
        error += roundings[type] * growth * (1 + 2 * sqrt(k)) / largest / sqrt(k);
    if (desc->epi.act > CVL_ACT_CLIP)
        error += 0x1p-20;
    const double stored = roundings[cvl_conv_type(desc, cvl_conv_written(desc->pass))];
    return error + (desc->pass == CVL_BWD_FILTER ? 2 : 1) * stored;
}

const struct cvl_algo cvl_algo_cudnn = {
    .name = "cudnn", .revision = 1, .device = CVL_CUDA, .version = cvl_cudnn_version, .lacks = cvl_cudnn_lacks,
    .knobs = { "eng", "kTYPE" }, .print_knobs = cvl_cudnn_variant_print, .read_knob = cvl_cudnn_variant_read,
    .alignment = CVL_CUDNN_ALIGNMENT, .finite_only = finite_only, .flushes_denormals = true, .reject = reject,
    .variants = variants, .most = CVL_VARIANTS_MAX, .estimate = estimate, .tolerance = tolerance,
    .init = cvl_cudnn_init, .run = cvl_cudnn_run, .fini = cvl_cudnn_fini,
};
