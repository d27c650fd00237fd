/* SPDX-License-Identifier: Apache-2.0
 * The oracle and the algorithm `reference` against cases worked by hand. Each gives all three tensors in memory order;
 * the one that the pass writes is what is wanted. */
#include "conv/desc.h"
#include "conv/reference/oracle.h"

#include "base/dtype.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 16 };   /* elements of a tensor */

struct hand {
    const char *text;
    double x[MOST], w[MOST], y[MOST], bias[4], residual[MOST];
    struct { float x_scale, y_scale; int x_zero, y_zero; float w_scale[2]; int32_t w_zero[2]; } quant;
};

/* A case ends with what it needs; the rest is zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define IMAGE {1, 2, 3, 4, 5, 6, 7, 8, 9}

/* The 3x3 image 1..9 and the filter 1 2 / 3 4: y00 = 1*1 + 2*2 + 4*3 + 5*4 = 37. */
static const struct hand forward[] = {
    {"fwd:f32:nchw:n1c1h3w3k1r2s2", IMAGE, {1, 2, 3, 4}, {37, 47, 67, 77}},
    /* rows -1..2 and columns 0..3 of the padded image: 1*3 + 2*4, 3*3, 4*1 + 5*2 + 7*3 + 8*4, 6*1 + 9*3 */
    {"fwd:f32:nchw:n1c1h3w3k1r2s2:stride2:pad1x0x0x1", IMAGE, {1, 2, 3, 4}, {11, 9, 67, 33}},
    {"fwd:f32:nchw:n1c1h3w3k1r2s2:stride1x2:pad0x1x1x0", IMAGE, {1, 2, 3, 4}, {18, 47, 36, 77, 14, 26}},
    {"fwd:f32:nchw:n1c1h3w3k1r2s2:dil2", IMAGE, {1, 2, 3, 4}, {64}},
    {"fwd:f32:nchw:n1c1h3w3k1r2s2:dil2x1", IMAGE, {1, 2, 3, 4}, {58, 68}},
    {"fwd:f32:nchw:n1c1h3w3k1r2s2:dil1x2", IMAGE, {1, 2, 3, 4}, {43, 73}},
    /* the filter lies in the padding except for one corner of the image each time */
    {"fwd:f32:nchw:n1c1h1w1k1r2s2:pad1", {2}, {1, 2, 3, 4}, {8, 6, 4, 2}},
    {"fwd:f32:nchw:n2c1h1w2k1r1s2", {1, 2, 3, 4}, {5, 6}, {17, 39}},
    /* c0 = 1 2, c1 = 3 4; k0 = 1 2 of c0 and 3 4 of c1: 1 + 4 + 9 + 16; k1 = 5 6, 7 8: 5 + 12 + 21 + 32 */
    {"fwd:f32:nchw:n1c2h1w2k2r1s2", {1, 2, 3, 4}, {1, 2, 3, 4, 5, 6, 7, 8}, {30, 70}},
    {"fwd:f32:nhwc:n1c2h1w2k2r1s2", {1, 3, 2, 4}, {1, 3, 2, 4, 5, 7, 6, 8}, {30, 70}},
    {"fwd:f32:nhwc-nhwc-rsck:n1c2h1w2k2r1s2", {1, 3, 2, 4}, {1, 5, 3, 7, 2, 6, 4, 8}, {30, 70}},
    {"fwd:f32:nhwc-nchw-kcrs:n1c2h1w2k2r1s2", {1, 3, 2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}, {30, 70}},
    /* c0 = 1 2, c1 = 3 4; k0 = 5 6, k1 = 7 8: k0 is 23 34, k1 is 31 46 */
    {"fwd:f32:nchw:n1c2h1w2k2r1s1", {1, 2, 3, 4}, {5, 6, 7, 8}, {23, 34, 31, 46}},
    {"fwd:f32:nhwc:n1c2h1w2k2r1s1", {1, 3, 2, 4}, {5, 6, 7, 8}, {23, 31, 34, 46}},
    {"fwd:f32:nchw-nhwc-rsck:n1c2h1w2k2r1s1", {1, 2, 3, 4}, {5, 7, 6, 8}, {23, 31, 34, 46}},
    {"fwd:f32:nchw:n1c2h1w2k2r1s1:g2", {1, 2, 3, 4}, {5, 7}, {5, 10, 21, 28}},
    {"fwd:f32:nchw:n1c2h1w2k4r1s1:g2", {1, 2, 3, 4}, {1, 2, 3, 4}, {1, 2, 2, 4, 9, 12, 12, 16}},
    {"fwd:f32:nhwc:n1c2h1w2k4r1s1:g2", {1, 3, 2, 4}, {1, 2, 3, 4}, {1, 2, 9, 12, 2, 4, 12, 16}},
    {"fwd:f32:nchw:n1c4h1w1k2r1s1:g2", {1, 2, 3, 4}, {5, 6, 7, 8}, {17, 53}},
    {"fwd:f32:nhwc-nhwc-rsck:n1c4h1w1k2r1s1:g2", {1, 2, 3, 4}, {5, 7, 6, 8}, {17, 53}},
    {"fwd:bf16:nchw:n1c1h1w3k1r1s2", {1.5, -2, 256}, {0.5, 3}, {-5.25, 767}},
    {"fwd:f16-f16-f32:nchw:n1c1h1w3k1r1s2", {1.5, -2, 1024}, {0.5, 64}, {-127.25, 65535}},
    {"fwd:f16:nchw:n1c1h1w3k1r1s2", {1.5, -2, 1024}, {0.5, 64}, {-127.25, 65535}},   /* stored as infinity */
};

