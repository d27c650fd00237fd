/* SPDX-License-Identifier: Apache-2.0
 * FWD and BWD_DATA of groups: the sums of a tile stay in registers while channels and taps go by, together with the
 * weights of a block of 3 x 3 taps. An input on padding is skipped, and so are its products. */
#include "conv/depthwise/grouped_bring.h"
#include "conv/depthwise/grouped_squares.h"
#include "conv/depthwise/grouped_store.h"
#include "conv/depthwise/grouped_walk.h"

/* What the levels above avx512 add is not used here: they call its code. */
#ifdef __AVX512VNNI__
#define RUN_NAME cvl_group_sum_all_avx512
#else
#define RUN_NAME CVL_KERN(cvl_group_sum_all)
#endif
void RUN_NAME(struct cvl_group_sum *);

#ifndef __AVX512VNNI__

CVL_INLINE void add_channel(const struct cvl_group_walk *walk, const struct shape shape, const struct place *place,
                            const float *w, vf sums[TILE])
{
    const int apart_r = apart_of(shape.stride, shape.r), apart_s = apart_of(shape.stride, shape.s);
    unsigned rows_inside = place->rows_inside, columns_inside = place->columns_inside;
    vf weights[BLOCK * BLOCK];
    FORGET(rows_inside);
    FORGET(columns_inside);
    CVL_UNROLL(16)
    for (int i = 0; i < reach_of(shape.rows, shape.stride, shape.r); i++) {
        if (i < shape.r)
            CVL_UNROLL(16)
            for (int v = 0; v < shape.s; v++)
                weights[i * BLOCK + v] = vf_load(w + i * walk->rows.w + v * walk->columns.w);
        if (!INSIDE(rows_inside, i))
            continue;
        const float *x = place->x + i * place->row;
        CVL_UNROLL(16)
        for (int j = 0; j < reach_of(shape.columns, shape.stride, shape.s); j++) {
            if (INSIDE(columns_inside, j)) {
                const vf value = load_x(x, place, shape);
                CVL_UNROLL(16)
                for (int p = 0; p < shape.rows; p++)
                    CVL_UNROLL(16)
                    for (int q = 0; q < shape.columns; q++)
                        if (meets(i, p, apart_r, shape.r) && meets(j, q, apart_s, shape.s))
                            sums[p * COLUMNS + q] += value * weights[(i - p * apart_r) * BLOCK + j - q * apart_s];
            }
            x += place->column;
        }
    }
}

/* What the next `rows` rows of outputs read. */
CVL_INLINE void bring_rows(const struct cvl_group_sum *s, int rows)
{
    const struct cvl_group_axis *axis = &s->walk.rows;
    bring_row(s, cvl_min(axis->origin + (rows - 1) * axis->stride + axis->taps, axis->extent) - 1);
}

CVL_INLINE void add_block(const struct cvl_group_sum *s, const struct shape shape, int r, int v, int t, vf sums[TILE])
{
    const struct cvl_group_walk *walk = &s->walk;
    struct place place = place_of(walk, shape, r, v, t);
    const float *w = s->w + r * walk->rows.w + v * walk->columns.w;
    if (!place.rows_inside || !place.columns_inside)
        return;
    for (int channel = 0; channel < walk->channels; channel++, w += walk->w_channel) {
        add_channel(walk, shape, &place, w, sums);
        next_channel(&place, shape, walk);
    }
}

/* ---- the instances ---- */

CVL_INLINE void sum_tile(const struct cvl_group_sum *s, const struct shape shape, int t)
{
    const struct cvl_group_walk *walk = &s->walk;
    const bool square = shape.rows > 1 && shape.stride != 0 && walk->rows.stride == shape.stride;
    vf sums[TILE];
    CVL_UNROLL(16)
    for (int i = 0; i < TILE; i++)
        sums[i] = vf_zero();
    for (int r = 0, tall; r < walk->rows.taps; r += tall) {
        tall = square && walk->rows.taps - r >= BLOCK ? BLOCK : 1;
        for (int v = 0, wide; v < walk->columns.taps; v += wide) {
            wide = shape.stride == 0 ? 1 : cvl_min(BLOCK, walk->columns.taps - v);
            if (shape.rows > 1 && shape.stride != 0 && tall == BLOCK && wide == BLOCK)
                add_block(s, with_block(shape, BLOCK, BLOCK), r, v, t, sums);
            else
                for (int i = r; i < r + tall; i++)
                    if (shape.stride != 0 && wide == 3)
                        add_block(s, with_block(shape, 1, 3), i, v, t, sums);
                    else if (shape.stride != 0 && wide == 2)
                        add_block(s, with_block(shape, 1, 2), i, v, t, sums);
                    else
                        add_block(s, with_block(shape, 1, 1), i, v, t, sums);
        }
    }
    finish_tile(s, shape, t, 0, sums);
}

