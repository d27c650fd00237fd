/* SPDX-License-Identifier: Apache-2.0
 * B^T x B of a run of tiles, one channel vector at a time: first along the columns of the whole strip of rows that the
 * run sees, which tiles that overlap share, then along the rows of each tile. A strip is read where it lies if its
 * channels lie side by side and it touches no border above or below; else it is copied, with zeros for the padding. */
#include "conv/winograd/wino.h"

/* One channel vector of a run: its strip has the rows of a tile, and its first row and column are at (row, column). */
struct strip {
    const struct cvl_wino       *wino;
    const struct cvl_wino_input *input;
    int                          row, column;       /* of the image; phases are added, and strides lie between */
    int                          columns;
    ptrdiff_t                    ahead;             /* from this strip to the next one in the image */
    float                       *at;                /* (row, column, lane) */
};

/* Positions [*first, *last) of `count` from `origin` on that are inside of the image. */
static void inside(const struct cvl_wino_axis *axis, int origin, int count, int *first, int *last)
{
    *first = origin >= 0 ? 0 : cvl_min(count, cvl_divide_up(-origin, axis->stride));
    *last = origin >= axis->extent ? 0 : cvl_min(count, cvl_divide_up(axis->extent - origin, axis->stride));
    *last = cvl_max(*first, *last);
}

static const float *pixel(const struct strip *s, int row, int column, int channel)
{
    const struct cvl_strides *in = &s->wino->in;
    return s->input->image + row * in->at[2] + column * in->at[3] + channel * in->at[1];
}

static struct cvl_wino_frame frame_of(const struct strip *s, int phase)
{
    const struct cvl_wino *w = s->wino;
    struct cvl_wino_frame f;
    inside(&w->rows, s->row + w->phase_row[phase], w->rows.span, &f.top, &f.bottom);
    inside(&w->columns, s->column + w->phase_column[phase], s->columns, &f.left, &f.right);
    return f;
}

/* Zeros for `count` lanes of what the frame leaves out of so many rows. */
static void zero_border(const struct strip *s, const struct cvl_wino_frame *f, int rows, int count, float *to)
{
    const struct cvl_wino *w = s->wino;
    const ptrdiff_t lanes = w->lanes, row = s->columns * lanes;
    for (int i = 0; i < rows; i++, to += row) {
        const bool out = i < f->top || i >= f->bottom;
        if (out || f->left > 0)
            w->gemm->zero(to, lanes, out ? s->columns : f->left, count);
        if (!out && f->right < s->columns)
            w->gemm->zero(to + f->right * lanes, lanes, s->columns - f->right, count);
    }
}

/* Channels [channel, channel + count) of a phase, to lanes from `lane` on. */
static void copy_phase(const struct strip *s, int phase, int channel, int count, int lane)
{
    const struct cvl_wino *w = s->wino;
    const struct cvl_wino_frame f = frame_of(s, phase);
    const ptrdiff_t lanes = w->lanes, row = s->columns * lanes;
    const int rows = f.bottom - f.top, columns = f.right - f.left;
    zero_border(s, &f, w->rows.span, count, s->at + lane);
    if (rows <= 0 || columns <= 0)
        return;
    float *to = s->at + f.top * row + f.left * lanes + lane;
    const float *from = pixel(s, s->row + w->phase_row[phase] + f.top * w->rows.stride,
                              s->column + w->phase_column[phase] + f.left * w->columns.stride, channel);
    if (w->in.at[3] == 1) {
        const bool more = channel + 2 * lanes <= w->in_channels;
        const struct cvl_wino_rows gathered = {
            .rows = rows, .columns = columns, .lanes = count, .strip = to, .strip_row = row, .from = from,
            .row = w->rows.stride * w->in.at[2], .column = w->columns.stride, .lane = w->in.at[1],
            .ahead = (more ? lanes : -channel) * w->in.at[1] + (more ? 0 : s->ahead),
        };
        w->rows_kern->gather(&gathered);
        return;
    }
    for (int i = 0; i < rows; i++, to += row, from += w->rows.stride * w->in.at[2]) {
        const struct cvl_copy copy = { .to = to, .to_row = lanes, .rows = columns, .lanes = count, .from = from,
                                       .from_row = w->columns.stride * w->in.at[3], .from_lane = w->in.at[1] };
        w->gemm->copy(&copy);
    }
}

