/* SPDX-License-Identifier: Apache-2.0
 * Inside of `igemm`: a pass as a correlation of one image with the filter, the cut of it into tasks, bands and tiles,
 * and what the files of this folder call of each other. */
#ifndef CONV_IGEMM_IGEMM_H
#define CONV_IGEMM_IGEMM_H

#include "conv/algo.h"
#include "conv/axis.h"
#include "gemm/tile.h"

enum cvl_igemm_knob { CVL_IGEMM_LANES, CVL_IGEMM_PIXELS, CVL_IGEMM_CHUNK, CVL_IGEMM_PACK };

/* What lies along the lanes of a tile: channels of what is written, or its pixels. 0 in a name: chosen by shape. */
enum cvl_igemm_lanes { CVL_IGEMM_CHANNELS = 1, CVL_IGEMM_COLUMNS = 2 };

/* Positions and taps of an axis in a band: position t (from the block's first) and tap j are at t*at_t + j*at_j. Either
 * neighbours share what they read, or (when that is smaller) every tap has its own run of positions. */
struct cvl_igemm_span {
    int  size;
    int  at_t, at_j;
    bool by_tap;
};
struct cvl_igemm_span cvl_igemm_span(const struct cvl_axis *axis, int count, bool by_tap);

/* A block of an image that is read, with zeros where its columns are padding, for one chunk of channels. */
struct cvl_igemm_band {
    const struct cvl_gemm_kern *kern;
    const float *image;                     /* of the first channel */
    ptrdiff_t    row, column, channel;      /* strides of the image */
    struct cvl_axis        rows, columns;
    struct cvl_igemm_span  row_span, column_span;
    int          first_row, row_count, first_column, column_count;   /* positions */
    int          channels;
    bool         planes;                    /* [channel][row][column], else [row][column][channel] */
    float       *to;
    ptrdiff_t    to_row, to_column, to_channel;
};
void cvl_igemm_fill(const struct cvl_igemm_band *band);

/* FWD, or BWD_DATA with the roles of x and y exchanged. Channels are those of a group. */
struct cvl_igemm {
    const cvl_ctx              *ctx;
    const cvl_conv_desc        *desc;
    const struct cvl_gemm_kern *kern;
    int                         out_channels, in_channels, taps;
    struct cvl_strides          out, in, w;
    ptrdiff_t                   w_out, w_in, w_group;    /* the raw filter's strides */
    int                         panels;                  /* of a group: lanes of out_channels */
    ptrdiff_t                   panel;                   /* floats of a packed one: (r, s, in_channels, lanes) */
    struct cvl_variant          variant;
};

struct cvl_igemm cvl_igemm_of(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant);

/* Panels [first, last) of a group, channels [channel, channel + channels), as (panel, r, s, channels, lanes); pitch:
 * from one panel to the next. */
struct cvl_igemm_panels {
    const float *w;
    float       *to;
    ptrdiff_t    pitch;
    int          group, first, last, channel, channels;
};
void cvl_igemm_pack_panels(const struct cvl_igemm *igemm, const struct cvl_igemm_panels *panels);
void cvl_igemm_pack(const struct cvl_igemm *igemm, const float *w, float *packed);

size_t     cvl_igemm_data_workspace(const struct cvl_igemm *igemm);     /* bytes */
cvl_status cvl_igemm_data(const struct cvl_igemm *igemm, const cvl_conv_args *args, void *workspace);
size_t     cvl_igemm_filter_workspace(const struct cvl_igemm *igemm);
cvl_status cvl_igemm_filter(const struct cvl_igemm *igemm, const cvl_conv_args *args, void *workspace);

#endif
