/* SPDX-License-Identifier: Apache-2.0
 * The two schedules. Blocked: a task takes a block of tiles through its transform, the products of all points and the
 * inverse, inside of the second-level cache. Staged: all tiles are transformed first, then a task takes a group of
 * panels (its part of the transformed filter is read once) through products and inverse of all tiles. */
#include "base/profile.h"
#include "base/threads.h"
#include "conv/winograd/wino.h"

enum {
    STAGE_VECTORS = 8,           /* channel vectors that a task of the staged input transforms */
    PART_MIN = 32,               /* steps: shorter sums make few errors, and many additions */
};

struct job {
    const struct cvl_wino *wino;
    const float           *in, *packed, *bias, *residual;
    float                 *written;
    float                 *v;               /* staged: of all tiles */
    float                 *scratch;         /* of all slots: v (blocked), products, strip */
    int                    stages;          /* tasks that share out the vectors of one segment */
};

static ptrdiff_t strip_room(const struct cvl_wino *w)
{
    return cvl_wino_round(w->strip_floats + (ptrdiff_t)w->rows.m * w->columns.t * w->lanes);
}

static ptrdiff_t slot_floats(const struct cvl_wino *w)
{
    return (w->staged ? 0 : w->v_floats) + w->m_floats + strip_room(w);
}

static void transform_tiles(const struct job *job, float *v, float *strip, int first, int last)
{
    const struct cvl_wino *w = job->wino;
    for (int tile = first; tile < last;) {
        const struct cvl_wino_segment segment = cvl_wino_segment(w, tile, last);
        const struct cvl_wino_input input = {
            .image = job->in + segment.image * w->in.at[0], .v = v + (tile - first) * w->v_tile, .strip = strip,
            .last = w->vectors,
        };
        cvl_wino_input(w, &segment, &input);
        tile += segment.tiles;
    }
}

/* Some panels of one point, and all tiles of an area. */
struct panels { const float *a, *b, *next; float *out; int count, tiles, steps, part; };

/* A few steps of the reduction. Each of the tiles fetches one of the panels that come next; those of equal height are
 * one call of the micro-kernel. */
static void multiply_panels(const struct cvl_gemm_kern *gemm, struct cvl_tile *tile, int tiles, ptrdiff_t next)
{
    const int calls = cvl_divide_up(tiles, gemm->rows_max[tile->vectors]), higher = tiles % calls;
    tile->b_next_vector = calls < tile->vectors ? tile->b_vector : 0;
    for (int done = 0; done < calls; done += tile->repeat) {
        const int alike = done < higher ? higher : calls;
        const bool fetches = done < tile->vectors;
        tile->rows = tiles / calls + (done < higher);
        tile->repeat = (fetches ? cvl_min(alike, tile->vectors) : alike) - done;
        tile->b_next = fetches ? next + done * tile->b_vector : 0;
        gemm->tile[tile->vectors](tile);
        cvl_tile_skip(tile, tile->rows * tile->repeat);
    }
}

/* The whole reduction. The tile is set up once for all points, and never copied: what is stored between two tiles waits
 * for their sums in a queue, and wide loads of words that were stored one by one wait until they are out of it. */
static void multiply_parts(const struct cvl_gemm_kern *gemm, struct cvl_tile *tile, const struct panels *p)
{
    tile->vectors = p->count;
    for (int done = 0; done < p->steps; done += tile->count[0]) {
        tile->count[0] = cvl_min(p->part, p->steps - done);
        tile->a = p->a + done;
        tile->b = p->b + done * tile->b_step[0];
        tile->out = p->out;
        tile->add = done > 0 ? p->out : NULL;
        multiply_panels(gemm, tile, p->tiles, p->next - p->b);
    }
}

/* Steps that make one sum. */
static int part_of(const struct cvl_wino *w, int steps)
{
    const int most = cvl_divide_up(steps, w->parts->least);
    return cvl_wino_even(steps, cvl_min(w->parts->steps, cvl_max(PART_MIN, most)));
}

/* All points of `tiles` tiles, for panels [first, last). Measured on a Zen 4 and not kept: fetching the next block's
 * image between the calls, which slowed the products by what it saved the transforms (64 channels of 224x224); fetching
 * the filter, up to a quarter of the second-level cache, during the transforms, which won 46 % of 600 pairs (512
 * channels of 7x7). */
static void multiply(const struct job *job, const float *v, float *m, int tiles, int first, int last)
{
    const struct cvl_wino *w = job->wino;
    const int width = cvl_tile_shape(w->gemm, tiles, last - first, w->point->count, NULL);
    struct cvl_tile tile = { .last = w->lanes, .count = { 1, 1, 1 }, .a_row = w->v_tile, .a_step = { 1 },
                             .b_step = { w->lanes }, .out_row = w->m_tile, .out_lane = 1 };
    for (int i = 0; i < w->points; i++) {
        const struct cvl_wino_point *point = &w->point[i], *after = &w->point[i + 1 < w->points ? i + 1 : 0];
        const float *a = v + i * w->v_point + point->first, *b = job->packed + point->u + first * point->pitch;
        float *out = m + i * w->m_point;
        tile.b_vector = tile.b_next_repeat = point->pitch;
        for (int panel = first, take; panel < last; panel += take) {
            take = cvl_min(width, last - panel);
            while (!w->gemm->rows_max[take])
                take--;
            const struct panels panels = {
                .a = a, .b = b, .next = panel + take < last ? b + take * point->pitch
                                                            : job->packed + after->u + first * after->pitch,
                .out = out, .count = take, .tiles = tiles, .steps = point->count, .part = part_of(w, point->count),
            };
            multiply_parts(w->gemm, &tile, &panels);
            b += take * point->pitch;
            out += take * w->lanes;
        }
    }
}

