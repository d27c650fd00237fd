/* SPDX-License-Identifier: Apache-2.0
 * How FWD and BWD_DATA of `depthwise` are done: by strips or bands, what is turned, and what a task owns. */
#include "conv/depthwise/depthwise.h"
#include "conv/depthwise/depthwise_strip.h"

#include <limits.h>
#include <math.h>

#define DECLARE(level) \
    extern const struct cvl_dw_strip_kern cvl_dw_strip_kern_##level, cvl_dw_quad_kern_##level; \
    extern const struct cvl_dw_band_kern cvl_dw_band_kern_##level, cvl_dw_stream_kern_##level, \
                                         cvl_dw_narrow_kern_##level, cvl_dw_spread_kern_##level; \
    extern const struct cvl_dw_turn_kern cvl_dw_turn_kern_##level;
CVL_ISA_LIST(DECLARE)
#define STRIP_ENTRY(level) &cvl_dw_strip_kern_##level,
#define QUAD_ENTRY(level) &cvl_dw_quad_kern_##level,
#define BAND_ENTRY(level) &cvl_dw_band_kern_##level,
#define STREAM_ENTRY(level) &cvl_dw_stream_kern_##level,
#define NARROW_ENTRY(level) &cvl_dw_narrow_kern_##level,
#define SPREAD_ENTRY(level) &cvl_dw_spread_kern_##level,
#define TURN_ENTRY(level) &cvl_dw_turn_kern_##level,
static const struct cvl_dw_strip_kern *const strip_kerns[] = { CVL_ISA_LIST(STRIP_ENTRY) };
static const struct cvl_dw_strip_kern *const quad_kerns[] = { CVL_ISA_LIST(QUAD_ENTRY) };
static const struct cvl_dw_band_kern *const band_kerns[] = { CVL_ISA_LIST(BAND_ENTRY) };
static const struct cvl_dw_band_kern *const stream_kerns[] = { CVL_ISA_LIST(STREAM_ENTRY) };
static const struct cvl_dw_band_kern *const narrow_kerns[] = { CVL_ISA_LIST(NARROW_ENTRY) };
static const struct cvl_dw_band_kern *const spread_kerns[] = { CVL_ISA_LIST(SPREAD_ENTRY) };
static const struct cvl_dw_turn_kern *const turn_kerns[] = { CVL_ISA_LIST(TURN_ENTRY) };

/* Tasks: enough of them, each worth its start. Rows that a task walks: more gain nothing. ROWS_PRODUCTS: of a task that
 * has some of the channels of rows, whose lines another thread would fetch if it helped. */
enum { TASKS = 32, TASK_PRODUCTS = 1 << 16, ROWS_PRODUCTS = 1 << 18, TASK_ROWS = 28, LOW = 14 };

/* Images and a task's part of them, where the next part is fetched meanwhile. */
enum { STREAM_BYTES = 12 << 20, STREAM_PART = 512 << 10 };

/* Whole planes, whose rows are read in order, where so many panels make tasks enough. */
enum { PLANE_TASKS = 4 };

/* A band fills its lanes with columns and has no copy to make: it wins while taps are few, vectors full and what is
 * written contiguous. */
enum { BAND_TAPS = 9 };

static int out_extent(const struct cvl_dw *dw, bool rows)
{
    const cvl_conv_desc *desc = dw->desc;
    if (desc->pass == CVL_BWD_DATA)
        return rows ? desc->h : desc->w;
    return rows ? cvl_conv_p(desc) : cvl_conv_q(desc);
}

int cvl_dw_lanes(const cvl_ctx *ctx) { return strip_kerns[ctx->isa]->lanes; }

