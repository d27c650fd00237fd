/* SPDX-License-Identifier: Apache-2.0
 * gemm/ at the level of CVL_ISA, against sums in double: every shape of tile, and products of random sizes with every
 * kind of operand and epilogue. Every operand ends at an unreadable page. */
#include "guard.h"

#include "base/alloc.h"
#include "base/random.h"
#include "gemm/gemm.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static cvl_ctx *ctx, *threaded;
static const struct cvl_gemm_kern *kern;
static struct cvl_random numbers = { 7 };

static int below(int limit) { return (int)(cvl_random_next(&numbers) % (uint64_t)limit); }

static float *random_floats(size_t count)
{
    float *memory = guard_alloc(GUARD_END, (count + !count) * sizeof *memory, sizeof *memory);
    for (size_t i = 0; i < count; i++)
        memory[i] = (float)(below(2001) - 1000) / 1000;
    return memory;
}

static double activated(double v, cvl_act act)
{
    switch (act) {
    case CVL_ACT_RELU:  return v < 0 ? 0 : v;
    case CVL_ACT_CLIP:  return fmin(fmax(v, -0.5), 0.75);
    case CVL_ACT_SILU:  return v / (1 + exp(-v));
    default:            return v;
    }
}

/* c of one product by the formula; c holds what is added. */
static double element(const struct cvl_gemm *g, const float *b, int i, int j, double add)
{
    double sum = add + (g->bias ? g->bias[g->bias_by_row ? i : j] : 0);
    for (int p = 0; p < g->k; p++)
        sum += (double)g->a[i * g->a_row + p * g->a_step] * b[p * g->n + j];
    return activated(sum, g->act);
}

struct layout { bool a_columns, c_columns, add, bias, bias_by_row; cvl_act act; };

static struct layout random_layout(void)
{
    static const cvl_act acts[] = { CVL_ACT_NONE, CVL_ACT_RELU, CVL_ACT_CLIP, CVL_ACT_SILU };
    return (struct layout){ below(2), below(2), below(2), below(2), below(2), acts[below(4)] };
}

static void check_product(int m, int n, int k, int batch, struct layout layout)
{
    const size_t count = (size_t)m * n, packed_floats = cvl_gemm_packed(kern, n, k);
    float *a = random_floats((size_t)m * k * batch), *b = random_floats((size_t)k * n * batch);
    float *c = random_floats(count * batch), *bias = random_floats(m > n ? m : n);
    float *packed = cvl_alloc(packed_floats * batch * sizeof *packed), *want = malloc(count * batch * sizeof *want);
    float *again = malloc(count * batch * sizeof *again);
    struct cvl_gemm g = {
        .m = m, .n = n, .k = k, .batch = batch, .a_row = layout.a_columns ? 1 : k, .a_step = layout.a_columns ? m : 1,
        .a_batch = (ptrdiff_t)m * k, .b = packed, .b_batch = (ptrdiff_t)packed_floats,
        .c_row = layout.c_columns ? 1 : n, .c_lane = layout.c_columns ? m : 1, .c_batch = (ptrdiff_t)count,
        .bias = layout.bias ? bias : NULL, .bias_by_row = layout.bias_by_row, .act = layout.act,
        .lo = -0.5f, .hi = 0.75f,
    };
    for (int i = 0; i < batch; i++) {
        const struct cvl_gemm_source source = { b + (size_t)i * k * n, n, 1 };
        cvl_gemm_pack(kern, &source, n, k, packed + i * packed_floats);
        for (size_t e = 0; e < count; e++) {
            const int row = (int)e / n, column = (int)e % n;
            const size_t at = i * count + (size_t)(row * g.c_row + column * g.c_lane);
            g.a = a + i * g.a_batch;
            want[at] = (float)element(&g, source.b, row, column, layout.add ? c[at] : 0);
        }
    }
    g.a = a;
    memcpy(again, c, count * batch * sizeof *c);
    g.c = c;
    g.add = layout.add ? c : NULL;
    cvl_gemm_run(ctx, &g);
    for (size_t e = 0; e < count * batch; e++)
        if (!(fabs(c[e] - want[e]) <= 4e-7 * (k + 4)))
            fail_msg("m %d n %d k %d batch %d: element %zu is %g, expected %g", m, n, k, batch, e, c[e], want[e]);
    g.c = again;
    g.add = layout.add ? again : NULL;
    cvl_gemm_run(threaded, &g);
    assert_memory_equal(again, c, count * batch * sizeof *c);
    guard_free(a);
    guard_free(b);
    guard_free(c);
    guard_free(bias);
    cvl_free(packed);
    free(want);
    free(again);
}

