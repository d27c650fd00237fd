/* SPDX-License-Identifier: Apache-2.0
 * The index maps of the GPU's kernels by themselves: what test_cuda_igemm cannot see, because it costs only time
 * (banks), or which a few problems cannot exhaust. */
#include "base/random.h"
#include "conv/cuda/cuda_igemm_cores.h"
#include "conv/cuda/cuda_mma_lanes.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define TILE(INDEX, M, N, WARPS_M, WARPS_N) { M, N, WARPS_M, WARPS_N },
static const struct cvl_gemm_tile cores[] = { CVL_CORES_TILES(TILE) }, tensor[] = { CVL_TENSOR_TILES(TILE) };

static void division_is_exact(void **state)
{
    struct cvl_random random = { 1 };
    for (int i = 0; i < 200000; i++) {
        const int divisor = i < 2000 ? i + 1 : 1 + (int)(cvl_random_next(&random) >> (33 + i % 31));
        const struct cvl_divisor d = cvl_divisor_of(divisor);
        const int quotient = cvl_random_below(&random, INT_MAX / divisor) * divisor;
        const int numbers[] = { 0, divisor - 1, INT_MAX, INT_MAX - 1, quotient, quotient + divisor - 1,
                                quotient ? quotient - 1 : 0, cvl_random_below(&random, INT_MAX) };
        for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++)
            assert_int_equal(cvl_divide(d, numbers[n]), numbers[n] / divisor);
    }
}

/* ---- banks ---- */

/* Do addresses that are served at once, `count` of `bytes` each, lie in banks of their own, or in the same place? */
static void check_banks(const int *at, int count, int bytes)
{
    int holds[32];
    for (int bank = 0; bank < 32; bank++)
        holds[bank] = -1;
    for (int i = 0; i < count; i++)
        for (int word = 0; word < bytes / 4; word++) {
            const int address = at[i] / 4 + word, bank = address % 32;
            assert_true(holds[bank] == -1 || holds[bank] == address);
            holds[bank] = address;
        }
}

static void ldmatrix_has_no_conflicts(void **state)
{
    for (int rows = 64; rows <= 128; rows += 64)
        for (int row = 0; row < rows; row += 16)
            for (int slice = 0; slice < CVL_MMA_SLICES; slice++)
                for (int matrix = 0; matrix < 8; matrix++) {
                    const enum cvl_mma_side side = matrix < 4 ? CVL_MMA_A : CVL_MMA_B;
                    int by_rows[8], by_columns[8];
                    for (int i = 0; i < 8; i++) {
                        by_rows[i] = cvl_mma_from_rows(side, row, slice, matrix % 4 * 8 + i);
                        by_columns[i] = cvl_mma_from_columns(side, rows, row, slice, matrix % 4 * 8 + i);
                    }
                    check_banks(by_rows, 8, 16);
                    check_banks(by_columns, 8, 16);
                }
}

/* A warp's sums go to shared memory as pairs, served to 16 lanes at a time, and leave it along lines or across them. */
static void sums_have_no_conflicts(void **state)
{
    for (size_t i = 0; i < sizeof tensor / sizeof *tensor; i++) {
        const int along = cvl_tile_line(tensor[i], 1), across = cvl_tile_line(tensor[i], 0);
        int pairs[16], vectors[8], singles[32];
        for (int lane = 0; lane < 32; lane++) {
            pairs[lane % 16] = cvl_tile_sum_at(along, cvl_mma_row(lane, 0), cvl_mma_column(lane, 0)) * 4;
            vectors[lane % 8] = cvl_tile_sum_at(along, 3, lane * 4) * 4;
            singles[lane] = cvl_tile_sum_at(across, lane, 5) * 4;
            if (lane % 16 == 15)
                check_banks(pairs, 16, 8);
            if (lane % 8 == 7)
                check_banks(vectors, 8, 16);
        }
        check_banks(singles, 32, 4);
    }
}

/* Vectors of 16 bytes are served to eight lanes at a time. */
static void cuda_cores_have_no_conflicts(void **state)
{
    for (size_t i = 0; i < sizeof cores / sizeof *cores; i++)
        for (int first = 0; first < cvl_tile_threads(cores[i]); first += 8)
            for (int chunk = 0; chunk < CVL_TILE_CHUNKS; chunk++) {
                int a[8], b[8];
                for (int t = 0; t < 8; t++) {
                    const struct cvl_cores_lane lane = cvl_cores_lane_of(cores[i], first + t);
                    a[t] = cvl_tile_by_rows(lane.y, chunk);
                    b[t] = cvl_tile_by_rows(lane.x, chunk);
                }
                check_banks(a, 8, 16);
                check_banks(b, 8, 16);
            }
}

