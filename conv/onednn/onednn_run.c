/* SPDX-License-Identifier: Apache-2.0
 * Runs hand their buffers to a plan's steps. oneDNN reads buffers through memory objects; a plan holds one set of them,
 * and a run that finds it taken by another one makes a set of its own. */
#include "conv/onednn/onednn.h"

#include "base/alloc.h"
#include "base/profile.h"
#include "base/threads.h"
#include "conv/desc.h"

#include <string.h>

struct buffers { void *at[CVL_ONEDNN_BUFFERS]; };

static cvl_status execute(const struct cvl_onednn_step *step, dnnl_memory_t *handles, const struct buffers *buffers)
{
    dnnl_exec_arg_t args[CVL_ONEDNN_OPERANDS_MAX];
    dnnl_status_t status = dnnl_success;
    if (!step->primitive)
        return CVL_OK;
    for (int i = 0; i < step->count && status == dnnl_success; i++) {
        status = dnnl_memory_set_data_handle(handles[i], buffers->at[step->operand[i].buffer]);
        args[i] = (dnnl_exec_arg_t){ step->operand[i].arg, handles[i] };
    }
    if (status == dnnl_success)
        status = dnnl_primitive_execute(step->primitive, cvl_onednn_stream(), step->count, args);
    if (status == dnnl_success)
        status = dnnl_stream_wait(cvl_onednn_stream());
    return status == dnnl_success ? CVL_OK : cvl_onednn_fail("run a primitive", status);
}

/* Steps in [first, last). */
static cvl_status execute_steps(const cvl_plan *plan, int first, int last, const struct buffers *buffers)
{
    struct cvl_onednn *state = plan->state;
    struct cvl_onednn_handles own, *handles = &state->handles;
    cvl_status status = CVL_OK;
    const bool shared = !atomic_flag_test_and_set_explicit(&state->taken, memory_order_acquire);
    if (!shared) {
        handles = &own;
        status = cvl_onednn_handles_create(state, handles);
    }
    const int before = cvl_onednn_enter(plan->ctx);
    for (int i = first; i < last && status == CVL_OK; i++) {
        cvl_phase(i < CVL_ONEDNN_CONV ? "pack" : i == CVL_ONEDNN_CONV ? "multiply" : "unpack");
        status = execute(&state->step[i], handles->of[i], buffers);
    }
    cvl_phase(NULL);
    cvl_onednn_leave(before);
    if (shared)
        atomic_flag_clear_explicit(&state->taken, memory_order_release);
    else
        cvl_onednn_handles_destroy(state, handles);
    return status;
}

cvl_status cvl_onednn_pack(const cvl_plan *plan, const cvl_conv_args *args, void *packed)
{
    const struct cvl_onednn *state = plan->state;
    const dnnl_primitive_desc_t pd = state->step[CVL_ONEDNN_IN].pd;
    const size_t bytes = cvl_dnnl_md_size(cvl_dnnl_query_md(pd, dnnl_query_scratchpad_md, 0));
    struct buffers buffers = { .at = { [CVL_ONEDNN_RAW] = args->w, [CVL_ONEDNN_BLOCKED] = packed } };
    buffers.at[CVL_ONEDNN_SCRATCH] = cvl_alloc(bytes);
    if (!buffers.at[CVL_ONEDNN_SCRATCH])
        return cvl_onednn_fail("pack a filter", dnnl_out_of_memory);
    memset(packed, 0, plan->packed_bytes);   /* the sums behind an integer filter have gaps */
    const cvl_status status = execute_steps(plan, CVL_ONEDNN_IN, CVL_ONEDNN_IN + 1, &buffers);
    cvl_free(buffers.at[CVL_ONEDNN_SCRATCH]);
    return status;
}

enum { TASK_BYTES = 1 << 18 };

struct copy { char *to; const char *from; size_t bytes; };

static void copy_task(int task, int slot, void *arg)
{
    const struct copy *copy = arg;
    const size_t at = (size_t)task * TASK_BYTES, left = copy->bytes - at;
    memcpy(copy->to + at, copy->from + at, left < TASK_BYTES ? left : TASK_BYTES);
}

/* What is written begins as the residual; the last step adds to it. */
static void place_residual(const cvl_plan *plan, const cvl_conv_args *args)
{
    const enum cvl_tensor written = cvl_conv_written(plan->desc.pass);
    struct copy copy = { cvl_conv_pointer(args, written), args->residual, cvl_conv_bytes(&plan->desc, written) };
    if (args->residual && copy.from != copy.to)
        cvl_parallel_for(plan->ctx, (int)((copy.bytes + TASK_BYTES - 1) / TASK_BYTES), copy_task, &copy);
}

cvl_status cvl_onednn_run(const cvl_plan *plan, const cvl_conv_args *args, void *workspace)
{
    const struct cvl_onednn *state = plan->state;
    struct buffers buffers = { .at = { [CVL_ONEDNN_X] = args->x, [CVL_ONEDNN_Y] = args->y, [CVL_ONEDNN_RAW] = args->w,
                                       [CVL_ONEDNN_BIAS] = (void *)args->bias } };
    char *const space = workspace;
    place_residual(plan, args);
    if (plan->desc.n == 0) {   /* of a filter's gradient: no sums */
        if (!args->residual)
            memset(args->w, 0, cvl_conv_bytes(&plan->desc, CVL_W));
        return CVL_OK;
    }
    buffers.at[CVL_ONEDNN_SCRATCH] = space + state->offset[CVL_ONEDNN_SCRATCH];
    buffers.at[CVL_ONEDNN_X_INNER] = space + state->offset[CVL_ONEDNN_X_INNER];
    buffers.at[CVL_ONEDNN_Y_INNER] = space + state->offset[CVL_ONEDNN_Y_INNER];
    buffers.at[CVL_ONEDNN_BLOCKED] = args->packed ? (void *)args->packed : space + state->offset[CVL_ONEDNN_BLOCKED];
    if (args->quant)
        buffers.at[CVL_ONEDNN_X_ZERO] = (void *)&args->quant->x_zero;
    return execute_steps(plan, args->packed ? CVL_ONEDNN_IN + 1 : CVL_ONEDNN_IN, CVL_ONEDNN_STEPS, &buffers);
}
