/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/cuda/cuda_stem_lists.h"

#include "base/dtype.h"
#include "base/error.h"
#include "conv/axis.h"

static int even(int number) { return number + number % 2; }
static int row_of_taps(const cvl_conv_desc *desc) { return even(desc->s * desc->c); }

int cvl_stem_depth(const cvl_conv_desc *desc)
{
    return cvl_divide_up(desc->r * row_of_taps(desc), 16) * 16;
}

const char *cvl_stem_reject(const cvl_conv_desc *desc)
{
    if (desc->pass != CVL_FWD)
        return cvl_reason("it is a forward pass: see cuda-igemm");
    if (cvl_dtype_size(desc->x_type) != 2 || desc->w_type != desc->x_type || !cvl_dtype_is_float(desc->y_type))
        return cvl_reason("x and w are %s and %s, expected both bf16 or both f16: see cuda-igemm",
                          cvl_dtype_name(desc->x_type), cvl_dtype_name(desc->w_type));
    if (desc->x_layout != CVL_NHWC || desc->groups != 1 || desc->c > CVL_STEM_CHANNELS_MOST)
        return cvl_reason("x must be nhwc with at most %d channels in one group: see cuda-igemm",
                          CVL_STEM_CHANNELS_MOST);
    if (desc->dil_h != 1 || desc->dil_w != 1)
        return cvl_reason("dilation is %d x %d, expected 1: see cuda-igemm", desc->dil_h, desc->dil_w);
    if (desc->stride_h > CVL_STEM_STRIDE_MOST || desc->stride_w > CVL_STEM_STRIDE_MOST)
        return cvl_reason("stride is %d x %d, expected at most %d", desc->stride_h, desc->stride_w,
                          CVL_STEM_STRIDE_MOST);
    if ((double)desc->r * desc->s * desc->c > CVL_STEM_DEPTH_MOST || cvl_stem_depth(desc) > CVL_STEM_DEPTH_MOST)
        return cvl_reason("a filter has %d x %d x %d weights, expected at most some %d", desc->r, desc->s, desc->c,
                          CVL_STEM_DEPTH_MOST);
    return NULL;
}

/* Of 64 x 2, 32 x 4, 16 x 8 pixels, what covers the image with the fewest tiles; the widest of equals. */
static int choose_tile(int p, int q)
{
    int best = 64;
    for (int wide = 64; wide >= 16; wide /= 2) {
        const int64_t tiles = (int64_t)cvl_divide_up(q, wide) * cvl_divide_up(p, CVL_STEM_PIXELS / wide);
        if (tiles < (int64_t)cvl_divide_up(q, best) * cvl_divide_up(p, CVL_STEM_PIXELS / best))
            best = wide;
    }
    return best;
}

static int wide_of(const struct cvl_finish *finish, const struct cvl_strides *y, int k)
{
    for (int wide = 8; wide >= 4; wide /= 2)
        if (y->at[1] == 1 && k % wide == 0 && cvl_finish_is_aligned(finish, wide))
            return wide;
    return 1;
}

struct cvl_stem cvl_stem_of(const cvl_conv_desc *desc, const cvl_conv_args *args, const void *filter)
{
    const struct cvl_strides y = cvl_conv_strides(desc, CVL_Y);
    const int p = cvl_conv_p(desc), q = cvl_conv_q(desc), wide = choose_tile(p, q), high = CVL_STEM_PIXELS / wide;
    const int step = desc->stride_w * desc->c, row = row_of_taps(desc);
    const int p_tiles = cvl_divide_up(p, high), q_tiles = cvl_divide_up(q, wide);
    const struct cvl_finish finish = cvl_finish_of(desc, args, desc->y_type, args->y);
    return (struct cvl_stem){
        .x = args->x, .filter = filter, .type = desc->x_type, .x_n = desc->h * desc->w * desc->c, .h = desc->h,
        .row = desc->w * desc->c, .first = -desc->pad_left * desc->c, .step = step, .top = desc->pad_top,
        .stride_h = desc->stride_h, .p = p, .q = q, .k = desc->k,
        .tile_q = cvl_divisor_of(wide), .p_tiles = cvl_divisor_of(p_tiles), .q_tiles = cvl_divisor_of(q_tiles),
        .tiles = desc->n * p_tiles * q_tiles, .rows = (high - 1) * desc->stride_h + desc->r,
        .copies = 1 + step % 2, .pitch = cvl_divisor_of(even((wide - 1) * step) + row), .depth = cvl_stem_depth(desc),
        .taps_pairs = desc->r * row / 2, .row_pairs = cvl_divisor_of(row / 2), .y_n = (int)y.at[0], .y_p = (int)y.at[2],
        .y_q = (int)y.at[3], .y_k = (int)y.at[1], .wide = wide_of(&finish, &y, desc->k), .along_k = y.at[1] == 1,
        .finish = finish,
    };
}

struct cvl_stem_pack cvl_stem_pack_of(const cvl_conv_desc *desc, const void *from, void *to)
{
    const struct cvl_strides w = cvl_conv_strides(desc, CVL_W);
    return (struct cvl_stem_pack){
        .from = from, .to = to, .line = cvl_divisor_of(cvl_stem_depth(desc) + CVL_STEM_GAP),
        .row = cvl_divisor_of(row_of_taps(desc)), .c = cvl_divisor_of(desc->c),
        .count = (int)(cvl_stem_packed_bytes(desc) / 2), .k = desc->k, .r = desc->r, .s = desc->s,
        .at_k = (int)w.at[0], .at_c = (int)w.at[1], .at_r = (int)w.at[2], .at_s = (int)w.at[3],
    };
}

size_t cvl_stem_packed_bytes(const cvl_conv_desc *desc)
{
    const size_t blocks = (size_t)cvl_divide_up(desc->k, CVL_STEM_K);
    return blocks * CVL_STEM_K * (size_t)(cvl_stem_depth(desc) + CVL_STEM_GAP) * 2;
}
