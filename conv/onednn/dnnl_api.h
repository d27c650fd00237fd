/* SPDX-License-Identifier: Apache-2.0
 * What differs between the C interfaces of oneDNN 2 and 3, as one interface: dnnl_v2.c and dnnl_v3.c implement it, and
 * the build compiles the one that fits the dnnl_version.h it found; dnnl_attr.c is what they share. All else calls
 * oneDNN itself.
 *
 * Memory descriptors are structs in version 2 and handles in version 3; here they are opaque. */
#ifndef CONV_ONEDNN_DNNL_API_H
#define CONV_ONEDNN_DNNL_API_H

#include "cvl/conv.h"

#include <oneapi/dnnl/dnnl.h>

struct cvl_dnnl_md;

/* NULL: no memory, or refused. */
struct cvl_dnnl_md *cvl_dnnl_md_by_strides(int ndims, const dnnl_dims_t dims, dnnl_data_type_t type,
                                           const dnnl_dims_t strides);
struct cvl_dnnl_md *cvl_dnnl_md_by_tag(int ndims, const dnnl_dims_t dims, dnnl_data_type_t type,
                                       dnnl_format_tag_t tag);
void   cvl_dnnl_md_destroy(struct cvl_dnnl_md *md);                   /* NULL is allowed */
size_t cvl_dnnl_md_size(const struct cvl_dnnl_md *md);                /* bytes, with what is hidden behind the data */
bool   cvl_dnnl_md_equal(const struct cvl_dnnl_md *a, const struct cvl_dnnl_md *b);

/* How a descriptor's elements lie: outer dimensions by strides, then dense inner blocks. */
struct cvl_dnnl_blocking {
    int         ndims, blocks;
    dnnl_dims_t dims;              /* padded up to whole blocks */
    dnnl_dims_t strides;
    dnnl_dims_t block, axis;       /* block[i] elements along axis[i], outermost first */
};
bool   cvl_dnnl_md_blocking(const struct cvl_dnnl_md *md, struct cvl_dnnl_blocking *blocking);  /* false: opaque */

/* Of a primitive descriptor: owned by it, and never NULL. */
const struct cvl_dnnl_md *cvl_dnnl_query_md(const_dnnl_primitive_desc_t pd, dnnl_query_t what, int index);

dnnl_status_t cvl_dnnl_memory_create(const struct cvl_dnnl_md *md, dnnl_engine_t engine, dnnl_memory_t *memory);

/* What a primitive does besides its main work: adds to what is written, then applies an activation. */
struct cvl_dnnl_attr {
    bool            sum, eltwise;
    dnnl_alg_kind_t kind;
    float           alpha, beta;
    bool            x_zero;                             /* x has a zero point, known when it runs */
};

/* Scratchpad memory is the caller's. */
dnnl_status_t cvl_dnnl_attr_create(const struct cvl_dnnl_attr *wanted, dnnl_primitive_attr_t *attr);
dnnl_status_t cvl_dnnl_append_sum(dnnl_post_ops_t ops);
dnnl_status_t cvl_dnnl_append_eltwise(dnnl_post_ops_t ops, const struct cvl_dnnl_attr *wanted);
dnnl_status_t cvl_dnnl_set_x_zero(dnnl_primitive_attr_t attr);

/* Do the sums of FWD and BWD_DATA in compiled code other than brgemm keep their order for any number of threads? */
extern const bool cvl_dnnl_keeps_order;

struct cvl_dnnl_conv {
    cvl_pass pass;
    struct cvl_dnnl_md *x, *w, *y, *bias;               /* bias: NULL for none */
    dnnl_dims_t strides, dilations, pads_before, pads_after;
    dnnl_primitive_attr_t attr;
    dnnl_engine_t engine;
};

/* The implementations that oneDNN offers, its own choice first: at most max descriptors, which the caller destroys. */
int cvl_dnnl_conv_list(const struct cvl_dnnl_conv *conv, dnnl_primitive_desc_t *list, int max);

dnnl_status_t cvl_dnnl_reorder(const struct cvl_dnnl_md *from, const struct cvl_dnnl_md *to, dnnl_primitive_attr_t attr,
                               dnnl_engine_t engine, dnnl_primitive_desc_t *pd);

#endif
