/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_gpu.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

#define ARG_MAX_BYTES 256
#define PACE_S 100e-6

double fake_gpu_clock;
int fake_gpu_live, fake_gpu_paces, fake_gpu_captures, fake_gpu_replays;
bool fake_gpu_refuses_capture;

struct work { void (*fn)(const void *arg); char arg[ARG_MAX_BYTES]; double seconds; };

struct cvl_graph { struct work *work; int count; };
struct cvl_timer { double start, stop; };
struct stream { struct cvl_graph *capturing; };

static void *make(size_t bytes)
{
    void *made = calloc(1, bytes);
    if (!made)
        abort();
    fake_gpu_live++;
    return made;
}

static void give_back(void *made)
{
    if (!made)
        return;
    fake_gpu_live--;
    free(made);
}

static void *allocate(const struct cvl_device *device, size_t bytes)
{
    void *memory = aligned_alloc(256, (bytes + 256) / 256 * 256);
    fake_gpu_live += memory != NULL;
    return memory;
}

static void release(const struct cvl_device *device, void *memory) { give_back(memory); }

static cvl_status copy(const struct cvl_device *device, void *to, const void *from, size_t bytes)
{
    memcpy(to, from, bytes);
    return CVL_OK;
}

static cvl_status fill(const struct cvl_device *device, void *memory, int byte, size_t bytes)
{
    memset(memory, byte, bytes);
    return CVL_OK;
}

static cvl_status synchronize(const struct cvl_device *device, void *stream) { return CVL_OK; }

static cvl_status stream_create(const struct cvl_device *device, void **stream)
{
    *stream = make(sizeof(struct stream));
    return CVL_OK;
}

static void stream_destroy(const struct cvl_device *device, void *stream) { give_back(stream); }

static cvl_status create_timer(const struct cvl_device *device, struct cvl_timer **timer)
{
    *timer = make(sizeof **timer);
    return CVL_OK;
}

static void destroy_timer(const struct cvl_device *device, struct cvl_timer *timer) { give_back(timer); }

static cvl_status timer_start(const struct cvl_device *device, struct cvl_timer *timer, void *stream)
{
    timer->start = fake_gpu_clock;
    return CVL_OK;
}

static cvl_status timer_stop(const struct cvl_device *device, struct cvl_timer *timer, void *stream)
{
    timer->stop = fake_gpu_clock;
    return CVL_OK;
}

static cvl_status timer_seconds(const struct cvl_device *device, struct cvl_timer *timer, double *seconds)
{
    *seconds = timer->stop - timer->start;
    return CVL_OK;
}

static void graph_destroy(const struct cvl_device *device, struct cvl_graph *graph)
{
    if (graph)
        free(graph->work);
    give_back(graph);
}

static cvl_status capture_begin(const struct cvl_device *device, void *stream)
{
    struct stream *s = stream;
    s->capturing = make(sizeof *s->capturing);
    fake_gpu_captures++;
    return CVL_OK;
}

static cvl_status capture_end(const struct cvl_device *device, void *stream, struct cvl_graph **graph)
{
    struct stream *s = stream;
    *graph = s->capturing;
    s->capturing = NULL;
    if (!fake_gpu_refuses_capture)
        return CVL_OK;
    graph_destroy(device, *graph);
    *graph = NULL;
    return cvl_fail(CVL_EDEVICE, "what was given to the stream cannot be captured");
}

static void do_work(const struct work *work)
{
    work->fn(work->arg);
    fake_gpu_clock += work->seconds;
}

static cvl_status graph_launch(const struct cvl_device *device, struct cvl_graph *graph, void *stream)
{
    fake_gpu_replays++;
    for (int i = 0; i < graph->count; i++)
        do_work(&graph->work[i]);
    return CVL_OK;
}

static cvl_status pace(const struct cvl_device *device, void *stream)
{
    fake_gpu_paces++;
    fake_gpu_clock += PACE_S;
    return CVL_OK;
}

void fake_gpu_launch(void *stream, void (*fn)(const void *arg), const void *arg, size_t arg_bytes, double seconds)
{
    struct cvl_graph *graph = stream ? ((struct stream *)stream)->capturing : NULL;
    struct work work = { .fn = fn, .seconds = seconds };
    if (arg_bytes > sizeof work.arg)
        abort();
    memcpy(work.arg, arg, arg_bytes);
    if (!graph) {
        do_work(&work);
        return;
    }
    graph->work = realloc(graph->work, (size_t)(graph->count + 1) * sizeof work);
    if (!graph->work)
        abort();
    graph->work[graph->count++] = work;
}

const struct cvl_device fake_gpu = {
    .name = "cuda:fake", .kind = CVL_CUDA, .model = "a fake GPU", .capability = 90, .multiprocessors = 4,
    .l2_bytes = FAKE_GPU_L2, .memory_bytes = (size_t)1 << 30, .alloc = allocate, .free = release, .upload = copy,
    .download = copy, .fill = fill, .synchronize = synchronize, .stream_create = stream_create,
    .stream_destroy = stream_destroy, .timer_create = create_timer, .timer_destroy = destroy_timer,
    .timer_start = timer_start, .timer_stop = timer_stop, .timer_seconds = timer_seconds,
    .capture_begin = capture_begin, .capture_end = capture_end, .graph_launch = graph_launch,
    .graph_destroy = graph_destroy, .pace = pace,
};
