/* SPDX-License-Identifier: Apache-2.0
 * Convolutions: one descriptor, three passes, and immutable plans.
 *
 * Shape letters mean one thing everywhere: x is (n,c,h,w), w is (k,c/groups,r,s), y is (n,k,p,q), with
 *     y[n,k,p,q] = sum over c',r,s of x[n, g*(c/groups)+c', p*stride_h + r*dil_h - pad_top,
 *                                          q*stride_w + s*dil_w - pad_left] * w[k,c',r,s],
 * g = k / (k_total/groups); taps that fall outside of the image contribute nothing. The pass says which
 * of the three is written; what is written is always act(conv + bias + residual).
 *
 *     cvl_conv_desc d;
 *     cvl_conv_desc_init(&d);                      (or cvl_conv_parse("fwd:f32:nhwc:n1c64h56w56k64r3s3:pad1", &d))
 *     cvl_plan_create(ctx, &d, "im2col", &plan);   (or cvl_tuner_plan: the fastest)
 *     workspace = aligned_alloc(64, ...cvl_plan_workspace_size(plan)...);
 *     cvl_plan_run(plan, &args, workspace);  */
#ifndef CVL_CONV_H
#define CVL_CONV_H

#include "cvl/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cvl_pass { CVL_FWD, CVL_BWD_DATA, CVL_BWD_FILTER } cvl_pass;
typedef enum cvl_layout { CVL_NCHW, CVL_NHWC, CVL_NCHW16C } cvl_layout;
typedef enum cvl_filter_layout { CVL_KCRS, CVL_KRSC, CVL_RSCK } cvl_filter_layout;
typedef enum cvl_math { CVL_MATH_F32, CVL_MATH_TF32, CVL_MATH_BF16, CVL_MATH_F16 } cvl_math;

/* nchw16c is (n, c/16, h, w, 16) with c rounded up to a multiple of 16, for x and (with k) for y: counts and bytes
 * include the padding, which holds zeros where it is read and is written as zeros. Its filter is kcrs. */

/* What is added to and done with the sums before they are stored. lo and hi belong to CVL_ACT_CLIP. */
typedef struct cvl_epilogue {
    bool    bias, residual;
    cvl_act act;
    float   lo, hi;
} cvl_epilogue;

/* Integer problems only: which zero points exist, and whether the filter's scale and zero point are one
 * number or one per channel of what is written (k; BWD_DATA: c). */
typedef struct cvl_quant_kind {
    bool x_zero, w_zero, y_zero;
    bool per_channel;
} cvl_quant_kind;

/* One problem; plain data. Types: x, w and y are all f32; or x and w (BWD_DATA: y and w, BWD_FILTER: x and y,
 * that is what is read) are bf16 or f16 and what is written is that or f32; or what is read is u8 or s8
 * (the filter always s8) and what is written is s32, u8 or s8. */
typedef struct cvl_conv_desc {
    size_t            size;
    cvl_pass          pass;
    cvl_layout        x_layout, y_layout;
    cvl_filter_layout w_layout;
    cvl_dtype         x_type, w_type, y_type;
    cvl_math          math;          /* lowest arithmetic allowed */
    int               n, c, h, w, k, r, s;
    int               stride_h, stride_w, dil_h, dil_w;
    int               pad_top, pad_bottom, pad_left, pad_right;
    int               groups;
    cvl_epilogue      epi;
    cvl_quant_kind    quant;
    bool              const_filter;  /* the filter may be packed once (inference) */
} cvl_conv_desc;

/* Scales and zero points: real = scale * (stored - zero). What is absent in cvl_quant_kind is not read.
 * An s32 output is the plain sum of (a - a_zero) * (b - b_zero), as in ONNX ConvInteger; a u8 or s8 output
 * is requantized as in ONNX QLinearConv: round half to even, then saturate. */
typedef struct cvl_quant {
    size_t         size;
    float          x_scale, y_scale;
    int32_t        x_zero, y_zero;
    const float   *w_scale;          /* (1), or per channel */
    const int32_t *w_zero;           /* (1), or per channel */
} cvl_quant;

typedef struct cvl_conv_args {
    size_t           size;
    void            *x;              /* (n,c,h,w): read; BWD_DATA writes dx */
    const void      *packed;         /* from cvl_plan_pack, or NULL: use w */
    void            *w;              /* (k,c/groups,r,s): read; BWD_FILTER writes dw */
    void            *y;              /* (n,k,p,q): FWD writes; the others read dy */
    const void      *bias;           /* (k); BWD_DATA: (c); f32, or s32 in integer problems; or NULL */
    const void      *residual;       /* like what is written, may be that very buffer, or NULL */
    const cvl_quant *quant;          /* integer problems only */
    void            *stream;         /* GPU: overrides the ctx's stream; NULL: the ctx's */
} cvl_conv_args;

typedef struct cvl_plan cvl_plan;

/* Today's defaults: FWD, NCHW with KCRS, f32, every size 1, no padding, no epilogue. */
CVL_API void cvl_conv_desc_init_size(cvl_conv_desc *desc, size_t size);
CVL_API void cvl_conv_args_init_size(cvl_conv_args *args, size_t size);
CVL_API void cvl_quant_init_size(cvl_quant *quant, size_t size);
static inline void cvl_conv_desc_init(cvl_conv_desc *desc) { cvl_conv_desc_init_size(desc, sizeof *desc); }
static inline void cvl_conv_args_init(cvl_conv_args *args) { cvl_conv_args_init_size(args, sizeof *args); }
static inline void cvl_quant_init(cvl_quant *quant) { cvl_quant_init_size(quant, sizeof *quant); }

