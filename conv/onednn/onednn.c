/* SPDX-License-Identifier: Apache-2.0
 * onednn: Intel's oneDNN (github.com/uxlfoundation/oneDNN) as one more candidate, so that every run compares with the
 * library that a user of CPUs could pick instead. We choose an implementation, keep its filter in the format that it
 * wants, and hand over buffers; the algorithm (direct, with code generated for the problem) is oneDNN's.
 *
 * x and y stay in the caller's layout, and in nchw16c it is at its best on most shapes. Planes (NCHW) it may also have
 * in the layout that it likes best (knob `inner`: 1), with reorders before and after that count, as its users are told
 * to do and its version 3 does inside: version 2 lowers planes to a GEMM (C=3 stem, batch 1: 86 GFLOP/s instead of 30;
 * depthwise 16 instead of 4; a 3x3 filter's gradient 95 instead of 50). A packed filter is in the implementation's
 * blocked format. A raw one is brought into it by every run, and a filter's gradient out of it.
 * Candidates: `filter` (knob) is the number of a filter format in filter_format.c, `impl` (knob) counts the
 * implementations with that format in the order of their names. With neither, oneDNN's first choice; its packed filter
 * may be of another format, and so of another packed id, for another size of image.
 * Memory: oneDNN's scratchpad for the problem and the threads; with a raw filter or a filter's gradient also one filter
 * in the blocked format (k and c padded up to whole blocks); with `inner` also x or y or both.
 * Threads: the context's, as an OpenMP setting of the calling thread that is restored afterwards; with a host's pool,
 * which oneDNN cannot use, the calling thread alone. Bits and what is offered may depend on the number of threads:
 * called deterministic is what did not, integers and most of FWD and BWD_DATA that is not brgemm's (onednn_choice.c).
 * ISA: held to the context's level, once for the process (onednn_engine.c).
 *
 * Epilogue: FWD fuses bias, residual (copied into y first unless it is y, and added as oneDNN's sum) and activation;
 * BWD_FILTER adds a residual while it reorders; what is not fused is refused.
 * Infinities and NaNs: its activations do not hand them on as ours do (relu, relu6 and clip make a bound of a NaN), and
 * its 16-bit code multiplies zeros that fill pairs of pixels or channels with a neighbour, which may make a NaN, as
 * does what pads the channels of nchw16c.
 * Integers: FWD into s32 alone, bit-exact. Requantized results are refused: oneDNN scales sums in f32, which rounds to
 * a neighbour where the exact value is near a tie. Most of its code passes s32 sums through f32 too, and is offered
 * where none can exceed 2^24; without dot-product instructions its sums saturate, and it is not offered.
 * It loses where it has only reference loops (refused) and in depthwise layers of NCHW. Executing a primitive allocates
 * some hundred bytes inside of oneDNN. */
#include "conv/onednn/onednn.h"

#include "base/dtype.h"
#include "base/error.h"
#include "conv/accuracy.h"
#include "conv/axis.h"
#include "conv/traffic.h"

#include <math.h>
#include <string.h>

/* ---- what is refused ---- */

static const char *refuse_integer(const cvl_conv_desc *desc)
{
    if (desc->pass != CVL_FWD)
        return "oneDNN's integer convolutions are forward only";
    if (desc->y_type != CVL_S32)
        return cvl_reason("oneDNN scales sums to %s in f32, which is off by one near ties; its s32 sums are exact",
                          cvl_dtype_name(desc->y_type));
    if (desc->quant.w_zero)
        return "the filter has a zero point, and oneDNN's integer filters have none";
    if (desc->epi.bias || desc->epi.residual)
        return "oneDNN adds what is added to s32 sums in f32, which is not exact";
    if (desc->epi.act > CVL_ACT_RELU)
        return "into s32, oneDNN fuses relu and no other activation";
    return NULL;
}

static const char *refuse_epilogue(const cvl_conv_desc *desc)
{
    const cvl_epilogue *epi = &desc->epi;
    if (desc->pass == CVL_BWD_DATA && (epi->bias || epi->residual || epi->act != CVL_ACT_NONE))
        return "oneDNN's backward convolution of the data fuses no epilogue";
    if (desc->pass == CVL_BWD_FILTER && epi->act != CVL_ACT_NONE)
        return "oneDNN's backward convolution of the filter fuses no activation";
    if (desc->pass == CVL_BWD_FILTER && epi->residual && desc->w_type != CVL_F32)
        return cvl_reason("oneDNN would round a gradient to %s before the residual is added",
                          cvl_dtype_name(desc->w_type));
    return NULL;
}

static const char *reject(const cvl_ctx *ctx, const cvl_conv_desc *desc)
{
    struct cvl_onednn_choices choices;
    const char *reason = cvl_onednn_refusal(ctx);
    if (!reason && cvl_conv_is_integer(desc))
        reason = refuse_integer(desc);
    if (!reason)
        reason = refuse_epilogue(desc);
    if (reason)
        return reason;
    cvl_onednn_choices_create(ctx, desc, &choices);
    if (choices.count == 0)
        reason = cvl_reason("%s has %s for these types, layouts and epilogue at %s", cvl_onednn_version(),
                            choices.refused ? "only reference loops or code that is wrong" : "no convolution",
                            cvl_isa_name(ctx->isa));
    cvl_onednn_choices_destroy(&choices);
    return reason;
}

