/* SPDX-License-Identifier: Apache-2.0
 * The micro-kernel: a tile of a matrix product that stays in registers while the whole reduction goes by.
 *
 *     out[i*out_row + j*out_lane] = act(sum over p of a(i,p) * b(p,j) + bias(i,j) + add(i,j))
 *
 * for `rows` values of i and vectors * lanes values of j. The reduction is three loops deep and both operands lie
 * wherever their strides say, so an image, a band of one with padding, or a packed panel serve alike:
 *     a(i,p) = a[i*a_row + p0*a_step[0] + p1*a_step[1] + p2*a_step[2]]      (broadcast)
 *     b(p,j) = b[j/lanes*b_vector + j%lanes + p0*b_step[0] + ...]           (whole vectors are read)
 * There is a kernel for every number of rows, so edges cost what they compute. A tile with more rows takes fewer
 * vectors: rows_max[vectors] says how many fit the registers. */
#ifndef GEMM_TILE_H
#define GEMM_TILE_H

#include "base/cpu.h"
#include "cvl/base.h"

#define CVL_TILE_ROWS 16
#define CVL_TILE_VECTORS 8
#define CVL_TILE_LANES 16        /* of the widest vector */

struct cvl_tile {
    int          rows, vectors;
    int          last;           /* lanes of the last vector that are stored: 1 to all */
    int          repeat;         /* tiles of so many rows, one below the other; 0 is 1 */
    int          count[3];       /* of the reduction, innermost loop first; 0: nothing is summed */
    const float *a, *b;
    ptrdiff_t    a_row, a_step[3], b_vector, b_step[3];
    ptrdiff_t    b_next;         /* from b to what later tiles read, for the second-level cache; or 0 */
    ptrdiff_t    b_next_vector;  /* and from one vector of that to the next; 0: only the first one is fetched */
    ptrdiff_t    b_next_repeat;  /* and from one tile to the next */
    float       *out;
    ptrdiff_t    out_row, out_lane;
    const float *add;            /* laid out like out: out itself, or a residual, or NULL */
    const float *bias;           /* bias[i*bias_row + j*bias_lane], or NULL */
    int          bias_row, bias_lane;   /* 1 and 0, or 0 and 1 */
    cvl_act      act;
    float        lo, hi;         /* of CVL_ACT_CLIP */
};

struct cvl_copy {                /* to[row*to_row + lane] = from[row*from_row + lane*from_lane] */
    float       *to;
    const float *from;
    ptrdiff_t    to_row, from_row, from_lane;
    int          rows, lanes;
};

struct cvl_gemm_kern {
    int    lanes;                                /* of a vector */
    int    rows_max[CVL_TILE_VECTORS + 1];       /* by vectors; 0: there is no such kernel */
    double load_slots, begin_slots;              /* multiply-adds in the time of a broadcast; that a tile takes */
    void (*tile[CVL_TILE_VECTORS + 1])(const struct cvl_tile *tile);
    void (*finish)(const struct cvl_tile *tile, const float *sums, ptrdiff_t sums_row);   /* all but the sum */
    void (*copy)(const struct cvl_copy *copy);        /* fast where from_row or from_lane is 1 */
    void (*zero)(float *to, ptrdiff_t to_row, int rows, int lanes);
};

const struct cvl_gemm_kern *cvl_gemm_kern(enum cvl_isa isa);

/* Joins loops of the reduction whose steps follow one another, so that the innermost one is as long as it can be. */
void cvl_tile_join(struct cvl_tile *tile);

/* On to what lies `rows` rows below. */
void cvl_tile_skip(struct cvl_tile *tile, int rows);

/* `rows` rows by tiles of nearly equal height; what lies along b_next is fetched once. The tile ends up below them. */
void cvl_tile_rows(const struct cvl_gemm_kern *kern, struct cvl_tile *tile, int rows);

/* How many vectors a tile should have that shares out `rows` by `vectors` of a product with so many steps. *slots,
 * unless NULL: about how long all of it takes, a multiply-add of a vector being one. */
int cvl_tile_shape(const struct cvl_gemm_kern *kern, int rows, int vectors, int steps, double *slots);

/* The same for tiles of at most so many vectors. */
double cvl_tile_slots(const struct cvl_gemm_kern *kern, int rows, int vectors, int steps, int widest);

#endif
