/* SPDX-License-Identifier: Apache-2.0
 * BWD_FILTER at work: what its files hand to each other. */
#ifndef CONV_IGEMM_IGEMM_FILTER_STEP_H
#define CONV_IGEMM_IGEMM_FILTER_STEP_H

#include "conv/igemm/igemm_filter.h"

struct cvl_filter_job {
    struct cvl_igemm_filter_plan plan;
    const cvl_conv_args         *args;
    const struct cvl_igemm_filter_kern *kern;
    float                       *bands, *sums;
    ptrdiff_t                    slot_floats;    /* of the bands of a slot */
};

/* What a task owns of dw. */
struct cvl_filter_share { int group, first_row, rows, first_lane, lanes, first_tap, taps; };

/* Where the sums of a share are kept: dw, or its scratch memory. */
struct cvl_filter_target {
    float       *out;
    const float *residual;                       /* laid out like out, or NULL */
    ptrdiff_t    row, lane, tap_row, tap_column;
};

/* Where the next chunk begins: planes from their tensor's first element on, pixels from their place in this chunk. */
struct cvl_filter_ahead { ptrdiff_t rows, lanes; };

/* One pass of a chunk by a share. */
struct cvl_filter_step {
    const struct cvl_filter_job *job;
    struct cvl_filter_share      share;
    struct cvl_igemm_chunk       chunk;
    struct cvl_filter_target     target;
    bool                         first, last;    /* chunk of the share */
    struct cvl_filter_ahead      ahead;
    int                          tall, wide;     /* what has been fetched of the rows' operand, and of the lanes' */
};

/* igemm_filter_tiles.c: multiplies a chunk; the bands are those of the slot. */
void cvl_filter_pass_by(struct cvl_filter_step *step, float *rows_band, float *lanes_band);

#endif
