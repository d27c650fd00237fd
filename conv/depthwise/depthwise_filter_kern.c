/* SPDX-License-Identifier: Apache-2.0
 * BWD_FILTER: the sums of up to seven taps stay in registers while outputs go by, up to seven of which are held in
 * registers too, so that an input is loaded once for all products that it is part of. */
#include "conv/depthwise/depthwise_load.h"

enum { TILE = 7 };

struct shape { enum cvl_dw_mode mode; int tile, stride, taps; };

/* Chains of additions: with few taps two for each, since one addition waits for the last. */
CVL_INLINE int chains_of(int taps) { return taps <= 3 ? 2 : 1; }

struct place {
    const float *x, *y;
    int          origin;         /* of tap 0 of the block, for the first output */
    struct lanes lanes;
    vi           index;
};

CVL_INLINE void add_tile(const struct cvl_dw_filter *f, const struct shape shape, const bool whole, struct place at,
                         vf sums[2 * BLOCK_MAX])
{
    const struct cvl_dw_window *window = &f->window;
    const int apart = shape.taps == 1 ? 1 : shape.stride, reach = (shape.tile - 1) * apart + shape.taps;
    const int stride = shape.taps == 1 ? window->stride : 1, chains = chains_of(shape.taps);
    const uint64_t inside = inside_of(at.origin, window->extent, stride, reach);
    const ptrdiff_t step = stride * window->x_slide;
    const float *x = at.x + at.origin * window->x_slide;
    vf y[TILE];
    UNROLL
    for (int t = 0; t < shape.tile; t++)
        y[t] = vf_load_part(at.y + t * f->y_slide, window->lanes);
    UNROLL
    for (int j = 0; j < reach; j++) {
        if (inside >> j & 1) {
            const vf value = load_x(x, shape.mode, whole, at.lanes, window->x_lane, at.index);
            UNROLL
            for (int t = 0; t < shape.tile; t++)
                if (j - t * apart >= 0 && j - t * apart < shape.taps)
                    sums[(j - t * apart) * chains + t % chains] += value * y[t];
        }
        x += step;
    }
}

/* All outputs along the slide, for a block of taps under one cross tap and channel. Only as many are multiplied as there
 * are: a product of padding with an infinity would spoil the sum. */
CVL_INLINE void add_outputs(const struct cvl_dw_filter *f, struct shape shape, const bool whole, struct place at,
                            float *total)
{
    const int chains = chains_of(shape.taps);
    vf sums[2 * BLOCK_MAX];
    UNROLL
    for (int v = 0; v < shape.taps * chains; v++)
        sums[v] = vf_zero();
    for (int left = f->count, done; left > 0; left -= done) {
        done = left >= TILE ? TILE : left >= 2 ? 2 : 1;
        if (done == TILE)
            add_tile(f, (struct shape){ shape.mode, TILE, shape.stride, shape.taps }, whole, at, sums);
        else if (done == 2)
            add_tile(f, (struct shape){ shape.mode, 2, shape.stride, shape.taps }, whole, at, sums);
        else
            add_tile(f, (struct shape){ shape.mode, 1, shape.stride, shape.taps }, whole, at, sums);
        at.origin += done * f->window.stride;
        at.y += done * f->y_slide;
    }
    UNROLL
    for (int v = 0; v < shape.taps; v++) {
        float *to = total + v * f->total_slide;
        vf_store(to, vf_load(to) + (chains == 2 ? sums[2 * v] + sums[2 * v + 1] : sums[v]));
    }
}

