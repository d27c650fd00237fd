/* SPDX-License-Identifier: Apache-2.0
 * GPUs through the CUDA runtime, which is linked statically and finds the driver when it is first asked: without a
 * driver this library starts, and says so. */
#include "base/alloc.h"
#include "base/cuda/cuda_error.h"
#include "base/cuda/cuda_peak.h"
#include "base/cuda/cuda_rates.h"
#include "base/device.h"
#include "base/error.h"

#include <cuda_runtime_api.h>
#include <pthread.h>
#include <stdio.h>

#define DEVICES_MAX 64
#define ASKED "device cuda:%d was asked for, and "

/* ---- memory ---- */

static int enter(const struct cvl_device *device)
{
    int before = -1;
    if (cudaGetDevice(&before) != cudaSuccess || before == device->index)
        return -1;
    return cudaSetDevice(device->index) == cudaSuccess ? before : -1;
}

static void leave(int before)
{
    if (before >= 0)
        cudaSetDevice(before);
}

/* Of a call that was made between enter and leave. */
static cvl_status left(int before, int error, const char *what)
{
    const cvl_status status = cvl_cuda_check(error, what);
    leave(before);
    return status;
}

static void *allocate(const struct cvl_device *device, size_t bytes)
{
    const int before = enter(device);
    void *memory = NULL;
    if (cudaMalloc(&memory, bytes ? bytes : 1) != cudaSuccess) {
        cudaGetLastError();
        memory = NULL;
    }
    leave(before);
    return memory;
}

static void release(const struct cvl_device *device, void *memory)
{
    const int before = enter(device);
    cudaFree(memory);
    leave(before);
}

/* From pageable memory cudaMemcpy returns before the last bytes have arrived, and streams that wait for no other would
 * not wait for them. */
static cvl_status upload(const struct cvl_device *device, void *to, const void *host, size_t bytes)
{
    const int before = enter(device);
    int error = bytes ? cudaMemcpy(to, host, bytes, cudaMemcpyHostToDevice) : cudaSuccess;
    if (error == cudaSuccess)
        error = cudaStreamSynchronize(NULL);
    return left(before, error, "copying to the device");
}

static cvl_status download(const struct cvl_device *device, void *host, const void *from, size_t bytes)
{
    const int before = enter(device);
    const int error = bytes ? cudaMemcpy(host, from, bytes, cudaMemcpyDeviceToHost) : cudaSuccess;
    return left(before, error, "copying from the device");
}

static cvl_status fill(const struct cvl_device *device, void *memory, int byte, size_t bytes)
{
    const int before = enter(device);
    int error = bytes ? cudaMemset(memory, byte, bytes) : cudaSuccess;
    if (error == cudaSuccess)
        error = cudaStreamSynchronize(NULL);
    return left(before, error, "filling memory of the device");
}

static cvl_status synchronize(const struct cvl_device *device, void *stream)
{
    const int before = enter(device);
    return left(before, cudaStreamSynchronize(stream), "waiting for the device");
}

/* ---- streams, timers, graphs ---- */

static cvl_status stream_create(const struct cvl_device *device, void **stream)
{
    cudaStream_t made = NULL;
    const int before = enter(device);
    const int error = cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking);
    *stream = error == cudaSuccess ? made : NULL;
    return left(before, error, "creating a stream");
}

static void stream_destroy(const struct cvl_device *device, void *stream)
{
    if (stream)
        cudaStreamDestroy(stream);
}

struct cvl_timer { cudaEvent_t start, stop; };

static void destroy_timer(const struct cvl_device *device, struct cvl_timer *timer)
{
    if (!timer)
        return;
    if (timer->start)
        cudaEventDestroy(timer->start);
    if (timer->stop)
        cudaEventDestroy(timer->stop);
    cvl_free(timer);
}

