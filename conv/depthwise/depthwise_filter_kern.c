/* SPDX-License-Identifier: Apache-2.0
 * BWD_FILTER of groups and of depthwise filters: a tile of y stays in registers while inputs go by, each loaded once
 * for up to 3 x 3 totals, which stay in registers for one channel. Products that do not exist are not multiplied:
 * padding times an infinity would spoil the sum. */
#include "conv/depthwise/grouped_walk.h"

/* What the levels above avx512 add is not used here: they call its code. */
#ifdef __AVX512VNNI__
#define RUN_NAME cvl_group_add_avx512
#else
#define RUN_NAME CVL_KERN(cvl_group_add)
#endif
void RUN_NAME(struct cvl_group_filter *);

#ifndef __AVX512VNNI__

enum { CHAINS_MAX = 2 };

/* An addition waits for the last one to its sum: blocks of few taps have two sums for each. */
CVL_INLINE int chains_of(const struct shape shape) { return shape.r * shape.s <= 3 ? 2 : 1; }

CVL_INLINE void add_channel(const struct shape shape, const struct place *place, const vf y[TILE],
                            vf sums[CHAINS_MAX * BLOCK * BLOCK])
{
    const int apart_r = apart_of(shape.stride, shape.r), apart_s = apart_of(shape.stride, shape.s);
    unsigned rows_inside = place->rows_inside, columns_inside = place->columns_inside;
    FORGET(rows_inside);
    FORGET(columns_inside);
    CVL_UNROLL(40)
    for (int i = 0; i < reach_of(shape.rows, shape.stride, shape.r); i++) {
        if (!INSIDE(rows_inside, i))
            continue;
        const float *x = place->x + i * place->row;
        CVL_UNROLL(40)
        for (int j = 0; j < reach_of(shape.columns, shape.stride, shape.s); j++) {
            if (INSIDE(columns_inside, j)) {
                const vf value = load_x(x, place, shape);
                CVL_UNROLL(40)
                for (int p = 0; p < shape.rows; p++)
                    CVL_UNROLL(40)
                    for (int q = 0; q < shape.columns; q++)
                        if (meets(i, p, apart_r, shape.r) && meets(j, q, apart_s, shape.s)) {
                            const int tap = (i - p * apart_r) * shape.s + j - q * apart_s;
                            sums[tap * chains_of(shape) + (p + q) % chains_of(shape)] += value * y[p * COLUMNS + q];
                        }
            }
            x += place->column;
        }
    }
}

CVL_INLINE void add_block(const struct cvl_group_filter *f, const struct shape shape, int r, int v, int t,
                          const vf y[TILE])
{
    const struct cvl_group_walk *walk = &f->walk;
    const int chains = chains_of(shape);
    struct place place = place_of(walk, shape, r, v, t);
    float *totals = f->totals + r * walk->rows.w + v * walk->columns.w;
    if (!place.rows_inside || !place.columns_inside)
        return;
    for (int channel = 0; channel < walk->channels; channel++, totals += walk->w_channel) {
        vf sums[CHAINS_MAX * BLOCK * BLOCK];
        CVL_UNROLL(40)
        for (int i = 0; i < shape.r * shape.s; i++) {
            sums[i * chains] = vf_load(totals + i / shape.s * walk->rows.w + i % shape.s * walk->columns.w);
            if (chains == 2)
                sums[i * chains + 1] = vf_zero();
        }
        add_channel(shape, &place, y, sums);
        CVL_UNROLL(40)
        for (int i = 0; i < shape.r * shape.s; i++)
            vf_store(totals + i / shape.s * walk->rows.w + i % shape.s * walk->columns.w,
                     chains == 2 ? sums[i * chains] + sums[i * chains + 1] : sums[i * chains]);
        next_channel(&place, shape, walk);
    }
}

