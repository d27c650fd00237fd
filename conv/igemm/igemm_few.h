/* SPDX-License-Identifier: Apache-2.0
 * BWD_DATA with few channels (an image's own gradient): the micro-kernel of igemm_few.c. */
#ifndef CONV_IGEMM_IGEMM_FEW_H
#define CONV_IGEMM_IGEMM_FEW_H

#include "conv/igemm/igemm.h"

#define CVL_FEW_CHANNELS 4
#define CVL_FEW_SIDES 2          /* residue classes of the columns */
#define CVL_FEW_VECTORS 8
#define CVL_FEW_CHUNK 32         /* channels of dy */

/* Sums of one row of dx: lanes are positions, each of them `sides` columns with `channels` each. */
struct cvl_few_tile {
    int          sides, channels, vectors;
    int          steps;                         /* channels of dy */
    int          taps, offsets;                 /* rows and columns of the band that are seen */
    const float *band;                          /* (ring row, steps, columns), the first position's first offset */
    ptrdiff_t    band_row, band_step;
    int          ring, row, row_step;           /* band row of tap j: (row + j*row_step) % ring */
    const float *w;                             /* (r, s, steps, channels) from the first tap's r on */
    ptrdiff_t    w_row, w_column;               /* w_row: from one tap to the next */
    struct cvl_few_side { int first, taps, w, w_step; } side[CVL_FEW_SIDES];   /* offset first+i: column w+i*w_step */
    const float *fetch;                         /* what is copied next: runs of fetch_lines cache lines, fetch_step */
    ptrdiff_t    fetch_step;                    /* apart, as many at a time as a chunk has channels */
    int          fetch_first, fetch_lines;      /* the first line of this tile */
    float       *out;                           /* runs of up to `limit` elements: one, or one for each channel */
    const float *add;                           /* laid out like out, or NULL */
    ptrdiff_t    out_channel;
    bool         by_channel;
    int          limit;
    const float *bias;                          /* (channels), or by pixels: repeated over a vector and more; or NULL */
    cvl_act      act;
    float        lo, hi;
};

struct cvl_few_kern {
    int    vectors_max[CVL_FEW_SIDES + 1][CVL_FEW_CHANNELS + 1];     /* sides, channels */
    void (*tile)(const struct cvl_few_tile *tile);
};

const struct cvl_few_kern *cvl_few_kern(enum cvl_isa isa);

/* igemm_few.c */
bool       cvl_igemm_is_few(const struct cvl_igemm *igemm);
size_t     cvl_igemm_few_packed(const struct cvl_igemm *igemm);      /* bytes */
size_t     cvl_igemm_few_workspace(const struct cvl_igemm *igemm);   /* bytes */
void       cvl_igemm_few_pack(const struct cvl_igemm *igemm, const float *w, float *packed);
cvl_status cvl_igemm_few(const struct cvl_igemm *igemm, const cvl_conv_args *args, void *workspace);

#endif