static cvl_status create_timer(const struct cvl_device *device, struct cvl_timer **timer)
{
    *timer = cvl_calloc(1, sizeof **timer);
    if (!*timer)
        return cvl_fail(CVL_ENOMEM, "no memory for a timer");
    const int before = enter(device);
    int error = cudaEventCreate(&(*timer)->start);
    if (error == cudaSuccess)
        error = cudaEventCreate(&(*timer)->stop);
    if (error != cudaSuccess) {
        destroy_timer(device, *timer);
        *timer = NULL;
    }
    return left(before, error, "creating an event");
}

static cvl_status timer_start(const struct cvl_device *device, struct cvl_timer *timer, void *stream)
{
    const int before = enter(device);
    return left(before, cudaEventRecord(timer->start, stream), "recording an event");
}

static cvl_status timer_stop(const struct cvl_device *device, struct cvl_timer *timer, void *stream)
{
    const int before = enter(device);
    return left(before, cudaEventRecord(timer->stop, stream), "recording an event");
}

static cvl_status timer_seconds(const struct cvl_device *device, struct cvl_timer *timer, double *seconds)
{
    float ms = 0;
    const int before = enter(device);
    int error = cudaEventSynchronize(timer->stop);
    if (error == cudaSuccess)
        error = cudaEventElapsedTime(&ms, timer->start, timer->stop);
    *seconds = 1e-3 * (double)ms;
    return left(before, error, "reading a timer");
}

struct cvl_graph { cudaGraph_t graph; cudaGraphExec_t exec; };

static void graph_destroy(const struct cvl_device *device, struct cvl_graph *graph)
{
    if (!graph)
        return;
    if (graph->exec)
        cudaGraphExecDestroy(graph->exec);
    if (graph->graph)
        cudaGraphDestroy(graph->graph);
    cvl_free(graph);
}

static cvl_status capture_begin(const struct cvl_device *device, void *stream)
{
    const int before = enter(device);
    return left(before, cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capturing a stream");
}

static cvl_status capture_end(const struct cvl_device *device, void *stream, struct cvl_graph **graph)
{
    struct cvl_graph *made = cvl_calloc(1, sizeof *made);
    cudaGraph_t captured = NULL;
    const int before = enter(device);
    int error = cudaStreamEndCapture(stream, &captured);
    *graph = NULL;
    if (!made) {
        if (captured)
            cudaGraphDestroy(captured);
        leave(before);
        return cvl_fail(CVL_ENOMEM, "no memory for a graph");
    }
    made->graph = captured;
    if (error == cudaSuccess)
        error = cudaGraphInstantiate(&made->exec, captured, 0);
    if (error == cudaSuccess)
        *graph = made;
    else
        graph_destroy(device, made);
    return left(before, error, "making a graph of what was captured");
}

static cvl_status graph_launch(const struct cvl_device *device, struct cvl_graph *graph, void *stream)
{
    const int before = enter(device);
    return left(before, cudaGraphLaunch(graph->exec, stream), "launching a graph");
}

/* A scheduler issues 8 warps' 24 576 multiply-adds, one a cycle. */
static cvl_status pace(const struct cvl_device *device, void *stream)
{
    const struct cvl_cuda_peak peak = { .blocks = CVL_CUDA_PEAK_BLOCKS * device->multiprocessors, .rounds = 384 };
    double flops;
    const int before = enter(device);
    return left(before, cvl_cuda_peak_f32(&peak, stream, &flops), "launching the reference kernel");
}

/* ---- which there are ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct { struct cvl_device device; char name[16]; bool known; } devices[DEVICES_MAX];

static const struct cvl_device functions = {
    .kind = CVL_CUDA, .enter = enter, .leave = leave, .alloc = allocate, .free = release, .upload = upload,
    .download = download, .fill = fill, .synchronize = synchronize, .stream_create = stream_create,
    .stream_destroy = stream_destroy, .timer_create = create_timer, .timer_destroy = destroy_timer,
    .timer_start = timer_start, .timer_stop = timer_stop, .timer_seconds = timer_seconds,
    .capture_begin = capture_begin, .capture_end = capture_end, .graph_launch = graph_launch,
    .graph_destroy = graph_destroy, .pace = pace, .nominal_rates = cvl_cuda_rates_nominal,
    .measure_rates = cvl_cuda_rates_measure,
};

static void put_version(int version, char text[32])
{
    snprintf(text, 32, "%d.%d", version / 1000, version % 1000 / 10);
}

static cvl_status describe(int index, struct cvl_device *device)
{
    struct cudaDeviceProp properties;
    int driver = 0, runtime = 0, core_khz = 0, memory_khz = 0;
    cvl_status status = cvl_cuda_check(cudaGetDeviceProperties(&properties, index), "asking for the device's properties");
    if (status != CVL_OK)
        return status;
    const int error = cudaDriverGetVersion(&driver) | cudaRuntimeGetVersion(&runtime)
                    | cudaDeviceGetAttribute(&core_khz, cudaDevAttrClockRate, index)
                    | cudaDeviceGetAttribute(&memory_khz, cudaDevAttrMemoryClockRate, index);
    if (error != cudaSuccess)
        return cvl_cuda_check(error, "asking for the versions of CUDA and the device's clocks");
    *device = functions;
    device->index = index;
    device->name = devices[index].name;
    snprintf(devices[index].name, sizeof devices[index].name, "cuda:%d", index);
    snprintf(device->model, sizeof device->model, "%.63s", properties.name);
    put_version(driver, device->driver);
    put_version(runtime, device->runtime);
    device->capability = 10 * properties.major + properties.minor;
    device->multiprocessors = properties.multiProcessorCount;
    device->l2_bytes = (size_t)properties.l2CacheSize;
    device->shared_bytes = properties.sharedMemPerBlockOptin;
    device->memory_bytes = properties.totalGlobalMem;
    device->core_hz = 1e3 * core_khz;
    device->memory_bytes_per_s = 2 * 1e3 * memory_khz * (properties.memoryBusWidth / 8);   /* two transfers a clock */
    return CVL_OK;
}