/* The outputs of a tile. */
CVL_INLINE void load_tile(const struct cvl_group_walk *walk, const struct shape shape, const float *from, vf y[TILE])
{
    CVL_UNROLL(40)
    for (int p = 0; p < shape.rows; p++)
        CVL_UNROLL(40)
        for (int q = 0; q < shape.columns; q++)
            y[p * COLUMNS + q] = vf_load(from + p * walk->rows.out + q * walk->columns.out);
}

CVL_INLINE void add_tile(const struct cvl_group_filter *f, const struct shape shape, int t)
{
    const struct cvl_group_walk *walk = &f->walk;
    const bool square = shape.rows > 1 && shape.stride != 0 && walk->rows.stride == shape.stride;
    const float *from = f->y + t * walk->columns.out;
    vf y[TILE];
    load_tile(walk, shape, from, y);
    for (int r = 0, tall; r < walk->rows.taps; r += tall) {
        tall = square && walk->rows.taps - r >= BLOCK ? BLOCK : 1;
        for (int v = 0, wide; v < walk->columns.taps; v += wide) {
            wide = shape.stride == 0 ? 1 : cvl_min(BLOCK, walk->columns.taps - v);
            if (shape.rows > 1 && shape.stride != 0 && tall == BLOCK && wide == BLOCK)
                add_block(f, with_block(shape, BLOCK, BLOCK), r, v, t, y);
            else
                for (int i = r; i < r + tall; i++)
                    if (shape.stride != 0 && wide == 3)
                        add_block(f, with_block(shape, 1, 3), i, v, t, y);
                    else if (shape.stride != 0 && wide == 2)
                        add_block(f, with_block(shape, 1, 2), i, v, t, y);
                    else
                        add_block(f, with_block(shape, 1, 1), i, v, t, y);
        }
    }
}

CVL_INLINE void add_row(const struct cvl_group_filter *f, const struct shape shape, int t)
{
    const int left = f->walk.columns.count - t;
    if (left >= COLUMNS)
        add_tile(f, with_tile(shape, 1, COLUMNS), t);
    else if (left >= 4)
        add_tile(f, with_tile(shape, 1, 4), t);
    else
        add_tile(f, with_tile(shape, 1, 1), t);
}

CVL_INLINE void next_rows(struct cvl_group_filter *f, int rows)
{
    f->walk.rows.origin += rows * f->walk.rows.stride;
    f->walk.rows.count -= rows;
    f->y += rows * f->walk.rows.out;
}

CVL_INLINE void add_rows(const struct cvl_group_filter *f, const struct shape shape)
{
    for (int t = 0, left; (left = f->walk.columns.count - t) > 0; t += tile_of(left)) {
        if (ROWS == 2 && f->walk.rows.count >= 2 && left >= COLUMNS) {
            add_tile(f, with_tile(shape, ROWS, COLUMNS), t);
        } else if (ROWS == 2 && f->walk.rows.count >= 2 && left >= 4) {
            add_tile(f, with_tile(shape, ROWS, 4), t);
        } else {
            struct cvl_group_filter row = *f;
            for (int p = 0; p < cvl_min(ROWS, f->walk.rows.count); p++) {
                add_row(&row, shape, t);
                next_rows(&row, 1);
            }
        }
    }
}

/* ---- a channel a lane under 3 x 3 taps: totals stay in registers from row to row ---- */

/* Rows of y from p on. */
CVL_INLINE void add_whole(const struct cvl_group_filter *f, const struct shape shape, int p, int t,
                          vf sums[CHAINS_MAX * BLOCK * BLOCK])
{
    const struct cvl_group_walk *walk = &f->walk;
    const struct place place = place_of(walk, shape, p * shape.stride, 0, t);
    const float *from = f->y + p * walk->rows.out + t * walk->columns.out;
    vf y[TILE];
    load_tile(walk, shape, from, y);
    if (place.rows_inside && place.columns_inside)
        add_channel(shape, &place, y, sums);
}

