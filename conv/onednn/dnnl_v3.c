/* SPDX-License-Identifier: Apache-2.0
 * The interface of oneDNN 3: descriptors are handles, a convolution is described by its primitive descriptor, and
 * requantization has the scales of x, w and y, with a bias and an activation of real numbers between them. */
#include "conv/onednn/dnnl_api.h"

#include "conv/desc.h"

#include <string.h>

static struct cvl_dnnl_md *wrap(dnnl_status_t status, dnnl_memory_desc_t md)
{
    return status == dnnl_success ? (struct cvl_dnnl_md *)md : NULL;
}

static const_dnnl_memory_desc_t md_of(const struct cvl_dnnl_md *md)
{
    return (const_dnnl_memory_desc_t)md;
}

struct cvl_dnnl_md *cvl_dnnl_md_create(int ndims, const dnnl_dims_t dims, dnnl_data_type_t type,
                                       const dnnl_dims_t strides)
{
    dnnl_memory_desc_t md = NULL;
    const dnnl_status_t status = strides
        ? dnnl_memory_desc_create_with_strides(&md, ndims, dims, type, strides)
        : dnnl_memory_desc_create_with_tag(&md, ndims, dims, type, dnnl_format_tag_any);
    return wrap(status, md);
}

struct cvl_dnnl_md *cvl_dnnl_md_create_16c(const dnnl_dims_t dims, dnnl_data_type_t type)
{
    dnnl_memory_desc_t md = NULL;
    const dnnl_status_t status = dnnl_memory_desc_create_with_tag(&md, 4, dims, type, dnnl_nChw16c);
    return wrap(status, md);
}

void cvl_dnnl_md_destroy(struct cvl_dnnl_md *md)
{
    dnnl_memory_desc_destroy((dnnl_memory_desc_t)md);
}

size_t cvl_dnnl_md_size(const struct cvl_dnnl_md *md)
{
    return dnnl_memory_desc_get_size(md_of(md));
}

bool cvl_dnnl_md_equal(const struct cvl_dnnl_md *a, const struct cvl_dnnl_md *b)
{
    return dnnl_memory_desc_equal(md_of(a), md_of(b));
}

static bool copy_dims(const_dnnl_memory_desc_t md, dnnl_query_t what, dnnl_dims_t to)
{
    const dnnl_dims_t *dims;
    if (dnnl_memory_desc_query(md, what, &dims) != dnnl_success)
        return false;
    memcpy(to, *dims, sizeof *dims);
    return true;
}

bool cvl_dnnl_md_blocking(const struct cvl_dnnl_md *md, struct cvl_dnnl_blocking *blocking)
{
    const const_dnnl_memory_desc_t from = md_of(md);
    dnnl_format_kind_t kind;
    *blocking = (struct cvl_dnnl_blocking){ .ndims = 0 };
    return dnnl_memory_desc_query(from, dnnl_query_format_kind, &kind) == dnnl_success && kind == dnnl_blocked
        && dnnl_memory_desc_query(from, dnnl_query_ndims_s32, &blocking->ndims) == dnnl_success
        && dnnl_memory_desc_query(from, dnnl_query_inner_nblks_s32, &blocking->blocks) == dnnl_success
        && copy_dims(from, dnnl_query_padded_dims, blocking->dims)
        && copy_dims(from, dnnl_query_strides, blocking->strides)
        && copy_dims(from, dnnl_query_inner_blks, blocking->block)
        && copy_dims(from, dnnl_query_inner_idxs, blocking->axis);
}

const struct cvl_dnnl_md *cvl_dnnl_query_md(const_dnnl_primitive_desc_t pd, dnnl_query_t what, int index)
{
    return (const struct cvl_dnnl_md *)dnnl_primitive_desc_query_md(pd, what, index);
}

dnnl_status_t cvl_dnnl_memory_create(const struct cvl_dnnl_md *md, dnnl_engine_t engine, dnnl_memory_t *memory)
{
    return dnnl_memory_create(memory, md_of(md), engine, DNNL_MEMORY_NONE);
}

static dnnl_status_t set_post_ops(const struct cvl_dnnl_post_ops *wanted, dnnl_primitive_attr_t attr)
{
    dnnl_post_ops_t made = NULL;
    dnnl_status_t status = dnnl_post_ops_create(&made);
    if (status == dnnl_success && wanted->sum)
        status = dnnl_post_ops_append_sum(made, 1, 0, dnnl_data_type_undef);
    if (status == dnnl_success && wanted->eltwise)
        status = dnnl_post_ops_append_eltwise(made, wanted->kind, wanted->alpha, wanted->beta);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_post_ops(attr, made);
    dnnl_post_ops_destroy(made);
    return status;
}

/* One filter scale a channel: along k, and along the groups where the filter has them as a dimension. */
static int filter_mask(const cvl_conv_desc *desc)
{
    return !desc->quant.per_channel ? 0 : desc->groups > 1 ? 1 << 0 | 1 << 1 : 1 << 0;
}

