/* SPDX-License-Identifier: Apache-2.0
 * Grids of layers: CSV with the columns name,n,c,h,w,k,r,s,pad_h,pad_w,stride_h,stride_w,dil_h,dil_w,groups and
 * optionally count (how often the layer occurs, 1) and pass (fwd), in any order. */
#ifndef BENCH_GRID_H
#define BENCH_GRID_H

#include "bench/csv_table.h"
#include "cvl/conv.h"

#define LAYER_NAME_MAX 64

struct layer {
    char          name[LAYER_NAME_MAX];
    char          origin[224];    /* where it was read, for messages: "FILE: line 3" */
    int           count;
    cvl_conv_desc desc;
};

struct layer_list { struct layer *at; int count, capacity; };

cvl_status layer_list_add(struct layer_list *list, const struct layer *layer);
void       layer_list_free(struct layer_list *list);

/* Appends the layers of a table as f32 NCHW problems. CVL_EINVAL: one sentence with file, line, column, value and what
 * was expected; what was appended before it stays. */
cvl_status grid_read(const struct csv_table *table, struct layer_list *list);

#endif
