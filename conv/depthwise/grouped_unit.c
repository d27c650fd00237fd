/* SPDX-License-Identifier: Apache-2.0
 * Units of groups: which channels share a vector, where their band lies, and their packed filter. */
#include "base/threads.h"
#include "conv/depthwise/grouped.h"

#include <string.h>

#define DECLARE(level) \
    extern const struct cvl_group_kern cvl_group_kern_##level, cvl_group_quad_kern_##level, \
                                       cvl_group_pair_kern_##level; \
    extern const struct cvl_group_move cvl_group_move_##level; \
    extern const struct cvl_group_filter_kern cvl_group_filter_kern_##level;
CVL_ISA_LIST(DECLARE)
#define ENTRY(level) &cvl_group_kern_##level,
#define QUAD_ENTRY(level) &cvl_group_quad_kern_##level,
#define PAIR_ENTRY(level) &cvl_group_pair_kern_##level,
#define MOVE_ENTRY(level) &cvl_group_move_##level,
#define FILTER_ENTRY(level) &cvl_group_filter_kern_##level,
static const struct cvl_group_kern *const kerns[] = { CVL_ISA_LIST(ENTRY) };
static const struct cvl_group_kern *const quad_kerns[] = { CVL_ISA_LIST(QUAD_ENTRY) };
static const struct cvl_group_kern *const pair_kerns[] = { CVL_ISA_LIST(PAIR_ENTRY) };
static const struct cvl_group_move *const moves[] = { CVL_ISA_LIST(MOVE_ENTRY) };
static const struct cvl_group_filter_kern *const filter_kerns[] = { CVL_ISA_LIST(FILTER_ENTRY) };

enum { BAND_FLOATS = 24 << 10, POINT_FLOATS = 128, TASKS = 16 };

/* Whole pairs of vectors of one group that lie together, and three taps in each direction. */
static bool has_pairs(const struct cvl_group *group)
{
    const cvl_conv_desc *desc = group->desc;
    const bool strided = desc->stride_h > 1 || desc->stride_w > 1;
    return pair_kerns[group->ctx->isa]->sum && group->mode == CVL_GROUP_ONE && group->whole
        && group->panels % 2 == 0 && desc->r == 3 && desc->s == 3 && desc->stride_w <= 2
        && (desc->pass == CVL_FWD || (desc->pass == CVL_BWD_DATA && !strided));
}

struct cvl_group cvl_group_of(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    const bool backward = desc->pass == CVL_BWD_DATA;
    const int c = desc->c / desc->groups, k = desc->k / desc->groups;
    struct cvl_group group = {
        .ctx = ctx, .desc = desc, .kern = kerns[ctx->isa], .filter_kern = filter_kerns[ctx->isa],
        .move = moves[ctx->isa], .knob = variant->knob,
        .out_channels = backward ? c : k, .in_channels = backward ? k : c,
        .out = cvl_conv_strides(desc, backward ? CVL_X : CVL_Y), .in = cvl_conv_strides(desc, backward ? CVL_Y : CVL_X),
        .w = cvl_conv_strides(desc, CVL_W),
        .in_last = (backward ? desc->y_layout : desc->x_layout) == CVL_NHWC,
        .out_last = (backward ? desc->x_layout : desc->y_layout) == CVL_NHWC,
    };
    const int lanes = group.kern->lanes, most = cvl_max(c, k);
    if (backward && desc->r == 3 && desc->s == 3 && desc->stride_h == 2 && desc->stride_w == 2 && desc->dil_h == 1
        && desc->dil_w == 1)
        group.quad = quad_kerns[ctx->isa];
    group.w_out = group.w.at[backward];
    group.w_in = group.w.at[!backward];
    group.unit_groups = cvl_max(1, lanes / most);
    group.mode = most == 1 ? CVL_GROUP_EACH : group.unit_groups > 1 ? CVL_GROUP_SHARED : CVL_GROUP_ONE;
    group.units = cvl_divide_up(desc->groups, group.unit_groups);
    group.panels = cvl_divide_up(group.unit_groups * group.out_channels, lanes);
    group.whole = desc->groups % group.unit_groups == 0 && group.unit_groups * group.out_channels % lanes == 0;
    group.pair = has_pairs(&group) ? pair_kerns[ctx->isa] : NULL;
    group.row_classes = cvl_axis_classes(desc, true);
    group.column_classes = cvl_axis_classes(desc, false);
    group.rows = cvl_axis_of(desc, true, 0);
    group.columns = cvl_axis_of(desc, false, 0);
    group.row_slide = cvl_slide_of(&group.rows, 0);
    group.column_slide = cvl_slide_of(&group.columns, 0);
    group.pitch = cvl_divide_up(group.unit_groups * group.in_channels, lanes) * lanes;
    for (int lane = 0; group.unit_groups > 1 && lane < group.unit_groups * group.out_channels; lane++)
        group.lookup[lane] = lane / group.out_channels * group.in_channels;
    return group;
}

