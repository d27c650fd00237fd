/* SPDX-License-Identifier: Apache-2.0
 * The interface of oneDNN 3: memory descriptors are handles, and a convolution is described by its primitive
 * descriptor. */
#include "conv/onednn/dnnl_api.h"

#include <string.h>

const bool cvl_dnnl_keeps_order = false;   /* 3.14: jit:avx512_core of the first layer does not */

static struct cvl_dnnl_md *wrap(dnnl_status_t status, dnnl_memory_desc_t md)
{
    return status == dnnl_success ? (struct cvl_dnnl_md *)md : NULL;
}

static const_dnnl_memory_desc_t md_of(const struct cvl_dnnl_md *md)
{
    return (const_dnnl_memory_desc_t)md;
}

struct cvl_dnnl_md *cvl_dnnl_md_by_strides(int ndims, const dnnl_dims_t dims, dnnl_data_type_t type,
                                           const dnnl_dims_t strides)
{
    dnnl_memory_desc_t md = NULL;
    const dnnl_status_t status = dnnl_memory_desc_create_with_strides(&md, ndims, dims, type, strides);
    return wrap(status, md);
}

struct cvl_dnnl_md *cvl_dnnl_md_by_tag(int ndims, const dnnl_dims_t dims, dnnl_data_type_t type,
                                       dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t md = NULL;
    const dnnl_status_t status = dnnl_memory_desc_create_with_tag(&md, ndims, dims, type, tag);
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

dnnl_status_t cvl_dnnl_memory_create(const struct cvl_dnnl_md *md, dnnl_engine_t engine, dnnl_memory_t *memory)
{
    return dnnl_memory_create(memory, md_of(md), engine, DNNL_MEMORY_NONE);
}

dnnl_status_t cvl_dnnl_append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1, 0, dnnl_data_type_undef);
}

dnnl_status_t cvl_dnnl_append_eltwise(dnnl_post_ops_t ops, const struct cvl_dnnl_attr *wanted)
{
    return dnnl_post_ops_append_eltwise(ops, wanted->kind, wanted->alpha, wanted->beta);
}

dnnl_status_t cvl_dnnl_set_x_zero(dnnl_primitive_attr_t attr)
{
    return dnnl_primitive_attr_set_zero_points_mask(attr, DNNL_ARG_SRC, 0);
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