CVL_INLINE void add_taps(const struct cvl_dw_filter *f, const struct shape shape, int first)
{
    const struct cvl_dw_window *x = &f->window;
    for (int cross = 0; cross < x->cross; cross++) {
        struct place at = { .y = f->y, .origin = x->origin + first, .lanes = lanes_of(x, shape.mode, cross) };
        if (at.lanes.from >= at.lanes.to)
            continue;
        if (shape.mode == CVL_DW_SHARED)
            at.index = (vi)vf_load((const float *)x->lookup);
        const bool whole = !MASKS_ARE_FREE && at.lanes.from == 0 && at.lanes.to == VF_LANES;
        for (int channel = 0; channel < x->channels; channel++) {
            float *total = f->totals + first * f->total_slide + cross * f->total_cross + channel * f->total_channel;
            at.x = x->x + cross * x->x_cross + (shape.mode == CVL_DW_SHARED ? 0 : channel * x->x_channel);
            if (whole)
                add_outputs(f, shape, true, at, total);
            else
                add_outputs(f, shape, false, at, total);
            at.index += 1;
        }
    }
}

CVL_INLINE void add_all(const struct cvl_dw_filter *f, const enum cvl_dw_mode mode, const int stride)
{
    const int taps = f->window.taps, longest = longest_block(mode, stride);
    for (int first = 0, block; first < taps; first += block) {
        block = f->window.stride == stride ? block_of(taps - first, longest) : 1;
        if (longest == BLOCK_MAX && block == 7)
            add_taps(f, (struct shape){ mode, 0, stride, 7 }, first);
        else if (longest == BLOCK_MAX && block == 5)
            add_taps(f, (struct shape){ mode, 0, stride, 5 }, first);
        else if (longest > 1 && block == 3)
            add_taps(f, (struct shape){ mode, 0, stride, 3 }, first);
        else if (longest > 1 && block == 2)
            add_taps(f, (struct shape){ mode, 0, stride, 2 }, first);
        else
            add_taps(f, (struct shape){ mode, 0, stride, 1 }, first);
    }
}

static void channels_1(const struct cvl_dw_filter *f) { add_all(f, CVL_DW_CHANNELS, 1); }
static void channels_2(const struct cvl_dw_filter *f) { add_all(f, CVL_DW_CHANNELS, 2); }
static void shared_1(const struct cvl_dw_filter *f) { add_all(f, CVL_DW_SHARED, 1); }
static void shared_2(const struct cvl_dw_filter *f) { add_all(f, CVL_DW_SHARED, 2); }
static void one_1(const struct cvl_dw_filter *f) { add_all(f, CVL_DW_ONE, 1); }
static void one_2(const struct cvl_dw_filter *f) { add_all(f, CVL_DW_ONE, 2); }
static void columns_1(const struct cvl_dw_filter *f) { add_all(f, CVL_DW_COLUMNS, 1); }
static void columns_2(const struct cvl_dw_filter *f) { add_all(f, CVL_DW_COLUMNS, 2); }
static void even_1(const struct cvl_dw_filter *f) { add_all(f, CVL_DW_COLUMNS_EVEN, 1); }
static void even_2(const struct cvl_dw_filter *f) { add_all(f, CVL_DW_COLUMNS_EVEN, 2); }
static void apart(const struct cvl_dw_filter *f) { add_all(f, CVL_DW_COLUMNS_APART, 0); }

static void add(const struct cvl_dw_filter *f)
{
    static void (*const instances[CVL_DW_MODES][2])(const struct cvl_dw_filter *) = {
        [CVL_DW_CHANNELS] = { channels_1, channels_2 }, [CVL_DW_SHARED] = { shared_1, shared_2 },
        [CVL_DW_ONE] = { one_1, one_2 }, [CVL_DW_COLUMNS] = { columns_1, columns_2 },
        [CVL_DW_COLUMNS_EVEN] = { even_1, even_2 }, [CVL_DW_COLUMNS_APART] = { apart, apart },
    };
    instances[f->window.mode][f->window.stride == 2](f);
}

extern const struct cvl_dw_filter_kern CVL_KERN(cvl_dw_filter_kern);
const struct cvl_dw_filter_kern CVL_KERN(cvl_dw_filter_kern) = { .add = add };
