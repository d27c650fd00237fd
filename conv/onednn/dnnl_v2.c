/* SPDX-License-Identifier: Apache-2.0
 * The interface of oneDNN 2: descriptors are structs, operations have descriptors of their own, and requantization
 * multiplies by one output scale. */
#include "conv/onednn/dnnl_api.h"

#include "base/alloc.h"
#include "conv/desc.h"

#include <string.h>

struct cvl_dnnl_md { dnnl_memory_desc_t md; };

static const dnnl_memory_desc_t *md_of(const struct cvl_dnnl_md *md)
{
    return md ? &md->md : NULL;
}

struct cvl_dnnl_md *cvl_dnnl_md_create(int ndims, const dnnl_dims_t dims, dnnl_data_type_t type,
                                       const dnnl_dims_t strides)
{
    struct cvl_dnnl_md *made = cvl_calloc(1, sizeof *made);
    if (!made)
        return NULL;
    const dnnl_status_t status = strides
        ? dnnl_memory_desc_init_by_strides(&made->md, ndims, dims, type, strides)
        : dnnl_memory_desc_init_by_tag(&made->md, ndims, dims, type, dnnl_format_tag_any);
    if (status == dnnl_success)
        return made;
    cvl_free(made);
    return NULL;
}

struct cvl_dnnl_md *cvl_dnnl_md_create_16c(const dnnl_dims_t dims, dnnl_data_type_t type)
{
    struct cvl_dnnl_md *made = cvl_calloc(1, sizeof *made);
    if (made && dnnl_memory_desc_init_by_tag(&made->md, 4, dims, type, dnnl_nChw16c) == dnnl_success)
        return made;
    cvl_free(made);
    return NULL;
}

void cvl_dnnl_md_destroy(struct cvl_dnnl_md *md)
{
    cvl_free(md);
}

size_t cvl_dnnl_md_size(const struct cvl_dnnl_md *md)
{
    return dnnl_memory_desc_get_size(&md->md);
}

bool cvl_dnnl_md_equal(const struct cvl_dnnl_md *a, const struct cvl_dnnl_md *b)
{
    return dnnl_memory_desc_equal(&a->md, &b->md);
}

bool cvl_dnnl_md_blocking(const struct cvl_dnnl_md *md, struct cvl_dnnl_blocking *blocking)
{
    const dnnl_blocking_desc_t *from = &md->md.format_desc.blocking;
    if (md->md.format_kind != dnnl_blocked)
        return false;
    *blocking = (struct cvl_dnnl_blocking){ .ndims = md->md.ndims, .blocks = from->inner_nblks };
    memcpy(blocking->dims, md->md.padded_dims, sizeof blocking->dims);
    memcpy(blocking->strides, from->strides, sizeof blocking->strides);
    memcpy(blocking->block, from->inner_blks, sizeof blocking->block);
    memcpy(blocking->axis, from->inner_idxs, sizeof blocking->axis);
    return true;
}

const struct cvl_dnnl_md *cvl_dnnl_query_md(const_dnnl_primitive_desc_t pd, dnnl_query_t what, int index)
{
    return (const struct cvl_dnnl_md *)dnnl_primitive_desc_query_md(pd, what, index);
}

dnnl_status_t cvl_dnnl_memory_create(const struct cvl_dnnl_md *md, dnnl_engine_t engine, dnnl_memory_t *memory)
{
    return dnnl_memory_create(memory, &md->md, engine, DNNL_MEMORY_NONE);
}

static dnnl_status_t set_post_ops(const struct cvl_dnnl_post_ops *wanted, dnnl_primitive_attr_t attr)
{
    dnnl_post_ops_t made = NULL;
    dnnl_status_t status = dnnl_post_ops_create(&made);
    if (status == dnnl_success && wanted->sum)
        status = dnnl_post_ops_append_sum(made, 1);
    if (status == dnnl_success && wanted->eltwise)
        status = dnnl_post_ops_append_eltwise(made, 1, wanted->kind, wanted->alpha, wanted->beta);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_post_ops(attr, made);
    dnnl_post_ops_destroy(made);
    return status;
}

