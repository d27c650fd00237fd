/* SPDX-License-Identifier: Apache-2.0
 * How a variant of im2col cuts a problem, and the run of its three passes. */
#ifndef CONV_IM2COL_PASSES_H
#define CONV_IM2COL_PASSES_H

#include "conv/algo.h"

enum cvl_im2col_knob { CVL_IM2COL_ROWS, CVL_IM2COL_PARTS };

#define CVL_IM2COL_PARTS_MAX 64

/* Follows from the problem and the knobs alone. */
struct cvl_im2col {
    bool lowered;          /* else x or dx is the matrix itself */
    int  images, pixels;   /* matrices that follow one another; of one. Pointwise NHWC: one matrix for all images */
    int  p, q;             /* of one image, when lowered */
    int  rows, bands;      /* output rows of a band, the last may have fewer; how many */
    int  taps;             /* c*r*s */
    int  parts;            /* tasks of one GEMM */
    int  spread;           /* images whose GEMMs run in one parallel loop */
};

struct cvl_im2col cvl_im2col_of(const cvl_conv_desc *desc, const struct cvl_variant *variant);

/* Rows, columns and products a sum of the GEMM of one group and band. */
void cvl_im2col_sizes(const cvl_conv_desc *desc, const struct cvl_im2col *im2col, int *m, int *n, int *k);

cvl_status cvl_im2col_run(const cvl_plan *plan, const cvl_conv_args *args, void *workspace);

#endif
