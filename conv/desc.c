/* SPDX-License-Identifier: Apache-2.0
 * What a descriptor means: its defaults, and the tensors, counts and key that follow from it. */
#include "conv/desc.h"

#include "base/alloc.h"
#include "base/ctx.h"
#include "base/dtype.h"

#include <string.h>

static void init_sized(void *to, size_t to_size, const void *defaults, size_t size)
{
    if (to_size >= sizeof to_size)
        cvl_copy_sized(to, to_size, defaults, size);
}

void cvl_conv_desc_init_size(cvl_conv_desc *desc, size_t size)
{
    const cvl_conv_desc defaults = {
        .n = 1, .c = 1, .h = 1, .w = 1, .k = 1, .r = 1, .s = 1,
        .stride_h = 1, .stride_w = 1, .dil_h = 1, .dil_w = 1, .groups = 1,
    };
    init_sized(desc, size, &defaults, sizeof defaults);
}

void cvl_conv_args_init_size(cvl_conv_args *args, size_t size)
{
    const cvl_conv_args defaults = { .x = NULL };
    init_sized(args, size, &defaults, sizeof defaults);
}

void cvl_quant_init_size(cvl_quant *quant, size_t size)
{
    const cvl_quant defaults = { .x_scale = 1, .y_scale = 1 };
    init_sized(quant, size, &defaults, sizeof defaults);
}

cvl_status cvl_complete(const char *name, const void *in, void *out, size_t out_size)
{
    size_t size;
    if (!in)
        return cvl_fail(CVL_EINVAL, "%s is NULL, expected a pointer to one", name);
    memcpy(&size, in, sizeof size);
    if (size < sizeof size || size > out_size)
        return cvl_fail(CVL_EINVAL, "%s.size is %zu, expected what its init function sets, at most %zu", name, size,
                        out_size);
    cvl_copy_sized(out, out_size, in, size);
    return CVL_OK;
}

cvl_status cvl_conv_desc_complete(const cvl_conv_desc *in, cvl_conv_desc *out)
{
    cvl_conv_desc_init(out);
    const cvl_status status = cvl_complete("cvl_conv_desc", in, out, sizeof *out);
    out->epi.lo += 0.0f;     /* -0 is 0: equal problems have equal keys and texts */
    out->epi.hi += 0.0f;
    return status;
}

int cvl_conv_p(const cvl_conv_desc *d)
{
    return (d->h + d->pad_top + d->pad_bottom - d->dil_h * (d->r - 1) - 1) / d->stride_h + 1;
}

int cvl_conv_q(const cvl_conv_desc *d)
{
    return (d->w + d->pad_left + d->pad_right - d->dil_w * (d->s - 1) - 1) / d->stride_w + 1;
}

void cvl_conv_dims(const cvl_conv_desc *d, enum cvl_tensor tensor, int dims[4])
{
    const int all[][4] = {
        [CVL_X] = { d->n, d->c, d->h, d->w },
        [CVL_W] = { d->k, d->c / d->groups, d->r, d->s },
        [CVL_Y] = { d->n, d->k, cvl_conv_p(d), cvl_conv_q(d) },
    };
    memcpy(dims, all[tensor], sizeof all[tensor]);
}

int cvl_conv_block(const cvl_conv_desc *d, enum cvl_tensor tensor)
{
    return tensor != CVL_W && (tensor == CVL_X ? d->x_layout : d->y_layout) == CVL_NCHW16C ? 16 : 0;
}

/* Of the channels of nchw16c the blocks count, and the stride of a pixel is that of a block. */
struct cvl_strides cvl_conv_strides(const cvl_conv_desc *d, enum cvl_tensor tensor)
{
    static const int image_order[][4] = {
        [CVL_NCHW] = { 0, 1, 2, 3 }, [CVL_NHWC] = { 0, 2, 3, 1 }, [CVL_NCHW16C] = { 0, 1, 2, 3 },
    };
    static const int filter_order[][4] = {
        [CVL_KCRS] = { 0, 1, 2, 3 }, [CVL_KRSC] = { 0, 2, 3, 1 }, [CVL_RSCK] = { 2, 3, 1, 0 },
    };
    const int *order = tensor == CVL_W ? filter_order[d->w_layout]
                                       : image_order[tensor == CVL_X ? d->x_layout : d->y_layout];
    struct cvl_strides strides = { .block = cvl_conv_block(d, tensor) };
    ptrdiff_t stride = strides.block ? strides.block : 1;
    int dims[4];
    cvl_conv_dims(d, tensor, dims);
    if (strides.block)
        dims[1] = (dims[1] + strides.block - 1) / strides.block;
    for (int i = 3; i >= 0; i--) {
        strides.at[order[i]] = stride;
        stride *= dims[order[i]];
    }
    return strides;
}

