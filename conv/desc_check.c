/* SPDX-License-Identifier: Apache-2.0
 * cvl_conv_check: what is refused, and the sentence that says why. */
#include "conv/desc.h"

#include "base/dtype.h"
#include "base/error.h"

#include <limits.h>
#include <math.h>
#include <string.h>

/* Bounds that keep every coordinate p*stride + r*dil - pad, and one tile past either end, inside of an int, and
 * every text form inside of CVL_CONV_TEXT_MAX. */
#define PADDED_MAX (1 << 29)
#define STEP_MAX   (1 << 24)

#define LENGTH(array) (sizeof (array) / sizeof *(array))

#define FIELD(field, low, high) { #field, offsetof(cvl_conv_desc, field), low, high }
_Static_assert(sizeof(cvl_pass) == sizeof(int), "the table below reads enums as ints");

static const struct {
    const char *name;
    size_t      offset;
    int         low, high;
} ranges[] = {
    FIELD(pass, CVL_FWD, CVL_BWD_FILTER),
    FIELD(x_layout, CVL_NCHW, CVL_NCHW16C),
    FIELD(y_layout, CVL_NCHW, CVL_NCHW16C),
    FIELD(w_layout, CVL_KCRS, CVL_RSCK),
    FIELD(x_type, CVL_F32, CVL_S32),
    FIELD(w_type, CVL_F32, CVL_S32),
    FIELD(y_type, CVL_F32, CVL_S32),
    FIELD(math, CVL_MATH_F32, CVL_MATH_F16),
    FIELD(n, 0, INT_MAX),
    FIELD(c, 1, INT_MAX),
    FIELD(h, 1, INT_MAX),
    FIELD(w, 1, INT_MAX),
    FIELD(k, 1, INT_MAX),
    FIELD(r, 1, INT_MAX),
    FIELD(s, 1, INT_MAX),
    FIELD(stride_h, 1, STEP_MAX),
    FIELD(stride_w, 1, STEP_MAX),
    FIELD(dil_h, 1, STEP_MAX),
    FIELD(dil_w, 1, STEP_MAX),
    FIELD(pad_top, 0, INT_MAX),
    FIELD(pad_bottom, 0, INT_MAX),
    FIELD(pad_left, 0, INT_MAX),
    FIELD(pad_right, 0, INT_MAX),
    FIELD(groups, 1, INT_MAX),
    FIELD(epi.act, CVL_ACT_NONE, CVL_ACT_GELU),
};

static cvl_status check_ranges(const cvl_conv_desc *d)
{
    for (size_t i = 0; i < LENGTH(ranges); i++) {
        int value;
        memcpy(&value, (const char *)d + ranges[i].offset, sizeof value);
        if (value < ranges[i].low && ranges[i].high == INT_MAX)
            return cvl_fail(CVL_EINVAL, "%s is %d, expected %d or more", ranges[i].name, value, ranges[i].low);
        if (value < ranges[i].low || value > ranges[i].high)
            return cvl_fail(CVL_EINVAL, "%s is %d, expected %d to %d", ranges[i].name, value, ranges[i].low,
                            ranges[i].high);
    }
    return CVL_OK;
}

static cvl_status check_groups(const cvl_conv_desc *d)
{
    if (d->c % d->groups != 0)
        return cvl_fail(CVL_EINVAL, "groups is %d, expected a divisor of c, which is %d", d->groups, d->c);
    if (d->k % d->groups != 0)
        return cvl_fail(CVL_EINVAL, "groups is %d, expected a divisor of k, which is %d", d->groups, d->k);
    return CVL_OK;
}

static cvl_status check_axis(const char *image, int extent, int pad_before, int pad_after, const char *filter,
                             int taps, int dil)
{
    const long long padded = (long long)extent + pad_before + pad_after;
    const long long reach = (long long)dil * (taps - 1) + 1;
    if (padded > PADDED_MAX)
        return cvl_fail(CVL_EINVAL, "%s is %d and %lld with its padding, expected at most %d", image, extent, padded,
                        PADDED_MAX);
    if (reach > padded)
        return cvl_fail(CVL_EINVAL, "%s is %d and the filter covers %lld with dilation %d, expected at most the padded "
                        "%s, which is %lld", filter, taps, reach, dil, image, padded);
    return CVL_OK;
}

static cvl_status check_extents(const cvl_conv_desc *d)
{
    const cvl_status status = check_axis("h", d->h, d->pad_top, d->pad_bottom, "r", d->r, d->dil_h);
    return status != CVL_OK ? status : check_axis("w", d->w, d->pad_left, d->pad_right, "s", d->s, d->dil_w);
}

/* One image of an empty batch is held to the limit too, so that c*h*w never overflows anywhere. */
static cvl_status check_counts(const cvl_conv_desc *d)
{
    for (enum cvl_tensor tensor = CVL_X; tensor <= CVL_Y; tensor++) {
        int dims[4];
        long long count = 1;
        cvl_conv_dims(d, tensor, dims);
        const long long block = cvl_conv_block(d, tensor);
        for (int i = 0; i < 4; i++) {
            if (dims[i] > 0)
                count *= block && i == 1 ? (dims[i] + block - 1) / block * block : dims[i];
            if (count > INT_MAX)
                return cvl_fail(CVL_EINVAL, "%c is %d x %d x %d x %d, expected at most 2^31-1 elements", "xwy"[tensor],
                                dims[0], dims[1], dims[2], dims[3]);
        }
    }
    return CVL_OK;
}

