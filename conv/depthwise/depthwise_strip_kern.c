/* SPDX-License-Identifier: Apache-2.0
 * Channels along the lanes. A run of columns stays in registers while the taps of a row go by, and the rows of the
 * strip follow each other without a call between them: one input is loaded for up to seven taps, whose weights stay in
 * registers too. An input on padding is skipped by a branch that falls the same way in every row. */
#include "conv/depthwise/depthwise_run.h"

/* What an instance of the template is made for. */
struct shape { int tile, stride, taps; bool lookup; };   /* taps 0: any number, in blocks */

/* Which lanes are read and written, and where each written lane looks its input up. */
struct reading { vf_lanes x, out; vi index; };

CVL_INLINE struct shape with_taps(struct shape shape, int taps)
{
    shape.taps = taps;
    return shape;
}

/* A block of taps under one row of taps. */
CVL_INLINE void add_row(const struct shape shape, const struct cvl_dw_axis *columns, uint64_t inside, const float *x,
                        const float *w, const struct reading how, vf sums[TILE])
{
    const int apart = shape.taps == 1 ? 1 : shape.stride, reach = (shape.tile - 1) * apart + shape.taps;
    const ptrdiff_t step = shape.taps == 1 ? columns->stride * columns->x : columns->x;
    vf weights[BLOCK_MAX];
    CVL_UNROLL(40)
    for (int v = 0; v < shape.taps; v++)
        weights[v] = vf_load(w + v * columns->w);
    CVL_UNROLL(40)
    for (int j = 0; j < reach; j++) {
        if (LIKELY(inside >> j & 1)) {
            vf value = vf_load_lanes(x, how.x);
            value = vf_keep(shape.lookup ? vf_lookup(value, how.index) : value);
            CVL_UNROLL(40)
            for (int t = 0; t < shape.tile; t++)
                if (j - t * apart >= 0 && j - t * apart < shape.taps)
                    sums[t] += value * weights[j - t * apart];
        }
        x += step;
        FORGET(x);
    }
}

/* A block of taps under `rows` rows of taps, the first at x and w. */
CVL_INLINE void add_block(const struct cvl_dw_strip *s, const struct shape shape, uint64_t inside, int rows,
                          const float *x, const float *w, const struct reading how, vf sums[TILE])
{
    const struct cvl_dw_axis columns = s->columns;
    const ptrdiff_t x_row = s->rows.tap * s->rows.x, w_row = s->rows.w, w_channel = s->w_channel;
    const int channels = shape.lookup ? s->channels : 1;
    for (; rows > 0; rows--, x += x_row, w += w_row)
        for (int channel = 0; channel < channels; channel++) {
            FORGET(inside);
            add_row(shape, &columns, inside, x + channel, w + channel * w_channel, how, sums);
        }
}

CVL_INLINE void add_blocks(const struct cvl_dw_strip *s, struct shape shape, int rows, const float *x, const float *w,
                           const struct reading how, vf sums[TILE])
{
    const int longest = shape.lookup ? SHORT_BLOCK : BLOCK_MAX;
    for (int first = 0; first < s->columns.taps; first += shape.taps, x += shape.taps * s->columns.x,
             w += shape.taps * s->columns.w) {
        shape.taps = s->columns.stride == shape.stride ? block_of(s->columns.taps - first, longest) : 1;
        const uint64_t inside = inside_run(&s->columns, s->columns.origin + first, shape.taps, s->columns.count);
        if (inside == 0)
            continue;
        if (longest == BLOCK_MAX && shape.taps == 7)
            add_block(s, with_taps(shape, 7), inside, rows, x, w, how, sums);
        else if (longest == BLOCK_MAX && shape.taps == 5)
            add_block(s, with_taps(shape, 5), inside, rows, x, w, how, sums);
        else if (shape.taps == 3)
            add_block(s, with_taps(shape, 3), inside, rows, x, w, how, sums);
        else if (shape.taps == 2)
            add_block(s, with_taps(shape, 2), inside, rows, x, w, how, sums);
        else
            add_block(s, with_taps(shape, 1), inside, rows, x, w, how, sums);
    }
}

/* Taps j >= 0 with j * tap < distance. */
CVL_INLINE int taps_before(int distance, int tap)
{
    return distance <= 0 ? 0 : LIKELY(tap == 1) ? distance : (distance - 1) / tap + 1;
}

/* What a later task reads first and writes there, into the second-level cache. Lines to be written too: strips do not
 * write in order, and to wait for them took as long as to wait for x. */
CVL_INLINE void fetch(const struct cvl_dw_strip *s, const float *x, const float *out)
{
    const int columns = s->columns.count * s->columns.stride;
    x += (s->rows.taps - s->rows.stride) * s->rows.x + s->x_ahead;
    for (int row = 0; row < s->rows.stride; row++, x += s->rows.x)
        for (int i = 0; i < columns; i++)
            __builtin_prefetch(x + i * s->columns.x, 0, 2);
    for (int i = 0; i < s->columns.count; i++)
        __builtin_prefetch(out + s->out_ahead + i * s->columns.out, 1, 2);
}

