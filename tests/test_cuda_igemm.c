/* SPDX-License-Identifier: Apache-2.0
 * The kernels of cuda-igemm on the host: every block, thread by thread, through the very maps and steps that the device
 * compiles, against the oracle. What is left untested without a device are the instructions (cp.async, ldmatrix, mma),
 * which cuda_warp.h does by the book, and what runs at the same time. */
#include "conv/accuracy.h"
#include "conv/cuda/cuda_igemm_lists.h"
#include "conv/cuda/cuda_igemm_cores.h"
#include "conv/cuda/cuda_mma_lanes.h"
#include "cuda_warp.h"
#include "on_host.h"
#include "random_problem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PROBLEMS = 500, THREADS_MAX = 256, COST_MAX = 40 * 1000 * 1000 };

/* ---- one block ---- */

struct block {
    const struct cvl_gemm *g;
    struct cvl_gemm_tile   tile;
    struct cvl_gemm_place  place;
    struct cvl_tile_shared shared;
    struct cvl_tile_kept   kept[THREADS_MAX];
    float                  cores[THREADS_MAX][CVL_CORES_MOST][CVL_CORES_MOST];
    float                  tensor[THREADS_MAX / WARP][4][8][WARP][4];   /* warp, 16 rows, 8 columns, lane, sum */
};

static void fragment(const struct block *b, const char *tile, enum cvl_mma_side side, int rows, int row,
                     int slice, uint32_t r[WARP][4])
{
    const bool columns = (side == CVL_MMA_A ? b->g->a : b->g->b).bring == CVL_BRING_ALONG_ROWS;
    const char *from[WARP];
    for (int lane = 0; lane < WARP; lane++)
        from[lane] = tile + (columns ? cvl_mma_from_columns(side, rows, row, slice, lane)
                                     : cvl_mma_from_rows(side, row, slice, lane));
    warp_ldmatrix(from, columns, r);
}

static void multiply_warp(struct block *b, int warp, const char *stage)
{
    const struct cvl_gemm_tile tile = b->tile;
    const char *b_tile = stage + tile.m * CVL_TILE_DEPTH_BYTES;
    const int m = warp / tile.warps_n * (tile.m / tile.warps_m), n = warp % tile.warps_n * (tile.n / tile.warps_n);
    for (int slice = 0; slice < CVL_MMA_SLICES; slice++)
        for (int pair = 0; pair < tile.n / tile.warps_n / 16; pair++) {
            uint32_t right[WARP][4], left[WARP][4], first[WARP][2], second[WARP][2];
            fragment(b, b_tile, CVL_MMA_B, tile.n, n + pair * 16, slice, right);
            for (int lane = 0; lane < WARP; lane++) {
                first[lane][0] = right[lane][0], first[lane][1] = right[lane][1];
                second[lane][0] = right[lane][2], second[lane][1] = right[lane][3];
            }
            for (int i = 0; i < tile.m / tile.warps_m / 16; i++) {
                fragment(b, stage, CVL_MMA_A, tile.m, m + i * 16, slice, left);
                warp_mma(b->g->type, left, first, b->tensor[warp][i][pair * 2]);
                warp_mma(b->g->type, left, second, b->tensor[warp][i][pair * 2 + 1]);
            }
        }
}

static void put_warp(const struct block *b, int warp, float *to, int line)
{
    const struct cvl_gemm_tile tile = b->tile;
    const int m = warp / tile.warps_n * (tile.m / tile.warps_m), n = warp % tile.warps_n * (tile.n / tile.warps_n);
    for (int i = 0; i < tile.m / tile.warps_m / CVL_MMA_M; i++)
        for (int j = 0; j < tile.n / tile.warps_n / CVL_MMA_N; j++)
            for (int lane = 0; lane < WARP; lane++)
                for (int e = 0; e < 4; e++)
                    to[cvl_tile_sum_at(line, m + i * CVL_MMA_M + cvl_mma_row(lane, e),
                                       n + j * CVL_MMA_N + cvl_mma_column(lane, e))] = b->tensor[warp][i][j][lane][e];
}

