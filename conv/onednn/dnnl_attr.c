/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/onednn/dnnl_api.h"

const struct cvl_dnnl_md *cvl_dnnl_query_md(const_dnnl_primitive_desc_t pd, dnnl_query_t what, int index)
{
    return (const struct cvl_dnnl_md *)dnnl_primitive_desc_query_md(pd, what, index);
}

static dnnl_status_t set_post_ops(const struct cvl_dnnl_attr *wanted, dnnl_primitive_attr_t attr)
{
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t status = dnnl_post_ops_create(&ops);
    if (status == dnnl_success && wanted->sum)
        status = cvl_dnnl_append_sum(ops);
    if (status == dnnl_success && wanted->eltwise)
        status = cvl_dnnl_append_eltwise(ops, wanted);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_post_ops(attr, ops);
    dnnl_post_ops_destroy(ops);
    return status;
}

dnnl_status_t cvl_dnnl_attr_create(const struct cvl_dnnl_attr *wanted, dnnl_primitive_attr_t *attr)
{
    dnnl_status_t status = dnnl_primitive_attr_create(attr);
    if (status != dnnl_success)
        return status;
    status = dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
    if (status == dnnl_success)
        status = set_post_ops(wanted, *attr);
    if (status == dnnl_success && wanted->x_zero)
        status = cvl_dnnl_set_x_zero(*attr);
    if (status != dnnl_success)
        dnnl_primitive_attr_destroy(*attr);
    return status;
}
