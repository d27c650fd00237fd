/* SPDX-License-Identifier: Apache-2.0
 * BWD_FILTER at work: what direct_filter.c, which cuts and writes the filter, and direct_filter_sum.c hand to each
 * other. */
#ifndef CONV_DIRECT_DIRECT_FILTER_H
#define CONV_DIRECT_DIRECT_FILTER_H

#include "conv/direct/direct.h"

struct cvl_direct_run {
    const struct cvl_direct_job *job;
    struct cvl_direct_axis rows, columns;
    int       images;
    struct cvl_direct_cut cut;                  /* of the pixels */
    int       positions, position_blocks;       /* lanes of channels: (r,s,c) of a block, and blocks */
    int       r_block, s_block, r_blocks, s_blocks;   /* other lanes: taps of a block, and blocks */
    long long items, grain;
};

struct cvl_direct_block {
    const struct cvl_direct_run *run;
    ptrdiff_t x, x_lane, y, y_lane, w, w_lane;  /* of the block's first channels; distances of lanes */
    int       lanes;
    int       t0, t1;                           /* lanes of channels: positions (r,s,c) */
    int       r0, r1, s0, s1;                   /* other lanes: taps */
    int       row0, row1, column0, column1;     /* the chunk of pixels */
    bool      copies;                           /* dy is brought together; else its rows are read where they are */
    struct cvl_direct_step steps[CVL_DIRECT_STEPS];
    _Alignas(64) float totals[CVL_DIRECT_COUNT * CVL_DIRECT_PANEL_MAX];
    _Alignas(64) float copied[CVL_DIRECT_STEPS * CVL_DIRECT_PANEL_MAX];
};

/* Totals of all images. */
void cvl_direct_sum_block(struct cvl_direct_block *block);
int  cvl_direct_totals_count(const struct cvl_direct_block *block);

#endif