struct cvl_dw_rows cvl_dw_rows_of(const struct cvl_dw *dw, int first, int last)
{
    struct cvl_dw_rows rows = { .in_first = INT_MAX };
    for (int i = 0; i < cvl_axis_classes(dw->desc, true); i++) {
        const struct cvl_axis axis = cvl_axis_of(dw->desc, true, i);
        const int lowest = axis.first + first * axis.step;
        const int highest = axis.first + (cvl_min(last, axis.count) - 1) * axis.step + (axis.taps - 1) * axis.tap;
        if (axis.taps > 0) {
            rows.in_first = cvl_min(rows.in_first, cvl_max(0, lowest));
            rows.in_last = cvl_max(rows.in_last, cvl_min(highest + 1, axis.extent));
        }
        rows.out_first = first * axis.out_step;
        rows.out_last = cvl_min(last * axis.out_step, out_extent(dw, true));
    }
    rows.in_first = cvl_min(rows.in_first, rows.in_last);
    return rows;
}

/* 3 x 3 neighbouring taps, a stride of one or two, and output rows that lie one after another. */
static bool is_3x3(const struct cvl_dw *dw, const struct cvl_axis *rows, const struct cvl_axis *columns)
{
    return dw->in_channels == 1 && rows->taps == 3 && columns->taps == 3 && rows->tap == 1 && columns->tap == 1
        && rows->step == columns->step && columns->step <= 2 && columns->out_step == 1 && columns->first > -3;
}

/* The kernel for such planes: several rows in a vector, or one at a time, if what lies beyond the image falls into the
 * first and the last vector of a row; else NULL. */
static const struct cvl_dw_band_kern *kern_3x3(const struct cvl_dw *dw)
{
    const cvl_conv_desc *desc = dw->desc;
    const struct cvl_axis rows = cvl_axis_of(desc, true, 0), columns = cvl_axis_of(desc, false, 0);
    const int count = columns.count, whole = (cvl_divide_up(count, dw->lanes) - 1) * dw->lanes;
    if (!is_3x3(dw, &rows, &columns))
        return NULL;
    const bool pairs = columns.step == 2 ? 2 * count < dw->lanes
                     : 2 * count <= dw->lanes && columns.first == -1 && columns.extent == count;
    if (pairs && rows.count <= 2 * CVL_DW_PAIRS)
        return narrow_kerns[dw->ctx->isa];
    if (whole == 0 || columns.first + whole * columns.step + 1 < columns.extent)
        return stream_kerns[dw->ctx->isa];
    return NULL;
}

/* BWD_DATA of 3 x 3 taps and a stride of two. */
static bool is_even_data(const struct cvl_dw *dw)
{
    const cvl_conv_desc *desc = dw->desc;
    return desc->pass == CVL_BWD_DATA && !dw->looks_up && desc->r == 3 && desc->s == 3 && desc->dil_h == 1
        && desc->dil_w == 1 && desc->stride_h == 2 && desc->stride_w == 2;
}

/* The same, where only the last vector of a row of dy may lie beyond it. */
static bool spreads(const struct cvl_dw *dw)
{
    const cvl_conv_desc *desc = dw->desc;
    const int first = desc->pad_left / 2, last = (desc->w - 1 + desc->pad_left) / 2 + 1;
    const int whole = (cvl_divide_up(last - first, dw->lanes) - 1) * dw->lanes;
    return is_even_data(dw) && first + whole <= cvl_conv_q(desc);
}

/* Columns along the lanes or channels: `lanes` says, else what was faster. */
static bool is_band(const struct cvl_dw *dw)
{
    const cvl_conv_desc *desc = dw->desc;
    const struct cvl_axis columns = cvl_axis_of(desc, false, 0);
    if (desc->x_layout != CVL_NCHW || desc->y_layout != CVL_NCHW)
        return false;
    if (dw->looks_up || dw->variant.knob[CVL_DW_TURN])
        return dw->looks_up || dw->variant.knob[CVL_DW_TURN] == 1;
    return kern_3x3(dw) || spreads(dw)
        || (desc->r * desc->s <= BAND_TAPS && columns.count > dw->lanes / 2 && columns.out_step == 1);
}

/* What comes from beyond the second-level cache is read in order, a few rows of all channels at a time, while the next
 * ones are fetched. */
