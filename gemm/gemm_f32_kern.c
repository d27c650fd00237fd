/* SPDX-License-Identifier: Apache-2.0
 * The f32 micro-kernels. The sums of a tile are an array of vectors that the compiler keeps in registers once all loops
 * over it are unrolled: each step of the reduction loads the vectors of b, and broadcasts and multiplies one element of
 * a for each row. 7 x 3 vectors of AVX-512, or 6 x 2 of AVX2, run at the peak of the multiply-add units.
 *
 * Measured on a Zen 4 (cycles that a tile of AVX-512 costs beside its multiplications): 10 with up to 21 sums, 60 with
 * 24, 90 with 28: stores of that many sums fill the queue in which the next tile's multiplications wait. Numbers of the loops that the compiler kept in vector or mask registers cost 50 more. */
#include "base/vec_math.h"
#include "gemm/tile.h"

#include <math.h>

#if defined(__AVX512F__) || defined(__aarch64__)
#define SUMS 21                  /* of 32 registers */
#else
#define SUMS 12                  /* of 16 */
#endif

#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

/* Seven rows, or vectors, are reached from one pointer: an address may scale a register by 2 and 4, so three multiples
 * of the stride are enough. The compiler is made to forget in every step what these are: it would rather hold a pointer
 * to each, and keep those that find no register where fetching them waits for the sums. */
enum { REACH = 7 };

struct strides { ptrdiff_t by_1, by_3, by_5; };      /* in bytes */

CVL_INLINE struct strides strides_of(ptrdiff_t elements)
{
    const ptrdiff_t bytes = elements * (ptrdiff_t)sizeof(float);
    return (struct strides){ bytes, 3 * bytes, 5 * bytes };
}

CVL_INLINE void forget(struct strides *strides, const int count)
{
    strides->by_1 = count > 1 ? cvl_opaque(strides->by_1) : 0;
    strides->by_3 = count > 3 ? cvl_opaque(strides->by_3) : 0;
    strides->by_5 = count > 5 ? cvl_opaque(strides->by_5) : 0;
}

CVL_INLINE const float *reach(const float *first, struct strides stride, const int i)
{
    const ptrdiff_t by[REACH] = { 0, stride.by_1, 2 * stride.by_1, stride.by_3, 4 * stride.by_1, stride.by_5,
                                  2 * stride.by_3 };
    return (const float *)((const char *)first + by[i]);
}

/* One run of the reduction's innermost loop. */
CVL_INLINE void multiply_run(const struct cvl_tile *t, const float *a, const float *b, const int rows,
                             const int vectors, vf sums[SUMS])
{
    struct strides a_row = strides_of(t->a_row), b_vector = strides_of(t->b_vector);
    struct strides next_vector = strides_of(t->b_next_vector);
    const ptrdiff_t a_step = cvl_opaque(t->a_step[0] * (ptrdiff_t)sizeof *a), b_step = t->b_step[0];
    const float *a_far = a + REACH * t->a_row, *b_far = b + t->b_next;
    for (int p = t->count[0]; p > 0; p--) {
        vf lanes[CVL_TILE_VECTORS];
        forget(&a_row, rows);
        forget(&b_vector, vectors);
        forget(&next_vector, vectors);
        UNROLL
        for (int j = 0; j < vectors; j++)
            lanes[j] = vf_keep(vf_load(reach(b, b_vector, j)));
        UNROLL
        for (int j = 0; j < vectors; j++)
            __builtin_prefetch(reach(b_far, next_vector, j), 0, 2);
        UNROLL
        for (int i = 0; i < rows; i++) {
            const vf element = vf_set(*reach(i < REACH ? a : a_far, a_row, i % REACH));
            UNROLL
            for (int j = 0; j < vectors; j++)
                sums[i * vectors + j] += element * lanes[j];
        }
        a = (const float *)((const char *)a + a_step);
        a_far = (const float *)((const char *)a_far + a_step);
        b += b_step;
        b_far += b_step;
    }
}

/* Where the outer loops are: kept in memory, out of the registers of the inner one. */
struct place { const struct cvl_tile *tile; int p1, p2; };

CVL_INLINE bool advance(struct place *at)
{
    if (++at->p1 < at->tile->count[1])
        return true;
    at->p1 = 0;
    return ++at->p2 < at->tile->count[2];
}

