/* SPDX-License-Identifier: Apache-2.0
 * The descriptor: its key, fields that no text can spoil, structs of older headers, and what follows from a problem. */
#include "expect.h"

#include "base/random.h"
#include "conv/desc.h"

#include <limits.h>
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

static struct cvl_conv_key key_of(const cvl_conv_desc *d)
{
    struct cvl_conv_key key;
    cvl_conv_key_of(d, &key);
    return key;
}

/* ---- identity ---- */

/* Fields that are not ints in memory have a size of their own. */
#define FLIP(field, to) { #field, offsetof(cvl_conv_desc, field), sizeof ((cvl_conv_desc *)0)->field, to }

static const struct { const char *name; size_t offset, size; int value; } flips[] = {
    FLIP(pass, CVL_BWD_DATA), FLIP(x_layout, CVL_NHWC), FLIP(y_layout, CVL_NHWC), FLIP(w_layout, CVL_KRSC),
    FLIP(x_type, CVL_S8), FLIP(w_type, CVL_U8), FLIP(y_type, CVL_U8), FLIP(math, CVL_MATH_TF32),
    FLIP(n, 5), FLIP(c, 5), FLIP(h, 5), FLIP(w, 5), FLIP(k, 5), FLIP(r, 5), FLIP(s, 5),
    FLIP(stride_h, 5), FLIP(stride_w, 5), FLIP(dil_h, 5), FLIP(dil_w, 5),
    FLIP(pad_top, 5), FLIP(pad_bottom, 5), FLIP(pad_left, 5), FLIP(pad_right, 5), FLIP(groups, 5),
    FLIP(epi.bias, 0), FLIP(epi.residual, 1), FLIP(epi.act, CVL_ACT_RELU),
    FLIP(epi.lo, 0x3f000000), FLIP(epi.hi, 0x41000000),   /* 0.5f, 8.0f */
    FLIP(quant.x_zero, 0), FLIP(quant.w_zero, 1), FLIP(quant.y_zero, 1), FLIP(quant.per_channel, 0),
    FLIP(const_filter, 1),
};

static void test_every_field_counts(void **state)
{
    enum { ALL = LENGTH(flips) + 1 };
    struct cvl_conv_key keys[ALL];
    char texts[ALL][CVL_CONV_TEXT_MAX];
    for (int i = 0; i < ALL; i++) {
        cvl_conv_desc d = expect_problem("fwd:u8-s8-s8:nchw:n1c1h1w1k1r1s1:bias:clip=0/1:xzero:perchannel");
        if (i > 0)
            memcpy((char *)&d + flips[i - 1].offset, &flips[i - 1].value, flips[i - 1].size);
        keys[i] = key_of(&d);
        cvl_conv_print(&d, texts[i], sizeof texts[i]);
        for (int j = 0; j < i; j++)
            if (cvl_conv_key_equal(&keys[i], &keys[j]) || cvl_conv_key_hash(&keys[i]) == cvl_conv_key_hash(&keys[j]) ||
                strcmp(texts[i], texts[j]) == 0)
                fail_msg("%s: %s and %s are one problem", flips[i - 1].name, texts[i], texts[j]);
    }
}

/* Every byte of the struct that can matter does: a new field must be added to key, text and the table above. */
static void test_flips_cover_the_struct(void **state)
{
    size_t covered = sizeof(size_t);
    for (size_t i = 0; i < LENGTH(flips); i++)
        covered += flips[i].size;
    assert_in_range(sizeof(cvl_conv_desc) - covered, 0, 2 + 7);   /* padding after two bools, and at the end */
}

static void test_minus_zero_is_zero(void **state)
{
    cvl_conv_desc a = expect_problem(BASE ":clip=0/1"), b = a;
    b.epi.lo = -0.0f;
    expect_same(&a, &b, "-0");
    expect_prints(&b, BASE ":clip=0/1");
}

/* ---- what is refused ---- */