/* ---- bands ---- */

struct cvl_group_band cvl_group_band_of(const struct cvl_group *group, int from, int to)
{
    int64_t low = INT32_MAX, high = INT32_MIN;
    int extent = 0;
    for (int i = 0; i < group->row_classes; i++) {
        const struct cvl_axis rows = cvl_group_axis_of(group, true, i);
        const int last = cvl_min(to, rows.count) - 1;
        extent = rows.extent;
        if (rows.taps == 0 || last < from)
            continue;
        const int64_t first = rows.first + (int64_t)from * rows.step;
        const int64_t end = rows.first + (int64_t)last * rows.step + (int64_t)(rows.taps - 1) * rows.tap + 1;
        low = first < low ? first : low;
        high = end > high ? end : high;
    }
    low = low < 0 ? 0 : low;
    high = high > extent ? extent : high;
    return low < high ? (struct cvl_group_band){ (int)low, (int)(high - low) } : (struct cvl_group_band){ 0 };
}

/* Kernels read whole vectors of neighbours, or one channel wherever it is. */
bool cvl_group_may_stay(const struct cvl_group *group)
{
    return group->mode == CVL_GROUP_ONE
        || (group->in_last && group->desc->groups % group->unit_groups == 0
            && group->unit_groups * group->in_channels == group->pitch);
}

/* A tile reads 36 points or so for a channel; those of many channels fall into few sets of the first-level cache. */
bool cvl_group_brings(const struct cvl_group *group)
{
    const int knob = group->knob[CVL_GROUP_BRING];
    if (!cvl_group_may_stay(group))
        return true;
    if (knob || group->mode == CVL_GROUP_EACH)
        return knob == CVL_GROUP_BROUGHT;
    return group->in_last && group->in.at[3] * group->columns.step > POINT_FLOATS;
}

static int columns_of(const struct cvl_group *group) { return (int)(group->in.at[2] / group->in.at[3]); }

size_t cvl_group_band_floats(const struct cvl_group *group, int rows)
{
    int most = 0;
    for (int from = 0; cvl_group_brings(group) && from < group->rows.count; from += rows)
        most = cvl_max(most, cvl_group_band_of(group, from, from + rows).count);
    return (size_t)most * (size_t)columns_of(group) * (size_t)group->pitch;
}

struct cvl_group_bring cvl_group_bring_of(const struct cvl_group *group, const float *x, int image, int unit,
                                          const struct cvl_group_band *band, float *to)
{
    return (struct cvl_group_bring){
        .to = to, .to_point = group->pitch, .from_point = group->in.at[3], .from_lane = group->in.at[1],
        .from = x + cvl_offset(&group->in, image, unit * group->unit_groups * group->in_channels, band->first, 0),
        .points = band->count * columns_of(group), .lanes = cvl_group_count(group, unit) * group->in_channels,
    };
}

