/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/axis.h"

static int greatest_divisor(int a, int b)
{
    while (b) {
        const int rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

int cvl_axis_classes(const cvl_conv_desc *desc, bool rows)
{
    if (desc->pass != CVL_BWD_DATA)
        return 1;
    return rows ? cvl_min(desc->stride_h, desc->h) : cvl_min(desc->stride_w, desc->w);
}

/* The last tap of a class meets the lowest p and comes first. */
static struct cvl_axis backward(int extent, int read, int stride, int dil, int pad, int taps, int class)
{
    const int g = greatest_divisor(stride, dil), every = stride / g;
    struct cvl_axis axis = { .count = (extent - 1 - class) / stride + 1, .step = 1, .tap = dil / g, .extent = read,
                             .out = class, .out_step = stride };
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

struct cvl_axis cvl_axis_of(const cvl_conv_desc *d, bool rows, int class)
{
    if (d->pass == CVL_BWD_DATA)
        return rows ? backward(d->h, cvl_conv_p(d), d->stride_h, d->dil_h, d->pad_top, d->r, class)
                    : backward(d->w, cvl_conv_q(d), d->stride_w, d->dil_w, d->pad_left, d->s, class);
    return rows ? (struct cvl_axis){ .count = cvl_conv_p(d), .taps = d->r, .first = -d->pad_top, .step = d->stride_h,
                                     .tap = d->dil_h, .extent = d->h, .out_step = 1, .w_step = 1 }
                : (struct cvl_axis){ .count = cvl_conv_q(d), .taps = d->s, .first = -d->pad_left, .step = d->stride_w,
                                     .tap = d->dil_w, .extent = d->w, .out_step = 1, .w_step = 1 };
}

int cvl_slide_classes(const struct cvl_axis *axis)
{
    if (axis->taps < 2 || axis->count == 0)
        return 1;
    return cvl_min(axis->count, axis->tap / greatest_divisor(axis->step, axis->tap));
}

struct cvl_slide cvl_slide_of(const struct cvl_axis *axis, int class)
{
    const int tap = axis->taps < 2 ? axis->step : axis->tap, apart = tap / greatest_divisor(axis->step, tap);
    const int64_t first = axis->first + (int64_t)class * axis->step;
    const int64_t lowest = (first % tap + tap) % tap;
    return (struct cvl_slide){
        .count = axis->count > class ? (axis->count - 1 - class) / apart + 1 : 0, .taps = axis->taps,
        .origin = (int)((first - lowest) / tap), .stride = (int)((int64_t)axis->step * apart / tap),
        .extent = lowest < axis->extent ? (int)((axis->extent - 1 - lowest) / tap) + 1 : 0,
        .x = (int)lowest, .x_step = tap, .out = axis->out + class * axis->out_step, .out_step = apart * axis->out_step,
        .w = axis->w, .w_step = axis->w_step,
    };
}

static double inside(int outputs, int stride, int dil, int pad, int taps, int extent)
{
    double met = 0;
    for (int i = 0; i < outputs; i++) {
        int first, last;
        cvl_tap_range(i, stride, dil, pad, taps, extent, &first, &last);
        met += last - first;
    }
    return dil > 1 && outputs > 0 ? met / outputs / taps : 1;
}

double cvl_axis_inside(const cvl_conv_desc *desc)
{
    return inside(cvl_conv_p(desc), desc->stride_h, desc->dil_h, desc->pad_top, desc->r, desc->h)
         * inside(cvl_conv_q(desc), desc->stride_w, desc->dil_w, desc->pad_left, desc->s, desc->w);
}
