/* SPDX-License-Identifier: Apache-2.0
 * The interface of oneDNN 2: memory descriptors are structs, and operations have descriptors of their own. */
#include "conv/onednn/dnnl_api.h"

#include "base/alloc.h"

#include <string.h>

const bool cvl_dnnl_keeps_order = true;

struct cvl_dnnl_md { dnnl_memory_desc_t md; };

static const dnnl_memory_desc_t *md_of(const struct cvl_dnnl_md *md)
{
    return md ? &md->md : NULL;
}

static struct cvl_dnnl_md *copy_of(dnnl_status_t status, const dnnl_memory_desc_t *md)
{
    struct cvl_dnnl_md *copy = status == dnnl_success ? cvl_alloc(sizeof *copy) : NULL;
    if (copy)
        copy->md = *md;
    return copy;
}

struct cvl_dnnl_md *cvl_dnnl_md_by_strides(int ndims, const dnnl_dims_t dims, dnnl_data_type_t type,
                                           const dnnl_dims_t strides)
{
    dnnl_memory_desc_t md;
    return copy_of(dnnl_memory_desc_init_by_strides(&md, ndims, dims, type, strides), &md);
}

struct cvl_dnnl_md *cvl_dnnl_md_by_tag(int ndims, const dnnl_dims_t dims, dnnl_data_type_t type,
                                       dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t md;
    return copy_of(dnnl_memory_desc_init_by_tag(&md, ndims, dims, type, tag), &md);
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

dnnl_status_t cvl_dnnl_memory_create(const struct cvl_dnnl_md *md, dnnl_engine_t engine, dnnl_memory_t *memory)
{
    return dnnl_memory_create(memory, &md->md, engine, DNNL_MEMORY_NONE);
}

dnnl_status_t cvl_dnnl_append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1);
}

dnnl_status_t cvl_dnnl_append_eltwise(dnnl_post_ops_t ops, const struct cvl_dnnl_attr *wanted)
{
    return dnnl_post_ops_append_eltwise(ops, 1, wanted->kind, wanted->alpha, wanted->beta);
}

dnnl_status_t cvl_dnnl_set_x_zero(dnnl_primitive_attr_t attr)
{
    const int32_t later = DNNL_RUNTIME_S32_VAL;
    return dnnl_primitive_attr_set_zero_points(attr, DNNL_ARG_SRC, 1, 0, &later);
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
