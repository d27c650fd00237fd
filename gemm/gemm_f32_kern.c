/* SPDX-License-Identifier: Apache-2.0
 * The f32 micro-kernels. The sums of a tile are an array of vectors that the compiler keeps in registers once all loops
 * over it are unrolled: each step of the reduction loads the vectors of b, and broadcasts and multiplies one element of
 * a for each row. 7 x 3 vectors of AVX-512, or 6 x 2 of AVX2, run at the peak of the multiply-add units.
 *
 * Measured on a Zen 4 (cycles that a tile of AVX-512 costs beside its multiplications): 10 to 20 with up to 21 sums, 60
 * with 24, 90 with 28: stores of that many sums fill the queue in which the next tile's multiplications wait. Numbers
 * of the loops that the compiler kept in vector or mask registers cost 50 more. */
#include "base/vec_half.h"
#include "gemm/tile_kern.h"
#include "gemm/tile_reach.h"
#include "gemm/tile_store.h"

#if defined(__AVX512F__) || defined(__aarch64__)
#define SUMS 21
#define REGISTERS 32
#else
#define SUMS 12
#define REGISTERS 16
#endif

/* The shape of a kernel, known when it is compiled. Of the vectors, the last ones may be summed as halves: an odd
 * number of them if nothing is to be summed in the upper half of the last vector. Bare: halves are stored as they are,
 * whole and with nothing added. */
struct shape { int rows, vectors, halves; bool bare; };

/* The sums of a tile; halves are kept apart until they are complete. */
struct sums { vf whole[SUMS]; vh half[REGISTERS]; };

CVL_INLINE int whole_of(const struct shape shape) { return shape.vectors - (shape.halves + 1) / 2; }

/* One run of the reduction's innermost loop. */
CVL_INLINE void multiply_run(const struct cvl_tile *t, const float *a, const float *b, ptrdiff_t b_next,
                             const struct shape shape, struct sums *sums)
{
    const int rows = shape.rows, vectors = shape.vectors, whole = whole_of(shape);
    struct cvl_tile_strides a_row = cvl_tile_strides(t->a_row), b_vector = cvl_tile_strides(t->b_vector);
    struct cvl_tile_strides next_vector = cvl_tile_strides(t->b_next_vector);
    const ptrdiff_t a_step = cvl_opaque(t->a_step[0] * (ptrdiff_t)sizeof *a), b_step = t->b_step[0];
    const float *a_far = a + CVL_TILE_REACH * t->a_row, *b_far = b + b_next;
    for (int p = t->count[0]; p > 0; p--) {
        vf lanes[CVL_TILE_VECTORS];
        vh halves[CVL_TILE_VECTORS];
        cvl_tile_forget(&a_row, rows);
        cvl_tile_forget(&b_vector, vectors);
        cvl_tile_forget(&next_vector, vectors);
        CVL_UNROLL(32)
        for (int j = 0; j < whole; j++)
            lanes[j] = vf_keep(vf_load(cvl_tile_reach(b, b_vector, j)));
        CVL_UNROLL(32)
        for (int j = 0; j < shape.halves; j++)
            halves[j] = vh_keep(vh_load(cvl_tile_reach(b, b_vector, whole + j / 2) + j % 2 * (VF_LANES / 2)));
        CVL_UNROLL(32)
        for (int j = 0; j < vectors; j++)
            __builtin_prefetch(cvl_tile_reach(b_far, next_vector, j), 0, 2);
        CVL_UNROLL(32)
        for (int i = 0; i < rows; i++) {
            const vf element = vf_set(*cvl_tile_reach(i < CVL_TILE_REACH ? a : a_far, a_row, i % CVL_TILE_REACH));
            CVL_UNROLL(32)
            for (int j = 0; j < whole; j++)
                sums->whole[i * vectors + j] += element * lanes[j];
            CVL_UNROLL(32)
            for (int j = 0; j < shape.halves; j++)
                sums->half[i * shape.halves + j] += vf_half(element) * halves[j];
        }
        a = (const float *)((const char *)a + a_step);
        a_far = (const float *)((const char *)a_far + a_step);
        b += b_step;
        b_far += b_step;
    }
}

/* Where the outer loops are: kept in memory, out of the registers of the inner one. */
struct place { const struct cvl_tile *tile; int repeat, p1, p2; };

CVL_INLINE bool advance(struct place *at)
{
    const int p1 = at->p1 + 1, p2 = at->p2 + 1;
    if (p1 < at->tile->count[1]) {
        at->p1 = p1;
        return true;
    }
    at->p1 = 0;
    at->p2 = p2;
    return p2 < at->tile->count[2];
}

