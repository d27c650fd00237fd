/* SPDX-License-Identifier: Apache-2.0
 * What im2col adds to OpenBLAS: every 1x1 layer of a network (default resnet50), its matrix product by a bare
 * cblas_sgemm and by the plan im2col:parts=1 on the same memory, in turn, on one thread. */
#include "base/clock.h"
#include "bench/nets.h"
#include "conv/desc.h"
#include "conv/problem.h"
#include "tuner/stats.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>

enum { SAMPLES = 41 };

/* y (k x pixels) = w (k x c) * x (c x pixels), of one NCHW image. */
static void bare(const struct cvl_problem *problem)
{
    const cvl_conv_desc *d = &problem->desc;
    const int pixels = d->h * d->w;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, d->k, pixels, d->c, 1, problem->args.w, d->c,
                problem->args.x, pixels, 0, problem->args.y, pixels);
}

/* Medians in seconds of both, in turn. */
static cvl_status measure(const cvl_plan *plan, const struct cvl_problem *problem, double *bare_s, double *plan_s)
{
    double seconds[2][SAMPLES];
    cvl_status status = CVL_OK;
    for (int i = -1; i < SAMPLES && status == CVL_OK; i++) {   /* the first is the warm-up */
        const double start = cvl_now();
        bare(problem);
        const double middle = cvl_now();
        status = cvl_plan_run(plan, &problem->args, NULL);
        if (i >= 0) {
            seconds[0][i] = middle - start;
            seconds[1][i] = cvl_now() - middle;
        }
    }
    *bare_s = cvl_stats_of(seconds[0], SAMPLES).median;
    *plan_s = cvl_stats_of(seconds[1], SAMPLES).median;
    return status;
}

static cvl_status compare(cvl_ctx *ctx, const struct layer *layer, double *ratio)
{
    struct cvl_problem problem;
    cvl_plan *plan = NULL;
    double bare_s = 0, plan_s = 0;
    cvl_status status = cvl_problem_create(&layer->desc, 1, NULL, &problem);
    if (status != CVL_OK)
        return status;
    status = cvl_plan_create(ctx, &layer->desc, "im2col:parts=1", &plan);
    if (status == CVL_OK)
        status = measure(plan, &problem, &bare_s, &plan_s);
    if (status == CVL_OK) {
        const double gflop = 1e-9 * cvl_conv_flops(&layer->desc);
        *ratio = plan_s / bare_s;
        printf("%-20s %5d x %5d x %5d  %7.1f %7.1f  %.3f\n", layer->name, layer->desc.k, layer->desc.h * layer->desc.w,
               layer->desc.c, gflop / bare_s, gflop / plan_s, *ratio);
    }
    cvl_plan_destroy(plan);
    cvl_problem_destroy(&problem);
    return status;
}

int main(int argc, char **argv)
{
    struct layer_list layers = { 0 };
    cvl_ctx_options options;
    cvl_ctx *ctx = NULL;
    double logs = 0, ratio = 0;
    int count = 0;
    cvl_ctx_options_init(&options);
    options.threads = 1;
    openblas_set_num_threads(1);
    cvl_status status = cvl_ctx_create(&options, &ctx);
    if (status == CVL_OK)
        status = net_read(argc > 1 ? argv[1] : "resnet50", &layers);
    printf("layer                    M       N       K     sgemm  im2col  time ratio   (GFLOP/s, medians of %d)\n",
           SAMPLES);
    for (int i = 0; i < layers.count && status == CVL_OK; i++)
        if (cvl_conv_is_pointwise(&layers.at[i].desc)) {
            status = compare(ctx, &layers.at[i], &ratio);
            logs += log(ratio);
            count++;
        }
    if (status == CVL_OK && count)
        printf("geometric mean of the ratios of %d layers: %.3f\n", count, exp(logs / count));
    else
        fprintf(stderr, "sgemm-bench: %s\n", status == CVL_OK ? "no 1x1 layer of stride 1 there" : cvl_last_error());
    layer_list_free(&layers);
    cvl_ctx_destroy(ctx);
    return status != CVL_OK || !count;
}
