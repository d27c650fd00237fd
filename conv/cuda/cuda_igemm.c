/* SPDX-License-Identifier: Apache-2.0
 * cuda-igemm: implicit GEMM on the GPU. All three passes are out[m][n] = sum over k of a[m][k] * b[n][k] (which
 * indices m, n and k are stands in cuda_igemm_lists.c); a tile of a and of b is gathered into shared memory for each
 * step of the reduction, several steps ahead of the arithmetic, and never exists as a matrix. S. Chetlur et al.,
 * "cuDNN: efficient primitives for deep learning", 2014; the pipeline is that of NVIDIA's CUTLASS (A. Kerr et al.,
 * 2017 and later).
 *
 * f32 runs on CUDA cores; bf16, f16, and f32 whose math may be tf32, on tensor cores by mma.sync, with sums in f32.
 * Taps, channels and pixels are one long reduction without gaps, so three channels (a network's first layer) fill it
 * as well as 512. Channels that are contiguous and come in runs of 16 aligned bytes are copied as such (cp.async past
 * the registers), anything else by elements, at any alignment.
 *
 * Memory: none, or with split=S the reduction is cut into S slices, whose f32 sums lie in workspace until they are
 * added in their order: every run gives the same bits. Multiplications: direct convolution's; padding is multiplied
 * as zeros, so an infinity or a NaN of the filter (FWD, BWD_DATA) or of dy (BWD_FILTER) that meets it gives a NaN.
 * Knobs: m, n: the tile; stages: steps of the reduction under way; split.
 * Where it loses: groups of few channels, whose tiles stay empty; 16-bit NCHW images and channels that are no multiple
 * of eight, brought by elements; 3x3 with many channels to Winograd; large products on Hopper to wgmma, of whose rate
 * mma.sync reaches some 60 %, and small ones to less latency (on an H100 half of cuDNN's rate for bf16 either way). */
#include "conv/algo.h"
#include "conv/cuda/cuda_igemm_lists.h"
#include "conv/cuda/cuda_igemm_tile.h"

#include "base/alloc.h"
#include "base/cuda/cuda_error.h"
#include "base/dtype.h"
#include "conv/accuracy.h"
#include "conv/axis.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { M, N, STAGES, SPLIT };              /* knobs */
/* More stages keep blocks off a multiprocessor: up to 1.5 times slower. */
enum { STAGES_DEFAULT = 2, SPLIT_MAX = 256 };

static const char *reject(const cvl_ctx *ctx, const cvl_conv_desc *desc)
{
    const cvl_dtype a = cvl_conv_type(desc, desc->pass == CVL_FWD ? CVL_X : CVL_Y);
    if (!cvl_dtype_is_float(a))
        return cvl_reason("what is read must be f32, bf16 or f16, the problem has %s", cvl_dtype_name(a));
    if (ctx->device->capability < 80)
        return cvl_reason("the GPU has compute capability %d.%d, expected 8.0 or more", ctx->device->capability / 10,
                          ctx->device->capability % 10);
    return NULL;
}

static enum cvl_gemm_unit unit_of(const cvl_conv_desc *desc)
{
    return cvl_conv_is_f32(desc) && desc->math == CVL_MATH_F32 ? CVL_UNIT_CORES : CVL_UNIT_TENSOR;
}

/* ---- time ---- */

/* Fitted to 656 candidates of ResNet-50's layers, batch 1 and 32, on an H100: off by 7 % in the mean, and the tile that
 * is chosen by them is 1.2 % slower than the best. share: of the peak, on a multiprocessor that is full; step_s: one
 * step of a block alone, whose loads and fragments nothing hides; blocks: as many share a
 * multiprocessor's registers. */