CVL_INLINE void multiply(struct place *at, const struct shape shape, struct sums *sums)
{
    const struct cvl_tile *t = at->tile;
    if (t->count[1] <= 0 || t->count[2] <= 0)
        return;
    do {
        t = at->tile;
        const ptrdiff_t row = at->repeat * shape.rows;
        multiply_run(t, t->a + row * t->a_row + at->p1 * t->a_step[1] + at->p2 * t->a_step[2],
                     t->b + at->p1 * t->b_step[1] + at->p2 * t->b_step[2], t->b_next + at->repeat * t->b_next_repeat,
                     shape, sums);
        cvl_keep_in_memory(at);
    } while (advance(at));
}

CVL_INLINE void clear(const struct shape shape, struct sums *sums)
{
    CVL_UNROLL(32)
    for (int i = 0; i < shape.rows * shape.vectors; i++)
        sums->whole[i] = vf_zero();
    CVL_UNROLL(32)
    for (int i = 0; i < shape.rows * shape.halves; i++)
        sums->half[i] = (vh){ 0 };
}

/* So that the lines are there when the sums are. */
CVL_INLINE void fetch_out(const struct cvl_tile *t, ptrdiff_t row, const struct shape shape)
{
    for (int i = 0; i < shape.rows; i++)
        for (int j = 0; j < shape.vectors; j++)
            __builtin_prefetch(t->out + (row + i) * t->out_row + j * VF_LANES, 1);
}

CVL_INLINE void join_halves(const struct shape shape, struct sums *sums)
{
    CVL_UNROLL(32)
    for (int i = 0; i < shape.rows; i++) {
        CVL_UNROLL(32)
        for (int j = 0; j < shape.halves; j += 2) {
            const vh low = sums->half[i * shape.halves + j];
            sums->whole[i * shape.vectors + whole_of(shape) + j / 2]
                = j + 1 < shape.halves ? vh_join(low, sums->half[i * shape.halves + j + 1]) : vh_join(low, (vh){ 0 });
        }
    }
}

CVL_INLINE void store_bare(const struct cvl_tile *t, ptrdiff_t row, const struct shape shape, struct sums *sums)
{
    const int whole = whole_of(shape);
    const ptrdiff_t out_row = t->out_row;
    float *out = t->out + row * out_row;
    CVL_UNROLL(32)
    for (int i = 0; i < shape.rows; i++, out += out_row) {
        CVL_UNROLL(32)
        for (int j = 0; j < whole; j++)
            vf_store(out + j * VF_LANES, sums->whole[i * shape.vectors + j]);
        CVL_UNROLL(32)
        for (int j = 0; j < shape.halves; j++)
            vh_store(out + whole * VF_LANES + j * (VF_LANES / 2), sums->half[i * shape.halves + j]);
    }
}

CVL_INLINE void store(const struct cvl_tile *t, ptrdiff_t row, const struct shape shape, struct sums *sums)
{
    const int rows = shape.rows, vectors = shape.vectors;
    if (shape.bare) {
        store_bare(t, row, shape, sums);
        return;
    }
    join_halves(shape, sums);
    if (t->out_lane == 1 && t->act <= CVL_ACT_CLIP) {
        if (t->last == VF_LANES && shape.halves == 0)
            store_rows(t, row, rows, vectors, VF_LANES, sums->whole);
        else
            store_rows(t, row, rows, vectors, t->last, sums->whole);
        return;
    }
    float scratch[SUMS * VF_LANES];
    CVL_UNROLL(32)
    for (int i = 0; i < rows * vectors; i++)
        vf_store(scratch + i * VF_LANES, sums->whole[i]);
    CVL_KERN(cvl_tile_finish_at)(t, row, scratch, vectors * VF_LANES);
}

/* One below the other, with as few stores of anything but sums as can be: these wait for the sums in a queue that holds
 * little more, and the next tile's first store waits for room in it (five words stored: 35 cycles). */
CVL_INLINE void tiles(const struct cvl_tile *t, const struct shape shape)
{
    struct place at = { .tile = t };
    do {
        struct sums sums;
        clear(shape, &sums);
        t = at.tile;
        if (t->out_lane == 1)
            fetch_out(t, (ptrdiff_t)at.repeat * shape.rows, shape);
        at.p1 = at.p2 = 0;
        multiply(&at, shape, &sums);
        store(at.tile, (ptrdiff_t)at.repeat * shape.rows, shape, &sums);
        cvl_keep_in_memory(&at);
    } while (++at.repeat < at.tile->repeat);
}

