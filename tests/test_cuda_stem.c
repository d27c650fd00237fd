/* SPDX-License-Identifier: Apache-2.0
 * The kernel of cuda-stem on the host: every tile, thread by thread, with the tensor cores of cuda_warp.h, against the
 * oracle. */
#include "conv/cuda/cuda_stem_lists.h"
#include "cuda_warp.h"
#include "on_host.h"
#include "random_problem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { PROBLEMS = 300 };

/* ---- one launch ---- */

typedef float warp_sums[CVL_STEM_M][CVL_STEM_N][WARP][4];

static void multiply_warp(const struct cvl_stem *g, int warp, const uint16_t *filter, const uint16_t *patch,
                          warp_sums sums)
{
    const int first = warp * CVL_STEM_M * CVL_MMA_M;
    uint32_t a[CVL_STEM_M][WARP][4], b[WARP][2];
    for (int depth = 0; depth < g->depth; depth += 16) {
        for (int lane = 0; lane < WARP; lane++) {
            const int pair = cvl_stem_pair_at(g, depth / 2 + lane % 4);
            const int next = cvl_stem_pair_at(g, depth / 2 + 4 + lane % 4);
            for (int i = 0; i < CVL_STEM_M; i++)
                cvl_stem_pixels(patch, cvl_stem_pixel_at(g, first + i * 16 + lane / 4),
                                cvl_stem_pixel_at(g, first + i * 16 + 8 + lane / 4), pair, next, a[i][lane]);
        }
        for (int j = 0; j < CVL_STEM_N; j++) {
            for (int lane = 0; lane < WARP; lane++)
                cvl_stem_filters(filter, cvl_stem_line(g), j * CVL_MMA_N, depth, lane, b[lane]);
            for (int i = 0; i < CVL_STEM_M; i++)
                warp_mma(g->type, a[i], b, sums[i][j]);
        }
    }
}

static void put_warp(int warp, warp_sums sums, float *to)
{
    const int first = warp * CVL_STEM_M * CVL_MMA_M;
    for (int i = 0; i < CVL_STEM_M; i++)
        for (int j = 0; j < CVL_STEM_N; j++)
            for (int lane = 0; lane < WARP; lane++)
                for (int e = 0; e < 4; e++)
                    to[(first + i * CVL_MMA_M + cvl_mma_row(lane, e)) * CVL_STEM_LINE + j * CVL_MMA_N
                       + cvl_mma_column(lane, e)] = sums[i][j][lane][e];
}

/* A loop over threads or warps stands between two barriers. The patch ends flush: nothing is read past it. */
static void run_tile(const struct cvl_stem *g, int tile, int k_block, const uint16_t *filter)
{
    static warp_sums sums[CVL_STEM_WARPS];
    const struct cvl_stem_place place = cvl_stem_place_of(g, tile);
    uint16_t *patch = guard_alloc(GUARD_END, (size_t)(cvl_stem_patch(g) * g->copies) * 2, 4);
    float *out = guard_alloc(GUARD_END, sizeof(float) * CVL_STEM_PIXELS * CVL_STEM_LINE, 4);
    memset(sums, 0, sizeof sums);
    for (int t = 0; t < CVL_STEM_THREADS; t++)
        cvl_stem_bring(g, &place, t, patch);
    for (int warp = 0; warp < CVL_STEM_WARPS; warp++)
        multiply_warp(g, warp, filter, patch, sums[warp]);
    for (int warp = 0; warp < CVL_STEM_WARPS; warp++)
        put_warp(warp, sums[warp], out);
    for (int t = 0; t < CVL_STEM_THREADS; t++)
        cvl_stem_store(g, &place, k_block, t, out);
    guard_free(out);
    guard_free(patch);
}

static void run_problem(const cvl_conv_desc *desc, const void *choice, cvl_conv_args args)
{
    const size_t bytes = cvl_stem_packed_bytes(desc);
    uint16_t *filter = guard_alloc(GUARD_END, bytes, 16);
    const struct cvl_stem_pack pack = cvl_stem_pack_of(desc, args.w, filter);
    const struct cvl_stem g = cvl_stem_of(desc, &args, filter);
    assert_int_equal((size_t)pack.count * 2, bytes);
    for (int i = 0; i < pack.count; i++)
        cvl_stem_pack_one(&pack, i);
    for (int block = 0; block * CVL_STEM_K < desc->k; block++)
        for (int tile = 0; tile < g.tiles; tile++)
            run_tile(&g, tile, block, filter + (size_t)block * (size_t)cvl_stem_filter_bytes(&g) / 2);
    guard_free(filter);
}