/* dx00 = 1*1, dx01 = 1*2 + 2*1, dx11 = 1*4 + 2*3 + 3*2 + 4*1: each dy spreads the filter. */
static const struct hand backward_data[] = {
    {"bwd_data:f32:nchw:n1c1h3w3k1r2s2", {1, 4, 4, 6, 20, 16, 9, 24, 16}, {1, 2, 3, 4}, {1, 2, 3, 4}},
    {"bwd_data:f32:nchw:n1c1h3w3k1r2s2:stride2:pad1x0x0x1", {3, 4, 6, 3, 6, 4, 9, 12, 12}, {1, 2, 3, 4}, {1, 2, 3, 4}},
    {"bwd_data:f32:nchw:n1c1h3w3k1r2s2:dil2", {2, 0, 4, 0, 0, 0, 6, 0, 8}, {1, 2, 3, 4}, {2}},
    {"bwd_data:f32:nchw:n1c1h3w3k1r1s1:stride2", {5, 0, 10, 0, 0, 0, 15, 0, 20}, {5}, {1, 2, 3, 4}},
    {"bwd_data:f32:nchw:n2c1h1w2k1r1s2", {5, 6, 10, 12}, {5, 6}, {1, 2}},
    /* dy = 1 and 10 of two filters: c0 = 1 2 and 5 6, c1 = 3 4 and 7 8 */
    {"bwd_data:f32:nchw:n1c2h1w2k2r1s2", {51, 62, 73, 84}, {1, 2, 3, 4, 5, 6, 7, 8}, {1, 10}},
    {"bwd_data:f32:nhwc:n1c2h1w2k2r1s2", {51, 73, 62, 84}, {1, 3, 2, 4, 5, 7, 6, 8}, {1, 10}},
    {"bwd_data:f32:nhwc-nchw-rsck:n1c2h1w2k2r1s2", {51, 73, 62, 84}, {1, 5, 3, 7, 2, 6, 4, 8}, {1, 10}},
    {"bwd_data:f32:nchw:n1c4h1w1k2r1s1:g2", {5, 6, 14, 16}, {5, 6, 7, 8}, {1, 2}},
    {"bwd_data:f32:nchw:n1c2h1w1k4r1s1:g2", {50, 110}, {1, 2, 3, 4}, {10, 20, 10, 20}},
    {"bwd_data:f32:nchw:n1c2h1w1k1r1s1:bias", {16, 35}, {2, 5}, {3}, {10, 20}},
    {"bwd_data:f32:nhwc-nchw-krsc:n1c2h1w2k1r1s1:bias:residual:relu",
     {13, 0, 17, 3}, {2, -5}, {1, 3}, {10, -20}, {1, 2, 1, 38}},
};

