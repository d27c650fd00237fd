/* SPDX-License-Identifier: Apache-2.0
 * What the machine allows for the depthwise and grouped layers of a network, beside what the algorithms take:
 *     depthwise-floor [NET [BATCH [THREADS]]]      (mobilenet_v2, 1, 1)
 * `loop`: x is read once and y written once, in order, and for depthwise layers what is read is multiplied as often as
 * the image meets a tap, from registers. `prods.`: those products at the measured peak, for grouped layers too. A time
 * near the longer of the two cannot be improved; a stride of two, narrow planes (which fill no vectors), grouped
 * filters' bytes and NCHW's shuffles are not in it. With THREADS each one has its part of x and y from one place on:
 * the loop's gain is what the machine allows, and differs with the cores' distance (`line`: a cache line to the other
 * core). */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/ctx.h"
#include "base/threads.h"
#include "bench/nets.h"
#include "bench_commit.h"
#include "conv/axis.h"
#include "conv/desc.h"
#include "conv/problem.h"
#include "tuner/stats.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { SAMPLES = CVL_SAMPLES_MAX, LANES = 16, VECTORS = 8, BLOCK = LANES * VECTORS, HANDOVERS = 64 };

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define WIDEST __attribute__((target_clones("default", "arch=haswell", "avx512f"), optimize("fp-contract=fast")))
#else
#define WIDEST
#endif

typedef float vector __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));

/* ---- the loop ---- */

struct loop {
    const float *x, *w;                  /* w: one for each product */
    float       *y;
    size_t       blocks, each;           /* of y; of x, for one of y */
    double       products;               /* for each element of y */
    int          threads;
};

/* Blocks [first, last) of y, the ones before `more` with a product more. */
WIDEST static void multiply(const struct loop *loop, size_t first, size_t last, size_t more)
{
    const int products = (int)loop->products, each = (int)loop->each;
    const float *x = loop->x + first * BLOCK * loop->each;
    for (size_t i = first; i < last; i++) {
        const int taps = products + (i < more);
        vector *y = (vector *)(loop->y + i * BLOCK), sums[VECTORS] = { 0 };
        for (int j = 0, tap = 0; j < each; j++, x += BLOCK) {
            vector in[VECTORS];
#pragma GCC unroll 8
            for (int v = 0; v < VECTORS; v++)
                in[v] = ((const vector *)x)[v];
            for (; tap < taps * (j + 1) / each; tap++)
#pragma GCC unroll 8
                for (int v = 0; v < VECTORS; v++)
                    sums[v] += in[v] * loop->w[tap];
            if (taps == 0)
#pragma GCC unroll 8
                for (int v = 0; v < VECTORS; v++)
                    sums[v] += in[v];
        }
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++)
            y[v] = sums[v];
    }
}

static void multiply_part(int part, int slot, void *arg)
{
    const struct loop *loop = arg;
    const size_t parts = (size_t)loop->threads, first = loop->blocks * (size_t)part / parts;
    const size_t last = loop->blocks * ((size_t)part + 1) / parts;
    const double share = loop->products - floor(loop->products);
    multiply(loop, first, last, first + (size_t)(share * (double)(last - first)));
}

/* ---- how far the cores are from each other ---- */

struct handover { _Alignas(64) atomic_int turn, came; double seconds; };

static void hand_over(int task, int slot, void *arg)
{
    struct handover *handover = arg;
    const int me = atomic_fetch_add(&handover->came, 1);
    while (atomic_load(&handover->came) < 2)
        ;
    const double start = cvl_now();
    for (int i = me; me < 2 && i < HANDOVERS; i += 2) {
        while (atomic_load_explicit(&handover->turn, memory_order_acquire) != i)
            ;
        atomic_store_explicit(&handover->turn, i + 1, memory_order_release);
    }
    if (me == 0)
        handover->seconds = (cvl_now() - start) / HANDOVERS;
}

/* ---- a layer ---- */

enum what { LOOP, PLAN, WHATS };
struct timing { double seconds[WHATS], line_s; };

struct run {
    const cvl_ctx       *ctx;
    const cvl_plan      *plan;
    const cvl_conv_args *args;
    void                *workspace;
    struct loop         *loop;
};

