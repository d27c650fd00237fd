/* SPDX-License-Identifier: Apache-2.0
 * The kernels of `direct`: sums of products of tiles held in registers, copies that bring the lanes of a factor
 * together, and the epilogue. The lanes of a panel past its end hold what nobody reads. */
#include "base/vec_math.h"
#include "conv/direct/direct.h"

/* Registers: 32 hold 14 x 2 sums (AVX-512) or 12 x 2 (NEON), 16 hold 6 x 2. */
#if VF_LANES == 16
#define TILE 14
#elif defined(__aarch64__)
#define TILE 12
#else
#define TILE 6
#endif
#define VECTORS 2
#define PANEL (VECTORS * VF_LANES)

/* `count` positions at once, count <= TILE a constant. The products of a chunk are summed apart from the totals, which
 * keeps the rounding error of long sums small. */
CVL_INLINE void broadcast_tile(const struct cvl_direct_sum *sum, const float *a, float *totals, int count, int vectors)
{
    const ptrdiff_t a_count = sum->a_count;
    const struct cvl_direct_step *const end = sum->steps + sum->step_count;
    vf partial[TILE][VECTORS];
#pragma GCC unroll 14
    for (int t = 0; t < count; t++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            partial[t][v] = vf_zero();
    for (const struct cvl_direct_step *step = sum->steps; step < end; step++) {
        const float *at = a + step->a;
        vf b[VECTORS];
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            b[v] = vf_load(sum->b + step->b + v * VF_LANES);
#pragma GCC unroll 14
        for (int t = 0; t < count; t++) {
            const vf value = vf_set(*at);
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                partial[t][v] += value * b[v];
            at += a_count;
        }
    }
#pragma GCC unroll 14
    for (int t = 0; t < count; t++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) {
            float *total = totals + t * PANEL + v * VF_LANES;
            vf_store(total, vf_load(total) + partial[t][v]);
        }
}

#define TILES(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12) \
    CASE(13) CASE(14)

CVL_INLINE void broadcast_all(const struct cvl_direct_sum *sum, int vectors)
{
    const float *a = sum->a;
    float *totals = sum->totals;
    int left = sum->count;
    for (; left >= TILE; left -= TILE) {
        broadcast_tile(sum, a, totals, TILE, vectors);
        a += TILE * sum->a_count;
        totals += TILE * PANEL;
    }
#define CASE(t) case t: if (t < TILE) broadcast_tile(sum, a, totals, t < TILE ? t : 1, vectors); break;
    switch (left) { TILES(CASE) }
#undef CASE
}

static void broadcast(const struct cvl_direct_sum *sum)
{
    if (sum->lanes > VF_LANES)
        broadcast_all(sum, 2);
    else
        broadcast_all(sum, 1);
}

/* How the lanes of a lie: all of a vector next to each other, some of it, every second element, or anyhow. */
enum spread { WHOLE, PART, EVEN, ANYHOW };

CVL_INLINE vf load_spread(const float *p, enum spread spread, ptrdiff_t stride, int lanes)
{
    return spread == WHOLE ? vf_load(p) : spread == PART ? vf_load_part(p, lanes)
         : spread == EVEN ? vf_load_even(p, lanes) : vf_load_strided(p, stride, lanes);
}

CVL_INLINE void lanewise_tile(const struct cvl_direct_sum *sum, int t, int lane, int count, enum spread spread)
{
    const float *a = sum->a + t * sum->a_count + lane * sum->a_lane, *b = sum->b + lane;
    const int lanes = sum->lanes - lane < VF_LANES ? sum->lanes - lane : VF_LANES;
    const struct cvl_direct_step *const end = sum->steps + sum->step_count;
    vf partial[8];
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
        partial[i] = vf_zero();
    for (const struct cvl_direct_step *step = sum->steps; step < end; step++) {
        const vf value = spread == WHOLE ? vf_load(b + step->b) : vf_load_part(b + step->b, lanes);
        const float *at = a + step->a;
#pragma GCC unroll 8
        for (int i = 0; i < count; i++) {
            partial[i] += load_spread(at, spread, sum->a_lane, lanes) * value;
            at += sum->a_count;
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) {
        float *total = sum->totals + (t + i) * PANEL + lane;
        if (spread == WHOLE)
            vf_store(total, vf_load(total) + partial[i]);
        else
            vf_store_part(total, vf_load_part(total, lanes) + partial[i], lanes);
    }
}

CVL_INLINE void lanewise_all(const struct cvl_direct_sum *sum, int lane, enum spread spread)
{
    int t = 0;
    for (; t <= sum->count - 8; t += 8)
        lanewise_tile(sum, t, lane, 8, spread);
    if (sum->count & 4)
        lanewise_tile(sum, t, lane, 4, spread), t += 4;
    if (sum->count & 2)
        lanewise_tile(sum, t, lane, 2, spread), t += 2;
    if (sum->count & 1)
        lanewise_tile(sum, t, lane, 1, spread);
}

static void lanewise(const struct cvl_direct_sum *sum)
{
    for (int lane = 0; lane < sum->lanes; lane += VF_LANES) {
        if (sum->a_lane == 1 && sum->lanes - lane >= VF_LANES)
            lanewise_all(sum, lane, WHOLE);
        else if (sum->a_lane == 1)
            lanewise_all(sum, lane, PART);
        else if (sum->a_lane == 2)
            lanewise_all(sum, lane, EVEN);
        else
            lanewise_all(sum, lane, ANYHOW);
    }
}

/* Vectors along the steps of up to VF_LANES lanes become vectors along the lanes of up to VF_LANES steps. */
static void copy_transposed(const struct cvl_direct_copy *copy, int step, int lane)
{
    const int steps = copy->steps - step < VF_LANES ? copy->steps - step : VF_LANES;
    const int lanes = copy->lanes - lane < VF_LANES ? copy->lanes - lane : VF_LANES;
    const float *from = copy->from + step + lane * copy->from_lane;
    float *to = copy->to + (ptrdiff_t)step * copy->to_step + lane;
    vf rows[VF_LANES];
    for (int i = 0; i < VF_LANES; i++)
        rows[i] = i < lanes ? vf_load_part(from + i * copy->from_lane, steps) : vf_zero();
    vf_transpose(rows);
    for (int i = 0; i < steps; i++)
        vf_store(to + (ptrdiff_t)i * copy->to_step, rows[i]);
}

static void copy_scattered(const struct cvl_direct_copy *copy, int step, int lane)
{
    const int lanes = copy->lanes - lane < VF_LANES ? copy->lanes - lane : VF_LANES;
    const float *from = copy->from + step * copy->from_step + lane * copy->from_lane;
    float *to = copy->to + (ptrdiff_t)step * copy->to_step + lane;
    if (copy->from_lane == 1) {
        vf_store(to, vf_load_part(from, lanes));
    } else if (copy->from_lane == 0) {
        vf_store(to, vf_set(*from));
    } else {
        for (int i = 0; i < lanes; i++)
            to[i] = from[i * copy->from_lane];
        for (int i = lanes; i < VF_LANES; i++)
            to[i] = 0;
    }
}

static void copy(const struct cvl_direct_copy *copy)
{
    const bool transposed = copy->from_step == 1 && copy->from_lane > 1 && copy->steps > 1;
    for (int step = 0; step < copy->steps; step += transposed ? VF_LANES : 1)
        for (int lane = 0; lane < copy->lanes; lane += VF_LANES)
            if (transposed)
                copy_transposed(copy, step, lane);
            else
                copy_scattered(copy, step, lane);
}

/* One vector of the output, its lanes `stride` elements apart. */
static inline void finish_vector(const struct cvl_direct_finish *finish, vf sum, ptrdiff_t at, ptrdiff_t stride,
                                 int lanes)
{
    float *out = finish->out + at;
    if (stride == 1) {
        if (finish->residual)
            sum += vf_load_part(finish->residual + at, lanes);
        vf_store_part(out, vf_activate(sum, finish->act, finish->lo, finish->hi), lanes);
    } else {
        if (finish->residual)
            sum += vf_load_strided(finish->residual + at, stride, lanes);
        vf_store_strided(out, stride, vf_activate(sum, finish->act, finish->lo, finish->hi), lanes);
    }
}

/* Totals are along the lanes, and the output is contiguous along the positions. */
static void finish_transposed(const struct cvl_direct_finish *finish, int t, int lane)
{
    const int count = finish->count - t < VF_LANES ? finish->count - t : VF_LANES;
    const int lanes = finish->lanes - lane < VF_LANES ? finish->lanes - lane : VF_LANES;
    vf rows[VF_LANES];
    for (int i = 0; i < VF_LANES; i++)
        rows[i] = i < count ? vf_load(finish->totals + (t + i) * PANEL + lane) : vf_zero();
    vf_transpose(rows);
    for (int i = 0; i < lanes; i++) {
        const vf sum = finish->bias ? rows[i] + finish->bias[(lane + i) * finish->bias_lane] : rows[i];
        finish_vector(finish, sum, t + (lane + i) * finish->out_lane, 1, count);
    }
}

static void finish(const struct cvl_direct_finish *finish)
{
    const bool transposed = finish->out_count == 1 && finish->out_lane != 1 && finish->count > 1;
    for (int lane = 0; lane < finish->lanes; lane += VF_LANES) {
        const int lanes = finish->lanes - lane < VF_LANES ? finish->lanes - lane : VF_LANES;
        vf bias = vf_zero();
        if (finish->bias && !transposed)
            bias = vf_load_strided(finish->bias + lane * finish->bias_lane, finish->bias_lane, lanes);
        for (int t = 0; t < finish->count; t += transposed ? VF_LANES : 1) {
            if (transposed) {
                finish_transposed(finish, t, lane);
                continue;
            }
            vf sum = vf_load(finish->totals + t * PANEL + lane);
            if (finish->bias)
                sum += bias;
            finish_vector(finish, sum, t * finish->out_count + lane * finish->out_lane, finish->out_lane, lanes);
        }
    }
}

extern const struct cvl_direct_kern CVL_KERN(cvl_direct_kern);
const struct cvl_direct_kern CVL_KERN(cvl_direct_kern) = {
    .lanes = VF_LANES, .panel = PANEL, .tile = TILE,
    .broadcast = broadcast, .lanewise = lanewise, .copy = copy, .finish = finish,
};
