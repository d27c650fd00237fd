/* SPDX-License-Identifier: Apache-2.0
 * What the files of this backend share: the process's oneDNN, the choice of an implementation, and a plan's steps. */
#ifndef CONV_ONEDNN_ONEDNN_H
#define CONV_ONEDNN_ONEDNN_H

#include "conv/algo.h"
#include "conv/desc.h"
#include "conv/onednn/dnnl_api.h"
#include "conv/onednn/filter_format.h"

#include <stdatomic.h>

/* ---- onednn_engine.c: the process's oneDNN ---- */

/* NULL, with oneDNN at the ctx's ISA level, or why it cannot be. */
const char     *cvl_onednn_refusal(const cvl_ctx *ctx);
dnnl_engine_t   cvl_onednn_engine(void);
dnnl_stream_t   cvl_onednn_stream(void);
const char     *cvl_onednn_version(void);   /* "oneDNN 2.6.3" */

/* The calling thread's OpenMP loops have the ctx's threads between the two; leave takes what enter returned. */
int             cvl_onednn_enter(const cvl_ctx *ctx);
void            cvl_onednn_leave(int before);

/* ---- onednn_choice.c: implementations that oneDNN offers for a problem ---- */

/* Knobs. */
enum { CVL_ONEDNN_FILTER, CVL_ONEDNN_IMPL, CVL_ONEDNN_INNER };

/* All but reference loops and what is known to fail, oneDNN's first choice first. */
#define CVL_ONEDNN_CHOICES_MAX 8         /* with the caller's layouts */
#define CVL_ONEDNN_INNER_MAX   2         /* with its own */
struct cvl_onednn_choices {
    int                   count;
    bool                  refused;      /* all that oneDNN offers */
    dnnl_primitive_desc_t pd[CVL_ONEDNN_CHOICES_MAX + CVL_ONEDNN_INNER_MAX];
    struct cvl_variant    variant[CVL_ONEDNN_CHOICES_MAX + CVL_ONEDNN_INNER_MAX];
};

void cvl_onednn_choices_create(const cvl_ctx *ctx, const cvl_conv_desc *desc, struct cvl_onednn_choices *choices);
void cvl_onednn_choices_destroy(struct cvl_onednn_choices *choices);
const char *cvl_onednn_pd_name(const_dnnl_primitive_desc_t pd);
dnnl_query_t cvl_onednn_filter_query(cvl_pass pass);
dnnl_query_t cvl_onednn_image_query(cvl_pass pass, enum cvl_tensor tensor);

/* As the caller has them: the layout of the descriptor; `any`: oneDNN shall choose it. NULL: no memory. */
struct cvl_dnnl_md *cvl_onednn_image_md(const cvl_conv_desc *desc, enum cvl_tensor tensor, bool any);
struct cvl_dnnl_md *cvl_onednn_filter_md(const cvl_conv_desc *desc);

/* ---- onednn_plan.c: a plan's primitives ---- */

enum cvl_onednn_buffer {
    CVL_ONEDNN_X, CVL_ONEDNN_Y, CVL_ONEDNN_RAW, CVL_ONEDNN_BLOCKED, CVL_ONEDNN_BIAS, CVL_ONEDNN_SCRATCH,
    CVL_ONEDNN_X_ZERO, CVL_ONEDNN_X_INNER, CVL_ONEDNN_Y_INNER, CVL_ONEDNN_BUFFERS
};

#define CVL_ONEDNN_OPERANDS_MAX 6
struct cvl_onednn_step {
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t      primitive;      /* NULL: nothing to do */
    int                   count;
    struct {
        int                       arg;
        enum cvl_onednn_buffer    buffer;
        const struct cvl_dnnl_md *md;
    } operand[CVL_ONEDNN_OPERANDS_MAX];
};

/* In this order: the filter into its format, images into theirs, the convolution, what it wrote out of its format. */
enum { CVL_ONEDNN_IN, CVL_ONEDNN_X_IN, CVL_ONEDNN_Y_IN, CVL_ONEDNN_CONV, CVL_ONEDNN_OUT, CVL_ONEDNN_X_OUT,
       CVL_ONEDNN_Y_OUT, CVL_ONEDNN_STEPS };

/* oneDNN's handles of buffers: one set for one run at a time. */
struct cvl_onednn_handles { dnnl_memory_t of[CVL_ONEDNN_STEPS][CVL_ONEDNN_OPERANDS_MAX]; };

struct cvl_onednn {
    struct cvl_onednn_step    step[CVL_ONEDNN_STEPS];
    size_t                    offset[CVL_ONEDNN_BUFFERS];   /* of those in the workspace */
    struct cvl_dnnl_md       *raw, *zero, *image[2];        /* x and y as the caller has them */
    struct cvl_onednn_handles handles;                      /* for the run that finds them free */
    atomic_flag               taken;
};

cvl_status cvl_onednn_fail(const char *what, dnnl_status_t status);
cvl_status cvl_onednn_init(cvl_plan *plan);
void       cvl_onednn_fini(cvl_plan *plan);
cvl_status cvl_onednn_handles_create(const struct cvl_onednn *state, struct cvl_onednn_handles *handles);
void       cvl_onednn_handles_destroy(const struct cvl_onednn *state, struct cvl_onednn_handles *handles);

/* ---- onednn_run.c ---- */

cvl_status cvl_onednn_pack(const cvl_plan *plan, const cvl_conv_args *args, void *packed);
cvl_status cvl_onednn_run(const cvl_plan *plan, const cvl_conv_args *args, void *workspace);

#endif
