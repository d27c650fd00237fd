/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/cuda/cuda_depthwise_lists.h"

#include "base/dtype.h"
#include "conv/axis.h"

enum { PARTIAL_MOST = 32 << 20, ITEMS_LEAST = 4 };

static bool is_channels_last(const cvl_conv_desc *desc) { return desc->x_layout == CVL_NHWC; }
static enum cvl_tensor read_tensor(const cvl_conv_desc *desc) { return desc->pass == CVL_BWD_DATA ? CVL_Y : CVL_X; }

static struct cvl_axis run_axis(const cvl_conv_desc *desc) { return cvl_axis_of(desc, !is_channels_last(desc), 0); }

bool cvl_dw_runs(const cvl_conv_desc *desc, int outs)
{
    const struct cvl_axis run = run_axis(desc);
    return outs == 1 || (run.tap == 1 && ((run.step == 1 && (outs == 8 || outs == 4 || outs == 2))
                                         || (run.step == 2 && outs == 4)));
}

static bool is_aligned(const void *at, int bytes) { return (uintptr_t)at % (uintptr_t)bytes == 0; }

/* As many channels at once as 16 bytes hold, if they always come so and every address allows it. */
static int vector_of(const cvl_conv_desc *desc, const cvl_conv_args *args, const float *w)
{
    const enum cvl_tensor read = read_tensor(desc);
    const enum cvl_tensor other = desc->pass == CVL_BWD_FILTER ? CVL_Y : cvl_conv_written(desc->pass);
    const int vector = 16 / (int)cvl_dtype_size(cvl_conv_type(desc, read));
    const bool aligned = is_aligned(cvl_conv_pointer(args, read), 16) && is_aligned(w, 16)
        && is_aligned(cvl_conv_pointer(args, other), 16) && is_aligned(args->residual, 16);
    return is_channels_last(desc) && desc->k == desc->c && desc->c % vector == 0 && aligned ? vector : 1;
}

static struct cvl_dw_line line_of(const cvl_conv_desc *desc, const struct cvl_axis *axis, bool rows,
                                  const struct cvl_strides *read, const struct cvl_strides *plain)
{
    const int dimension = rows ? 2 : 3, w = rows ? desc->s : 1;
    return (struct cvl_dw_line){
        .count = axis->count, .taps = axis->taps, .first = axis->first, .step = axis->step, .tap = axis->tap,
        .extent = axis->extent, .read = (int)read->at[dimension], .plain = (int)(axis->out * plain->at[dimension]),
        .plain_step = (int)(axis->out_step * plain->at[dimension]), .w = axis->w * w, .w_step = axis->w_step * w,
    };
}

/* One residue class; the threads of BWD_FILTER are counted by fill_slices. */
static void fill_part(const cvl_conv_desc *desc, int class, const struct cvl_strides *read,
                      const struct cvl_strides *plain, struct cvl_dw_launch *g)
{
    const int columns = cvl_axis_classes(desc, false), channels = (int)g->channels.divisor;
    const struct cvl_axis row = cvl_axis_of(desc, true, class / columns);
    const struct cvl_axis column = cvl_axis_of(desc, false, class % columns);
    const struct cvl_dw_line rows = line_of(desc, &row, true, read, plain);
    const struct cvl_dw_line across = line_of(desc, &column, false, read, plain);
    struct cvl_dw_part *part = &g->part[g->parts];
    part->run = g->channels_last ? across : rows;
    part->cross = g->channels_last ? rows : across;
    const int runs = cvl_divide_up(part->run.count, g->outs);
    if (runs == 0 || part->cross.count == 0)
        return;
    part->runs = cvl_divisor_of(runs);
    part->crosses = cvl_divisor_of(part->cross.count);
    const int lows = g->channels_last && g->outs >= 4 && part->cross.count >= 4 ? 4 : 1;
    const int highs = cvl_divide_up(part->cross.count, lows);
    part->lows = cvl_divisor_of(lows);
    part->highs = cvl_divisor_of(highs);
    part->threads = runs * highs * lows * g->n * (g->channels_last ? channels / g->vector : channels);
    g->parts++;
}

static void fill_slices(const cvl_conv_desc *desc, const struct cvl_dw_choice *choice, void *partial,
                        struct cvl_dw_launch *g)
{
    struct cvl_dw_part *part = &g->part[0];
    g->items = g->n * (int)(part->runs.divisor * part->crosses.divisor);
    g->slices = choice->slices;
    g->tap_blocks = cvl_divide_up(part->run.taps, g->taps);
    g->filter_s = desc->s;
    g->partial = partial;
    g->dw = cvl_dw_filter_list(desc);
    part->threads = desc->k / g->vector * part->cross.taps * g->tap_blocks * g->slices
                  * (g->channels_last ? 1 : CVL_DW_WARP);
}

static int taps_of(int taps)
{
    return taps < 5 ? 3 : taps < 7 ? 5 : 7;
}

