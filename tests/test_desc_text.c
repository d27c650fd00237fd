/* SPDX-License-Identifier: Apache-2.0
 * The text form of a problem: what it says, both ways, for any problem; and texts that are refused, each with the
 * sentence that says why. */
#include "expect.h"

#include "base/error.h"
#include "base/random.h"
#include "conv/desc.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define BASE "fwd:f32:nchw:n2c8h9w7k4r3s3"

enum { ROUNDS = 20000 };

static void test_defaults(void **state)
{
    cvl_conv_desc d;
    cvl_conv_desc_init(&d);
    assert_int_equal(cvl_conv_check(&d), CVL_OK);
    expect_prints(&d, "fwd:f32:nchw:n1c1h1w1k1r1s1");
    const cvl_conv_desc back = expect_problem("fwd:f32:nchw:n1c1h1w1k1r1s1");
    expect_same(&d, &back, "the default");
}

static void test_fields_of_text(void **state)
{
    const cvl_conv_desc d = expect_problem("bwd_data:bf16-bf16-bf16:nchw-nhwc-rsck:n8c6h224w200k64r7s5:stride2x3"
                                           ":pad1x2x3x4:dil5x6:g2:math=bf16:bias:residual:clip=-0.5/20:const");
    assert_int_equal(d.pass, CVL_BWD_DATA);
    assert_int_equal(d.x_type, CVL_BF16);
    assert_int_equal(d.x_layout, CVL_NCHW);
    assert_int_equal(d.y_layout, CVL_NHWC);
    assert_int_equal(d.w_layout, CVL_RSCK);
    const int got[] = { d.n, d.c, d.h, d.w, d.k, d.r, d.s, d.stride_h, d.stride_w, d.pad_top, d.pad_bottom, d.pad_left,
                        d.pad_right, d.dil_h, d.dil_w, d.groups, d.math, d.epi.bias, d.epi.residual, d.epi.act,
                        d.const_filter };
    const int want[] = { 8, 6, 224, 200, 64, 7, 5, 2, 3, 1, 2, 3, 4, 5, 6, 2, CVL_MATH_BF16, 1, 1, CVL_ACT_CLIP, 1 };
    assert_memory_equal(got, want, sizeof want);
    assert_true(d.epi.lo == -0.5f && d.epi.hi == 20);

    const cvl_conv_desc q = expect_problem("fwd:u8-s8-u8:nhwc:n1c4h4w4k4r1s1:hardswish:xzero:wzero:yzero:perchannel");
    assert_true(q.x_type == CVL_U8 && q.w_type == CVL_S8 && q.y_type == CVL_U8 && q.w_layout == CVL_KRSC);
    assert_true(q.quant.x_zero && q.quant.w_zero && q.quant.y_zero && q.quant.per_channel && !q.const_filter);
    assert_int_equal(q.epi.act, CVL_ACT_HARDSWISH);
}

/* Left: what may be written; right: what is printed. */
static const char *const spellings[][2] = {
    { "fwd:f32:nhwc:n1c64h56w56k64r3s3:stride2:pad1:bias:relu", NULL },
    { "bwd_data:f32:nchw-nhwc-krsc:n8c3h224w224k64r7s7:stride2x2:pad3x3x3x3:dil1x2:g1",
      "bwd_data:f32:nchw-nhwc-krsc:n8c3h224w224k64r7s7:stride2:pad3:dil1x2" },
    { BASE ":stride1:pad0:dil1:g1:math=f32", BASE },
    { BASE ":stride1x1:pad0x0:dil1x1", BASE },
    { BASE ":pad2x2", BASE ":pad2" },
    { BASE ":pad2x1", NULL },
    { BASE ":pad2x2x1x1", BASE ":pad2x1" },
    { BASE ":pad2x2x1x0", NULL },
    { BASE ":pad0x1x0x1", NULL },
    { BASE ":stride01", BASE },
    { "fwd:f32-f32-f32:nchw-nchw-kcrs:n2c8h9w7k4r3s3", BASE },
    { "fwd:f32:nhwc-nhwc-krsc:n0c1h1w1k1r1s1", "fwd:f32:nhwc:n0c1h1w1k1r1s1" },
    { "fwd:f32:nhwc-nhwc-kcrs:n1c1h1w1k1r1s1", NULL },
    { "fwd:bf16-bf16-f32:nchw:n1c1h1w1k1r1s1", NULL },
    { "bwd_filter:s8-s32-u8:nchw:n1c1h1w1k1r1s1", NULL },
    { BASE ":clip=-0/-0", BASE ":clip=0/0" },
    { BASE ":clip=0.1/2.50", BASE ":clip=0.1/2.5" },
    { BASE ":clip=-1e-3/100000", BASE ":clip=-0.001/100000" },
    { BASE ":clip=0.333333343/16777216", BASE ":clip=0.33333334/16777216" },
    { BASE ":clip=-3.4028235e38/3.40282347e+38", BASE ":clip=-3.4028235e+38/3.4028235e+38" },
    { BASE ":g4:math=tf32:residual:gelu", NULL },
    { BASE ":silu:const", NULL },
    { BASE ":const:relu:bias:pad1:stride2", BASE ":stride2:pad1:bias:relu:const" },
    { "fwd:u8-s8-s32:nhwc:n1c4h4w4k4r1s1:bias:relu6:xzero:wzero:perchannel", NULL },
};