static cvl_status run_once(const struct run *run, enum what what)
{
    if (what == PLAN)
        return cvl_plan_run(run->plan, run->args, run->workspace);
    cvl_parallel_for(run->ctx, run->loop->threads, multiply_part, run->loop);
    return CVL_OK;
}

/* Medians, in turn. Of two runs the second counts: the first one finds lines where the other work left them. */
static cvl_status measure(const struct run *run, struct timing *timing)
{
    static double samples[WHATS][SAMPLES], lines[SAMPLES];
    cvl_status status = CVL_OK;
    for (int i = 0; i < SAMPLES; i++) {
        struct handover handover = { .turn = 0 };
        if (run->loop->threads == 2)
            cvl_parallel_for(run->ctx, 2, hand_over, &handover);
        lines[i] = handover.seconds;
        for (enum what what = LOOP; what < WHATS && status == CVL_OK; what++) {
            status = run_once(run, what);
            const double start = cvl_now();
            if (status == CVL_OK)
                status = run_once(run, what);
            samples[what][i] = cvl_now() - start;
        }
    }
    for (int what = 0; what < WHATS && status == CVL_OK; what++)
        timing->seconds[what] = cvl_stats_of(samples[what], SAMPLES).median;
    timing->line_s = cvl_stats_of(lines, SAMPLES).median;
    return status;
}

static bool is_depthwise(const cvl_conv_desc *desc) { return desc->c == desc->groups; }

/* The part of the products of one axis that meet the image. */
static double inside(const cvl_conv_desc *desc, bool rows)
{
    const struct cvl_axis axis = cvl_axis_of(desc, rows, 0);
    double taps = 0;
    for (int t = 0; t < axis.count; t++) {
        int first, last;
        cvl_axis_taps(&axis, t, &first, &last);
        taps += last - first;
    }
    return taps / axis.count / axis.taps;
}

static cvl_status time_layer(cvl_ctx *ctx, const cvl_conv_desc *desc, struct timing *timing)
{
    static const float w[1024];
    struct cvl_problem problem;
    cvl_plan *plan = NULL;
    void *workspace = NULL, *packed = NULL;
    cvl_status status = cvl_problem_create(desc, 1, NULL, &problem);
    if (status != CVL_OK)
        return status;
    status = cvl_plan_create(ctx, desc, is_depthwise(desc) ? "depthwise" : "grouped", &plan);
    if (status == CVL_OK) {
        workspace = cvl_alloc(cvl_plan_workspace_size(plan));
        packed = cvl_alloc(cvl_plan_packed_size(plan));
        status = workspace && packed ? cvl_plan_pack(plan, &problem.args, packed) : CVL_ENOMEM;
    }
    if (status == CVL_OK) {
        const size_t x = cvl_conv_count(desc, CVL_X), y = cvl_conv_count(desc, CVL_Y);
        const double products = desc->r * desc->s * inside(desc, true) * inside(desc, false);
        struct loop loop = { .x = problem.args.x, .y = problem.args.y, .w = w, .blocks = y / BLOCK, .each = x / y,
                             .products = is_depthwise(desc) ? products : 0, .threads = cvl_ctx_threads(ctx) };
        cvl_conv_args args = problem.args;
        args.packed = packed;
        status = measure(&(struct run){ ctx, plan, &args, workspace, &loop }, timing);
    }
    cvl_free(packed);
    cvl_free(workspace);
    cvl_plan_destroy(plan);
    cvl_problem_destroy(&problem);
    return status;
}

/* ---- the table ---- */

struct gains { double logs[WHATS]; int count; };