static const struct tile_cost { double share, step_s; int blocks; } costs[2][CVL_GEMM_TILES] = {
    [CVL_UNIT_CORES] = { { 0.55, 0.8e-6, 2 }, { 0.50, 0.8e-6, 2 }, { 0.51, 1.4e-6, 4 } },
    [CVL_UNIT_TENSOR] = { { 0.36, 1.08e-6, 2 }, { 0.28, 0.83e-6, 3 }, { 0.24, 0.46e-6, 4 } },
};
static const double launch_s = 3.2e-6, block_s = 2.9e-6;   /* of a kernel; of a block before and after its steps */
static const double sums_rate = 0.7e12;                    /* bytes a second of split sums, written and read */
enum { SHARED_BYTES = 227 << 10, SHARED_RESERVED = 1 << 10 };   /* of a multiprocessor (sm_90); by each block */

static double peak(const cvl_ctx *ctx, const cvl_conv_desc *desc)
{
    return unit_of(desc) == CVL_UNIT_CORES ? ctx->rates.f32_flops
         : cvl_conv_is_f32(desc) ? ctx->rates.tf32_flops : ctx->rates.bf16_flops;
}

/* Elements one by one cost instructions: for 16-bit types, which no cp.async takes singly, the most. */
static double bringing_factor(const struct cvl_gemm *g)
{
    const int ones = (g->a.bring > CVL_BRING_ALONG_ROWS) + (g->b.bring > CVL_BRING_ALONG_ROWS);
    return 1 + ones * (g->type == CVL_F32 ? 0.2 : 1.5);
}

static int blocks_at_once(const struct cvl_gemm *g, const struct cvl_gemm_choice *choice)
{
    const struct cvl_gemm_tile tile = cvl_gemm_tiles[choice->unit][choice->tile];
    const int shared = cvl_tile_shared_bytes(tile, choice->stages, (int)cvl_dtype_size(g->type)) + SHARED_RESERVED;
    return cvl_max(1, cvl_min(costs[choice->unit][choice->tile].blocks, SHARED_BYTES / shared));
}

/* Blocks come in rounds of as many as fit; steps of those that share a multiprocessor hide one another's latency until
 * it is full. */
static double launch_time(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_gemm_choice *choice,
                          const struct cvl_gemm *g)
{
    const struct cvl_gemm_tile tile = cvl_gemm_tiles[choice->unit][choice->tile];
    const struct tile_cost *cost = &costs[choice->unit][choice->tile];
    const double sms = ctx->device->multiprocessors > 0 ? ctx->device->multiprocessors : 132;
    const double depth = cvl_tile_depth((int)cvl_dtype_size(g->type)), bringing = bringing_factor(g);
    const double each = ceil((double)g->tiles * g->groups * g->splits / sms), at_once = blocks_at_once(g, choice);
    const double full = floor(each / at_once), last = each - full * at_once;
    const double step = bringing * 2 * tile.m * tile.n * depth * sms / (peak(ctx, desc) * cost->share);
    const double sums = g->splits == 1 ? 0 : (double)g->splits * g->groups * (double)g->partial_rows
                                           * g->out_columns.count;
    double steps = 0;
    for (int i = 0; i < g->parts; i++)
        steps = fmax(steps, ceil((double)g->part[i].steps / g->splits));
    const double round = steps * fmax(bringing * cost->step_s, at_once * step) + block_s;
    const double rest = last > 0 ? steps * fmax(bringing * cost->step_s, last * step) + block_s : 0;
    return full * round + rest + sums * 4 / sums_rate + (g->splits > 1 ? 2 : 1) * launch_s;
}

static double time_of(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_gemm_choice *choice)
{
    const double bytes = (double)cvl_conv_bytes(desc, CVL_X) + (double)cvl_conv_bytes(desc, CVL_W)
                       + (double)cvl_conv_bytes(desc, CVL_Y);
    double seconds = 0;
    cvl_conv_args args;
    struct cvl_gemm g;
    cvl_conv_args_init(&args);
    for (int class = 0; cvl_gemm_next(desc, choice, &args, NULL, &class, &g);)
        seconds += launch_time(ctx, desc, choice, &g);
    return fmax(seconds, bytes / 2 / ctx->rates.copy_dram + launch_s);
}

/* ---- choice ---- */

struct guess { struct cvl_gemm_choice choice; double seconds; };