int cvl_group_band_rows(const struct cvl_group *group, int positions, int tasks, double floats)
{
    const int parts = cvl_divide_up(TASKS, cvl_max(1, tasks)), rows = cvl_divide_up(positions, parts);
    const double fit = BAND_FLOATS / floats;
    const int most = fit < positions ? (int)fit : positions;
    if (group->knob[CVL_GROUP_ROWS])
        return cvl_max(1, cvl_min(group->knob[CVL_GROUP_ROWS], positions));
    return cvl_max(1, cvl_min(cvl_divide_up(cvl_min(rows, most), group->kern->rows) * group->kern->rows, positions));
}

void cvl_group_walk_of(const struct cvl_group *group, const float *x, int image, int unit,
                       const struct cvl_group_band *band, const float *brought, struct cvl_group_walk *walk)
{
    const struct cvl_strides *in = &group->in;
    walk->mode = group->mode;
    walk->channels = group->in_channels;
    walk->lookup = group->lookup;
    if (brought) {
        walk->columns.x = group->pitch;
        walk->rows.x = walk->columns.x * columns_of(group);
        walk->x = brought - band->first * walk->rows.x;
        walk->x_channel = 1;
    } else {
        walk->columns.x = in->at[3];
        walk->rows.x = in->at[2];
        walk->x = x + cvl_offset(in, image, unit * group->unit_groups * group->in_channels, 0, 0);
        walk->x_channel = in->at[1];
    }
}

struct cvl_group_moves cvl_group_use(struct cvl_group_axis *axis, const struct cvl_slide *slide, int first, int count)
{
    const struct cvl_group_moves moves = {
        slide->x * axis->x, slide->w * axis->w, (slide->out + first * slide->out_step) * axis->out,
    };
    axis->origin = slide->origin + first * slide->stride;
    axis->stride = slide->stride;
    axis->extent = slide->extent;
    axis->taps = slide->taps;
    axis->count = count;
    axis->x *= slide->x_step;
    axis->w *= slide->w_step;
    axis->out *= slide->out_step;
    return moves;
}

struct cvl_group_run cvl_group_run_of(const struct cvl_axis *axis, const struct cvl_slide *slide, int from, int to)
{
    const int apart = slide->out_step / axis->out_step, class = (slide->out - axis->out) / axis->out_step;
    return (struct cvl_group_run){
        from > class ? cvl_divide_up(from - class, apart) : 0,
        cvl_min(slide->count, to > class ? cvl_divide_up(to - class, apart) : 0),
    };
}

/* ---- the packed filter ---- */

struct packing {
    const struct cvl_group *group;
    const float            *w;
    float                  *packed;
};

static ptrdiff_t panel_floats(const struct cvl_group *group)
{
    return (ptrdiff_t)group->desc->r * group->desc->s * group->in_channels * group->kern->lanes;
}

size_t cvl_group_packed_floats(const struct cvl_group *group)
{
    return (size_t)group->units * (size_t)group->panels * (size_t)panel_floats(group);
}

static void pack_panel(int number, int slot, void *arg)
{
    const struct packing *packing = arg;
    const struct cvl_group *group = packing->group;
    const int unit = number / group->panels, panel = number % group->panels, out = group->out_channels;
    const int lanes = group->kern->lanes, used = cvl_group_panel_lanes(group, unit, panel);
    const ptrdiff_t w_group = group->desc->k / group->desc->groups * group->w.at[0];
    float *to = packing->packed + number * panel_floats(group);
    if (used < lanes)
        memset(to, 0, sizeof *to * (size_t)panel_floats(group));
    for (int lane = 0; lane < used; lane++) {
        const int channel = unit * group->unit_groups * out + panel * lanes + lane;
        const float *w = packing->w + channel / out * w_group + channel % out * group->w_out;
        for (int i = 0, at = lane; i < group->in_channels; i++)
            for (int r = 0; r < group->desc->r; r++)
                for (int s = 0; s < group->desc->s; s++, at += lanes)
                    to[at] = w[r * group->w.at[2] + s * group->w.at[3] + i * group->w_in];
    }
}

void cvl_group_pack(const struct cvl_group *group, const float *w, float *packed)
{
    cvl_parallel_for(group->ctx, group->units * group->panels, pack_panel, &(struct packing){ group, w, packed });
}