static void test_spellings(void **state)
{
    for (size_t i = 0; i < LENGTH(spellings); i++) {
        const cvl_conv_desc d = expect_problem(spellings[i][0]);
        expect_prints(&d, spellings[i][1] ? spellings[i][1] : spellings[i][0]);
    }
}

static void test_print_cuts_like_snprintf(void **state)
{
    const cvl_conv_desc d = expect_problem(BASE ":pad1");
    char text[12] = "###########";
    assert_int_equal(cvl_conv_print(&d, text, 8), strlen(BASE ":pad1"));
    assert_memory_equal(text, "fwd:f32\0###", 12);
    assert_int_equal(cvl_conv_print(&d, NULL, 0), strlen(BASE ":pad1"));
}

/* The most digits and words that one valid problem can have. */
static void test_longest_text(void **state)
{
    static const char *const longest[] = {
        "bwd_data:u8-s8-u8:nchw-nhwc-krsc:n1c2147483646h1w1k1073741823r1s1:stride16777213x16777214"
        ":pad8388605x8388604x8388606x8388605:dil16777213x16777214:g1073741823:bias:residual"
        ":clip=-1.17549435e-38/1.17549435e-38:xzero:wzero:yzero:perchannel:const",
        "bwd_data:u8-s8-u8:nchw-nhwc-krsc:n1c2146435072h1w1k1048576r1s1:stride16777213x16777214"
        ":pad268435455x268435456x268435456x268435455:dil16777213x16777214:g1048576:bias:residual"
        ":clip=-1.17549435e-38/1.17549435e-38:xzero:wzero:yzero:perchannel:const",
    };
    for (size_t i = 0; i < LENGTH(longest); i++) {
        const cvl_conv_desc d = expect_problem(longest[i]);
        char text[CVL_CONV_TEXT_MAX];
        const int length = cvl_conv_print(&d, text, sizeof text);
        assert_in_range(length, 200, CVL_CONV_TEXT_MAX - 1);
        const cvl_conv_desc back = expect_problem(text);
        expect_same(&d, &back, text);
    }
}

/* ---- random problems ---- */

static int below(struct cvl_random *random, int bound)
{
    return cvl_random_below(random, bound);
}

static float random_float(struct cvl_random *random)
{
    static const float usual[] = { 0, 1, 6, 0.1f, -0.5f, 1e10f, FLT_MIN, FLT_MAX, 0x1p-149f };
    const size_t kind = (size_t)below(random, 2 * (int)LENGTH(usual));
    if (kind < LENGTH(usual))
        return below(random, 2) ? usual[kind] : -usual[kind];
    float value;
    do {
        const uint32_t bits = (uint32_t)cvl_random_next(random);
        memcpy(&value, &bits, sizeof value);
    } while (!isfinite(value));
    return value;
}

/* Mostly small sizes, now and then one of any magnitude. */
static int random_size(struct cvl_random *random, int least)
{
    const int small = below(random, 12), any = (int)(cvl_random_next(random) >> (34 + below(random, 30)));
    return least + (below(random, 8) ? small : any);
}

