/* SPDX-License-Identifier: Apache-2.0
 * Several rows of a narrow plane in one vector, 3 x 3 taps. With a stride of one, rows as wide as the image lie one
 * after another in both, and so do the lanes: a row of taps takes one load, the columns left and right of it two
 * shifts. With a stride of two, two rows of less than half a vector share one: even and odd columns of both are parted
 * together. What is inside is the same for all planes and worked out once. */
#include "conv/depthwise/depthwise_run.h"

enum { TAPS = 3, ROWS = 2, GROUPS = CVL_DW_PAIRS };

/* Output rows of one vector, and of the loads that they take, from the second row of taps on, what is inside of the
 * image: with a stride of one two rows at once, with two one row each. What comes before was the last of the group
 * before; `first` is that of the first group. */
struct group { vf_lanes inside[2 * ROWS]; int lanes; };

struct narrow {
    struct group groups[GROUPS];
    int          count;                  /* of groups */
    vf_lanes     first;
    vf_some      left, right;            /* lanes that have such a neighbour */
    vi           order;                  /* where a stored lane's sum is */
    bool         clipped;
    float        low, high;
    vf           weights[TAPS * TAPS], bias;
};

/* The three columns under a row of taps. */
CVL_INLINE void load_near(const struct narrow *n, vf_lanes inside, const float *x, vf values[TAPS])
{
    values[1] = vf_keep(vf_load_lanes(x, inside));
    values[0] = vf_below(values[1], n->left);
    values[2] = vf_above(values[1], n->right);
}

/* One vector of outputs, whose second row of taps is at x. What the last row of taps meets, the first meets next. */
CVL_INLINE vf sum_near(const struct narrow *n, const struct group *group, const float *x, ptrdiff_t x_row,
                       vf shared[TAPS])
{
    vf middle[TAPS], sum = n->bias, other = vf_zero();
    load_near(n, group->inside[0], x, middle);
    CVL_UNROLL(40)
    for (int s = 0; s < TAPS; s++)
        sum += shared[s] * n->weights[s];
    CVL_UNROLL(40)
    for (int s = 0; s < TAPS; s++)
        other += middle[s] * n->weights[TAPS + s];
    load_near(n, group->inside[1], x + x_row, shared);
    CVL_UNROLL(40)
    for (int s = 0; s < TAPS; s++)
        sum += shared[s] * n->weights[2 * TAPS + s];
    return sum + other;
}

/* A row of taps, of the outputs whose first is at `low`. */
CVL_INLINE vf sum_pairs(vf sum, vf low, vf high, const vf weights[TAPS])
{
    vf even, odd;
    vf_part_pairs(low, high, &even, &odd);
    return sum + even * weights[0] + odd * weights[1] + vf_follow_pairs(even, even) * weights[2];
}

CVL_INLINE vf sum_even(const struct narrow *n, const struct group *group, const float *x, ptrdiff_t x_row,
                       vf *shared)
{
    vf rows[2 * ROWS];
    CVL_UNROLL(40)
    for (int i = 0; i < 2 * ROWS; i++)
        rows[i] = vf_load_lanes(x + i * x_row, group->inside[i]);
    const vf first = sum_pairs(n->bias, *shared, rows[1], n->weights);
    const vf second = sum_pairs(first, rows[0], rows[2], n->weights + TAPS);
    *shared = rows[3];
    return vf_lookup(sum_pairs(second, rows[1], rows[3], n->weights + 2 * TAPS), n->order);
}

/* Of two rows of a dense image. */
CVL_INLINE vf_lanes rows_inside(const struct cvl_dw_band *b, int row)
{
    const int from = cvl_min(cvl_max(0, -row), ROWS), to = cvl_max(from, cvl_min(ROWS, b->rows.extent - row));
    return vf_lanes_of(from * b->columns.count, to * b->columns.count);
}

CVL_INLINE vf_lanes row_inside(const struct cvl_dw_band *b, int row)
{
    const int column = b->columns.origin, to = cvl_min(VF_LANES, b->columns.extent - column);
    return row < 0 || row >= b->rows.extent ? vf_lanes_of(0, 0) : vf_lanes_of(cvl_max(0, -column), to);
}