/* ---- coverage ---- */

/* Every byte of a tile has one place in it. */
static void tiles_are_filled_once(void **state)
{
    for (int rows = 64; rows <= 128; rows += 64) {
        char seen[2][128 * CVL_TILE_DEPTH_BYTES] = { { 0 } };
        for (int row = 0; row < rows; row++)
            for (int chunk = 0; chunk < CVL_TILE_CHUNKS; chunk++)
                seen[0][cvl_tile_by_rows(row, chunk)]++;
        for (int chunk = 0; chunk < rows / 8; chunk++)
            for (int column = 0; column < CVL_TILE_DEPTH_BYTES / 2; column++)
                seen[1][cvl_tile_by_columns(rows, chunk, column)]++;
        for (int at = 0; at < rows * CVL_TILE_DEPTH_BYTES; at++)
            for (int way = 0; way < 2; way++)
                assert_int_equal(seen[way][at], at % CVL_CHUNK_BYTES == 0);
    }
}

/* All of a tile's rows and columns have one thread on the CUDA cores; sums of a warp's products one lane. */
static void sums_have_one_owner(void **state)
{
    for (size_t i = 0; i < sizeof cores / sizeof *cores; i++) {
        const struct cvl_gemm_tile tile = cores[i];
        char seen[128][128] = { { 0 } };
        for (int t = 0; t < cvl_tile_threads(tile); t++) {
            const struct cvl_cores_lane lane = cvl_cores_lane_of(tile, t);
            for (int m = lane.y; m < tile.m; m += lane.grid_m)
                for (int n = lane.x; n < tile.n; n += lane.grid_n)
                    seen[m][n]++;
        }
        for (int at = 0; at < tile.m * tile.n; at++)
            assert_int_equal(seen[at / tile.n][at % tile.n], 1);
    }
    char seen[CVL_MMA_M][CVL_MMA_N] = { { 0 } };
    for (int lane = 0; lane < 32; lane++)
        for (int sum = 0; sum < 4; sum++)
            seen[cvl_mma_row(lane, sum)][cvl_mma_column(lane, sum)]++;
    for (int at = 0; at < CVL_MMA_M * CVL_MMA_N; at++)
        assert_int_equal(seen[at / CVL_MMA_N][at % CVL_MMA_N], 1);
}

static void blocks_cover_every_tile_and_step(void **state)
{
    struct cvl_random random = { 2 };
    for (int i = 0; i < 300; i++) {
        const struct cvl_gemm_tile tile = i % 2 ? cores[i % 3] : tensor[i % 3];
        enum { M_MOST = 9, N_MOST = 5, GROUPS_MOST = 3, STEPS_MOST = 40 };
        static char seen[CVL_GEMM_PARTS][GROUPS_MOST][M_MOST][N_MOST][STEPS_MOST];
        struct cvl_gemm g = {
            .parts = 1 + cvl_random_below(&random, CVL_GEMM_PARTS), .n_tiles = 1 + cvl_random_below(&random, N_MOST),
            .groups = 1 + cvl_random_below(&random, GROUPS_MOST), .splits = 1 + cvl_random_below(&random, 9),
        };
        long expected = 0, found = 0;
        for (int part = 0; part < g.parts; part++) {
            g.part[part].first_tile = g.tiles;
            g.part[part].m_tiles = 1 + cvl_random_below(&random, M_MOST);
            g.part[part].steps = cvl_random_below(&random, STEPS_MOST + 1);
            g.tiles += g.part[part].m_tiles * g.n_tiles;
            expected += (long)g.part[part].m_tiles * g.n_tiles * g.groups * g.part[part].steps;
        }
        memset(seen, 0, sizeof seen);
        for (int block = 0; block < g.tiles * g.groups * g.splits; block++) {
            const struct cvl_gemm_place place = cvl_gemm_place_of(&g, tile, block);
            assert_true(place.m < g.part[place.part].m_tiles * tile.m && place.n < g.n_tiles * tile.n);
            for (int step = place.first; step < place.last; step++, found++)
                assert_int_equal(seen[place.part][place.group][place.m / tile.m][place.n / tile.n][step]++, 0);
        }
        assert_int_equal(found, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(division_is_exact), cmocka_unit_test(ldmatrix_has_no_conflicts),
        cmocka_unit_test(sums_have_no_conflicts),
        cmocka_unit_test(cuda_cores_have_no_conflicts), cmocka_unit_test(tiles_are_filled_once),
        cmocka_unit_test(sums_have_one_owner), cmocka_unit_test(blocks_cover_every_tile_and_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