static void random_types(struct cvl_random *random, cvl_conv_desc *d)
{
    static const cvl_dtype floats[] = { CVL_F32, CVL_BF16, CVL_F16 }, bytes[] = { CVL_S8, CVL_U8 };
    static const cvl_dtype outs[] = { CVL_S32, CVL_S8, CVL_U8 };
    cvl_dtype *const types[] = { &d->x_type, &d->w_type, &d->y_type };
    const enum cvl_tensor written = cvl_conv_written(d->pass);
    const bool integer = below(random, 2);
    const cvl_dtype read = floats[below(random, 3)];
    for (int i = 0; i < 3; i++)
        *types[i] = integer ? bytes[below(random, 2)] : read;
    *types[written] = integer ? outs[below(random, 3)] : below(random, 2) ? read : CVL_F32;
    if (integer) {
        d->quant = (cvl_quant_kind){ below(random, 2), below(random, 2), below(random, 2), below(random, 2) };
        if (d->pass != CVL_BWD_FILTER)
            d->w_type = CVL_S8;
    }
}

static cvl_conv_desc random_desc(struct cvl_random *random)
{
    cvl_conv_desc d;
    do {
        cvl_conv_desc_init(&d);
        d.pass = (cvl_pass)below(random, 3);
        d.x_layout = (cvl_layout)below(random, 2);
        d.y_layout = (cvl_layout)below(random, 2);
        d.w_layout = (cvl_filter_layout)below(random, 3);
        random_types(random, &d);
        d.math = below(random, 2) ? CVL_MATH_F32 : (cvl_math)below(random, 4);
        d.groups = below(random, 2) ? 1 : 1 + below(random, 5);
        d.n = random_size(random, 0);
        d.c = d.groups * (1 + below(random, 9));
        d.k = d.groups * (1 + below(random, 9));
        int *const sizes[] = { &d.h, &d.w, &d.r, &d.s, &d.stride_h, &d.stride_w, &d.dil_h, &d.dil_w };
        for (size_t i = 0; i < LENGTH(sizes); i++)
            if (i < 2 || below(random, 2))
                *sizes[i] = random_size(random, 1);
        int *const pads[] = { &d.pad_top, &d.pad_bottom, &d.pad_left, &d.pad_right };
        for (size_t i = 0; i < LENGTH(pads); i++)
            *pads[i] = below(random, 2) && i > 0 ? *pads[i - 1] : below(random, 4);
        d.epi = (cvl_epilogue){ below(random, 2), below(random, 2), (cvl_act)below(random, 7), 0, 0 };
        if (d.epi.act == CVL_ACT_CLIP) {
            const float a = random_float(random), b = random_float(random);
            d.epi.lo = fminf(a, b);
            d.epi.hi = fmaxf(a, b);
        }
        d.const_filter = below(random, 2);
    } while (cvl_conv_check(&d) != CVL_OK);
    return d;
}

static void test_print_and_parse_are_inverse(void **state)
{
    struct cvl_random *random = *state;
    for (int i = 0; i < ROUNDS; i++) {
        const cvl_conv_desc d = random_desc(random);
        char text[CVL_CONV_TEXT_MAX], again[CVL_CONV_TEXT_MAX];
        assert_in_range(cvl_conv_print(&d, text, sizeof text), 1, CVL_CONV_TEXT_MAX - 1);
        const cvl_conv_desc back = expect_problem(text);
        expect_same(&d, &back, text);
        cvl_conv_print(&back, again, sizeof again);
        assert_string_equal(again, text);
    }
}

/* Texts with a few bytes wrong: refused with a sentence, or read as something that prints and reads back alike. */
static void test_damaged_texts(void **state)
{
    static const char bytes[] = ":x-=/.0129abcdefghijklmnopqrstuvwxyz\x01\xff";
    struct cvl_random *random = *state;
    int accepted = 0;
    for (int i = 0; i < ROUNDS; i++) {
        const cvl_conv_desc d = random_desc(random);
        char text[CVL_CONV_TEXT_MAX], again[CVL_CONV_TEXT_MAX];
        const int length = cvl_conv_print(&d, text, sizeof text);
        for (int n = 1 + below(random, 2); n > 0; n--)
            text[below(random, length)] = bytes[below(random, (int)sizeof bytes)];
        cvl_conv_desc damaged, back;
        cvl_fail(CVL_EINVAL, "%s", "");
        if (cvl_conv_parse(text, &damaged) != CVL_OK) {
            assert_true(strlen(cvl_last_error()) > 10);
            continue;
        }
        accepted++;
        cvl_conv_print(&damaged, again, sizeof again);
        back = expect_problem(again);
        expect_same(&damaged, &back, again);
    }
    assert_in_range(accepted, ROUNDS / 50, ROUNDS / 2);
}

