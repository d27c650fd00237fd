/* SPDX-License-Identifier: Apache-2.0
 * A data pass at work: what its files hand to each other. */
#ifndef CONV_IGEMM_IGEMM_DATA_H
#define CONV_IGEMM_IGEMM_DATA_H

#include "conv/igemm/igemm_cut.h"

#define CVL_IGEMM_LINE 16        /* floats of a line of the cache */

struct cvl_igemm_job {
    const struct cvl_igemm *igemm;
    struct cvl_igemm_cut    cut;
    const float            *in, *bias, *residual, *packed, *w;
    float                  *written;
    float                  *scratch;       /* of all slots */
    ptrdiff_t               slot_floats;
};

/* Runs of cache lines that the next block will read and write: tiles fetch them on the way. */
struct cvl_igemm_ahead { const float *from; ptrdiff_t lines; };

/* What a task has at hand in one chunk and block. */
struct cvl_igemm_block {
    const struct cvl_igemm_job *job;
    int               group, first_panel, panels;
    int               channel, channels;               /* of the chunk */
    int               image, first_row, rows, first_column, columns;
    const float      *a;                               /* what row 0, column 0 of the block reads at tap 0 */
    ptrdiff_t         a_row, a_column, a_channel;      /* from one position to the next */
    ptrdiff_t         a_tap_row, a_tap_column;
    const float      *b;                               /* the first panel */
    ptrdiff_t         b_panel, b_tap;                  /* from one panel, and from one tap to the next */
    float            *stage;
    struct cvl_igemm_ahead *ahead;                     /* two */
};

/* igemm_start.c: everything of a tile but its rows and lanes, and its way to a channel of the group. */
struct cvl_tile cvl_igemm_start(const struct cvl_igemm_block *block, const struct cvl_igemm_class *class, int row,
                                int column);
void            cvl_igemm_shift_channel(struct cvl_tile *tile, const struct cvl_igemm_block *block, int channel);

/* On to the next row, which meets the same taps; *image is the operand that is read from the image. */
static inline void cvl_igemm_next_row(const struct cvl_igemm_block *block, struct cvl_tile *tile, const float **image)
{
    *image += block->a_row;
    tile->out += block->job->cut.out_row;
    tile->add += tile->add ? block->job->cut.out_row : 0;
}

/* A tile's reduction before its loops were joined; count[1] are the taps of the columns. */
struct cvl_igemm_loops { int count[3]; ptrdiff_t a_step[3], b_step[3]; };

static inline struct cvl_igemm_loops cvl_igemm_loops(const struct cvl_tile *tile)
{
    struct cvl_igemm_loops loops;
    for (int i = 0; i < 3; i++) {
        loops.count[i] = tile->count[i];
        loops.a_step[i] = tile->a_step[i];
        loops.b_step[i] = tile->b_step[i];
    }
    return loops;
}

/* igemm_edge.c: a tile whose first row is position `position` of an axis, less its products with padding; one column
 * of `rows` rows that meet the same taps, given the tile of column 0, which is the better way where sums are short; and
 * the positions [first, end) that meet no padding. */
void cvl_igemm_edge_tile(const struct cvl_igemm_block *block, const struct cvl_tile *tile,
                         const struct cvl_igemm_loops *loops, const struct cvl_axis *columns, int position);
void cvl_igemm_edge_column(const struct cvl_igemm_block *block, const struct cvl_tile *tile,
                           const struct cvl_igemm_loops *loops, const struct cvl_axis *columns, int column, int rows);
bool cvl_igemm_is_short(int products, int vectors);     /* of a row of pixels that meets one tap less */
struct cvl_igemm_inner { int first, end; };
struct cvl_igemm_inner cvl_igemm_inner(const struct cvl_axis *axis);

/* igemm_zeros.c: writes the class if it is nothing but zeros, together with panels [first, first + panels), and says
 * whether it is. */
bool cvl_igemm_clear_zeros(const struct cvl_igemm_block *block, const struct cvl_igemm_class *class, int column_class,
                           int first, int panels);

/* Lanes are channels, or pixels. */
void cvl_igemm_multiply_channels(const struct cvl_igemm_block *block);
void cvl_igemm_multiply_columns(const struct cvl_igemm_block *block);

/* Positions of a class in the block; columns may be less than none. */
static inline int cvl_igemm_rows(const struct cvl_igemm_block *block, const struct cvl_igemm_class *class)
{
    return cvl_min(block->rows, class->rows.count - block->first_row);
}

static inline int cvl_igemm_columns(const struct cvl_igemm_block *block, const struct cvl_igemm_class *class)
{
    return cvl_min(block->columns, class->columns.count - block->first_column);
}

static inline int cvl_igemm_narrow(const struct cvl_gemm_kern *kern, int vectors)
{
    while (!kern->rows_max[vectors])
        vectors--;
    return vectors;
}

/* Vectors of the next tile: 3 and 1 would be slower than 2 and 2. */
static inline int cvl_igemm_take(const struct cvl_gemm_kern *kern, int widest, int left)
{
    return cvl_igemm_narrow(kern, widest > 2 && left == widest + 1 ? widest - 1 : cvl_min(widest, left));
}

#endif
