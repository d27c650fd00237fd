/* SPDX-License-Identifier: Apache-2.0
 * Inside of `grouped`, and of the filter pass of `depthwise`: several groups share a vector.
 *
 * A unit is the groups whose channels lie along the lanes of one vector, or one larger group with vectors of its own. A
 * band is the rows of a unit's channels that a task works on: as they lie in the image, or brought into workspace,
 * where a point is `pitch` floats and its neighbour the next. Kernels see a tile of outputs, two rows of up to seven
 * columns, and walk the inputs past it. */
#ifndef CONV_DEPTHWISE_GROUPED_H
#define CONV_DEPTHWISE_GROUPED_H

#include "conv/algo.h"
#include "conv/axis.h"

#define CVL_GROUP_LANES 16       /* of the widest vector */
#define CVL_GROUP_COLUMNS 7      /* of a tile of outputs */

/* What an input is: a vector whose lanes look up their group's channel; one channel for all lanes; a channel a lane. */
enum cvl_group_mode { CVL_GROUP_SHARED, CVL_GROUP_ONE, CVL_GROUP_EACH };

/* One axis of a tile: position t meets tap j at point origin + t*stride + j, of [0, extent). */
struct cvl_group_axis {
    int       origin, stride, extent, taps, count;
    ptrdiff_t x, w, out;         /* from a point, a tap (of totals too), a position to the next; BWD_FILTER: out is y */
};

/* Inputs that walk past a band of outputs. */
struct cvl_group_walk {
    enum cvl_group_mode   mode;
    struct cvl_group_axis rows, columns;
    const float          *x;                   /* at point (0, 0), channel 0 */
    ptrdiff_t             x_channel, w_channel;
    ptrdiff_t             w_panel;             /* to the weights of the next vector of outputs */
    int                   channels;            /* that one output sums up */
    int                   lanes;               /* of the outputs that are stored */
    const int32_t        *lookup;              /* SHARED: (lanes), for channel 0 */
};

/* What is written is act(sum + bias + residual). */
struct cvl_group_finish {
    const float *bias;           /* of lane 0, or NULL */
    cvl_act      act;
    float        lo, hi;
};

/* to[point*to_point + lane] = from[point*from_point + lane*from_lane]; one of the latter is 1. Whole vectors are
 * written, with zeros in lanes past the last. */
struct cvl_group_bring {
    float       *to;
    const float *from;
    ptrdiff_t    to_point, from_point, from_lane;
    int          points, lanes;
};

/* A band of points of whole vectors that is brought while its first rows are summed up. (What is moved on lies apart:
 * neighbours are put together in a vector, to be stored, and that waits in line with the products.) */
struct cvl_group_ahead {
    const float *from;
    ptrdiff_t    from_point;
    float       *to;
    int          lanes;                /* of a point, and from one to the next in `to` */
    int          left, each;           /* points: that are to be brought, with each channel of a tile */
    int          columns;              /* points of a row */
};

struct cvl_group_sum {
    struct cvl_group_walk   walk;
    struct cvl_group_ahead *ahead;      /* is moved on */
    const float            *w;          /* vectors, of tap (0, 0) and channel 0 */
    float                  *out;        /* lanes are neighbours */
    const float            *residual;   /* or NULL */
    struct cvl_group_finish finish;
};

/* totals[tap, channel] += sum over the band of y * x, lane by lane. */
struct cvl_group_filter {
    struct cvl_group_walk walk;
    const float          *y;
    float                *totals;       /* vectors, where the walk's w strides say */
};

/* The way back: to[point*to_point + lane*to_lane] = act(from + bias + residual); one of the two is 1. */
struct cvl_group_spread {
    float                  *to;
    const float            *from, *residual;   /* residual: laid out like `to`, or NULL */
    ptrdiff_t               to_point, to_lane, from_point;
    int                     points, lanes;     /* lanes: up to a vector's */
    struct cvl_group_finish finish;
};

/* Goes down to the next rows of outputs. */
static inline void cvl_group_next_rows(struct cvl_group_sum *s, int rows)
{
    s->walk.rows.origin += rows * s->walk.rows.stride;
    s->walk.rows.count -= rows;
    s->out += rows * s->walk.rows.out;
    s->residual = s->residual ? s->residual + rows * s->walk.rows.out : NULL;
}

struct cvl_group_kern {
    int    lanes, rows, columns;                     /* of a tile */
    void (*sum)(struct cvl_group_sum *sum);          /* is moved on */
};
struct cvl_group_move {
    void (*bring)(const struct cvl_group_bring *bring);
    void (*spread)(const struct cvl_group_spread *spread);
};
struct cvl_group_filter_kern {
    void (*add)(struct cvl_group_filter *filter);    /* is moved on */
};