/* What no text can say. */
static void test_bad_fields(void **state)
{
    static const struct { const char *name; size_t offset, size; int value; } bad[] = {
        FLIP(pass, 3), FLIP(pass, -1), FLIP(x_layout, 3), FLIP(y_layout, -1), FLIP(w_layout, 3), FLIP(x_type, 6),
        FLIP(w_type, -1), FLIP(y_type, INT_MIN), FLIP(math, 4), FLIP(epi.act, 7), FLIP(n, -1), FLIP(c, 0),
        FLIP(h, INT_MIN), FLIP(w, 0), FLIP(k, -5), FLIP(r, 0), FLIP(s, 0), FLIP(stride_h, 0), FLIP(stride_w, -1),
        FLIP(dil_h, 0), FLIP(dil_w, INT_MAX), FLIP(pad_top, -1), FLIP(pad_bottom, -1), FLIP(pad_left, -1),
        FLIP(pad_right, INT_MIN), FLIP(groups, 0),
    };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        char fragment[64], text[CVL_CONV_TEXT_MAX];
        cvl_conv_desc d = expect_problem(BASE);
        memcpy((char *)&d + bad[i].offset, &bad[i].value, bad[i].size);
        snprintf(fragment, sizeof fragment, "%s is %d, expected ", bad[i].name, bad[i].value);
        expect_refused(cvl_conv_check(&d), CVL_EINVAL, bad[i].name, fragment);
        assert_in_range(cvl_conv_print(&d, text, sizeof text), 1, CVL_CONV_TEXT_MAX - 1);
    }
    static const struct { cvl_act act; float lo, hi; } bounds[] = {
        { CVL_ACT_CLIP, NAN, 1 }, { CVL_ACT_CLIP, 0, NAN }, { CVL_ACT_CLIP, -INFINITY, 0 },
        { CVL_ACT_CLIP, 0, INFINITY }, { CVL_ACT_CLIP, 1, 0.5f }, { CVL_ACT_RELU, 0, 1 }, { CVL_ACT_NONE, NAN, 0 },
    };
    for (size_t i = 0; i < LENGTH(bounds); i++) {
        cvl_conv_desc d = expect_problem(BASE);
        d.epi.act = bounds[i].act;
        d.epi.lo = bounds[i].lo;
        d.epi.hi = bounds[i].hi;
        expect_refused(cvl_conv_check(&d), CVL_EINVAL, "bounds", "epi.lo and epi.hi are");
    }
    expect_refused(cvl_conv_check(NULL), CVL_EINVAL, "NULL", "cvl_conv_desc is NULL");
}

/* ---- structs of another size ---- */

static void test_sizes(void **state)
{
    for (size_t size = sizeof(size_t); size <= sizeof(cvl_conv_desc) + 8; size++) {
        unsigned char *memory = malloc(size + 16);   /* unchanged behind the caller's bytes */
        cvl_conv_desc *d = (cvl_conv_desc *)memory, complete;
        memset(memory, 0xee, size + 16);
        cvl_conv_desc_init_size(d, size);
        for (size_t i = 0; i < 16; i++)
            assert_int_equal(memory[size + i], 0xee);
        assert_int_equal(d->size, size);
        if (size > sizeof *d) {
            expect_refused(cvl_conv_check(d), CVL_EINVAL, "larger", "cvl_conv_desc.size is");
            expect_refused(cvl_conv_parse_size(BASE, d, size), CVL_EINVAL, "larger", "cvl_conv_desc.size is");
        } else {
            assert_int_equal(cvl_conv_check(d), CVL_OK);
            assert_int_equal(cvl_conv_desc_complete(d, &complete), CVL_OK);
            assert_int_equal(complete.size, sizeof complete);
            expect_prints(&complete, "fwd:f32:nchw:n1c1h1w1k1r1s1");
            expect_prints(d, "fwd:f32:nchw:n1c1h1w1k1r1s1");
        }
        free(memory);
    }
    for (size_t size = 0; size < sizeof(size_t); size++) {
        cvl_conv_desc d = expect_problem(BASE);
        unsigned char byte[16] = { 0 };
        d.size = size;
        expect_refused(cvl_conv_check(&d), CVL_EINVAL, "tiny", "cvl_conv_desc.size is");
        cvl_conv_desc_init_size((cvl_conv_desc *)(void *)byte, size);
        assert_int_equal(byte[size], 0);
    }
}

