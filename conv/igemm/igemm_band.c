/* SPDX-License-Identifier: Apache-2.0
 * Bands: the copy of a block of the image that lets tiles read padding and strides without asking. Each element of the
 * image is copied once for all taps that see it. Rows outside of the image are left as they are: nobody reads them. */
#include "conv/igemm/igemm.h"

struct cvl_igemm_span cvl_igemm_span(const struct cvl_axis *axis, int count, bool by_tap)
{
    const int64_t shared = (int64_t)(count - 1) * axis->step + (int64_t)(axis->taps - 1) * axis->tap + 1;
    const int64_t apart = (int64_t)count * axis->taps;
    if (by_tap || axis->taps == 0 || apart < shared)
        return (struct cvl_igemm_span){ (int)apart, 1, count, true };
    return (struct cvl_igemm_span){ (int)shared, axis->step, axis->tap, false };
}

/* A run of `count` columns of the band from `to` on, which read the image at first, first + step, ... */
static void fill_run(const struct cvl_igemm_band *b, int row, float *to, int first, int step, int count)
{
    const int extent = b->columns.extent;
    const int left = cvl_min(count, first < 0 ? (-first + step - 1) / step : 0);
    const int inside = first >= extent ? 0 : cvl_min(count, (extent - first + step - 1) / step);
    const int right = cvl_max(inside, left);
    const float *from = b->image + row * b->row + (first + (ptrdiff_t)left * step) * b->column;
    struct cvl_copy copy = { .to = to + left * b->to_column, .from = from };
    if (b->planes) {
        b->kern->zero(to, b->to_channel, b->channels, left);
        copy.to_row = b->to_channel;
        copy.from_row = b->channel;
        copy.from_lane = step * b->column;
        copy.rows = b->channels;
        copy.lanes = right - left;
        b->kern->copy(&copy);
        b->kern->zero(to + right, b->to_channel, b->channels, count - right);
    } else {
        b->kern->zero(to, b->to_column, left, b->channels);
        copy.to_row = b->to_column;
        copy.from_row = step * b->column;
        copy.from_lane = b->channel;
        copy.rows = right - left;
        copy.lanes = b->channels;
        b->kern->copy(&copy);
        b->kern->zero(to + right * b->to_column, b->to_column, count - right, b->channels);
    }
}

static void fill_row(const struct cvl_igemm_band *b, int row, float *to)
{
    const struct cvl_axis *axis = &b->columns;
    const int first = axis->first + b->first_column * axis->step;
    if (!b->column_span.by_tap) {
        fill_run(b, row, to, first, 1, b->column_span.size);
        return;
    }
    for (int j = 0; j < axis->taps; j++)
        fill_run(b, row, to + (ptrdiff_t)j * b->column_count * b->to_column, first + j * axis->tap, axis->step,
                 b->column_count);
}

void cvl_igemm_fill(const struct cvl_igemm_band *b)
{
    const struct cvl_axis *axis = &b->rows;
    const int first = axis->first + b->first_row * axis->step;
    for (int i = 0; i < b->row_span.size; i++) {
        const int row = b->row_span.by_tap ? first + i % b->row_count * axis->step + i / b->row_count * axis->tap
                                           : first + i;
        if (row >= 0 && row < axis->extent)
            fill_row(b, row, b->to + i * b->to_row);
    }
}
