/* SPDX-License-Identifier: Apache-2.0
 * The table that transforms.py wrote. */
#include "conv/winograd/wino_matrices.h"

#include <stddef.h>

const struct cvl_wino_matrices cvl_wino_matrices_all[CVL_WINO_F_COUNT] = { WINO_ROWS };

const struct cvl_wino_matrices *cvl_wino_matrices(int m, int r, int set)
{
    for (int f = 0; f < CVL_WINO_F_COUNT; f++) {
        const struct cvl_wino_matrices *tile = &cvl_wino_matrices_all[f];
        if (tile->m == m && tile->r == r && tile->set == set)
            return tile;
    }
    return NULL;
}
