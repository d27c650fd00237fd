/* SPDX-License-Identifier: Apache-2.0
 * Every thread walks its share of twice the last-level cache, and at least twice its own second level, which a
 * last-level cache that is not inclusive does not empty. */
#include "tuner/evict.h"

#include "base/alloc.h"
#include "base/threads.h"

#include <string.h>

#define LINE 64
#define UNKNOWN_L3 ((size_t)32 << 20)

cvl_status cvl_evictor_create(const cvl_ctx *ctx, struct cvl_evictor *evictor)
{
    const struct cvl_cpu *cpu = cvl_cpu_info();
    const size_t share = 2 * (cpu->l3 ? cpu->l3 : UNKNOWN_L3) / (size_t)ctx->threads;
    const size_t bytes = cvl_round_up(share > 2 * cpu->l2 ? share : 2 * cpu->l2, LINE);
    evictor->ctx = ctx;
    evictor->bytes_a_thread = bytes;
    evictor->memory = cvl_calloc((size_t)ctx->threads, bytes);
    if (!evictor->memory)
        return cvl_fail(CVL_ENOMEM, "no memory for a walk of %zu bytes that empties the caches",
                        bytes * (size_t)ctx->threads);
    return CVL_OK;
}

void cvl_evictor_destroy(struct cvl_evictor *evictor)
{
    cvl_free(evictor->memory);
    evictor->memory = NULL;
}

/* Writing claims each line for this core, so that a copy in another core's cache is dropped too. */
static void walk(int task, int slot, void *arg)
{
    const struct cvl_evictor *evictor = arg;
    volatile char *share = evictor->memory + (size_t)task * evictor->bytes_a_thread;
    for (size_t i = 0; i < evictor->bytes_a_thread; i += LINE)
        share[i]++;
}

void cvl_evict(const struct cvl_evictor *evictor)
{
    cvl_parallel_for(evictor->ctx, evictor->ctx->threads, walk, (void *)evictor);
}

void cvl_touch(const void *memory, size_t bytes)
{
    const volatile char *lines = memory;
    for (size_t i = 0; i < bytes; i += LINE)
        (void)lines[i];
}
