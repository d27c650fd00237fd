/* SPDX-License-Identifier: Apache-2.0
 * Copies that turn planes into pixels where gemm/ would go element by element: every second column, as a filter with
 * stride 2 sees them, and the three planes of an RGB image. (Measured on a Zen 4, cycles for 16 elements: 9 and 6
 * instead of 30; turning every column in blocks of 8 x 8 instead of gemm's 16 x 16 took 8 instead of 6.) */
#include "base/vec.h"
#include "conv/igemm/igemm_filter.h"

extern const struct cvl_gemm_kern CVL_KERN(cvl_gemm_kern);

#if CVL_VEC_BYTES >= 32
enum { BLOCK = 8 };

typedef float oct __attribute__((vector_size(32)));
typedef float oct_unaligned __attribute__((vector_size(32), aligned(4), may_alias));

/* Positions first, first + 1, first + far and first + far + 1 from four vectors, whose halves are of two planes. */
CVL_INLINE void store_four(const oct in[4], float *to, ptrdiff_t to_row, const int first, const int far, const int rows)
{
    const oct a = __builtin_shufflevector(in[0], in[1], 0, 8, 1, 9, 4, 12, 5, 13);
    const oct b = __builtin_shufflevector(in[0], in[1], 2, 10, 3, 11, 6, 14, 7, 15);
    const oct c = __builtin_shufflevector(in[2], in[3], 0, 8, 1, 9, 4, 12, 5, 13);
    const oct d = __builtin_shufflevector(in[2], in[3], 2, 10, 3, 11, 6, 14, 7, 15);
    to += first * to_row;
    *(oct_unaligned *)to = __builtin_shufflevector(a, c, 0, 1, 8, 9, 4, 5, 12, 13);
    *(oct_unaligned *)(to + to_row) = __builtin_shufflevector(a, c, 2, 3, 10, 11, 6, 7, 14, 15);
    *(oct_unaligned *)(to + far * to_row) = __builtin_shufflevector(b, d, 0, 1, 8, 9, 4, 5, 12, 13);
    if (first + far + 1 < rows)
        *(oct_unaligned *)(to + (far + 1) * to_row) = __builtin_shufflevector(b, d, 2, 3, 10, 11, 6, 7, 14, 15);
}

CVL_INLINE oct load_oct(const float *p) { return *(const oct_unaligned *)p; }

/* Every second element: 0 2 8 10 | 4 6 12 14. The second load ends with the last of them, beyond which there may be
 * nothing. */
CVL_INLINE oct load_even(const float *p, const int rows)
{
    const oct low = load_oct(p), high = load_oct(p + 2 * rows - 1 - BLOCK);
    return rows == BLOCK ? __builtin_shufflevector(low, high, 0, 2, 9, 11, 4, 6, 13, 15)
                         : __builtin_shufflevector(low, high, 0, 2, 11, 13, 4, 6, 15, 15);
}

/* `rows` positions, 7 or 8 where every second column is one, of 8 planes. */
CVL_INLINE void turn_block(const float *from, ptrdiff_t from_lane, float *to, ptrdiff_t to_row, const int step,
                           const int rows)
{
    oct lows[4], highs[4];
    for (int i = 0; i < 4; i++) {
        const float *p = from + i * from_lane, *q = p + 4 * from_lane;
        const oct a = step == 1 ? load_oct(p) : load_even(p, rows);
        const oct b = step == 1 ? load_oct(q) : load_even(q, rows);
        lows[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
        highs[i] = __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
    }
    store_four(lows, to, to_row, 0, step == 1 ? 2 : 4, rows);
    store_four(highs, to, to_row, step == 1 ? 4 : 2, step == 1 ? 2 : 4, rows);
}

/* Rows [first, first + rows) of 8 lanes: whole blocks, of which the last may overlap the one before. */
CVL_INLINE void turn_column(const struct cvl_copy *c, int lane, int first, int rows, const int step)
{
    const float *from = c->from + first * step + lane * c->from_lane;
    float *to = c->to + first * c->to_row + lane;
    if (rows < BLOCK)
        turn_block(from, c->from_lane, to, c->to_row, step, BLOCK - 1);
    for (int row = 0; row < rows && rows >= BLOCK; row += BLOCK) {
        const int at = row + BLOCK <= rows ? row : rows - BLOCK;
        turn_block(from + step * at, c->from_lane, to + at * c->to_row, c->to_row, step, BLOCK);
    }
}

/* What is written of some rows stays in the first-level cache until all lanes are there. */
CVL_INLINE void turn_by(const struct cvl_copy *c, int lanes, const int step)
{
    enum { ROWS = 64 };
    for (int row = 0, rows; row < c->rows; row += rows) {
        rows = c->rows - row < ROWS + BLOCK ? c->rows - row : ROWS;
        for (int lane = 0; lane < lanes; lane += BLOCK)
            turn_column(c, lane, row, rows, step);
    }
}

static void turn(const struct cvl_copy *c, int lanes)
{
    if (c->from_row == 1)
        turn_by(c, lanes, 1);
    else
        turn_by(c, lanes, 2);
}
#else
enum { BLOCK = 1 << 30 };        /* none */
static void turn(const struct cvl_copy *c, int lanes) {}
#endif

/* Three planes, as an RGB image has, into positions that follow one another. */
static int interleave(const struct cvl_copy *c)
{
    int row = 0;
    for (; row <= c->rows - VF_LANES; row += VF_LANES) {
        const float *from = c->from + row;
        vf out[3];
        vf_zip3(vf_load(from), vf_load(from + c->from_lane), vf_load(from + 2 * c->from_lane), out);
        for (int i = 0; i < 3; i++)
            vf_store(c->to + row * 3 + i * VF_LANES, out[i]);
    }
    return row;
}

static void copy(const struct cvl_copy *given)
{
    struct cvl_copy rest = *given;
    if (rest.from_lane == 1 && rest.from_row == rest.lanes && rest.to_row == rest.lanes) {
        rest.lanes *= rest.rows;
        rest.rows = 1;
    } else if (rest.from_row == 1 && rest.lanes == 3 && rest.to_row == 3) {
        const int done = interleave(&rest);
        rest.from += done;
        rest.to += 3 * done;
        rest.rows -= done;
    } else if (rest.from_lane > 2 && ((rest.from_row == 2 && rest.rows >= BLOCK - 1)
                                      || (rest.from_row == 1 && rest.rows >= BLOCK))) {
        const int lanes = rest.lanes / BLOCK * BLOCK;
        turn(&rest, lanes);
        rest.from += lanes * rest.from_lane;
        rest.to += lanes;
        rest.lanes -= lanes;
    }
    CVL_KERN(cvl_gemm_kern).copy(&rest);
}

extern const struct cvl_igemm_turn_kern CVL_KERN(cvl_igemm_turn_kern);
const struct cvl_igemm_turn_kern CVL_KERN(cvl_igemm_turn_kern) = { .copy = copy };