/* A struct that ends before const_filter stands for an older one: its text form lacks that field alone. */
static void test_parse_into_an_older_struct(void **state)
{
    const size_t older = offsetof(cvl_conv_desc, const_filter);
    cvl_conv_desc d;
    memset(&d, 0xee, sizeof d);
    expect_refused(cvl_conv_parse_size(BASE ":const", &d, older), CVL_EUNSUP, "older", "sets a field that");
    assert_int_equal(cvl_conv_parse_size(BASE ":pad1:relu", &d, older), CVL_OK);
    assert_int_equal(*((unsigned char *)&d + older), 0xee);
    assert_int_equal(d.size, older);
    expect_prints(&d, BASE ":pad1:relu");
}

static void test_init_of_args_and_quant(void **state)
{
    cvl_conv_args args;
    cvl_quant quant;
    memset(&args, 0xee, sizeof args);
    memset(&quant, 0xee, sizeof quant);
    cvl_conv_args_init_size(&args, offsetof(cvl_conv_args, stream));
    assert_int_equal(args.size, offsetof(cvl_conv_args, stream));
    assert_true(!args.x && !args.packed && !args.w && !args.y && !args.bias && !args.residual && !args.quant);
    assert_int_equal(*(unsigned char *)&args.stream, 0xee);
    cvl_quant_init(&quant);
    assert_true(quant.size == sizeof quant && quant.x_scale == 1 && quant.y_scale == 1);
    assert_true(quant.x_zero == 0 && quant.y_zero == 0 && !quant.w_scale && !quant.w_zero);
}

/* ---- what follows from a problem ---- */

static void test_dimensions(void **state)
{
    const cvl_conv_desc d = expect_problem("fwd:bf16-bf16-f32:nchw-nhwc-rsck:n2c6h10w12k4r3s2"
                                           ":stride2x3:pad1x0x2x1:dil2x1:g2");
    assert_int_equal(cvl_conv_p(&d), 4);     /* (10 + 1 - 5) / 2 + 1 */
    assert_int_equal(cvl_conv_q(&d), 5);     /* (12 + 3 - 2) / 3 + 1 */
    assert_int_equal(cvl_conv_x_count(&d), 2 * 6 * 10 * 12);
    assert_int_equal(cvl_conv_w_count(&d), 4 * 3 * 3 * 2);
    assert_int_equal(cvl_conv_y_count(&d), 2 * 4 * 4 * 5);
    assert_int_equal(cvl_conv_bytes(&d, CVL_Y), 2 * 4 * 4 * 5 * 4);
    assert_int_equal(cvl_conv_bytes(&d, CVL_W), 4 * 3 * 3 * 2 * 2);
    assert_true(cvl_conv_flops(&d) == 2.0 * 2 * 4 * 4 * 5 * 3 * 3 * 2);
    static const ptrdiff_t strides[3][4] = { { 720, 120, 12, 1 }, { 1, 4, 24, 12 }, { 80, 1, 20, 4 } };
    for (enum cvl_tensor tensor = CVL_X; tensor <= CVL_Y; tensor++) {
        const struct cvl_strides got = cvl_conv_strides(&d, tensor);
        assert_memory_equal(got.at, strides[tensor], sizeof strides[tensor]);
    }
    assert_false(cvl_conv_is_pointwise(&d) || cvl_conv_is_f32(&d) || cvl_conv_is_integer(&d));
}

/* 17 channels in two blocks of 16: every channel has a place of its own, and 15 places pad. */
static void test_blocks_of_channels(void **state)
{
    const cvl_conv_desc d = expect_problem("fwd:f32:nchw16c-nhwc-kcrs:n2c17h3w5k4r1s1");
    const struct cvl_strides strides = cvl_conv_strides(&d, CVL_X);
    const size_t count = 2 * 32 * 3 * 5;
    bool taken[2 * 32 * 3 * 5] = { false };
    assert_int_equal(cvl_conv_x_count(&d), count);
    assert_int_equal(cvl_conv_bytes(&d, CVL_X), count * sizeof(float));
    assert_int_equal(cvl_conv_y_count(&d), 2 * 4 * 3 * 5);
    assert_int_equal(cvl_offset(&strides, 1, 16, 2, 4), ((1 * 2 + 1) * 3 * 5 + 2 * 5 + 4) * 16);
    for (int i = 0; i < 2 * 17 * 3 * 5; i++) {
        const ptrdiff_t at = cvl_offset(&strides, i / 255, i / 15 % 17, i / 5 % 3, i % 5);
        assert_true(at >= 0 && (size_t)at < count && !taken[at]);
        taken[at] = true;
    }
    for (size_t i = 0; i < count; i++)
        assert_int_equal(cvl_conv_is_padding(&d, CVL_X, i), !taken[i]);
    assert_true(cvl_conv_is_blocked(&d) && !cvl_conv_is_padding(&d, CVL_Y, 3));
}

