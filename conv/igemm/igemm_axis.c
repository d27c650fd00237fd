/* SPDX-License-Identifier: Apache-2.0
 * Axes: which input coordinates a position of the output reads, and how a band holds them. */
#include "conv/igemm/igemm.h"

static int greatest_divisor(int a, int b)
{
    while (b) {
        const int rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

int cvl_igemm_classes(const cvl_conv_desc *desc, bool rows)
{
    if (desc->pass != CVL_BWD_DATA)
        return 1;
    return rows ? cvl_igemm_min(desc->stride_h, desc->h) : cvl_igemm_min(desc->stride_w, desc->w);
}

/* dx[h] = sum over taps r with h + pad - r*dil = p*stride. For h = class + t*stride these are every (stride/g)-th tap,
 * from the first that fits on; the last of them meets the lowest p and comes first here. */
static struct cvl_igemm_axis backward(int extent, int read, int stride, int dil, int pad, int taps, int class)
{
    const int g = greatest_divisor(stride, dil), every = stride / g;
    struct cvl_igemm_axis axis = { .count = (extent - 1 - class) / stride + 1, .step = 1, .tap = dil / g,
                                   .extent = read, .out = class, .out_step = stride };
    int first = 0;
    while (first < taps && first < every && (class + pad - (int64_t)first * dil) % stride != 0)
        first++;
    if (first >= taps || first >= every)
        return axis;
    axis.taps = (taps - 1 - first) / every + 1;
    const int64_t meets = (class + pad - (int64_t)first * dil) / stride;
    axis.first = (int)(meets - (int64_t)(axis.taps - 1) * axis.tap);
    axis.w = first + (axis.taps - 1) * every;
    axis.w_step = -every;
    return axis;
}

struct cvl_igemm_axis cvl_igemm_axis(const cvl_conv_desc *d, bool rows, int class)
{
    if (d->pass == CVL_BWD_DATA)
        return rows ? backward(d->h, cvl_conv_p(d), d->stride_h, d->dil_h, d->pad_top, d->r, class)
                    : backward(d->w, cvl_conv_q(d), d->stride_w, d->dil_w, d->pad_left, d->s, class);
    return rows ? (struct cvl_igemm_axis){ .count = cvl_conv_p(d), .taps = d->r, .first = -d->pad_top, .extent = d->h,
                                           .step = d->stride_h, .tap = d->dil_h, .out_step = 1, .w_step = 1 }
                : (struct cvl_igemm_axis){ .count = cvl_conv_q(d), .taps = d->s, .first = -d->pad_left,
                                           .step = d->stride_w, .tap = d->dil_w, .extent = d->w, .out_step = 1,
                                           .w_step = 1 };
}

void cvl_igemm_taps(const struct cvl_igemm_axis *axis, int t, int *first, int *last)
{
    cvl_tap_range(t, axis->step, axis->tap, -axis->first, axis->taps, axis->extent, first, last);
}

struct cvl_igemm_span cvl_igemm_span(const struct cvl_igemm_axis *axis, int count, bool by_tap)
{
    const int64_t shared = (int64_t)(count - 1) * axis->step + (int64_t)(axis->taps - 1) * axis->tap + 1;
    const int64_t apart = (int64_t)count * axis->taps;
    if (by_tap || axis->taps == 0 || apart < shared)
        return (struct cvl_igemm_span){ (int)apart, 1, count, true };
    return (struct cvl_igemm_span){ (int)shared, axis->step, axis->tap, false };
}
