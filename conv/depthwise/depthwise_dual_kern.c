/* SPDX-License-Identifier: Apache-2.0
 * BWD_FILTER of 3 x 3 taps in planes, columns along the lanes: the dual of depthwise_stream_kern.c. The rows of x go by
 * once; those of dy that one of them meets stay in registers, and so do the nine totals of the plane, a vector each,
 * which are added up over their lanes in the end, a panel of planes at a time. Lanes on padding are left out of the
 * products: padding times an infinity would spoil the sum. */
#include "conv/depthwise/depthwise_edges.h"

struct dual {
    struct edges edges;
    vf_some      first[TAPS], last[TAPS];       /* of the products with each column of taps */
    vf_lanes     dy;                            /* of the last vector */
};

/* sums [from, to) of rows of dy, by row tap `last`, last - stride, ... */
CVL_INLINE void add_row(const struct shape shape, const struct dual *dual, const float *x, const vf dy[LIVE][VECTORS],
                        int from, int to, int last, vf sums[TAPS * TAPS])
{
    CVL_UNROLL(40)
    for (int v = 0; v < shape.vectors; v++) {
        vf values[TAPS];
        load_taps(shape, &dual->edges, v, x, values);
        CVL_UNROLL(40)
        for (int s = 0; s < TAPS; s++)
            CVL_UNROLL(40)
            for (int i = from; i < to; i++) {
                vf *sum = &sums[(last - i * shape.stride) * TAPS + s];
                if (v == shape.vectors - 1)
                    *sum = vf_add_product(*sum, values[s], dy[i][v], dual->last[s]);
                else if (v == 0)
                    *sum = vf_add_product(*sum, values[s], dy[i][v], dual->first[s]);
                else
                    *sum += values[s] * dy[i][v];
            }
    }
}

CVL_INLINE void load_dy(const struct shape shape, const struct dual *dual, const float *y, vf dy[VECTORS])
{
    CVL_UNROLL(40)
    for (int v = 0; v < shape.vectors; v++) {
        dy[v] = v == shape.vectors - 1 ? vf_load_lanes(y + v * VF_LANES, dual->dy) : vf_load(y + v * VF_LANES);
        if (shape.stride == 2)
            dy[v] = vf_disorder_pairs(dy[v]);
    }
}

CVL_INLINE void shift_rows(const struct shape shape, vf dy[LIVE][VECTORS])
{
    CVL_UNROLL(40)
    for (int v = 0; v < shape.vectors; v++) {
        dy[0][v] = dy[1][v];
        dy[1][v] = dy[2][v];
    }
}

/* Row t of the image meets rows t, t-1 and t-2 of dy, those of them that there are. */
CVL_INLINE void add_near(const struct cvl_dw_dual *d, const struct shape shape, const struct dual *dual,
                         const float *x, const float *y, vf sums[TAPS * TAPS])
{
    const int count = d->rows.count, origin = d->rows.origin, extent = d->rows.extent;
    vf dy[LIVE][VECTORS] = { { vf_zero() } };
    for (int t = 0; t < count + 2; t++, x += d->rows.x, y += d->rows.out) {
        if (t < count)
            load_dy(shape, dual, y, dy[2]);
        if (LIKELY(origin + t >= 0 && origin + t < extent)) {
            if (LIKELY(t >= 2 && t < count)) {
                add_row(shape, dual, x, dy, 0, 3, 2, sums);
            } else {
                if (t >= 2)
                    add_row(shape, dual, x, dy, 0, 1, 2, sums);
                if (t >= 1 && t <= count)
                    add_row(shape, dual, x, dy, 1, 2, 2, sums);
                if (t < count)
                    add_row(shape, dual, x, dy, 2, 3, 2, sums);
            }
        }
        shift_rows(shape, dy);
    }
}

/* Row 2t meets rows t-1 and t, row 2t+1 row t. */
CVL_INLINE void add_even(const struct cvl_dw_dual *d, const struct shape shape, const struct dual *dual,
                         const float *x, const float *y, vf sums[TAPS * TAPS])
{
    const int count = d->rows.count, origin = d->rows.origin, extent = d->rows.extent;
    vf dy[LIVE][VECTORS] = { { vf_zero() } };
    for (int t = 0; t <= count; t++, x += 2 * d->rows.x, y += d->rows.out) {
        const int row = origin + 2 * t;
        if (t < count)
            load_dy(shape, dual, y, dy[1]);
        if (LIKELY(row >= 0 && row < extent)) {
            if (LIKELY(t > 0 && t < count))
                add_row(shape, dual, x, dy, 0, 2, 2, sums);
            else if (t > 0)
                add_row(shape, dual, x, dy, 0, 1, 2, sums);
            else
                add_row(shape, dual, x, dy, 1, 2, 2, sums);
        }
        if (LIKELY(t < count && row + 1 >= 0 && row + 1 < extent))
            add_row(shape, dual, x + d->rows.x, dy, 1, 2, 3, sums);
        shift_rows(shape, dy);
    }
}

/* Columns [first, first + columns) of one plane. */
struct part { int first, columns, plane; };

