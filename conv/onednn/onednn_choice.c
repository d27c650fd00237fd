/* SPDX-License-Identifier: Apache-2.0
 * A problem in oneDNN's terms, and the implementations that it has for that. The filter's format is left to each
 * implementation; a knob names the format and counts those that share it, because packed filters must depend on the
 * candidate and not on the size of the image, and oneDNN's own first choice does depend on that. */
#include "conv/onednn/onednn.h"

#include "conv/desc.h"

#include <string.h>

static const dnnl_data_type_t types[] = {
    [CVL_F32] = dnnl_f32, [CVL_BF16] = dnnl_bf16, [CVL_F16] = dnnl_f16,
    [CVL_S8] = dnnl_s8, [CVL_U8] = dnnl_u8, [CVL_S32] = dnnl_s32,
};

/* hardswish(x) = x * clip(alpha * x + beta, 0, 1); version 2 knows only this one and reads neither. */
static const struct { dnnl_alg_kind_t kind; float alpha, beta; } eltwise[] = {
    [CVL_ACT_RELU] = { dnnl_eltwise_relu, 0, 0 },        [CVL_ACT_RELU6] = { dnnl_eltwise_clip, 0, 6 },
    [CVL_ACT_CLIP] = { dnnl_eltwise_clip, 0, 0 },        [CVL_ACT_SILU] = { dnnl_eltwise_swish, 1, 0 },
    [CVL_ACT_HARDSWISH] = { dnnl_eltwise_hardswish, 1.0f / 6, 0.5f }, [CVL_ACT_GELU] = { dnnl_eltwise_gelu_erf, 0, 0 },
};

struct cvl_dnnl_md *cvl_onednn_image_md(const cvl_conv_desc *desc, enum cvl_tensor tensor, bool any)
{
    const struct cvl_strides strides = cvl_conv_strides(desc, tensor);
    dnnl_dims_t dims = { 0 }, steps = { 0 };
    int sizes[4];
    cvl_conv_dims(desc, tensor, sizes);
    for (int i = 0; i < 4; i++) {
        dims[i] = sizes[i];
        steps[i] = strides.at[i];
    }
    if (desc->n == 0)   /* an empty batch is never run; it packs like others */
        dims[0] = 1;
    const dnnl_data_type_t type = types[cvl_conv_type(desc, tensor)];
    if (any)
        return cvl_dnnl_md_by_tag(4, dims, type, dnnl_format_tag_any);
    return strides.block ? cvl_dnnl_md_by_tag(4, dims, type, dnnl_nChw16c)
                         : cvl_dnnl_md_by_strides(4, dims, type, steps);
}

/* (k,c/groups,r,s), and (groups,k/groups,c/groups,r,s) where there are groups. */
static struct cvl_dnnl_md *filter_md(const cvl_conv_desc *desc, bool any)
{
    const struct cvl_strides strides = cvl_conv_strides(desc, CVL_W);
    const int first = desc->groups > 1;
    dnnl_dims_t dims = { 0 }, steps = { 0 };
    int sizes[4];
    cvl_conv_dims(desc, CVL_W, sizes);
    for (int i = 0; i < 4; i++) {
        dims[first + i] = sizes[i];
        steps[first + i] = strides.at[i];
    }
    if (first) {
        dims[0] = desc->groups;
        dims[1] = desc->k / desc->groups;
        steps[0] = strides.at[0] * dims[1];
    }
    return any ? cvl_dnnl_md_by_tag(4 + first, dims, types[desc->w_type], dnnl_format_tag_any)
               : cvl_dnnl_md_by_strides(4 + first, dims, types[desc->w_type], steps);
}

struct cvl_dnnl_md *cvl_onednn_filter_md(const cvl_conv_desc *desc)
{
    return filter_md(desc, false);
}

static struct cvl_dnnl_md *bias_md(const cvl_conv_desc *desc)
{
    const dnnl_dims_t dims = { desc->k }, steps = { 1 };
    return cvl_dnnl_md_by_strides(1, dims, dnnl_f32, steps);
}

static struct cvl_dnnl_attr attr_of(const cvl_conv_desc *desc)
{
    const cvl_epilogue *epi = &desc->epi;
    struct cvl_dnnl_attr attr = { .sum = epi->residual && desc->pass == CVL_FWD,
                                  .eltwise = epi->act != CVL_ACT_NONE, .x_zero = desc->quant.x_zero };
    if (attr.eltwise) {
        attr.kind = eltwise[epi->act].kind;
        attr.alpha = epi->act == CVL_ACT_CLIP ? epi->lo : eltwise[epi->act].alpha;
        attr.beta = epi->act == CVL_ACT_CLIP ? epi->hi : eltwise[epi->act].beta;
    }
    return attr;
}

const char *cvl_onednn_pd_name(const_dnnl_primitive_desc_t pd)
{
    const char *name = NULL;
    return dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name) == dnnl_success && name ? name : "unnamed";
}