CVL_INLINE const struct cvl_tile *multiply(const struct cvl_tile *t, const int rows, const int vectors, vf sums[SUMS])
{
    struct place at = { .tile = t };
    const float *a = t->a, *b = t->b;
    if (t->count[1] <= 0 || t->count[2] <= 0)
        return t;
    for (;;) {
        multiply_run(t, a, b, rows, vectors, sums);
        cvl_keep_in_memory(&at);
        t = at.tile;
        if (!advance(&at))
            return t;
        a = t->a + at.p1 * t->a_step[1] + at.p2 * t->a_step[2];
        b = t->b + at.p1 * t->b_step[1] + at.p2 * t->b_step[2];
    }
}

CVL_INLINE int at_most(int value, int limit) { return value < limit ? value : limit; }

/* Activations that a minimum and a maximum can do, which is all that fits beside the sums: relu clips to [0, inf). */
static bool clips(cvl_act act, const struct cvl_tile *t, float *lo, float *hi)
{
    *lo = act == CVL_ACT_CLIP ? t->lo : 0;
    *hi = act == CVL_ACT_CLIP ? t->hi : act == CVL_ACT_RELU6 ? 6 : INFINITY;
    return act == CVL_ACT_RELU || act == CVL_ACT_RELU6 || act == CVL_ACT_CLIP;
}

CVL_INLINE vf load_lanes(const float *p, int lanes)
{
    return lanes == VF_LANES ? vf_load(p) : vf_load_part(p, lanes);
}

CVL_INLINE void add_rows(const struct cvl_tile *t, const int rows, const int vectors, int last, vf sums[SUMS])
{
    UNROLL
    for (int i = 0; i < rows; i++)
        UNROLL
        for (int j = 0; j < vectors; j++)
            sums[i * vectors + j] += load_lanes(t->add + i * t->out_row + j * VF_LANES,
                                                j < vectors - 1 ? VF_LANES : last);
}

CVL_INLINE void add_bias(const struct cvl_tile *t, const int rows, const int vectors, int last, vf sums[SUMS])
{
    UNROLL
    for (int j = 0; j < vectors; j++) {
        const vf bias = t->bias_lane ? load_lanes(t->bias + j * VF_LANES, j < vectors - 1 ? VF_LANES : last)
                                     : vf_zero();
        UNROLL
        for (int i = 0; i < rows; i++)
            sums[i * vectors + j] += t->bias_lane ? bias : vf_set(t->bias[i]);
    }
}

CVL_INLINE void clip_rows(const int rows, const int vectors, float lo, float hi, vf sums[SUMS])
{
    const vf low = vf_set(lo), high = vf_set(hi);
    UNROLL
    for (int i = 0; i < rows * vectors; i++)
        sums[i] = vf_clip(sums[i], low, high);
}

/* Straight from the registers to rows of contiguous elements; `last` is a constant where the last vector is whole. */
CVL_INLINE void store_rows(const struct cvl_tile *t, const int rows, const int vectors, int last, vf sums[SUMS])
{
    float lo, hi;
    if (t->bias)
        add_bias(t, rows, vectors, last, sums);
    if (t->add)
        add_rows(t, rows, vectors, last, sums);
    if (clips(t->act, t, &lo, &hi))
        clip_rows(rows, vectors, lo, hi, sums);
    const ptrdiff_t out_row = t->out_row;
    float *out = t->out;
    UNROLL
    for (int i = 0; i < rows; i++, out += out_row) {
        UNROLL
        for (int j = 0; j < vectors; j++)
            if (j < vectors - 1 || last == VF_LANES)
                vf_store(out + j * VF_LANES, sums[i * vectors + j]);
            else
                vf_store_part(out + j * VF_LANES, sums[i * vectors + j], last);
    }
}

/* ---- tiles whose elements lie apart, or whose activation needs registers ---- */

/* Row i of the tile, finished but not yet stored: `lanes` elements from sums on, in place. */
static void finish_row(const struct cvl_tile *t, float *sums, int i, int lanes)
{
    const float *add = t->add ? t->add + i * t->out_row : NULL;
    for (int j = 0; j < lanes; j += VF_LANES) {
        const int part = lanes - j < VF_LANES ? lanes - j : VF_LANES;
        vf sum = vf_load(sums + j);
        if (add)
            sum += t->out_lane == 1 ? vf_load_part(add + j, part)
                                    : vf_load_strided(add + j * t->out_lane, t->out_lane, part);
        if (t->bias && t->bias_lane)
            sum += vf_load_part(t->bias + j, part);
        else if (t->bias)
            sum += vf_set(t->bias[i]);
        vf_store(sums + j, vf_activate(sum, t->act, t->lo, t->hi));
    }
}

