/* SPDX-License-Identifier: Apache-2.0
 * Residue classes without a tap: with stride 2 and one tap, three of four pixels of BWD_DATA are zero. */
#include "conv/igemm/igemm_data.h"

#include <string.h>

/* A class without a tap that nothing is added to. */
static bool is_zero(const struct cvl_igemm_block *block, const struct cvl_igemm_class *class)
{
    const struct cvl_igemm_job *job = block->job;
    return (class->rows.taps == 0 || class->columns.taps == 0) && !job->bias && !job->residual
           && job->igemm->desc->epi.act == CVL_ACT_NONE;
}

static void clear_runs(float *to, ptrdiff_t pitch, int runs, int length)
{
    if (pitch == length) {
        length *= runs;
        runs = 1;
    }
    for (int i = 0; i < runs; i++, to += pitch)
        memset(to, 0, (size_t)length * sizeof *to);
}

/* Zeros for some panels of all positions of a class, or of all column classes of a row class. */
static void clear(const struct cvl_igemm_block *block, const struct cvl_igemm_class *class, bool all_columns,
                  int panel, int panels)
{
    const struct cvl_igemm_job *job = block->job;
    const struct cvl_igemm *g = job->igemm;
    const struct cvl_igemm_cut *cut = &job->cut;
    const int step = all_columns ? cut->column_classes : 1, lanes = g->kern->lanes;
    const int channel = (block->first_panel + panel) * lanes;
    const int channels = cvl_min(panels * lanes, g->out_channels - channel);
    const int most = all_columns ? g->desc->w - block->first_column * step : cvl_igemm_columns(block, class);
    const int columns = cvl_min(block->columns * step, most);
    if (block->channel != 0 || columns <= 0)
        return;
    for (int row = 0; row < cvl_igemm_rows(block, class); row++) {
        float *to = job->written + class->out_first + block->image * cut->out_image
                  + (block->first_row + row) * cut->out_row + block->first_column * cut->out_column
                  + (block->group * (ptrdiff_t)g->out_channels + channel) * g->out.at[1];
        if (all_columns && g->out.at[3] == 1)
            clear_runs(to, g->out.at[1], channels, columns);
        else
            clear_runs(to, all_columns ? g->out.at[3] : cut->out_column, columns, channels);
    }
}

/* Of some panels, as soon as their other rows are written, or of all panels at once where channels lie side by side. */
bool cvl_igemm_clear_zeros(const struct cvl_igemm_block *block, const struct cvl_igemm_class *class, int column_class,
                           int first, int panels)
{
    const struct cvl_igemm_job *job = block->job;
    const bool by_pixel = job->igemm->out.at[1] == 1;
    const bool all_columns = class->rows.taps == 0;
    if (!is_zero(block, class) || (job->cut.staged && !all_columns))
        return false;
    if ((!by_pixel || first == 0) && (!all_columns || column_class == 0))
        clear(block, class, all_columns, first, by_pixel ? block->panels : panels);
    return true;
}