size_t cvl_conv_count(const cvl_conv_desc *d, enum cvl_tensor tensor)
{
    const int block = cvl_conv_block(d, tensor);
    int dims[4];
    cvl_conv_dims(d, tensor, dims);
    const size_t channels = block ? cvl_round_up((size_t)dims[1], (size_t)block) : (size_t)dims[1];
    return dims[0] * channels * dims[2] * dims[3];
}

bool cvl_conv_is_blocked(const cvl_conv_desc *d)
{
    return d->x_layout == CVL_NCHW16C || d->y_layout == CVL_NCHW16C;
}

bool cvl_conv_is_padding(const cvl_conv_desc *d, enum cvl_tensor tensor, size_t index)
{
    const size_t block = (size_t)cvl_conv_block(d, tensor);
    if (!block)
        return false;
    const struct cvl_strides strides = cvl_conv_strides(d, tensor);
    int dims[4];
    cvl_conv_dims(d, tensor, dims);
    return index % (size_t)strides.at[0] / (size_t)strides.at[1] * block + index % block >= (size_t)dims[1];
}

cvl_dtype cvl_conv_type(const cvl_conv_desc *d, enum cvl_tensor tensor)
{
    return tensor == CVL_X ? d->x_type : tensor == CVL_W ? d->w_type : d->y_type;
}

size_t cvl_conv_bytes(const cvl_conv_desc *d, enum cvl_tensor tensor)
{
    return cvl_conv_count(d, tensor) * cvl_dtype_size(cvl_conv_type(d, tensor));
}

size_t cvl_conv_x_count(const cvl_conv_desc *d) { return cvl_conv_count(d, CVL_X); }
size_t cvl_conv_w_count(const cvl_conv_desc *d) { return cvl_conv_count(d, CVL_W); }
size_t cvl_conv_y_count(const cvl_conv_desc *d) { return cvl_conv_count(d, CVL_Y); }

double cvl_conv_flops(const cvl_conv_desc *d)
{
    return 2.0 * d->n * d->k * cvl_conv_p(d) * cvl_conv_q(d) * (d->c / d->groups) * d->r * d->s;
}

enum cvl_tensor cvl_conv_written(cvl_pass pass)
{
    static const enum cvl_tensor written[] = { [CVL_FWD] = CVL_Y, [CVL_BWD_DATA] = CVL_X, [CVL_BWD_FILTER] = CVL_W };
    return written[pass];
}

void *cvl_conv_pointer(const cvl_conv_args *args, enum cvl_tensor tensor)
{
    return tensor == CVL_X ? args->x : tensor == CVL_W ? args->w : args->y;
}

int cvl_conv_bias_count(const cvl_conv_desc *d)
{
    return d->pass == CVL_BWD_DATA ? d->c : d->k;
}

double cvl_conv_reduction(const cvl_conv_desc *d)
{
    if (d->pass == CVL_BWD_FILTER)
        return (double)d->n * cvl_conv_p(d) * cvl_conv_q(d);
    return (double)(d->pass == CVL_FWD ? d->c : d->k) / d->groups * d->r * d->s;
}

bool cvl_conv_is_integer(const cvl_conv_desc *d)
{
    return !cvl_dtype_is_float(d->w_type);
}

bool cvl_conv_is_f32(const cvl_conv_desc *d)
{
    return d->x_type == CVL_F32 && d->w_type == CVL_F32 && d->y_type == CVL_F32;
}

bool cvl_conv_is_pointwise(const cvl_conv_desc *d)
{
    return d->r == 1 && d->s == 1 && d->stride_h == 1 && d->stride_w == 1 &&
           d->pad_top == 0 && d->pad_bottom == 0 && d->pad_left == 0 && d->pad_right == 0;
}

static int32_t float_bits(float value)
{
    int32_t bits;
    value += 0.0f;   /* -0 is 0 */
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

void cvl_conv_key_of(const cvl_conv_desc *d, struct cvl_conv_key *key)
{
    *key = (struct cvl_conv_key){ {
        d->pass, d->x_layout, d->y_layout, d->w_layout, d->x_type, d->w_type, d->y_type, d->math,
        d->n, d->c, d->h, d->w, d->k, d->r, d->s, d->stride_h, d->stride_w, d->dil_h, d->dil_w,
        d->pad_top, d->pad_bottom, d->pad_left, d->pad_right, d->groups,
        d->epi.bias, d->epi.residual, d->epi.act, float_bits(d->epi.lo), float_bits(d->epi.hi),
        d->quant.x_zero, d->quant.w_zero, d->quant.y_zero, d->quant.per_channel, d->const_filter,
    } };
}

uint64_t cvl_conv_key_hash(const struct cvl_conv_key *key)
{
    uint64_t pairs[sizeof *key / 16][2], hash = 0;
    _Static_assert(sizeof pairs == sizeof *key, "every field is hashed");
    memcpy(pairs, key, sizeof pairs);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        hash = cvl_hash_mix(hash ^ pairs[i][0], pairs[i][1]);
    return hash;
}

bool cvl_conv_key_equal(const struct cvl_conv_key *a, const struct cvl_conv_key *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}