/* dw00 = 1*1 + 2*2 + 4*3 + 5*4: the pass is the forward one with dy as the filter. */
static const struct hand backward_filter[] = {
    {"bwd_filter:f32:nchw:n1c1h3w3k1r2s2", IMAGE, {37, 47, 67, 77}, {1, 2, 3, 4}},
    /* 4*3 + 6*4, 5*3, 1*1 + 3*2 + 7*3 + 9*4, 2*1 + 8*3 */
    {"bwd_filter:f32:nchw:n1c1h3w3k1r2s2:stride2:pad1x0x0x1", IMAGE, {36, 15, 64, 26}, {1, 2, 3, 4}},
    {"bwd_filter:f32:nchw:n1c1h3w3k1r2s2:stride2:pad1x0x0x1:residual", IMAGE, {37, 17, 67, 30}, {1, 2, 3, 4}, {0},
     {1, 2, 3, 4}},
    {"bwd_filter:f32:nchw:n1c1h3w3k1r2s2:dil2", IMAGE, {2, 6, 14, 18}, {2}},
    {"bwd_filter:f32:nchw:n1c1h1w1k1r3s3:pad1", {7}, {0, 0, 0, 0, 14, 0, 0, 0, 0}, {2}},
    {"bwd_filter:f32:nchw:n2c1h1w1k1r1s1", {1, 2}, {11}, {3, 4}},
    {"bwd_filter:f32:nchw:n1c2h1w1k2r1s1", {1, 2}, {3, 6, 4, 8}, {3, 4}},
    {"bwd_filter:f32:nchw-nchw-rsck:n1c2h1w1k2r1s1", {1, 2}, {3, 4, 6, 8}, {3, 4}},
    {"bwd_filter:f32:nchw:n1c2h1w2k1r1s2", {1, 2, 3, 4}, {5, 10, 15, 20}, {5}},
    {"bwd_filter:f32:nhwc:n1c2h1w2k1r1s2", {1, 3, 2, 4}, {5, 15, 10, 20}, {5}},
    {"bwd_filter:f32:nchw:n1c4h1w1k2r1s1:g2", {1, 2, 3, 4}, {5, 10, 18, 24}, {5, 6}},
    {"bwd_filter:f32:nchw:n0c1h1w1k1r1s1:residual", {0}, {6}, {0}, {0}, {6}},
};

/* Before the activation: -4 + 0.5, -1 + 0.5, 1 + 0.5 - 0.5, 9 + 0.5. */
#define EPILOGUE(act, ...) \
    {"fwd:f32:nchw:n1c1h1w4k1r1s1:bias:residual" act, {-4, -1, 1, 9}, {1}, {__VA_ARGS__}, {0.5}, {0, 0, -0.5, 0}}

static const struct hand epilogues[] = {
    EPILOGUE("", -3.5, -0.5, 1, 9.5),
    EPILOGUE(":relu", 0, 0, 1, 9.5),
    EPILOGUE(":relu6", 0, 0, 1, 6),
    EPILOGUE(":clip=-1/3", -1, -0.5, 1, 3),
    EPILOGUE(":silu", -0.10259280762974712, -0.1887703343990727, 0.7310585786300049, 9.49928896083865),
    EPILOGUE(":hardswish", -0.0, -0.20833333333333334, 0.6666666666666666, 9.5),
    EPILOGUE(":gelu", -0.0008142017766243376, -0.15426876936299344, 0.8413447460685429, 9.5),
    {"fwd:f32:nchw:n1c1h1w2k2r1s1:bias", {1, 2}, {3, 4}, {13, 16, 24, 28}, {10, 20}},
    {"fwd:f32:nhwc:n1c1h1w2k2r1s1:bias", {1, 2}, {3, 4}, {13, 24, 16, 28}, {10, 20}},
    {"bwd_filter:f32:nchw:n1c1h1w2k1r1s2:relu", {1, -2}, {3, 0}, {3}},
    {"fwd:bf16-bf16-f32:nchw:n1c1h1w2k1r1s1:bias:residual", {1, 2}, {3}, {3.125, 7.75}, {0.125}, {0, 1.625}},
};

