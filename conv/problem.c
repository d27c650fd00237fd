/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/problem.h"

#include "base/alloc.h"
#include "base/dtype.h"
#include "base/error.h"
#include "base/random.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Tensors lie apart: a core that walks through one in steps of a row fetches the next step beyond its end too, ready to
 * be written, and takes those lines from a core that reads them in whatever lies there. Where a filter did, two threads
 * took 13 us for a depthwise layer of 7x7 and 960 channels, and take 5.8 like this. */
enum { APART = 128 << 10 };

static void *place_by_alloc(void *arg, size_t bytes, size_t element)
{
    return bytes > SIZE_MAX - APART ? NULL : cvl_alloc(bytes + APART);
}

static void free_by_alloc(void *arg, void *memory)
{
    cvl_free(memory);
}

static const struct cvl_placement by_alloc = {.alloc = place_by_alloc, .free = free_by_alloc};

/* Of either sign in (17/256, 1], so that a 16-bit type does not round it down to 1/16. */
static float uniform(uint32_t bits)
{
    static const float signs[] = {1, -1};
    const float unit = (float)((bits & 0x7fffff) + 1) * 0x1p-23f;
    return signs[bits >> 31] * (17 + 239 * unit) * 0x1p-8f;
}

/* Two values a step, and no call in the loop: large tensors are filled at the speed of memory. */
static void fill_f32(void *memory, size_t count, struct cvl_random *random)
{
    float *to = memory;
    for (size_t i = 0; i + 1 < count; i += 2) {
        const uint64_t bits = cvl_random_next(random);
        to[i] = uniform((uint32_t)bits);
        to[i + 1] = uniform((uint32_t)(bits >> 32));
    }
    if (count % 2)
        to[count - 1] = uniform((uint32_t)cvl_random_next(random));
}

static void fill_bf16(void *memory, size_t count, struct cvl_random *random)
{
    uint16_t *to = memory;
    for (size_t i = 0; i < count; i++)
        to[i] = cvl_bf16_from_float(uniform((uint32_t)cvl_random_next(random)));
}

static void fill_f16(void *memory, size_t count, struct cvl_random *random)
{
    uint16_t *to = memory;
    for (size_t i = 0; i < count; i++)
        to[i] = cvl_f16_from_float(uniform((uint32_t)cvl_random_next(random)));
}

static void fill_bytes(void *memory, size_t count, struct cvl_random *random)
{
    uint64_t bits;
    size_t i = 0;
    for (; i + sizeof bits <= count; i += sizeof bits) {
        bits = cvl_random_next(random);
        memcpy((char *)memory + i, &bits, sizeof bits);
    }
    bits = cvl_random_next(random);
    memcpy((char *)memory + i, &bits, count - i);
}

/* A bias or residual of sums; 28 bits leave room for what is added to it. */
static void fill_s32(void *memory, size_t count, struct cvl_random *random)
{
    int32_t *to = memory;
    for (size_t i = 0; i < count; i++)
        to[i] = (int32_t)(uint32_t)cvl_random_next(random) >> 4;
}

static void (*const fills[])(void *memory, size_t count, struct cvl_random *random) = {
    [CVL_F32] = fill_f32, [CVL_BF16] = fill_bf16, [CVL_F16] = fill_f16,
    [CVL_S8] = fill_bytes, [CVL_U8] = fill_bytes, [CVL_S32] = fill_s32,
};

static void *place(const struct cvl_problem *problem, size_t count, size_t element)
{
    return problem->placement.alloc(problem->placement.arg, count * element, element);
}

static void *place_filled(const struct cvl_problem *problem, cvl_dtype type, size_t count, struct cvl_random *random)
{
    void *memory = place(problem, count, cvl_dtype_size(type));
    if (memory)
        fills[type](memory, count, random);
    return memory;
}

/* What nobody writes is seen: NaN in every floating type, and a rare number in the integers. */
static void *place_written(struct cvl_problem *problem, cvl_dtype type, size_t count)
{
    problem->written_bytes = count * cvl_dtype_size(type);
    problem->written = place(problem, count, cvl_dtype_size(type));
    if (problem->written)
        memset(problem->written, cvl_dtype_is_float(type) ? 0xff : 0xa5, problem->written_bytes);
    return problem->written;
}

/* What pads the channels of a blocked layout is zero. */
static void clear_padding(const cvl_conv_desc *desc, enum cvl_tensor tensor, void *memory)
{
    const size_t count = cvl_conv_count(desc, tensor), bytes = cvl_dtype_size(cvl_conv_type(desc, tensor));
    for (size_t i = 0; cvl_conv_block(desc, tensor) && i < count; i++)
        if (cvl_conv_is_padding(desc, tensor, i))
            memset((char *)memory + i * bytes, 0, bytes);
}

static bool place_tensors(struct cvl_problem *problem, struct cvl_random *random)
{
    const cvl_conv_desc *desc = &problem->desc;
    const enum cvl_tensor written = cvl_conv_written(desc->pass);
    void **const slots[] = {[CVL_X] = &problem->args.x, [CVL_W] = &problem->args.w, [CVL_Y] = &problem->args.y};
    for (int i = CVL_X; i <= CVL_Y; i++) {
        const enum cvl_tensor tensor = (enum cvl_tensor)i;
        const cvl_dtype type = cvl_conv_type(desc, tensor);
        const size_t count = cvl_conv_count(desc, tensor);
        *slots[i] = tensor == written ? place_written(problem, type, count)
                                      : place_filled(problem, type, count, random);
        if (!*slots[i])
            return false;
        if (tensor != written)
            clear_padding(desc, tensor, *slots[i]);
    }
    return true;
}

