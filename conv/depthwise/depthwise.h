/* SPDX-License-Identifier: Apache-2.0
 * Inside of `depthwise`: the problem as panels of channels along the lanes, and what the files of this folder call of
 * each other. */
#ifndef CONV_DEPTHWISE_DEPTHWISE_H
#define CONV_DEPTHWISE_DEPTHWISE_H

#include "conv/algo.h"
#include "conv/axis.h"

#define CVL_DW_LANES 16          /* of the widest vector */

/* Lanes of channels: those of `out` from `first` on, in one group or in `groups` whole ones. */
struct cvl_dw_panel { int first, lanes, group, groups; };

/* FWD, or BWD_DATA with the roles of x and y exchanged, or BWD_FILTER with out: y. Channels are those of a group, one
 * of them 1. */
struct cvl_dw {
    const cvl_ctx       *ctx;
    const cvl_conv_desc *desc;
    struct cvl_variant   variant;
    int                  lanes;                  /* of a vector */
    int                  out_channels, in_channels;
    struct cvl_strides   out, in, w;
    ptrdiff_t            w_out, w_in, w_group;   /* the raw filter's strides */
    int                  panels;
    int                  panel_groups;           /* whole groups in a panel; 1: panels are cut within each group */
    bool                 looks_up;               /* more than one filter a channel: */
    int32_t              lookup[CVL_DW_LANES];   /* of a panel's groups, the lane of the input that each lane has */
};

enum cvl_dw_knob { CVL_DW_ROWS, CVL_DW_PANELS, CVL_DW_TURN };   /* turn: 1 columns along the lanes, 2 channels */

struct cvl_dw cvl_dw_of(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant);
struct cvl_dw_panel cvl_dw_panel_of(const struct cvl_dw *dw, int panel);

/* A packed filter: (panel, r, s, in_channels, lanes). */
size_t     cvl_dw_packed_floats(const struct cvl_dw *dw);
void       cvl_dw_pack(const struct cvl_dw *dw, const float *w, float *packed);

size_t     cvl_dw_filter_workspace(const struct cvl_dw *dw);   /* bytes */
cvl_status cvl_dw_filter(const struct cvl_dw *dw, const cvl_conv_args *args, void *workspace);

/* Of what `grouped` sums as well. */
double cvl_dw_tolerance(const cvl_conv_desc *desc, const struct cvl_variant *variant);

#endif