bool cvl_dw_next(const cvl_conv_desc *desc, const struct cvl_dw_choice *choice, const cvl_conv_args *args,
                 const float *w, void *partial, int *class, struct cvl_dw_launch *g)
{
    const bool backward = desc->pass == CVL_BWD_DATA, filter = desc->pass == CVL_BWD_FILTER;
    const struct cvl_strides x = cvl_conv_strides(desc, CVL_X), y = cvl_conv_strides(desc, CVL_Y);
    const struct cvl_strides *read = backward ? &y : &x, *plain = backward ? &x : &y;
    const int classes = cvl_axis_classes(desc, true) * cvl_axis_classes(desc, false), multiplier = desc->k / desc->c;
    const int channels = backward ? desc->c : desc->k;
    const enum cvl_tensor written = cvl_conv_written(desc->pass);
    *g = (struct cvl_dw_launch){
        .read = cvl_conv_pointer(args, read_tensor(desc)), .plain = args->y, .read_n = (int)read->at[0],
        .read_channel = (int)read->at[1], .plain_n = (int)plain->at[0], .plain_channel = (int)plain->at[1], .w = w,
        .k = desc->k, .channels = cvl_divisor_of(channels), .n = desc->n, .multiply = backward ? multiplier : 1,
        .divide = backward ? 1 : multiplier, .inner = backward ? multiplier : 1,
        .channels_last = is_channels_last(desc), .vector = vector_of(desc, args, w), .outs = choice->outs,
        .step = choice->outs == 1 ? 1 : run_axis(desc).step,
        .finish = cvl_finish_of(desc, args, cvl_conv_type(desc, written), cvl_conv_pointer(args, written)),
    };
    g->taps = taps_of(g->channels_last ? desc->s : desc->r);
    g->vectors = cvl_divisor_of(channels / g->vector);
    while (g->parts < CVL_DW_PARTS && *class < classes)
        fill_part(desc, (*class)++, read, plain, g);
    if (g->parts > 0 && filter)
        fill_slices(desc, choice, partial, g);
    return g->parts > 0;
}

/* ---- choice ---- */

static double threads_of(const cvl_conv_desc *desc, const struct cvl_dw_choice *choice, struct cvl_dw_launch *g)
{
    cvl_conv_args args;
    int class = 0;
    cvl_conv_args_init(&args);
    return cvl_dw_next(desc, choice, &args, NULL, NULL, &class, g) ? g->part[0].threads * (double)g->parts : 0;
}

/* Are runs of `outs` allowed, and enough threads left that `share` of the multiprocessors' 1024 each are busy? */
static bool is_worth(const cvl_conv_desc *desc, int outs, double share, double wanted)
{
    const struct cvl_dw_choice choice = { outs, 1 };
    struct cvl_dw_launch g;
    if (!cvl_dw_runs(desc, outs))
        return false;
    return desc->pass == CVL_BWD_FILTER
        || (threads_of(desc, &choice, &g) >= share * wanted && (outs < 8 || g.part[0].run.count > 4));
}

/* The shares are those from which on a run pays on an H100, 4 being the run of stride 2. */
struct cvl_dw_choice cvl_dw_choose(const cvl_conv_desc *desc, int multiprocessors)
{
    const double wanted = (double)(multiprocessors > 0 ? multiprocessors : 132) * 1024;
    struct cvl_dw_choice choice = { 1, 1 };
    struct cvl_dw_launch g;
    if (is_worth(desc, 8, 0.12, wanted))
        choice.outs = 8;
    else if (!cvl_dw_runs(desc, 8) && is_worth(desc, 4, 0.3, wanted))
        choice.outs = 4;
    else if (is_worth(desc, 2, 0.06, wanted))
        choice.outs = 2;
    if (threads_of(desc, &choice, &g) == 0)
        return choice;
    if (desc->pass == CVL_BWD_FILTER) {
        const double each = g.channels_last ? ITEMS_LEAST : ITEMS_LEAST * CVL_DW_WARP;
        const double bytes = (double)cvl_dw_filter_bytes(desc);
        double slices = wanted / g.part[0].threads;
        slices = slices > g.items / each ? g.items / each : slices;
        slices = slices > PARTIAL_MOST / bytes ? PARTIAL_MOST / bytes : slices;
        choice.slices = slices < 1 ? 1 : (int)slices;
    }
    return choice;
}

/* ---- filter ---- */

struct cvl_list cvl_dw_filter_list(const cvl_conv_desc *desc)
{
    const struct cvl_strides w = cvl_conv_strides(desc, CVL_W);
    return (struct cvl_list){
        .count = desc->r * desc->s * desc->k, .b = cvl_divisor_of(desc->s), .c = cvl_divisor_of(desc->k),
        .at_a = (int)w.at[2], .at_b = (int)w.at[3], .at_c = (int)w.at[0],
    };
}

size_t cvl_dw_filter_bytes(const cvl_conv_desc *desc)
{
    return (size_t)desc->r * (size_t)desc->s * (size_t)desc->k * sizeof(float);
}

bool cvl_dw_reads_raw(const cvl_conv_desc *desc)
{
    return desc->w_layout == CVL_RSCK && desc->w_type == CVL_F32;
}
