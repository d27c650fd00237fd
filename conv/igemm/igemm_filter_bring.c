/* SPDX-License-Identifier: Apache-2.0
 * Where the tiles of BWD_FILTER find their operands: in the tensors, or in a copy of what a chunk sees of them. */
#include "conv/igemm/igemm_filter.h"

#define DECLARE(level) extern const struct cvl_igemm_turn_kern cvl_igemm_turn_kern_##level;
CVL_ISA_LIST(DECLARE)
#define ENTRY(level) &cvl_igemm_turn_kern_##level,
static const struct cvl_igemm_turn_kern *const kerns[] = { CVL_ISA_LIST(ENTRY) };

const struct cvl_igemm_turn_kern *cvl_igemm_turn_kern(enum cvl_isa isa)
{
    return kerns[isa];
}

struct cvl_igemm_chunk cvl_igemm_chunk(const struct cvl_igemm_filter_plan *plan, int number)
{
    const struct cvl_igemm_cut *cut = &plan->cut;
    struct cvl_igemm_chunk chunk;
    chunk.first_column = number % cut->column_blocks * cut->block_columns;
    chunk.columns = cvl_min(cut->block_columns, cut->columns.count - chunk.first_column);
    number /= cut->column_blocks;
    chunk.first_row = number % cut->row_blocks * cut->block_rows;
    chunk.rows = cvl_min(cut->block_rows, cut->rows.count - chunk.first_row);
    chunk.image = number / cut->row_blocks * plan->block_images;
    chunk.images = cvl_min(plan->block_images, cut->images - chunk.image);
    return chunk;
}

ptrdiff_t cvl_igemm_place(const struct cvl_igemm_operand *o, const struct cvl_igemm_chunk *chunk, int channel)
{
    return chunk->image * o->image + channel * o->channel
         + (o->rows.first + (ptrdiff_t)chunk->first_row * o->rows.step) * o->row
         + (o->columns.first + (ptrdiff_t)chunk->first_column * o->columns.step) * o->column;
}

static struct cvl_igemm_reach reach_tensor(const struct cvl_igemm_operand *o, const float *data,
                                           const struct cvl_igemm_chunk *chunk, int first)
{
    return (struct cvl_igemm_reach){
        .data = data, .at = cvl_igemm_place(o, chunk, first),
        .step = { o->columns.step * o->column, o->rows.step * o->row, o->image },
        .tap_row = o->rows.tap * o->row, .tap_column = o->columns.tap * o->column, .channel = o->channel,
    };
}

struct cvl_igemm_reach cvl_igemm_bring(const struct cvl_igemm_filter_plan *plan, const struct cvl_igemm_operand *o,
                                       const float *data, const struct cvl_igemm_chunk *chunk, int first, int channels,
                                       float *band)
{
    if (!o->packed)
        return reach_tensor(o, data, chunk, first);
    struct cvl_gemm_kern kern = *plan->igemm->kern;
    kern.copy = cvl_igemm_turn_kern(plan->igemm->ctx->isa)->copy;
    struct cvl_igemm_band fill = {
        .kern = &kern, .row = o->row, .column = o->column, .channel = o->channel,
        .rows = o->rows, .columns = o->columns, .row_span = cvl_igemm_span(&o->rows, chunk->rows, false),
        .column_span = cvl_igemm_span(&o->columns, chunk->columns, false), .first_row = chunk->first_row,
        .row_count = chunk->rows, .first_column = chunk->first_column, .column_count = chunk->columns,
        .channels = channels, .planes = o->planes, .to_row = o->band_row, .to_column = o->band_column,
        .to_channel = o->band_channel,
    };
    for (int i = 0; i < chunk->images; i++) {
        fill.image = data + (chunk->image + i) * o->image + first * o->channel;
        fill.to = band + i * o->band_image;
        cvl_igemm_fill(&fill);
    }
    return (struct cvl_igemm_reach){
        .data = band, .channel = o->band_channel,
        .step = { fill.column_span.at_t * o->band_column, fill.row_span.at_t * o->band_row, o->band_image },
        .tap_row = fill.row_span.at_j * o->band_row, .tap_column = fill.column_span.at_j * o->band_column,
    };
}