/* CVL_OK, CVL_EINVAL for a problem that makes no sense, CVL_EUNSUP for one that is not covered. Refused are
 * tensors of more than 2^31-1 elements (of one image, when n is 0), images of more than 2^29 rows or columns with their
 * padding, strides and dilations above 2^24. An empty batch (n = 0) is a problem like any other. */
CVL_API cvl_status cvl_conv_check(const cvl_conv_desc *desc);

/* The text form, used on command lines, in cache files and in messages:
 *     PASS:TYPES:LAYOUTS:SHAPE[:strideHxW][:padTxBxLxR][:dilHxW][:gN][:math=M][:bias][:residual][:ACT]
 *         [:xzero][:wzero][:yzero][:perchannel][:const]
 * TYPES is one type or x-w-y; LAYOUTS is nchw (filter kcrs), nhwc (filter krsc) or x-y-w; SHAPE is n1c64h56w56k64r3s3;
 * stride, dil: one number or HxW; pad: one number, HxW or TxBxLxR; ACT: relu, relu6, clip=LO/HI, silu, hardswish,
 * gelu. Optional fields are read in any order. Print leaves defaults out, keeps the order above, and is the exact
 * inverse of parse, which checks the problem too.
 * Print returns the length without the NUL, like snprintf; CVL_CONV_TEXT_MAX bytes always suffice. */
#define CVL_CONV_TEXT_MAX 256
CVL_API cvl_status cvl_conv_parse_size(const char *text, cvl_conv_desc *desc, size_t size);
static inline cvl_status cvl_conv_parse(const char *text, cvl_conv_desc *desc)
{
    return cvl_conv_parse_size(text, desc, sizeof *desc);
}
CVL_API int        cvl_conv_print(const cvl_conv_desc *desc, char *text, size_t size);

/* Of a problem that cvl_conv_check accepts. */
CVL_API int    cvl_conv_p(const cvl_conv_desc *desc);       /* output height */
CVL_API int    cvl_conv_q(const cvl_conv_desc *desc);       /* output width */
CVL_API size_t cvl_conv_x_count(const cvl_conv_desc *desc); /* elements */
CVL_API size_t cvl_conv_w_count(const cvl_conv_desc *desc);
CVL_API size_t cvl_conv_y_count(const cvl_conv_desc *desc);
CVL_API double cvl_conv_flops(const cvl_conv_desc *desc);   /* direct convolution's: 2*n*k*p*q*(c/groups)*r*s */

/* Algorithms in the order of the registry; NULL past the end. */
CVL_API const char *cvl_algo_name(int index);
/* NULL when the algorithm takes this problem, else why not (this thread's text, until its next call). */
CVL_API const char *cvl_algo_reject(const cvl_ctx *ctx, const char *algorithm, const cvl_conv_desc *desc);
/* The candidates that one algorithm offers for a problem, best guess first; returns how many. */
#define CVL_CANDIDATE_MAX 96
CVL_API int cvl_algo_candidates(const cvl_ctx *ctx, const char *algorithm, const cvl_conv_desc *desc,
                                char (*candidates)[CVL_CANDIDATE_MAX], int max);

/* A candidate is an algorithm with its knobs: "im2col:rows=14"; the algorithm's name alone takes its defaults.
 * CVL_ENOTFOUND: no such algorithm or knob; CVL_EUNSUP: it rejects the problem, and the message says why. */
CVL_API cvl_status  cvl_plan_create(cvl_ctx *ctx, const cvl_conv_desc *desc, const char *candidate, cvl_plan **plan);
CVL_API const char *cvl_plan_candidate(const cvl_plan *plan);
CVL_API size_t      cvl_plan_workspace_size(const cvl_plan *plan);   /* bytes, exact */
CVL_API size_t      cvl_plan_packed_size(const cvl_plan *plan);      /* bytes; 0: uses the raw filter */
CVL_API uint64_t    cvl_plan_packed_id(const cvl_plan *plan);        /* equal ids: packed filters interchange */
CVL_API bool        cvl_plan_deterministic(const cvl_plan *plan);    /* same bits from every run */
/* Writes cvl_plan_packed_size bytes at packed, which is 64-byte aligned (on a GPU 256) and the caller's; reads args->w. */
CVL_API cvl_status  cvl_plan_pack(const cvl_plan *plan, const cvl_conv_args *args, void *packed);
/* workspace: cvl_plan_workspace_size bytes, 64-byte aligned (on a GPU 256), one for each run at the same time; NULL when
 * 0. On a GPU all pointers are the device's, and the call returns when the work is given to the stream.
 * Tensors need only their elements' alignment, but 16 bytes with cudnn. One plan may run on many threads at once. */
CVL_API cvl_status  cvl_plan_run(const cvl_plan *plan, const cvl_conv_args *args, void *workspace);
CVL_API void        cvl_plan_destroy(cvl_plan *plan);                /* NULL is allowed */

#ifdef __cplusplus
}
#endif
#endif