static bool is_byte(cvl_dtype type)
{
    return type == CVL_S8 || type == CVL_U8;
}

/* In the order x, w, y the two tensors that are read follow the written one, cyclically. */
static cvl_status check_types(const cvl_conv_desc *d)
{
    const enum cvl_tensor written = cvl_conv_written(d->pass);
    const cvl_dtype out = cvl_conv_type(d, written);
    const cvl_dtype a = cvl_conv_type(d, (written + 1) % 3), b = cvl_conv_type(d, (written + 2) % 3);
    const bool floats = cvl_dtype_is_float(a) && a == b && (out == a || out == CVL_F32);
    const bool bytes = is_byte(a) && is_byte(b);
    const bool sums = d->pass == CVL_BWD_FILTER ? out == CVL_S32
                                                : d->w_type == CVL_S8 && (out == CVL_S32 || is_byte(out));
    if (floats || (bytes && sums))
        return CVL_OK;
    return cvl_fail(CVL_EINVAL, "types of x, w, y are %s, %s, %s and %c is written, expected all f32, or bf16 or f16 "
                    "read and that or f32 written, or %s", cvl_dtype_name(d->x_type), cvl_dtype_name(d->w_type),
                    cvl_dtype_name(d->y_type), "xwy"[written], d->pass == CVL_BWD_FILTER
                    ? "s8 or u8 read and s32 written" : "s8 or u8 read (w: s8) and s32, s8 or u8 written");
}

/* Lower arithmetic is a permission to lose some of what is read: a 16-bit type permits its own, integers none. */
static cvl_status check_math(const cvl_conv_desc *d)
{
    static const struct { bool allowed[CVL_MATH_F16 + 1]; const char *expected; } maths[] = {
        [CVL_F32]  = { { true, true, true, true }, "" },
        [CVL_BF16] = { { true, true, true, false }, "f32, tf32 or bf16 for bf16 tensors" },
        [CVL_F16]  = { { true, true, false, true }, "f32, tf32 or f16 for f16 tensors" },
        [CVL_S8]   = { { true, false, false, false }, "f32, the default, for integer tensors" },
        [CVL_U8]   = { { true, false, false, false }, "f32, the default, for integer tensors" },
    };
    const cvl_dtype read = d->pass == CVL_FWD ? d->x_type : d->y_type;
    if (!maths[read].allowed[d->math])
        return cvl_fail(CVL_EINVAL, "math is %d (tf32, bf16, f16 are 1, 2, 3), expected %s", d->math,
                        maths[read].expected);
    return CVL_OK;
}

static cvl_status check_epilogue(const cvl_conv_desc *d)
{
    const cvl_epilogue *e = &d->epi;
    if (e->bias && d->pass == CVL_BWD_FILTER)
        return cvl_fail(CVL_EINVAL, "epi.bias is true, expected false: bwd_filter writes a filter, which has no bias");
    if (e->act != CVL_ACT_CLIP && (e->lo != 0 || e->hi != 0))
        return cvl_fail(CVL_EINVAL, "epi.lo and epi.hi are %g and %g, expected 0: they belong to clip alone", e->lo,
                        e->hi);
    if (!isfinite(e->lo) || !isfinite(e->hi) || e->lo > e->hi)
        return cvl_fail(CVL_EINVAL, "epi.lo and epi.hi are %g and %g, expected finite numbers, lo <= hi", e->lo, e->hi);
    if (cvl_conv_type(d, cvl_conv_written(d->pass)) == CVL_S32 && e->act > CVL_ACT_CLIP)
        return cvl_fail(CVL_EINVAL, "epi.act is %d, expected none, relu, relu6 or clip: sums of integers are written",
                        e->act);
    return CVL_OK;
}

static cvl_status check_quant(const cvl_conv_desc *d)
{
    static const char *const names[] = { "quant.x_zero", "quant.w_zero", "quant.y_zero", "quant.per_channel" };
    const bool flags[] = { d->quant.x_zero, d->quant.w_zero, d->quant.y_zero, d->quant.per_channel };
    const enum cvl_tensor written = cvl_conv_written(d->pass);
    for (int i = 0; i < 4; i++)
        if (flags[i] && !cvl_conv_is_integer(d))
            return cvl_fail(CVL_EINVAL, "%s is true, expected false: the tensors are not integers", names[i]);
    if (flags[written] && cvl_conv_type(d, written) == CVL_S32)
        return cvl_fail(CVL_EINVAL, "%s is true, expected false: plain s32 sums are written", names[written]);
    if (d->quant.per_channel && d->pass == CVL_BWD_FILTER)
        return cvl_fail(CVL_EINVAL, "quant.per_channel is true, expected false: bwd_filter reads no filter");
    return CVL_OK;
}

cvl_status cvl_conv_check(const cvl_conv_desc *desc)
{
    static cvl_status (*const checks[])(const cvl_conv_desc *) = {
        check_ranges, check_groups, check_extents, check_counts,
        check_types,  check_math,    check_epilogue, check_quant,
    };
    cvl_conv_desc d;
    cvl_status status = cvl_conv_desc_complete(desc, &d);
    for (size_t i = 0; i < LENGTH(checks) && status == CVL_OK; i++)
        status = checks[i](&d);
    return status;
}
