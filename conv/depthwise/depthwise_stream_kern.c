/* SPDX-License-Identifier: Apache-2.0
 * Columns along the lanes, 3 x 3 taps: the rows of a plane go by once, from its first to its last, and each is added to
 * the sums of all rows of outputs that it meets, which stay in registers until their last row of taps: three with a
 * stride of one, two with two. So memory is read and written in order, and nine multiply-adds of a vector take three
 * loads; with a stride of two, three loads and as many shuffles, that part even columns from odd ones. */
#include "conv/depthwise/depthwise_edges.h"

struct stream {
    struct edges edges;
    vf_lanes     stored;         /* of the last vector */
    bool         clipped;
    float        low, high;
    vf           weights[TAPS * TAPS], bias;
    const float *x;              /* at row point 0, the block's first column */
    ptrdiff_t    out;            /* of row 0, from the band's out */
    int          lanes;          /* of the last vector */
};

/* To sums [from, to) of each vector, by row tap `last`, last - stride, ... */
CVL_INLINE void add_row(const struct shape shape, const struct stream *stream, const float *x, int from, int to,
                        int last, vf sums[LIVE][VECTORS])
{
    CVL_UNROLL(40)
    for (int v = 0; v < shape.vectors; v++) {
        vf values[TAPS];
        load_taps(shape, &stream->edges, v, x, values);
        CVL_UNROLL(40)
        for (int s = 0; s < TAPS; s++)
            CVL_UNROLL(40)
            for (int i = from; i < to; i++)
                sums[i][v] += values[s] * stream->weights[(last - i * shape.stride) * TAPS + s];
    }
}

CVL_INLINE void start_row(const struct shape shape, vf bias, vf sums[VECTORS])
{
    CVL_UNROLL(40)
    for (int v = 0; v < shape.vectors; v++)
        sums[v] = bias;
}

CVL_INLINE void shift_rows(const struct shape shape, vf sums[LIVE][VECTORS])
{
    CVL_UNROLL(40)
    for (int v = 0; v < shape.vectors; v++) {
        sums[0][v] = sums[1][v];
        sums[1][v] = sums[2][v];
    }
}

CVL_INLINE void store_row(const struct cvl_dw_band *b, const struct shape shape, const struct stream *stream,
                          ptrdiff_t to, vf sums[VECTORS])
{
    float *out = b->out + to;
    if (shape.stride == 2) {
        CVL_UNROLL(40)
        for (int v = 0; v < shape.vectors; v++)
            sums[v] = vf_order_pairs(sums[v]);
    }
    if (shape.rare) {
        float scratch[VF_LANES];
        vf_store(scratch, sums[0]);
        finish_apart(&b->finish, scratch, 1, stream->lanes, out, to, 0, 1);
        return;
    }
    if (stream->clipped) {
        CVL_UNROLL(40)
        for (int v = 0; v < shape.vectors; v++)
            sums[v] = vf_clip(sums[v], vf_set(stream->low), vf_set(stream->high));
    }
    CVL_UNROLL(40)
    for (int v = 0; v < shape.vectors - 1; v++)
        vf_store(out + v * VF_LANES, sums[v]);
    vf_store_lanes(out + (shape.vectors - 1) * VF_LANES, sums[shape.vectors - 1], stream->stored);
}

/* Row t of the image meets outputs t, t-1 and t-2, if there are those. Where one does not exist it is summed up for
 * nothing, unless that would be for all of the first or last rows. */
CVL_INLINE void sum_near(const struct cvl_dw_band *b, const struct shape shape, const struct stream *stream)
{
    const int count = b->rows.count, origin = b->rows.origin, extent = b->rows.extent;
    const float *x = stream->x + origin * b->rows.x;
    ptrdiff_t to = stream->out;
    vf sums[LIVE][VECTORS];
    start_row(shape, stream->bias, sums[0]);
    start_row(shape, stream->bias, sums[1]);
    for (int t = 0; t < count + 2; t++, x += b->rows.x) {
        start_row(shape, stream->bias, sums[2]);
        if (LIKELY(origin + t >= 0 && origin + t < extent)) {
            if (LIKELY(t >= 2 && t < count))
                add_row(shape, stream, x, 0, 3, 2, sums);
            else if (t < 2)
                add_row(shape, stream, x, 1, 3, 2, sums);
            else
                add_row(shape, stream, x, 0, 2, 2, sums);
        }
        if (t >= 2) {
            store_row(b, shape, stream, to, sums[0]);
            to += b->rows.out;
        }
        shift_rows(shape, sums);
    }
}