/* ---- what is refused ---- */

static const struct { const char *text; cvl_status status; const char *fragment; } bad_texts[] = {
    { "", CVL_EINVAL, "field '' is not a valid pass" },
    { "fwd", CVL_EINVAL, "field 'fwd' is the last, expected types" },
    { "fwd:f32:nchw", CVL_EINVAL, "field 'nchw' is the last, expected shape" },
    { "forward:f32:nchw:n1c1h1w1k1r1s1", CVL_EINVAL, "field 'forward'" },
    { "FWD:f32:nchw:n1c1h1w1k1r1s1", CVL_EINVAL, "field 'FWD'" },
    { "fwd:f64:nchw:n1c1h1w1k1r1s1", CVL_EINVAL, "field 'f64' is not a valid types" },
    { "fwd:f32-f32:nchw:n1c1h1w1k1r1s1", CVL_EINVAL, "field 'f32-f32'" },
    { "fwd:f32-f32-f32-f32:nchw:n1c1h1w1k1r1s1", CVL_EINVAL, "field 'f32-f32-f32-f32'" },
    { "fwd:f32:hwcn:n1c1h1w1k1r1s1", CVL_EINVAL, "field 'hwcn' is not a valid layouts" },
    { "fwd:f32:nchw-nchw:n1c1h1w1k1r1s1", CVL_EINVAL, "field 'nchw-nchw'" },
    { "fwd:f32:nchw-kcrs-nchw:n1c1h1w1k1r1s1", CVL_EINVAL, "field 'nchw-kcrs-nchw'" },
    { "fwd:f32:nchw:c1h1w1k1r1s1", CVL_EINVAL, "field 'c1h1w1k1r1s1' is not a valid shape" },
    { "fwd:f32:nchw:n1c1h1w1k1r1", CVL_EINVAL, "field 'n1c1h1w1k1r1'" },
    { "fwd:f32:nchw:n1c1h1w1k1r1s1t1", CVL_EINVAL, "field 'n1c1h1w1k1r1s1t1'" },
    { "fwd:f32:nchw:n1c1w1h1k1r1s1", CVL_EINVAL, "field 'n1c1w1h1k1r1s1'" },
    { "fwd:f32:nchw:n1ch1w1k1r1s1", CVL_EINVAL, "field 'n1ch1w1k1r1s1'" },
    { "fwd:f32:nchw:n1c-1h1w1k1r1s1", CVL_EINVAL, "field 'n1c-1h1w1k1r1s1'" },
    { "fwd:f32:nchw:n1c1h1w1k2147483648r1s1", CVL_EINVAL, "2147483647" },
    { "fwd:f32:nchw:n1c1h1w1k99999999999999999999r1s1", CVL_EINVAL, "k99999999999999999999" },
    { "fwd:f32:nchw:n1c0h1w1k1r1s1", CVL_EINVAL, "c is 0, expected 1 or more" },
    { "fwd:f32:nchw:n1c1h1w1k1r0s1", CVL_EINVAL, "r is 0" },
    { BASE ":", CVL_EINVAL, "a field is empty, expected none or one like" },
    { BASE "::relu", CVL_EINVAL, "a field is empty, expected none or one like" },
    { BASE ":bias:", CVL_EINVAL, "a field is empty, expected none or one like" },
    { BASE ":Relu", CVL_EINVAL, "field 'Relu' is unknown" },
    { BASE ":relu7", CVL_EINVAL, "field 'relu7' is unknown" },
    { BASE ":relu ", CVL_EINVAL, "field 'relu ' is unknown" },
    { BASE ":padded", CVL_EINVAL, "field 'padded' is unknown" },
    { BASE ":none", CVL_EINVAL, "field 'none' is unknown" },
    { BASE ":pad", CVL_EINVAL, "field 'pad' is malformed, expected pad followed by one number" },
    { BASE ":pad1x", CVL_EINVAL, "field 'pad1x' is malformed" },
    { BASE ":pad1x2x3", CVL_EINVAL, "field 'pad1x2x3' is malformed" },
    { BASE ":pad1x2x3x4x5", CVL_EINVAL, "field 'pad1x2x3x4x5' is malformed" },
    { BASE ":pad-1", CVL_EINVAL, "field 'pad-1' is malformed" },
    { BASE ":pad=1", CVL_EINVAL, "field 'pad=1' is malformed" },
    { BASE ":pad2147483648", CVL_EINVAL, "field 'pad2147483648' is malformed" },
    { BASE ":stride1x2x3", CVL_EINVAL, "field 'stride1x2x3' is malformed" },
    { BASE ":stride0", CVL_EINVAL, "stride_h is 0, expected 1 to" },
    { BASE ":stride1x0", CVL_EINVAL, "stride_w is 0" },
    { BASE ":dil0x1", CVL_EINVAL, "dil_h is 0" },
    { BASE ":dil1x0", CVL_EINVAL, "dil_w is 0" },
    { BASE ":g", CVL_EINVAL, "field 'g' is malformed" },
    { BASE ":g0", CVL_EINVAL, "groups is 0" },
    { BASE ":g2x2", CVL_EINVAL, "field 'g2x2' is malformed" },
    { BASE ":g3", CVL_EINVAL, "groups is 3, expected a divisor of c, which is 8" },
    { BASE ":g8", CVL_EINVAL, "groups is 8, expected a divisor of k, which is 4" },
    { BASE ":math", CVL_EINVAL, "field 'math' is malformed, expected math followed by =f32" },
    { BASE ":math=f64", CVL_EINVAL, "field 'math=f64' is malformed" },
    { BASE ":clip", CVL_EINVAL, "field 'clip' is malformed" },
    { BASE ":clip=1", CVL_EINVAL, "field 'clip=1' is malformed" },
    { BASE ":clip=1/2/3", CVL_EINVAL, "field 'clip=1/2/3' is malformed" },
    { BASE ":clip=0/inf", CVL_EINVAL, "field 'clip=0/inf' is malformed" },
    { BASE ":clip=0/nan", CVL_EINVAL, "field 'clip=0/nan' is malformed" },
    { BASE ":clip=0/1e39", CVL_EINVAL, "field 'clip=0/1e39' is malformed" },
    { BASE ":clip=0/0x10", CVL_EINVAL, "field 'clip=0/0x10' is malformed" },
    { BASE ":clip=2/1", CVL_EINVAL, "epi.lo and epi.hi are 2 and 1, expected finite numbers, lo <= hi" },
    { BASE ":relu:relu", CVL_EINVAL, "field 'relu' follows 'relu', expected only one" },
    { BASE ":relu:silu", CVL_EINVAL, "field 'silu' follows 'relu', expected only one" },
    { BASE ":clip=0/1:relu", CVL_EINVAL, "field 'relu' follows 'clip'" },
    { BASE ":pad1:pad1", CVL_EINVAL, "field 'pad1' follows 'pad'" },
    { BASE ":pad1:bias:pad1", CVL_EINVAL, "field 'pad1' follows 'pad'" },
    { BASE ":clip=0/1:pad1:relu", CVL_EINVAL, "field 'relu' follows 'clip'" },
    { "fwd:f32:nchw:n1c1h2w9k1r3s3", CVL_EINVAL, "r is 3 and the filter covers 3 with dilation 1" },
    { "fwd:f32:nchw:n1c1h9w4k1r3s3:dil2", CVL_EINVAL, "s is 3 and the filter covers 5 with dilation 2" },
    { "fwd:f32:nchw:n1c1h9w9k1r2147483647s1:dil16777216x1", CVL_EINVAL, "covers 36028796985409537" },
    { "fwd:f32:nchw:n1c1h9w9k1r1s1:stride16777217", CVL_EINVAL, "stride_h is 16777217, expected 1 to 16777216" },
    { "fwd:f32:nchw:n1c1h2147483647w1k1r1s1", CVL_EINVAL, "h is 2147483647" },
    { "fwd:f32:nchw:n1c1h1w1k1r1s1:pad2147483647", CVL_EINVAL, "4294967295 with its padding" },
    { "fwd:f32:nchw:n2c1024h1024w1024k1r1s1", CVL_EINVAL, "x is 2 x 1024 x 1024 x 1024, expected at most 2^31-1" },
    { "fwd:f32:nchw:n0c2048h1024w1024k1r1s1", CVL_EINVAL, "x is 0 x 2048 x 1024 x 1024" },
    { "fwd:f32:nchw:n65536c65536h65536w65536k1r1s1", CVL_EINVAL, "x is 65536" },
    { "fwd:f32:nchw:n1c65536h1w1k65536r1s1", CVL_EINVAL, "w is 65536 x 65536 x 1 x 1" },
    { "fwd:f32:nchw:n1024c1h64w64k1024r1s1", CVL_EINVAL, "y is 1024 x 1024 x 64 x 64" },
    { "fwd:f32:nchw:n1c1h1w1k4096r1s1:pad400", CVL_EINVAL, "y is 1 x 4096 x 801 x 801" },
    { "fwd:bf16:nchw:n1c1h1w1k1r1s1:math=f16", CVL_EINVAL, "math is 3" },
    { "fwd:u8-s8-s32:nchw:n1c1h1w1k1r1s1:math=bf16", CVL_EINVAL, "f32, the default, for integer tensors" },
    { "fwd:f32-f32-bf16:nchw:n1c1h1w1k1r1s1", CVL_EINVAL, "types of x, w, y are f32, f32, bf16 and y is written" },
    { "fwd:bf16-f16-f32:nchw:n1c1h1w1k1r1s1", CVL_EINVAL, "bf16, f16, f32" },
    { "fwd:f32-bf16-bf16:nchw:n1c1h1w1k1r1s1", CVL_EINVAL, "f32, bf16, bf16" },
    { "fwd:s32:nchw:n1c1h1w1k1r1s1", CVL_EINVAL, "s32, s32, s32" },
    { "fwd:u8:nchw:n1c1h1w1k1r1s1", CVL_EINVAL, "u8 read (w: s8)" },
    { "fwd:u8-s8-f32:nchw:n1c1h1w1k1r1s1", CVL_EINVAL, "u8, s8, f32" },
    { "bwd_data:s32-s8-s32:nchw:n1c1h1w1k1r1s1", CVL_EINVAL, "x is written" },
    { "bwd_filter:u8-s8-u8:nchw:n1c1h1w1k1r1s1", CVL_EINVAL, "s8 or u8 read and s32 written" },
    { "bwd_filter:f32:nchw:n1c1h1w1k1r1s1:bias", CVL_EINVAL, "epi.bias is true" },
    { "bwd_filter:u8-s32-s8:nchw:n1c1h1w1k1r1s1:perchannel", CVL_EINVAL, "quant.per_channel is true" },
    { "bwd_filter:u8-s32-s8:nchw:n1c1h1w1k1r1s1:wzero", CVL_EINVAL, "quant.w_zero is true, expected false: plain" },
    { "fwd:u8-s8-s32:nchw:n1c1h1w1k1r1s1:yzero", CVL_EINVAL, "quant.y_zero is true" },
    { "bwd_data:s32-s8-s8:nchw:n1c1h1w1k1r1s1:xzero", CVL_EINVAL, "quant.x_zero is true" },
    { "fwd:u8-s8-s32:nchw:n1c1h1w1k1r1s1:gelu", CVL_EINVAL, "epi.act is 6, expected none, relu, relu6 or clip" },
    { BASE ":xzero", CVL_EINVAL, "quant.x_zero is true, expected false: the tensors are not integers" },
    { BASE ":perchannel", CVL_EINVAL, "quant.per_channel is true" },
};

