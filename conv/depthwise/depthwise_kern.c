/* SPDX-License-Identifier: Apache-2.0
 * FWD and BWD_DATA: a run of outputs along the slide stays in registers while taps and channels go by. An input is
 * loaded once for a block of up to seven taps, whose weights stay in registers as well; one that lies on padding is
 * skipped, and so are its products. One template makes every combination of mode, stride, run and block. */
#include "base/vec_math.h"
#include "conv/depthwise/depthwise_load.h"

#include <math.h>

#if defined(__AVX512F__) || defined(__aarch64__)
#define TILE 14                  /* of 32 registers; seven hold weights */
#else
#define TILE 7                   /* of 16 */
#endif

/* What an instance of the template is made for. */
struct shape { enum cvl_dw_mode mode; int tile, stride, taps; };

/* Where a block of taps is under one cross tap and channel. */
struct place {
    const float *x, *w;
    uint64_t     inside;         /* bit j: input j is inside of the image */
    struct lanes lanes;
    vi           index;
};

CVL_INLINE void add_block(const struct cvl_dw_sum *s, const struct shape shape, const bool whole, struct place at,
                          vf sums[TILE])
{
    const ptrdiff_t step = shape.taps == 1 ? s->window.stride * s->window.x_slide : s->window.x_slide;
    const int apart = shape.taps == 1 ? 1 : shape.stride, reach = (shape.tile - 1) * apart + shape.taps;
    vf weights[BLOCK_MAX];
    FORGET(at.inside);
    UNROLL
    for (int v = 0; v < shape.taps; v++)
        weights[v] = shape.mode < CVL_DW_COLUMNS ? vf_load(at.w + v * s->w_slide) : vf_set(at.w[v * s->w_slide]);
    UNROLL
    for (int j = 0; j < reach; j++) {
        if (at.inside >> j & 1) {
            const vf value = load_x(at.x, shape.mode, whole, at.lanes, s->window.x_lane, at.index);
            UNROLL
            for (int t = 0; t < shape.tile; t++)
                if (j - t * apart >= 0 && j - t * apart < shape.taps)
                    sums[t] += value * weights[j - t * apart];
        }
        at.x += step;
    }
}

/* A block of taps from `first` on, under all cross taps and channels. */
CVL_INLINE void add_taps(const struct cvl_dw_sum *s, const struct shape shape, int first, vf sums[TILE])
{
    const struct cvl_dw_window *x = &s->window;
    const int apart = shape.taps == 1 ? 1 : shape.stride, reach = (shape.tile - 1) * apart + shape.taps;
    struct place at = { .inside = inside_of(x->origin + first, x->extent, shape.taps == 1 ? x->stride : 1, reach) };
    const ptrdiff_t from = (x->origin + first) * x->x_slide;
    if (at.inside == 0)
        return;
    for (int cross = 0; cross < x->cross; cross++) {
        at.lanes = lanes_of(x, shape.mode, cross);
        if (at.lanes.from >= at.lanes.to)
            continue;
        if (shape.mode == CVL_DW_SHARED)
            at.index = (vi)vf_load((const float *)x->lookup);
        const bool whole = !MASKS_ARE_FREE && at.lanes.from == 0 && at.lanes.to == VF_LANES;
        for (int channel = 0; channel < x->channels; channel++) {
            at.x = x->x + from + cross * x->x_cross + (shape.mode == CVL_DW_SHARED ? 0 : channel * x->x_channel);
            at.w = s->w + first * s->w_slide + cross * s->w_cross + channel * s->w_channel;
            if (whole)
                add_block(s, shape, true, at, sums);
            else
                add_block(s, shape, false, at, sums);
            at.index += 1;
        }
    }
}

/* ---- the epilogue ---- */

