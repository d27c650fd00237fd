/* SPDX-License-Identifier: Apache-2.0
 * Blocks of the written tensor: which bias and residual belong to them, and loops over the whole tensor. */
#include "conv/epilogue.h"

#include "base/threads.h"

#define DECLARE(level) extern const struct cvl_epilogue_kern cvl_epilogue_kern_##level;
CVL_ISA_LIST(DECLARE)
#define ENTRY(level) &cvl_epilogue_kern_##level,
static const struct cvl_epilogue_kern *const kerns[] = { CVL_ISA_LIST(ENTRY) };

enum { TASK_ELEMENTS = 1 << 14 };   /* 64 KiB: some microseconds */

bool cvl_epilogue_adds(const cvl_conv_desc *desc)
{
    return desc->epi.bias || desc->epi.residual;
}

static cvl_layout written_layout(const cvl_conv_desc *desc)
{
    return desc->pass == CVL_BWD_DATA ? desc->x_layout : desc->y_layout;
}

static float *written_tensor(const cvl_conv_desc *desc, const cvl_conv_args *args)
{
    return cvl_conv_pointer(args, cvl_conv_written(desc->pass));
}

void cvl_epilogue_locate(const cvl_conv_desc *desc, const cvl_conv_args *args, int channel,
                         struct cvl_epilogue_block *block)
{
    const float *residual = desc->epi.residual ? args->residual : NULL;
    const float *bias = desc->epi.bias ? args->bias : NULL;
    block->residual = residual ? residual + (block->out - written_tensor(desc, args)) : NULL;
    block->bias = bias ? bias + channel : NULL;
    block->bias_by_run = written_layout(desc) == CVL_NCHW;
}

/* Runs without a gap and without a bias are one run. */
static struct cvl_epilogue_block joined(const struct cvl_epilogue_block *block)
{
    struct cvl_epilogue_block run = *block;
    if (run.stride == run.length && (ptrdiff_t)run.runs * run.length <= INT32_MAX) {
        run.length *= run.runs;
        run.runs = 1;
    }
    return run;
}

void cvl_epilogue_prefill(const cvl_ctx *ctx, const struct cvl_epilogue_block *block)
{
    if (!block->bias && block->residual == block->out)
        return;
    const struct cvl_epilogue_block runs = block->bias ? *block : joined(block);
    kerns[ctx->isa]->prefill(&runs);
}

void cvl_epilogue_activate(const cvl_ctx *ctx, const cvl_epilogue *epi, const struct cvl_epilogue_block *block)
{
    if (epi->act == CVL_ACT_NONE)
        return;
    const struct cvl_epilogue_block runs = joined(block);
    kerns[ctx->isa]->activate[epi->act](&runs, epi->lo, epi->hi);
}

/* The written tensor as `runs` contiguous runs, `task_runs` to a task: planes of NCHW, pixels of NHWC, or slices where
 * no bias tells runs apart. */
struct whole {
    const cvl_ctx       *ctx;
    const cvl_conv_desc *desc;
    const cvl_conv_args *args;
    float               *out;
    size_t               count;
    int                  length, runs, task_runs;
    int                  cycle;       /* run i has the bias i % cycle; 0: every run has all of them */
};

static int tasks_of(struct whole *whole)
{
    if (whole->count == 0)
        return 0;
    whole->runs = (int)((whole->count + (size_t)whole->length - 1) / (size_t)whole->length);
    whole->task_runs = whole->length < TASK_ELEMENTS ? TASK_ELEMENTS / whole->length : 1;
    return (int)(((int64_t)whole->runs + whole->task_runs - 1) / whole->task_runs);
}

static struct whole slices_of(const cvl_ctx *ctx, const cvl_conv_desc *desc, const cvl_conv_args *args)
{
    const enum cvl_tensor written = cvl_conv_written(desc->pass);
    return (struct whole){ .ctx = ctx, .desc = desc, .args = args, .out = written_tensor(desc, args),
                           .count = cvl_conv_count(desc, written), .length = TASK_ELEMENTS };
}

static struct whole runs_of(const cvl_ctx *ctx, const cvl_conv_desc *desc, const cvl_conv_args *args)
{
    struct whole whole = slices_of(ctx, desc, args);
    if (!desc->epi.bias)
        return whole;
    int dims[4];
    cvl_conv_dims(desc, cvl_conv_written(desc->pass), dims);
    const bool by_plane = written_layout(desc) == CVL_NCHW;
    whole.length = by_plane ? (int)((int64_t)dims[2] * dims[3]) : dims[1];
    whole.cycle = by_plane ? dims[1] : 0;
    return whole;
}

static void prefill_task(int task, int slot, void *arg)
{
    const struct whole *whole = arg;
    const int first = task * whole->task_runs;
    const int last = whole->runs - first < whole->task_runs ? whole->runs : first + whole->task_runs;
    for (int run = first, runs; run < last; run += runs) {
        const int channel = whole->cycle ? run % whole->cycle : 0;
        const int same = whole->cycle ? whole->cycle - channel : whole->runs;
        runs = last - run < same ? last - run : same;
        const size_t at = (size_t)run * (size_t)whole->length;
        const size_t left = whole->count - at;
        struct cvl_epilogue_block block = { .out = whole->out + at, .runs = runs, .stride = whole->length,
                                            .length = left < (size_t)whole->length ? (int)left : whole->length };
        cvl_epilogue_locate(whole->desc, whole->args, channel, &block);
        cvl_epilogue_prefill(whole->ctx, &block);
    }
}

static void activate_task(int task, int slot, void *arg)
{
    const struct whole *whole = arg;
    const size_t at = (size_t)task * TASK_ELEMENTS;
    const size_t left = whole->count - at;
    const struct cvl_epilogue_block block = { .out = whole->out + at, .runs = 1,
                                              .length = left < TASK_ELEMENTS ? (int)left : TASK_ELEMENTS };
    cvl_epilogue_activate(whole->ctx, &whole->desc->epi, &block);
}

void cvl_epilogue_prefill_all(const cvl_ctx *ctx, const cvl_conv_desc *desc, const cvl_conv_args *args)
{
    struct whole whole = runs_of(ctx, desc, args);
    if (!desc->epi.bias && desc->epi.residual && args->residual == whole.out)
        return;
    const int tasks = tasks_of(&whole);
    cvl_parallel_for(ctx, tasks, prefill_task, &whole);
}

void cvl_epilogue_activate_all(const cvl_ctx *ctx, const cvl_conv_desc *desc, const cvl_conv_args *args)
{
    struct whole whole = slices_of(ctx, desc, args);
    if (desc->epi.act == CVL_ACT_NONE)
        return;
    const int tasks = tasks_of(&whole);
    cvl_parallel_for(ctx, tasks, activate_task, &whole);
}
