/* SPDX-License-Identifier: Apache-2.0
 * What --list-algos, --list-nets and --machine print. */
#ifndef BENCH_LISTS_H
#define BENCH_LISTS_H

#include <stdio.h>
#include "cvl/base.h"

void       list_algos(FILE *to, const cvl_ctx *ctx);
cvl_status list_nets(FILE *to);

/* Measures for about a second: peaks and copy bandwidths of one thread and of all of the ctx's; keeps them in the cache
 * at `path` for the estimates. CVL_EIO: they are not stored. */
cvl_status list_machine(FILE *to, const cvl_ctx *ctx, const char *path);

#endif
