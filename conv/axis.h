/* SPDX-License-Identifier: Apache-2.0
 * Where positions and taps meet. FWD and BWD_FILTER read x at p*stride + r*dil - pad. BWD_DATA reads y at
 * p = (h + pad - r*dil) / stride where that is whole: for one residue class of h mod stride these are every
 * (stride/g)-th tap, g = gcd(stride, dil), and p falls by dil/g from each to the next, so the taps are walked backwards
 * and p rises. Then all passes are the same strided sum. */
#ifndef CONV_AXIS_H
#define CONV_AXIS_H

#include "conv/desc.h"

/* One spatial axis of what is written (BWD_FILTER: of y), or one residue class of it: position t meets tap j at
 * coordinate first + t*step + j*tap of the image that is read, if that is inside of [0, extent). */
struct cvl_axis {
    int count, taps;
    int first, step, tap, extent;
    int out, out_step;           /* coordinate of position 0 in what is written, and from one position to the next */
    int w, w_step;               /* the filter's row or column at tap 0, and from one tap to the next, maybe negative */
};

/* Residue classes: BWD_DATA with stride 2 has two for each axis, whose taps differ; the other passes have one. */
int cvl_axis_classes(const cvl_conv_desc *desc, bool rows);
struct cvl_axis cvl_axis_of(const cvl_conv_desc *desc, bool rows, int class);

/* The taps [*first, *last) of position t that are inside. */
static inline void cvl_axis_taps(const struct cvl_axis *axis, int t, int *first, int *last)
{
    cvl_tap_range(t, axis->step, axis->tap, -axis->first, axis->taps, axis->extent, first, last);
}

/* An axis on which taps are neighbours: position t meets tap j at point origin + t*stride + j, of [0, extent), which is
 * coordinate x + point * x_step. With dilation an axis falls apart into several, one for each residue of t. */
struct cvl_slide {
    int count, taps;
    int origin, stride, extent;
    int x, x_step, out, out_step, w, w_step;
};
int cvl_slide_classes(const struct cvl_axis *axis);
struct cvl_slide cvl_slide_of(const struct cvl_axis *axis, int class);

static inline int cvl_min(int a, int b) { return a < b ? a : b; }
static inline int cvl_max(int a, int b) { return a > b ? a : b; }
static inline int cvl_divide_up(int a, int b) { return a / b + (a % b > 0); }   /* b > 0 */

/* The share of a dilated convolution's multiplications that meet the image: with a dilation of 24 and as much padding,
 * 0.57 at 65x65. Undilated, tiles at the edges cost what they leave out, and it is 1. */
double cvl_axis_inside(const cvl_conv_desc *desc);

#endif
