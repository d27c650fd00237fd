/* SPDX-License-Identifier: Apache-2.0 */
#include "base/threads.h"

#include "base/ctx.h"

#include <sched.h>
#ifdef _OPENMP
#include <omp.h>
#endif

int cvl_threads_available(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

static void run_in_order(int tasks, cvl_task_fn *fn, void *arg)
{
    for (int task = 0; task < tasks; task++)
        fn(task, 0, arg);
}

#ifdef _OPENMP
/* Always on all threads, also when there are fewer tasks: libgomp keeps only the team of the last size, and where sizes
 * alternate it allocates and starts threads in every loop. */
static void run_on_openmp(int threads, int tasks, cvl_task_fn *fn, void *arg)
{
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int task = 0; task < tasks; task++)
        fn(task, omp_get_thread_num(), arg);
}
#else
static void run_on_openmp(int threads, int tasks, cvl_task_fn *fn, void *arg)
{
    run_in_order(tasks, fn, arg);
}
#endif

void cvl_parallel_for(const cvl_ctx *ctx, int tasks, cvl_task_fn *fn, void *arg)
{
    if (tasks <= 1 || ctx->threads == 1)
        run_in_order(tasks, fn, arg);
    else if (ctx->parallel_for)
        ctx->parallel_for(ctx->pool, tasks, fn, arg);
    else
        run_on_openmp(ctx->threads, tasks, fn, arg);
}
