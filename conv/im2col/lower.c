/* SPDX-License-Identifier: Apache-2.0
 * Lowering (im2col) and its transpose (col2im) by runs along the axis that is contiguous in the image. Padding is found
 * as a range for a whole row or pixel, never by a test for an element. Each element of what is written is written by
 * one task only: col2im's tasks own channels of an NCHW image, or rows of an NHWC image. */
#include "conv/im2col/lower.h"

#include "base/threads.h"

#include <string.h>

enum { TASK_BYTES = 128 << 10 };

/* One parallel loop over a band, `items` cut into tasks of `chunk`. */
struct walk {
    const cvl_conv_desc *desc;
    float               *image, *matrix;
    int                  first, last, q;    /* of the band; output width */
    int                  places, taps;      /* r*s; c*r*s */
    int                  group_c;
    int                  c_step, place_step;   /* between taps of a group: next channel, next (r,s) */
    int                  item, items, chunk;   /* first item, how many */
};

static int min(int a, int b) { return a < b ? a : b; }
static int max(int a, int b) { return a > b ? a : b; }

static struct walk walk_of(const struct cvl_band *band)
{
    const cvl_conv_desc *desc = band->desc;
    struct walk walk = { .desc = desc, .image = band->image, .matrix = band->matrix, .first = band->first,
                         .last = band->last, .q = cvl_conv_q(desc), .places = desc->r * desc->s,
                         .group_c = desc->c / desc->groups };
    /* With one place or one channel a group the two orders are the same one, and the first has the longer runs. */
    const bool places_inner = desc->w_layout == CVL_KCRS || walk.group_c == 1;
    walk.taps = desc->c * walk.places;
    walk.c_step = places_inner ? walk.places : 1;
    walk.place_step = places_inner ? 1 : walk.group_c;
    return walk;
}

static void run_tasks(const cvl_ctx *ctx, struct walk *walk, int item, int items, double item_bytes, cvl_task_fn *fn)
{
    walk->item = item;
    walk->items = items;
    walk->chunk = item_bytes * items <= TASK_BYTES ? max(items, 1) : max(1, (int)(TASK_BYTES / item_bytes));
    cvl_parallel_for(ctx, items / walk->chunk + (items % walk->chunk != 0), fn, walk);
}

static void items_of(const struct walk *walk, int task, int *first, int *last)
{
    const int done = task * walk->chunk;
    *first = walk->item + done;
    *last = *first + min(walk->chunk, walk->items - done);
}

static void zero(float *to, ptrdiff_t count) { memset(to, 0, (size_t)count * sizeof *to); }

static void copy(float *to, ptrdiff_t to_step, const float *from, ptrdiff_t from_step, int count)
{
    if (to_step == 1 && from_step == 1)
        memcpy(to, from, (size_t)count * sizeof *to);
    else if (to_step == 1 && from_step == 2)
        for (int i = 0; i < count; i++)
            to[i] = from[2 * i];
    else
        for (int i = 0; i < count; i++)
            to[i * to_step] = from[i * from_step];
}

static void add(float *restrict to, ptrdiff_t to_step, const float *restrict from, ptrdiff_t from_step, int count)
{
    if (to_step == 1 && from_step == 1)
        for (int i = 0; i < count; i++)
            to[i] += from[i];
    else
        for (int i = 0; i < count; i++)
            to[i * to_step] += from[i * from_step];
}

/* NCHW: a tap's row of the matrix is its channel's plane, shifted, thinned by the strides and cut by the padding. */
struct plane {
    float *image, *row;    /* (h,w) of the channel; (rows of the band, q) of the tap */
    int    p0, p1, q0, q1; /* output pixels at which the tap is inside of the image; none: p0 == p1 */
    int    h, w;           /* where it is then: row h + p*stride_h, column w + q*stride_w; may be negative */
};

static struct plane plane_of(const struct walk *walk, int channel, int r, int s)
{
    const cvl_conv_desc *desc = walk->desc;
    const int group = channel / walk->group_c, place = r * desc->s + s;
    const ptrdiff_t tap = (ptrdiff_t)group * walk->group_c * walk->places
                        + channel % walk->group_c * walk->c_step + place * walk->place_step;
    struct plane plane = { .image = walk->image + (ptrdiff_t)channel * desc->h * desc->w,
                           .row = walk->matrix + tap * (walk->last - walk->first) * walk->q,
                           .h = r * desc->dil_h - desc->pad_top, .w = s * desc->dil_w - desc->pad_left };
    cvl_tap_range(r, desc->dil_h, desc->stride_h, desc->pad_top, walk->last, desc->h, &plane.p0, &plane.p1);
    cvl_tap_range(s, desc->dil_w, desc->stride_w, desc->pad_left, walk->q, desc->w, &plane.q0, &plane.q1);
    plane.p0 = max(plane.p0, walk->first);
    if (plane.q0 == plane.q1 || plane.p0 >= plane.p1)
        plane.p1 = plane.p0 = walk->first;
    return plane;
}