/* Columns of elements one or two apart: VF_LANES of them at a time, after a transpose. */
static void finish_columns(const struct cvl_tile *t, const float *sums, ptrdiff_t sums_row, int lanes)
{
    for (int i = 0; i < t->rows; i += VF_LANES)
        for (int j = 0; j < lanes; j += VF_LANES) {
            const int rows = t->rows - i < VF_LANES ? t->rows - i : VF_LANES;
            const int columns = lanes - j < VF_LANES ? lanes - j : VF_LANES;
            vf block[VF_LANES];
            for (int r = 0; r < VF_LANES; r++)
                block[r] = r < rows ? vf_load(sums + (i + r) * sums_row + j) : vf_zero();
            vf_transpose(block);
            const vf by_row = t->bias && t->bias_row ? vf_load_part(t->bias + i, rows) : vf_zero();
            for (int c = 0; c < columns; c++) {
                const ptrdiff_t at = (j + c) * t->out_lane + i * t->out_row;
                vf sum = block[c];
                if (t->add)
                    sum += t->out_row == 1 ? vf_load_part(t->add + at, rows) : vf_load_even(t->add + at, rows);
                if (t->bias)
                    sum += t->bias_lane ? vf_set(t->bias[j + c]) : by_row;
                sum = vf_activate(sum, t->act, t->lo, t->hi);
                if (t->out_row == 1)
                    vf_store_part(t->out + at, sum, rows);
                else
                    vf_store_even(t->out + at, sum, rows);
            }
        }
}

static void finish(const struct cvl_tile *t, const float *sums, ptrdiff_t sums_row)
{
    const int lanes = (t->vectors - 1) * VF_LANES + t->last;
    if (t->out_row <= 2 && t->out_lane > 2) {
        finish_columns(t, sums, sums_row, lanes);
        return;
    }
    for (int i = 0; i < t->rows; i++) {
        float row[CVL_TILE_VECTORS * VF_LANES];
        for (int j = 0; j < t->vectors; j++)
            vf_store(row + j * VF_LANES, vf_load(sums + i * sums_row + j * VF_LANES));
        finish_row(t, row, i, lanes);
        float *out = t->out + i * t->out_row;
        if (t->out_lane == 2)
            for (int j = 0; j < lanes; j += VF_LANES)
                vf_store_even(out + 2 * j, vf_load(row + j), at_most(lanes - j, VF_LANES));
        else
            for (int j = 0; j < lanes; j++)
                out[j * t->out_lane] = row[j];
    }
}

CVL_INLINE void tile(const struct cvl_tile *t, const int rows, const int vectors)
{
    vf sums[SUMS];
    UNROLL
    for (int i = 0; i < rows * vectors; i++)
        sums[i] = vf_zero();
    if (t->out_lane == 1)   /* so that the lines are there when the sums are */
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < vectors; j++)
                __builtin_prefetch(t->out + i * t->out_row + j * VF_LANES, 1);
    t = multiply(t, rows, vectors, sums);
    if (t->out_lane == 1 && t->act <= CVL_ACT_CLIP) {
        if (t->last == VF_LANES)
            store_rows(t, rows, vectors, VF_LANES, sums);
        else
            store_rows(t, rows, vectors, t->last, sums);
        return;
    }
    float scratch[SUMS * VF_LANES];
    UNROLL
    for (int i = 0; i < rows * vectors; i++)
        vf_store(scratch + i * VF_LANES, sums[i]);
    finish(t, scratch, vectors * VF_LANES);
}

/* One function for each number of vectors, with all the rows that fit the registers. */
#define ROWS(rows, vectors) case rows: if (rows * vectors <= SUMS) tile(t, rows, vectors); break;
#define ROWS_TO_3(vectors) ROWS(1, vectors) ROWS(2, vectors) ROWS(3, vectors)
#define ROWS_TO_5(vectors) ROWS_TO_3(vectors) ROWS(4, vectors) ROWS(5, vectors)
#define ROWS_TO_7(vectors) ROWS_TO_5(vectors) ROWS(6, vectors) ROWS(7, vectors)
#define ROWS_TO_10(vectors) ROWS_TO_7(vectors) ROWS(8, vectors) ROWS(9, vectors) ROWS(10, vectors)
#define ROWS_TO_14(vectors) ROWS_TO_10(vectors) ROWS(11, vectors) ROWS(12, vectors) ROWS(13, vectors) ROWS(14, vectors)

