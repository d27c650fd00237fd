/* SPDX-License-Identifier: Apache-2.0
 * Where positions and taps meet. FWD and BWD_FILTER read x at p*stride + r*dil - pad. BWD_DATA reads y at
 * p = (h + pad - r*dil) / stride where that is whole: with g = gcd(stride, dil) the taps of one residue class of h are
 * stride/g apart, and p falls by dil/g from each to the next, so the taps are walked backwards and p rises. Then all
 * passes are the same strided sum. */
#include "conv/direct/direct.h"

static int gcd(int a, int b)
{
    while (b) {
        const int rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The numbers of a descriptor that belong to rows, or to columns. */
struct side { int stride, dil, pad, taps, x, y; };

static struct side side_of(const cvl_conv_desc *d, bool rows)
{
    return rows ? (struct side){ d->stride_h, d->dil_h, d->pad_top, d->r, d->h, cvl_conv_p(d) }
                : (struct side){ d->stride_w, d->dil_w, d->pad_left, d->s, d->w, cvl_conv_q(d) };
}

int cvl_direct_classes(const cvl_conv_desc *desc, bool rows)
{
    const struct side side = side_of(desc, rows);
    if (desc->pass != CVL_BWD_DATA)
        return 1;
    return side.stride < side.x ? side.stride : side.x;
}

struct cvl_direct_axis cvl_direct_axis(const cvl_conv_desc *desc, const struct cvl_direct_strides *strides, bool rows,
                                       int class)
{
    const struct side side = side_of(desc, rows);
    const int dim = rows ? 2 : 3;
    const ptrdiff_t out = strides->out.at[dim], in = strides->in.at[dim], w = strides->w.at[dim];
    struct cvl_direct_axis axis;
    if (desc->pass != CVL_BWD_DATA) {
        axis = (struct cvl_direct_axis){
            .count = side.y, .taps = side.taps, .first = -side.pad, .step = side.stride, .tap = side.dil,
            .extent = side.x, .out_step = out, .w_tap = w,
        };
    } else {
        const int divisor = gcd(side.stride, side.dil), apart = side.stride / divisor;
        int tap = 0;
        while (tap < side.taps && tap < apart && (class + side.pad - tap * side.dil) % side.stride != 0)
            tap++;
        const int taps = tap < side.taps && tap < apart ? (side.taps - 1 - tap) / apart + 1 : 0;
        const int last = taps ? tap + (taps - 1) * apart : 0;
        axis = (struct cvl_direct_axis){
            .count = (side.x - 1 - class) / side.stride + 1, .taps = taps,
            .first = (class + side.pad - last * side.dil) / side.stride, .step = 1, .tap = side.dil / divisor,
            .extent = side.y, .out = class * out, .out_step = side.stride * out, .w = last * w, .w_tap = -apart * w,
        };
    }
    axis.in = axis.first * in;
    axis.in_step = axis.step * in;
    axis.in_tap = axis.tap * in;
    return axis;
}

/* One tap, inside at every position: the axis is a plain array. */
static bool is_plain(const struct cvl_direct_axis *axis)
{
    int first, last;
    if (axis->taps != 1)
        return false;
    cvl_direct_positions(axis, 0, &first, &last);
    return first == 0 && last == axis->count;
}

/* Makes `inner` go through `count` of what lies (in, out) apart as well, if its own strides go on there. */
static bool absorb(struct cvl_direct_axis *inner, int count, ptrdiff_t in, ptrdiff_t out)
{
    if (inner->count == 1) {
        inner->in_step = in;
        inner->out_step = out;
    } else if (count > 1 && (in != inner->count * inner->in_step || out != inner->count * inner->out_step)) {
        return false;
    }
    inner->count *= count;
    inner->first = 0;
    inner->step = inner->tap = 1;
    inner->extent = inner->count;
    return true;
}

void cvl_direct_merge(int *images, ptrdiff_t image_in, ptrdiff_t image_out, struct cvl_direct_axis *rows,
                      struct cvl_direct_axis *columns)
{
    if (!is_plain(rows) || !is_plain(columns) || !absorb(columns, rows->count, rows->in_step, rows->out_step))
        return;
    rows->count = rows->extent = 1;
    rows->first = 0;
    if (*images > 0 && absorb(columns, *images, image_in, image_out))
        *images = 1;
}

int cvl_direct_panels(const struct cvl_direct_job *job)
{
    return (job->out_channels - 1) / job->kern->panel + 1;
}

long long cvl_direct_panel_count(const struct cvl_direct_job *job, int channels)
{
    const int groups = job->desc->groups;
    return job->lanes == CVL_DIRECT_CHANNELS ? (long long)groups * cvl_direct_panels(job)
         : job->lanes == CVL_DIRECT_GROUPS   ? ((groups - 1) / job->kern->panel + 1LL) * channels
                                             : (long long)groups * channels;
}

struct cvl_direct_cut cvl_direct_cut(const struct cvl_direct_kern *kern, enum cvl_direct_lanes lanes, int rows,
                                     int columns, int capacity)
{
    const bool wide = lanes == CVL_DIRECT_COLUMNS;
    const int widest = wide ? kern->panel : capacity, multiple = wide ? kern->lanes : kern->tile;
    struct cvl_direct_cut cut = { .column_blocks = (columns - 1) / widest + 1 };
    cut.columns = (columns - 1) / cut.column_blocks + 1;
    if (cut.column_blocks > 1)
        cut.columns = (cut.columns + multiple - 1) / multiple * multiple;
    if (cut.columns > widest)
        cut.columns = widest;
    cut.rows = wide ? capacity : capacity / cut.columns;
    cut.row_blocks = (rows + cut.rows - 1) / cut.rows;
    if (cut.row_blocks > 0)
        cut.rows = (rows - 1) / cut.row_blocks + 1;
    cut.column_blocks = (columns - 1) / cut.columns + 1;
    return cut;
}