/* Lanes of columns, which with a stride of two are not in order. */
CVL_INLINE vf_some some_of(const struct shape shape, uint64_t columns)
{
    float lanes[VF_LANES];
    uint32_t bits = 0;
    if (shape.stride == 1)
        return vf_some_of((uint32_t)columns);
    for (int lane = 0; lane < VF_LANES; lane++)
        lanes[lane] = (float)(columns >> lane & 1);
    vf_store(lanes, vf_disorder_pairs(vf_load(lanes)));
    for (int lane = 0; lane < VF_LANES; lane++)
        bits |= (uint32_t)lanes[lane] << lane;
    return vf_some_of(bits);
}

CVL_INLINE struct dual start(const struct cvl_dw_axis *columns, const struct shape shape, const struct part *part)
{
    const int column = columns->origin + part->first * shape.stride, whole = (shape.vectors - 1) * VF_LANES;
    struct dual dual = { .edges = edges_of(columns, shape, column), .dy = vf_lanes_of(0, part->columns - whole) };
    for (int s = 0; s < TAPS; s++) {
        const int last = column + s + whole * shape.stride;
        dual.first[s] = some_of(shape, inside_of(column + s, columns->extent, shape.stride, VF_LANES));
        dual.last[s] = some_of(shape, inside_of(last, columns->extent, shape.stride, part->columns - whole));
    }
    return dual;
}

CVL_INLINE void add_part(const struct cvl_dw_dual *d, const struct shape shape, const struct part *part, float *totals)
{
    const struct dual dual = start(&d->columns, shape, part);
    const float *x = d->x + part->plane * d->x_plane + d->rows.origin * d->rows.x + d->columns.origin
                   + part->first * shape.stride;
    const float *y = d->y + part->plane * d->y_plane + part->first;
    vf sums[TAPS * TAPS];
    CVL_UNROLL(40)
    for (int i = 0; i < TAPS * TAPS; i++)
        sums[i] = vf_load(totals + i * VF_LANES * VF_LANES);
    (shape.stride == 1 ? add_near : add_even)(d, shape, &dual, x, y, sums);
    CVL_UNROLL(40)
    for (int i = 0; i < TAPS * TAPS; i++)
        vf_store(totals + i * VF_LANES * VF_LANES, sums[i]);
}

static void near_1(const struct cvl_dw_dual *d, const struct part *part, float *to)
{
    add_part(d, (struct shape){ 1, 1, false }, part, to);
}
static void near_2(const struct cvl_dw_dual *d, const struct part *part, float *to)
{
    add_part(d, (struct shape){ 2, 1, false }, part, to);
}
static void near_3(const struct cvl_dw_dual *d, const struct part *part, float *to)
{
    add_part(d, (struct shape){ 3, 1, false }, part, to);
}
static void near_4(const struct cvl_dw_dual *d, const struct part *part, float *to)
{
    add_part(d, (struct shape){ 4, 1, false }, part, to);
}
static void even_1(const struct cvl_dw_dual *d, const struct part *part, float *to)
{
    add_part(d, (struct shape){ 1, 2, false }, part, to);
}
static void even_2(const struct cvl_dw_dual *d, const struct part *part, float *to)
{
    add_part(d, (struct shape){ 2, 2, false }, part, to);
}
static void even_3(const struct cvl_dw_dual *d, const struct part *part, float *to)
{
    add_part(d, (struct shape){ 3, 2, false }, part, to);
}
static void even_4(const struct cvl_dw_dual *d, const struct part *part, float *to)
{
    add_part(d, (struct shape){ 4, 2, false }, part, to);
}

static void dual(const struct cvl_dw_dual *d)
{
    typedef void part_fn(const struct cvl_dw_dual *, const struct part *, float *);
    static part_fn *const parts[2][VECTORS] = { { near_1, near_2, near_3, near_4 },
                                                { even_1, even_2, even_3, even_4 } };
    const int count = d->columns.count, most = VECTORS * VF_LANES;
    float lanes[TAPS * TAPS][VF_LANES][VF_LANES] = { { { 0 } } };      /* (tap, plane, column) */
    struct part part;
    for (part.plane = 0; part.plane < d->planes; part.plane++)
        for (part.first = 0; part.first < count; part.first += part.columns) {
            part.columns = cvl_min(most, count - part.first);
            parts[d->columns.stride == 2][(part.columns - 1) / VF_LANES](d, &part, lanes[0][part.plane]);
        }
    for (int i = 0; i < TAPS * TAPS; i++) {
        float *to = d->totals + i / TAPS * d->rows.w + i % TAPS * d->columns.w;
        vf rows[VF_LANES];
        for (int plane = 0; plane < VF_LANES; plane++)
            rows[plane] = vf_load(lanes[i][plane]);
        vf_store(to, vf_load(to) + vf_sum_rows(rows));
    }
}

extern const struct cvl_dw_dual_kern CVL_KERN(cvl_dw_dual_kern);
const struct cvl_dw_dual_kern CVL_KERN(cvl_dw_dual_kern) = { .add = dual };