static float *image_run(const struct walk *walk, const struct plane *plane, int p)
{
    const ptrdiff_t row = (ptrdiff_t)p * walk->desc->stride_h + plane->h;
    return plane->image + row * walk->desc->w + (ptrdiff_t)plane->q0 * walk->desc->stride_w + plane->w;
}

static float *matrix_run(const struct walk *walk, const struct plane *plane, int p)
{
    return plane->row + (ptrdiff_t)(p - walk->first) * walk->q + plane->q0;
}

/* With stride 1 and equal widths, the plane's rows inside of the image are one run of the image, if it may take along
 * the columns that are outside: in the image they are the ends of neighbouring rows. */
static bool is_one_run(const struct walk *walk, const struct plane *plane)
{
    const cvl_conv_desc *desc = walk->desc;
    return desc->stride_h == 1 && desc->stride_w == 1 && desc->w == walk->q && plane->p0 < plane->p1;
}

static int one_run(const struct walk *walk, const struct plane *plane)
{
    return (plane->p1 - plane->p0 - 1) * walk->q + plane->q1 - plane->q0;
}

static void clear_columns_outside(const struct walk *walk, const struct plane *plane)
{
    for (int p = plane->p0; p < plane->p1; p++) {
        float *row = plane->row + (ptrdiff_t)(p - walk->first) * walk->q;
        for (int q = 0; q < plane->q0; q++)
            row[q] = 0;
        for (int q = plane->q1; q < walk->q; q++)
            row[q] = 0;
    }
}

static void lower_plane(const struct walk *walk, const struct plane *plane)
{
    zero(plane->row, (ptrdiff_t)(plane->p0 - walk->first) * walk->q);
    zero(plane->row + (ptrdiff_t)(plane->p1 - walk->first) * walk->q, (ptrdiff_t)(walk->last - plane->p1) * walk->q);
    if (is_one_run(walk, plane))
        copy(matrix_run(walk, plane, plane->p0), 1, image_run(walk, plane, plane->p0), 1, one_run(walk, plane));
    else
        for (int p = plane->p0; p < plane->p1; p++)
            copy(matrix_run(walk, plane, p), 1, image_run(walk, plane, p), walk->desc->stride_w, plane->q1 - plane->q0);
    clear_columns_outside(walk, plane);
}

static void add_plane(const struct walk *walk, const struct plane *plane)
{
    if (is_one_run(walk, plane)) {
        clear_columns_outside(walk, plane);
        add(image_run(walk, plane, plane->p0), 1, matrix_run(walk, plane, plane->p0), 1, one_run(walk, plane));
        return;
    }
    for (int p = plane->p0; p < plane->p1; p++)
        add(image_run(walk, plane, p), walk->desc->stride_w, matrix_run(walk, plane, p), 1, plane->q1 - plane->q0);
}

static void lower_planes(int task, int slot, void *arg)
{
    const struct walk *walk = arg;
    int first, last;
    items_of(walk, task, &first, &last);
    for (int item = first; item < last; item++) {
        const int place = item % walk->places;
        const struct plane plane = plane_of(walk, item / walk->places, place / walk->desc->s, place % walk->desc->s);
        lower_plane(walk, &plane);
    }
}

static void col2im_channels(int task, int slot, void *arg)
{
    const struct walk *walk = arg;
    const cvl_conv_desc *desc = walk->desc;
    int first, last;
    items_of(walk, task, &first, &last);
    for (int channel = first; channel < last; channel++)
        for (int r = 0; r < desc->r; r++)
            for (int s = 0; s < desc->s; s++) {
                const struct plane plane = plane_of(walk, channel, r, s);
                add_plane(walk, &plane);
            }
}

/* NHWC: an output pixel and the columns of the filter, s in [s0, s1), that are inside of the image there. */
struct window {
    float *column;   /* image row 0 where tap s0 looks; NULL: all are outside */
    float *taps;     /* the pixel's row of the matrix */
    int    s0, s1;
};

static struct window window_of(const struct walk *walk, int p, int q)
{
    const cvl_conv_desc *desc = walk->desc;
    const int w = q * desc->stride_w - desc->pad_left;
    struct window window = { .taps = walk->matrix + ((ptrdiff_t)(p - walk->first) * walk->q + q) * walk->taps };
    if (w >= 0 && w + (desc->s - 1) * desc->dil_w < desc->w)
        window.s1 = desc->s;   /* most pixels: spares them two divisions */
    else
        cvl_tap_range(q, desc->stride_w, desc->dil_w, desc->pad_left, desc->s, desc->w, &window.s0, &window.s1);
    if (window.s0 < window.s1)
        window.column = walk->image + ((ptrdiff_t)w + window.s0 * desc->dil_w) * desc->c;
    return window;
}