struct area { int first_tile, last_tile, first_panel, last_panel; };

static void produce(const struct job *job, const struct area *area, const float *v, float *m, float *strip)
{
    const struct cvl_wino *w = job->wino;
    cvl_phase("multiply");
    multiply(job, v, m, area->last_tile - area->first_tile, area->first_panel, area->last_panel);
    cvl_phase("output");
    for (int tile = area->first_tile; tile < area->last_tile;) {
        const struct cvl_wino_segment segment = cvl_wino_segment(w, tile, area->last_tile);
        const struct cvl_wino_output output = {
            .m = m + (tile - area->first_tile) * w->m_tile, .bias = job->bias, .residual = job->residual,
            .written = job->written, .strip = strip, .first = area->first_panel, .last = area->last_panel,
        };
        cvl_wino_output(w, &segment, &output);
        tile += segment.tiles;
    }
}

static void blocked_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_wino *w = job->wino;
    float *v = job->scratch + slot * slot_floats(w), *m = v + w->v_floats, *strip = m + w->m_floats;
    struct area area = { .first_tile = task * w->block };
    area.last_tile = cvl_min(w->tiles, area.first_tile + w->block);
    cvl_phase("input");
    transform_tiles(job, v, strip, area.first_tile, area.last_tile);
    for (; area.first_panel < w->panels; area.first_panel = area.last_panel) {
        area.last_panel = cvl_min(w->panels, area.first_panel + w->group);
        produce(job, &area, v, m, strip);
    }
}

/* Some channel vectors of one row of tiles. */
static void input_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_wino *w = job->wino;
    const int first = task % job->stages * STAGE_VECTORS, row = task / job->stages;
    const int end = (row + 1) * w->columns.tiles;
    for (int tile = row * w->columns.tiles; tile < end;) {
        const struct cvl_wino_segment segment = cvl_wino_segment(w, tile, end);
        const struct cvl_wino_input input = {
            .image = job->in + segment.image * w->in.at[0], .v = job->v + tile * w->v_tile + first * w->lanes,
            .strip = job->scratch + slot * slot_floats(w) + w->m_floats, .first = first,
            .last = cvl_min(w->vectors, first + STAGE_VECTORS),
        };
        cvl_wino_input(w, &segment, &input);
        tile += segment.tiles;
    }
}

static void group_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_wino *w = job->wino;
    float *m = job->scratch + slot * slot_floats(w), *strip = m + w->m_floats;
    struct area area = { .first_panel = task * w->group };
    area.last_panel = cvl_min(w->panels, area.first_panel + w->group);
    for (; area.first_tile < w->tiles; area.first_tile = area.last_tile) {
        area.last_tile = cvl_min(w->tiles, area.first_tile + w->block);
        produce(job, &area, job->v + area.first_tile * w->v_tile, m, strip);
    }
}

/* Floats before the scratch of the slots: a raw filter's transform, then a staged problem's tiles. */
static ptrdiff_t raw_floats(const struct cvl_wino *w)
{
    return w->desc->const_filter ? 0 : cvl_wino_round(w->u_floats);
}

size_t cvl_wino_workspace(const struct cvl_wino *w)
{
    const ptrdiff_t slots = slot_floats(w) * w->ctx->threads, pack = cvl_wino_pack_scratch(w);
    const ptrdiff_t run = (w->staged ? w->v_floats : 0) + slots;
    return (size_t)(raw_floats(w) + (raw_floats(w) && pack > run ? pack : run)) * sizeof(float);
}

cvl_status cvl_wino_run(const struct cvl_wino *w, const cvl_conv_args *args, void *workspace)
{
    const bool backward = w->desc->pass == CVL_BWD_DATA;
    float *room = (float *)workspace + raw_floats(w);
    struct job job = { .wino = w, .in = backward ? args->y : args->x, .written = backward ? args->x : args->y,
                       .packed = args->packed, .bias = args->bias, .residual = args->residual, .v = room,
                       .scratch = room + (w->staged ? w->v_floats : 0),
                       .stages = cvl_divide_up(w->vectors, STAGE_VECTORS) };
    if (w->tiles == 0)
        return CVL_OK;
    if (!args->packed) {
        cvl_phase("pack");
        cvl_wino_pack(w, args->w, workspace, room);
        job.packed = workspace;
    }
    if (w->staged) {
        cvl_phase("input");
        cvl_parallel_for(w->ctx, w->tiles / w->columns.tiles * job.stages, input_task, &job);
        cvl_parallel_for(w->ctx, w->groups, group_task, &job);
    } else {
        cvl_parallel_for(w->ctx, w->blocks, blocked_task, &job);
    }
    cvl_phase(NULL);
    return CVL_OK;
}
