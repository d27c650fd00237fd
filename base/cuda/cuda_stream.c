/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cuda/cuda_stream.h"

#include "base/alloc.h"
#include "base/cuda/cuda_error.h"
#include "base/cuda/cuda_peak.h"
#include "base/error.h"

#include <cuda_runtime_api.h>

/* ---- the current device ---- */

int cvl_cuda_enter(const struct cvl_device *device)
{
    int before = -1;
    if (cudaGetDevice(&before) != cudaSuccess || before == device->index)
        return -1;
    return cudaSetDevice(device->index) == cudaSuccess ? before : -1;
}

void cvl_cuda_leave(int before)
{
    if (before >= 0)
        cudaSetDevice(before);
}

cvl_status cvl_cuda_left(int before, int error, const char *what)
{
    const cvl_status status = cvl_cuda_check(error, what);
    cvl_cuda_leave(before);
    return status;
}

/* ---- streams ---- */

cvl_status cvl_cuda_synchronize(const struct cvl_device *device, void *stream)
{
    const int before = cvl_cuda_enter(device);
    return cvl_cuda_left(before, cudaStreamSynchronize(stream), "waiting for the device");
}

cvl_status cvl_cuda_stream_create(const struct cvl_device *device, void **stream)
{
    cudaStream_t made = NULL;
    const int before = cvl_cuda_enter(device);
    const int error = cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking);
    *stream = error == cudaSuccess ? made : NULL;
    return cvl_cuda_left(before, error, "creating a stream");
}

void cvl_cuda_stream_destroy(const struct cvl_device *device, void *stream)
{
    if (stream)
        cudaStreamDestroy(stream);
}

/* ---- timers ---- */

struct cvl_timer { cudaEvent_t start, stop; };

void cvl_cuda_timer_destroy(const struct cvl_device *device, struct cvl_timer *timer)
{
    if (!timer)
        return;
    if (timer->start)
        cudaEventDestroy(timer->start);
    if (timer->stop)
        cudaEventDestroy(timer->stop);
    cvl_free(timer);
}

cvl_status cvl_cuda_timer_create(const struct cvl_device *device, struct cvl_timer **timer)
{
    *timer = cvl_calloc(1, sizeof **timer);
    if (!*timer)
        return cvl_fail(CVL_ENOMEM, "no memory for a timer");
    const int before = cvl_cuda_enter(device);
    int error = cudaEventCreate(&(*timer)->start);
    if (error == cudaSuccess)
        error = cudaEventCreate(&(*timer)->stop);
    if (error != cudaSuccess) {
        cvl_cuda_timer_destroy(device, *timer);
        *timer = NULL;
    }
    return cvl_cuda_left(before, error, "creating an event");
}

cvl_status cvl_cuda_timer_start(const struct cvl_device *device, struct cvl_timer *timer, void *stream)
{
    const int before = cvl_cuda_enter(device);
    return cvl_cuda_left(before, cudaEventRecord(timer->start, stream), "recording an event");
}

cvl_status cvl_cuda_timer_stop(const struct cvl_device *device, struct cvl_timer *timer, void *stream)
{
    const int before = cvl_cuda_enter(device);
    return cvl_cuda_left(before, cudaEventRecord(timer->stop, stream), "recording an event");
}

cvl_status cvl_cuda_timer_seconds(const struct cvl_device *device, struct cvl_timer *timer, double *seconds)
{
    float ms = 0;
    const int before = cvl_cuda_enter(device);
    int error = cudaEventSynchronize(timer->stop);
    if (error == cudaSuccess)
        error = cudaEventElapsedTime(&ms, timer->start, timer->stop);
    *seconds = 1e-3 * (double)ms;
    return cvl_cuda_left(before, error, "reading a timer");
}

/* ---- graphs ---- */

struct cvl_graph { cudaGraph_t graph; cudaGraphExec_t exec; };

void cvl_cuda_graph_destroy(const struct cvl_device *device, struct cvl_graph *graph)
{
    if (!graph)
        return;
    if (graph->exec)
        cudaGraphExecDestroy(graph->exec);
    if (graph->graph)
        cudaGraphDestroy(graph->graph);
    cvl_free(graph);
}

cvl_status cvl_cuda_capture_begin(const struct cvl_device *device, void *stream)
{
    const int before = cvl_cuda_enter(device);
    const int error = cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
    return cvl_cuda_left(before, error, "capturing a stream");
}

cvl_status cvl_cuda_capture_end(const struct cvl_device *device, void *stream, struct cvl_graph **graph)
{
    struct cvl_graph *made = cvl_calloc(1, sizeof *made);
    cudaGraph_t captured = NULL;
    const int before = cvl_cuda_enter(device);
    int error = cudaStreamEndCapture(stream, &captured);
    *graph = NULL;
    if (!made) {
        if (captured)
            cudaGraphDestroy(captured);
        cvl_cuda_leave(before);
        return cvl_fail(CVL_ENOMEM, "no memory for a graph");
    }
    made->graph = captured;
    if (error == cudaSuccess)
        error = cudaGraphInstantiate(&made->exec, captured, 0);
    if (error == cudaSuccess)
        *graph = made;
    else
        cvl_cuda_graph_destroy(device, made);
    return cvl_cuda_left(before, error, "making a graph of what was captured");
}

cvl_status cvl_cuda_graph_launch(const struct cvl_device *device, struct cvl_graph *graph, void *stream)
{
    const int before = cvl_cuda_enter(device);
    return cvl_cuda_left(before, cudaGraphLaunch(graph->exec, stream), "launching a graph");
}

/* ---- the reference kernel ---- */

/* A scheduler issues 8 warps' 24 576 multiply-adds, one a cycle. */
cvl_status cvl_cuda_pace(const struct cvl_device *device, void *stream)
{
    const struct cvl_cuda_peak peak = { .blocks = CVL_CUDA_PEAK_BLOCKS * device->multiprocessors, .rounds = 384 };
    double flops;
    const int before = cvl_cuda_enter(device);
    return cvl_cuda_left(before, cvl_cuda_peak_f32(&peak, stream, &flops), "launching the reference kernel");
}
