/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/cuda/cudnn_run.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdint.h>

/* A handle is made now, so that the first run makes none. */
static cvl_status prepare_handle(const cvl_ctx *ctx)
{
    cudnnHandle_t handle;
    if (ctx->device->description)
        return CVL_OK;
    const cvl_status status = cvl_cudnn_handle_take(ctx, &handle);
    if (status == CVL_OK)
        cvl_cudnn_handle_give(ctx, handle);
    return status;
}

cvl_status cvl_cudnn_init(cvl_plan *plan)
{
    struct cvl_cudnn_choices choices;
    cvl_status status = CVL_OK;
    if (plan->variant.knob[0] == 0) {
        if (plan->variant.knob[1] != 0)
            return cvl_fail(CVL_ENOTFOUND, "candidate '%s' has knobs, expected their engine too: eng=NUMBER",
                            plan->candidate);
        status = cvl_cudnn_choices(plan->ctx, &plan->desc, &choices);
        if (status == CVL_OK)
            plan->variant = choices.variant[0];
    }
    struct cvl_cudnn_plan *made = status == CVL_OK ? cvl_calloc(1, sizeof *made) : NULL;
    if (status == CVL_OK && !made)
        status = cvl_fail(CVL_ENOMEM, "no memory for a plan of cuDNN");
    if (status == CVL_OK)
        status = cvl_cudnn_plan_here(plan->ctx, &plan->desc, &plan->variant, made);
    if (status == CVL_OK)
        status = prepare_handle(plan->ctx);
    if (status != CVL_OK) {
        if (made && made->plan)
            cvl_cudnn_plan_destroy(made);
        cvl_free(made);
        return status;
    }
    plan->state = made;
    plan->workspace_bytes = made->workspace_bytes;
    plan->variant.notes = (plan->variant.notes >> CVL_CUDNN_RANK_SHIFT) << CVL_CUDNN_RANK_SHIFT | made->notes;
    plan->variant.nondeterministic = made->notes & CVL_CUDNN_NOTE(NONDETERMINISTIC);
    return CVL_OK;
}

void cvl_cudnn_fini(cvl_plan *plan)
{
    cvl_cudnn_plan_destroy(plan->state);
    cvl_free(plan->state);
}

struct pointers { int64_t uid[5]; void *at[5]; int count; };

static struct pointers collect(const cvl_conv_args *args)
{
    const struct { enum cvl_cudnn_uid uid; const void *at; } all[] = {
        { CVL_CUDNN_X, args->x }, { CVL_CUDNN_W, args->w }, { CVL_CUDNN_Y, args->y }, { CVL_CUDNN_BIAS, args->bias },
        { CVL_CUDNN_RESIDUAL, args->residual },
    };
    struct pointers pointers = { .count = 0 };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].at) {
            pointers.uid[pointers.count] = all[i].uid;
            pointers.at[pointers.count++] = (void *)all[i].at;
        }
    return pointers;
}

cvl_status cvl_cudnn_run(const cvl_plan *plan, const cvl_conv_args *args, void *workspace)
{
    const struct cvl_cudnn_plan *made = plan->state;
    const struct pointers pointers = collect(args);
    cudnnHandle_t handle = NULL;
    cvl_status status = cvl_cudnn_handle_take(plan->ctx, &handle);
    cudnnBackendDescriptor_t pack = cvl_cudnn_make(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &status);
    cvl_cudnn_set(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, pointers.count, pointers.uid, &status);
    cvl_cudnn_set(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, pointers.count, pointers.at,
                  &status);
    cvl_cudnn_set(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace, &status);
    cvl_cudnn_finalize(pack, "collecting a run's tensors", &status);
    if (status == CVL_OK)
        status = cvl_cudnn_check(cvl_cudnn()->cudnnSetStream(handle, args->stream), "taking a stream");
    if (status == CVL_OK)
        status = cvl_cudnn_check(cvl_cudnn()->cudnnBackendExecute(handle, made->plan, pack), "running");
    if (pack)
        cvl_cudnn()->cudnnBackendDestroyDescriptor(pack);
    if (handle)
        cvl_cudnn_handle_give(plan->ctx, handle);
    return status;
}
