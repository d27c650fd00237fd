/* SPDX-License-Identifier: Apache-2.0
 * The micro-kernel of BWD_FILTER: that of gemm/, with a third stream of lines that are fetched for the next chunk. Rows
 * of a tile lie side by side (NHWC) and are reached by constant offsets, or a plane apart (NCHW).
 *
 * Memory's latency is what a gradient of a filter meets that no other pass does: both operands are as large as images,
 * and each pixel takes part in few products before the next one comes. Measured on a Zen 4 (GFLOP/s of 118, 64 channels
 * by 256, 56 x 56 pixels, 8 images): 92 without a fetch, 105 with the lines of the next chunk fetched in a run before
 * each tile, 101 with four lines in a step for as long as there are any, 112 with one line in each step. */
#include "base/vec.h"
#include "conv/igemm/igemm_filter.h"
#include "gemm/tile_reach.h"

#if defined(__AVX512F__) || defined(__aarch64__)
#define SUMS 21                  /* of 32 registers */
#else
#define SUMS 12                  /* of 16 */
#endif

/* Where a run of the innermost loop begins. Kept in memory, out of the registers of that loop. */
struct place {
    const struct cvl_tile       *tile;
    const struct cvl_igemm_next *next;
    int                          p1, p2;
};

CVL_INLINE void multiply_run(const struct place *at, const int rows, const int vectors, const bool apart, vf sums[SUMS])
{
    const struct cvl_tile *t = at->tile;
    const float *a = t->a + at->p1 * t->a_step[1] + at->p2 * t->a_step[2];
    const float *b = t->b + at->p1 * t->b_step[1] + at->p2 * t->b_step[2];
    const float *next = at->next->data + at->p1 * at->next->step[1] + at->p2 * at->next->step[2];
    const ptrdiff_t a_step = t->a_step[0], b_step = t->b_step[0], next_step = at->next->step[0];
    struct cvl_tile_strides a_row = cvl_tile_strides(t->a_row);
    const float *a_far = a + CVL_TILE_REACH * t->a_row;
    for (int p = t->count[0]; p > 0; p--) {
        vf lanes[CVL_TILE_VECTORS];
        cvl_tile_forget(&a_row, apart ? rows : 0);
        CVL_UNROLL(32)
        for (int j = 0; j < vectors; j++)
            lanes[j] = vf_keep(vf_load(b + j * VF_LANES));
        __builtin_prefetch(next, 0, 2);
        CVL_UNROLL(32)
        for (int i = 0; i < rows; i++) {
            const vf element = vf_set(!apart ? a[i] : *cvl_tile_reach(i < CVL_TILE_REACH ? a : a_far, a_row,
                                                                      i % CVL_TILE_REACH));
            CVL_UNROLL(32)
            for (int j = 0; j < vectors; j++)
                sums[i * vectors + j] += element * lanes[j];
        }
        a += a_step;
        a_far += a_step;
        b += b_step;
        next += next_step;
    }
}

CVL_INLINE bool advance(struct place *at)
{
    if (++at->p1 < at->tile->count[1])
        return true;
    at->p1 = 0;
    return ++at->p2 < at->tile->count[2];
}

CVL_INLINE const struct cvl_tile *multiply(const struct cvl_tile *t, const struct cvl_igemm_next *next, const int rows,
                                           const int vectors, const bool apart, vf sums[SUMS])
{
    struct place at = { .tile = t, .next = next };
    if (t->count[1] <= 0 || t->count[2] <= 0)
        return t;
    do {
        multiply_run(&at, rows, vectors, apart, sums);
        cvl_keep_in_memory(&at);
    } while (advance(&at));
    return at.tile;
}

CVL_INLINE void store(const struct cvl_tile *t, const int rows, const int vectors, int last, vf sums[SUMS])
{
    CVL_UNROLL(32)
    for (int i = 0; i < rows; i++)
        CVL_UNROLL(32)
        for (int j = 0; j < vectors; j++) {
            const ptrdiff_t at = i * t->out_row + j * VF_LANES;
            const int lanes = j < vectors - 1 ? VF_LANES : last;
            vf sum = sums[i * vectors + j];
            if (t->add)
                sum += lanes == VF_LANES ? vf_load(t->add + at) : vf_load_part(t->add + at, lanes);
            if (lanes == VF_LANES)
                vf_store(t->out + at, sum);
            else
                vf_store_part(t->out + at, sum, lanes);
        }
}

CVL_INLINE void tile(const struct cvl_tile *t, const struct cvl_igemm_next *next, const int rows, const int vectors)
{
    vf sums[SUMS];
    CVL_UNROLL(32)
    for (int i = 0; i < rows * vectors; i++)
        sums[i] = vf_zero();
    for (int i = 0; i < rows; i++)   /* so that the lines are there when the sums are */
        for (int j = 0; j < vectors; j++)
            __builtin_prefetch(t->out + i * t->out_row + j * VF_LANES, 1);
    t = t->a_row == 1 ? multiply(t, next, rows, vectors, false, sums) : multiply(t, next, rows, vectors, true, sums);
    if (t->last == VF_LANES)
        store(t, rows, vectors, VF_LANES, sums);
    else
        store(t, rows, vectors, t->last, sums);
}

/* One function for each number of vectors, with all the rows that fit the registers. */
#define ROWS(rows, vectors) case rows: if (rows * vectors <= SUMS) tile(t, next, rows, vectors); break;
#define ROWS_TO_3(vectors) ROWS(1, vectors) ROWS(2, vectors) ROWS(3, vectors)
#define ROWS_TO_5(vectors) ROWS_TO_3(vectors) ROWS(4, vectors) ROWS(5, vectors)
#define ROWS_TO_7(vectors) ROWS_TO_5(vectors) ROWS(6, vectors) ROWS(7, vectors)
#define ROWS_TO_10(vectors) ROWS_TO_7(vectors) ROWS(8, vectors) ROWS(9, vectors) ROWS(10, vectors)
#define ROWS_TO_14(vectors) ROWS_TO_10(vectors) ROWS(11, vectors) ROWS(12, vectors) ROWS(13, vectors) ROWS(14, vectors)

static void tile_1(const struct cvl_tile *t, const struct cvl_igemm_next *next) { switch (t->rows) { ROWS_TO_14(1) } }
static void tile_2(const struct cvl_tile *t, const struct cvl_igemm_next *next) { switch (t->rows) { ROWS_TO_10(2) } }
static void tile_3(const struct cvl_tile *t, const struct cvl_igemm_next *next) { switch (t->rows) { ROWS_TO_7(3) } }
static void tile_4(const struct cvl_tile *t, const struct cvl_igemm_next *next) { switch (t->rows) { ROWS_TO_5(4) } }
static void tile_6(const struct cvl_tile *t, const struct cvl_igemm_next *next) { switch (t->rows) { ROWS_TO_3(6) } }

extern const struct cvl_igemm_filter_kern CVL_KERN(cvl_igemm_filter_kern);
const struct cvl_igemm_filter_kern CVL_KERN(cvl_igemm_filter_kern) = {
    .tile = { [1] = tile_1, [2] = tile_2, [3] = tile_3, [4] = tile_4, [6] = tile_6 },
};
