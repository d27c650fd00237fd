/* SPDX-License-Identifier: Apache-2.0
 * How fast this machine is, measured once and kept in the cache: what the estimates reckon with. */
#ifndef BENCH_CONSTANTS_H
#define BENCH_CONSTANTS_H

#include "base/ctx.h"

/* Into the cache at `path` (as in cvl_tuner_options; "": nowhere). CVL_EIO: measured, and not stored. */
cvl_status constants_store(const cvl_ctx *ctx, const char *path, const struct cvl_rates *rates);

/* Where the cache does not know this machine yet: measures, for the ctx and for the cache (about a tenth of a second).
 * A cache that cannot be written is no failure: whoever stores measurements there will tell. */
void       constants_ensure(cvl_ctx *ctx, const char *path);

#endif