static int by_time(const void *a, const void *b)
{
    const struct guess *left = a, *right = b;
    return (left->seconds > right->seconds) - (left->seconds < right->seconds);
}

/* Every tile and split that makes sense, fastest guess first; returns how many. */
enum { GUESSES = CVL_GEMM_TILES * 9 };
static int guess_all(const cvl_ctx *ctx, const cvl_conv_desc *desc, struct guess *guesses)
{
    const struct cvl_gemm_extent extent = cvl_gemm_extent_of(desc);
    const int64_t steps = extent.k * (int64_t)cvl_dtype_size(cvl_conv_type(desc, desc->pass == CVL_FWD ? CVL_X : CVL_Y))
                        / CVL_TILE_DEPTH_BYTES;
    int count = 0;
    for (int tile = 0; tile < CVL_GEMM_TILES; tile++)
        for (int splits = 1; splits == 1 || (splits <= SPLIT_MAX && splits * 2 <= steps); splits *= 2) {
            struct guess *guess = &guesses[count++];
            guess->choice = (struct cvl_gemm_choice){ unit_of(desc), tile, STAGES_DEFAULT, splits };
            guess->seconds = time_of(ctx, desc, &guess->choice);
        }
    qsort(guesses, (size_t)count, sizeof *guesses, by_time);
    return count;
}

/* CVL_ENOTFOUND for knobs out of range. Knobs left at 0 are those of the fastest guess. */
static cvl_status choice_of(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant,
                            struct cvl_gemm_choice *choice)
{
    const int *knob = variant->knob;
    struct guess guesses[GUESSES];
    const enum cvl_gemm_unit unit = unit_of(desc);
    const int count = guess_all(ctx, desc, guesses);
    int i = 0;
    while (i < count && ((knob[M] && knob[M] != cvl_gemm_tiles[unit][guesses[i].choice.tile].m)
                         || (knob[N] && knob[N] != cvl_gemm_tiles[unit][guesses[i].choice.tile].n)))
        i++;
    if (i == count)
        return cvl_fail(CVL_ENOTFOUND, "m is %d and n is %d, expected 128 and 128, 128 and 64, or 64 and 64", knob[M],
                        knob[N]);
    if (knob[STAGES] && (knob[STAGES] < CVL_STAGES_MIN || knob[STAGES] > CVL_STAGES_MAX))
        return cvl_fail(CVL_ENOTFOUND, "stages is %d, expected %d to %d", knob[STAGES], CVL_STAGES_MIN, CVL_STAGES_MAX);
    if (knob[SPLIT] < 0 || knob[SPLIT] > SPLIT_MAX)
        return cvl_fail(CVL_ENOTFOUND, "split is %d, expected 0 to %d", knob[SPLIT], SPLIT_MAX);
    *choice = guesses[i].choice;
    choice->stages = knob[STAGES] ? knob[STAGES] : STAGES_DEFAULT;
    choice->splits = knob[SPLIT] ? knob[SPLIT] : choice->splits;
    return CVL_OK;
}

static void name_choice(const struct cvl_gemm_choice *choice, int stages, struct cvl_variant *variant)
{
    const struct cvl_gemm_tile tile = cvl_gemm_tiles[choice->unit][choice->tile];
    *variant = (struct cvl_variant){
        .knob = { [M] = tile.m, [N] = tile.n, [STAGES] = stages, [SPLIT] = choice->splits },
    };
}

/* The best guess under the name of the default, then with another stage, then the next guesses. */
static int variants(const cvl_ctx *ctx, const cvl_conv_desc *desc, struct cvl_variant *variants, int max)
{
    struct guess guesses[GUESSES];
    const int count = guess_all(ctx, desc, guesses);
    int made = 0;
    variants[made++] = (struct cvl_variant){ .knob = { 0 } };
    if (made < max)
        name_choice(&guesses[0].choice, STAGES_DEFAULT + 1, &variants[made++]);
    for (int i = 1; i < count && made < cvl_min(max, 10); i++)
        name_choice(&guesses[i].choice, STAGES_DEFAULT, &variants[made++]);
    return made;
}