/* One function for each number of vectors, with all the rows that fit the registers. */
#define ROWS(rows, vectors, halves, bare) \
    case rows: if (rows * vectors <= SUMS) tiles(t, (struct shape){ rows, vectors, halves, bare }); break;
#define ROWS_TO_3(...) ROWS(1, __VA_ARGS__) ROWS(2, __VA_ARGS__) ROWS(3, __VA_ARGS__)
#define ROWS_TO_5(...) ROWS_TO_3(__VA_ARGS__) ROWS(4, __VA_ARGS__) ROWS(5, __VA_ARGS__)
#define ROWS_TO_7(...) ROWS_TO_5(__VA_ARGS__) ROWS(6, __VA_ARGS__) ROWS(7, __VA_ARGS__)
#define ROWS_TO_10(...) \
    ROWS_TO_7(__VA_ARGS__) ROWS(8, __VA_ARGS__) ROWS(9, __VA_ARGS__) ROWS(10, __VA_ARGS__)
#define ROWS_TO_14(...) \
    ROWS_TO_10(__VA_ARGS__) ROWS(11, __VA_ARGS__) ROWS(12, __VA_ARGS__) ROWS(13, __VA_ARGS__) ROWS(14, __VA_ARGS__)

/* Half a vector takes half the time where the machine's vectors are half as wide (a Zen 4), and no longer than a whole
 * one elsewhere. One and a half are summed as three halves: with sums of both kinds in turn a step of 10 rows takes
 * 17.1 cycles instead of 15.6. Where they are stored as they are (24 channels) a tile costs 36 cycles beside its
 * multiplications instead of 54; that is a function of its own, as the registers of one that may do both spill. */
#if VF_LANES == 16
#define HALVES __attribute__((noinline)) static void
HALVES halves_1(const struct cvl_tile *t) { switch (t->rows) { ROWS_TO_14(1, 1, false) } }
HALVES halves_2_bare(const struct cvl_tile *t) { switch (t->rows) { ROWS_TO_10(2, 3, true) } }
HALVES halves_2_any(const struct cvl_tile *t) { switch (t->rows) { ROWS_TO_10(2, 3, false) } }
HALVES halves_3(const struct cvl_tile *t) { switch (t->rows) { ROWS_TO_7(3, 1, false) } }

static void halves_2(const struct cvl_tile *t)
{
    const bool bare = t->last == VF_LANES / 2 && t->out_lane == 1 && t->act == CVL_ACT_NONE && !t->bias && !t->add;
    if (bare)
        halves_2_bare(t);
    else
        halves_2_any(t);
}

#define TILE(tile, halves, cases) \
    static void tile(const struct cvl_tile *t) \
    { \
        if (t->last <= VF_LANES / 2) { halves(t); return; } \
        switch (t->rows) { cases } \
    }
#else
#define TILE(tile, halves, cases) static void tile(const struct cvl_tile *t) { switch (t->rows) { cases } }
#endif

/* GCC would replace an address that scales a register by the sum of two others: one more instruction and register for
 * each, 5 to 14 cycles a tile of whole vectors. Ten rows of half vectors are 8 % faster if it does. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("no-tree-slsr")
#endif
TILE(tile_1, halves_1, ROWS_TO_14(1, 0, false))
TILE(tile_2, halves_2, ROWS_TO_10(2, 0, false))
TILE(tile_3, halves_3, ROWS_TO_7(3, 0, false))
static void tile_4(const struct cvl_tile *t) { switch (t->rows) { ROWS_TO_5(4, 0, false) } }
static void tile_6(const struct cvl_tile *t) { switch (t->rows) { ROWS_TO_3(6, 0, false) } }
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif

extern const struct cvl_gemm_kern CVL_KERN(cvl_gemm_kern);
const struct cvl_gemm_kern CVL_KERN(cvl_gemm_kern) = {
    .lanes = VF_LANES,
#if SUMS == 21
    .load_slots = 0.5, .begin_slots = 12,
    .rows_max = { [1] = 14, [2] = 10, [3] = 7, [4] = 5, [6] = 3 },
#else
    .load_slots = 1, .begin_slots = 16,
    .rows_max = { [1] = 12, [2] = 6, [3] = 4, [4] = 3, [6] = 2 },
#endif
    .tile = { [1] = tile_1, [2] = tile_2, [3] = tile_3, [4] = tile_4, [6] = tile_6 },
    .finish = CVL_KERN(cvl_tile_finish), .copy = CVL_KERN(cvl_tile_copy), .zero = CVL_KERN(cvl_tile_zero),
};
