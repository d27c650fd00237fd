/* SPDX-License-Identifier: Apache-2.0 */
#include "base/machine.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/peak.h"
#include "base/threads.h"

#include <string.h>

#define DECLARE(level) extern const struct cvl_peak_kern cvl_peak_kern_##level;
CVL_ISA_LIST(DECLARE)
#define ENTRY(level) &cvl_peak_kern_##level,
static const struct cvl_peak_kern *const kerns[] = { CVL_ISA_LIST(ENTRY) };

/* Operations in a cycle of one core, those of the slower of today's implementations of each level. */
static const struct { const char *isa; double f32_flops, s8_ops; } per_cycle[] = {
    { "generic", 8, 16 },     { "neon", 16, 16 },        { "avx2", 32, 64 },
    { "avx512", 32, 64 },     { "avx512vnni", 32, 128 }, { "avx512bf16", 32, 128 },
};
#define NOMINAL_HZ 3e9
#define RUN_SECONDS 2e-3
#define DRAM_THREADS 4   /* that many saturate the memory of a small machine */

struct cvl_rates cvl_rates_nominal(enum cvl_isa isa, int threads)
{
    const int memory_threads = threads < DRAM_THREADS ? threads : DRAM_THREADS;
    struct cvl_rates rates = { .f32_flops = 8 * NOMINAL_HZ * threads, .s8_ops = 16 * NOMINAL_HZ * threads,
        .copy_l2 = 40e9 * threads, .copy_l3 = 25e9 * threads, .copy_dram = 8e9 * memory_threads };
    for (size_t i = 0; i < sizeof per_cycle / sizeof *per_cycle; i++)
        if (strcmp(per_cycle[i].isa, cvl_isa_name(isa)) == 0) {
            rates.f32_flops = per_cycle[i].f32_flops * NOMINAL_HZ * threads;
            rates.s8_ops = per_cycle[i].s8_ops * NOMINAL_HZ * threads;
        }
    return rates;
}

/* One loop on every thread at once: each task does `rounds` rounds; a copying task has its own piece of the buffer. */
struct load {
    const struct cvl_ctx *ctx;
    cvl_task_fn          *task;
    long                  rounds;
    char                 *buffer;
    size_t                piece;       /* bytes of the buffer for one task: half is read, half written */
    double                work;        /* of one round of one task, in the unit of the rate */
};

/* Where results go that nobody needs, so that computing them cannot be left out. */
static volatile int kept;

static void fma_task(int task, int slot, void *arg)
{
    const struct load *load = arg;
    kept = kerns[load->ctx->isa]->fma(load->rounds) > 0;
}

static void dot_task(int task, int slot, void *arg)
{
    const struct load *load = arg;
    kept = kerns[load->ctx->isa]->dot(load->rounds);
}

static void copy_task(int task, int slot, void *arg)
{
    const struct load *load = arg;
    char *piece = load->buffer + (size_t)task * load->piece;
    for (long round = 0; round < load->rounds; round++)
        kerns[load->ctx->isa]->copy(piece, piece + load->piece / 2, load->piece / 2);
}

static double run_seconds(const struct load *load)
{
    const double start = cvl_now();
    cvl_parallel_for(load->ctx, load->ctx->threads, load->task, (void *)load);
    return cvl_now() - start;
}

/* Work per second of all threads, the best of the runs that fit in `seconds` and of five at least. A pool may give two
 * tasks to one thread, and another program may take the processor; the best run is the one in which nothing of this
 * happened, and there is one if runs are shorter than a scheduler's time slice. */
static double best_rate(struct load *load, double nominal, double seconds)
{
    const double work = load->work * load->ctx->threads, start = cvl_now();
    const double run = seconds / 10 < RUN_SECONDS ? seconds / 10 : RUN_SECONDS;
    double best = 0;
    load->rounds = 1 + (long)(nominal * run / work);
    for (int runs = 0; runs < 5 || cvl_now() - start < seconds; runs++) {
        const double took = run_seconds(load), rate = work * (double)load->rounds / took;
        if (rate > best)
            best = rate;
        if (runs == 0 && took > 4 * run)   /* far from nominal: under an emulator or a sanitizer */
            load->rounds = 1 + (long)((double)load->rounds * run / took);
    }
    return best;
}

/* Copies within working sets of `total` bytes, shared out among the threads; the nominal rate without memory for it. */
static double copy_rate(const cvl_ctx *ctx, size_t total, double nominal, double seconds)
{
    struct load load = { .ctx = ctx, .task = copy_task };
    load.piece = cvl_round_up(total / (size_t)ctx->threads, 2 * CVL_PEAK_COPY_BLOCK);
    load.buffer = cvl_alloc(load.piece * (size_t)ctx->threads);
    if (!load.buffer)
        return nominal;
    memset(load.buffer, 1, load.piece * (size_t)ctx->threads);
    load.work = (double)(load.piece / 2);
    const double rate = best_rate(&load, nominal, seconds);
    cvl_free(load.buffer);
    return rate;
}

/* A working set stays in a cache when it fills half of it, and out of all caches when it is four times the last. */
static void measure_bandwidths(const cvl_ctx *ctx, double seconds, struct cvl_rates *rates)
{
    const struct cvl_cpu *cpu = cvl_cpu_info();
    const size_t dram = 4 * cpu->l3 > (size_t)128 << 20 ? 4 * cpu->l3 : (size_t)128 << 20;
    const struct { size_t bytes; double *rate; } sets[] = {
        { cpu->l2 / 2 * (size_t)ctx->threads, &rates->copy_l2 },
        { cpu->l3 / 2, &rates->copy_l3 },
        { dram, &rates->copy_dram },
    };
    const int count = sizeof sets / sizeof *sets;
    for (int i = 0; i < count; i++)
        if (sets[i].bytes > 0)
            *sets[i].rate = copy_rate(ctx, sets[i].bytes, *sets[i].rate, seconds / count);
}

struct cvl_rates cvl_rates_of(const cvl_ctx *ctx)
{
    const struct cvl_device *device = ctx->device;
    return device->nominal_rates ? device->nominal_rates(device) : cvl_rates_nominal(ctx->isa, ctx->threads);
}

struct cvl_rates cvl_rates_measure(const cvl_ctx *ctx, double seconds, bool bandwidths)
{
    const struct cvl_peak_kern *kern = kerns[ctx->isa];
    struct cvl_rates rates = cvl_rates_of(ctx);
    if (ctx->device->measure_rates) {
        if (ctx->device->measure_rates(ctx->device, seconds, &rates) != CVL_OK)
            cvl_log(ctx, CVL_LOG_WARNING, "the rates of %s are not measured: %s", ctx->device->name, cvl_last_error());
        return rates;
    }
    const double share = bandwidths ? seconds / 4 : seconds / 2;
    struct load fma = { .ctx = ctx, .task = fma_task, .work = kern->fma_flops };
    struct load dot = { .ctx = ctx, .task = dot_task, .work = kern->dot_ops };
    rates.f32_flops = best_rate(&fma, rates.f32_flops, share);
    rates.s8_ops = best_rate(&dot, rates.s8_ops, share);
    if (bandwidths)
        measure_bandwidths(ctx, 2 * share, &rates);
    rates.measured = true;
    return rates;
}