/* `filled` lanes from channel `first` of all phases' on, together, and zeros for the others. */
static void copy_mixed(const struct strip *s, int first, int filled)
{
    const struct cvl_wino *w = s->wino;
    struct cvl_wino_mixed mixed = {
        .rows = w->rows.span, .columns = s->columns, .strip = s->at, .row = w->rows.stride * w->in.at[2],
        .column = w->columns.stride * w->in.at[3], .lane = w->in.at[1], .ahead = s->ahead,
    };
    for (int lane = 0, count; lane < filled; lane += count) {
        const int phase = (first + lane) / w->in_channels, channel = (first + lane) % w->in_channels;
        count = cvl_min(filled - lane, w->in_channels - channel);
        struct cvl_wino_run *run = &mixed.run[mixed.runs++];
        *run = (struct cvl_wino_run){ .lanes = count, .frame = frame_of(s, phase) };
        if (run->frame.top < run->frame.bottom && run->frame.left < run->frame.right)
            run->from = pixel(s, s->row + w->phase_row[phase] + run->frame.top * w->rows.stride,
                              s->column + w->phase_column[phase] + run->frame.left * w->columns.stride, channel);
    }
    w->rows_kern->gather_mixed(&mixed);
}

static void copy_strip(const struct strip *s, int vector)
{
    const struct cvl_wino *w = s->wino;
    const int lanes = w->lanes, all = w->phases * w->in_channels, first = vector * lanes;
    const int filled = cvl_min(lanes, all - first);
    const bool mixed = first / w->in_channels != (first + filled - 1) / w->in_channels;
    if (mixed ? w->in.at[3] == 1 || w->in.at[1] == 1 : w->in.at[1] == 1 && filled < lanes) {
        copy_mixed(s, first, filled);
        return;
    }
    for (int lane = 0, count; lane < filled; lane += count) {
        const int phase = (first + lane) / w->in_channels, channel = (first + lane) % w->in_channels;
        count = cvl_min(filled - lane, w->in_channels - channel);
        copy_phase(s, phase, channel, count, lane);
    }
    if (filled < lanes)
        w->gemm->zero(s->at + filled, lanes, w->rows.span * s->columns, lanes - filled);
}

/* Lines of the first pass: down each column of the strip. */
static struct cvl_wino_lines down(const struct strip *s)
{
    const ptrdiff_t lanes = s->wino->lanes;
    return (struct cvl_wino_lines){
        .f = s->wino->rows.f, .lines = s->columns, .from = s->at, .from_line = lanes, .from_point = s->columns * lanes,
        .to = s->at, .to_line = lanes, .to_point = s->columns * lanes,
    };
}

/* Reads a whole vector of one phase where it lies; false where that cannot be. */
static bool transform_in_place(const struct strip *s, int vector)
{
    const struct cvl_wino *w = s->wino;
    const ptrdiff_t lanes = w->lanes;
    const int phase = (int)(vector * lanes / w->in_channels), channel = (int)(vector * lanes % w->in_channels);
    if (w->in.at[1] != 1 || channel + lanes > w->in_channels)
        return false;
    struct cvl_wino_frame f = frame_of(s, phase);
    if (f.top > 0 || f.bottom < w->rows.span)
        return false;
    struct cvl_wino_lines lines = down(s);
    lines.lines = f.right - f.left;
    lines.from = pixel(s, s->row + w->phase_row[phase],
                       s->column + w->phase_column[phase] + f.left * w->columns.stride, channel);
    lines.from_line = w->columns.stride * w->in.at[3];
    lines.from_point = w->rows.stride * w->in.at[2];
    lines.from_ahead = s->ahead;
    lines.to += f.left * lanes;
    w->transform(&lines);
    f.bottom = w->rows.t;
    if (lines.lines < s->columns)
        zero_border(s, &f, w->rows.t, w->lanes, s->at);
    return true;
}

void cvl_wino_input(const struct cvl_wino *w, const struct cvl_wino_segment *segment,
                    const struct cvl_wino_input *input)
{
    const ptrdiff_t lanes = w->lanes;
    const struct strip s = {
        .wino = w, .input = input, .row = segment->row * w->rows.m * w->rows.stride - w->rows.pad, .at = input->strip,
        .column = segment->column * w->columns.m * w->columns.stride - w->columns.pad,
        .columns = (segment->tiles - 1) * w->columns.m + w->columns.span,
        .ahead = cvl_wino_ahead(w, segment, w->rows.m * w->rows.stride * w->in.at[2],
                                w->columns.m * w->columns.stride * w->in.at[3]),
    };
    const struct cvl_wino_lines first = down(&s);
    struct cvl_wino_lines second = {
        .f = w->columns.f, .lines = w->rows.t, .from_line = s.columns * lanes, .from_point = lanes,
        .to_line = w->columns.t * w->v_point, .to_point = w->v_point,
    };
    for (int vector = input->first; vector < input->last; vector++) {
        if (!transform_in_place(&s, vector)) {
            copy_strip(&s, vector);
            w->transform(&first);
        }
        for (int tile = 0; tile < segment->tiles; tile++) {
            second.from = s.at + tile * w->columns.m * lanes;
            second.to = input->v + tile * w->v_tile + (vector - input->first) * lanes;
            w->transform(&second);
        }
    }
}