static void tile_1(const struct cvl_tile *t) { switch (t->rows) { ROWS_TO_14(1) } }
static void tile_2(const struct cvl_tile *t) { switch (t->rows) { ROWS_TO_10(2) } }
static void tile_3(const struct cvl_tile *t) { switch (t->rows) { ROWS_TO_7(3) } }
static void tile_4(const struct cvl_tile *t) { switch (t->rows) { ROWS_TO_5(4) } }
static void tile_6(const struct cvl_tile *t) { switch (t->rows) { ROWS_TO_3(6) } }

/* ---- copies ---- */

static void copy_vectors(const struct cvl_copy *c)
{
    for (int row = 0; row < c->rows; row++)
        vf_store(c->to + row * c->to_row, vf_load(c->from + row * c->from_row));
}

/* Lanes that lie side by side, or every second element. */
static void copy_rows(const struct cvl_copy *c)
{
    for (int row = 0; row < c->rows; row++) {
        const float *from = c->from + row * c->from_row;
        float *to = c->to + row * c->to_row;
        int lane = 0;
        if (c->from_lane == 1)
            for (; lane <= c->lanes - VF_LANES; lane += VF_LANES)
                vf_store(to + lane, vf_load(from + lane));
        for (; lane < c->lanes; lane += VF_LANES) {
            const int part = at_most(c->lanes - lane, VF_LANES);
            vf_store_part(to + lane, c->from_lane == 1 ? vf_load_part(from + lane, part)
                                                       : vf_load_even(from + 2 * lane, part), part);
        }
    }
}

static void copy_elements(const struct cvl_copy *c)
{
    for (int row = 0; row < c->rows; row++)
        for (int lane = 0; lane < c->lanes; lane++)
            c->to[row * c->to_row + lane] = c->from[row * c->from_row + lane * c->from_lane];
}

/* Rows that lie side by side become lanes: a whole block, or the edge of one. */
static void transpose_whole(const float *from, ptrdiff_t from_lane, float *to, ptrdiff_t to_row)
{
    vf block[VF_LANES];
    UNROLL
    for (int j = 0; j < VF_LANES; j++, from += from_lane)
        block[j] = vf_load(from);
    vf_transpose(block);
    UNROLL
    for (int i = 0; i < VF_LANES; i++, to += to_row)
        vf_store(to, block[i]);
}

static void transpose_part(const float *from, ptrdiff_t from_lane, float *to, ptrdiff_t to_row, int rows, int lanes)
{
    vf block[VF_LANES];
    for (int j = 0; j < VF_LANES; j++)
        block[j] = j < lanes ? vf_load_part(from + j * from_lane, rows) : vf_zero();
    vf_transpose(block);
    for (int i = 0; i < rows; i++)
        vf_store_part(to + i * to_row, block[i], lanes);
}

static void transpose_block(const struct cvl_copy *c, int row, int lane)
{
    const int rows = at_most(c->rows - row, VF_LANES), lanes = at_most(c->lanes - lane, VF_LANES);
    const float *from = c->from + row + lane * c->from_lane;
    float *to = c->to + row * c->to_row + lane;
    if (rows == VF_LANES && lanes == VF_LANES)
        transpose_whole(from, c->from_lane, to, c->to_row);
    else
        transpose_part(from, c->from_lane, to, c->to_row, rows, lanes);
}

static void zero(float *to, ptrdiff_t to_row, int rows, int lanes)
{
    for (int row = 0; row < rows; row++)
        for (int lane = 0; lane < lanes; lane += VF_LANES)
            vf_store_part(to + row * to_row + lane, vf_zero(), at_most(lanes - lane, VF_LANES));
}

static void copy(const struct cvl_copy *c)
{
    if (c->lanes <= 0 || c->rows <= 0)
        return;
    if (c->from_lane == 1 && c->lanes == VF_LANES)
        copy_vectors(c);
    else if (c->from_lane == 1 || (c->from_lane == 2 && c->from_row != 1))
        copy_rows(c);
    else if (c->from_row == 1 && c->rows > 2)
        for (int row = 0; row < c->rows; row += VF_LANES)
            for (int lane = 0; lane < c->lanes; lane += VF_LANES)
                transpose_block(c, row, lane);
    else
        copy_elements(c);
}

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
    .finish = finish, .copy = copy, .zero = zero,
};
