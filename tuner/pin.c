/* SPDX-License-Identifier: Apache-2.0
 * A task knows the slot of the thread that runs it, but not every thread need get a task: each waits a moment for the
 * others, and who is never seen stays where the scheduler puts it. */
#include "tuner/pin.h"

#include <sched.h>
#include <stdatomic.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/threads.h"

#define PATIENCE_S 1e-3

struct thread { cpu_set_t before; atomic_bool seen; };

struct cvl_pins {
    const cvl_ctx *ctx;
    bool           release;
    int            first;        /* the processor of the measuring thread */
    cpu_set_t      allowed;
    atomic_int     seen;
    struct thread  threads[];
};

/* The slot-th of the allowed processors, counted from the first. */
static int processor_of(const struct cvl_pins *pins, int slot)
{
    int left = slot;
    for (int i = 0; i < CPU_SETSIZE; i++) {
        const int cpu = (pins->first + i) % CPU_SETSIZE;
        if (CPU_ISSET(cpu, &pins->allowed) && left-- == 0)
            return cpu;
    }
    return pins->first;
}

static void move(struct cvl_pins *pins, int slot)
{
    struct thread *thread = &pins->threads[slot];
    cpu_set_t one;
    if (pins->release) {
        sched_setaffinity(0, sizeof thread->before, &thread->before);
        return;
    }
    if (sched_getaffinity(0, sizeof thread->before, &thread->before) != 0)
        thread->before = pins->allowed;
    CPU_ZERO(&one);
    CPU_SET(processor_of(pins, slot), &one);
    sched_setaffinity(0, sizeof one, &one);
}

static void task(int index, int slot, void *arg)
{
    struct cvl_pins *pins = arg;
    const double start = cvl_now();
    if (!atomic_exchange(&pins->threads[slot].seen, true)) {
        if (!pins->release || CPU_COUNT(&pins->threads[slot].before) > 0)
            move(pins, slot);
        atomic_fetch_add(&pins->seen, 1);
    }
    while (atomic_load(&pins->seen) < pins->ctx->threads && cvl_now() - start < PATIENCE_S)
        sched_yield();
}

static void move_all(struct cvl_pins *pins, bool release)
{
    pins->release = release;
    atomic_store(&pins->seen, 0);
    for (int i = 0; i < pins->ctx->threads; i++)
        atomic_store(&pins->threads[i].seen, false);
    cvl_parallel_for(pins->ctx, pins->ctx->threads, task, pins);
}

struct cvl_pins *cvl_pin_threads(const cvl_ctx *ctx)
{
    cpu_set_t allowed;
    struct cvl_pins *pins;
    if (ctx->parallel_for || ctx->device->kind != CVL_CPU || sched_getaffinity(0, sizeof allowed, &allowed) != 0 ||
        CPU_COUNT(&allowed) < ctx->threads)
        return NULL;
    pins = cvl_calloc(1, sizeof *pins + (size_t)ctx->threads * sizeof *pins->threads);
    if (!pins)
        return NULL;
    pins->ctx = ctx;
    pins->allowed = allowed;
    pins->first = sched_getcpu() >= 0 ? sched_getcpu() : 0;
    move_all(pins, false);
    return pins;
}

void cvl_pin_release(struct cvl_pins *pins)
{
    if (pins)
        move_all(pins, true);
    cvl_free(pins);
}