/* ONNX ConvInteger's own example: x = 2..10 with zero point 1 under a 2x2 filter of ones, without and with padding. */
#define ONNX_X {2, 3, 4, 5, 6, 7, 8, 9, 10}

/* ONNX QLinearConv's own example inverts: y = 255 - x. Its u8 filter of 0 with zero point 255 is ours of s8. */
#define ONNX_SCALES {0.00369204697f, 0.00162681262f, 132, 123, {0.00172794575f}, {127}}

static const struct hand integers[] = {
    {"fwd:u8-s8-s32:nchw:n1c1h3w3k1r2s2:xzero", ONNX_X, {1, 1, 1, 1}, {12, 16, 24, 28}, .quant = {.x_zero = 1}},
    {"fwd:u8-s8-s32:nchw:n1c1h3w3k1r2s2:pad1:xzero", ONNX_X, {1, 1, 1, 1},
     {1, 3, 5, 3, 5, 12, 16, 9, 11, 24, 28, 15, 7, 15, 17, 9}, .quant = {.x_zero = 1}},
    {"fwd:u8-s8-u8:nchw:n1c1h1w7k1r1s1:xzero:wzero:yzero", {255, 174, 162, 25, 203, 168, 58}, {-128},
     {0, 81, 93, 230, 52, 87, 197}, .quant = ONNX_SCALES},
    /* (10 - 4) * (2 - 1) and 6 * (3 + 1); without the flag a zero point is not read */
    {"fwd:s8-s8-s32:nchw:n1c1h1w1k2r1s1:xzero:wzero:perchannel", {10}, {2, 3}, {6, 24},
     .quant = {.x_zero = 4, .w_zero = {1, -1}}},
    {"fwd:s8-s8-s32:nchw:n1c1h1w1k2r1s1:xzero:wzero", {10}, {2, 3}, {6, 12},
     .quant = {.x_zero = 4, .w_zero = {1, 99}}},
    {"fwd:s8-s8-s32:nchw:n1c1h1w1k2r1s1", {10}, {2, 3}, {20, 30}, .quant = {.x_zero = 4, .w_zero = {1, -1}}},
    {"fwd:s8-s8-s32:nchw:n1c1h1w4k1r1s1:bias:residual", {1, 2, -1, -2}, {1}, {-2147483648.0, 2147483640, 3, 4},
     {2147483647}, {0, -9, -2147483643, -2147483641}},
    {"fwd:s8-s8-s32:nchw:n1c1h1w3k1r1s1:relu6", {-1, 3, 7}, {1}, {0, 3, 6}},
    {"fwd:s8-s8-s32:nchw:n1c1h1w3k1r1s1:clip=-2/5", {-3, 3, 7}, {1}, {-2, 3, 5}},
    /* ties: 0.5, 1.5, 2.5, -0.5, -1.5, 63.5, -64, and then the zero point */
    {"fwd:s8-s8-s8:nchw:n1c1h1w7k1r1s1:yzero", {1, 3, 5, -1, -3, 127, -128}, {1}, {10, 12, 12, 10, 8, 74, -54},
     .quant = {0.5f, 1, 0, 10, {1}, {0}}},
    {"fwd:s8-s8-s8:nchw:n1c1h1w3k1r1s1", {127, -127, 1}, {127}, {127, -128, 127}, .quant = {1, 1, 0, 0, {1}, {0}}},
    {"fwd:s8-s8-u8:nchw:n1c1h1w3k1r1s1", {127, -127, 1}, {127}, {255, 0, 127}, .quant = {1, 1, 0, 0, {1}, {0}}},
    /* 6 and 24 as above, bias 1 and -4: 7 * 0.5*2 = 7 and 20 * 0.25*2 = 10; over 0.5 */
    {"fwd:s8-s8-s8:nchw:n1c1h1w1k2r1s1:bias:xzero:wzero:perchannel", {10}, {2, 3}, {14, 20}, {1, -4},
     .quant = {2, 0.5f, 4, 0, {0.5f, 0.25f}, {1, -1}}},
    /* the residual adds 0.5*(5 - 3) and 0.5*(1 - 3): 8 and 9, 16 + 3 and 18 + 3 */
    {"fwd:s8-s8-s8:nchw:n1c1h1w1k2r1s1:bias:residual:xzero:wzero:yzero:perchannel", {10}, {2, 3}, {19, 21}, {1, -4},
     {5, 1}, .quant = {2, 0.5f, 4, 3, {0.5f, 0.25f}, {1, -1}}},
    {"fwd:s8-s8-s8:nchw:n1c1h1w1k2r1s1:bias:residual:relu6:xzero:wzero:yzero:perchannel", {10}, {2, 3}, {15, 15},
     {1, -4}, {5, 1}, .quant = {2, 0.5f, 4, 3, {0.5f, 0.25f}, {1, -1}}},
    /* the same with x and y in each other's place, and the channels those of x */
    {"bwd_data:s8-s8-s8:nchw:n1c2h1w1k1r1s1:bias:residual:xzero:wzero:yzero:perchannel", {19, 21}, {2, 3}, {10},
     {1, -4}, {5, 1}, .quant = {0.5f, 2, 3, 4, {0.5f, 0.25f}, {1, -1}}},
    {"bwd_data:s32-s8-u8:nchw:n1c2h1w1k1r1s1:bias:wzero:yzero:perchannel", {7, 20}, {2, 3}, {10}, {1, -4},
     .quant = {0, 0, 0, 4, {0}, {1, -1}}},
    /* (5 - 1) * (2 + 1) + (7 - 1) * (3 + 1) */
    {"bwd_filter:u8-s32-s8:nchw:n2c1h1w1k1r1s1:xzero:yzero", {5, 7}, {36}, {2, 3},
     .quant = {.x_zero = 1, .y_zero = -1}},
};