enum { W_ZERO_MAX = 3 };

/* The sums of products of a and the filter, as uniform random bytes, lie within this of zero, but for one in several
 * hundred: their mean and three standard deviations. */
static double sum_bound(const cvl_conv_desc *desc, double a_middle)
{
    const double variance = (256.0 * 256 - 1) / 12, w_middle = W_ZERO_MAX + 0.5;
    const double square = (variance + a_middle * a_middle) * (variance + w_middle * w_middle);
    const double mean = a_middle * w_middle, reduction = cvl_conv_reduction(desc);
    return fabs(mean) * reduction + 3 * sqrt(reduction * (square - mean * mean));
}

static int middle_of(cvl_dtype type)
{
    return type == CVL_U8 ? 128 : 0;
}

/* The filter's scales bring the sums, and a bias of their size, into the range of the output. What a problem without
 * that zero point or scale must not read is poisoned. */
static bool place_quant(struct cvl_problem *problem, struct cvl_random *random)
{
    const cvl_conv_desc *desc = &problem->desc;
    const bool requantized = cvl_conv_type(desc, cvl_conv_written(desc->pass)) != CVL_S32;
    const int channels = desc->quant.per_channel ? cvl_conv_bias_count(desc) : 1;
    cvl_quant *quant = &problem->quant;
    problem->args.quant = quant;
    quant->x_scale = quant->y_scale = NAN;
    quant->x_zero = desc->quant.x_zero ? middle_of(desc->x_type) + 3 + cvl_random_below(random, 5) : 1 << 20;
    quant->y_zero = desc->quant.y_zero ? middle_of(desc->y_type) - 3 - cvl_random_below(random, 5) : 1 << 20;
    if (desc->quant.w_zero) {
        int32_t *zeros = place(problem, (size_t)channels, sizeof *zeros);
        quant->w_zero = zeros;
        for (int i = 0; zeros && i < channels; i++)
            zeros[i] = (i % 2 ? 1 : -1) * (1 + cvl_random_below(random, W_ZERO_MAX));
    }
    if (requantized) {
        const bool fwd = desc->pass == CVL_FWD;
        const cvl_dtype a_type = fwd ? desc->x_type : desc->y_type;
        const bool has_zero = fwd ? desc->quant.x_zero : desc->quant.y_zero;
        const float in_scale = 0.0173f, out_scale = 0.0531f;
        const double bound = sum_bound(desc, has_zero ? 8 : middle_of(a_type));
        float *scales = place(problem, (size_t)channels, sizeof *scales);
        quant->w_scale = scales;
        quant->x_scale = fwd ? in_scale : out_scale;
        quant->y_scale = fwd ? out_scale : in_scale;
        for (int i = 0; scales && i < channels; i++)
            scales[i] = (float)(100 * out_scale / (in_scale * bound) * (1 - 0.5 * cvl_random_unit(random)));
        for (int i = 0; desc->epi.bias && i < cvl_conv_bias_count(desc); i++)
            ((int32_t *)problem->args.bias)[i] = (int32_t)(fmin(bound, 0x1p28) * (cvl_random_unit(random) - 0.5));
    }
    return (quant->w_zero || !desc->quant.w_zero) && (quant->w_scale || !requantized);
}

cvl_status cvl_problem_create(const cvl_conv_desc *desc, uint64_t seed, const struct cvl_placement *placement,
                              struct cvl_problem *problem)
{
    const enum cvl_tensor written = cvl_conv_written(desc->pass);
    const cvl_dtype type = cvl_conv_type(desc, written);
    const size_t bias_count = (size_t)cvl_conv_bias_count(desc);
    struct cvl_random random = {seed};
    *problem = (struct cvl_problem){.desc = *desc, .placement = placement ? *placement : by_alloc};
    cvl_conv_args_init(&problem->args);
    cvl_quant_init(&problem->quant);
    if (!place_tensors(problem, &random))
        goto fail;
    if (desc->epi.bias) {
        const cvl_dtype bias_type = cvl_conv_is_integer(desc) ? CVL_S32 : CVL_F32;
        problem->args.bias = place_filled(problem, bias_type, bias_count, &random);
        if (!problem->args.bias)
            goto fail;
    }
    if (desc->epi.residual) {
        problem->args.residual = place_filled(problem, type, cvl_conv_count(desc, written), &random);
        if (!problem->args.residual)
            goto fail;
        clear_padding(desc, written, (void *)problem->args.residual);
    }
    if (cvl_conv_is_integer(desc) && !place_quant(problem, &random))
        goto fail;
    return CVL_OK;

fail:
    cvl_problem_destroy(problem);
    return cvl_fail(CVL_ENOMEM, "no memory for tensors x, w and y of %zu, %zu and %zu elements",
                    cvl_conv_count(desc, CVL_X), cvl_conv_count(desc, CVL_W), cvl_conv_count(desc, CVL_Y));
}

void cvl_problem_destroy(struct cvl_problem *problem)
{
    const void *const owned[] = {problem->args.x, problem->args.w, problem->args.y, problem->args.bias,
                                 problem->args.residual, problem->quant.w_scale, problem->quant.w_zero};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        if (owned[i])
            problem->placement.free(problem->placement.arg, (void *)owned[i]);
    *problem = (struct cvl_problem){.written = NULL};
}
