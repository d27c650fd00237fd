/* SPDX-License-Identifier: Apache-2.0
 *     filter-floor ROWS CONV CANDIDATE
 * How far a candidate is from what its packed filter costs: the candidate's time, that of multiplying every element of
 * the filter with ROWS others and nothing else, and that of reading it alone; in turn, on one thread. ROWS is how
 * often the candidate uses an element: igemm for each pixel, Winograd for each tile of the image. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/error.h"
#include "conv/problem.h"
#include "gemm/tile.h"
#include "tuner/stats.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 41, REDUCTION = 256, ROWS_MOST = 1024 };

struct floor_bench {
    struct cvl_problem          problem;
    cvl_plan                   *plan;
    const struct cvl_gemm_kern *kern;
    void                       *workspace;
    float                      *packed, *a, *out;        /* a: (ROWS, REDUCTION); out: (ROWS, vectors of a tile) */
    size_t                      bytes;                   /* of the packed filter */
    int                         rows, vectors;
    uint64_t                    sum;                     /* of what was read, so that it is */
};

static void multiply(const struct floor_bench *f)
{
    const ptrdiff_t panel = (ptrdiff_t)REDUCTION * f->kern->lanes, width = f->vectors * panel;
    const ptrdiff_t floats = (ptrdiff_t)(f->bytes / sizeof(float));
    for (ptrdiff_t at = 0; at + width <= floats; at += width) {
        struct cvl_tile tile = {
            .vectors = f->vectors, .last = f->kern->lanes, .count = { REDUCTION, 1, 1 }, .a = f->a, .a_row = REDUCTION,
            .a_step = { 1 }, .b = f->packed + at, .b_vector = panel, .b_step = { f->kern->lanes }, .out = f->out,
            .out_row = (ptrdiff_t)f->vectors * f->kern->lanes, .out_lane = 1,
        };
        tile.b_next = at + 2 * width <= floats ? width : 0;
        tile.b_next_vector = panel;
        cvl_tile_rows(f->kern, &tile, f->rows);
    }
}

static void read_filter(struct floor_bench *f)
{
    const uint64_t *words = (const uint64_t *)f->packed;
    uint64_t sum = 0;
    for (size_t i = 0; i < f->bytes / sizeof *words; i++)
        sum += words[i];
    f->sum += sum;
}

static cvl_status measure(struct floor_bench *f, double seconds[3])
{
    double samples[3][SAMPLES];
    cvl_status status = CVL_OK;
    for (int i = -1; i < SAMPLES && status == CVL_OK; i++) {   /* the first is the warm-up */
        double at[4];
        for (int run = 0; run < 2 && status == CVL_OK; run++) {   /* the first warms the caches, the second is timed */
            at[0] = cvl_now();
            status = cvl_plan_run(f->plan, &f->problem.args, f->workspace);
        }
        at[1] = cvl_now();
        multiply(f);
        at[2] = cvl_now();
        read_filter(f);
        at[3] = cvl_now();
        for (int j = 0; i >= 0 && j < 3; j++)
            samples[j][i] = at[j + 1] - at[j];
    }
    for (int j = 0; j < 3; j++)
        seconds[j] = cvl_stats_of(samples[j], SAMPLES).median;
    return status;
}

static void *zeroed(size_t bytes)
{
    void *memory = cvl_alloc(bytes);
    return memory ? memset(memory, 0, bytes) : NULL;
}

static cvl_status begin(struct floor_bench *f, const cvl_ctx *ctx)
{
    f->kern = cvl_gemm_kern(ctx->isa);
    f->vectors = cvl_tile_shape(f->kern, f->rows, 3, REDUCTION, NULL);
    f->bytes = cvl_plan_packed_size(f->plan);
    if (f->bytes == 0)
        return cvl_fail(CVL_EINVAL, "%s packs no filter", cvl_plan_candidate(f->plan));
    f->packed = zeroed(f->bytes);
    f->workspace = zeroed(cvl_plan_workspace_size(f->plan) + 1);
    f->a = zeroed((size_t)f->rows * REDUCTION * sizeof *f->a);
    f->out = zeroed((size_t)f->rows * CVL_TILE_VECTORS * CVL_TILE_LANES * sizeof *f->out);
    if (!f->packed || !f->workspace || !f->a || !f->out)
        return cvl_fail(CVL_ENOMEM, "no memory for a packed filter of %zu bytes", f->bytes);
    f->problem.args.packed = f->packed;
    return cvl_plan_pack(f->plan, &f->problem.args, f->packed);
}

static cvl_status compare(cvl_ctx *ctx, struct floor_bench *f, const cvl_conv_desc *desc, const char *candidate)
{
    double seconds[3];
    char problem[CVL_CONV_TEXT_MAX];
    cvl_conv_print(desc, problem, sizeof problem);
    cvl_status status = cvl_problem_create(desc, 1, NULL, &f->problem);
    if (status == CVL_OK)
        status = cvl_plan_create(ctx, desc, candidate, &f->plan);
    if (status == CVL_OK)
        status = begin(f, ctx);
    if (status == CVL_OK)
        status = measure(f, seconds);
    if (status == CVL_OK)
        printf("%s %s %s: %.4f ms; its filter's %.1f MB multiplied by %d rows: %.4f ms (%.3f of it), read: %.4f ms\n",
               problem, cvl_plan_candidate(f->plan), cvl_ctx_isa(ctx), 1e3 * seconds[0], 1e-6 * (double)f->bytes, f->rows,
               1e3 * seconds[1], seconds[1] / seconds[0], 1e3 * seconds[2]);
    cvl_free(f->packed);
    cvl_free(f->workspace);
    cvl_free(f->a);
    cvl_free(f->out);
    cvl_plan_destroy(f->plan);
    cvl_problem_destroy(&f->problem);
    return status;
}

int main(int argc, char **argv)
{
    struct floor_bench f = { .rows = argc == 4 ? atoi(argv[1]) : 0 };
    cvl_ctx_options options;
    cvl_conv_desc desc;
    cvl_ctx *ctx = NULL;
    if (f.rows < 1 || f.rows > ROWS_MOST)
        return fprintf(stderr, "usage: filter-floor ROWS CONV CANDIDATE, with 1 to %d rows\n", ROWS_MOST), 2;
    cvl_ctx_options_init(&options);
    options.threads = 1;
    cvl_status status = cvl_conv_parse(argv[2], &desc);
    if (status == CVL_OK)
        status = cvl_ctx_create(&options, &ctx);
    desc.const_filter = true;
    if (status == CVL_OK)
        status = compare(ctx, &f, &desc, argv[3]);
    if (status != CVL_OK)
        fprintf(stderr, "filter-floor: %s\n", cvl_last_error());
    cvl_ctx_destroy(ctx);
    return status != CVL_OK;
}
