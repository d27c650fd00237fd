/* SPDX-License-Identifier: Apache-2.0
 * Inside of `winograd`: a data pass as a tiled correlation, how it is cut, and what the files of this folder call of
 * each other. A block of tiles is (point, tile, channel) once transformed, its products are (point, tile, out channel),
 * and the transformed filter is (point, panel, channel, lane). */
#ifndef CONV_WINOGRAD_WINO_H
#define CONV_WINOGRAD_WINO_H

#include "conv/algo.h"
#include "conv/axis.h"
#include "gemm/tile.h"
#include "conv/winograd/wino_matrices.h"

enum cvl_wino_knob { CVL_WINO_M, CVL_WINO_TILES, CVL_WINO_STAGED, CVL_WINO_POINTS };

#define CVL_WINO_T_MAX 10          /* points of an axis */
#define CVL_WINO_PHASES_MAX 4

/* ---- wino_kern.c, one table per ISA level ---- */

/* One-dimensional transforms of vectors: element j of line i is from[i*from_line + j*from_point]. */
struct cvl_wino_lines {
    int          f;                        /* which F(m,r): its place in WINO_ALL */
    int          lines;
    const float *from;
    ptrdiff_t    from_line, from_point;
    ptrdiff_t    from_ahead;               /* from what is read to what will be read soon, to be fetched; or 0 */
    float       *to;
    ptrdiff_t    to_line, to_point;
};

/* What follows on the last transform of all. */
struct cvl_wino_finish {
    const float *bias;                     /* one vector, or NULL */
    const float *add;                      /* laid out like `to`, or NULL */
    bool         clip;
    float        lo, hi;
    ptrdiff_t    ahead;                    /* from what is written to what will be soon, to be fetched */
};

struct cvl_wino_kern {
    void (*input)(const struct cvl_wino_lines *lines);     /* B^T: t -> t elements; may be in place, like all of them */
    void (*filter)(const struct cvl_wino_lines *lines);    /* G: r -> t */
    void (*output)(const struct cvl_wino_lines *lines);    /* A^T: t -> m */
    void (*finish)(const struct cvl_wino_lines *lines, const struct cvl_wino_finish *finish);   /* A^T, and the rest */
};

const struct cvl_wino_kern *cvl_wino_kern(enum cvl_isa isa);

/* ---- wino_rows_kern.c, likewise ---- */

/* Rows of an image whose columns lie side by side, or two apart, and a strip of (row, column, lane). */
struct cvl_wino_rows {
    int          rows, columns, lanes;     /* lanes: channels that there are, at most a vector's */
    float       *strip;
    ptrdiff_t    strip_row;
    const float *from;                     /* of the image: gathered */
    float       *to;                       /* or scattered */
    ptrdiff_t    row, column, lane;        /* its strides; column is 1, or 2 where it is gathered */
    ptrdiff_t    ahead;                    /* from what is read or written to what will be soon, to be fetched */
};

/* Rows and columns of a strip, of one phase, that are inside of the image. */
struct cvl_wino_frame { int top, bottom, left, right; };

/* A whole strip of (row, column, lane) whose lanes are channels of several phases; zero outside of their frames. */
struct cvl_wino_mixed {
    int          rows, columns, runs;
    struct cvl_wino_run {
        int                   lanes;
        struct cvl_wino_frame frame;
        const float          *from;        /* its first element, unless it is empty */
    }            run[CVL_WINO_PHASES_MAX];
    float       *strip;
    ptrdiff_t    row, column, lane, ahead; /* as above */
};

struct cvl_wino_rows_kern {
    void (*gather)(const struct cvl_wino_rows *rows);
    void (*gather_mixed)(const struct cvl_wino_mixed *mixed);
    void (*scatter)(const struct cvl_wino_rows *rows, const struct cvl_wino_finish *finish);   /* less its `ahead` */
};

const struct cvl_wino_rows_kern *cvl_wino_rows_kern(enum cvl_isa isa);

/* ---- wino_cut.c, wino_choice.c ---- */

/* One spatial axis. With a stride the image is taken apart: phase i reads every stride-th element from i on, and has
 * every stride-th tap; where its taps are one fewer than r, its filter is zero at infinity, the last point. */
struct cvl_wino_axis {
    int f, m, r, t;
    int span;                      /* elements that a tile reads: t, or m of the gradient dy */
    int stride, phases;
    int taps;                      /* of all phases together */
    int pad, extent;               /* tile i, point j, phase h: element (i*m + j)*stride + h - pad of [0, extent) */
    int out, tiles;
};

/* The reduction of a point: its channels are those of some consecutive phases. */
struct cvl_wino_point {
    int       first, count;
    ptrdiff_t u, pitch;            /* of its first panel in the packed filter, and from one to the next */
};

/* How a reduction is summed where the transforms magnify rounding by up to `amplification`: so many steps at most make
 * one sum, and so many sums at least are added. */
struct cvl_wino_parts { double amplification; int steps, least; };

