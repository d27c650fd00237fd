/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_THREADS_H
#define BASE_THREADS_H

#include "cvl/base.h"

/* Calls fn(task, slot, arg) once for every task in [0, tasks) and returns when all are done. Cut tasks by shape,
 * never by thread count, so that results have the same bits for any number of threads. Calls at the same time have
 * different slots in [0, threads of the ctx), to index scratch memory. No task may wait for another. */
void cvl_parallel_for(const cvl_ctx *ctx, int tasks, cvl_task_fn *fn, void *arg);

/* Processors that this process may run on. */
int cvl_threads_available(void);

#endif
