/* SPDX-License-Identifier: Apache-2.0
 * How BWD_DATA with few channels is cut into tasks and rings; igemm_few.c does the work. */
#ifndef CONV_IGEMM_IGEMM_FEW_CUT_H
#define CONV_IGEMM_IGEMM_FEW_CUT_H

#include "conv/igemm/igemm_few.h"

struct cvl_few {
    const struct cvl_igemm    *igemm;
    const struct cvl_few_kern *kern;
    struct cvl_axis            side[CVL_FEW_SIDES];
    int       sides, first, offsets;             /* columns of dy, relative to the position: first, ... */
    int       lead;                              /* columns before the band, so that copies of whole rows are aligned */
    int       top, ring;                         /* rows of dy, relative to the position of class 0: top, ... */
    int       columns, column_blocks;            /* positions of a block */
    int       rows, row_blocks;                  /* positions of a task; each has a row of every class */
    int       row_count, column_count;
    ptrdiff_t band_row, band_step, slot_floats;
    const float *dy, *w, *residual, *bias;
    float    *dx, *bands;
};

struct cvl_few cvl_igemm_few_cut(const struct cvl_igemm *igemm);

#endif