static vf_lanes inside(const struct cvl_dw_band *b, int row)
{
    return b->rows.stride == 1 ? rows_inside(b, row) : row_inside(b, row);
}

static void group_rows(const struct cvl_dw_band *b, struct narrow *n)
{
    n->first = inside(b, b->rows.origin);
    for (int t = 0; t < b->rows.count; t += ROWS) {
        struct group *group = &n->groups[n->count++];
        group->lanes = cvl_min(ROWS, b->rows.count - t) * b->columns.count;
        for (int i = 0; i < 2 * ROWS; i++)
            group->inside[i] = inside(b, b->rows.origin + t * b->rows.stride + 1 + i);
    }
}

static struct narrow start(const struct cvl_dw_band *b)
{
    const int width = b->columns.count;
    const uint32_t first = 1u | 1u << width;
    struct narrow n = { .left = vf_some_of(~first), .right = vf_some_of(~(first << (width - 1))) };
    float lanes[VF_LANES];
    for (int lane = 0; lane < VF_LANES; lane++)
        lanes[lane] = (float)lane;
    vf_store(lanes, vf_order_pairs(vf_load(lanes)));
    for (int lane = 0; lane < width; lane++) {
        n.order[lane] = (int)lanes[lane];
        n.order[width + lane] = (int)lanes[VF_LANES / 2 + lane];
    }
    n.clipped = clips(&b->finish, &n.low, &n.high);
    group_rows(b, &n);
    return n;
}

/* rare: a residual, or an activation that needs registers. */
CVL_INLINE void store(const struct cvl_dw_band *b, const struct narrow *n, vf sum, int lanes, ptrdiff_t to,
                      const bool rare)
{
    if (rare) {
        float scratch[VF_LANES];
        vf_store(scratch, sum);
        finish_apart(&b->finish, scratch, 1, lanes, b->out + to, to, 0, 1);
        return;
    }
    if (n->clipped)
        sum = vf_clip(sum, vf_set(n->low), vf_set(n->high));
    vf_store_part(b->out + to, sum, lanes);
}

CVL_INLINE void sum_planes(const struct cvl_dw_band *b, const int stride, const bool rare)
{
    const ptrdiff_t x_row = b->rows.x;
    struct narrow n = start(b);
    for (int plane = 0; plane < b->planes; plane++) {
        const float *x = b->x + plane * b->x_plane + b->rows.origin * x_row + (stride == 2 ? b->columns.origin : 0);
        const float *w = plane_weights(b, plane);
        ptrdiff_t to = plane * b->out_plane;
        vf shared[TAPS];
        CVL_UNROLL(40)
        for (int i = 0; i < TAPS * TAPS; i++)
            n.weights[i] = vf_set(w[i / TAPS * b->rows.w + i % TAPS * b->columns.w]);
        n.bias = b->finish.bias ? vf_set(b->finish.bias[plane]) : vf_zero();
        if (stride == 1)
            load_near(&n, n.first, x, shared);
        else
            shared[0] = vf_load_lanes(x, n.first);
        x += x_row;
        for (int i = 0; i < n.count; i++, x += ROWS * stride * x_row) {
            const struct group *group = &n.groups[i];
            const vf sum = stride == 1 ? sum_near(&n, group, x, x_row, shared) : sum_even(&n, group, x, x_row, shared);
            store(b, &n, sum, group->lanes, to, rare);
            to += group->lanes;
        }
    }
}

static void near(const struct cvl_dw_band *b) { sum_planes(b, 1, false); }
static void even(const struct cvl_dw_band *b) { sum_planes(b, 2, false); }
static void near_rare(const struct cvl_dw_band *b) { sum_planes(b, 1, true); }
static void even_rare(const struct cvl_dw_band *b) { sum_planes(b, 2, true); }

static void narrow(const struct cvl_dw_band *b)
{
    if (is_rare(&b->finish))
        (b->columns.stride == 2 ? even_rare : near_rare)(b);
    else
        (b->columns.stride == 2 ? even : near)(b);
}

extern const struct cvl_dw_band_kern CVL_KERN(cvl_dw_narrow_kern);
const struct cvl_dw_band_kern CVL_KERN(cvl_dw_narrow_kern) = { .band = narrow };
