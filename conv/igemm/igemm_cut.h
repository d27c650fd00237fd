/* SPDX-License-Identifier: Apache-2.0
 * How a data pass (or one residue class of BWD_DATA) is cut: by shape and knobs alone, never by the number of
 * threads. */
#ifndef CONV_IGEMM_IGEMM_CUT_H
#define CONV_IGEMM_IGEMM_CUT_H

#include "conv/igemm/igemm.h"

struct cvl_igemm_cut {
    struct cvl_igemm_axis rows, columns;         /* of one image; merged where the image allows it */
    int       images;
    ptrdiff_t in_image, in_row, in_column;       /* per element of the image that is read */
    ptrdiff_t out_image, out_row, out_column;    /* per position */
    ptrdiff_t out_first;                         /* offset of position (0,0) */
    enum cvl_igemm_lanes lanes;
    bool      in_place;                          /* tiles read the image itself */
    bool      planes;                            /* the band's order */
    int       block_rows, block_columns, row_blocks, column_blocks;
    int       chunk, chunks;                     /* input channels at a time */
    int       out_panels, out_blocks;            /* panels of a task; how many times */
    int       blocks, tasks_blocks, spread;      /* pixel blocks; of one task; tasks along them */
    struct cvl_igemm_span row_span, column_span; /* of a whole block */
    ptrdiff_t band_row, band_column, band_channel, band_floats;
    ptrdiff_t raw_floats;                        /* room to pack a raw filter into */
};

/* raw: the filter is packed on the way. */
struct cvl_igemm_cut cvl_igemm_cut(const struct cvl_igemm *igemm, int row_class, int column_class, bool raw);

/* Makes columns of all rows, and of all images, where a position reads itself alone and the strides allow it. */
void cvl_igemm_merge(struct cvl_igemm_cut *cut);

/* Tiles of `rows` by `vectors` that keep most sums in registers: returns the vectors of one, *height its most rows. */
int cvl_igemm_tile_shape(const struct cvl_gemm_kern *kern, int rows, int vectors, int *height);

#endif
