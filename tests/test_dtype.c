/* SPDX-License-Identifier: Apache-2.0
 * Element types: every pattern of the 16-bit floats there and back, every tie between two neighbours, saturation. */
#include "base/dtype.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* A 16-bit float by its definition, and the functions under test. */
struct half {
    cvl_dtype type;
    int       mantissa_bits, bias;
    uint16_t  infinity, quiet;
    uint16_t (*from_float)(float value);
    float    (*to_float)(uint16_t bits);
};

static const struct half halves[] = {
    {CVL_BF16, 7, 127, 0x7f80, 0x0040, cvl_bf16_from_float, cvl_bf16_to_float},
    {CVL_F16, 10, 15, 0x7c00, 0x0200, cvl_f16_from_float, cvl_f16_to_float},
};

enum { HALVES = sizeof halves / sizeof *halves };

/* The value of a pattern by IEEE 754; what follows the largest number is where the next binade would begin. */
static double value_of(const struct half *half, uint16_t bits)
{
    const int exponent = (bits & 0x7fff) >> half->mantissa_bits, mantissa = bits & ((1 << half->mantissa_bits) - 1);
    const double magnitude = exponent == 0
        ? ldexp(mantissa, 1 - half->bias - half->mantissa_bits)
        : ldexp((1 << half->mantissa_bits) + mantissa, exponent - half->bias - half->mantissa_bits);
    return bits & 0x8000 ? -magnitude : magnitude;
}

static uint16_t stored(const struct half *half, double value)
{
    uint16_t bits[3] = {0x1234, 0, 0x1234};
    cvl_dtype_store(half->type, bits, 1, value);
    assert_int_equal(bits[0], 0x1234);
    assert_int_equal(bits[2], 0x1234);
    return bits[1];
}

static void every_pattern_comes_back(void **state)
{
    for (const struct half *half = halves; half < halves + HALVES; half++)
        for (int i = 0; i <= 0xffff; i++) {
            const uint16_t bits = (uint16_t)i, magnitude = bits & 0x7fff;
            const float value = half->to_float(bits);
            const double loaded = cvl_dtype_load(half->type, &bits, 0);
            if (magnitude > half->infinity) {
                uint32_t float_bits;
                memcpy(&float_bits, &value, sizeof float_bits);
                assert_true(isnan(value) && isnan(loaded));
                assert_int_equal(float_bits >> 22 & 1, 1);
                assert_int_equal(half->from_float(value), bits | half->quiet);
                assert_int_equal(stored(half, loaded) & (half->infinity | half->quiet), half->infinity | half->quiet);
                continue;
            }
            if (magnitude == half->infinity)
                assert_true(isinf(value) && (value < 0) == (bits >> 15));
            else
                assert_true(value == value_of(half, bits) && !signbit(value) == !(bits >> 15));
            assert_true(loaded == value);
            assert_int_equal(half->from_float(value), bits);
            assert_int_equal(stored(half, value), bits);
        }
}

/* Between each pattern and the next lies a tie, which goes to the even one; beside it, as near as a double gets, is
 * what a detour through float would round twice. */
static void every_tie_goes_to_even(void **state)
{
    for (const struct half *half = halves; half < halves + HALVES; half++)
        for (int i = 0; i < half->infinity; i++) {
            const uint16_t low = (uint16_t)i, high = (uint16_t)(i + 1), even = low & 1 ? high : low;
            const double tie = (value_of(half, low) + value_of(half, high)) / 2;
            const float tie_float = (float)tie;
            assert_true(tie_float == tie);
            assert_int_equal(half->from_float(tie_float), even);
            assert_int_equal(half->from_float(nextafterf(tie_float, 0)), low);
            assert_int_equal(half->from_float(nextafterf(tie_float, INFINITY)), high);
            assert_int_equal(half->from_float(-tie_float), even | 0x8000);
            assert_int_equal(stored(half, tie), even);
            assert_int_equal(stored(half, nextafter(tie, 0)), low);
            assert_int_equal(stored(half, nextafter(tie, INFINITY)), high);
            assert_int_equal(stored(half, -nextafter(tie, INFINITY)), high | 0x8000);
        }
}

static void floats_beyond_the_range(void **state)
{
    for (const struct half *half = halves; half < halves + HALVES; half++) {
        assert_int_equal(stored(half, 1e300), half->infinity);
        assert_int_equal(stored(half, -INFINITY), half->infinity | 0x8000);
        assert_int_equal(stored(half, 1e-300), 0);
        assert_int_equal(stored(half, -1e-300), 0x8000);
        assert_int_equal(half->from_float(0x1p-149f), 0);
        assert_int_equal(half->from_float(-INFINITY), half->infinity | 0x8000);
    }
    float f32;
    cvl_dtype_store(CVL_F32, &f32, 0, 1e300);
    assert_true(f32 == INFINITY);
    cvl_dtype_store(CVL_F32, &f32, 0, NAN);
    assert_true(isnan(f32) && isnan(cvl_dtype_load(CVL_F32, &f32, 0)));
    cvl_dtype_store(CVL_F32, &f32, 0, 1 + 0x1p-24);
    assert_true(f32 == 1);
}

static void integers_round_and_saturate(void **state)
{
    static const struct { cvl_dtype type; double value, want; } cases[] = {
        {CVL_S8, 0.5, 0},       {CVL_S8, 1.5, 2},        {CVL_S8, -0.5, 0},       {CVL_S8, -1.5, -2},
        {CVL_S8, -2.5, -2},     {CVL_S8, 127.49, 127},   {CVL_S8, 127.5, 127},    {CVL_S8, 1e9, 127},
        {CVL_S8, -128.5, -128}, {CVL_S8, -129, -128},    {CVL_S8, -INFINITY, -128}, {CVL_S8, NAN, 0},
        {CVL_U8, 2.5, 2},       {CVL_U8, 3.5, 4},        {CVL_U8, -0.5, 0},       {CVL_U8, -1, 0},
        {CVL_U8, 254.5, 254},   {CVL_U8, 255.5, 255},    {CVL_U8, INFINITY, 255}, {CVL_U8, NAN, 0},
        {CVL_S32, 2147483646.5, 2147483646},             {CVL_S32, 2147483647.5, 2147483647},
        {CVL_S32, 1e30, 2147483647},                     {CVL_S32, -1e30, -2147483648.0},
        {CVL_S32, -2147483648.0, -2147483648.0},         {CVL_S32, NAN, 0},       {CVL_S32, -7.5, -8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int32_t memory[2] = {0};
        cvl_dtype_store(cases[i].type, memory, 1, cases[i].value);
        assert_true(cvl_dtype_load(cases[i].type, memory, 1) == cases[i].want);
    }
}

static void sizes_and_names(void **state)
{
    static const struct { cvl_dtype type; size_t bytes; const char *name; bool is_float; } want[] = {
        {CVL_F32, 4, "f32", true}, {CVL_BF16, 2, "bf16", true}, {CVL_F16, 2, "f16", true},
        {CVL_S8, 1, "s8", false},  {CVL_U8, 1, "u8", false},    {CVL_S32, 4, "s32", false},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        assert_int_equal(cvl_dtype_size(want[i].type), want[i].bytes);
        assert_string_equal(cvl_dtype_name(want[i].type), want[i].name);
        assert_int_equal(cvl_dtype_is_float(want[i].type), want[i].is_float);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pattern_comes_back), cmocka_unit_test(every_tie_goes_to_even),
        cmocka_unit_test(floats_beyond_the_range),  cmocka_unit_test(integers_round_and_saturate),
        cmocka_unit_test(sizes_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
