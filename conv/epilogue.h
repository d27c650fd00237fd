/* SPDX-License-Identifier: Apache-2.0
 * The epilogue of f32 backends that end in a GEMM: bias and residual are put into the written tensor before a GEMM with
 * beta = 1 adds the sums, and the activation follows in place.
 *
 *     struct cvl_epilogue_block block = { .out = y + offset, .runs = rows, .length = columns, .stride = ld };
 *     cvl_epilogue_locate(desc, args, channel, &block);
 *     if (cvl_epilogue_adds(desc))
 *         cvl_epilogue_prefill(ctx, &block);
 *     sgemm(..., beta = cvl_epilogue_adds(desc) ? 1 : 0, ...);
 *     cvl_epilogue_activate(ctx, &desc->epi, &block); */
#ifndef CONV_EPILOGUE_H
#define CONV_EPILOGUE_H

#include "base/ctx.h"
#include "conv/desc.h"

/* A block of the written tensor: `runs` runs of `length` contiguous elements, `stride` elements apart. */
struct cvl_epilogue_block {
    float       *out;
    const float *residual;      /* the same elements of the residual, maybe `out` itself; NULL: none */
    const float *bias;          /* of the first run or element; NULL: none */
    bool         bias_by_run;   /* bias[run] for all of a run (NCHW), else bias[i] for the i-th of each (NHWC) */
    int          runs, length;
    ptrdiff_t    stride;
};

bool cvl_epilogue_adds(const cvl_conv_desc *desc);   /* a bias or a residual */

/* Sets residual and bias of a block that lies in the written tensor and whose first element is of this channel. With
 * NCHW a run is of one channel, with NHWC of one pixel. */
void cvl_epilogue_locate(const cvl_conv_desc *desc, const cvl_conv_args *args, int channel,
                         struct cvl_epilogue_block *block);

/* With zeros if the block has neither. */
void cvl_epilogue_prefill(const cvl_ctx *ctx, const struct cvl_epilogue_block *block);
void cvl_epilogue_activate(const cvl_ctx *ctx, const cvl_epilogue *epi, const struct cvl_epilogue_block *block);

/* The same of the whole written tensor, on the ctx's threads. */
void cvl_epilogue_prefill_all(const cvl_ctx *ctx, const cvl_conv_desc *desc, const cvl_conv_args *args);
void cvl_epilogue_activate_all(const cvl_ctx *ctx, const cvl_conv_desc *desc, const cvl_conv_args *args);

/* epilogue_kern.c, one table per ISA level. */
struct cvl_epilogue_kern {
    void (*prefill)(const struct cvl_epilogue_block *block);
    void (*activate[CVL_ACT_GELU + 1])(const struct cvl_epilogue_block *block, float lo, float hi);
};

#endif
