/* SPDX-License-Identifier: Apache-2.0
 * FWD and BWD_DATA of groups whose channels are whole pairs of vectors, under 3 x 3 taps: a tile is a row of outputs of
 * two vectors. An input has as many products as in a tile of two rows of one vector, at a stride of two half as many
 * again, and an odd number of rows is none too many. */
#include "conv/depthwise/grouped_bring.h"
#include "conv/depthwise/grouped_store.h"
#include "conv/depthwise/grouped_walk.h"

/* What the levels above avx512 add is not used here: they call its code. */
#ifdef __AVX512VNNI__
#define RUN_NAME cvl_group_pair_avx512
#else
#define RUN_NAME CVL_KERN(cvl_group_pair)
#endif
void RUN_NAME(struct cvl_group_sum *);

enum { PANELS = 2 };

#if !defined(__AVX512VNNI__) && (defined(__AVX512F__) || defined(__aarch64__))

/* A row of taps. Pointers are moved by additions, as in grouped_squares.h. */
CVL_INLINE void add_row(const struct cvl_group_walk *walk, const struct shape shape, const float *x, const float *w,
                        ptrdiff_t w_panel, unsigned inside, vf sums[PANELS][COLUMNS])
{
    const ptrdiff_t x_column = walk->columns.x, w_column = walk->columns.w;
    vf weights[PANELS][BLOCK];
    CVL_UNROLL(16)
    for (int v = 0; v < BLOCK; v++, w += w_column) {
        FORGET(w);
        weights[0][v] = vf_load(w);
        weights[1][v] = vf_load(w + w_panel);
    }
    CVL_UNROLL(16)
    for (int j = 0; j < reach_of(shape.columns, shape.stride, BLOCK); j++, x += x_column) {
        FORGET(x);
        if (!INSIDE(inside, j))
            continue;
        const vf value = vf_set(*x);
        CVL_UNROLL(16)
        for (int q = 0; q < shape.columns; q++)
            CVL_UNROLL(16)
            for (int panel = 0; panel < PANELS; panel++)
                if (meets(j, q, shape.stride, BLOCK))
                    sums[panel][q] += value * weights[panel][j - q * shape.stride];
    }
}

/* Strides are read from memory where they are used, as in grouped_squares.h. */
CVL_INLINE void sum_tile(const struct cvl_group_sum *s, const struct shape shape, int t)
{
    const struct cvl_group_walk *walk = &s->walk;
    const int column = walk->columns.origin + t * shape.stride;
    const unsigned rows = inside_of(walk->rows.origin, walk->rows.extent, 1, BLOCK);
    const unsigned columns = inside_of(column, walk->columns.extent, 1, reach_of(shape.columns, shape.stride, BLOCK));
    const float *x = walk->x + walk->rows.origin * walk->rows.x + column * walk->columns.x, *w = s->w;
    vf sums[PANELS][COLUMNS];
    CVL_UNROLL(16)
    for (int q = 0; q < COLUMNS; q++)
        sums[0][q] = sums[1][q] = vf_zero();
    for (int left = walk->channels; left > 0; left--) {
        unsigned inside = columns | rows << 16;
        const float *from = x, *tap = w;
        cvl_keep_in_memory(s);
        if (s->ahead->left > 0)
            bring(s->ahead, s->ahead->each);
        FORGET(inside);
        CVL_UNROLL(16)
        for (int r = 0; r < BLOCK; r++) {
            if (INSIDE(inside, 16 + r))
                add_row(walk, shape, from, tap, walk->w_panel, inside, sums);
            from += walk->rows.x;
            tap += walk->rows.w;
            FORGET(from);
            FORGET(tap);
        }
        x += walk->x_channel;
        w += walk->w_channel;
    }
    finish_tile(s, shape, t, 0, sums[0]);
    finish_tile(s, shape, t, VF_LANES, sums[1]);
}

CVL_INLINE void sum_row(const struct cvl_group_sum *s, const struct shape shape)
{
    for (int t = 0, left; (left = s->walk.columns.count - t) > 0; t += tile_of(left))
        if (left >= COLUMNS)
            sum_tile(s, with_tile(shape, 1, COLUMNS), t);
        else if (left >= 4)
            sum_tile(s, with_tile(shape, 1, 4), t);
        else
            sum_tile(s, with_tile(shape, 1, 1), t);
}

CVL_INLINE void sum_all(struct cvl_group_sum *s, const int stride)
{
    for (; s->walk.rows.count > 0; cvl_group_next_rows(s, 1)) {
        bring_row(s, cvl_min(s->walk.rows.origin + BLOCK, s->walk.rows.extent) - 1);
        sum_row(s, (struct shape){ .mode = CVL_GROUP_ONE, .stride = stride });
    }
}

static void pair_1(struct cvl_group_sum *s) { sum_all(s, 1); }
static void pair_2(struct cvl_group_sum *s) { sum_all(s, 2); }

void RUN_NAME(struct cvl_group_sum *s)
{
    (s->walk.columns.stride == 1 ? pair_1 : pair_2)(s);
}
#elif !defined(__AVX512VNNI__)
/* Sixteen registers hold no such tile. */
#undef RUN_NAME
#define RUN_NAME NULL
#endif

extern const struct cvl_group_kern CVL_KERN(cvl_group_pair_kern);
const struct cvl_group_kern CVL_KERN(cvl_group_pair_kern) = {
    .lanes = PANELS * VF_LANES, .rows = 1, .columns = COLUMNS, .sum = RUN_NAME,
};
