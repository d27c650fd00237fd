/* SPDX-License-Identifier: Apache-2.0
 * How a data pass is cut: by shape and knobs alone, never by the number of threads. */
#ifndef CONV_IGEMM_IGEMM_CUT_H
#define CONV_IGEMM_IGEMM_CUT_H

#include "conv/igemm/igemm.h"

#define CVL_IGEMM_STAGED_MOST 8      /* classes of the columns */

struct cvl_igemm_cut {
    struct cvl_axis rows, columns;         /* of one image; merged where the image allows it */
    int       row_classes, column_classes;       /* if several, rows and columns span what all of them see */
    int       images;
    ptrdiff_t in_image, in_row, in_column;       /* per element of the image that is read */
    ptrdiff_t out_image, out_row, out_column;    /* per position */
    ptrdiff_t out_first;                         /* offset of position (0,0) */
    enum cvl_igemm_lanes lanes;
    bool      in_place;                          /* tiles read the image itself */
    bool      staged;                            /* tiles leave their sums for whole rows to be written of them */
    bool      planes;                            /* the band's order */
    bool      by_plane;                          /* channels, some at a time, pass through whole blocks */
    int       block_rows, block_columns, row_blocks, column_blocks;
    int       chunk, chunks;                     /* input channels at a time */
    int       out_panels, out_blocks;            /* panels of a task; how many times */
    int       widest;                            /* vectors of a tile at most */
    int       blocks, tasks_blocks, spread;      /* pixel blocks; of one task; tasks along them */
    struct cvl_igemm_span row_span, column_span; /* of a whole block */
    ptrdiff_t band_row, band_column, band_channel, band_floats;
    ptrdiff_t raw_floats;                        /* room to pack a raw filter into */
    int       stage_columns;                     /* of each class */
    ptrdiff_t stage_floats;                      /* (pixel, channels of a tile) */
};

/* raw: the filter is packed on the way. */
struct cvl_igemm_cut cvl_igemm_cut(const struct cvl_igemm *igemm, bool raw);

/* igemm_classes.c: one pair of residue classes, relative to the cut. */
struct cvl_igemm_class {
    struct cvl_axis rows, columns;
    int       row, column;                       /* from where the cut's position reads to where the class's does */
    int       tap_rows, tap_columns;             /* in taps of the cut */
    ptrdiff_t out_first;
};

/* What all classes of an axis see; the axis itself if there is one class. */
struct cvl_axis cvl_igemm_union(const cvl_conv_desc *desc, bool rows);
struct cvl_igemm_class cvl_igemm_class(const struct cvl_igemm *igemm, const struct cvl_igemm_cut *cut, int row,
                                       int column);

/* Makes columns of all rows, and of all images, where a position reads itself alone and the strides allow it. */
void cvl_igemm_merge(struct cvl_igemm_cut *cut);

#endif
