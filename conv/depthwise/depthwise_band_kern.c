/* SPDX-License-Identifier: Apache-2.0
 * Columns along the lanes. A run of rows stays in registers while the taps of a column go by: one vector of the image
 * is loaded for up to seven taps, whose weights stay in registers too. Lanes at the edges of the image are masked. With
 * a stride of two, two neighbouring taps of a row are the even and the odd elements of the same two vectors. */
#include "conv/depthwise/depthwise_run.h"

/* What an instance of the template is made for: columns apart in x (1, 2, or 0: any), rows of a run, their stride; and
 * the taps of a block of rows. A pair is of two taps of a row. */
struct shape { int lane, tile, stride, taps; bool pair; };

/* The run of rows and the vector of columns that are being summed. */
struct run { int origin, count, column, lanes; };

struct range { int from, to; };

struct place {
    const float *x, *w;
    struct range range;          /* lanes, or with a stride of two elements, that are inside of the image */
    vf_lanes     lanes;
    vf_elements  elements;
};

CVL_INLINE struct shape with_taps(struct shape shape, int taps, bool pair)
{
    shape.taps = taps;
    shape.pair = pair;
    return shape;
}

/* A block of row taps, under one tap of columns or a pair of them. */
CVL_INLINE void add_column(const struct cvl_dw_band *b, const struct shape shape, uint64_t inside, struct place at,
                           vf sums[TILE])
{
    const int apart = shape.taps == 1 ? 1 : shape.stride, reach = (shape.tile - 1) * apart + shape.taps;
    const ptrdiff_t step = shape.taps == 1 ? b->rows.stride * b->rows.x : b->rows.x, w_row = b->rows.w;
    const ptrdiff_t w_column = b->columns.w;
    vf weights[BLOCK_MAX], odd_weights[BLOCK_MAX];
    CVL_UNROLL(40)
    for (int v = 0; v < shape.taps; v++) {
        weights[v] = vf_set(at.w[v * w_row]);
        if (shape.pair)
            odd_weights[v] = vf_set(at.w[v * w_row + w_column]);
    }
    CVL_UNROLL(40)
    for (int j = 0; j < reach; j++) {
        if (LIKELY(inside >> j & 1)) {
            vf value, odd = vf_zero();
            if (shape.lane == 1)
                value = vf_keep(vf_load_lanes(at.x, at.lanes));
            else if (shape.lane == 2)
                vf_part_pairs(vf_load_lanes(at.x, at.elements.low), vf_load_lanes(at.x + VF_LANES, at.elements.high),
                              &value, &odd);
            else
                value = vf_load_strided_range(at.x, b->columns.stride, at.range.from, at.range.to);
            CVL_UNROLL(40)
            for (int t = 0; t < shape.tile; t++)
                if (j - t * apart >= 0 && j - t * apart < shape.taps) {
                    sums[t] += value * weights[j - t * apart];
                    if (shape.pair)
                        sums[t] += odd * odd_weights[j - t * apart];
                }
        }
        at.x += step;
        FORGET(at.x);
    }
}

/* Of the lanes, or with a stride of two of the elements of two vectors, those that are inside of the image. */
CVL_INLINE struct range range_of(const struct cvl_dw_band *b, const struct shape shape, int column, int lanes)
{
    const int apart = shape.lane ? 1 : b->columns.stride, left = b->columns.extent - column;
    const int most = shape.lane == 2 ? 2 * lanes - !shape.pair : lanes;
    const int from = column < 0 ? (apart == 1 ? -column : (-column - 1) / apart + 1) : 0;
    const int to = left <= 0 ? 0 : apart == 1 ? left : (left - 1) / apart + 1;
    return (struct range){ from, to < most ? to : most };
}

/* A block of row taps under the tap of columns at x, which meets lane 0 at `column`, or under it and the next. */
CVL_INLINE void add_tap(const struct cvl_dw_band *b, const struct shape shape, uint64_t inside, struct place at,
                        int column, int lanes, vf sums[TILE])
{
    at.range = range_of(b, shape, column, lanes);
    if (at.range.from >= at.range.to)
        return;
    if (shape.lane == 1)
        at.lanes = vf_lanes_of(at.range.from, at.range.to);
    if (shape.lane == 2)
        at.elements = vf_elements_of(at.range.from, at.range.to);
    for (int channel = b->channels; channel > 0; channel--, at.x += b->x_channel, at.w += b->w_channel) {
        FORGET(inside);
        add_column(b, shape, inside, at, sums);
    }
}

/* A block of row taps at x, the run's column 0, and w. */
CVL_INLINE void add_block(const struct cvl_dw_band *b, const struct shape shape, uint64_t inside, struct run run,
                          struct place at, vf sums[TILE])
{
    const ptrdiff_t w = b->columns.w;
    const int tap = b->columns.tap;
    int left = b->columns.taps;
    at.x += run.column;
    if (shape.lane == 2 && shape.taps <= PAIR_BLOCK && tap == 1)
        for (; left > 1; left -= 2, at.x += 2, at.w += 2 * w, run.column += 2)
            add_tap(b, with_taps(shape, shape.taps, true), inside, at, run.column, run.lanes, sums);
    for (; left > 0; left--, at.x += tap, at.w += w, run.column += tap)
        add_tap(b, shape, inside, at, run.column, run.lanes, sums);
}

