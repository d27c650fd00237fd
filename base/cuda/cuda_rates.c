/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cuda/cuda_rates.h"

#include "base/clock.h"
#include "base/cuda/cuda_error.h"
#include "base/cuda/cuda_peak.h"
#include "base/error.h"

#define RUN_SECONDS 2e-3
#define COPY_BYTES_MAX ((size_t)1 << 30)

/* Operations in a cycle of one multiprocessor, by the least capability that has them. */
static const struct { int capability; double f32, tf32, bf16; } per_cycle[] = {
    { 90, 256, 2048, 4096 }, { 89, 256, 512, 1024 }, { 86, 256, 512, 1024 }, { 80, 128, 1024, 2048 }, { 0, 128, 0, 0 },
};

struct cvl_rates cvl_cuda_rates_nominal(const struct cvl_device *device)
{
    const double cycles = (device->core_hz > 0 ? device->core_hz : 1.7e9) * device->multiprocessors;
    const double memory = device->memory_bytes_per_s > 0 ? device->memory_bytes_per_s : 2e12;
    int i = 0;
    while (device->capability < per_cycle[i].capability)
        i++;
    const double f32 = per_cycle[i].f32 * cycles;
    return (struct cvl_rates){
        .f32_flops = f32, .tf32_flops = per_cycle[i].tf32 > 0 ? per_cycle[i].tf32 * cycles : f32,
        .bf16_flops = per_cycle[i].bf16 > 0 ? per_cycle[i].bf16 * cycles : f32,
        .s8_ops = 2 * per_cycle[i].bf16 * cycles,
        .copy_l2 = 2 * memory, .copy_l3 = 2 * memory, .copy_dram = 0.45 * memory,
    };
}

/* One loop: `go` gives one launch to the stream and tells its work. */
struct load {
    const struct cvl_device *device;
    cvl_status (*go)(struct load *load, double *work);
    int        (*peak)(const struct cvl_cuda_peak *peak, void *stream, double *flops);
    struct cvl_cuda_peak arguments;
    void   *from, *to;
    size_t  bytes;
    void   *stream;
    struct cvl_timer *timer;
};

static cvl_status go_peak(struct load *load, double *work)
{
    return cvl_cuda_check(load->peak(&load->arguments, load->stream, work), "a loop of multiply-adds");
}

static cvl_status go_copy(struct load *load, double *work)
{
    *work = 0;
    for (int i = 0; i < load->arguments.rounds; i++) {
        const int error = cvl_cuda_peak_copy(load->to, load->from, load->bytes, load->arguments.blocks, load->stream);
        if (error)
            return cvl_cuda_check(error, "a copy");
        *work += (double)load->bytes;
    }
    return CVL_OK;
}

static cvl_status time_one(struct load *load, double *work, double *seconds)
{
    const struct cvl_device *device = load->device;
    cvl_status status = device->timer_start(device, load->timer, load->stream);
    if (status == CVL_OK)
        status = load->go(load, work);
    if (status == CVL_OK)
        status = device->timer_stop(device, load->timer, load->stream);
    return status == CVL_OK ? device->timer_seconds(device, load->timer, seconds) : status;
}

/* The best of the launches that fit in `seconds`, of five at least, each of some milliseconds. */
static cvl_status best_rate(struct load *load, double seconds, double *rate)
{
    const double start = cvl_now();
    double best = 0, work = 0, took = 0;
    cvl_status status = CVL_OK;
    load->arguments.rounds = 1;
    while (status == CVL_OK && took < RUN_SECONDS && load->arguments.rounds < 1 << 20) {
        load->arguments.rounds *= 2;
        status = time_one(load, &work, &took);
    }
    for (int runs = 0; status == CVL_OK && (runs < 5 || cvl_now() - start < seconds); runs++) {
        status = time_one(load, &work, &took);
        if (status == CVL_OK && work / took > best)
            best = work / took;
    }
    if (status == CVL_OK)
        *rate = best;
    return status;
}

static cvl_status measure_peaks(struct load *load, double seconds, struct cvl_rates *rates)
{
    const struct {
        int   (*peak)(const struct cvl_cuda_peak *, void *, double *);
        double *rate;
        int     capability;
    } peaks[] = {
        { cvl_cuda_peak_f32, &rates->f32_flops, 0 },
        { cvl_cuda_peak_tf32, &rates->tf32_flops, 80 },
        { cvl_cuda_peak_bf16, &rates->bf16_flops, 80 },
    };
    const int count = sizeof peaks / sizeof *peaks;
    const struct cvl_device *device = load->device;
    cvl_status status = CVL_OK;
    load->go = go_peak;
    load->arguments.blocks = CVL_CUDA_PEAK_BLOCKS * device->multiprocessors;
    load->arguments.wgmma = device->capability == 90;
    const size_t sums = (size_t)load->arguments.blocks * CVL_CUDA_PEAK_THREADS;
    load->arguments.sink = device->alloc(device, sums * sizeof(float));
    if (!load->arguments.sink)
        return cvl_fail(CVL_ENOMEM, "no memory on %s for what measures its rates", device->name);
    for (int i = 0; i < count && status == CVL_OK; i++)
        if (device->capability >= peaks[i].capability) {
            load->peak = peaks[i].peak;
            status = best_rate(load, seconds / count, peaks[i].rate);
        }
    device->free(device, load->arguments.sink);
    return status;
}

/* In memory between buffers of eight times the L2 cache, in the cache within a quarter of it. */
static cvl_status measure_copies(struct load *load, double seconds, struct cvl_rates *rates)
{
    const struct cvl_device *device = load->device;
    const size_t l2 = device->l2_bytes ? device->l2_bytes : (size_t)4 << 20;
    const size_t large = 8 * l2 < COPY_BYTES_MAX ? 8 * l2 : COPY_BYTES_MAX;
    const struct { size_t bytes; double *rate; } sets[] = {
        { l2 / 8 / 256 * 256, &rates->copy_l2 }, { large, &rates->copy_dram },
    };
    cvl_status status = CVL_OK;
    load->go = go_copy;
    load->arguments.blocks = CVL_CUDA_PEAK_BLOCKS * device->multiprocessors;
    load->from = device->alloc(device, large);
    load->to = device->alloc(device, large);
    if (!load->from || !load->to)
        status = cvl_fail(CVL_ENOMEM, "no memory on %s for a copy of %zu bytes", device->name, large);
    else
        status = cvl_cuda_check(cvl_cuda_peak_random(load->from, large, load->arguments.blocks, load->stream),
                                "filling with random numbers");
    for (int i = 0; i < 2 && status == CVL_OK; i++) {
        load->bytes = sets[i].bytes;
        status = best_rate(load, seconds / 2, sets[i].rate);
    }
    rates->copy_l3 = rates->copy_l2;
    device->free(device, load->from);
    device->free(device, load->to);
    return status;
}

cvl_status cvl_cuda_rates_measure(const struct cvl_device *device, double seconds, struct cvl_rates *rates)
{
    struct load load = { .device = device };
    *rates = cvl_cuda_rates_nominal(device);
    cvl_status status = device->stream_create(device, &load.stream);
    if (status == CVL_OK)
        status = device->timer_create(device, &load.timer);
    const int before = device->enter(device);
    if (status == CVL_OK)
        status = measure_peaks(&load, seconds / 2, rates);
    if (status == CVL_OK)
        status = measure_copies(&load, seconds / 2, rates);
    device->leave(before);
    device->timer_destroy(device, load.timer);
    device->stream_destroy(device, load.stream);
    rates->measured = status == CVL_OK;
    return status;
}
