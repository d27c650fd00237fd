/* SPDX-License-Identifier: Apache-2.0
 * Empties the processor's caches before a cold measurement, by walking memory that nothing else uses. */
#ifndef TUNER_EVICT_H
#define TUNER_EVICT_H

#include "base/ctx.h"

struct cvl_evictor {
    const cvl_ctx *ctx;
    char          *memory;
    size_t         bytes_a_thread;
};

cvl_status cvl_evictor_create(const cvl_ctx *ctx, struct cvl_evictor *evictor);   /* CVL_ENOMEM */
void       cvl_evictor_destroy(struct cvl_evictor *evictor);
void       cvl_evict(const struct cvl_evictor *evictor);

/* Reads one byte of every cache line, so that memory is in the caches again. */
void       cvl_touch(const void *memory, size_t bytes);

#endif