/* The loop of cuda_igemm_loop.cuh; a loop over threads stands between two barriers. */
static void run_block(struct block *b, enum cvl_gemm_unit unit, int stages, int size)
{
    const int threads = cvl_tile_threads(b->tile), depth = cvl_tile_depth(size);
    const int a_columns = b->g->a.bring == CVL_BRING_ALONG_ROWS, b_columns = b->g->b.bring == CVL_BRING_ALONG_ROWS;
    const int line = cvl_tile_line(b->tile, b->g->out_by_rows);
    for (int t = 0; t < threads; t++) {
        cvl_tile_find_rows(b->g, b->tile, &b->place, t, b->shared.rows);
        cvl_tile_find_columns(b->g, depth, &b->place, b->place.first, t, b->shared.columns);
    }
    for (int t = 0; t < threads; t++)
        cvl_tile_keep(b->g, b->tile, a_columns, b_columns, size, &b->place, &b->shared, t, &b->kept[t]);
    for (int next = b->place.first, into = 0, from = 1; next < b->place.last + stages - 1; next++) {
        const char *stage = b->shared.stages + from * cvl_tile_stage_bytes(b->tile);
        for (int t = 0; t < threads; t++) {
            if (next < b->place.last)
                cvl_tile_bring(b->g, b->tile, a_columns, b_columns, size, &b->place, &b->shared, &b->kept[t], next,
                               into, t);
            cvl_tile_find_columns(b->g, depth, &b->place, next + 1, t, b->shared.columns);
        }
        for (int t = 0; next >= b->place.first + stages - 1 && t < threads; t++)
            if (unit == CVL_UNIT_CORES)
                cvl_cores_step(b->tile, t, stage, b->cores[t]);
            else if (t % WARP == 0)
                multiply_warp(b, t / WARP, stage);
        into = into + 1 == stages ? 0 : into + 1;
        from = from + 1 == stages ? 0 : from + 1;
    }
    for (int t = 0; t < threads; t++) {
        cvl_tile_find_out(b->g, b->tile, &b->place, t, b->shared.rows);
        if (unit == CVL_UNIT_CORES)
            cvl_cores_put(b->tile, t, b->cores[t], (float *)b->shared.stages, line);
        else if (t % WARP == 0)
            put_warp(b, t / WARP, (float *)b->shared.stages, line);
    }
    for (int t = 0; t < threads; t++)
        cvl_tile_store_all(b->g, b->tile, &b->place, &b->shared, t);
}

/* ---- one problem ---- */

static void run_launch(const struct cvl_gemm *g, const struct cvl_gemm_choice *choice)
{
    struct block *b = malloc(sizeof *b);
    const int size = (int)cvl_dtype_size(g->type);
    const struct cvl_gemm_tile tile = cvl_gemm_tiles[choice->unit][choice->tile];
    const size_t bytes = (size_t)cvl_tile_shared_bytes(tile, choice->stages, size);
    char *memory = guard_alloc(GUARD_END, bytes, 16);
    assert_non_null(b);
    for (int block = 0; block < g->tiles * g->groups * g->splits; block++) {
        memset(b, 0, sizeof *b);
        memset(memory, 0xff, bytes);   /* NaNs */
        b->g = g;
        b->tile = tile;
        b->place = cvl_gemm_place_of(g, tile, block);
        b->shared = cvl_tile_shared_of(tile, choice->stages, memory);
        run_block(b, choice->unit, choice->stages, size);
    }
    for (int i = 0; g->splits > 1 && i < g->groups * (int)g->partial_rows * g->out_columns.count; i++)
        cvl_gemm_sum_one(g, i);
    guard_free(memory);
    free(b);
}

static void repack(const struct cvl_repack *r)
{
    for (int i = 0; i < r->groups * r->list.count; i++) {
        const int from = cvl_list_site(&r->list, i % r->list.count).at + i / r->list.count * r->from_group;
        memcpy((char *)r->to + (size_t)i * (size_t)r->size, (const char *)r->from + (size_t)from * (size_t)r->size,
               (size_t)r->size);
    }
}

static void run_problem(const cvl_conv_desc *desc, const void *chosen, cvl_conv_args args)
{
    const struct cvl_gemm_choice *choice = chosen;
    const size_t workspace = cvl_gemm_workspace(desc, choice), filter = cvl_conv_bytes(desc, CVL_W);
    void *partial = guard_alloc(GUARD_END, workspace, 4), *packed = guard_alloc(GUARD_START, filter, 16);
    struct cvl_gemm g;
    memset(partial, 0xff, workspace);
    if (cvl_gemm_packs(desc)) {
        const struct cvl_repack r = cvl_gemm_repack(desc, args.w, packed);
        repack(&r);
        args.packed = packed;
    }
    for (int class = 0; cvl_gemm_next(desc, choice, &args, partial, &class, &g);)
        run_launch(&g, choice);
    guard_free(partial);
    guard_free(packed);
}