static void *store_all(cvl_dtype type, const double *values, size_t count, void *memory)
{
    for (size_t i = 0; i < count; i++)
        cvl_dtype_store(type, memory, i, values[i]);
    return memory;
}

static void check_values(const struct hand *hand, const cvl_conv_desc *desc, const cvl_conv_args *args)
{
    const enum cvl_tensor written = cvl_conv_written(desc->pass);
    const double *const tensors[] = {[CVL_X] = hand->x, [CVL_W] = hand->w, [CVL_Y] = hand->y};
    for (size_t i = 0; i < cvl_conv_count(desc, written); i++) {
        const double got = cvl_oracle_at(desc, args, i), want = tensors[written][i];
        if (!(fabs(got - want) <= 4e-16 * fabs(want)))
            fail_msg("%s: element %zu is %.17g, expected %.17g", hand->text, i, got, want);
    }
}

static void check_stored(const struct hand *hand, const cvl_conv_desc *desc, const cvl_conv_args *args, cvl_ctx *ctx)
{
    const enum cvl_tensor written = cvl_conv_written(desc->pass);
    const double *const tensors[] = {[CVL_X] = hand->x, [CVL_W] = hand->w, [CVL_Y] = hand->y};
    int32_t want[MOST];
    cvl_plan *plan;
    assert_int_equal(cvl_plan_create(ctx, desc, "reference", &plan), CVL_OK);
    assert_int_equal(cvl_plan_workspace_size(plan), 0);
    if (cvl_plan_run(plan, args, NULL) != CVL_OK)
        fail_msg("%s: %s", hand->text, cvl_last_error());
    store_all(cvl_conv_type(desc, written), tensors[written], cvl_conv_count(desc, written), want);
    if (memcmp(want, cvl_conv_pointer(args, written), cvl_conv_bytes(desc, written)) != 0)
        fail_msg("%s: what is stored is not what was expected, rounded", hand->text);
    cvl_plan_destroy(plan);
}