static bool streams(const struct cvl_dw *dw, const struct cvl_dw_plan *plan)
{
    return !plan->bands && !plan->turns_in && !plan->turns_out
        && cvl_conv_bytes(dw->desc, CVL_X) + cvl_conv_bytes(dw->desc, CVL_Y) > STREAM_BYTES;
}

/* Points of channels of one image are cut by rows, into an even number of blocks that two threads halve: half of the
 * channels for each made the prefetchers of two cores fetch the other one's lines, to be fetched back (7x7 of 960
 * channels, cores without a cache in common: 14.7 for 7.1 us), and so did parts of a row. All channels of a row before
 * the next row are written in order, but read x from the second-level cache three times: half as long again. Between
 * LOW and TASK_ROWS rows one thread takes 5 % longer for two blocks, and two threads as long either way. */
static bool halves_rows(const struct cvl_dw *dw, const struct cvl_dw_plan *plan, int count)
{
    const bool points = !plan->bands && !plan->turns_in && !plan->turns_out;
    return dw->desc->n == 1 && (count <= LOW || count > TASK_ROWS) && points && !plan->ahead && !plan->quads;
}

/* Parts of the channels, for each block of rows. */
static int parts_of(const struct cvl_dw *dw, const struct cvl_dw_plan *plan)
{
    const double least = plan->halved ? ROWS_PRODUCTS : TASK_PRODUCTS;
    const double worth = cvl_conv_flops(dw->desc) / 2 / least / plan->row_blocks;
    const int most = cvl_divide_up(TASKS, cvl_max(1, dw->desc->n) * plan->row_blocks);
    const int parts = cvl_max(1, cvl_min(most, worth < INT_MAX ? (int)worth : INT_MAX));
    return parts > 1 && !plan->halved ? cvl_divide_up(parts, 2) * 2 : parts;   /* two threads halve them */
}

static int stream_rows(const struct cvl_dw *dw)
{
    const int step = cvl_axis_of(dw->desc, true, 0).step, out_step = cvl_axis_of(dw->desc, true, 0).out_step;
    const double bytes = sizeof(float) * ((double)step * dw->in.at[2] + (double)out_step * dw->out.at[2]);
    return cvl_max(2, cvl_min(TASK_ROWS, (int)(STREAM_PART / bytes)));
}

struct cvl_dw_plan cvl_dw_plan_of(const struct cvl_dw *dw)
{
    const cvl_conv_desc *desc = dw->desc;
    const bool backward = desc->pass == CVL_BWD_DATA;
    const cvl_layout in = backward ? desc->y_layout : desc->x_layout, out = backward ? desc->x_layout : desc->y_layout;
    const int *knob = dw->variant.knob, count = cvl_max(1, cvl_axis_of(desc, true, 0).count);
    struct cvl_dw_plan plan = {
        .strip = strip_kerns[dw->ctx->isa], .band = band_kerns[dw->ctx->isa], .turn = turn_kerns[dw->ctx->isa],
        .bands = is_band(dw), .in_columns = cvl_axis_of(desc, false, 0).extent, .out_columns = out_extent(dw, false),
    };
    const struct cvl_dw_band_kern *by_rows = plan.bands ? kern_3x3(dw) : NULL;
    if (by_rows)
        plan.band = by_rows;
    plan.spreads = plan.bands && spreads(dw);
    if (plan.spreads)
        plan.band = spread_kerns[dw->ctx->isa];
    plan.turns_in = !plan.bands && in == CVL_NCHW;
    plan.turns_out = !plan.bands && out == CVL_NCHW;
    plan.rows = cvl_divide_up(count, cvl_divide_up(count, TASK_ROWS));
    if ((by_rows || plan.spreads) && desc->n * dw->panels >= PLANE_TASKS)
        plan.rows = count;
    else if (plan.bands && !by_rows && !plan.spreads)
        plan.rows = cvl_divide_up(plan.rows, plan.strip->tile) * plan.strip->tile;
    plan.ahead = streams(dw, &plan);
    plan.quads = !plan.bands && !plan.turns_in && !plan.turns_out && !plan.ahead && is_even_data(dw);
    if (plan.quads)
        plan.strip = quad_kerns[dw->ctx->isa];
    plan.halved = halves_rows(dw, &plan, count);
    if (plan.halved)
        plan.rows = cvl_divide_up(count, 2 * cvl_divide_up(count, 2 * TASK_ROWS));
    if (plan.ahead)
        plan.rows = cvl_min(plan.rows, stream_rows(dw));
    plan.rows = cvl_min(knob[CVL_DW_ROWS] ? knob[CVL_DW_ROWS] : plan.rows, count);
    plan.row_blocks = cvl_divide_up(count, plan.rows);
    plan.panels = cvl_divide_up(dw->panels, parts_of(dw, &plan));
    plan.panels = cvl_min(knob[CVL_DW_PANELS] ? knob[CVL_DW_PANELS] : plan.panels, dw->panels);
    plan.panel_blocks = cvl_divide_up(dw->panels, plan.panels);
    for (int first = 0; first < count; first += plan.rows) {
        const struct cvl_dw_rows rows = cvl_dw_rows_of(dw, first, first + plan.rows);
        plan.in_rows = cvl_max(plan.in_rows, rows.in_last - rows.in_first);
        plan.out_rows = cvl_max(plan.out_rows, rows.out_last - rows.out_first);
    }
    plan.scratch_floats = (size_t)dw->lanes * ((plan.turns_in ? (size_t)plan.in_rows * plan.in_columns : 0)
                                                     + (plan.turns_out ? (size_t)plan.out_rows * plan.out_columns : 0));
    return plan;
}

