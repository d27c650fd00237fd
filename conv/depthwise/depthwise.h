/* SPDX-License-Identifier: Apache-2.0
 * Inside of `depthwise` and `grouped`: what one call of a kernel sums, and what the files of this folder call of each
 * other.
 *
 * Two axes of the image play different parts. Along the slide a kernel holds a run of outputs in registers and walks the
 * inputs past them once for up to seven taps; along the cross axis it goes tap by tap. With channels along the lanes the
 * slide is the columns; with columns along the lanes it is the rows. */
#ifndef CONV_DEPTHWISE_DEPTHWISE_H
#define CONV_DEPTHWISE_DEPTHWISE_H

#include "conv/algo.h"
#include "conv/axis.h"

#define CVL_DW_LANES 16          /* of the widest vector */

/* What a vector of the image that is read holds. CHANNELS: a lane each of what is written. SHARED: whole groups, looked
 * up for each written lane. ONE: a channel of the one group that is written. Then columns, 1, 2 or more apart. */
enum cvl_dw_mode {
    CVL_DW_CHANNELS, CVL_DW_SHARED, CVL_DW_ONE, CVL_DW_COLUMNS, CVL_DW_COLUMNS_EVEN, CVL_DW_COLUMNS_APART, CVL_DW_MODES
};

/* Both kernels' view of the image that is read: x at slide point 0, cross tap 0, channel 0, lane 0. */
struct cvl_dw_window {
    enum cvl_dw_mode mode;
    const float   *x;
    ptrdiff_t      x_slide, x_cross, x_channel, x_lane;
    int            origin, stride, extent, taps;        /* as in cvl_slide */
    int            cross;                               /* taps of the cross axis */
    int            lane_first, lane_tap, lane_extent;   /* column of lane 0 under cross tap 0, and so on; COLUMNS only */
    int            channels;                            /* that one output sums up */
    int            lanes;                               /* of what is written (BWD_FILTER: of y) */
    int            x_lanes;                             /* that exist; not COLUMNS */
    const int32_t *lookup;                              /* SHARED: (lanes), for channel 0 */
};

/* out[t] = act(sum + bias + residual) for `count` outputs along the slide. */
struct cvl_dw_sum {
    struct cvl_dw_window window;
    const float *w;                    /* of tap 0 and channel 0: vectors, or with columns single elements */
    ptrdiff_t    w_slide, w_cross, w_channel;
    int          count;
    float       *out;
    const float *residual, *bias;      /* or NULL; bias: of all lanes, or with columns one */
    ptrdiff_t    out_slide, out_lane;
    cvl_act      act;
    float        lo, hi;
};

struct cvl_dw_kern {
    int    lanes;
    int    tile;                                         /* outputs that registers hold */
    void (*sum)(const struct cvl_dw_sum *sum);           /* count <= tile */
};

/* Lanes of channels: those of `out` from `first` on, in one group or in `groups` whole ones. */
struct cvl_dw_panel { int first, lanes, group, groups; };

/* FWD, or BWD_DATA with the roles of x and y exchanged, or BWD_FILTER with out: y. Channels are those of a group. */
struct cvl_dw {
    const cvl_ctx                   *ctx;
    const cvl_conv_desc             *desc;
    const struct cvl_dw_kern        *kern;
    struct cvl_variant  variant;
    bool                channels_last;
    int                 out_channels, in_channels;
    struct cvl_strides  out, in, w;
    ptrdiff_t           w_out, w_in, w_group;    /* the raw filter's strides */
    enum cvl_dw_mode    mode;                    /* of channels_last */
    int                 panels;
    int                 panel_groups;            /* whole groups in a panel; 1: panels are cut within each group */
    int32_t             lookup[CVL_DW_LANES];
};

enum cvl_dw_knob { CVL_DW_ROWS, CVL_DW_PANELS };

struct cvl_dw       cvl_dw_of(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant);
struct cvl_dw_panel cvl_dw_panel_of(const struct cvl_dw *dw, int panel);
struct cvl_dw_window cvl_dw_window_of(const struct cvl_dw *dw, const struct cvl_dw_panel *panel);

/* A packed filter: (panel, r, s, in_channels, lanes), for channels_last alone. */
size_t     cvl_dw_packed_floats(const struct cvl_dw *dw);
void       cvl_dw_pack(const struct cvl_dw *dw, const float *w, float *packed);

cvl_status cvl_dw_data(const struct cvl_dw *dw, const cvl_conv_args *args, void *workspace);
size_t     cvl_dw_filter_workspace(const struct cvl_dw *dw);   /* bytes */
cvl_status cvl_dw_filter(const struct cvl_dw *dw, const cvl_conv_args *args, void *workspace);

/* What the algorithms `depthwise` and `grouped` share. */
const char *cvl_dw_reject(const cvl_conv_desc *desc);
int        cvl_dw_variants(const cvl_ctx *ctx, const cvl_conv_desc *desc, struct cvl_variant *variants, int max);
double     cvl_dw_estimate(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant);
double     cvl_dw_tolerance(const cvl_conv_desc *desc, const struct cvl_variant *variant);
cvl_status cvl_dw_init(cvl_plan *plan);
cvl_status cvl_dw_pack_plan(const cvl_plan *plan, const cvl_conv_args *args, void *packed);
cvl_status cvl_dw_run(const cvl_plan *plan, const cvl_conv_args *args, void *workspace);

#endif
