/* SPDX-License-Identifier: Apache-2.0
 * What the machine allows for the depthwise layers of a network, beside what the algorithm takes, in turn on one thread:
 *     depthwise-floor [NET [BATCH]]      (mobilenet_v2, 1)
 * `bytes`: x is read once and y written once, in order, with an addition for each element of x. `products`: those of
 * the formula at the measured peak. A time near the longer of the two cannot be improved; a stride of two, narrow planes
 * (which fill no vectors) and NCHW's shuffles are not in it. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "bench/nets.h"
#include "conv/desc.h"
#include "conv/problem.h"
#include "tuner/stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SAMPLES = 41, BLOCK = 64 };

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define WIDEST __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define WIDEST
#endif

/* y, of `blocks` blocks, each from `each` blocks of x. */
WIDEST static void move(const float *x, float *y, size_t blocks, size_t each)
{
    for (size_t i = 0; i < blocks; i++, y += BLOCK) {
        float sums[BLOCK] = { 0 };
        for (size_t j = 0; j < each; j++, x += BLOCK)
            for (int k = 0; k < BLOCK; k++)
                sums[k] += x[k];
        for (int k = 0; k < BLOCK; k++)
            y[k] = sums[k];
    }
}

struct timing { double bytes_s, plan_s; };

/* Medians, in turn. */
static cvl_status measure(const cvl_plan *plan, const struct cvl_problem *problem, void *workspace, const void *packed,
                          struct timing *timing)
{
    const size_t x = cvl_conv_count(&problem->desc, CVL_X), y = cvl_conv_count(&problem->desc, CVL_Y);
    double seconds[2][SAMPLES];
    cvl_conv_args args = problem->args;
    cvl_status status = CVL_OK;
    args.packed = packed;
    for (int i = -1; i < SAMPLES && status == CVL_OK; i++) {   /* the first is the warm-up */
        const double start = cvl_now();
        move(args.x, args.y, y / BLOCK, x / y);
        const double middle = cvl_now();
        status = cvl_plan_run(plan, &args, workspace);
        if (i >= 0) {
            seconds[0][i] = middle - start;
            seconds[1][i] = cvl_now() - middle;
        }
    }
    *timing = (struct timing){ cvl_stats_of(seconds[0], SAMPLES).median, cvl_stats_of(seconds[1], SAMPLES).median };
    return status;
}

static cvl_status time_layer(cvl_ctx *ctx, const cvl_conv_desc *desc, struct timing *timing)
{
    struct cvl_problem problem;
    cvl_plan *plan = NULL;
    void *workspace = NULL, *packed = NULL;
    cvl_status status = cvl_problem_create(desc, 1, NULL, &problem);
    if (status != CVL_OK)
        return status;
    status = cvl_plan_create(ctx, desc, "depthwise", &plan);
    if (status == CVL_OK) {
        workspace = cvl_alloc(cvl_plan_workspace_size(plan));
        packed = cvl_alloc(cvl_plan_packed_size(plan));
        status = workspace && packed ? cvl_plan_pack(plan, &problem.args, packed) : CVL_ENOMEM;
    }
    if (status == CVL_OK)
        status = measure(plan, &problem, workspace, packed, timing);
    cvl_free(packed);
    cvl_free(workspace);
    cvl_plan_destroy(plan);
    cvl_problem_destroy(&problem);
    return status;
}

static cvl_status report(cvl_ctx *ctx, const struct layer *layer, int batch, cvl_layout layout)
{
    cvl_conv_desc desc = layer->desc;
    struct timing timing = { 0 };
    desc.n = batch;
    desc.x_layout = desc.y_layout = layout;
    desc.w_layout = layout == CVL_NHWC ? CVL_KRSC : CVL_KCRS;
    desc.const_filter = true;
    const cvl_status status = time_layer(ctx, &desc, &timing);
    const double bytes = (double)cvl_conv_bytes(&desc, CVL_X) + (double)cvl_conv_bytes(&desc, CVL_Y);
    const double products_s = cvl_conv_flops(&desc) / ctx->rates.f32_flops;
    if (status == CVL_OK)
        printf("%-20s %s %8.2f %9.1f %9.1f %9.1f %8.1f %8.2f\n", layer->name, layout == CVL_NHWC ? "nhwc" : "nchw",
               1e-6 * bytes, 1e6 * timing.bytes_s, 1e6 * products_s, 1e6 * timing.plan_s,
               1e-9 * cvl_conv_flops(&desc) / timing.plan_s, timing.plan_s / fmax(timing.bytes_s, products_s));
    return status;
}

int main(int argc, char **argv)
{
    static const cvl_layout layouts[] = { CVL_NHWC, CVL_NCHW };
    struct layer_list layers = { 0 };
    cvl_ctx_options options;
    cvl_ctx *ctx = NULL;
    const int batch = argc > 2 ? atoi(argv[2]) : 1;
    cvl_ctx_options_init(&options);
    options.threads = 1;
    cvl_status status = batch > 0 ? cvl_ctx_create(&options, &ctx) : CVL_EINVAL;
    if (status == CVL_OK)
        status = net_read(argc > 1 ? argv[1] : "mobilenet_v2", &layers);
    if (status == CVL_OK)
        cvl_ctx_measure_rates(ctx);
    printf("layer                layout    MB  bytes us prods. us  plan us  GFLOP/s  time/floor   (medians of %d)\n",
           SAMPLES);
    for (int l = 0; l < 2; l++)
        for (int i = 0; i < layers.count && status == CVL_OK; i++)
            if (layers.at[i].desc.groups > 1 && layers.at[i].desc.groups == layers.at[i].desc.c)
                status = report(ctx, &layers.at[i], batch, layouts[l]);
    if (status != CVL_OK)
        fprintf(stderr, "depthwise-floor: %s\n", batch > 0 ? cvl_last_error() : "the batch is not a positive number");
    layer_list_free(&layers);
    cvl_ctx_destroy(ctx);
    return status != CVL_OK;
}