static dnnl_status_t set_quant(const cvl_conv_desc *desc, dnnl_primitive_attr_t attr)
{
    struct cvl_dnnl_scale scales[CVL_DNNL_SCALES_MAX];
    dnnl_status_t status = dnnl_success;
    if (cvl_dnnl_scale_list(desc, scales) > 0) {
        status = dnnl_primitive_attr_set_scales_mask(attr, DNNL_ARG_SRC, 0);
        if (status == dnnl_success)
            status = dnnl_primitive_attr_set_scales_mask(attr, DNNL_ARG_WEIGHTS, filter_mask(desc));
        if (status == dnnl_success)
            status = dnnl_primitive_attr_set_scales_mask(attr, DNNL_ARG_DST, 0);
    }
    if (status == dnnl_success && desc->quant.x_zero)
        status = dnnl_primitive_attr_set_zero_points_mask(attr, DNNL_ARG_SRC, 0);
    if (status == dnnl_success && desc->quant.y_zero)
        status = dnnl_primitive_attr_set_zero_points_mask(attr, DNNL_ARG_DST, 0);
    return status;
}

dnnl_status_t cvl_dnnl_attr_create(const cvl_conv_desc *desc, const struct cvl_dnnl_post_ops *post_ops,
                                   dnnl_primitive_attr_t *attr)
{
    dnnl_status_t status = dnnl_primitive_attr_create(attr);
    if (status != dnnl_success)
        return status;
    status = dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
    if (status == dnnl_success)
        status = set_post_ops(post_ops, *attr);
    if (status == dnnl_success && desc && cvl_conv_is_integer(desc))
        status = set_quant(desc, *attr);
    if (status != dnnl_success)
        dnnl_primitive_attr_destroy(*attr);
    return status;
}

int cvl_dnnl_scale_list(const cvl_conv_desc *desc, struct cvl_dnnl_scale scales[CVL_DNNL_SCALES_MAX])
{
    int count = 0;
    if (!cvl_conv_is_integer(desc) || desc->y_type == CVL_S32)
        return 0;
    scales[count++] = (struct cvl_dnnl_scale){ DNNL_ARG_ATTR_SCALES | DNNL_ARG_SRC, 1 };
    scales[count++] = (struct cvl_dnnl_scale){ DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS,
                                               desc->quant.per_channel ? desc->k : 1 };
    scales[count++] = (struct cvl_dnnl_scale){ DNNL_ARG_ATTR_SCALES | DNNL_ARG_DST, 1 };
    if (desc->epi.bias)
        scales[count++] = (struct cvl_dnnl_scale){ DNNL_ARG_BIAS, desc->k };
    return count;
}

void cvl_dnnl_scales(const cvl_conv_desc *desc, const cvl_conv_args *args, int arg, float *to)
{
    const cvl_quant *quant = args->quant;
    const int32_t *bias = args->bias;
    const bool per_channel = desc->quant.per_channel;
    if (arg == (DNNL_ARG_ATTR_SCALES | DNNL_ARG_SRC))
        *to = quant->x_scale;
    else if (arg == (DNNL_ARG_ATTR_SCALES | DNNL_ARG_DST))
        *to = quant->y_scale;
    else if (arg == (DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS))
        memcpy(to, quant->w_scale, sizeof *to * (size_t)(per_channel ? desc->k : 1));
    else
        for (int i = 0; i < desc->k; i++)
            to[i] = (float)((double)quant->x_scale * quant->w_scale[per_channel ? i : 0] * bias[i]);
}

bool cvl_dnnl_acts_on_reals(void)
{
    return true;
}

dnnl_data_type_t cvl_dnnl_bias_type(const cvl_conv_desc *desc)
{
    return dnnl_f32;
}

static dnnl_status_t conv_pd(const struct cvl_dnnl_conv *c, dnnl_primitive_desc_t *pd)
{
    if (c->pass == CVL_FWD)
        return dnnl_convolution_forward_primitive_desc_create(pd, c->engine, dnnl_forward_inference,
            dnnl_convolution_direct, md_of(c->x), md_of(c->w), md_of(c->bias), md_of(c->y), c->strides, c->dilations,
            c->pads_before, c->pads_after, c->attr);
    if (c->pass == CVL_BWD_DATA)
        return dnnl_convolution_backward_data_primitive_desc_create(pd, c->engine, dnnl_convolution_direct, md_of(c->x),
            md_of(c->w), md_of(c->y), c->strides, c->dilations, c->pads_before, c->pads_after, NULL, c->attr);
    return dnnl_convolution_backward_weights_primitive_desc_create(pd, c->engine, dnnl_convolution_direct, md_of(c->x),
        md_of(c->w), NULL, md_of(c->y), c->strides, c->dilations, c->pads_before, c->pads_after, NULL, c->attr);
}

int cvl_dnnl_conv_list(const struct cvl_dnnl_conv *conv, dnnl_primitive_desc_t *list, int max)
{
    dnnl_primitive_desc_t at = NULL;
    int count = 0;
    if (conv_pd(conv, &at) != dnnl_success)
        return 0;
    while (count < max && dnnl_primitive_desc_clone(&list[count], at) == dnnl_success) {
        count++;
        if (dnnl_primitive_desc_next_impl(at) != dnnl_success)
            break;
    }
    dnnl_primitive_desc_destroy(at);
    return count;
}

dnnl_status_t cvl_dnnl_reorder(const struct cvl_dnnl_md *from, const struct cvl_dnnl_md *to, dnnl_primitive_attr_t attr,
                               dnnl_engine_t engine, dnnl_primitive_desc_t *pd)
{
    return dnnl_reorder_primitive_desc_create(pd, md_of(from), engine, md_of(to), engine, attr);
}
