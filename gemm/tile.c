/* SPDX-License-Identifier: Apache-2.0 */
#include "gemm/tile.h"

#define DECLARE(level) extern const struct cvl_gemm_kern cvl_gemm_kern_##level;
CVL_ISA_LIST(DECLARE)
#define ENTRY(level) &cvl_gemm_kern_##level,
static const struct cvl_gemm_kern *const kerns[] = { CVL_ISA_LIST(ENTRY) };

const struct cvl_gemm_kern *cvl_gemm_kern(enum cvl_isa isa)
{
    return kerns[isa];
}

static void drop(struct cvl_tile *t, int loop)
{
    for (int i = loop; i < 2; i++) {
        t->count[i] = t->count[i + 1];
        t->a_step[i] = t->a_step[i + 1];
        t->b_step[i] = t->b_step[i + 1];
    }
    t->count[2] = 1;
}

void cvl_tile_join(struct cvl_tile *t)
{
    for (int loop = 1, seen = 1; seen < 3; seen++) {
        const int inner = t->count[loop - 1];
        if (t->count[loop] == 1) {
            drop(t, loop);
        } else if (inner == 1) {
            drop(t, loop - 1);
        } else if (t->a_step[loop] == inner * t->a_step[loop - 1] && t->b_step[loop] == inner * t->b_step[loop - 1]) {
            t->count[loop - 1] *= t->count[loop];
            drop(t, loop);
        } else {
            loop++;
        }
    }
}