/* Copies a run of the image into the matrix, or adds the matrix to it. */
static inline __attribute__((always_inline)) void move(bool lower, float *image, ptrdiff_t image_step, float *taps,
                                                       ptrdiff_t tap_step, int count)
{
    if (lower)
        copy(taps, tap_step, image, image_step, count);
    else
        add(image, image_step, taps, tap_step, count);
}

/* Moves row h of the image, which filter row r sees, by the longest runs that there are: all taps s and channels where
 * both matrix and image hold them in that order; else the channels of a tap, or the taps of a channel. */
static inline __attribute__((always_inline)) void move_row(const struct walk *walk, const struct window *window, int h,
                                                           int r, bool lower)
{
    const cvl_conv_desc *desc = walk->desc;
    const int columns = window->s1 - window->s0, groups = walk->c_step == walk->places ? 1 : desc->groups;
    const int group_c = desc->c / groups;
    const ptrdiff_t s_step = (ptrdiff_t)desc->dil_w * desc->c, group_taps = (ptrdiff_t)group_c * walk->places;
    float *image = window->column + (ptrdiff_t)h * desc->w * desc->c;
    float *taps = window->taps + (ptrdiff_t)(r * desc->s + window->s0) * walk->place_step;
    if (walk->c_step == 1 && groups == 1 && desc->dil_w == 1)
        move(lower, image, 1, taps, 1, columns * desc->c);
    else if (walk->place_step == 1 && desc->c < columns)
        for (int c = 0; c < desc->c; c++)
            move(lower, image + c, s_step, taps + (ptrdiff_t)c * walk->c_step, 1, columns);
    else
        for (int s = 0; s < columns; s++)
            for (int group = 0; group < groups; group++)
                move(lower, image + s * s_step + (ptrdiff_t)group * group_c, 1,
                     taps + (ptrdiff_t)s * walk->place_step + group * group_taps, walk->c_step, group_c);
}

static void lower_pixels(int task, int slot, void *arg)
{
    const struct walk *walk = arg;
    const cvl_conv_desc *desc = walk->desc;
    int first, last;
    items_of(walk, task, &first, &last);
    for (int pixel = first; pixel < last; pixel++) {
        const int p = walk->first + pixel / walk->q;
        const struct window window = window_of(walk, p, pixel % walk->q);
        int r0, r1;
        cvl_tap_range(p, desc->stride_h, desc->dil_h, desc->pad_top, desc->r, desc->h, &r0, &r1);
        if (r1 - r0 < desc->r || window.s1 - window.s0 < desc->s)
            zero(window.taps, walk->taps);
        for (int r = r0; r < r1 && window.column; r++)
            move_row(walk, &window, p * desc->stride_h + r * desc->dil_h - desc->pad_top, r, true);
    }
}

static void col2im_rows(int task, int slot, void *arg)
{
    const struct walk *walk = arg;
    const cvl_conv_desc *desc = walk->desc;
    int first, last;
    items_of(walk, task, &first, &last);
    for (int h = first; h < last; h++)
        for (int r = 0; r < desc->r; r++) {
            const int from_top = h + desc->pad_top - r * desc->dil_h, p = from_top / desc->stride_h;
            if (from_top < 0 || from_top % desc->stride_h != 0 || p < walk->first || p >= walk->last)
                continue;
            for (int q = 0; q < walk->q; q++) {
                const struct window window = window_of(walk, p, q);
                if (window.column)
                    move_row(walk, &window, h, r, false);
            }
        }
}

void cvl_lower(const cvl_ctx *ctx, const struct cvl_band *band)
{
    struct walk walk = walk_of(band);
    const int pixels = (band->last - band->first) * walk.q;
    if (band->desc->x_layout == CVL_NCHW)
        run_tasks(ctx, &walk, 0, walk.taps, 4.0 * pixels, lower_planes);
    else
        run_tasks(ctx, &walk, 0, pixels, 4.0 * walk.taps, lower_pixels);
}

void cvl_col2im(const cvl_ctx *ctx, const struct cvl_band *band)
{
    const cvl_conv_desc *desc = band->desc;
    struct walk walk = walk_of(band);
    const double bytes = 4.0 * (band->last - band->first) * walk.q * walk.taps;
    const int reach = (desc->r - 1) * desc->dil_h - desc->pad_top;
    const int top = max(0, band->first * desc->stride_h - desc->pad_top);
    const int bottom = min(desc->h, (band->last - 1) * desc->stride_h + reach + 1);
    if (desc->x_layout == CVL_NCHW)
        run_tasks(ctx, &walk, 0, desc->c, bytes / desc->c, col2im_channels);
    else if (top < bottom)
        run_tasks(ctx, &walk, top, bottom - top, bytes / (bottom - top), col2im_rows);
}
