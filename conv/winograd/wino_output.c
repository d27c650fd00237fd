/* SPDX-License-Identifier: Apache-2.0
 * A^T m A of a run of tiles, one panel at a time, and what follows on the sums. Where a tile's channels lie side by
 * side and it is whole, its last pass stores to the written tensor; else the run goes through a strip of scratch, row
 * by row. */
#include "conv/winograd/wino.h"

#include <math.h>

struct result {
    const struct cvl_wino         *wino;
    const struct cvl_wino_segment *segment;
    const struct cvl_wino_output  *output;
    int                            row, column, rows, columns;      /* of the written tensor: what the run covers */
    int                            panel, channel, filled;
    ptrdiff_t                      at;                              /* of its first element */
    ptrdiff_t                      ahead;                           /* from it to that of the next run */
    float                         *half, *strip;                    /* one tile's first pass; the run's second */
};

bool cvl_wino_is_simple(const cvl_epilogue *epi)
{
    return epi->act <= CVL_ACT_CLIP;
}

struct cvl_wino_finish cvl_wino_finish_of(const cvl_epilogue *epi)
{
    const bool own = epi->act == CVL_ACT_CLIP;
    return (struct cvl_wino_finish){ .clip = epi->act != CVL_ACT_NONE, .lo = own ? epi->lo : 0,
                                     .hi = own ? epi->hi : epi->act == CVL_ACT_RELU6 ? 6 : INFINITY };
}

/* Leading tiles that need no strip. */
static int whole_tiles(const struct result *r)
{
    const struct cvl_wino *w = r->wino;
    if (w->out.at[1] != 1 || r->filled < w->lanes || !cvl_wino_is_simple(&w->desc->epi))
        return 0;
    return r->columns / w->columns.m;
}

/* Down the columns of one tile, as (row, column of points). */
static void first_pass(const struct result *r, int tile)
{
    const struct cvl_wino *w = r->wino;
    const ptrdiff_t lanes = w->lanes;
    const struct cvl_wino_lines lines = {
        .f = w->rows.f, .lines = w->columns.t,
        .from = r->output->m + tile * w->m_tile + (r->panel - r->output->first) * lanes, .from_line = w->m_point,
        .from_point = w->columns.t * w->m_point, .to = r->half, .to_line = lanes, .to_point = w->columns.t * lanes,
    };
    w->kern->output(&lines);
}

static struct cvl_wino_lines second_pass(const struct result *r)
{
    const struct cvl_wino *w = r->wino;
    return (struct cvl_wino_lines){ .f = w->columns.f, .lines = r->rows, .from = r->half, .from_point = w->lanes,
                                    .from_line = (ptrdiff_t)w->columns.t * w->lanes };
}

/* What is left to do with elements from `at` on; of simple activations. */
static struct cvl_wino_finish finish_of(const struct result *r, ptrdiff_t at)
{
    const struct cvl_wino_output *o = r->output;
    struct cvl_wino_finish finish = cvl_wino_finish_of(&r->wino->desc->epi);
    finish.bias = o->bias ? o->bias + r->channel : NULL;
    finish.add = o->residual ? o->residual + at : NULL;
    finish.ahead = r->ahead;
    return finish;
}

static void finish_tile(const struct result *r, int tile)
{
    const struct cvl_wino *w = r->wino;
    const ptrdiff_t at = r->at + tile * w->columns.m * w->out.at[3];
    struct cvl_wino_lines lines = second_pass(r);
    lines.to = r->output->written + at;
    lines.to_line = w->out.at[2];
    lines.to_point = w->out.at[3];
    const struct cvl_wino_finish finish = finish_of(r, at);
    w->kern->finish(&lines, &finish);
}

/* Columns of channels that lie side by side, from column `first` on. */
static void scatter_strip(const struct result *r, int first, ptrdiff_t strip_row)
{
    const struct cvl_wino *w = r->wino;
    const bool more = r->panel + 1 < w->panels;
    const struct cvl_wino_finish finish = finish_of(r, r->at + first);
    const struct cvl_wino_rows rows = {
        .rows = r->rows, .columns = r->columns - first, .lanes = r->filled, .strip = r->strip, .strip_row = strip_row,
        .to = r->output->written + r->at + first, .row = w->out.at[2], .column = 1, .lane = w->out.at[1],
        .ahead = (more ? w->lanes : -r->channel) * w->out.at[1] + (more ? 0 : r->ahead),
    };
    w->rows_kern->scatter(&rows, &finish);
}

/* Columns [first, end) of the strip, which begins at column `first`. */
static void finish_strip(const struct result *r, int first, ptrdiff_t strip_row)
{
    const struct cvl_wino *w = r->wino;
    const struct cvl_wino_output *o = r->output;
    const cvl_epilogue *epi = &w->desc->epi;
    for (int i = 0; i < r->rows; i++) {
        const ptrdiff_t at = r->at + i * w->out.at[2] + first * w->out.at[3];
        const struct cvl_tile tile = {
            .rows = r->columns - first, .vectors = 1, .last = r->filled, .out = o->written + at,
            .out_row = w->out.at[3], .out_lane = w->out.at[1], .add = o->residual ? o->residual + at : NULL,
            .bias = o->bias ? o->bias + r->channel : NULL, .bias_lane = 1, .act = epi->act, .lo = epi->lo,
            .hi = epi->hi,
        };
        w->gemm->finish(&tile, r->strip + i * strip_row, w->lanes);
    }
}

static void transform_panel(const struct result *r)
{
    const struct cvl_wino *w = r->wino;
    const int whole = whole_tiles(r), left = r->segment->tiles - whole;
    const ptrdiff_t lanes = w->lanes, strip_row = left * w->columns.m * lanes;
    for (int tile = 0; tile < r->segment->tiles; tile++) {
        first_pass(r, tile);
        if (tile < whole) {
            finish_tile(r, tile);
        } else {
            struct cvl_wino_lines lines = second_pass(r);
            lines.to = r->strip + (tile - whole) * w->columns.m * lanes;
            lines.to_line = strip_row;
            lines.to_point = lanes;
            w->kern->output(&lines);
        }
    }
    if (left > 0 && w->out.at[3] == 1 && cvl_wino_is_simple(&w->desc->epi))
        scatter_strip(r, whole * w->columns.m, strip_row);
    else if (left > 0)
        finish_strip(r, whole * w->columns.m, strip_row);
}

void cvl_wino_output(const struct cvl_wino *w, const struct cvl_wino_segment *segment,
                     const struct cvl_wino_output *output)
{
    struct result r = { .wino = w, .segment = segment, .output = output, .row = segment->row * w->rows.m,
                        .column = segment->column * w->columns.m, .half = output->strip,
                        .strip = output->strip + (ptrdiff_t)w->rows.m * w->columns.t * w->lanes };
    r.rows = cvl_min(w->rows.m, w->rows.out - r.row);
    r.columns = cvl_min(segment->tiles * w->columns.m, w->columns.out - r.column);
    r.ahead = cvl_wino_ahead(w, segment, w->rows.m * w->out.at[2], w->columns.m * w->out.at[3]);
    for (r.panel = output->first; r.panel < output->last; r.panel++) {
        r.channel = r.panel * w->lanes;
        r.filled = cvl_min(w->lanes, w->out_channels - r.channel);
        r.at = cvl_offset(&w->out, segment->image, r.channel, r.row, r.column);
        transform_panel(&r);
    }
}