static dnnl_status_t set_zero_point(dnnl_primitive_attr_t attr, int arg)
{
    const int32_t later = DNNL_RUNTIME_S32_VAL;
    return dnnl_primitive_attr_set_zero_points(attr, arg, 1, 0, &later);
}

static dnnl_status_t set_quant(const cvl_conv_desc *desc, dnnl_primitive_attr_t attr)
{
    struct cvl_dnnl_scale scales[CVL_DNNL_SCALES_MAX];
    const float later = DNNL_RUNTIME_F32_VAL;
    dnnl_status_t status = dnnl_success;
    if (cvl_dnnl_scale_list(desc, scales) > 0)
        status = dnnl_primitive_attr_set_output_scales(attr, 1, desc->quant.per_channel ? 1 << 1 : 0, &later);
    if (status == dnnl_success && desc->quant.x_zero)
        status = set_zero_point(attr, DNNL_ARG_SRC);
    if (status == dnnl_success && desc->quant.y_zero)
        status = set_zero_point(attr, DNNL_ARG_DST);
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
    if (!cvl_conv_is_integer(desc) || desc->y_type == CVL_S32)
        return 0;
    scales[0] = (struct cvl_dnnl_scale){ DNNL_ARG_ATTR_OUTPUT_SCALES, desc->quant.per_channel ? desc->k : 1 };
    return 1;
}

void cvl_dnnl_scales(const cvl_conv_desc *desc, const cvl_conv_args *args, int arg, float *to)
{
    const cvl_quant *quant = args->quant;
    const int count = desc->quant.per_channel ? desc->k : 1;
    for (int i = 0; i < count; i++)
        to[i] = (float)((double)quant->x_scale * quant->w_scale[i] / quant->y_scale);
}

bool cvl_dnnl_acts_on_reals(void)
{
    return false;
}

dnnl_data_type_t cvl_dnnl_bias_type(const cvl_conv_desc *desc)
{
    return cvl_conv_is_integer(desc) ? dnnl_s32 : dnnl_f32;
}

static dnnl_status_t conv_desc(const struct cvl_dnnl_conv *c, dnnl_convolution_desc_t *desc)
{
    if (c->pass == CVL_FWD)
        return dnnl_dilated_convolution_forward_desc_init(desc, dnnl_forward_inference, dnnl_convolution_direct,
            md_of(c->x), md_of(c->w), md_of(c->bias), md_of(c->y), c->strides, c->dilations, c->pads_before,
            c->pads_after);
    if (c->pass == CVL_BWD_DATA)
        return dnnl_dilated_convolution_backward_data_desc_init(desc, dnnl_convolution_direct, md_of(c->x),
            md_of(c->w), md_of(c->y), c->strides, c->dilations, c->pads_before, c->pads_after);
    return dnnl_dilated_convolution_backward_weights_desc_init(desc, dnnl_convolution_direct, md_of(c->x),
        md_of(c->w), NULL, md_of(c->y), c->strides, c->dilations, c->pads_before, c->pads_after);
}

int cvl_dnnl_conv_list(const struct cvl_dnnl_conv *conv, dnnl_primitive_desc_t *list, int max)
{
    dnnl_convolution_desc_t desc;
    dnnl_primitive_desc_iterator_t at = NULL;
    int count = 0;
    if (conv_desc(conv, &desc) != dnnl_success
        || dnnl_primitive_desc_iterator_create(&at, &desc, conv->attr, conv->engine, NULL) != dnnl_success)
        return 0;
    do
        list[count] = dnnl_primitive_desc_iterator_fetch(at);
    while (list[count] && ++count < max && dnnl_primitive_desc_iterator_next(at) == dnnl_success);
    dnnl_primitive_desc_iterator_destroy(at);
    return count;
}

dnnl_status_t cvl_dnnl_reorder(const struct cvl_dnnl_md *from, const struct cvl_dnnl_md *to, dnnl_primitive_attr_t attr,
                               dnnl_engine_t engine, dnnl_primitive_desc_t *pd)
{
    return dnnl_reorder_primitive_desc_create(pd, &from->md, engine, &to->md, engine, attr);
}