CVL_INLINE void add_columns(const struct cvl_group_filter *f, const struct shape shape, int t)
{
    const struct cvl_group_walk *walk = &f->walk;
    const int count = walk->rows.count;
    vf sums[CHAINS_MAX * BLOCK * BLOCK];
    CVL_UNROLL(40)
    for (int i = 0; i < BLOCK * BLOCK; i++)
        sums[i] = vf_load(f->totals + i / BLOCK * walk->rows.w + i % BLOCK * walk->columns.w);
    for (int p = 0; p + ROWS <= count; p += ROWS)
        add_whole(f, with_tile(shape, ROWS, shape.columns), p, t, sums);
    if (count % ROWS != 0)
        add_whole(f, with_tile(shape, 1, shape.columns), count - 1, t, sums);
    CVL_UNROLL(40)
    for (int i = 0; i < BLOCK * BLOCK; i++)
        vf_store(f->totals + i / BLOCK * walk->rows.w + i % BLOCK * walk->columns.w, sums[i]);
}

CVL_INLINE void add_squares(const struct cvl_group_filter *f, const int stride)
{
    const struct shape shape = { .mode = CVL_GROUP_EACH, .stride = stride, .r = BLOCK, .s = BLOCK };
    for (int t = 0, left; (left = f->walk.columns.count - t) > 0; t += tile_of(left))
        if (left >= COLUMNS)
            add_columns(f, with_tile(shape, ROWS, COLUMNS), t);
        else if (left >= 4)
            add_columns(f, with_tile(shape, ROWS, 4), t);
        else
            add_columns(f, with_tile(shape, ROWS, 1), t);
}

CVL_INLINE void add_all(struct cvl_group_filter *f, const enum cvl_group_mode mode, const int stride)
{
    const struct cvl_group_axis *rows = &f->walk.rows, *columns = &f->walk.columns;
    if (mode == CVL_GROUP_EACH && stride != 0 && rows->stride == stride && rows->taps == BLOCK
        && columns->taps == BLOCK && f->walk.channels == 1) {
        add_squares(f, stride);
        return;
    }
    for (; f->walk.rows.count > 0; next_rows(f, ROWS))
        add_rows(f, (struct shape){ .mode = mode, .stride = stride });
}

static void shared_1(struct cvl_group_filter *f) { add_all(f, CVL_GROUP_SHARED, 1); }
static void shared_2(struct cvl_group_filter *f) { add_all(f, CVL_GROUP_SHARED, 2); }
static void shared_any(struct cvl_group_filter *f) { add_all(f, CVL_GROUP_SHARED, 0); }
static void one_1(struct cvl_group_filter *f) { add_all(f, CVL_GROUP_ONE, 1); }
static void one_2(struct cvl_group_filter *f) { add_all(f, CVL_GROUP_ONE, 2); }
static void one_any(struct cvl_group_filter *f) { add_all(f, CVL_GROUP_ONE, 0); }
static void each_1(struct cvl_group_filter *f) { add_all(f, CVL_GROUP_EACH, 1); }
static void each_2(struct cvl_group_filter *f) { add_all(f, CVL_GROUP_EACH, 2); }
static void each_any(struct cvl_group_filter *f) { add_all(f, CVL_GROUP_EACH, 0); }

void RUN_NAME(struct cvl_group_filter *f)
{
    static void (*const instances[][3])(struct cvl_group_filter *) = {
        [CVL_GROUP_SHARED] = { shared_any, shared_1, shared_2 }, [CVL_GROUP_ONE] = { one_any, one_1, one_2 },
        [CVL_GROUP_EACH] = { each_any, each_1, each_2 },
    };
    instances[f->walk.mode][instance_of(&f->walk)](f);
}
#endif

extern const struct cvl_group_filter_kern CVL_KERN(cvl_group_filter_kern);
const struct cvl_group_filter_kern CVL_KERN(cvl_group_filter_kern) = { .add = RUN_NAME };
