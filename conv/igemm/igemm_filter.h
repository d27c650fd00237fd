/* SPDX-License-Identifier: Apache-2.0
 * How BWD_FILTER is cut: which operand gives the lanes, which channels and taps a task owns, how many pixels go by at a
 * time. By shape and knobs alone, never by the number of threads. */
#ifndef CONV_IGEMM_IGEMM_FILTER_H
#define CONV_IGEMM_IGEMM_FILTER_H

#include "conv/igemm/igemm_cut.h"

/* x or dy. Position (p,q) of dy meets tap (r,s) of x; dy has one tap. */
struct cvl_igemm_operand {
    bool        is_x;
    int         channels;                        /* of a group */
    int         block, blocks;                   /* channels of a task, how many times */
    ptrdiff_t   image, row, column, channel;     /* strides of its tensor */
    struct cvl_axis rows, columns;
    bool        packed, planes;                  /* else the tensor is read; [channel][pixel], else [pixel][channel] */
    int         width;                           /* channels that are packed at a time */
    ptrdiff_t   band_image, band_row, band_column, band_channel, floats;      /* packed */
};

struct cvl_igemm_filter_plan {
    const struct cvl_igemm  *igemm;
    struct cvl_igemm_cut     cut;                /* in is x, out is dy; rows, columns, images and blocks of them */
    struct cvl_igemm_operand rows, lanes;
    bool                     joined;             /* rows of a tile are (s, channel) */
    bool                     direct;             /* sums are kept in dw */
    int                      vectors, height;    /* of a tile */
    int                      tap_rows, tap_blocks;       /* rows of taps of a task, how many times */
    int                      shares;             /* of the filter */
    int                      block_images, image_blocks;
    int                      chunks, parts;
    ptrdiff_t                sums_floats;        /* of a share: (r, s, rows.block, lanes.block) */
};

struct cvl_igemm_filter_plan cvl_igemm_filter_plan(const struct cvl_igemm *igemm);

/* Some positions. */
struct cvl_igemm_chunk { int image, images, first_row, rows, first_column, columns; };
struct cvl_igemm_chunk cvl_igemm_chunk(const struct cvl_igemm_filter_plan *plan, int number);

/* From the tensor's first element to a channel of a chunk's first position, at tap (0,0): maybe outside. */
ptrdiff_t cvl_igemm_place(const struct cvl_igemm_operand *operand, const struct cvl_igemm_chunk *chunk, int channel);

/* Where tiles find an operand: data[at] is the first position at tap (0,0); step: to the next column, row, image. */
struct cvl_igemm_reach {
    const float *data;
    ptrdiff_t    at, step[3], tap_row, tap_column;
    ptrdiff_t    channel;
};

/* Channels [first, first + channels) of a chunk, which are copied into the band if they are to be packed. */
struct cvl_igemm_reach cvl_igemm_bring(const struct cvl_igemm_filter_plan *plan,
                                       const struct cvl_igemm_operand *operand, const float *data,
                                       const struct cvl_igemm_chunk *chunk, int first, int channels, float *band);

/* igemm_filter_kern.c: tiles of cvl_gemm_kern's shapes whose vectors follow one another and that end without bias or
 * activation. They also fetch what a later chunk reads into the second-level cache, one line in each
 * step of the reduction. */
struct cvl_igemm_next {
    const float *data;
    ptrdiff_t    step[3];                        /* loops as those of the tile */
};

struct cvl_igemm_filter_kern {
    void (*tile[CVL_TILE_VECTORS + 1])(const struct cvl_tile *tile, const struct cvl_igemm_next *next);
};

const struct cvl_igemm_filter_kern *cvl_igemm_filter_kern(enum cvl_isa isa);

/* igemm_turn_kern.c: the copy of cvl_gemm_kern, faster from every second column of planes, and from three planes. */
struct cvl_igemm_turn_kern { void (*copy)(const struct cvl_copy *copy); };
const struct cvl_igemm_turn_kern *cvl_igemm_turn_kern(enum cvl_isa isa);

#endif
