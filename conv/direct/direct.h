/* SPDX-License-Identifier: Apache-2.0
 * Inside of `direct`: what direct.c decides, what its loops (direct_data.c, direct_filter.c) do with it, and the
 * kernels (direct_kern.c, one table per ISA level) that they call.
 *
 * All three passes are one thing: totals[t][lane] += sum over steps of a * b. A panel is up to kern->panel lanes of
 * what is written, a block is a panel times up to CVL_DIRECT_COUNT positions t, and a chunk is up to CVL_DIRECT_STEPS
 * steps, whose b has been copied so that the lanes of each step are contiguous. */
#ifndef CONV_DIRECT_DIRECT_H
#define CONV_DIRECT_DIRECT_H

#include "base/cpu.h"
#include "conv/algo.h"
#include "conv/desc.h"

#define CVL_DIRECT_COUNT 112
#define CVL_DIRECT_STEPS 128
#define CVL_DIRECT_PANEL_MAX 32
#define CVL_DIRECT_TASKS 16             /* blocks are made smaller until there are so many, if that is possible */
#define CVL_DIRECT_TASKS_MAX (1 << 20)  /* a task does several of more blocks than that */

struct cvl_direct_step { ptrdiff_t a, b; };   /* offsets of one product's factors, in elements */

struct cvl_direct_sum {
    float       *totals;          /* (count, kern->panel) */
    const float *a;               /* a[t*a_count + lane*a_lane + step.a] */
    ptrdiff_t    a_count, a_lane;
    const float *b;               /* b[lane + step.b] */
    const struct cvl_direct_step *steps;
    int          step_count, count, lanes;
};

struct cvl_direct_copy {          /* to[step][lane], the lanes filled up with zeros to a multiple of a vector */
    float       *to;
    const float *from;
    ptrdiff_t    from_step, from_lane;
    int          to_step, steps, lanes;
};

struct cvl_direct_finish {        /* out = act(totals + bias + residual) */
    const float *totals;          /* (count, kern->panel) */
    float       *out;
    const float *bias, *residual; /* or NULL; residual is laid out like out */
    ptrdiff_t    bias_lane, out_count, out_lane;
    int          count, lanes;
    cvl_act      act;
    float        lo, hi;
};

struct cvl_direct_kern {
    int    lanes;                 /* of a vector */
    int    panel;                 /* lanes of a panel */
    int    tile;                  /* positions that are summed in registers at a time */
    void (*broadcast)(const struct cvl_direct_sum *sum);   /* a is one number for all lanes: a_lane is not read */
    void (*lanewise)(const struct cvl_direct_sum *sum);    /* a has lanes too */
    void (*copy)(const struct cvl_direct_copy *copy);
    void (*finish)(const struct cvl_direct_finish *finish);
};

/* What lies along the lanes: channels of what is written, groups (when these have few channels), or image columns. */
enum cvl_direct_lanes { CVL_DIRECT_CHANNELS, CVL_DIRECT_GROUPS, CVL_DIRECT_COLUMNS };

/* One spatial axis, or one residue class of it: position t meets tap j at coordinate first + t*step + j*tap of the
 * image that is read, if that is inside of [0, extent). The strides are in elements. */
struct cvl_direct_axis {
    int       count, taps;
    int       first, step, tap, extent;
    ptrdiff_t in, in_step, in_tap;     /* in the image that positions and taps read: of (0,0), per position, per tap */
    ptrdiff_t out, out_step;           /* in the image that positions alone index: of position 0, per position */
    ptrdiff_t w, w_tap;                /* in the filter: of tap 0, per tap */
};

/* The image that is written (BWD_FILTER: y), the one that is read (BWD_FILTER: x), and the filter, in elements. */
struct cvl_direct_strides { struct cvl_strides out, in, w; };

/* Residue classes of an axis: BWD_DATA with stride 2 has two, whose taps differ; the other passes have one. */
int  cvl_direct_classes(const cvl_conv_desc *desc, bool rows);
struct cvl_direct_axis cvl_direct_axis(const cvl_conv_desc *desc, const struct cvl_direct_strides *strides, bool rows,
                                       int class);