/* Positions past the last column are summed from what is inside and not stored. */
CVL_INLINE void sum_rows(const struct cvl_dw_strip *s, const struct shape shape)
{
    const struct cvl_dw_axis rows = s->rows;
    const struct cvl_dw_finish finish = s->finish;
    const bool rare = is_rare(&finish);
    const int count = s->columns.count;
    const vf bias = finish.bias ? vf_load_part(finish.bias, s->lanes) : vf_zero();
    const struct reading how = { .x = vf_lanes_of(0, s->x_lanes), .out = vf_lanes_of(0, s->lanes),
                                 .index = shape.lookup ? (vi)vf_load((const float *)s->lookup) : (vi)vf_zero() };
    const uint64_t inside = shape.taps ? inside_run(&s->columns, s->columns.origin, shape.taps, count) : 0;
    const float *x = s->x + s->columns.origin * s->columns.x + rows.origin * rows.x;
    float *out = s->out;
    for (int row = 0, origin = rows.origin; row < rows.count; row++, origin += rows.stride) {
        const int first = taps_before(-origin, rows.tap), last = taps_before(rows.extent - origin, rows.tap);
        const int taps = (last < rows.taps ? last : rows.taps) - first;
        const float *from = x + first * rows.tap * rows.x, *w = s->w + first * rows.w;
        vf sums[TILE];
        if (s->x_ahead)
            fetch(s, x, out);
        CVL_UNROLL(40)
        for (int t = 0; t < shape.tile; t++)
            sums[t] = bias;
        if (shape.taps == 0)
            add_blocks(s, shape, taps, from, w, how, sums);
        else
            add_block(s, shape, inside, taps, from, w, how, sums);
        if (rare) {
            float scratch[TILE * VF_LANES];
            CVL_UNROLL(40)
            for (int t = 0; t < shape.tile; t++)
                vf_store(scratch + t * VF_LANES, sums[t]);
            finish_apart(&finish, scratch, count, s->lanes, out, out - s->out, s->columns.out, 1);
        } else {
            finish_near(&finish, sums, shape.tile, count, how.out, out, s->columns.out);
        }
        x += rows.stride * rows.x;
        out += rows.out;
    }
}

static void run_1(const struct cvl_dw_strip *s) { sum_rows(s, (struct shape){ TILE, 1, 0, false }); }
static void run_1_1(const struct cvl_dw_strip *s) { sum_rows(s, (struct shape){ TILE, 1, 1, false }); }
static void run_1_2(const struct cvl_dw_strip *s) { sum_rows(s, (struct shape){ TILE, 1, 2, false }); }
static void run_1_3(const struct cvl_dw_strip *s) { sum_rows(s, (struct shape){ TILE, 1, 3, false }); }
static void run_1_5(const struct cvl_dw_strip *s) { sum_rows(s, (struct shape){ TILE, 1, 5, false }); }
static void run_2(const struct cvl_dw_strip *s) { sum_rows(s, (struct shape){ TILE, 2, 0, false }); }
static void run_2_3(const struct cvl_dw_strip *s) { sum_rows(s, (struct shape){ TILE, 2, 3, false }); }
static void run_2_5(const struct cvl_dw_strip *s) { sum_rows(s, (struct shape){ TILE, 2, 5, false }); }
static void half_1_1(const struct cvl_dw_strip *s) { sum_rows(s, (struct shape){ 7, 1, 1, false }); }
static void half_1_2(const struct cvl_dw_strip *s) { sum_rows(s, (struct shape){ 7, 1, 2, false }); }
static void half_1_3(const struct cvl_dw_strip *s) { sum_rows(s, (struct shape){ 7, 1, 3, false }); }
static void half_2_3(const struct cvl_dw_strip *s) { sum_rows(s, (struct shape){ 7, 2, 3, false }); }
static void lookup_1(const struct cvl_dw_strip *s) { sum_rows(s, (struct shape){ TILE, 1, 0, true }); }
static void lookup_2(const struct cvl_dw_strip *s) { sum_rows(s, (struct shape){ TILE, 2, 0, true }); }

static void strip(const struct cvl_dw_strip *s)
{
    enum { TAPS = 6 };
    typedef void run_fn(const struct cvl_dw_strip *);
    static run_fn *const runs[2][TAPS] = { { run_1, run_1_1, run_1_2, run_1_3, run_1, run_1_5 },
                                           { run_2, run_2, run_2, run_2_3, run_2, run_2_5 } };
    static run_fn *const halves[2][TAPS] = { { run_1, half_1_1, half_1_2, half_1_3, run_1, run_1_5 },
                                             { run_2, run_2, run_2, half_2_3, run_2, run_2_5 } };
    static run_fn *const lookups[2] = { lookup_1, lookup_2 };
    const int stride = s->columns.stride, by_two = stride == 2;
    const int taps = s->columns.taps < TAPS && stride <= 2 ? s->columns.taps : 0;
    (s->lookup ? lookups[by_two] : s->columns.count > 7 ? runs[by_two][taps] : halves[by_two][taps])(s);
}

extern const struct cvl_dw_strip_kern CVL_KERN(cvl_dw_strip_kern);
const struct cvl_dw_strip_kern CVL_KERN(cvl_dw_strip_kern) = { .lanes = VF_LANES, .tile = TILE, .strip = strip };
