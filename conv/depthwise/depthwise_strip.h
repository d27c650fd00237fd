/* SPDX-License-Identifier: Apache-2.0
 * What one call of a kernel of `depthwise` writes. A strip, channels along the lanes: a run of columns that registers
 * hold, row after row. A band, columns along the lanes: a run of rows that registers hold, plane after plane and vector
 * after vector. Along the run an input is loaded once for up to seven taps. */
#ifndef CONV_DEPTHWISE_DEPTHWISE_STRIP_H
#define CONV_DEPTHWISE_DEPTHWISE_STRIP_H

#include "conv/depthwise/depthwise.h"

/* Position t meets tap j at point origin + t*stride + j*tap, of [0, extent); tap is 1 along the run. Elements from a
 * point, a tap, a position to the next. */
struct cvl_dw_axis {
    int       origin, stride, tap, extent, taps, count;
    ptrdiff_t x, w, out;
};

/* How sums become what is written. */
struct cvl_dw_finish {
    const float *residual;             /* where out is, or NULL */
    const float *bias;                 /* of the first channel, or NULL */
    cvl_act      act;
    float        lo, hi;
};

struct cvl_dw_strip {
    struct cvl_dw_axis   rows, columns;            /* columns.count <= tile */
    const float         *x;                        /* at point (0,0) of lane 0's channel */
    const float         *w;                        /* vectors: of tap (0,0) */
    float               *out;
    struct cvl_dw_finish finish;
    int                  lanes;
    int                  channels;                 /* that one output sums up, neighbours in x */
    ptrdiff_t            w_channel;
    const int32_t       *lookup;                   /* x's lane of each written one, of channel 0; NULL: the same lane */
    int                  x_lanes;                  /* that lookup refers to */
    ptrdiff_t            x_ahead, out_ahead;       /* elements to what is fetched for a later task; 0: nothing is */
};

struct cvl_dw_band {
    struct cvl_dw_axis   rows, columns;            /* columns.x: 1 */
    const float         *x, *w;                    /* at row point 0, column 0 of the first plane; its tap (0,0) */
    float               *out;
    struct cvl_dw_finish finish;
    int                  planes;                   /* neighbours in bias, and in w those of a panel of lanes */
    ptrdiff_t            w_panel;
    ptrdiff_t            x_plane, out_plane;
    int                  channels;                 /* that one output sums up */
    ptrdiff_t            x_channel, w_channel;
};

/* BWD_FILTER of a panel of planes: totals[tap, plane] += sum of dy * x. axis.out: from a row of dy to the next; axis.w:
 * from a tap's vector of totals to the next. */
struct cvl_dw_dual {
    struct cvl_dw_axis   rows, columns;
    const float         *x, *y;                    /* at point (0,0); at position (0,0) */
    ptrdiff_t            x_plane, y_plane;
    int                  planes;
    float               *totals;
};

/* to[point*lanes + lane] = from[lane*plane + point], zero in lanes past the last, and back. */
struct cvl_dw_turn {
    const float         *from;
    float               *to;
    ptrdiff_t            plane;
    int                  lanes, points;
    struct cvl_dw_finish finish;                   /* back alone: residual and activation, no bias */
};

/* One table each per ISA level. */
struct cvl_dw_strip_kern {
    int    lanes;
    int    tile;                                   /* columns of a strip, at most */
    void (*strip)(const struct cvl_dw_strip *strip);
};
/* Pairs of rows that a narrow plane may have (depthwise_narrow_kern.c). */
enum { CVL_DW_PAIRS = 16 };
struct cvl_dw_band_kern {
    void (*band)(const struct cvl_dw_band *band);
};
struct cvl_dw_dual_kern {
    void (*add)(const struct cvl_dw_dual *dual);
};
struct cvl_dw_turn_kern {
    void (*turn)(const struct cvl_dw_turn *turn);
    void (*turn_back)(const struct cvl_dw_turn *turn);
};

/* How a problem is done (depthwise_cut.c). */
struct cvl_dw_plan {
    const struct cvl_dw_strip_kern *strip;
    const struct cvl_dw_band_kern  *band;
    const struct cvl_dw_turn_kern  *turn;
    bool   bands;                                  /* else strips */
    bool   turns_in, turns_out;                    /* NCHW planes, into scratch and out of it */
    int    rows, panels, row_blocks, panel_blocks; /* in a task: positions of a residue class; how many tasks */
    bool   halved;                                 /* an even number of blocks of rows, the upper half walked up */
    int    in_rows, in_columns, out_rows, out_columns;   /* of what is turned at once */
    size_t scratch_floats;                         /* of a slot */
    bool   spreads;                                /* bands, of all residue classes at once (depthwise_spread_kern.c) */
    bool   quads;                                  /* strips, likewise (depthwise_quad_kern.c) */
    bool   ahead;                                  /* each task fetches what the next one reads */
};
int                cvl_dw_lanes(const cvl_ctx *ctx);
struct cvl_dw_plan cvl_dw_plan_of(const struct cvl_dw *dw);
double             cvl_dw_sum_seconds(const struct cvl_dw *dw);   /* an estimate */

/* Rows [first, last) that positions [first, last) of all residue classes read and write. */
struct cvl_dw_rows { int in_first, in_last, out_first, out_last; };
struct cvl_dw_rows cvl_dw_rows_of(const struct cvl_dw *dw, int first, int last);

/* What a plan keeps: each thread reads it in each run, and would wait for what another core had just written. */
struct cvl_dw_state {
    struct cvl_dw      dw;
    struct cvl_dw_plan plan;
};
cvl_status cvl_dw_sum(const struct cvl_dw_state *state, const cvl_conv_args *args, void *workspace);

#endif
