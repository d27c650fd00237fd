/* SPDX-License-Identifier: Apache-2.0
 * oneDNN has one instruction-set limit for the process, set before its first use. It is the level of the first context
 * that asks; contexts of another level are then refused. At this machine's best level nothing is set, so that oneDNN
 * may use what it knows beyond our levels (AMX), or what ONEDNN_MAX_CPU_ISA says. */
#include "conv/onednn/onednn.h"

#include "base/error.h"

#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct {
    pthread_mutex_t mutex;
    bool            started;
    dnnl_status_t   status, lowered;
    enum cvl_isa    isa;
    dnnl_engine_t   engine;
    dnnl_stream_t   stream;     /* keeps no state: runs on many threads share it */
} process = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static dnnl_status_t lower(enum cvl_isa isa)
{
    static const struct { const char *name; dnnl_cpu_isa_t isa; } levels[] = {
        { "generic", dnnl_cpu_isa_sse41 },
        { "avx2", dnnl_cpu_isa_avx2 },
        { "avx512", dnnl_cpu_isa_avx512_core },
        { "avx512vnni", dnnl_cpu_isa_avx512_core_vnni },
        { "avx512bf16", dnnl_cpu_isa_avx512_core_bf16 },
    };
    if (isa == cvl_isa_best())
        return dnnl_success;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(levels[i].name, cvl_isa_name(isa)) == 0)
            return dnnl_set_max_cpu_isa(levels[i].isa);
    return dnnl_unimplemented;
}

static void start(enum cvl_isa isa)
{
    process.isa = isa;
    process.lowered = lower(isa);
    process.status = dnnl_engine_create(&process.engine, dnnl_cpu, 0);
    if (process.status == dnnl_success)
        process.status = dnnl_stream_create(&process.stream, process.engine, dnnl_stream_default_flags);
    process.started = true;
}

const char *cvl_onednn_refusal(const cvl_ctx *ctx)
{
    pthread_mutex_lock(&process.mutex);
    if (!process.started)
        start(ctx->isa);
    pthread_mutex_unlock(&process.mutex);
    if (process.status != dnnl_success)
        return cvl_reason("oneDNN does not start (its status is %d)", (int)process.status);
    if (process.lowered != dnnl_success)
        return cvl_reason("oneDNN cannot be held to %s: it was in use before, or was built without that switch",
                          cvl_isa_name(process.isa));
    if (process.isa != ctx->isa)
        return cvl_reason("oneDNN is held to %s in this process, the level of the first context that used it, and this "
                          "one is at %s", cvl_isa_name(process.isa), cvl_isa_name(ctx->isa));
    return NULL;
}

dnnl_engine_t cvl_onednn_engine(void)
{
    return process.engine;
}

dnnl_stream_t cvl_onednn_stream(void)
{
    return process.stream;
}

const char *cvl_onednn_version(void)
{
    static _Thread_local char text[32];
    const dnnl_version_t *version = dnnl_version();
    snprintf(text, sizeof text, "oneDNN %d.%d.%d", version->major, version->minor, version->patch);
    return text;
}

/* A host's pool cannot run oneDNN's loops: they then stay on the calling thread. */
int cvl_onednn_enter(const cvl_ctx *ctx)
{
    const int before = omp_get_max_threads(), wanted = ctx->parallel_for ? 1 : ctx->threads;
    if (before != wanted)
        omp_set_num_threads(wanted);
    return before;
}

void cvl_onednn_leave(int before)
{
    if (omp_get_max_threads() != before)
        omp_set_num_threads(before);
}
