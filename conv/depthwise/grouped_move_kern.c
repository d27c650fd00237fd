/* SPDX-License-Identifier: Apache-2.0
 * Channels of a unit from where they lie in an image to the lanes of vectors, and back. Planes are transposed a square
 * of vectors at a time. */
#include "conv/depthwise/grouped_finish.h"

CVL_INLINE void bring_square(const struct cvl_group_bring *b, const float *from, float *to, int points, int lanes)
{
    vf rows[VF_LANES];
    if (points == VF_LANES && lanes == VF_LANES)
        for (int i = 0; i < VF_LANES; i++)
            rows[i] = vf_load(from + i * b->from_lane);
    else
        for (int i = 0; i < VF_LANES; i++)
            rows[i] = i < lanes ? vf_load_part(from + i * b->from_lane, points) : vf_zero();
    vf_transpose(rows);
    for (int i = 0; i < VF_LANES; i++)
        if (i < points)
            vf_store(to + i * b->to_point, rows[i]);
}

static void bring(const struct cvl_group_bring *b)
{
    for (int lane = 0; lane < b->lanes; lane += VF_LANES) {
        const int lanes = b->lanes - lane < VF_LANES ? b->lanes - lane : VF_LANES;
        const float *from = b->from + lane * b->from_lane;
        float *to = b->to + lane;
        if (b->from_lane == 1 && lanes == VF_LANES)
            for (int i = 0; i < b->points; i++)
                vf_store(to + i * b->to_point, vf_load(from + i * b->from_point));
        else if (b->from_lane == 1)
            for (int i = 0; i < b->points; i++)
                vf_store(to + i * b->to_point, vf_load_part(from + i * b->from_point, lanes));
        else
            for (int i = 0; i < b->points; i += VF_LANES)
                bring_square(b, from + i, to + i * b->to_point,
                             b->points - i < VF_LANES ? b->points - i : VF_LANES, lanes);
    }
}

struct clip { bool clipped; float lo, hi; };

CVL_INLINE void finish(const struct cvl_group_spread *s, vf sum, ptrdiff_t at, int count, const struct clip *clip)
{
    if (s->residual)
        sum += vf_load_part(s->residual + at, count);
    if (s->finish.act != CVL_ACT_NONE && clip->clipped)
        sum = vf_clip(sum, vf_set(clip->lo), vf_set(clip->hi));
    vf_store_part(s->to + at, sum, count);
    if (!clip->clipped)
        activate(&s->finish, s->to + at, count);
}

static void spread(const struct cvl_group_spread *s)
{
    const float *bias = s->finish.bias;
    struct clip clip;
    clip.clipped = clips(&s->finish, &clip.lo, &clip.hi);
    if (s->to_lane == 1) {
        const vf add = bias ? vf_load_part(bias, s->lanes) : vf_zero();
        for (int i = 0; i < s->points; i++)
            finish(s, vf_load(s->from + i * s->from_point) + add, i * s->to_point, s->lanes, &clip);
        return;
    }
    for (int i = 0; i < s->points; i += VF_LANES) {
        const int points = s->points - i < VF_LANES ? s->points - i : VF_LANES;
        vf rows[VF_LANES];
        for (int j = 0; j < VF_LANES; j++)
            rows[j] = j < points ? vf_load(s->from + (i + j) * s->from_point) : vf_zero();
        vf_transpose(rows);
        for (int lane = 0; lane < VF_LANES; lane++)
            if (lane < s->lanes)
                finish(s, bias ? rows[lane] + bias[lane] : rows[lane], i + lane * s->to_lane, points, &clip);
    }
}

extern const struct cvl_group_move CVL_KERN(cvl_group_move);
const struct cvl_group_move CVL_KERN(cvl_group_move) = { .bring = bring, .spread = spread };