/* The part of an axis' products that does not fall on padding. */
static double inside_share(const cvl_conv_desc *desc, bool rows)
{
    double inside = 0, all = 0;
    for (int i = 0; i < cvl_axis_classes(desc, rows); i++) {
        const struct cvl_axis axis = cvl_axis_of(desc, rows, i);
        for (int t = 0; t < axis.count; t++) {
            int first, last;
            cvl_axis_taps(&axis, t, &first, &last);
            inside += last - first;
        }
        all += (double)axis.count * axis.taps;
    }
    return all > 0 ? inside / all : 1;
}

double cvl_dw_sum_seconds(const struct cvl_dw *dw)
{
    enum { TURN_FLOPS = 16 };         /* turning an element takes the time of so many operations */
    static const double strip_rate = 0.9, band_rate = 0.75, pair_rate = 0.4;   /* of the peak, with full lanes */
    static const double apart_rate = 0.1;                  /* lanes read or written one by one */
    const cvl_conv_desc *desc = dw->desc;
    const struct cvl_rates *rates = &dw->ctx->rates;
    const struct cvl_dw_plan plan = cvl_dw_plan_of(dw);
    const struct cvl_axis columns = cvl_axis_of(desc, false, 0);
    const int lanes = dw->lanes;
    const double x = (double)cvl_conv_bytes(desc, CVL_X), y = (double)cvl_conv_bytes(desc, CVL_Y), bytes = x + y;
    const double turned = ((plan.turns_in ? 1 : 0) + (plan.turns_out ? 1 : 0)) * bytes / 2 / sizeof(float);
    const double filled = plan.bands ? (double)columns.count / (cvl_divide_up(columns.count, lanes) * lanes)
                                     : (double)desc->groups * dw->out_channels / (dw->panels * lanes);
    const double rate = !plan.bands ? strip_rate : columns.step > 2 || columns.out_step > 1 ? apart_rate
                      : columns.step == 1 ? band_rate : pair_rate;
    const double flops = cvl_conv_flops(desc) * inside_share(desc, true) * (plan.bands ? 1 : inside_share(desc, false));
    const double memory = bytes / 2 / (bytes < (1 << 20) ? rates->copy_l2 : bytes < (24 << 20) ? rates->copy_l3
                                                                                                : rates->copy_dram);
    return fmax(memory, flops / (rates->f32_flops * rate * filled)) + turned * TURN_FLOPS / rates->f32_flops + 1e-6;
}
