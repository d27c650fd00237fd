/* SPDX-License-Identifier: Apache-2.0
 * FWD and BWD_DATA of groups: the sums of a tile stay in registers while channels and taps go by, together with the
 * weights of a block of 3 x 3 taps. An input on padding is skipped, and so are its products. */
#include "conv/depthwise/grouped_bring.h"
#include "conv/depthwise/grouped_finish.h"
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

/* ---- what is written ---- */

/* What is rare: a residual, or an activation that needs registers. */
static __attribute__((noinline)) void finish_apart(const struct cvl_group_sum *s, int rows, int columns, int t,
                                                   const float *sums)
{
    const struct cvl_group_finish *finish = &s->finish;
    const int lanes = s->walk.lanes;
    for (int p = 0; p < rows; p++)
        for (int q = 0; q < columns; q++) {
            const ptrdiff_t at = p * s->walk.rows.out + (t + q) * s->walk.columns.out;
            vf sum = vf_load(sums + (p * COLUMNS + q) * VF_LANES);
            if (s->residual)
                sum += vf_load_part(s->residual + at, lanes);
            vf_store_part(s->out + at, vf_activate(sum, finish->act, finish->lo, finish->hi), lanes);
        }
}

CVL_INLINE void store_tile(const struct cvl_group_sum *s, const struct shape shape, int t, const bool whole,
                           const vf sums[TILE])
{
    const ptrdiff_t row = s->walk.rows.out, column = s->walk.columns.out;
    const int lanes = s->walk.lanes;
    CVL_UNROLL(16)
    for (int p = 0; p < shape.rows; p++) {
        float *out = s->out + p * row + t * column;
        CVL_UNROLL(16)
        for (int q = 0; q < shape.columns; q++, out += column)
            if (whole)
                vf_store(out, sums[p * COLUMNS + q]);
            else
                vf_store_part(out, sums[p * COLUMNS + q], lanes);
    }
}

CVL_INLINE void finish_tile(const struct cvl_group_sum *s, const struct shape shape, int t, vf sums[TILE])
{
    const struct cvl_group_finish *finish = &s->finish;
    float lo, hi;
    const bool clipped = clips(finish, &lo, &hi);
    if (finish->bias) {
        const vf bias = vf_load_part(finish->bias, s->walk.lanes);
        CVL_UNROLL(16)
        for (int i = 0; i < TILE; i++)
            sums[i] += bias;
    }
    if (s->residual || !clipped) {
        float scratch[TILE * VF_LANES];
        CVL_UNROLL(16)
        for (int i = 0; i < TILE; i++)
            vf_store(scratch + i * VF_LANES, sums[i]);
        finish_apart(s, shape.rows, shape.columns, t, scratch);
        return;
    }
    if (finish->act != CVL_ACT_NONE) {
        const vf low = vf_set(lo), high = vf_set(hi);
        CVL_UNROLL(16)
        for (int i = 0; i < TILE; i++)
            sums[i] = vf_clip(sums[i], low, high);
    }
    if (s->walk.lanes == VF_LANES)
        store_tile(s, shape, t, true, sums);
    else
        store_tile(s, shape, t, false, sums);
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
    finish_tile(s, shape, t, sums);
}

/* ---- 3 x 3 taps under whole tiles, where nearly all of the time goes ---- */

/* Bits beside those of rows. Code of its own for each of the four cases was no faster; nor were inputs four at a time,
 * so that sums meet their next product later. */
enum { LEFT = 1 << 8, RIGHT = 1 << 9 };

/* Tiles from column t on of which at most the first and the last column of inputs are on padding. */
CVL_INLINE int squares_of(const struct cvl_group_walk *walk, const struct shape shape, int t)
{
    const struct cvl_group_axis *columns = &walk->columns;
    const int first = columns->origin + t * shape.stride, reach = reach_of(COLUMNS, shape.stride, BLOCK);
    if (shape.stride == 0 || walk->rows.stride != shape.stride || walk->rows.taps != BLOCK || columns->taps != BLOCK
        || first < -1 || first + reach > columns->extent + 1)
        return 0;
    return cvl_min((columns->extent + 1 - first - reach) / (COLUMNS * shape.stride) + 1,
                   (columns->count - t) / COLUMNS);
}

/* Pointers go from input to input and from tap to tap by one addition, which FORGET keeps that way: multiples of four
 * strides, which the compiler makes of them, do not fit into the registers, and fetching them took 3 % of the time. */