/* FWD, or BWD_DATA with the roles of x and y exchanged, or BWD_FILTER with out: y. Channels are those of a group. */
struct cvl_group {
    const cvl_ctx                      *ctx;
    const cvl_conv_desc                *desc;
    const struct cvl_group_kern        *kern;
    const struct cvl_group_kern        *quad;    /* sums all residue classes at once; or NULL */
    const struct cvl_group_kern        *pair;    /* sums two panels at once; or NULL */
    const struct cvl_group_filter_kern *filter_kern;
    const struct cvl_group_move        *move;
    const int          *knob;
    enum cvl_group_mode mode;
    int                 out_channels, in_channels;
    struct cvl_strides  out, in, w;
    ptrdiff_t           w_out, w_in;             /* the raw filter's strides */
    bool                in_last, out_last;       /* channels are neighbours */
    bool                whole;                   /* no panel has lanes that are not used */
    int                 unit_groups, units, panels;   /* panels: vectors of outputs, in a unit */
    int                 row_classes, column_classes;  /* residue classes of what is written */
    struct cvl_axis     rows, columns;           /* the first of them, often the only ones, */
    struct cvl_slide    row_slide, column_slide; /* and their first slides */
    int                 pitch;                   /* floats of a brought point */
    int32_t             lookup[CVL_GROUP_LANES];
};

/* ROWS: positions of a task's band. BRING: CVL_GROUP_IN_PLACE, CVL_GROUP_BROUGHT. 0: chosen. */
enum cvl_group_knob { CVL_GROUP_ROWS, CVL_GROUP_BRING };
enum { CVL_GROUP_IN_PLACE = 1, CVL_GROUP_BROUGHT };

struct cvl_group cvl_group_of(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant);

/* Residue classes, and slides of them. The first ones are known: a task of a few thousand products asks often. */
static inline struct cvl_axis cvl_group_axis_of(const struct cvl_group *group, bool rows, int class)
{
    return class > 0 ? cvl_axis_of(group->desc, rows, class) : rows ? group->rows : group->columns;
}
static inline struct cvl_slide cvl_group_slide_of(const struct cvl_group *group, bool rows, int class, int slide)
{
    if (class == 0 && slide == 0)
        return rows ? group->row_slide : group->column_slide;
    const struct cvl_axis axis = cvl_group_axis_of(group, rows, class);
    return cvl_slide_of(&axis, slide);
}

/* Groups of a unit, the last of which may have fewer. */
static inline int cvl_group_count(const struct cvl_group *group, int unit)
{
    return cvl_min(group->unit_groups, group->desc->groups - unit * group->unit_groups);
}

/* Lanes that are used of a panel of a unit. */
static inline int cvl_group_panel_lanes(const struct cvl_group *group, int unit, int panel)
{
    const int lanes = group->kern->lanes;
    return cvl_max(0, cvl_min(lanes, cvl_group_count(group, unit) * group->out_channels - panel * lanes));
}

/* Rows [first, first + count) of the image that is read, which positions [from, to) of its classes meet. */
struct cvl_group_band { int first, count; };
struct cvl_group_band cvl_group_band_of(const struct cvl_group *group, int from, int to);

bool   cvl_group_may_stay(const struct cvl_group *group);        /* x can be read where it lies */
bool   cvl_group_brings(const struct cvl_group *group);          /* and is not */
size_t cvl_group_band_floats(const struct cvl_group *group, int rows);   /* of a brought band, the largest */
struct cvl_group_bring cvl_group_bring_of(const struct cvl_group *group, const float *x, int image, int unit,
                                          const struct cvl_group_band *band, float *to);

/* Positions that a task's band has where there are `tasks` without cutting it, and one takes so many floats. */
int    cvl_group_band_rows(const struct cvl_group *group, int positions, int tasks, double floats);

/* Fills in x's side of a walk, its strides those of coordinates. brought: the band of that unit, or NULL. (Walks are
 * filled in field by field where they stay: a copy by vectors of what was just stored waits until the stores before it
 * are through, products and all; a task has few tiles, and such copies were 3 % of it.) */
void cvl_group_walk_of(const struct cvl_group *group, const float *x, int image, int unit,
                       const struct cvl_group_band *band, const float *brought, struct cvl_group_walk *walk);

/* Turns strides of coordinates into those of a slide from position `first` on, and moves the pointers there. */
struct cvl_group_moves { ptrdiff_t x, w, out; };
struct cvl_group_moves cvl_group_use(struct cvl_group_axis *axis, const struct cvl_slide *slide, int first, int count);

/* Positions of a slide class of the axis between these of the axis itself. */
struct cvl_group_run { int first, last; };
struct cvl_group_run cvl_group_run_of(const struct cvl_axis *axis, const struct cvl_slide *slide, int from, int to);

/* A packed filter: (unit, panel, in_channels, r, s, lanes). */
size_t     cvl_group_packed_floats(const struct cvl_group *group);
void       cvl_group_pack(const struct cvl_group *group, const float *w, float *packed);

size_t     cvl_group_data_floats(const struct cvl_group *group);      /* of workspace, without a packed filter */
void       cvl_group_data(const struct cvl_group *group, const cvl_conv_args *args, const float *packed,
                          float *workspace);
size_t     cvl_group_filter_floats(const struct cvl_group *group);
void       cvl_group_filter(const struct cvl_group *group, const cvl_conv_args *args, float *workspace);

#endif