static void products(void **state)
{
    for (int i = 0; i < 400; i++)
        check_product(1 + below(40), 1 + below(70), below(60), 1 + below(3), random_layout());
    check_product(230, 300, 70, 1, random_layout());
    check_product(3, 5, 9000, 1, (struct layout){ .add = true, .bias = true, .act = CVL_ACT_RELU });
}

/* Every kernel: all rows that it has, by last vectors that are whole and not, one tile or some below each other. */
static void check_tiles(int repeat)
{
    for (int vectors = 1; vectors <= CVL_TILE_VECTORS; vectors++)
        for (int rows = 1; rows <= kern->rows_max[vectors]; rows++)
            for (int last = 1; last <= kern->lanes; last += kern->lanes > 8 ? 3 : 1) {
                enum { K0 = 3, K1 = 2, K2 = 2 };
                const int lanes = (vectors - 1) * kern->lanes + last, whole = vectors * kern->lanes;
                const int all = rows * (repeat ? repeat : 1);
                float *a = random_floats((size_t)all * K0 * K1 * K2), *b = random_floats((size_t)whole * K0 * K1 * K2);
                float *out = random_floats((size_t)all * lanes);
                const struct cvl_tile tile = {
                    .rows = rows, .vectors = vectors, .last = last, .repeat = repeat, .count = { K0, K1, K2 },
                    .a = a, .b = b, .a_row = K0 * K1 * K2, .a_step = { K1 * K2, K2, 1 }, .b_vector = kern->lanes,
                    .b_step = { whole * K1 * K2, whole * K2, whole }, .out = out, .out_row = lanes, .out_lane = 1,
                };
                kern->tile[vectors](&tile);
                for (int i = 0; i < all * lanes; i++) {
                    double want = 0;
                    for (int p = 0; p < K0 * K1 * K2; p++)
                        want += (double)a[i / lanes * K0 * K1 * K2 + p] * b[p * whole + i % lanes];
                    if (!(fabs(out[i] - want) < 1e-5))
                        fail_msg("%d x %d, last %d: element %d is %g, expected %g", rows, vectors, last, i, out[i],
                                 want);
                }
                guard_free(a);
                guard_free(b);
                guard_free(out);
            }
}

static void tiles(void **state)
{
    check_tiles(0);
    check_tiles(3);
}

static void joins_loops(void **state)
{
    struct cvl_tile tile = { .count = { 4, 1, 3 }, .a_step = { 1, 99, 4 }, .b_step = { 16, 5, 64 } };
    cvl_tile_join(&tile);
    assert_int_equal(tile.count[0], 12);
    assert_int_equal(tile.count[1] * tile.count[2], 1);
    struct cvl_tile apart = { .count = { 4, 2, 3 }, .a_step = { 1, 5, 10 }, .b_step = { 16, 64, 128 } };
    cvl_tile_join(&apart);
    assert_int_equal(apart.count[0], 4);
    assert_int_equal(apart.count[1], 6);
    assert_int_equal(apart.count[2], 1);
    struct cvl_tile nothing = { .count = { 4, 2, 0 }, .a_step = { 1, 5, 10 }, .b_step = { 16, 64, 128 } };
    cvl_tile_join(&nothing);
    assert_int_equal(nothing.count[0] * nothing.count[1] * nothing.count[2], 0);
}

static int create(void **state)
{
    cvl_ctx_options options;
    cvl_ctx_options_init(&options);
    options.threads = 1;
    if (cvl_ctx_create(&options, &ctx) != CVL_OK)
        return -1;
    options.threads = 3;
    kern = cvl_gemm_kern(ctx->isa);
    return cvl_ctx_create(&options, &threaded) == CVL_OK ? 0 : -1;
}

static int destroy(void **state)
{
    cvl_ctx_destroy(ctx);
    cvl_ctx_destroy(threaded);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiles), cmocka_unit_test(joins_loops), cmocka_unit_test(products),
    };
    return cmocka_run_group_tests(tests, create, destroy);
}