/* ---- problems ---- */

/* A random problem made a first layer. */
static cvl_conv_desc stem_problem(struct cvl_random *random)
{
    cvl_conv_desc d;
    do {
        d = random_problem(random);
        const cvl_dtype type = cvl_random_below(random, 2) ? CVL_BF16 : CVL_F16;
        d.pass = CVL_FWD;
        d.x_layout = CVL_NHWC;
        d.x_type = d.w_type = type;
        d.y_type = cvl_random_below(random, 4) ? type : CVL_F32;
        d.math = CVL_MATH_F32;
        d.n = between(random, 1, 3);
        d.c = between(random, 1, 4);
        d.k = cvl_random_below(random, 2) ? 4 * between(random, 1, 20) : between(random, 1, 70);
        d.groups = d.dil_h = d.dil_w = 1;
        d.r = between(random, 1, 7);
        d.s = between(random, 1, 7);
        d.stride_h = between(random, 1, 3);
        d.stride_w = between(random, 1, 3);
        d.w = between(random, 1, 150);
        d.h = between(random, 1, 12);
    } while (cvl_conv_check(&d) != CVL_OK || cvl_stem_reject(&d) || cvl_conv_flops(&d) > 2e7);
    return d;
}

static void random_problems_are_right(void **state)
{
    struct cvl_random random = { 12 };
    int copies[3] = { 0 }, wide[9] = { 0 }, tile[65] = { 0 }, filled = 0, blocks = 0;
    for (int i = 0; i < PROBLEMS; i++) {
        const cvl_conv_desc desc = stem_problem(&random);
        cvl_conv_args args;
        cvl_conv_args_init(&args);
        const struct cvl_stem g = cvl_stem_of(&desc, &args, NULL);
        on_host_check(&desc, run_problem, NULL, i % 3 ? GUARD_START : GUARD_END, on_host_rounding(&desc), "by default");
        copies[g.copies]++;
        wide[g.wide]++;
        tile[g.tile_q.divisor]++;
        filled += g.depth > g.taps_pairs * 2;
        blocks += desc.k > CVL_STEM_K;
    }
    print_message("patches once and twice: %d %d; stored by 8, 4 and 1: %d %d %d; tiles of 64, 32, 16 columns: %d %d "
                  "%d; %d filled up, %d of two blocks\n", copies[1], copies[2], wide[8], wide[4], wide[1], tile[64],
                  tile[32], tile[16], filled, blocks);
    assert_true(copies[1] >= 50 && copies[2] >= 50 && wide[8] >= 30 && wide[4] >= 30
                && wide[1] >= 50);
    assert_true(tile[64] >= 20 && tile[32] >= 20 && tile[16] >= 20 && filled >= 50 && blocks >= 20);
}

static void others_are_refused(void **state)
{
    static const char *const refused[] = {
        "bwd_data:bf16:nhwc:n1c3h16w16k8r3s3", "fwd:f32:nhwc:n1c3h16w16k8r3s3", "fwd:bf16:nchw:n1c3h16w16k8r3s3",
        "fwd:bf16:nhwc:n1c5h16w16k8r3s3", "fwd:bf16:nhwc:n1c2h16w16k8r3s3:g2", "fwd:bf16:nhwc:n1c3h16w16k8r3s3:dil2",
        "fwd:bf16:nhwc:n1c3h32w32k8r3s3:stride9", "fwd:bf16:nhwc:n1c4h32w32k8r13s13",
    };
    cvl_conv_desc desc;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        assert_int_equal(cvl_conv_parse(refused[i], &desc), CVL_OK);
        if (!cvl_stem_reject(&desc))
            fail_msg("%s is taken", refused[i]);
    }
    assert_int_equal(cvl_conv_parse("fwd:bf16:nhwc:n32c3h224w224k64r7s7:stride2:pad3:relu", &desc), CVL_OK);
    assert_null(cvl_stem_reject(&desc));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_problems_are_right),
        cmocka_unit_test(others_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