static void test_passes(void **state)
{
    static const struct { const char *text; enum cvl_tensor written; int bias; double reduction; } passes[] = {
        { "fwd:f32:nchw:n2c6h5w5k4r3s3:g2", CVL_Y, 4, 27 },
        { "bwd_data:f32:nchw:n2c6h5w5k4r3s3:g2", CVL_X, 6, 18 },
        { "bwd_filter:f32:nchw:n2c6h5w5k4r3s3:g2", CVL_W, 4, 18 },
    };
    cvl_conv_args args;
    char x, w, y;
    cvl_conv_args_init(&args);
    args.x = &x;
    args.w = &w;
    args.y = &y;
    assert_true(cvl_conv_pointer(&args, CVL_X) == &x && cvl_conv_pointer(&args, CVL_W) == &w);
    assert_ptr_equal(cvl_conv_pointer(&args, CVL_Y), &y);
    for (size_t i = 0; i < LENGTH(passes); i++) {
        const cvl_conv_desc d = expect_problem(passes[i].text);
        assert_int_equal(cvl_conv_written(d.pass), passes[i].written);
        assert_int_equal(cvl_conv_bias_count(&d), passes[i].bias);
        assert_true(cvl_conv_reduction(&d) == passes[i].reduction);
    }
    static const char *const not_pointwise[] = { "r1s2", "r1s1:stride2x1", "r1s1:pad0x0x0x1" };
    const cvl_conv_desc pointwise = expect_problem("fwd:f32:nchw:n1c2h3w4k5r1s1:dil2");
    assert_true(cvl_conv_is_pointwise(&pointwise));
    for (size_t i = 0; i < LENGTH(not_pointwise); i++) {
        char text[CVL_CONV_TEXT_MAX];
        snprintf(text, sizeof text, "fwd:f32:nchw:n1c2h3w4k5%s", not_pointwise[i]);
        const cvl_conv_desc d = expect_problem(text);
        assert_false(cvl_conv_is_pointwise(&d));
    }
}

/* cvl_tap_range against its definition, tap by tap. */
static void test_tap_range(void **state)
{
    struct cvl_random *random = *state;
    for (int i = 0; i < ROUNDS; i++) {
        const int stride = 1 + cvl_random_below(random, 4), dil = 1 + cvl_random_below(random, 4);
        const int taps = 1 + cvl_random_below(random, 6), extent = 1 + cvl_random_below(random, 9);
        const int pad = cvl_random_below(random, 9), p = cvl_random_below(random, 9);
        int first, last;
        cvl_tap_range(p, stride, dil, pad, taps, extent, &first, &last);
        assert_true(0 <= first && first <= last && last <= taps);
        for (int r = 0; r < taps; r++) {
            const int at = p * stride + r * dil - pad;
            assert_int_equal(at >= 0 && at < extent, r >= first && r < last);
        }
    }
}

int main(int argc, char **argv)
{
    struct cvl_random random = { argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL) };
    printf("seed %llu\n", (unsigned long long)random.state);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_field_counts),
        cmocka_unit_test(test_flips_cover_the_struct),
        cmocka_unit_test(test_minus_zero_is_zero),
        cmocka_unit_test(test_bad_fields),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_parse_into_an_older_struct),
        cmocka_unit_test(test_init_of_args_and_quant),
        cmocka_unit_test(test_dimensions),
        cmocka_unit_test(test_blocks_of_channels),
        cmocka_unit_test(test_passes),
        cmocka_unit_test_prestate(test_tap_range, &random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
