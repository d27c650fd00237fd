/* SPDX-License-Identifier: Apache-2.0
 * Planes of NCHW to points of a vector of channels, and back. */
#include "base/cpu.h"
#include "base/vec_math.h"
#include "conv/depthwise/depthwise_strip.h"

CVL_INLINE void turn_block(const struct cvl_dw_turn *turn, int point, int lanes, int points)
{
    vf rows[VF_LANES];
    CVL_UNROLL(16)
    for (int lane = 0; lane < VF_LANES; lane++)
        rows[lane] = lane < lanes ? vf_load_part(turn->from + lane * turn->plane + point, points) : vf_zero();
    vf_transpose(rows);
    CVL_UNROLL(16)
    for (int i = 0; i < VF_LANES; i++)
        if (i < points)
            vf_store(turn->to + (ptrdiff_t)(point + i) * VF_LANES, rows[i]);
}

/* The last block of a long run begins early, on points that are turned twice. */
static void turn(const struct cvl_dw_turn *turn)
{
    const int points = turn->points;
    if (turn->lanes == VF_LANES && points >= VF_LANES)
        for (int point = 0; point < points; point += VF_LANES)
            turn_block(turn, point + VF_LANES <= points ? point : points - VF_LANES, VF_LANES, VF_LANES);
    else
        for (int point = 0; point < points; point += VF_LANES)
            turn_block(turn, point, turn->lanes, points - point < VF_LANES ? points - point : VF_LANES);
}

CVL_INLINE void back_block(const struct cvl_dw_turn *turn, int point, int lanes, int points, const bool finished)
{
    const struct cvl_dw_finish *finish = &turn->finish;
    vf rows[VF_LANES];
    CVL_UNROLL(16)
    for (int i = 0; i < VF_LANES; i++)
        rows[i] = i < points ? vf_load(turn->from + (ptrdiff_t)(point + i) * VF_LANES) : vf_zero();
    vf_transpose(rows);
    CVL_UNROLL(16)
    for (int lane = 0; lane < VF_LANES; lane++)
        if (lane < lanes) {
            const ptrdiff_t at = lane * turn->plane + point;
            vf sum = rows[lane];
            if (!finished)
                sum = vf_activate(sum + vf_load_part(finish->residual + at, points), finish->act, finish->lo,
                                  finish->hi);
            vf_store_part(turn->to + at, sum, points);
        }
}

/* Nothing may be written twice that a residual is read from. */
static void turn_back(const struct cvl_dw_turn *turn)
{
    const int points = turn->points;
    if (turn->finish.residual)
        for (int point = 0; point < points; point += VF_LANES)
            back_block(turn, point, turn->lanes, points - point < VF_LANES ? points - point : VF_LANES, false);
    else if (turn->lanes == VF_LANES && points >= VF_LANES)
        for (int point = 0; point < points; point += VF_LANES)
            back_block(turn, point + VF_LANES <= points ? point : points - VF_LANES, VF_LANES, VF_LANES, true);
    else
        for (int point = 0; point < points; point += VF_LANES)
            back_block(turn, point, turn->lanes, points - point < VF_LANES ? points - point : VF_LANES, true);
}

extern const struct cvl_dw_turn_kern CVL_KERN(cvl_dw_turn_kern);
const struct cvl_dw_turn_kern CVL_KERN(cvl_dw_turn_kern) = { .turn = turn, .turn_back = turn_back };