static double estimate(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    struct cvl_gemm_choice choice;
    return choice_of(ctx, desc, variant, &choice) == CVL_OK ? time_of(ctx, desc, &choice) : INFINITY;
}

/* k additions onto a sum of about sqrt(i)/3 are each off by up to 2^-25 of it, on tensor cores, which cut off, by
 * 2^-22; tf32 factors are off by up to 2^-11 each, and what is stored in 16 bits is rounded. */
static double tolerance(const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    static const double stored[] = { [CVL_F32] = 0x1p-24, [CVL_BF16] = 0x1p-8, [CVL_F16] = 0x1p-11 };
    const double k = cvl_conv_reduction(desc) + 1, largest = cvl_conv_largest_output(desc, k);
    const bool tensor = unit_of(desc) == CVL_UNIT_TENSOR;
    const double sums = (tensor ? 0x1p-21 : 0x1p-24) * (2 + 2 * sqrt(k) + k) / largest;
    const double factors = tensor && cvl_conv_is_f32(desc) ? 0x1p-10 * sqrt(k) / largest : 0;
    return sums + factors + stored[cvl_conv_type(desc, cvl_conv_written(desc->pass))];
}

/* ---- plans ---- */

static cvl_status init(cvl_plan *plan)
{
    struct cvl_gemm_choice choice;
    const cvl_status status = choice_of(plan->ctx, &plan->desc, &plan->variant, &choice);
    if (status != CVL_OK)
        return status;
    struct cvl_gemm_choice *kept = cvl_alloc(sizeof *kept);
    if (!kept)
        return cvl_fail(CVL_ENOMEM, "no memory for a plan of cuda-igemm");
    *kept = choice;
    plan->state = kept;
    plan->workspace_bytes = cvl_gemm_workspace(&plan->desc, &choice);
    if (cvl_gemm_packs(&plan->desc)) {
        plan->packed_bytes = cvl_conv_bytes(&plan->desc, CVL_W);
        memcpy(plan->packed_format, "nrsk", sizeof "nrsk");
    }
    return CVL_OK;
}

static void fini(cvl_plan *plan)
{
    cvl_free(plan->state);
}

static cvl_status pack(const cvl_plan *plan, const cvl_conv_args *args, void *packed)
{
    const struct cvl_repack repack = cvl_gemm_repack(&plan->desc, args->w, packed);
    return cvl_cuda_check(cvl_cuda_repack(&repack, args->stream), "packing the filter of cuda-igemm");
}

static int launch(const struct cvl_gemm *g, const struct cvl_gemm_choice *choice, void *stream)
{
    static int (*const tensor[])(const struct cvl_gemm *, int, int, void *) = {
        [CVL_F32] = cvl_cuda_igemm_tf32, [CVL_BF16] = cvl_cuda_igemm_bf16, [CVL_F16] = cvl_cuda_igemm_f16,
    };
    return (choice->unit == CVL_UNIT_CORES ? cvl_cuda_igemm_cores : tensor[g->type])(g, choice->tile, choice->stages,
                                                                                     stream);
}

static cvl_status run(const cvl_plan *plan, const cvl_conv_args *args, void *workspace)
{
    const struct cvl_gemm_choice *choice = plan->state;
    struct cvl_gemm g;
    int error = 0;
    for (int class = 0; error == 0 && cvl_gemm_next(&plan->desc, choice, args, workspace, &class, &g);) {
        error = launch(&g, choice, args->stream);
        if (error == 0 && choice->splits > 1)
            error = cvl_cuda_igemm_sum(&g, args->stream);
    }
    return cvl_cuda_check(error, "a launch of cuda-igemm");
}

extern const struct cvl_algo cvl_algo_cuda_igemm;
const struct cvl_algo cvl_algo_cuda_igemm = {
    .name = "cuda-igemm", .revision = 2, .device = CVL_CUDA, .knobs = { "m", "n", "stages", "split" }, .reject = reject,
    .variants = variants, .estimate = estimate, .tolerance = tolerance, .init = init, .pack = pack, .run = run,
    .fini = fini,
};