/* Functions of their own: among the loops of other tiles their strides lose their registers. */
typedef void sum_squares_fn(const struct cvl_group_sum *s, int t, int tiles);

static __attribute__((noinline)) void squares_shared_1(const struct cvl_group_sum *s, int t, int tiles)
{
    sum_squares_of(s, CVL_GROUP_SHARED, 1, t, tiles);
}
static __attribute__((noinline)) void squares_shared_2(const struct cvl_group_sum *s, int t, int tiles)
{
    sum_squares_of(s, CVL_GROUP_SHARED, 2, t, tiles);
}
static __attribute__((noinline)) void squares_one_1(const struct cvl_group_sum *s, int t, int tiles)
{
    sum_squares_of(s, CVL_GROUP_ONE, 1, t, tiles);
}
static __attribute__((noinline)) void squares_one_2(const struct cvl_group_sum *s, int t, int tiles)
{
    sum_squares_of(s, CVL_GROUP_ONE, 2, t, tiles);
}

CVL_INLINE void sum_row(const struct cvl_group_sum *s, struct shape shape, int t)
{
    const int left = s->walk.columns.count - t;
    if (left >= COLUMNS)
        sum_tile(s, with_tile(shape, 1, COLUMNS), t);
    else if (left >= 4)
        sum_tile(s, with_tile(shape, 1, 4), t);
    else
        sum_tile(s, with_tile(shape, 1, 1), t);
}

CVL_INLINE void sum_rows(const struct cvl_group_sum *s, const struct shape shape, sum_squares_fn *sum_whole)
{
    for (int t = 0, left; (left = s->walk.columns.count - t) > 0; t += tile_of(left)) {
        const int squares = ROWS == 2 ? squares_of(&s->walk, shape, t) : 0;
        if (squares > 0) {
            sum_whole(s, t, squares);
            t += (squares - 1) * COLUMNS;
            continue;
        }
        if (ROWS == 2 && s->walk.rows.count >= 2 && left >= COLUMNS) {
            sum_tile(s, with_tile(shape, ROWS, COLUMNS), t);
        } else if (ROWS == 2 && s->walk.rows.count >= 2 && left >= 4) {
            sum_tile(s, with_tile(shape, ROWS, 4), t);
        } else {
            struct cvl_group_sum row = *s;
            for (int p = 0; p < cvl_min(ROWS, s->walk.rows.count); p++) {
                sum_row(&row, shape, t);
                cvl_group_next_rows(&row, 1);
            }
        }
    }
}

CVL_INLINE void sum_all(struct cvl_group_sum *s, const enum cvl_group_mode mode, const int stride,
                        sum_squares_fn *squares)
{
    for (; s->walk.rows.count > 0; cvl_group_next_rows(s, ROWS)) {
        bring_rows(s, cvl_min(ROWS, s->walk.rows.count));
        sum_rows(s, (struct shape){ .mode = mode, .stride = stride }, squares);
    }
}

static void shared_1(struct cvl_group_sum *s) { sum_all(s, CVL_GROUP_SHARED, 1, squares_shared_1); }
static void shared_2(struct cvl_group_sum *s) { sum_all(s, CVL_GROUP_SHARED, 2, squares_shared_2); }
static void shared_any(struct cvl_group_sum *s) { sum_all(s, CVL_GROUP_SHARED, 0, NULL); }
static void one_1(struct cvl_group_sum *s) { sum_all(s, CVL_GROUP_ONE, 1, squares_one_1); }
static void one_2(struct cvl_group_sum *s) { sum_all(s, CVL_GROUP_ONE, 2, squares_one_2); }
static void one_any(struct cvl_group_sum *s) { sum_all(s, CVL_GROUP_ONE, 0, NULL); }

void RUN_NAME(struct cvl_group_sum *s)
{
    static void (*const instances[][3])(struct cvl_group_sum *) = {
        [CVL_GROUP_SHARED] = { shared_any, shared_1, shared_2 }, [CVL_GROUP_ONE] = { one_any, one_1, one_2 },
    };
    instances[s->walk.mode][instance_of(&s->walk)](s);
}
#endif

extern const struct cvl_group_kern CVL_KERN(cvl_group_kern);
const struct cvl_group_kern CVL_KERN(cvl_group_kern) = { .lanes = VF_LANES, .rows = ROWS, .columns = COLUMNS,
                                                          .sum = RUN_NAME };