/* Row 2t ends output t-1 and begins t, row 2t+1 is the middle of t. */
CVL_INLINE void sum_even(const struct cvl_dw_band *b, const struct shape shape, const struct stream *stream)
{
    const int count = b->rows.count, origin = b->rows.origin, extent = b->rows.extent;
    const float *x = stream->x + origin * b->rows.x;
    ptrdiff_t to = stream->out;
    vf sums[LIVE][VECTORS];
    start_row(shape, stream->bias, sums[0]);
    for (int t = 0; t <= count; t++, x += 2 * b->rows.x) {
        const int row = origin + 2 * t;
        start_row(shape, stream->bias, sums[1]);
        if (LIKELY(row >= 0 && row < extent)) {
            if (LIKELY(t < count))
                add_row(shape, stream, x, 0, 2, 2, sums);
            else
                add_row(shape, stream, x, 0, 1, 2, sums);
        }
        if (t > 0) {
            store_row(b, shape, stream, to, sums[0]);
            to += b->rows.out;
        }
        if (LIKELY(t < count && row + 1 >= 0 && row + 1 < extent))
            add_row(shape, stream, x + b->rows.x, 1, 2, 3, sums);
        shift_rows(shape, sums);
    }
}

struct part { int column, columns, plane, planes; };

/* Some columns of some planes. */
CVL_INLINE void sum_part(const struct cvl_dw_band *b, const struct shape shape, const struct part *part)
{
    const int column = b->columns.origin + part->column * shape.stride;
    const int lanes = part->columns - (shape.vectors - 1) * VF_LANES;
    struct stream stream = { .edges = edges_of(&b->columns, shape, column), .stored = vf_lanes_of(0, lanes),
                             .lanes = lanes };
    stream.clipped = clips(&b->finish, &stream.low, &stream.high);
    for (int plane = part->plane; plane < part->plane + part->planes; plane++) {
        const float *w = plane_weights(b, plane);
        CVL_UNROLL(40)
        for (int i = 0; i < TAPS * TAPS; i++)
            stream.weights[i] = vf_set(w[i / TAPS * b->rows.w + i % TAPS * b->columns.w]);
        stream.bias = b->finish.bias ? vf_set(b->finish.bias[plane]) : vf_zero();
        stream.x = b->x + plane * b->x_plane + column;
        stream.out = plane * b->out_plane + part->column;
        (shape.stride == 1 ? sum_near : sum_even)(b, shape, &stream);
    }
}

static void near_1(const struct cvl_dw_band *b, const struct part *part)
{
    sum_part(b, (struct shape){ 1, 1, false }, part);
}
static void near_2(const struct cvl_dw_band *b, const struct part *part)
{
    sum_part(b, (struct shape){ 2, 1, false }, part);
}
static void near_3(const struct cvl_dw_band *b, const struct part *part)
{
    sum_part(b, (struct shape){ 3, 1, false }, part);
}
static void near_4(const struct cvl_dw_band *b, const struct part *part)
{
    sum_part(b, (struct shape){ 4, 1, false }, part);
}
static void near_rare(const struct cvl_dw_band *b, const struct part *part)
{
    sum_part(b, (struct shape){ 1, 1, true }, part);
}
static void even_1(const struct cvl_dw_band *b, const struct part *part)
{
    sum_part(b, (struct shape){ 1, 2, false }, part);
}
static void even_2(const struct cvl_dw_band *b, const struct part *part)
{
    sum_part(b, (struct shape){ 2, 2, false }, part);
}
static void even_3(const struct cvl_dw_band *b, const struct part *part)
{
    sum_part(b, (struct shape){ 3, 2, false }, part);
}
static void even_4(const struct cvl_dw_band *b, const struct part *part)
{
    sum_part(b, (struct shape){ 4, 2, false }, part);
}
static void even_rare(const struct cvl_dw_band *b, const struct part *part)
{
    sum_part(b, (struct shape){ 1, 2, true }, part);
}

static void stream(const struct cvl_dw_band *b)
{
    typedef void part_fn(const struct cvl_dw_band *, const struct part *);
    static part_fn *const parts[2][VECTORS + 1] = { { near_rare, near_1, near_2, near_3, near_4 },
                                                    { even_rare, even_1, even_2, even_3, even_4 } };
    const bool rare = is_rare(&b->finish);
    const int count = b->columns.count, most = rare ? VF_LANES : VECTORS * VF_LANES;
    struct part part = { .planes = count > most ? 1 : b->planes };
    for (part.plane = 0; part.plane < b->planes; part.plane += part.planes)
        for (part.column = 0; part.column < count; part.column += part.columns) {
            part.columns = cvl_min(most, count - part.column);
            parts[b->columns.stride == 2][rare ? 0 : cvl_divide_up(part.columns, VF_LANES)](b, &part);
        }
}

extern const struct cvl_dw_band_kern CVL_KERN(cvl_dw_stream_kern);
const struct cvl_dw_band_kern CVL_KERN(cvl_dw_stream_kern) = { .band = stream };
