/* SPDX-License-Identifier: Apache-2.0 */
#include "base/dtype.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const struct { const char *name; size_t bytes; double low, high; } types[] = {
    [CVL_F32]  = {"f32", 4, -INFINITY, INFINITY},
    [CVL_BF16] = {"bf16", 2, -INFINITY, INFINITY},
    [CVL_F16]  = {"f16", 2, -INFINITY, INFINITY},
    [CVL_S8]   = {"s8", 1, INT8_MIN, INT8_MAX},
    [CVL_U8]   = {"u8", 1, 0, UINT8_MAX},
    [CVL_S32]  = {"s32", 4, INT32_MIN, INT32_MAX},
};

size_t cvl_dtype_size(cvl_dtype type)
{
    return types[type].bytes;
}

const char *cvl_dtype_name(cvl_dtype type)
{
    return types[type].name;
}

bool cvl_dtype_is_float(cvl_dtype type)
{
    return type == CVL_F32 || type == CVL_BF16 || type == CVL_F16;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* bf16 is the upper half of an f32: adding just under half of its last place, and one more when that place is odd,
 * rounds to nearest even, and the carry runs into the exponent and up to infinity as it should. */
uint16_t cvl_bf16_from_float(float value)
{
    const uint32_t bits = bits_of(value);
    if (isnan(value))
        return (uint16_t)(bits >> 16 | 0x0040);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float cvl_bf16_to_float(uint16_t bits)
{
    const float value = float_of((uint32_t)bits << 16);
    return isnan(value) ? float_of((uint32_t)bits << 16 | 0x00400000) : value;
}

uint16_t cvl_f16_from_float(float value)
{
    const uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    uint32_t half;
    if (magnitude > 0x7f800000)          /* NaN keeps what fits of its payload */
        half = 0x7e00 | (magnitude >> 13 & 0x01ff);
    else if (magnitude >= 0x477ff000)    /* 65520, half way from the largest number to 2^16 */
        half = 0x7c00;
    else if (magnitude < 0x38800000)     /* under 2^-14: subnormal, a multiple of 2^-24, which is 0.5f's last place */
        half = bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f);
    else                                 /* exponent bias 127 to 15, then rounded as bf16 is */
        half = (magnitude - (112u << 23) + 0x0fff + (magnitude >> 13 & 1)) >> 13;
    return (uint16_t)(sign | half);
}

float cvl_f16_to_float(uint16_t bits)
{
    const uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 0x1f, mantissa = bits & 0x03ff;
    if (exponent == 0)
        return float_of(sign | bits_of((float)mantissa * 0x1p-24f));
    if (exponent == 31)
        return float_of(sign | 0x7f800000 | mantissa << 13 | (mantissa ? 0x00400000 : 0));
    return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
}

/* A double to `digits` binary digits, but to no finer multiple than the last place at 2^min_exponent. Scaling by powers
 * of two is exact, so that rint rounds the one time: going through float would round a value twice. */
static double round_to(double value, int digits, int min_exponent)
{
    if (!isfinite(value) || value == 0)
        return value;
    const int exponent = ilogb(value);
    const int last_place = (exponent > min_exponent ? exponent : min_exponent) - digits + 1;
    return scalbn(rint(scalbn(value, -last_place)), last_place);
}

double cvl_dtype_load(cvl_dtype type, const void *tensor, size_t index)
{
    switch (type) {
    case CVL_F32:  return ((const float *)tensor)[index];
    case CVL_BF16: return cvl_bf16_to_float(((const uint16_t *)tensor)[index]);
    case CVL_F16:  return cvl_f16_to_float(((const uint16_t *)tensor)[index]);
    case CVL_S8:   return ((const int8_t *)tensor)[index];
    case CVL_U8:   return ((const uint8_t *)tensor)[index];
    case CVL_S32:  return ((const int32_t *)tensor)[index];
    }
    assert(!"a type");
    return 0;
}

static double saturate(cvl_dtype type, double value)
{
    if (isnan(value))
        return 0;
    return fmin(fmax(rint(value), types[type].low), types[type].high);
}

void cvl_dtype_store(cvl_dtype type, void *tensor, size_t index, double value)
{
    switch (type) {
    case CVL_F32:  ((float *)tensor)[index] = (float)value; break;
    case CVL_BF16: ((uint16_t *)tensor)[index] = cvl_bf16_from_float((float)round_to(value, 8, -126)); break;
    case CVL_F16:  ((uint16_t *)tensor)[index] = cvl_f16_from_float((float)round_to(value, 11, -14)); break;
    case CVL_S8:   ((int8_t *)tensor)[index] = (int8_t)saturate(type, value); break;
    case CVL_U8:   ((uint8_t *)tensor)[index] = (uint8_t)saturate(type, value); break;
    case CVL_S32:  ((int32_t *)tensor)[index] = (int32_t)saturate(type, value); break;
    }
}

double cvl_dtype_round(cvl_dtype type, double value)
{
    union { float f32; uint16_t bits; int8_t s8; uint8_t u8; int32_t s32; } memory;
    cvl_dtype_store(type, &memory, 0, value);
    return cvl_dtype_load(type, &memory, 0);
}