/* What emulation costs: products of all tiles, full or not. */
static double cost_of(const cvl_conv_desc *desc, const struct cvl_gemm_choice *choice)
{
    const struct cvl_gemm_tile tile = cvl_gemm_tiles[choice->unit][choice->tile];
    cvl_conv_args args;
    struct cvl_gemm g;
    double cost = 0;
    cvl_conv_args_init(&args);
    for (int class = 0; cvl_gemm_next(desc, choice, &args, NULL, &class, &g);)
        for (int i = 0; i < g.parts; i++)
            cost += (double)g.part[i].m_tiles * g.n_tiles * g.groups * tile.m * tile.n
                  * (32 * g.part[i].steps + 64.0 * g.splits);
    return cost;
}

/* Factors that are rounded to tf32 are off too. */
static double tolerance(const cvl_conv_desc *desc, enum cvl_gemm_unit unit)
{
    const double k = cvl_conv_reduction(desc) + 1;
    const bool tf32 = unit == CVL_UNIT_TENSOR && cvl_conv_is_f32(desc);
    return on_host_rounding(desc) + (tf32 ? 0x1p-10 * sqrt(k) / cvl_conv_largest_output(desc, k) : 0);
}

static void check(const cvl_conv_desc *desc, const struct cvl_gemm_choice *choice, enum guard_side side)
{
    char how[96];
    snprintf(how, sizeof how, "unit %d tile %d stages %d splits %d", choice->unit, choice->tile, choice->stages,
             choice->splits);
    on_host_check(desc, run_problem, choice, side, tolerance(desc, choice->unit), how);
}

static struct cvl_gemm_choice random_choice(struct cvl_random *random, const cvl_conv_desc *desc)
{
    const bool tensor = !cvl_conv_is_f32(desc) || (desc->math != CVL_MATH_F32 && cvl_random_below(random, 4));
    return (struct cvl_gemm_choice){
        tensor ? CVL_UNIT_TENSOR : CVL_UNIT_CORES, cvl_random_below(random, CVL_GEMM_TILES),
        2 + cvl_random_below(random, 3), cvl_random_below(random, 2) ? 1 : 1 + cvl_random_below(random, 7),
    };
}

/* Counts of what was covered, so that a draw that stops covering something fails. */
struct tally { int problems, bring[2][4], parts, wide, splits, packed; };

static void count(struct tally *tally, const cvl_conv_desc *desc, const struct cvl_gemm_choice *choice)
{
    cvl_conv_args args;
    struct cvl_gemm g;
    int class = 0;
    cvl_conv_args_init(&args);
    if (!cvl_gemm_next(desc, choice, &args, NULL, &class, &g))
        return;
    tally->problems++;
    tally->bring[0][g.a.bring]++;
    tally->bring[1][g.b.bring]++;
    tally->parts += g.parts > 1;
    tally->wide += g.wide_out == 4;
    tally->splits += g.splits > 1;
    tally->packed += cvl_gemm_packs(desc);
}

static void random_problems_are_right(void **state)
{
    struct cvl_random random = { 20 };
    struct tally tally = { 0 };
    for (int i = 0; i < PROBLEMS;) {
        cvl_conv_desc desc = random_problem(&random);
        if (!cvl_conv_is_integer(&desc) && i % 2) {   /* half of them in other types than f32 */
            const cvl_dtype type = i % 4 == 1 ? CVL_BF16 : CVL_F16;
            desc.x_type = desc.w_type = desc.y_type = type;
            desc.math = i % 8 == 7 ? CVL_MATH_TF32 : CVL_MATH_F32;
            if (i % 8 == 7)
                desc.x_type = desc.w_type = desc.y_type = CVL_F32;
        }
        const struct cvl_gemm_choice choice = random_choice(&random, &desc);
        if (cvl_conv_is_integer(&desc) || cvl_conv_check(&desc) != CVL_OK || cost_of(&desc, &choice) > COST_MAX
            || (desc.n == 0 && desc.pass != CVL_BWD_FILTER))
            continue;
        check(&desc, &choice, i % 3 ? GUARD_START : GUARD_END);
        count(&tally, &desc, &choice);
        i++;
    }
    print_message("%d problems; a by %d %d %d %d, b by %d %d %d %d; %d parts, %d wide, %d split, %d packed\n",
                  tally.problems, tally.bring[0][0], tally.bring[0][1], tally.bring[0][2], tally.bring[0][3],
                  tally.bring[1][0], tally.bring[1][1], tally.bring[1][2], tally.bring[1][3], tally.parts, tally.wide,
                  tally.splits, tally.packed);
    for (int i = 0; i < 4; i++)
        assert_true(tally.bring[0][i] >= 5 && tally.bring[1][i] >= 5);
    assert_true(tally.parts >= 5 && tally.wide >= 20 && tally.splits >= 50 && tally.packed >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(random_problems_are_right) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