CVL_INLINE void add_blocks(const struct cvl_dw_band *b, struct shape shape, struct run run, struct place at,
                           vf sums[TILE])
{
    const int longest = shape.stride == 0 ? 1 : shape.lane == 2 ? PAIR_BLOCK : BLOCK_MAX, taps = b->rows.taps;
    for (int first = 0; first < taps; first += shape.taps, at.x += shape.taps * b->rows.x,
             at.w += shape.taps * b->rows.w) {
        shape.taps = longest == 1 || b->rows.stride != shape.stride ? 1
                   : longest == PAIR_BLOCK ? pair_block_of(taps - first) : block_of(taps - first, BLOCK_MAX);
        const uint64_t inside = inside_run(&b->rows, run.origin + first, shape.taps, run.count);
        if (inside == 0)
            continue;
        if (longest == BLOCK_MAX && shape.taps == 7)
            add_block(b, with_taps(shape, 7, false), inside, run, at, sums);
        else if (longest >= 5 && shape.taps == 5)
            add_block(b, with_taps(shape, 5, false), inside, run, at, sums);
        else if (longest > 1 && shape.taps == 3)
            add_block(b, with_taps(shape, 3, false), inside, run, at, sums);
        else if (longest > 1 && shape.taps == 2)
            add_block(b, with_taps(shape, 2, false), inside, run, at, sums);
        else
            add_block(b, with_taps(shape, 1, false), inside, run, at, sums);
    }
}

/* A run of rows of one plane, all columns; `to` is where they lie in what is written. Positions past the last row are
 * summed from what is inside and not stored. */
CVL_INLINE void sum_columns(const struct cvl_dw_band *b, const struct shape shape, struct run run, struct place at,
                            const vf bias, ptrdiff_t to)
{
    const int columns = b->columns.count, stride = b->columns.stride;
    const ptrdiff_t row_out = b->rows.out, column_out = b->columns.out;
    const bool rare = is_rare(&b->finish) || column_out != 1;
    run.column = b->columns.origin;
    at.x += run.origin * b->rows.x;
    for (int t = 0; t < columns; t += VF_LANES, run.column += VF_LANES * stride, to += VF_LANES * column_out) {
        vf sums[TILE];
        run.lanes = columns - t < VF_LANES ? columns - t : VF_LANES;
        CVL_UNROLL(40)
        for (int i = 0; i < shape.tile; i++)
            sums[i] = bias;
        add_blocks(b, shape, run, at, sums);
        if (shape.lane == 2) {
            CVL_UNROLL(40)
            for (int i = 0; i < shape.tile; i++)
                sums[i] = vf_order_pairs(sums[i]);
        }
        if (rare) {
            float scratch[TILE * VF_LANES];
            CVL_UNROLL(40)
            for (int i = 0; i < shape.tile; i++)
                vf_store(scratch + i * VF_LANES, sums[i]);
            finish_apart(&b->finish, scratch, run.count, run.lanes, b->out + to, to, row_out, column_out);
        } else {
            finish_near(&b->finish, sums, shape.tile, run.count, vf_lanes_of(0, run.lanes), b->out + to, row_out);
        }
    }
}

CVL_INLINE void sum_planes(const struct cvl_dw_band *b, const struct shape shape)
{
    const int rows = b->rows.count, planes = b->planes;
    for (int plane = 0; plane < planes; plane++) {
        const struct place at = { .x = b->x + plane * b->x_plane, .w = plane_weights(b, plane) };
        const vf bias = b->finish.bias ? vf_set(b->finish.bias[plane]) : vf_zero();
        for (int t = 0; t < rows; t += shape.tile) {
            const struct run run = { .origin = b->rows.origin + t * b->rows.stride,
                                     .count = rows - t < shape.tile ? rows - t : shape.tile };
            sum_columns(b, shape, run, at, bias, plane * b->out_plane + t * b->rows.out);
        }
    }
}

static void near_1(const struct cvl_dw_band *b) { sum_planes(b, (struct shape){ 1, TILE, .stride = 1 }); }
static void even_2(const struct cvl_dw_band *b) { sum_planes(b, (struct shape){ 2, TILE, .stride = 2 }); }

/* Rare strides: a tap at a time. Columns far apart are gathered one by one, and nothing is won by long runs. */
static void near_any(const struct cvl_dw_band *b) { sum_planes(b, (struct shape){ 1, 7, .stride = 0 }); }
static void even_any(const struct cvl_dw_band *b) { sum_planes(b, (struct shape){ 2, 7, .stride = 0 }); }
static void apart(const struct cvl_dw_band *b) { sum_planes(b, (struct shape){ 0, 2, .stride = 0 }); }

static void band(const struct cvl_dw_band *b)
{
    const int step = b->columns.stride, stride = b->rows.stride;
    if (step == stride && step <= 2)
        (step == 1 ? near_1 : even_2)(b);
    else
        (step == 1 ? near_any : step == 2 ? even_any : apart)(b);
}

extern const struct cvl_dw_band_kern CVL_KERN(cvl_dw_band_kern);
const struct cvl_dw_band_kern CVL_KERN(cvl_dw_band_kern) = { .band = band };