static bool finite_only(const cvl_conv_desc *desc)
{
    return desc->epi.act != CVL_ACT_NONE || !cvl_conv_is_f32(desc) || cvl_conv_is_blocked(desc);
}

/* ---- candidates ---- */

/* Later implementations are for older processors; four leave time for other algorithms. */
enum { VARIANTS = 4 };

static int variants(const cvl_ctx *ctx, const cvl_conv_desc *desc, struct cvl_variant *variants, int max)
{
    struct cvl_onednn_choices choices;
    int count = 0, outer = 0;
    cvl_onednn_choices_create(ctx, desc, &choices);
    for (int i = 0; i < choices.count && count < max; i++)
        if (choices.variant[i].knob[CVL_ONEDNN_INNER] || outer++ < VARIANTS)
            variants[count++] = choices.variant[i];
    cvl_onednn_choices_destroy(&choices);
    return count;
}

/* Lanes that hold no channel. Groups of few channels leave them empty in nchw, 23 to 26 times slower at one channel a
 * group, 6.9 at 4, 3.3 at 8, 1.8 at 32; in oneDNN's own layouts, twice at 8 and fewer. The first layer's code was 1.1
 * to 2 times slower in nchw. */
static double emptiness(const cvl_conv_desc *desc, bool inner)
{
    const double channels = (double)desc->c / desc->groups;
    if (desc->x_layout != CVL_NCHW)
        return 1;
    if (desc->groups > 1)
        return inner ? (channels > 1 && channels < 16 ? 2 : 1) : 1 + 24 / channels;
    return channels <= 4 && !inner ? 1.6 : 1;
}

/* Nine tenths of the peak and every tensor once from the L3 cache, or from memory meanwhile, where what is written is read
 * first; a second implementation is behind the first. Inner layouts copy both images, or the result alone where the
 * code takes an image of few channels as it is. */
static double estimate(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    const bool bytes = cvl_conv_is_integer(desc), halves = !bytes && !cvl_conv_is_f32(desc);
    const double rate = bytes ? ctx->rates.s8_ops : ctx->rates.f32_flops * (halves ? 2 : 1);
    const double moved = (double)cvl_conv_bytes(desc, CVL_X) + (double)cvl_conv_bytes(desc, CVL_Y)
                       + (double)cvl_conv_bytes(desc, CVL_W) * (desc->const_filter ? 1 : 3);
    const double behind = variant->knob[CVL_ONEDNN_IMPL] > 0 ? 1.5 : 1;
    const bool inner = variant->knob[CVL_ONEDNN_INNER];
    const double copies = !inner ? 0 : desc->c <= 4 ? 1 : 4;
    const bool lowered = !inner && desc->x_layout == CVL_NCHW;   /* to a GEMM, which multiplies the padding too */
    const double inside = lowered ? 1 : cvl_axis_inside(desc);
    const double multiplied = emptiness(desc, inner) * inside * cvl_conv_flops(desc);
    const double cached = multiplied / (0.9 * rate) + (1 + copies) * moved / (2 * ctx->rates.copy_l3);
    const double written = (double)cvl_conv_bytes(desc, cvl_conv_written(desc->pass));
    const double streamed = cvl_comes_from_memory(moved) ? (moved + written) / (2 * ctx->rates.copy_dram) : 0;
    return 2e-6 + behind * fmax(cached, streamed);
}

/* As for our f32 algorithms, in whatever order oneDNN adds; its exponential and error functions are polynomials good to
 * some 1e-6. A result of 16 bits is rounded once more. */
static double tolerance(const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    static const double roundings[] = { [CVL_F32] = 0, [CVL_BF16] = 0x1p-8, [CVL_F16] = 0x1p-11 };
    const double k = cvl_conv_reduction(desc) + 1;
    if (cvl_conv_is_integer(desc))
        return 0;
    const double act = desc->epi.act > CVL_ACT_CLIP ? 0x1p-20 : 0;
    return 0x1p-24 * (2 + 2 * sqrt(k) + k) / cvl_conv_largest_output(desc, k) + act
         + roundings[cvl_conv_type(desc, cvl_conv_written(desc->pass))];
}

extern const struct cvl_algo cvl_algo_onednn;
const struct cvl_algo cvl_algo_onednn = {
    .name = "onednn", .revision = 4, .device = CVL_CPU, .version = cvl_onednn_version,
    .knobs = { "filter", "impl", "inner" }, .blocked = true, .finite_only = finite_only,
    .reject = reject, .variants = variants, .estimate = estimate, .tolerance = tolerance,
    .init = cvl_onednn_init, .pack = cvl_onednn_pack, .run = cvl_onednn_run, .fini = cvl_onednn_fini,
};
