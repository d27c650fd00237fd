/* SPDX-License-Identifier: Apache-2.0
 * FWD and BWD_DATA. A task owns a block of pixels and some panels of channels; for each chunk of the reduction it fills
 * a band with what the block reads and multiplies it with the panels, tile by tile. Sums live in what is written
 * between chunks: the first one adds bias and residual, the last one applies the activation. */
#include "base/profile.h"
#include "base/threads.h"
#include "conv/igemm/igemm_data.h"

/* In NHWC the next block of whole rows follows this one in both images. */
static void look_ahead(const struct cvl_igemm_block *block, struct cvl_igemm_ahead ahead[2])
{
    const struct cvl_igemm_job *job = block->job;
    const struct cvl_igemm *g = job->igemm;
    const struct cvl_igemm_cut *cut = &job->cut;
    const bool by_row = cut->column_blocks == 1;
    const ptrdiff_t in = by_row ? block->rows * cut->in_row : block->columns * cut->in_column;
    const ptrdiff_t out = by_row ? block->rows * cut->out_row : block->columns * cut->out_column;
    ahead[0] = ahead[1] = (struct cvl_igemm_ahead){ NULL, 0 };
    if (g->in.at[1] != 1 || g->out.at[1] != 1 || g->desc->groups != 1 || cut->chunks != 1 || cut->out_blocks != 1)
        return;
    ahead[0].from = job->in + block->image * cut->in_image + block->first_row * cut->in_row
                  + block->first_column * cut->in_column + in;
    ahead[0].lines = in / CVL_IGEMM_LINE;
    ahead[1].from = job->written + block->image * cut->out_image + block->first_row * cut->out_row
                  + block->first_column * cut->out_column + out;
    ahead[1].lines = out / CVL_IGEMM_LINE;
}

/* Where the block's pixels are read: in the band, which is filled, or in the image. */
static void prepare_image(struct cvl_igemm_block *block, float *band)
{
    const struct cvl_igemm_job *job = block->job;
    const struct cvl_igemm *g = job->igemm;
    const struct cvl_igemm_cut *cut = &job->cut;
    const float *image = job->in + block->image * cut->in_image
                       + (block->group * (ptrdiff_t)g->in_channels + block->channel) * g->in.at[1];
    if (cut->in_place) {
        block->a = image + (cut->rows.first + (ptrdiff_t)block->first_row * cut->rows.step) * cut->in_row
                 + (cut->columns.first + (ptrdiff_t)block->first_column * cut->columns.step) * cut->in_column;
        block->a_row = cut->rows.step * cut->in_row;
        block->a_column = cut->columns.step * cut->in_column;
        block->a_channel = g->in.at[1];
        block->a_tap_row = cut->rows.tap * cut->in_row;
        block->a_tap_column = cut->columns.tap * cut->in_column;
        return;
    }
    struct cvl_igemm_band fill = {
        .kern = g->kern, .image = image, .row = cut->in_row, .column = cut->in_column, .channel = g->in.at[1],
        .rows = cut->rows, .columns = cut->columns, .first_row = block->first_row, .row_count = block->rows,
        .first_column = block->first_column, .column_count = block->columns, .channels = block->channels,
        .row_span = cvl_igemm_span(&cut->rows, block->rows, cut->row_span.by_tap),
        .column_span = cvl_igemm_span(&cut->columns, block->columns, cut->column_span.by_tap),
        .planes = cut->planes, .to = band, .to_row = cut->band_row, .to_column = cut->band_column,
        .to_channel = cut->band_channel,
    };
    cvl_phase("pack");
    cvl_igemm_fill(&fill);
    block->a = band;
    block->a_row = fill.row_span.at_t * cut->band_row;
    block->a_column = fill.column_span.at_t * cut->band_column;
    block->a_channel = cut->band_channel;
    block->a_tap_row = fill.row_span.at_j * cut->band_row;
    block->a_tap_column = fill.column_span.at_j * cut->band_column;
}

