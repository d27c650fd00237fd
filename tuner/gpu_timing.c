/* SPDX-License-Identifier: Apache-2.0 */
#include "tuner/gpu_timing.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

#define L2_TIMES 3
#define SETS_MAX 256
#define MEMORY_SHARE 4             /* all sets together take at most this part of the device's memory */
#define PACE_TRIES 10
#define PACE_SLACK 1.02
#define WARM_UP_TRIES 50           /* of the reference kernel, before anything is timed: an idle GPU's clock is low */

/* ---- buffers ---- */

static int sets_for(const struct cvl_device *device, cvl_state state, const cvl_conv_desc *desc)
{
    size_t rotated = 0;
    const size_t all = cvl_conv_bytes(desc, CVL_X) + cvl_conv_bytes(desc, CVL_W) + cvl_conv_bytes(desc, CVL_Y);
    if (state == CVL_HOT)
        return 1;
    rotated = state == CVL_COLD ? all : cvl_conv_bytes(desc, CVL_W);
    const size_t wanted = 2 + L2_TIMES * device->l2_bytes / (rotated ? rotated : 1);
    const size_t room = device->memory_bytes / MEMORY_SHARE / (all ? all : 1);
    const size_t most = room < SETS_MAX ? room : SETS_MAX;
    return wanted < most ? (int)wanted : most > 1 ? (int)most : 1;
}

cvl_status cvl_gpu_timing_create(struct cvl_gpu_timing *timing, const struct cvl_device *device, cvl_state state,
                                 const struct cvl_problem *host)
{
    const int sets = sets_for(device, state, &host->desc);
    *timing = (struct cvl_gpu_timing){ .device = device, .state = state };
    cvl_status status = device->stream_create(device, &timing->stream);
    if (status == CVL_OK)
        status = device->timer_create(device, &timing->timer);
    timing->set = cvl_calloc((size_t)sets, sizeof *timing->set);
    if (status == CVL_OK && !timing->set)
        status = cvl_fail(CVL_ENOMEM, "no memory for %d sets of tensors", sets);
    while (status == CVL_OK && timing->sets < sets) {
        status = cvl_device_problem_create(device, host, NULL, &timing->set[timing->sets]);
        timing->sets += status == CVL_OK;
    }
    for (int i = 0; status == CVL_OK && i < WARM_UP_TRIES; i++)
        status = cvl_gpu_timing_settle(timing);
    if (status != CVL_OK)
        cvl_gpu_timing_destroy(timing);
    return status;
}

void cvl_gpu_timing_destroy(struct cvl_gpu_timing *timing)
{
    if (!timing->device)
        return;
    for (int i = 0; i < timing->sets; i++)
        cvl_device_problem_destroy(&timing->set[i]);
    cvl_free(timing->set);
    timing->device->timer_destroy(timing->device, timing->timer);
    timing->device->stream_destroy(timing->device, timing->stream);
    *timing = (struct cvl_gpu_timing){ .device = NULL };
}

cvl_conv_args cvl_gpu_timing_args(const struct cvl_gpu_timing *timing, int run, const void *packed, size_t packed_stride)
{
    const int which = run % timing->sets;
    cvl_conv_args args = timing->set[timing->state == CVL_COLD_FILTER ? 0 : which].args;
    if (timing->set[0].written != timing->set[0].args.w)   /* of a filter's gradient the filter is what is written */
        args.w = timing->set[which].args.w;
    if (packed)
        args.packed = (const char *)packed + (size_t)which * packed_stride;
    args.stream = timing->stream;
    return args;
}

/* ---- samples ---- */

struct batch {
    struct cvl_gpu_timing *timing;
    const cvl_plan        *plan;
    const void            *packed;
    size_t                 packed_stride;
    void                  *workspace;
};

static cvl_status launch(const struct batch *batch, int runs)
{
    cvl_status status = CVL_OK;
    for (int i = 0; i < runs && status == CVL_OK; i++) {
        const cvl_conv_args args = cvl_gpu_timing_args(batch->timing, i, batch->packed, batch->packed_stride);
        status = cvl_plan_run(batch->plan, &args, batch->workspace);
    }
    return status;
}

void cvl_gpu_capture_free(const struct cvl_gpu_timing *timing, struct cvl_gpu_capture *capture)
{
    if (timing->device)
        timing->device->graph_destroy(timing->device, capture->graph);
    capture->graph = NULL;
    capture->runs = 0;
}

/* A plan that runs but cannot be captured, as some of a vendor's, is no failure. */
static void capture_runs(const struct batch *batch, int runs, struct cvl_gpu_capture *capture)
{
    const struct cvl_device *device = batch->timing->device;
    cvl_gpu_capture_free(batch->timing, capture);
    if (device->capture_begin(device, batch->timing->stream) != CVL_OK) {
        capture->refused = true;
        return;
    }
    const cvl_status launched = launch(batch, runs);
    const cvl_status captured = device->capture_end(device, batch->timing->stream, &capture->graph);
    capture->runs = runs;
    capture->refused = launched != CVL_OK || captured != CVL_OK;
    if (capture->refused)
        cvl_gpu_capture_free(batch->timing, capture);
}

cvl_status cvl_gpu_timing_sample(struct cvl_gpu_timing *timing, const cvl_plan *plan, const void *packed,
                                 size_t packed_stride, void *workspace, int runs, bool warm_up,
                                 struct cvl_gpu_capture *capture, double *seconds)
{
    const struct cvl_device *device = timing->device;
    const struct batch batch = { timing, plan, packed, packed_stride, workspace };
    if (!capture->refused && capture->runs != runs)
        capture_runs(&batch, runs, capture);
    cvl_status status = warm_up ? launch(&batch, 1) : CVL_OK;
    if (status == CVL_OK)
        status = device->timer_start(device, timing->timer, timing->stream);
    if (status == CVL_OK)
        status = capture->graph ? device->graph_launch(device, capture->graph, timing->stream) : launch(&batch, runs);
    if (status == CVL_OK)
        status = device->timer_stop(device, timing->timer, timing->stream);
    if (status == CVL_OK)
        status = device->timer_seconds(device, timing->timer, seconds);
    if (status == CVL_OK)
        status = device->synchronize(device, timing->stream);
    *seconds /= runs;
    return status;
}

cvl_status cvl_gpu_timing_settle(struct cvl_gpu_timing *timing)
{
    const struct cvl_device *device = timing->device;
    cvl_status status = CVL_OK;
    for (int i = 0; i < PACE_TRIES && status == CVL_OK; i++) {
        double seconds = 0;
        status = device->timer_start(device, timing->timer, timing->stream);
        if (status == CVL_OK)
            status = device->pace(device, timing->stream);
        if (status == CVL_OK)
            status = device->timer_stop(device, timing->timer, timing->stream);
        if (status == CVL_OK)
            status = device->timer_seconds(device, timing->timer, &seconds);
        if (status != CVL_OK)
            break;
        timing->pace_last_s = seconds;
        if (timing->pace_s == 0 || seconds < timing->pace_s)
            timing->pace_s = seconds;
        if (seconds <= PACE_SLACK * timing->pace_s)
            break;
    }
    return status;
}