/* ctx[0]: one thread; ctx[1]: several, or NULL. */
static cvl_status report(cvl_ctx *const ctx[2], const struct layer *layer, int batch, cvl_layout layout,
                         struct gains *gains)
{
    cvl_conv_desc desc = layer->desc;
    struct timing one = { .line_s = 0 }, all = { .line_s = 0 };
    desc.n = batch;
    desc.x_layout = desc.y_layout = layout;
    desc.w_layout = layout == CVL_NHWC ? CVL_KRSC : CVL_KCRS;
    desc.const_filter = true;
    cvl_status status = time_layer(ctx[0], &desc, &one);
    if (status == CVL_OK && ctx[1])
        status = time_layer(ctx[1], &desc, &all);
    if (status != CVL_OK)
        return status;
    const double bytes = (double)cvl_conv_bytes(&desc, CVL_X) + (double)cvl_conv_bytes(&desc, CVL_Y);
    const double products_s = cvl_conv_flops(&desc) * inside(&desc, true) * inside(&desc, false)
                            / ctx[0]->rates.f32_flops;
    printf("%-20s %s %6.2f %8.1f %8.1f %8.1f %8.1f %6.2f", layer->name, layout == CVL_NHWC ? "nhwc" : "nchw",
           1e-6 * bytes, 1e6 * one.seconds[LOOP], 1e6 * products_s, 1e6 * one.seconds[PLAN],
           1e-9 * cvl_conv_flops(&desc) / one.seconds[PLAN],
           one.seconds[PLAN] / fmax(one.seconds[LOOP], products_s));
    for (int what = 0; ctx[1] && what < WHATS; what++) {
        printf(" %9.1f %5.2f", 1e6 * all.seconds[what], one.seconds[what] / all.seconds[what]);
        gains->logs[what] += log(one.seconds[what] / all.seconds[what]);
    }
    if (ctx[1])
        printf(" %5.0f", 1e9 * all.line_s);
    printf("\n");
    gains->count++;
    return CVL_OK;
}

static cvl_status make_contexts(cvl_ctx *ctx[2], int threads)
{
    cvl_ctx_options options;
    cvl_ctx_options_init(&options);
    options.threads = 1;
    cvl_status status = cvl_ctx_create(&options, &ctx[0]);
    options.threads = threads;
    if (status == CVL_OK && threads > 1)
        status = cvl_ctx_create(&options, &ctx[1]);
    return status;
}

static cvl_status report_layout(cvl_ctx *const ctx[2], const struct layer_list *layers, int batch, cvl_layout layout)
{
    struct gains gains = { .count = 0 };
    cvl_status status = CVL_OK;
    for (int i = 0; i < layers->count && status == CVL_OK; i++)
        if (layers->at[i].desc.groups > 1)
            status = report(ctx, &layers->at[i], batch, layout, &gains);
    if (status == CVL_OK && ctx[1] && gains.count)
        printf("gains, geometric means of %d layers: loop %.3f, plan %.3f\n", gains.count,
               exp(gains.logs[LOOP] / gains.count), exp(gains.logs[PLAN] / gains.count));
    return status;
}

int main(int argc, char **argv)
{
    const char *net = argc > 1 ? argv[1] : "mobilenet_v2";
    const int batch = argc > 2 ? atoi(argv[2]) : 1, threads = argc > 3 ? atoi(argv[3]) : 1;
    struct layer_list layers = { 0 };
    cvl_ctx *ctx[2] = { NULL, NULL };
    cvl_status status = batch > 0 && threads > 0 ? make_contexts(ctx, threads) : CVL_EINVAL;
    if (status == CVL_OK)
        status = net_read(net, &layers);
    if (status == CVL_OK) {
        cvl_ctx_measure_rates(ctx[0]);
        printf("depthwise-floor %s %d %d: %s, isa %s, commit %s, medians of %d\n", net, batch, threads,
               cvl_cpu_info()->model, cvl_ctx_isa(ctx[0]), BENCH_COMMIT, SAMPLES);
        printf("layer                layout  MB  loop us  prods.us  plan us  GFLOP/s /floor%s\n",
               ctx[1] ? "   loop us  gain   plan us  gain line ns" : "");
        status = report_layout(ctx, &layers, batch, CVL_NHWC);
    }
    if (status == CVL_OK)
        status = report_layout(ctx, &layers, batch, CVL_NCHW);
    if (status != CVL_OK)
        fprintf(stderr, "depthwise-floor: %s\n",
                batch > 0 && threads > 0 ? cvl_last_error() : "the batch or the threads are not a positive number");
    layer_list_free(&layers);
    cvl_ctx_destroy(ctx[1]);
    cvl_ctx_destroy(ctx[0]);
    return status != CVL_OK;
}
