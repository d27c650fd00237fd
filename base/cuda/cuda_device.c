/* SPDX-License-Identifier: Apache-2.0
 * GPUs through the CUDA runtime, which is linked statically and finds the driver when it is first asked: without a
 * driver this library starts, and says so. */
#include "base/cuda/cuda_error.h"
#include "base/cuda/cuda_rates.h"
#include "base/cuda/cuda_stream.h"
#include "base/error.h"

#include <cuda_runtime_api.h>
#include <pthread.h>
#include <stdio.h>

#define DEVICES_MAX 64
#define ASKED "device cuda:%d was asked for, and "

/* ---- memory ---- */

static void *allocate(const struct cvl_device *device, size_t bytes)
{
    const int before = cvl_cuda_enter(device);
    void *memory = NULL;
    if (cudaMalloc(&memory, bytes ? bytes : 1) != cudaSuccess) {
        cudaGetLastError();
        memory = NULL;
    }
    cvl_cuda_leave(before);
    return memory;
}

static void release(const struct cvl_device *device, void *memory)
{
    const int before = cvl_cuda_enter(device);
    cudaFree(memory);
    cvl_cuda_leave(before);
}

/* From pageable memory cudaMemcpy returns before the last bytes have arrived, and streams that wait for no other would
 * not wait for them. */
static cvl_status upload(const struct cvl_device *device, void *to, const void *host, size_t bytes)
{
    const int before = cvl_cuda_enter(device);
    int error = bytes ? cudaMemcpy(to, host, bytes, cudaMemcpyHostToDevice) : cudaSuccess;
    if (error == cudaSuccess)
        error = cudaStreamSynchronize(NULL);
    return cvl_cuda_left(before, error, "copying to the device");
}

static cvl_status download(const struct cvl_device *device, void *host, const void *from, size_t bytes)
{
    const int before = cvl_cuda_enter(device);
    const int error = bytes ? cudaMemcpy(host, from, bytes, cudaMemcpyDeviceToHost) : cudaSuccess;
    return cvl_cuda_left(before, error, "copying from the device");
}

static cvl_status fill(const struct cvl_device *device, void *memory, int byte, size_t bytes)
{
    const int before = cvl_cuda_enter(device);
    int error = bytes ? cudaMemset(memory, byte, bytes) : cudaSuccess;
    if (error == cudaSuccess)
        error = cudaStreamSynchronize(NULL);
    return cvl_cuda_left(before, error, "filling memory of the device");
}

/* ---- which there are ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct { struct cvl_device device; char name[16]; bool known; } devices[DEVICES_MAX];

static const struct cvl_device functions = {
    .kind = CVL_CUDA, .enter = cvl_cuda_enter, .leave = cvl_cuda_leave, .alloc = allocate, .free = release,
    .upload = upload, .download = download, .fill = fill, .synchronize = cvl_cuda_synchronize,
    .stream_create = cvl_cuda_stream_create, .stream_destroy = cvl_cuda_stream_destroy,
    .timer_create = cvl_cuda_timer_create, .timer_destroy = cvl_cuda_timer_destroy, .timer_start = cvl_cuda_timer_start,
    .timer_stop = cvl_cuda_timer_stop, .timer_seconds = cvl_cuda_timer_seconds,
    .capture_begin = cvl_cuda_capture_begin, .capture_end = cvl_cuda_capture_end,
    .graph_launch = cvl_cuda_graph_launch, .graph_destroy = cvl_cuda_graph_destroy, .pace = cvl_cuda_pace,
    .nominal_rates = cvl_cuda_rates_nominal, .measure_rates = cvl_cuda_rates_measure,
};

static void put_version(int version, char text[32])
{
    snprintf(text, 32, "%d.%d", version / 1000, version % 1000 / 10);
}

static cvl_status describe(int index, struct cvl_device *device)
{
    struct cudaDeviceProp properties;
    int driver = 0, runtime = 0, core_khz = 0, memory_khz = 0;
    cvl_status status = cvl_cuda_check(cudaGetDeviceProperties(&properties, index), "asking for its properties");
    if (status == CVL_OK)
        status = cvl_cuda_check(cudaDriverGetVersion(&driver), "asking for the driver's version");
    if (status == CVL_OK)
        status = cvl_cuda_check(cudaRuntimeGetVersion(&runtime), "asking for the runtime's version");
    if (status == CVL_OK)
        status = cvl_cuda_check(cudaDeviceGetAttribute(&core_khz, cudaDevAttrClockRate, index), "asking for a clock");
    if (status == CVL_OK)
        status = cvl_cuda_check(cudaDeviceGetAttribute(&memory_khz, cudaDevAttrMemoryClockRate, index),
                                "asking for a clock");
    if (status != CVL_OK)
        return status;
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
