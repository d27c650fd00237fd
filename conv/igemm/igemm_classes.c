/* SPDX-License-Identifier: Apache-2.0
 * Residue classes of BWD_DATA: with stride 2, dx[2t + i] meets other taps for i = 0 than for i = 1. All classes are
 * computed from one band, block by block: dy is copied once, and what is written is complete while it is in the cache.
 * Where pixels lie side by side in dx, classes of the columns are gathered in a stage, (pixel, channel), and leave it
 * as whole rows; a class without a tap has nothing but zeros to write. */
#include "conv/igemm/igemm_cut.h"

struct cvl_axis cvl_igemm_union(const cvl_conv_desc *desc, bool rows)
{
    const int classes = cvl_axis_classes(desc, rows);
    struct cvl_axis all = cvl_axis_of(desc, rows, 0);
    if (classes == 1)
        return all;
    int first = 0, last = -1;
    for (int i = 0; i < classes; i++) {
        const struct cvl_axis axis = cvl_axis_of(desc, rows, i);
        if (axis.taps == 0)
            continue;
        const int end = axis.first + (axis.taps - 1) * axis.tap;
        first = last < first ? axis.first : cvl_min(first, axis.first);
        last = cvl_max(last, end);
    }
    return (struct cvl_axis){ .count = all.count, .taps = last - first + 1, .first = first, .step = 1, .tap = 1,
                                    .extent = all.extent, .out_step = all.out_step, .w_step = 1 };
}

struct cvl_igemm_class cvl_igemm_class(const struct cvl_igemm *g, const struct cvl_igemm_cut *cut, int row, int column)
{
    struct cvl_igemm_class class = { .rows = cut->rows, .columns = cut->columns, .tap_rows = 1, .tap_columns = 1,
                                     .out_first = cut->out_first };
    if (cut->row_classes > 1) {
        class.rows = cvl_axis_of(g->desc, true, row);
        class.row = class.rows.taps ? class.rows.first - cut->rows.first : 0;
        class.tap_rows = class.rows.tap;
        class.out_first += class.rows.out * g->out.at[2];
    }
    if (cut->column_classes > 1) {
        class.columns = cvl_axis_of(g->desc, false, column);
        class.column = class.columns.taps ? class.columns.first - cut->columns.first : 0;
        class.tap_columns = class.columns.tap;
        class.out_first += class.columns.out * g->out.at[3];
    }
    return class;
}
