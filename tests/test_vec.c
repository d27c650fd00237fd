/* SPDX-License-Identifier: Apache-2.0
 * base/vec.h and base/vec_math.h at the level of CVL_ISA: moves lane by lane against plain loops on buffers that end at
 * an unreadable page, functions against libm in double. */
#include "guard.h"
#include "vec_check.h"

#include "base/ctx.h"
#include "base/random.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { LANES_MAX = 16, STRIDE_MAX = 5 };

#define DECLARE(level) extern const struct vec_check vec_check_##level;
CVL_ISA_LIST(DECLARE)
#define ENTRY(level) &vec_check_##level,
static const struct vec_check *const levels[] = { CVL_ISA_LIST(ENTRY) };

static const struct vec_check *vec;
static int lanes;
static cvl_ctx *ctx;

static int choose_level(void **state)
{
    if (cvl_ctx_create(NULL, &ctx) != CVL_OK)
        return -1;
    vec = levels[ctx->isa];
    lanes = vec->lanes;
    return 0;
}

static int destroy_ctx(void **state)
{
    cvl_ctx_destroy(ctx);
    return 0;
}

static void count_up(float *to, int count, float first)
{
    for (int i = 0; i < count; i++)
        to[i] = first + (float)i;
}

static void expect_floats(const float *got, const float *want, int count)
{
    for (int i = 0; i < count; i++)
        if (memcmp(got + i, want + i, sizeof *got) != 0)
            fail_msg("lane %d is %g, expected %g", i, got[i], want[i]);
}

/* `count` floats that end where the readable memory does. */
static float *floats_at_end(int count)
{
    float *memory = guard_alloc(GUARD_END, sizeof *memory * (size_t)(count ? count : 1), sizeof *memory);
    count_up(memory, count, 1);
    return count ? memory : memory + 1;
}

static void free_floats(float *memory, int count)
{
    guard_free(count ? memory : memory - 1);
}

static void test_whole(void **state)
{
    float got[LANES_MAX], want[LANES_MAX], minus_zero[LANES_MAX];
    float *from = floats_at_end(lanes);
    vec->load_store(from, got);
    expect_floats(got, from, lanes);
    free_floats(from, lanes);
    for (int i = 0; i < lanes; i++) {
        want[i] = 2.5f;
        minus_zero[i] = -0.0f;
    }
    vec->set(2.5f, got);
    expect_floats(got, want, lanes);
    vec->set(-0.0f, got);
    expect_floats(got, minus_zero, lanes);
}

static void test_part(void **state)
{
    for (int count = 0; count <= lanes; count++) {
        float got[LANES_MAX], want[LANES_MAX] = { 0 };
        float *memory = floats_at_end(count);
        count_up(want, count, 1);
        vec->load_part(memory, count, got);
        expect_floats(got, want, lanes);
        count_up(got, lanes, 100);
        vec->store_part(memory, got, count);
        expect_floats(memory, got, count);
        free_floats(memory, count);
    }
}

static void test_part_leaves_the_rest(void **state)
{
    for (int count = 0; count <= lanes; count++) {
        float from[LANES_MAX], to[LANES_MAX], want[LANES_MAX];
        count_up(from, lanes, 100);
        count_up(to, lanes, 1);
        count_up(want, lanes, 1);
        count_up(want, count, 100);
        vec->store_part(to, from, count);
        expect_floats(to, want, lanes);
    }
}

static void test_strided(void **state)
{
    for (int stride = 0; stride <= STRIDE_MAX; stride++)
        for (int count = 1; count <= lanes; count++) {
            const int reach = (count - 1) * stride + 1;
            float got[LANES_MAX], want[LANES_MAX] = { 0 };
            float *memory = floats_at_end(reach);
            for (int i = 0; i < count; i++)
                want[i] = memory[i * stride];
            vec->load_strided(memory, stride, count, got);
            expect_floats(got, want, lanes);
            if (stride == 2) {
                vec->load_even(memory, count, got);
                expect_floats(got, want, lanes);
            }
            count_up(want, count, 100);
            vec->store_strided(memory, stride, want, count);
            for (int i = 0; i < reach && stride > 0; i++)
                assert_true(memory[i] == (i % stride == 0 ? 100 + (float)i / (float)stride : 1 + (float)i));
            free_floats(memory, reach);
        }
}

static void test_even_of_nothing(void **state)
{
    float got[LANES_MAX], want[LANES_MAX] = { 0 };
    float *memory = floats_at_end(0);
    vec->load_even(memory, 0, got);
    expect_floats(got, want, lanes);
    free_floats(memory, 0);
}

