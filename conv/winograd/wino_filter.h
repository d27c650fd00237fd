/* SPDX-License-Identifier: Apache-2.0
 * Inside of `winograd`: BWD_FILTER, how it is cut, and what its files call of each other. */
#ifndef CONV_WINOGRAD_WINO_FILTER_H
#define CONV_WINOGRAD_WINO_FILTER_H

#include "conv/winograd/wino.h"

/* One of the two operands of the products; transformed it is (panel, point, tile, lane). */
struct cvl_wino_side {
    bool            is_x;
    int             channels;
    int             block, blocks;               /* channels of a task, how many times */
    ptrdiff_t       panel;                       /* stride of a panel, a vector of channels */
    struct cvl_wino wino;                        /* what cvl_wino_input needs */
};

/* The sums of a task are (point, channel of rows, channel of lanes). */
struct cvl_wino_filter {
    const cvl_ctx       *ctx;
    const cvl_conv_desc *desc;
    const struct cvl_gemm_kern *gemm;
    const struct cvl_wino_kern *kern;
    const struct cvl_wino_rows_kern *rows_kern;
    struct cvl_wino_side rows, lanes;            /* what is broadcast, and what lies along the lanes of a vector */
    struct cvl_strides   w;
    int                  points;
    int                  tiles, chunk, chunks;   /* tiles that are transformed and summed at a time */
    int                  parts, part_chunks;     /* sums of some chunks each, added up in order */
    bool                 staged;
    ptrdiff_t            s_row, s_point, s_floats;
    ptrdiff_t            slot_floats;
};

/* A task's channels, and the sums of one part. */
struct cvl_wino_share { int first_row, rows, first_lane, lanes; };

/* Adds the products of `tiles` transformed tiles of both sides to the sums, or begins them. */
struct cvl_wino_product { const float *rows, *lanes; float *sums; int tiles; bool first; };
void cvl_wino_filter_multiply(const struct cvl_wino_filter *filter, const struct cvl_wino_share *share,
                              const struct cvl_wino_product *product);

/* dw of a share; scratch of cvl_wino_filter_scratch floats. */
ptrdiff_t cvl_wino_filter_scratch(const struct cvl_wino_filter *filter);
void      cvl_wino_filter_inverse(const struct cvl_wino_filter *filter, const struct cvl_wino_share *share,
                                  const cvl_conv_args *args, const float *sums, float *scratch);

/* The axes of both sides, which share a tile; false: there is none. */
bool       cvl_wino_filter_axes(const cvl_conv_desc *desc, const struct cvl_variant *variant, struct cvl_wino *x,
                                struct cvl_wino *y);
/* CVL_ENOTFOUND: there are no such tiles. */
cvl_status cvl_wino_filter_cut(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant,
                               struct cvl_wino_filter *filter);
int        cvl_wino_filter_shares(const struct cvl_wino_filter *filter);         /* blocks of channels, of both sides */
double     cvl_wino_filter_cycles(const struct cvl_wino_filter *filter);         /* like cvl_wino_cycles */
size_t     cvl_wino_filter_workspace(const struct cvl_wino_filter *filter);     /* bytes */
cvl_status cvl_wino_filter_run(const struct cvl_wino_filter *filter, const cvl_conv_args *args, void *workspace);

/* What conv/algo.h asks of this pass. The plan's state is a struct cvl_wino_filter. */
const char *cvl_wino_filter_reject(const cvl_ctx *ctx, const cvl_conv_desc *desc);
double      cvl_wino_filter_tolerance(const cvl_conv_desc *desc, const struct cvl_variant *variant);
cvl_status  cvl_wino_filter_init(cvl_plan *plan);

#endif