struct cvl_wino {
    const cvl_ctx              *ctx;
    const cvl_conv_desc        *desc;
    const struct cvl_gemm_kern *gemm;
    const struct cvl_wino_kern *kern;
    const struct cvl_wino_rows_kern *rows_kern;
    void                      (*transform)(const struct cvl_wino_lines *lines);     /* of what is read */
    struct cvl_wino_axis        rows, columns;
    struct cvl_strides          in, out, w;
    int                         lanes;
    int                         in_channels, out_channels;      /* in_channels: of one phase */
    int                         phases;
    int                         phase_row[CVL_WINO_PHASES_MAX], phase_column[CVL_WINO_PHASES_MAX];
    int                         vectors, panels;                /* of all phases' channels; of out_channels */
    int                         points;
    struct cvl_wino_point       point[CVL_WINO_T_MAX * CVL_WINO_T_MAX];
    ptrdiff_t                   u_floats;                       /* the packed filter */
    const struct cvl_wino_parts *parts;

    int                         tiles;                          /* of all images */
    int                         block, blocks;                  /* tiles of a task */
    int                         segment;                        /* tiles of a row that are transformed together */
    int                         group, groups;                  /* panels that are multiplied, then transformed */
    bool                        staged;
    ptrdiff_t                   v_tile, v_point, v_floats;      /* strides of the transformed tiles */
    ptrdiff_t                   m_tile, m_point, m_floats;      /* and of the products */
    ptrdiff_t                   strip_floats;                   /* scratch of either transform */
};

cvl_status cvl_wino_cut(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant,
                        struct cvl_wino *wino);

/* Of rounding errors by a candidate's tile. */
double cvl_wino_amplification(const cvl_conv_desc *desc, const struct cvl_variant *variant);

/* About how many cycles a run takes on one thread, a multiply-add of a vector being one. */
double cvl_wino_cycles(const struct cvl_wino *wino);

/* Of a transform of one line of vectors: its place in operations[], the vectors that it loads and stores. */
double cvl_wino_line_cycles(const struct cvl_wino_axis *axis, int matrix, int in, int out);

/* How many tiles of a row are transformed together where columns lie side by side, or channels; and their scratch. */
void cvl_wino_set_segment(struct cvl_wino *wino, bool by_channel);

/* A run of tiles of one row of one image. */
struct cvl_wino_segment { int image, row, column, tiles; };
struct cvl_wino_segment cvl_wino_segment(const struct cvl_wino *wino, int tile, int last);

/* Elements from a run to the one that comes after it, beside it or below at the left, when tiles are so far apart. */
ptrdiff_t cvl_wino_ahead(const struct cvl_wino *wino, const struct cvl_wino_segment *segment, ptrdiff_t row,
                         ptrdiff_t column);

/* ---- wino_pack.c, wino_tiles.c, wino_run.c ---- */

ptrdiff_t cvl_wino_pack_scratch(const struct cvl_wino *wino);   /* floats */
void      cvl_wino_pack(const struct cvl_wino *wino, const float *w, float *packed, float *scratch);

/* Channel vectors [first, last) of a segment into v, which is where the first vector of its first tile goes. */
struct cvl_wino_input { const float *image; float *v, *strip; int first, last; };
void cvl_wino_input(const struct cvl_wino *wino, const struct cvl_wino_segment *segment,
                    const struct cvl_wino_input *input);

/* Panels [first, last) of a segment from m, where the first tile's products of panel `first` are. */
struct cvl_wino_output { const float *m, *bias, *residual; float *written, *strip; int first, last; };
void cvl_wino_output(const struct cvl_wino *wino, const struct cvl_wino_segment *segment,
                     const struct cvl_wino_output *output);

/* An activation that cvl_wino_finish can do, and what it is there. */
bool                   cvl_wino_is_simple(const cvl_epilogue *epi);
struct cvl_wino_finish cvl_wino_finish_of(const cvl_epilogue *epi);

size_t     cvl_wino_workspace(const struct cvl_wino *wino);     /* bytes */
cvl_status cvl_wino_run(const struct cvl_wino *wino, const cvl_conv_args *args, void *workspace);

/* Seconds, of a candidate that there is; else infinity. */
double cvl_wino_estimate(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant);

/* A pass as the choice of candidates sees it: `fewer` is what knob `tiles` of a smaller block would be, or 0. */
struct cvl_wino_pass {
    double (*estimate)(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant);
    int    (*fewer)(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant);
};
extern const struct cvl_wino_pass cvl_wino_data_pass, cvl_wino_filter_pass;

/* Candidates worth measuring, best guess first. */
int cvl_wino_variants(const struct cvl_wino_pass *pass, const cvl_ctx *ctx, const cvl_conv_desc *desc,
                      struct cvl_variant *variants, int max);

static inline int cvl_wino_even(int total, int part) { return cvl_divide_up(total, cvl_divide_up(total, part)); }
static inline ptrdiff_t cvl_wino_round(ptrdiff_t value) { return (value + 15) / 16 * 16; }

/* A stride of an odd number of cache lines: neighbours do not fall on the same sets. */
static inline ptrdiff_t cvl_wino_odd_lines(ptrdiff_t floats)
{
    return cvl_wino_round(floats) + (cvl_wino_round(floats) / 16 % 2 ? 0 : 16);
}

#endif