static void test_bad_texts(void **state)
{
    cvl_conv_desc untouched;
    memset(&untouched, 0x5a, sizeof untouched);
    for (size_t i = 0; i < LENGTH(bad_texts); i++) {
        cvl_conv_desc d = untouched;
        expect_refused(cvl_conv_parse(bad_texts[i].text, &d), bad_texts[i].status, bad_texts[i].text,
                       bad_texts[i].fragment);
        assert_memory_equal(&d, &untouched, sizeof d);
    }
    expect_refused(cvl_conv_parse(NULL, &untouched), CVL_EINVAL, "NULL", "text is NULL");
    expect_refused(cvl_conv_parse(BASE, NULL), CVL_EINVAL, "NULL", "desc is NULL");
}

int main(int argc, char **argv)
{
    struct cvl_random random = { argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL) };
    setlocale(LC_ALL, "");   /* text forms are the same in every language: LC_ALL=de_DE.UTF-8 test_desc_text */
    printf("seed %llu\n", (unsigned long long)random.state);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_fields_of_text),
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_print_cuts_like_snprintf),
        cmocka_unit_test(test_longest_text),
        cmocka_unit_test_prestate(test_print_and_parse_are_inverse, &random),
        cmocka_unit_test_prestate(test_damaged_texts, &random),
        cmocka_unit_test(test_bad_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