static void test_shuffles(void **state)
{
    float a[LANES_MAX], b[LANES_MAX], got[2 * LANES_MAX], want[2 * LANES_MAX];
    float rows[LANES_MAX * LANES_MAX], columns[LANES_MAX * LANES_MAX];
    count_up(a, lanes, 0);
    count_up(b, lanes, 100);
    for (int i = 0; i < lanes; i++) {
        want[2 * i] = a[i];
        want[2 * i + 1] = b[i];
    }
    vec->zip(a, b, got);
    expect_floats(got, want, 2 * lanes);
    for (int i = 0; i < lanes; i++)
        want[i] = i < lanes / 2 ? a[2 * i] : b[2 * i + 1 - lanes];
    vec->even_odd(a, b, got);
    expect_floats(got, want, lanes);
    for (int i = 0; i < lanes; i++)
        for (int j = 0; j < lanes; j++)
            columns[i * lanes + j] = rows[j * lanes + i] = (float)(i * lanes + j);
    vec->transpose(rows);
    expect_floats(rows, columns, lanes * lanes);
    vec->transpose_quads(columns);
    vec->transpose(rows);
    expect_floats(columns, rows, lanes * lanes);
}

static const float pairs[][2] = {
    { 1, 2 }, { 2, 1 }, { -1, 1 }, { NAN, 3 }, { 3, NAN }, { INFINITY, 1 }, { -INFINITY, 1 }, { 0.0f, -0.0f },
};

static void test_choices(void **state)
{
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const float x = pairs[i][0], y = pairs[i][1];
        float a[LANES_MAX], b[LANES_MAX], got[LANES_MAX], want[LANES_MAX];
        struct { void (*choose)(const float *, const float *, float *); float want; } choices[] = {
            { vec->less, x < y ? x : y }, { vec->min, x < y ? x : y }, { vec->max, x > y ? x : y },
        };
        vec->set(x, a);
        vec->set(y, b);
        for (int choice = 0; choice < 3; choice++) {
            vec->set(choices[choice].want, want);
            choices[choice].choose(a, b, got);
            expect_floats(got, want, lanes);
        }
    }
}

static void test_clip(void **state)
{
    const float values[LANES_MAX] = { NAN, -INFINITY, INFINITY, -1, 0.25f, 2, -0.5f, 0.5f };
    const float wants[LANES_MAX] = { NAN, -0.5f, 0.5f, -0.5f, 0.25f, 0.5f, -0.5f, 0.5f };
    for (int first = 0; first < 8; first += lanes) {
        float got[LANES_MAX];
        vec->clip(values + first % LANES_MAX, -0.5f, 0.5f, got);
        for (int i = 0; i < lanes && first + i < 8; i++)
            assert_true(isnan(wants[first + i]) ? isnan(got[i]) : got[i] == wants[first + i]);
    }
}

static void test_sum(void **state)
{
    float values[LANES_MAX];
    count_up(values, lanes, 1);
    assert_true(vec->sum(values) == (float)(lanes * (lanes + 1) / 2));
}

static void test_dot(void **state)
{
    struct cvl_random random = { 1 };
    for (int round = 0; round < 1000; round++) {
        uint8_t a[4 * LANES_MAX];
        int8_t b[4 * LANES_MAX];
        int32_t sums[LANES_MAX], want[LANES_MAX];
        for (int i = 0; i < 4 * lanes; i++) {
            a[i] = round == 0 ? 127 : (uint8_t)cvl_random_below(&random, 128);
            b[i] = round == 0 ? -128 : (int8_t)(cvl_random_below(&random, 256) - 128);
        }
        for (int i = 0; i < lanes; i++) {
            want[i] = sums[i] = cvl_random_below(&random, 1 << 30) - (1 << 29);
            for (int j = 4 * i; j < 4 * i + 4; j++)
                want[i] += a[j] * b[j];
        }
        vec->dot_u8s8(sums, a, b);
        assert_memory_equal(sums, want, sizeof *want * (size_t)lanes);
    }
}

static void test_scale(void **state)
{
    for (int n = -252; n <= 254; n++) {
        float ones[LANES_MAX], got[LANES_MAX], want[LANES_MAX];
        int32_t exponents[LANES_MAX];
        for (int i = 0; i < lanes; i++)
            exponents[i] = n;
        vec->set(1.0f, ones);
        vec->set(ldexpf(1.0f, n), want);
        vec->scale(ones, exponents, got);
        expect_floats(got, want, lanes);
    }
}

/* Below FLT_MIN a factor of the result is off by as much as the smallest float. */
static double tiny(double x)
{
    return (2 + fmin(fabs(x), 128)) * FLT_TRUE_MIN;
}

/* A function, its value in double, where it is tried, and its error in units of 2^-24 of the value, of 1, and of x^2
 * times the value. */
struct function {
    const char *name;
    void   (*apply)(const float *from, float *to);
    double (*want)(double x);
    float  first, last;
    double relative, absolute, squared;
};

