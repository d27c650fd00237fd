/* SPDX-License-Identifier: Apache-2.0
 * Matrix products on the tiles of gemm/tile.h: c[i][j] = act(sum over p of a[i][p] * b[p][j] + bias + add), or a batch
 * of them with constant strides (the points of a Winograd transform, groups). The operand b is packed once, a lies
 * where it lies, and there is no workspace.
 *
 *     const struct cvl_gemm_kern *kern = cvl_gemm_kern(ctx->isa);
 *     float *packed = cvl_alloc(sizeof(float) * cvl_gemm_packed(kern, n, k));
 *     cvl_gemm_pack(kern, &(struct cvl_gemm_source){ b, n, 1 }, n, k, packed);      (b[p*n + j])
 *     struct cvl_gemm gemm = { .m = m, .n = n, .k = k, .batch = 1, .a = a, .a_row = k, .a_step = 1, .b = packed,
 *                              .c = c, .c_row = n, .c_lane = 1 };
 *     cvl_gemm_run(ctx, &gemm); */
#ifndef GEMM_GEMM_H
#define GEMM_GEMM_H

#include "base/ctx.h"
#include "gemm/tile.h"

struct cvl_gemm {
    int          m, n, k, batch;
    const float *a;                    /* a[i*a_row + p*a_step] */
    ptrdiff_t    a_row, a_step, a_batch;
    const float *b;                    /* packed */
    ptrdiff_t    b_batch;              /* 0: one b for all */
    float       *c;                    /* c[i*c_row + j*c_lane]; fastest when c_lane is 1 */
    ptrdiff_t    c_row, c_lane, c_batch;
    const float *add;                  /* like c, maybe c itself, or NULL */
    const float *bias;                 /* (m) or (n), the same for all of a batch, or NULL */
    bool         bias_by_row;
    cvl_act      act;
    float        lo, hi;
};

struct cvl_gemm_source { const float *b; ptrdiff_t step, lane; };   /* b[p*step + j*lane] */

/* Floats of a packed b: panels of as many columns as a vector has lanes, (panel, k, lanes). */
size_t cvl_gemm_packed(const struct cvl_gemm_kern *kern, int n, int k);
void   cvl_gemm_pack(const struct cvl_gemm_kern *kern, const struct cvl_gemm_source *source, int n, int k,
                     float *packed);

/* Tasks are cut by shape: any number of threads gives the same bits. */
void cvl_gemm_run(const cvl_ctx *ctx, const struct cvl_gemm *gemm);

#endif
