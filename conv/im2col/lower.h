/* SPDX-License-Identifier: Apache-2.0
 * An image as a matrix of filter taps by output pixels, and back.
 *
 * A tap is a channel of the image and a place (r,s) of the filter. Taps of a group are in the order in which the filter
 * holds them (c,r,s for KCRS; r,s,c for KRSC and RSCK), groups one after the other; so group g's part of the matrix
 * meets group g's filter without either being reordered. The matrix lies [tap][pixel] for an NCHW image and
 * [pixel][tap] for NHWC: runs that are contiguous in the image stay contiguous. */
#ifndef CONV_IM2COL_LOWER_H
#define CONV_IM2COL_LOWER_H

#include "base/ctx.h"
#include "conv/desc.h"

/* Output rows [first, last) of one image. */
struct cvl_band {
    const cvl_conv_desc *desc;
    float               *image;    /* (c,h,w) or (h,w,c) of x or dx */
    float               *matrix;   /* c*r*s taps by (last - first)*q pixels */
    int                  first, last;
};

/* Writes the whole matrix: what each tap sees at each pixel, zero where that is padding. */
void cvl_lower(const cvl_ctx *ctx, const struct cvl_band *band);

/* The transpose of lowering: adds every element of the matrix to the image where its tap sees it. */
void cvl_col2im(const cvl_ctx *ctx, const struct cvl_band *band);

#endif
