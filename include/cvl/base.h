/* SPDX-License-Identifier: Apache-2.0
 * convlab, the part that every header shares: status codes, element types, and the context.
 *
 * A context fixes a device, an instruction-set level and a number of threads. It is immutable, may be
 * used from many threads at once, and must outlive the plans and tuners made from it. The library never
 * aborts, exits or prints: what fails returns a cvl_status and leaves one sentence in cvl_last_error(). */
#ifndef CVL_BASE_H
#define CVL_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CVL_API __attribute__((visibility("default")))

typedef enum cvl_status {
    CVL_OK,
    CVL_EINVAL,    /* an argument that can never be right; the message names it and its value */
    CVL_EUNSUP,    /* a right argument that this build, device or algorithm does not cover */
    CVL_ENOMEM,
    CVL_EIO,       /* a file could not be read or written */
    CVL_ECORRUPT,  /* a file holds something other than what was written */
    CVL_EDEVICE,   /* the device or its driver is missing or failed */
    CVL_ENOTFOUND  /* no such algorithm, candidate, record or network */
} cvl_status;

CVL_API const char *cvl_status_name(cvl_status status);   /* "CVL_EINVAL"; static text */
CVL_API const char *cvl_last_error(void);                 /* this thread's last failure, one sentence; never NULL */
CVL_API const char *cvl_version(void);                    /* "0.1.0" */

typedef enum cvl_dtype { CVL_F32, CVL_BF16, CVL_F16, CVL_S8, CVL_U8, CVL_S32 } cvl_dtype;
typedef enum cvl_device_kind { CVL_CPU, CVL_CUDA } cvl_device_kind;

/* gelu is x * Phi(x) with the exact erf; hardswish is x * clip(x + 3, 0, 6) / 6; silu is x / (1 + exp(-x)).
 * relu, relu6 and clip hand a NaN on. */
typedef enum cvl_act {
    CVL_ACT_NONE, CVL_ACT_RELU, CVL_ACT_RELU6, CVL_ACT_CLIP, CVL_ACT_SILU, CVL_ACT_HARDSWISH, CVL_ACT_GELU
} cvl_act;

typedef enum cvl_log_level { CVL_LOG_INFO, CVL_LOG_WARNING } cvl_log_level;
typedef void cvl_log_fn(void *arg, cvl_log_level level, const char *sentence);

/* A task of cvl's, and a host engine's pool that runs tasks: it calls fn(task, slot, arg) once for every
 * task in [0, tasks), on any threads, in any order or serially, and returns when all are done. Calls that
 * run at the same time have different slots in [0, threads of the context). */
typedef void cvl_task_fn(int task, int slot, void *arg);
typedef void cvl_pool_fn(void *pool, int tasks, cvl_task_fn *fn, void *arg);

typedef struct cvl_ctx_options {
    size_t          size;
    int             threads;        /* 0: every processor that this process may use */
    const char     *isa;            /* highest level to use, e.g. "avx2"; NULL: CVL_ISA if set, else the best */
    cvl_device_kind device;
    int             device_index;
    void           *stream;         /* GPU: where plans run; NULL: the default stream */
    cvl_pool_fn    *parallel_for;   /* NULL: OpenMP, or the calling thread in a build without it */
    void           *pool;           /* first argument of parallel_for */
    cvl_log_fn     *log;            /* NULL: silence, or stderr when CVL_VERBOSE is set */
    void           *log_arg;
} cvl_ctx_options;

typedef struct cvl_ctx cvl_ctx;

CVL_API void cvl_ctx_options_init_size(cvl_ctx_options *options, size_t size);
static inline void cvl_ctx_options_init(cvl_ctx_options *options)
{
    cvl_ctx_options_init_size(options, sizeof *options);
}

/* NULL options: all defaults. On failure *ctx is NULL. */
CVL_API cvl_status cvl_ctx_create(const cvl_ctx_options *options, cvl_ctx **ctx);
CVL_API void       cvl_ctx_destroy(cvl_ctx *ctx);         /* after its plans and tuners; NULL is allowed */
CVL_API int        cvl_ctx_threads(const cvl_ctx *ctx);
CVL_API const char *cvl_ctx_isa(const cvl_ctx *ctx);      /* the level in use: "avx512vnni"; static text */

#ifdef __cplusplus
}
#endif
#endif