/* Why there is none begins with what was asked for. */
static cvl_status count_devices(int index, int *count)
{
    int driver = 0;
    const int error = cudaGetDeviceCount(count);
    cudaGetLastError();
    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0)
        return cvl_fail(CVL_EDEVICE, ASKED "no CUDA driver is installed on this machine", index);
    if (error == cudaErrorInsufficientDriver)
        return cvl_fail(CVL_EDEVICE, ASKED "the driver is for CUDA %d.%d, while this build needs %d.%d", index,
                        driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    if (error == cudaErrorNoDevice || (error == cudaSuccess && *count == 0))
        return cvl_fail(CVL_EDEVICE, ASKED "the driver finds no CUDA device, or CUDA_VISIBLE_DEVICES hides it", index);
    return cvl_cuda_check(error, "asking for CUDA devices");
}

static cvl_status get(int index, const struct cvl_device **device)
{
    int count = 0;
    cvl_status status = count_devices(index, &count);
    if (status != CVL_OK)
        return status;
    if (count > DEVICES_MAX)
        count = DEVICES_MAX;
    if (index < 0 || index >= count)
        return cvl_fail(CVL_EDEVICE, ASKED "this machine has %d CUDA device%s, from cuda:0", index, count,
                        count == 1 ? "" : "s");
    pthread_mutex_lock(&mutex);
    if (!devices[index].known)
        status = describe(index, &devices[index].device);
    devices[index].known |= status == CVL_OK;
    pthread_mutex_unlock(&mutex);
    if (status == CVL_OK)
        *device = &devices[index].device;
    return status;
}

extern const struct cvl_device_family cvl_device_family_cuda;
const struct cvl_device_family cvl_device_family_cuda = { CVL_CUDA, get };