/* Activations that a minimum and a maximum can do, which is all that fits beside the sums: relu clips to [0, inf). */
static bool clips(const struct cvl_dw_sum *s, float *lo, float *hi)
{
    *lo = s->act == CVL_ACT_CLIP ? s->lo : 0;
    *hi = s->act == CVL_ACT_CLIP ? s->hi : s->act == CVL_ACT_RELU6 ? 6 : INFINITY;
    return s->act == CVL_ACT_RELU || s->act == CVL_ACT_RELU6 || s->act == CVL_ACT_CLIP;
}

/* What is rare: a residual, an activation that needs registers, lanes apart from each other. */
static __attribute__((noinline)) void finish_apart(const struct cvl_dw_sum *s, const float *sums)
{
    const int lanes = s->window.lanes;
    for (int t = 0; t < s->count; t++) {
        const ptrdiff_t at = t * s->out_slide;
        vf sum = vf_load(sums + t * VF_LANES);
        if (s->residual)
            sum += s->out_lane == 1 ? vf_load_part(s->residual + at, lanes)
                 : s->out_lane == 2 ? vf_load_even(s->residual + at, lanes)
                                    : vf_load_strided(s->residual + at, s->out_lane, lanes);
        sum = vf_activate(sum, s->act, s->lo, s->hi);
        if (s->out_lane == 1)
            vf_store_part(s->out + at, sum, lanes);
        else if (s->out_lane == 2)
            vf_store_even(s->out + at, sum, lanes);
        else
            vf_store_strided(s->out + at, s->out_lane, sum, lanes);
    }
}

CVL_INLINE void store_all(const struct cvl_dw_sum *s, const struct shape shape, const vf sums[TILE])
{
    float *out = s->out;
    if (s->window.lanes == VF_LANES) {
        UNROLL
        for (int t = 0; t < shape.tile; t++, out += s->out_slide)
            if (t < s->count)
                vf_store(out, sums[t]);
    } else {
        UNROLL
        for (int t = 0; t < shape.tile; t++, out += s->out_slide)
            if (t < s->count)
                vf_store_part(out, sums[t], s->window.lanes);
    }
}

CVL_INLINE void finish(const struct cvl_dw_sum *s, const struct shape shape, vf sums[TILE])
{
    float lo, hi;
    if (s->bias) {
        const vf bias = shape.mode < CVL_DW_COLUMNS ? vf_load_part(s->bias, s->window.lanes) : vf_set(*s->bias);
        UNROLL
        for (int t = 0; t < shape.tile; t++)
            sums[t] += bias;
    }
    if (s->residual || s->out_lane != 1 || s->act > CVL_ACT_CLIP) {
        float scratch[TILE * VF_LANES];
        UNROLL
        for (int t = 0; t < shape.tile; t++)
            vf_store(scratch + t * VF_LANES, sums[t]);
        finish_apart(s, scratch);
        return;
    }
    if (clips(s, &lo, &hi)) {
        const vf low = vf_set(lo), high = vf_set(hi);
        UNROLL
        for (int t = 0; t < shape.tile; t++)
            sums[t] = vf_clip(sums[t], low, high);
    }
    store_all(s, shape, sums);
}

/* ---- the instances ---- */

CVL_INLINE void sum_tile(const struct cvl_dw_sum *s, const struct shape shape)
{
    const int taps = s->window.taps, longest = longest_block(shape.mode, shape.stride);
    vf sums[TILE];
    UNROLL
    for (int t = 0; t < shape.tile; t++)
        sums[t] = vf_zero();
    for (int first = 0, block; first < taps; first += block) {
        block = s->window.stride == shape.stride ? block_of(taps - first, longest) : 1;
        if (longest == BLOCK_MAX && block == 7)
            add_taps(s, (struct shape){ shape.mode, shape.tile, shape.stride, 7 }, first, sums);
        else if (longest == BLOCK_MAX && block == 5)
            add_taps(s, (struct shape){ shape.mode, shape.tile, shape.stride, 5 }, first, sums);
        else if (longest > 1 && block == 3)
            add_taps(s, (struct shape){ shape.mode, shape.tile, shape.stride, 3 }, first, sums);
        else if (longest > 1 && block == 2)
            add_taps(s, (struct shape){ shape.mode, shape.tile, shape.stride, 2 }, first, sums);
        else
            add_taps(s, (struct shape){ shape.mode, shape.tile, shape.stride, 1 }, first, sums);
    }
    finish(s, shape, sums);
}