dnnl_query_t cvl_onednn_image_query(cvl_pass pass, enum cvl_tensor tensor)
{
    if (tensor == CVL_X)
        return pass == CVL_BWD_DATA ? dnnl_query_diff_src_md : dnnl_query_src_md;
    return pass == CVL_FWD ? dnnl_query_dst_md : dnnl_query_diff_dst_md;
}

dnnl_query_t cvl_onednn_filter_query(cvl_pass pass)
{
    return pass == CVL_BWD_FILTER ? dnnl_query_diff_weights_md : dnnl_query_weights_md;
}

static bool has_empty_line(int outputs, int stride, int dil, int pad, int taps, int extent)
{
    for (int i = 0; i < outputs; i++) {
        int first, last;
        cvl_tap_range(i, stride, dil, pad, taps, extent, &first, &last);
        if (first == last)
            return true;
    }
    return false;
}

/* Sums of bytes stay integers in brgemm code that only stores them; all else passes them through f32. Without
 * dot-product instructions pairs of products saturate at 16 bits. */
static bool is_inexact(const cvl_conv_desc *d, const char *name)
{
    const bool stores = strncmp(name, "brg", 3) == 0 && d->x_type == CVL_U8 && !d->quant.x_zero
                     && d->epi.act == CVL_ACT_NONE;
    return (!strstr(name, "vnni") && !strstr(name, "amx") && !strstr(name, "avx10"))
        || (!stores && 255.0 * 128 * cvl_conv_reduction(d) > 0x1p24);
}

/* Where channels are no whole blocks of 16, version 2.6 reads what it never wrote in bf16, both in 1x1 code and in
 * gradients of filters, and writes beyond its scratchpad in gradients of 1x1 filters with a stride. */
static bool fails_in_part_blocks(const cvl_conv_desc *d, const char *name)
{
    const bool gradient = d->pass == CVL_BWD_FILTER, whole = d->c / d->groups % 16 == 0 && d->k / d->groups % 16 == 0;
    return !whole && (strstr(name, "jit_bf16_1x1") || (gradient && strstr(name, "jit_bf16"))
                      || (gradient && strstr(name, "jit_1x1") && (d->stride_h > 1 || d->stride_w > 1)));
}

/* SSE4.1 adds a residual as if it were aligned to 16 bytes, and where whole rows or columns see only padding, brgemm
 * convolutions of version 2.6 add no residual there, or crash in the activation after it. */
static bool fails_with_residual(const cvl_conv_desc *d, const char *name)
{
    return strstr(name, "sse41")
        || (strncmp(name, "brg", 3) == 0
            && (has_empty_line(cvl_conv_p(d), d->stride_h, d->dil_h, d->pad_top, d->r, d->h)
                || has_empty_line(cvl_conv_q(d), d->stride_w, d->dil_w, d->pad_left, d->s, d->w)));
}

/* Reference loops, thousands of times slower, and code that the oracle tests found wrong. */
static bool is_refused(const cvl_conv_desc *d, const char *name)
{
    return strstr(name, "ref") || (cvl_conv_is_integer(d) && is_inexact(d, name)) || fails_in_part_blocks(d, name)
        || (d->epi.residual && fails_with_residual(d, name));
}

static int format_of(const cvl_conv_desc *desc, dnnl_primitive_desc_t pd)
{
    return cvl_filter_format(cvl_dnnl_query_md(pd, cvl_onednn_filter_query(desc->pass), 0));
}

static bool is_same_kind(const struct cvl_variant *a, const struct cvl_variant *b)
{
    return a->knob[CVL_ONEDNN_FILTER] == b->knob[CVL_ONEDNN_FILTER]
        && a->knob[CVL_ONEDNN_INNER] == b->knob[CVL_ONEDNN_INNER];
}

/* oneDNN 2 lists an implementation twice when its code is in the primitive cache. Of formats without a number only the
 * first choice is of use, which needs none. */
static bool is_new(const struct cvl_onednn_choices *choices, dnnl_primitive_desc_t pd,
                   const struct cvl_variant *variant)
{
    for (int i = 0; i < choices->count; i++)
        if (is_same_kind(&choices->variant[i], variant)
            && strcmp(cvl_onednn_pd_name(choices->pd[i]), cvl_onednn_pd_name(pd)) == 0)
            return false;
    return variant->knob[CVL_ONEDNN_FILTER] > 0 || choices->count == 0;
}

/* Brgemm code and GEMMs cut their sums by the number of threads, gradients of filters are added up per thread, and a
 * residual comes before or after a part of the sum. All else gave the same bits with one thread and with three in some
 * 10,000 runs of the oracle tests. */
static bool is_deterministic(const cvl_conv_desc *desc, const char *name)
{
    return cvl_conv_is_integer(desc)
        || (cvl_dnnl_keeps_order && desc->pass != CVL_BWD_FILTER && !desc->epi.residual
            && strncmp(name, "jit", 3) == 0);
}

/* Implementations with equal formats are numbered by their names: what is in the primitive cache can change the order
 * of the list, and must not change what a candidate's name means. */