static void apply_exp(const float *from, float *to) { vec->exp(from, to); }
static void apply_erfc(const float *from, float *to) { vec->erfc(from, to); }
static void apply_silu(const float *from, float *to) { vec->activate(from, CVL_ACT_SILU, 0, 0, to); }
static void apply_gelu(const float *from, float *to) { vec->activate(from, CVL_ACT_GELU, 0, 0, to); }
static void apply_hardswish(const float *from, float *to) { vec->activate(from, CVL_ACT_HARDSWISH, 0, 0, to); }

static double silu(double x) { return x / (1 + exp(-x)); }
static double gelu(double x) { return 0.5 * x * erfc(-x * sqrt(0.5)); }
static double hardswish(double x) { return x * fmin(fmax(x + 3, 0), 6) / 6; }

static const struct function functions[] = {
    { "exp", apply_exp, exp, -110, 88.72f, 3, 0, 0 },
    { "erfc", apply_erfc, erfc, -12, 12, 8, 0, 2 },
    { "silu", apply_silu, silu, -100, 100, 6, 0, 0 },
    { "gelu", apply_gelu, gelu, -14, 14, 10, 0, 2 },
    { "hardswish", apply_hardswish, hardswish, -5, 8, 4, 2, 0 },
};

static void test_functions(void **state)
{
    enum { POINTS = 400000 };
    for (size_t f = 0; f < sizeof functions / sizeof *functions; f++) {
        const struct function *function = functions + f;
        const double step = ((double)function->last - function->first) / (POINTS - 1);
        double worst = 0, worst_x = 0;
        for (int point = 0; point < POINTS; point += lanes) {
            float x[LANES_MAX], got[LANES_MAX];
            for (int i = 0; i < lanes; i++)
                x[i] = (float)(function->first + step * fmin(point + i, POINTS - 1));
            function->apply(x, got);
            for (int i = 0; i < lanes; i++) {
                const double want = function->want(x[i]), size = fabs(want);
                const double allowed = 0x1p-24 * (function->relative * size + function->absolute +
                                                  function->squared * x[i] * x[i] * size) + tiny(x[i]);
                const double share = fabs(got[i] - want) / allowed;
                if (!(share <= worst)) {
                    worst = share;
                    worst_x = x[i];
                }
            }
        }
        print_message("%-10s %3.0f %% of its allowed error, at %g\n", function->name, 100 * worst, worst_x);
        assert_true(worst <= 1);
    }
}

/* Values at the ends of what a float holds; NaN where libm gives NaN. */
static void test_ends(void **state)
{
    const float ends[] = { 0.0f, -0.0f, INFINITY, -INFINITY, NAN, FLT_MAX, -FLT_MAX, 88.73f, -104.5f, FLT_TRUE_MIN };
    for (size_t f = 0; f < sizeof functions / sizeof *functions; f++)
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
            float x[LANES_MAX], got[LANES_MAX];
            vec->set(ends[i], x);
            functions[f].apply(x, got);
            const float want = (float)functions[f].want(ends[i]);
            if (isnan(want) != isnan(got[0]) || isinf(want) != isinf(got[0]) ||
                (!isnan(want) && !isinf(want) && fabs(got[0] - want) > 2e-7 * fabs(want) + tiny(ends[i])))
                fail_msg("%s(%g) is %g, expected %g", functions[f].name, ends[i], got[0], want);
        }
}

static void test_bounded_activations(void **state)
{
    static const struct { cvl_act act; float lo, hi; } acts[] = {
        { CVL_ACT_NONE, -INFINITY, INFINITY }, { CVL_ACT_RELU, 0, INFINITY }, { CVL_ACT_RELU6, 0, 6 },
        { CVL_ACT_CLIP, -0.25f, 0.75f },
    };
    for (size_t a = 0; a < sizeof acts / sizeof *acts; a++)
        for (float value = -8; value <= 9; value += 0.125f) {
            float x[LANES_MAX], got[LANES_MAX], want[LANES_MAX];
            const float points[] = { value, value < -7.9f ? -INFINITY : INFINITY, NAN };
            for (int i = 0; i < 3; i++) {
                vec->set(points[i], x);
                vec->set(isnan(points[i]) ? points[i] : fminf(fmaxf(points[i], acts[a].lo), acts[a].hi), want);
                vec->activate(x, acts[a].act, acts[a].lo, acts[a].hi, got);
                for (int lane = 0; lane < lanes; lane++)
                    assert_true(isnan(want[lane]) ? isnan(got[lane]) : got[lane] == want[lane]);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_part),
        cmocka_unit_test(test_part_leaves_the_rest),
        cmocka_unit_test(test_strided),
        cmocka_unit_test(test_even_of_nothing),
        cmocka_unit_test(test_shuffles),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_clip),
        cmocka_unit_test(test_sum),
        cmocka_unit_test(test_dot),
        cmocka_unit_test(test_scale),
        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_bounded_activations),
    };
    return cmocka_run_group_tests(tests, choose_level, destroy_ctx);
}