/* The smallest run that holds all outputs; positions past them are summed from what is inside and not stored. */
CVL_INLINE void sum_run(const struct cvl_dw_sum *s, const enum cvl_dw_mode mode, const int stride)
{
    if (TILE > 7 && s->count > 7)
        sum_tile(s, (struct shape){ .mode = mode, .tile = TILE, .stride = stride });
    else if (s->count > 4)
        sum_tile(s, (struct shape){ .mode = mode, .tile = 7, .stride = stride });
    else if (s->count > 2)
        sum_tile(s, (struct shape){ .mode = mode, .tile = 4, .stride = stride });
    else
        sum_tile(s, (struct shape){ .mode = mode, .tile = 2, .stride = stride });
}

static void channels_1(const struct cvl_dw_sum *s) { sum_run(s, CVL_DW_CHANNELS, 1); }
static void channels_2(const struct cvl_dw_sum *s) { sum_run(s, CVL_DW_CHANNELS, 2); }
static void shared_1(const struct cvl_dw_sum *s) { sum_run(s, CVL_DW_SHARED, 1); }
static void shared_2(const struct cvl_dw_sum *s) { sum_run(s, CVL_DW_SHARED, 2); }
static void one_1(const struct cvl_dw_sum *s) { sum_run(s, CVL_DW_ONE, 1); }
static void one_2(const struct cvl_dw_sum *s) { sum_run(s, CVL_DW_ONE, 2); }
static void columns_1(const struct cvl_dw_sum *s) { sum_run(s, CVL_DW_COLUMNS, 1); }
static void columns_2(const struct cvl_dw_sum *s) { sum_run(s, CVL_DW_COLUMNS, 2); }
static void even_1(const struct cvl_dw_sum *s) { sum_run(s, CVL_DW_COLUMNS_EVEN, 1); }
static void even_2(const struct cvl_dw_sum *s) { sum_run(s, CVL_DW_COLUMNS_EVEN, 2); }

/* Columns far apart are gathered one by one: nothing is won by long runs. */
static void apart(const struct cvl_dw_sum *s)
{
    for (struct cvl_dw_sum part = *s; part.count > 0; part.count -= 2) {
        const int left = part.count;
        part.count = left < 2 ? left : 2;
        sum_tile(&part, (struct shape){ .mode = CVL_DW_COLUMNS_APART, .tile = 2, .stride = 0 });
        part.count = left;
        part.window.origin += 2 * part.window.stride;
        part.out += 2 * part.out_slide;
        if (part.residual)
            part.residual += 2 * part.out_slide;
    }
}

static void sum(const struct cvl_dw_sum *s)
{
    static void (*const instances[CVL_DW_MODES][2])(const struct cvl_dw_sum *) = {
        [CVL_DW_CHANNELS] = { channels_1, channels_2 }, [CVL_DW_SHARED] = { shared_1, shared_2 },
        [CVL_DW_ONE] = { one_1, one_2 }, [CVL_DW_COLUMNS] = { columns_1, columns_2 },
        [CVL_DW_COLUMNS_EVEN] = { even_1, even_2 }, [CVL_DW_COLUMNS_APART] = { apart, apart },
    };
    instances[s->window.mode][s->window.stride == 2](s);
}

extern const struct cvl_dw_kern CVL_KERN(cvl_dw_kern);
const struct cvl_dw_kern CVL_KERN(cvl_dw_kern) = { .lanes = VF_LANES, .tile = TILE, .sum = sum };
