/* SPDX-License-Identifier: Apache-2.0
 * Blocks as in K. Goto, R. van de Geijn, "Anatomy of high-performance matrix multiplication", 2008, less the packing of
 * a: a chunk of the reduction is so long that the panels of one tile fill a quarter of the second-level cache, and all
 * rows of a task pass by before the next panels come. */
#include "gemm/gemm.h"

#include "base/threads.h"

enum { TASK_ROWS = 112, TASK_PANELS = 16 };

struct job {
    const struct cvl_gemm      *gemm;
    const struct cvl_gemm_kern *kern;
    ptrdiff_t                   pitch;       /* from one panel to the next */
    int                         chunk;       /* of the reduction */
    int                         row_blocks, panel_blocks, panels;
};

static int divide(int a, int b) { return (a + b - 1) / b; }
static int min(int a, int b) { return a < b ? a : b; }

static ptrdiff_t pitch_of(const struct cvl_gemm_kern *kern, int k)
{
    return (ptrdiff_t)k * kern->lanes + CVL_TILE_LANES;   /* off the multiples of a page */
}

size_t cvl_gemm_packed(const struct cvl_gemm_kern *kern, int n, int k)
{
    return (size_t)divide(n, kern->lanes) * (size_t)pitch_of(kern, k);
}

void cvl_gemm_pack(const struct cvl_gemm_kern *kern, const struct cvl_gemm_source *source, int n, int k, float *packed)
{
    for (int column = 0; column < n; column += kern->lanes, packed += pitch_of(kern, k)) {
        const int lanes = min(kern->lanes, n - column);
        const struct cvl_copy copy = { .to = packed, .to_row = kern->lanes, .from = source->b + column * source->lane,
                                       .from_row = source->step, .from_lane = source->lane, .rows = k, .lanes = lanes };
        kern->copy(&copy);
        kern->zero(packed + lanes, kern->lanes, lanes < kern->lanes ? k : 0, kern->lanes - lanes);
        kern->zero(packed + (ptrdiff_t)k * kern->lanes, 0, 1, CVL_TILE_LANES);
    }
}

/* Rows [first, first + rows) by `vectors` panels, products [step, step + count). */
struct area { int first, rows, panel, vectors, step, count; };

static void multiply(const struct job *job, const struct area *area, struct cvl_tile tile)
{
    const struct cvl_gemm *g = job->gemm;
    const int lanes = job->kern->lanes, column = area->panel * lanes;
    const bool first = area->step == 0, last = area->step + area->count == g->k;
    const ptrdiff_t at = area->first * g->c_row + column * g->c_lane;
    const float *add = first ? tile.add : tile.out;
    tile.vectors = area->vectors;
    tile.last = min(lanes, g->n - column - (area->vectors - 1) * lanes);
    tile.count[0] = area->count;
    tile.a += area->first * g->a_row + area->step * g->a_step;
    tile.b += area->panel * job->pitch + (ptrdiff_t)area->step * lanes;
    tile.out += at;
    tile.add = add ? add + at : NULL;
    tile.act = last ? g->act : CVL_ACT_NONE;
    if (first && g->bias)
        tile.bias = g->bias + (g->bias_by_row ? area->first : column);
    cvl_tile_rows(job->kern, &tile, area->rows);
}

static void gemm_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_gemm *g = job->gemm;
    const int first_panel = task % job->panel_blocks * TASK_PANELS;
    const int last_panel = min(job->panels, first_panel + TASK_PANELS);
    task /= job->panel_blocks;
    const int batch = task / job->row_blocks;
    struct area area = { .first = task % job->row_blocks * TASK_ROWS };
    area.rows = min(TASK_ROWS, g->m - area.first);
    const struct cvl_tile tile = {
        .count = { 0, 1, 1 }, .a = g->a + batch * g->a_batch, .a_row = g->a_row, .a_step = { g->a_step },
        .b = g->b + batch * g->b_batch, .b_vector = job->pitch, .b_step = { job->kern->lanes },
        .out = g->c + batch * g->c_batch, .out_row = g->c_row, .out_lane = g->c_lane,
        .add = g->add ? g->add + batch * g->c_batch : NULL, .bias_row = g->bias_by_row, .bias_lane = !g->bias_by_row,
        .lo = g->lo, .hi = g->hi,
    };
    do {
        area.count = min(job->chunk, g->k - area.step);
        for (area.panel = first_panel; area.panel < last_panel; area.panel += area.vectors) {
            area.vectors = min(2, last_panel - area.panel);
            multiply(job, &area, tile);
        }
        area.step += area.count;
    } while (area.step < g->k);
}

void cvl_gemm_run(const cvl_ctx *ctx, const struct cvl_gemm *gemm)
{
    const struct cvl_gemm_kern *kern = cvl_gemm_kern(ctx->isa);
    const size_t l2 = cvl_cpu_info()->l2 ? cvl_cpu_info()->l2 : 1 << 18;
    struct job job = { gemm, kern, pitch_of(kern, gemm->k), (int)(l2 / 4 / sizeof(float)) / (2 * kern->lanes),
                       divide(gemm->m, TASK_ROWS), 0, divide(gemm->n, kern->lanes) };
    job.panel_blocks = divide(job.panels, TASK_PANELS);
    if (job.chunk < 64)
        job.chunk = 64;
    cvl_parallel_for(ctx, gemm->batch * job.row_blocks * job.panel_blocks, gemm_task, &job);
}
