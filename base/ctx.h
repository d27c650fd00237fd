/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CTX_H
#define BASE_CTX_H

#include "base/cpu.h"
#include "base/device.h"
#include "base/error.h"
#include "base/machine.h"
#include "cvl/base.h"

struct cvl_ctx {
    const struct cvl_device *device;
    void            *stream;
    enum cvl_isa     isa;
    int              threads;
    cvl_pool_fn     *parallel_for;
    void            *pool;
    cvl_log_fn      *log;
    void            *log_arg;
    struct cvl_rates rates;         /* what `estimate` reckons with: nominal, or measured by cvl_ctx_measure_rates */
};

/* To the ctx's log; a NULL ctx and a silent log are allowed. */
void cvl_log(const cvl_ctx *ctx, cvl_log_level level, const char *format, ...) CVL_PRINTF(3, 4);

/* Replaces the nominal rates by measured ones (about a tenth of a second). Before the ctx is shared. */
void cvl_ctx_measure_rates(cvl_ctx *ctx);

/* First member of every public struct: copies what the caller's version of it has over today's defaults. */
void cvl_copy_sized(void *to, size_t to_size, const void *from, size_t from_size);

#endif