/* Makes columns of all rows, and of all images, where one tap is inside at every position and the strides allow it. */
void cvl_direct_merge(int *images, ptrdiff_t image_in, ptrdiff_t image_out, struct cvl_direct_axis *rows,
                      struct cvl_direct_axis *columns);

/* The taps [*first, *last) of position t that are inside, and the positions of tap j. */
static inline void cvl_direct_taps(const struct cvl_direct_axis *axis, int t, int *first, int *last)
{
    const int begin = axis->first + t * axis->step, end = begin + (axis->taps - 1) * axis->tap;
    *first = 0;
    *last = axis->taps;
    if (begin < 0 || end >= axis->extent)
        cvl_tap_range(t, axis->step, axis->tap, -axis->first, axis->taps, axis->extent, first, last);
}
static inline void cvl_direct_positions(const struct cvl_direct_axis *axis, int j, int *first, int *last)
{
    cvl_tap_range(j, axis->tap, axis->step, -axis->first, axis->count, axis->extent, first, last);
}

/* One run, or one packing. */
struct cvl_direct_job {
    const struct cvl_direct_kern *kern;
    const cvl_conv_desc      *desc;
    enum cvl_direct_lanes     lanes;
    struct cvl_direct_strides strides;
    int                       out_channels, in_channels;   /* of one group; BWD_FILTER: k and c of one group */
    const float              *out_image, *in_image;        /* BWD_FILTER: y and x; else only in_image is read */
    const float              *filter;                      /* FWD and BWD_DATA; strides.w are its own, */
    const float              *packed;                      /* or those inside of a panel of this one; or NULL */
    float                    *written;
    const float              *bias, *residual;             /* or NULL */
};

/* Panels of what is written, each of these channels of a group being written (or summed) on its own. */
long long cvl_direct_panel_count(const struct cvl_direct_job *job, int channels);

/* A grid in blocks of at most `capacity` positions; with COLUMNS, of `capacity` rows and kern->panel columns. */
struct cvl_direct_cut { int rows, columns, row_blocks, column_blocks; };
struct cvl_direct_cut cvl_direct_cut(const struct cvl_direct_kern *kern, enum cvl_direct_lanes lanes, int rows,
                                     int columns, int capacity);

/* The lowest digit of *item, which counts from 0 to base - 1; the others move down. */
static inline int cvl_direct_take(long long *item, int base)
{
    const int digit = (int)(*item % base);
    *item /= base;
    return digit;
}
static inline int cvl_at_most(int value, int limit) { return value < limit ? value : limit; }
static inline int cvl_at_least(int value, int limit) { return value > limit ? value : limit; }

/* The filter's strides as the pass sees them: of a written channel, of a read one, of a group. */
struct cvl_direct_filter_strides { ptrdiff_t o, i, group; };
static inline struct cvl_direct_filter_strides cvl_direct_filter_strides(const struct cvl_direct_job *job)
{
    const ptrdiff_t k = job->strides.w.at[0], c = job->strides.w.at[1];
    return job->desc->pass == CVL_BWD_DATA
         ? (struct cvl_direct_filter_strides){ .o = c, .i = k, .group = job->in_channels * k }
         : (struct cvl_direct_filter_strides){ .o = k, .i = c, .group = job->out_channels * k };
}

/* Panels of a group; a packed one is (s, r, in_channels, pitch). */
int       cvl_direct_panels(const struct cvl_direct_job *job);
ptrdiff_t cvl_direct_packed_panel(const struct cvl_direct_job *job);   /* elements */
void      cvl_direct_use_packed(struct cvl_direct_job *job, const float *packed);
void      cvl_direct_pack(const cvl_ctx *ctx, const struct cvl_direct_job *job, float *packed);

void cvl_direct_data(const cvl_ctx *ctx, const struct cvl_direct_job *job);     /* FWD and BWD_DATA */
void cvl_direct_filter(const cvl_ctx *ctx, const struct cvl_direct_job *job);   /* BWD_FILTER */

#endif