static void number_choices(struct cvl_onednn_choices *choices)
{
    for (int i = 0; i < choices->count; i++) {
        int before = 0;
        for (int j = 0; j < choices->count; j++)
            before += is_same_kind(&choices->variant[j], &choices->variant[i])
                   && strcmp(cvl_onednn_pd_name(choices->pd[j]), cvl_onednn_pd_name(choices->pd[i])) < 0;
        choices->variant[i].knob[CVL_ONEDNN_IMPL] = before ? before + 1 : 0;
    }
}

/* Images in the caller's layouts need no inner ones. */
static bool is_plain(const cvl_conv_desc *desc, dnnl_primitive_desc_t pd, const struct cvl_dnnl_md *x,
                     const struct cvl_dnnl_md *y)
{
    return cvl_dnnl_md_equal(x, cvl_dnnl_query_md(pd, cvl_onednn_image_query(desc->pass, CVL_X), 0))
        && cvl_dnnl_md_equal(y, cvl_dnnl_query_md(pd, cvl_onednn_image_query(desc->pass, CVL_Y), 0));
}

/* What oneDNN offers with the caller's layouts, or (inner) with its own and reorders around it. */
static void add_choices(const cvl_conv_desc *desc, struct cvl_dnnl_conv conv, bool inner,
                        struct cvl_onednn_choices *choices)
{
    enum { LIST_MAX = 24 };
    dnnl_primitive_desc_t list[LIST_MAX];
    const struct cvl_dnnl_md *x = conv.x, *y = conv.y;
    const int most = choices->count + (inner ? CVL_ONEDNN_INNER_MAX : CVL_ONEDNN_CHOICES_MAX);
    if (inner) {
        conv.x = cvl_onednn_image_md(desc, CVL_X, true);
        conv.y = cvl_onednn_image_md(desc, CVL_Y, true);
    }
    const int count = conv.x && conv.y ? cvl_dnnl_conv_list(&conv, list, LIST_MAX) : 0;
    for (int i = 0; i < count; i++) {
        const char *name = cvl_onednn_pd_name(list[i]);
        struct cvl_variant variant = { .knob = { [CVL_ONEDNN_FILTER] = format_of(desc, list[i]),
                                                 [CVL_ONEDNN_INNER] = inner },
                                       .nondeterministic = !is_deterministic(desc, name) };
        if (choices->count < most && !is_refused(desc, name) && is_new(choices, list[i], &variant)
            && !(inner && is_plain(desc, list[i], x, y))) {
            choices->variant[choices->count] = variant;
            choices->pd[choices->count++] = list[i];
        } else {
            dnnl_primitive_desc_destroy(list[i]);
        }
    }
    choices->refused = choices->refused || (count > 0 && choices->count == 0);
    if (inner) {
        cvl_dnnl_md_destroy(conv.x);
        cvl_dnnl_md_destroy(conv.y);
    }
}

/* A user with planes does best to bring them into another layout first: version 2 lowers convolutions of planes to a
 * GEMM. */
static bool has_planes(const cvl_conv_desc *desc)
{
    return desc->x_layout == CVL_NCHW || desc->y_layout == CVL_NCHW;
}

void cvl_onednn_choices_create(const cvl_ctx *ctx, const cvl_conv_desc *given, struct cvl_onednn_choices *choices)
{
    cvl_conv_desc desc = *given;
    if (desc.n == 0)   /* like every descriptor of an image */
        desc.n = 1;
    const struct cvl_dnnl_attr attr = attr_of(&desc);
    struct cvl_dnnl_conv conv = {
        .pass = desc.pass, .engine = cvl_onednn_engine(),
        .x = cvl_onednn_image_md(&desc, CVL_X, false), .w = filter_md(&desc, true),
        .y = cvl_onednn_image_md(&desc, CVL_Y, false), .bias = desc.epi.bias ? bias_md(&desc) : NULL,
        .strides = { desc.stride_h, desc.stride_w }, .dilations = { desc.dil_h - 1, desc.dil_w - 1 },
        .pads_before = { desc.pad_top, desc.pad_left }, .pads_after = { desc.pad_bottom, desc.pad_right },
    };
    memset(choices, 0, sizeof *choices);
    const int before = cvl_onednn_enter(ctx);
    if (conv.x && conv.w && conv.y && (conv.bias || !desc.epi.bias)
        && cvl_dnnl_attr_create(&attr, &conv.attr) == dnnl_success) {
        add_choices(&desc, conv, false, choices);
        if (has_planes(&desc))
            add_choices(&desc, conv, true, choices);
        number_choices(choices);
        dnnl_primitive_attr_destroy(conv.attr);
    }
    cvl_onednn_leave(before);
    cvl_dnnl_md_destroy(conv.x);
    cvl_dnnl_md_destroy(conv.w);
    cvl_dnnl_md_destroy(conv.y);
    cvl_dnnl_md_destroy(conv.bias);
}

void cvl_onednn_choices_destroy(struct cvl_onednn_choices *choices)
{
    for (int i = 0; i < choices->count; i++)
        if (choices->pd[i])
            dnnl_primitive_desc_destroy(choices->pd[i]);
    choices->count = 0;
}