static void check_hand(const struct hand *hand, cvl_ctx *ctx)
{
    int32_t x[MOST], w[MOST], y[MOST], bias[4], residual[MOST];   /* room for every type */
    cvl_conv_desc desc;
    if (cvl_conv_parse(hand->text, &desc) != CVL_OK)
        fail_msg("%s: %s", hand->text, cvl_last_error());
    const enum cvl_tensor written = cvl_conv_written(desc.pass);
    const cvl_dtype out = cvl_conv_type(&desc, written), bias_type = cvl_conv_is_integer(&desc) ? CVL_S32 : CVL_F32;
    for (int tensor = CVL_X; tensor <= CVL_Y; tensor++)
        assert_in_range(cvl_conv_count(&desc, (enum cvl_tensor)tensor), 0, MOST);
    cvl_quant quant;
    cvl_quant_init(&quant);
    quant.x_scale = hand->quant.x_scale;
    quant.y_scale = hand->quant.y_scale;
    quant.x_zero = hand->quant.x_zero;
    quant.y_zero = hand->quant.y_zero;
    quant.w_scale = hand->quant.w_scale;
    quant.w_zero = hand->quant.w_zero;
    cvl_conv_args args;
    cvl_conv_args_init(&args);
    args.x = store_all(desc.x_type, hand->x, cvl_conv_count(&desc, CVL_X), x);
    args.w = store_all(desc.w_type, hand->w, cvl_conv_count(&desc, CVL_W), w);
    args.y = store_all(desc.y_type, hand->y, cvl_conv_count(&desc, CVL_Y), y);
    args.bias = store_all(bias_type, hand->bias, 4, bias);
    args.residual = store_all(out, hand->residual, cvl_conv_count(&desc, written), residual);
    args.quant = &quant;
    memset(cvl_conv_pointer(&args, written), 0xa5, cvl_conv_bytes(&desc, written));
    check_values(hand, &desc, &args);
    check_stored(hand, &desc, &args, ctx);
    if (desc.epi.residual) {   /* in place: each element is read before it is written */
        args.residual = memcpy(cvl_conv_pointer(&args, written), residual, cvl_conv_bytes(&desc, written));
        check_stored(hand, &desc, &args, ctx);
    }
}

static void check_table(cvl_ctx *ctx, const struct hand *table, size_t count)
{
    for (const struct hand *hand = table; hand < table + count; hand++)
        check_hand(hand, ctx);
}

#define CHECK_TABLE(state, table) check_table(*(state), table, sizeof (table) / sizeof *(table))

static void fwd_by_hand(void **state)        { CHECK_TABLE(state, forward); }
static void bwd_data_by_hand(void **state)   { CHECK_TABLE(state, backward_data); }
static void bwd_filter_by_hand(void **state) { CHECK_TABLE(state, backward_filter); }
static void epilogues_by_hand(void **state)  { CHECK_TABLE(state, epilogues); }
static void integers_by_hand(void **state)   { CHECK_TABLE(state, integers); }

static int set_up(void **state)
{
    return cvl_ctx_create(NULL, (cvl_ctx **)state);
}

static int tear_down(void **state)
{
    cvl_ctx_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fwd_by_hand),       cmocka_unit_test(bwd_data_by_hand), cmocka_unit_test(bwd_filter_by_hand),
        cmocka_unit_test(epilogues_by_hand), cmocka_unit_test(integers_by_hand),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
