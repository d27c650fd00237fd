/* SPDX-License-Identifier: Apache-2.0
 * The tiles F(m,r) that have transforms: WINO_ALL(X) is X(m, r, set) for each, in the order of cvl_wino_matrices_all;
 * transforms.py writes both, and wino_transforms.h with the code of wino_input_m_r_set and its like for kernels. */
#ifndef CONV_WINOGRAD_WINO_MATRICES_H
#define CONV_WINOGRAD_WINO_MATRICES_H

#include "wino_table.h"

/* Sets of one F(m,r): the points of least error, fewer operations and more error, and one for the gradient of the
 * filter, whose output transform does the divisions. */
enum cvl_wino_set { CVL_WINO_FINE, CVL_WINO_CLASSIC, CVL_WINO_GRADIENT };

struct cvl_wino_matrices {
    int    m, r, set;
    int    t;                       /* points, m + r - 1; the last one is infinity, where a filter is its last tap */
    int    operations[3];           /* instructions of B^T, G and A^T for one line */
    double amplification;           /* of rounding errors, compared with direct convolution; axes multiply */
};

#define WINO_F(m, r, set) WINO_F_##m##_##r##_##set
#define WINO_F_ITEM(m, r, set) WINO_F(m, r, set),
enum { WINO_ALL(WINO_F_ITEM) CVL_WINO_F_COUNT };
#undef WINO_F_ITEM

extern const struct cvl_wino_matrices cvl_wino_matrices_all[CVL_WINO_F_COUNT];

/* NULL: there is none. */
const struct cvl_wino_matrices *cvl_wino_matrices(int m, int r, int set);

#endif