/* The panels of this chunk: where they were packed, or packed now. */
static void prepare_filter(struct cvl_igemm_block *block, float *room)
{
    const struct cvl_igemm_job *job = block->job;
    const struct cvl_igemm *g = job->igemm;
    const int lanes = g->kern->lanes;
    if (job->packed) {
        block->b = job->packed + ((ptrdiff_t)block->group * g->panels + block->first_panel) * g->panel
                 + (ptrdiff_t)block->channel * lanes;
        block->b_panel = g->panel;
        block->b_tap = (ptrdiff_t)g->in_channels * lanes;
        return;
    }
    cvl_phase("pack");
    const struct cvl_igemm_panels panels = {
        .w = job->w, .to = room, .pitch = (ptrdiff_t)g->taps * block->channels * lanes, .group = block->group,
        .first = block->first_panel, .last = block->first_panel + block->panels, .channel = block->channel,
        .channels = block->channels,
    };
    cvl_igemm_pack_panels(g, &panels);
    block->b = room;
    block->b_panel = panels.pitch;
    block->b_tap = (ptrdiff_t)block->channels * lanes;
}

static void locate(struct cvl_igemm_block *block, int number)
{
    const struct cvl_igemm_cut *cut = &block->job->cut;
    block->first_column = number % cut->column_blocks * cut->block_columns;
    block->columns = cvl_min(cut->block_columns, cut->columns.count - block->first_column);
    number /= cut->column_blocks;
    block->first_row = number % cut->row_blocks * cut->block_rows;
    block->rows = cvl_min(cut->block_rows, cut->rows.count - block->first_row);
    block->image = number / cut->row_blocks;
}

static ptrdiff_t aligned(ptrdiff_t floats) { return (floats + 15) / 16 * 16; }

static void data_task(int task, int slot, void *arg)
{
    const struct cvl_igemm_job *job = arg;
    const struct cvl_igemm *g = job->igemm;
    const struct cvl_igemm_cut *cut = &job->cut;
    float *band = job->scratch + slot * job->slot_floats, *room = band + aligned(cut->band_floats);
    struct cvl_igemm_ahead ahead[2];
    struct cvl_igemm_block block = { .job = job, .ahead = ahead, .stage = room + aligned(cut->raw_floats) };
    block.first_panel = task % cut->out_blocks * cut->out_panels;
    block.panels = cvl_min(cut->out_panels, g->panels - block.first_panel);
    task /= cut->out_blocks;
    const int first = task % cut->spread * cut->tasks_blocks;
    const int last = cvl_min(cut->blocks, first + cut->tasks_blocks);
    block.group = task / cut->spread;
    for (int chunk = 0; chunk < cut->chunks; chunk++) {
        block.channel = chunk * cut->chunk;
        block.channels = cvl_min(cut->chunk, g->in_channels - block.channel);
        prepare_filter(&block, room);
        for (int number = first; number < last; number++) {
            locate(&block, number);
            prepare_image(&block, band);
            look_ahead(&block, ahead);
            cvl_phase("multiply");
            if (cut->lanes == CVL_IGEMM_CHANNELS)
                cvl_igemm_multiply_channels(&block);
            else
                cvl_igemm_multiply_columns(&block);
        }
    }
}

static ptrdiff_t slot_floats(const struct cvl_igemm_cut *cut)
{
    return aligned(cut->band_floats) + aligned(cut->raw_floats) + aligned(cut->stage_floats);
}

size_t cvl_igemm_data_workspace(const struct cvl_igemm *g)
{
    ptrdiff_t most = 0;
    for (int raw = !g->desc->const_filter; raw < 2; raw++) {
        const struct cvl_igemm_cut cut = cvl_igemm_cut(g, raw);
        const ptrdiff_t floats = slot_floats(&cut);
        most = floats > most ? floats : most;
    }
    return (size_t)most * sizeof(float) * (size_t)g->ctx->threads;
}

cvl_status cvl_igemm_data(const struct cvl_igemm *g, const cvl_conv_args *args, void *workspace)
{
    const bool backward = g->desc->pass == CVL_BWD_DATA;
    struct cvl_igemm_job job = {
        .igemm = g, .cut = cvl_igemm_cut(g, !args->packed), .in = backward ? args->y : args->x,
        .written = backward ? args->x : args->y, .bias = args->bias, .residual = args->residual,
        .packed = args->packed, .w = args->w, .scratch = workspace,
    };
    job.slot_floats = slot_floats(&job.cut);
    cvl_parallel_for(g->ctx, g->desc->groups * job.cut.spread * job.cut.out_blocks, data_task, &job);
    cvl_phase(NULL);
    return CVL_OK;
}