CVL_INLINE void add_square(const struct cvl_group_walk *walk, const struct shape shape, const float *x, const float *w,
                           vi index, unsigned inside, vf sums[TILE])
{
    const int last = reach_of(COLUMNS, shape.stride, BLOCK) - 1;
    const struct place place = { .index = index };
    const ptrdiff_t x_row = walk->rows.x, x_column = walk->columns.x, w_row = walk->rows.w, w_column = walk->columns.w;
    vf weights[BLOCK * BLOCK];
    FORGET(inside);
    CVL_UNROLL(16)
    for (int i = 0; i < reach_of(shape.rows, shape.stride, BLOCK); i++, x += x_row) {
        if (i < BLOCK) {
            const float *tap = w;
            CVL_UNROLL(16)
            for (int v = 0; v < BLOCK; v++, tap += w_column) {
                FORGET(tap);
                weights[i * BLOCK + v] = vf_load(tap);
            }
            w += w_row;
            FORGET(w);
        }
        if (!INSIDE(inside, i))
            continue;
        const float *at = x;
        CVL_UNROLL(16)
        for (int j = 0; j <= last; j++, at += x_column) {
            FORGET(at);
            if ((j == 0 && !(inside & LEFT)) || (j == last && !(inside & RIGHT)))
                continue;
            const vf value = load_x(at, &place, shape);
            CVL_UNROLL(16)
            for (int p = 0; p < shape.rows; p++)
                CVL_UNROLL(16)
                for (int q = 0; q < COLUMNS; q++)
                    if (meets(i, p, shape.stride, BLOCK) && meets(j, q, shape.stride, BLOCK))
                        sums[p * COLUMNS + q] += value * weights[(i - p * shape.stride) * BLOCK + j - q * shape.stride];
        }
    }
}

CVL_INLINE void sum_squares(const struct cvl_group_sum *s, const struct shape shape, int t, int tiles)
{
    const struct cvl_group_walk walk = s->walk;            /* copies, which no store can change */
    struct cvl_group_ahead ahead = *s->ahead;
    const int reach = reach_of(COLUMNS, shape.stride, BLOCK), row = walk.rows.origin;
    const unsigned rows = inside_of(row, walk.rows.extent, 1, reach_of(shape.rows, shape.stride, BLOCK));
    int column = walk.columns.origin + t * shape.stride;
    const float *from = walk.x + row * walk.rows.x + column * walk.columns.x;
    for (; tiles > 0; tiles--, t += COLUMNS, column += COLUMNS * shape.stride) {
        const unsigned inside = rows | (column >= 0 ? LEFT : 0) | (column + reach <= walk.columns.extent ? RIGHT : 0);
        const float *x = from, *w = s->w;
        vi index = shape.mode == CVL_GROUP_SHARED ? (vi)vf_load((const float *)walk.lookup) : (vi){ 0 };
        vf sums[TILE];
        CVL_UNROLL(16)
        for (int i = 0; i < TILE; i++)
            sums[i] = vf_zero();
        for (int channel = 0; channel < walk.channels; channel++, w += walk.w_channel) {
            bring(&ahead, ahead.each);
            add_square(&walk, shape, x, w, index, inside, sums);
            if (shape.mode == CVL_GROUP_SHARED)
                index += 1;
            else
                x += walk.x_channel;
        }
        finish_tile(s, shape, t, sums);
        from += COLUMNS * shape.stride * walk.columns.x;
    }
    *s->ahead = ahead;
}

CVL_INLINE void sum_squares_of(const struct cvl_group_sum *s, const enum cvl_group_mode mode, const int stride, int t,
                               int tiles)
{
    const struct shape shape = { .mode = mode, .stride = stride };
    if (s->walk.rows.count >= ROWS)
        sum_squares(s, with_tile(shape, ROWS, COLUMNS), t, tiles);
    else
        sum_squares(s, with_tile(shape, 1, COLUMNS), t, tiles);
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

CVL_INLINE void next_rows(struct cvl_group_sum *s, int rows)
{
    s->walk.rows.origin += rows * s->walk.rows.stride;
    s->walk.rows.count -= rows;
    s->out += rows * s->walk.rows.out;
    s->residual = s->residual ? s->residual + rows * s->walk.rows.out : NULL;
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
                next_rows(&row, 1);
            }
        }
    }
}

CVL_INLINE void sum_all(struct cvl_group_sum *s, const enum cvl_group_mode mode, const int stride,
                        sum_squares_fn *squares)
{
    for (; s->walk.rows.count > 0; next_rows(s, ROWS)) {
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
