/* SPDX-License-Identifier: Apache-2.0
 * Copies of blocks of an image or a filter, with rows and lanes exchanged where that makes the lanes neighbours. */
#include "base/vec_weave.h"
#include "gemm/tile_kern.h"

static void copy_vectors(const struct cvl_copy *c)
{
    for (int row = 0; row < c->rows; row++)
        vf_store(c->to + row * c->to_row, vf_load(c->from + row * c->from_row));
}

/* Lanes that lie side by side, or every second element. */
static void copy_rows(const struct cvl_copy *c)
{
    for (int row = 0; row < c->rows; row++) {
        const float *from = c->from + row * c->from_row;
        float *to = c->to + row * c->to_row;
        int lane = 0;
        if (c->from_lane == 1)
            for (; lane <= c->lanes - VF_LANES; lane += VF_LANES)
                vf_store(to + lane, vf_load(from + lane));
        else
            for (; lane <= c->lanes - VF_LANES; lane += VF_LANES)
                vf_store(to + lane, vf_load_even(from + 2 * lane, VF_LANES));
        for (; lane < c->lanes; lane += VF_LANES) {
            const int part = at_most(c->lanes - lane, VF_LANES);
            vf_store_part(to + lane, c->from_lane == 1 ? vf_load_part(from + lane, part)
                                                       : vf_load_even(from + 2 * lane, part), part);
        }
    }
}

/* Planes become pixels of as many channels, side by side. */
CVL_INLINE void copy_woven(const struct cvl_copy *c, const int lanes)
{
    int row = 0;
    for (; row <= c->rows - VF_LANES; row += VF_LANES) {
        vf block[VF_WEAVE_MOST];
        CVL_UNROLL(32)
        for (int lane = 0; lane < lanes; lane++)
            block[lane] = vf_load(c->from + row + lane * c->from_lane);
        vf_weave(lanes, block);
        CVL_UNROLL(32)
        for (int i = 0; i < lanes; i++)
            vf_store(c->to + row * lanes + i * VF_LANES, block[i]);
    }
    for (; row < c->rows; row++)
        for (int lane = 0; lane < lanes; lane++)
            c->to[row * lanes + lane] = c->from[row + lane * c->from_lane];
}

static void copy_elements(const struct cvl_copy *c)
{
    for (int row = 0; row < c->rows; row++)
        for (int lane = 0; lane < c->lanes; lane++)
            c->to[row * c->to_row + lane] = c->from[row * c->from_row + lane * c->from_lane];
}

/* Rows that lie side by side become lanes: a whole block, or the edge of one. */
static void transpose_whole(const float *from, ptrdiff_t from_lane, float *to, ptrdiff_t to_row)
{
    vf block[VF_LANES];
    CVL_UNROLL(32)
    for (int j = 0; j < VF_LANES; j++, from += from_lane)
        block[j] = vf_load(from);
    vf_transpose(block);
    CVL_UNROLL(32)
    for (int i = 0; i < VF_LANES; i++, to += to_row)
        vf_store(to, block[i]);
}

static void transpose_part(const float *from, ptrdiff_t from_lane, float *to, ptrdiff_t to_row, int rows, int lanes)
{
    vf block[VF_LANES];
    for (int j = 0; j < VF_LANES; j++)
        block[j] = j < lanes ? vf_load_part(from + j * from_lane, rows) : vf_zero();
    vf_transpose(block);
    for (int i = 0; i < rows; i++)
        vf_store_part(to + i * to_row, block[i], lanes);
}

/* Some lanes of whole rows, as the taps of a filter are. */
static void transpose_lanes(const float *from, ptrdiff_t from_lane, float *to, ptrdiff_t to_row, int lanes)
{
    vf block[VF_LANES];
    CVL_UNROLL(32)
    for (int j = 0; j < VF_LANES; j++)
        block[j] = j < lanes ? vf_load(from + j * from_lane) : vf_zero();
    vf_transpose(block);
    CVL_UNROLL(32)
    for (int i = 0; i < VF_LANES; i++, to += to_row)
        vf_store_part(to, block[i], lanes);
}

static void transpose_block(const struct cvl_copy *c, int row, int lane)
{
    const int rows = at_most(c->rows - row, VF_LANES), lanes = at_most(c->lanes - lane, VF_LANES);
    const float *from = c->from + row + lane * c->from_lane;
    float *to = c->to + row * c->to_row + lane;
    if (rows == VF_LANES && lanes == VF_LANES)
        transpose_whole(from, c->from_lane, to, c->to_row);
    else if (rows == VF_LANES)
        transpose_lanes(from, c->from_lane, to, c->to_row, lanes);
    else
        transpose_part(from, c->from_lane, to, c->to_row, rows, lanes);
}

void CVL_KERN(cvl_tile_zero)(float *to, ptrdiff_t to_row, int rows, int lanes)
{
    for (int row = 0; row < rows; row++)
        for (int lane = 0; lane < lanes; lane += VF_LANES)
            vf_store_part(to + row * to_row + lane, vf_zero(), at_most(lanes - lane, VF_LANES));
}

void CVL_KERN(cvl_tile_copy)(const struct cvl_copy *c)
{
    if (c->lanes <= 0 || c->rows <= 0)
        return;
    if (c->from_lane == 1 && c->lanes == VF_LANES)
        copy_vectors(c);
    else if (c->from_lane == 1 && c->from_row == c->lanes && c->to_row == c->lanes)
        copy_rows(&(struct cvl_copy){ .to = c->to, .from = c->from, .rows = 1, .lanes = c->rows * c->lanes,
                                      .from_lane = 1 });
    else if (c->from_lane == 1 || (c->from_lane == 2 && c->from_row != 1))
        copy_rows(c);
    else if (c->from_row == 1 && c->lanes == 3 && c->to_row == 3)
        copy_woven(c, 3);
    else if (c->from_row == 1 && c->lanes == 4 && c->to_row == 4)
        copy_woven(c, 4);
    else if (c->from_row == 1 && c->rows > 2)
        for (int row = 0; row < c->rows; row += VF_LANES)
            for (int lane = 0; lane < c->lanes; lane += VF_LANES)
                transpose_block(c, row, lane);
    else
        copy_elements(c);
}
