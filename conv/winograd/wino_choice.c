/* SPDX-License-Identifier: Apache-2.0
 * What a tile costs, and which tiles are worth measuring. The fit of the tile to the image, whole rows of the
 * micro-kernel and the traffic of the transformed filter decide: F(6) at 56 wastes a seventh, F(7) nothing; at 7x7 with
 * 512 channels F(4) reads 38 MB of filter for four tiles, and 2x4 reads 25 for eight. */
#include "conv/winograd/wino.h"

#include "base/machine.h"

#include <math.h>
#include <string.h>

double cvl_wino_line_cycles(const struct cvl_wino_axis *axis, int matrix, int in, int out)
{
    return cvl_wino_matrices_all[axis->f].operations[matrix] + 0.7 * in + 2.0 * out;
}

/* Of both transforms of all tiles. */
static double transform_cycles(const struct cvl_wino *w)
{
    const struct cvl_wino_axis *r = &w->rows, *c = &w->columns;
    const bool copied = w->in.at[1] != 1 || c->stride > 1;
    const double down = cvl_wino_line_cycles(r, 0, r->t, r->t), along = cvl_wino_line_cycles(c, 0, c->t, c->t);
    const double shared = (c->m + (double)(c->t - c->m) / w->segment) * (down + (copied ? 4.0 * r->t : 0));
    const double back = c->t * cvl_wino_line_cycles(r, 2, r->t, r->m)
                      + r->m * (cvl_wino_line_cycles(c, 2, c->t, c->m) + (w->out.at[1] != 1 ? 6.0 * c->m : 0));
    return w->tiles * (w->vectors * (shared + r->t * along) + w->panels * back);
}

static double product_cycles(const struct cvl_wino *w)
{
    const int last = w->tiles - (w->blocks - 1) * w->block;
    double cycles = 0;
    for (int i = 0; i < w->points; i++) {
        if (i > 0 && w->phases == 1)
            return cycles * w->points;
        double whole, rest;
        cvl_tile_shape(w->gemm, w->block, w->group, w->point[i].count, &whole);
        cvl_tile_shape(w->gemm, last, w->group, w->point[i].count, &rest);
        cycles += ((w->blocks - 1) * whole + rest) * w->panels / w->group;
    }
    return cycles;
}

/* Floats of the filter that the products fetch from beyond the second-level cache. Each block of tiles takes it all;
 * staged, a group of panels stays there for all blocks if it has room beside the tiles. */
static double fetched_floats(const struct cvl_wino *w)
{
    const double l2 = cvl_cpu_info()->l2 ? (double)cvl_cpu_info()->l2 : 1 << 20;
    const bool stays = w->staged && w->u_floats * sizeof(float) / w->groups < 0.8 * l2;
    return (double)w->u_floats * (stays ? 1 : w->blocks);
}

/* Lines that the products fetch from beyond the second-level cache, a cycle each where most of that is hidden. It is
 * not where a whole problem's tiles are written and read again, from memory if no cache holds them. */
static double traffic_cycles(const struct cvl_wino *w)
{
    const double l2 = cvl_cpu_info()->l2 ? (double)cvl_cpu_info()->l2 : 1 << 20, lines = 16;
    const double l3 = (double)cvl_cpu_l3();
    const double filter = fetched_floats(w) / lines;
    const double v = (double)w->v_floats, products = (double)w->m_floats * w->groups;
    const bool spills = (v + w->m_floats) * sizeof(float) > 0.8 * l2;
    const double spilled = spills ? (v * (w->groups + 1) + 2 * products) / lines : 0;
    const double line = v * sizeof(float) > 0.25 * l3 ? 12 : 6;
    return filter + (w->staged ? line : w->blocks) * spilled;
}

double cvl_wino_cycles(const struct cvl_wino *w)
{
    const double cycles = product_cycles(w) + traffic_cycles(w) + transform_cycles(w);
    return w->tiles == 0 ? 0 : w->staged ? 1.08 * cycles : cycles;   /* staged, as measured on one thread */
}

/* The filter streams from the third level, and from memory hardly slower. It is fetched ahead, and hidden the better the
 * longer its tiles take: at 4 tiles a line of it took 6 cycles more, at 6 and 8 three to five, at 16 two (F(4), 448
 * channels, 8x8), at 64 the one of traffic_cycles. */
static double seconds_of(const struct cvl_wino *w)
{
    const struct cvl_rates *rates = &w->ctx->rates;
    const double computed = cvl_wino_cycles(w) * 2 * w->lanes / rates->f32_flops;
    const double fetched = fetched_floats(w) * sizeof(float) / rates->copy_l3;
    const double longer = fmax(computed, fetched), shorter = fmin(computed, fetched);
    const double tasks = w->staged ? w->groups : w->blocks, threads = w->ctx->threads;
    const double waste = tasks ? ceil(tasks / threads) * threads / tasks : 1;
    return w->tiles == 0 ? 1e-6 : longer + 0.6 * shorter * shorter / longer + computed * (waste - 1) + 1e-6;
}

double cvl_wino_estimate(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    struct cvl_wino wino;
    return cvl_wino_cut(ctx, desc, variant, &wino) == CVL_OK ? seconds_of(&wino) : INFINITY;
}

static int fewer_tiles(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    struct cvl_wino wino;
    if (cvl_wino_cut(ctx, desc, variant, &wino) != CVL_OK || wino.block < 12)
        return 0;
    return cvl_divide_up(wino.tiles, 2 * wino.blocks);
}

const struct cvl_wino_pass cvl_wino_data_pass = { cvl_wino_estimate, fewer_tiles };

/* ---- variants, of all passes ---- */

struct choice { struct cvl_variant variant; double seconds; };

struct race { const struct cvl_wino_pass *pass; const cvl_ctx *ctx; const cvl_conv_desc *desc; };

/* The faster schedule of a tile. */
static struct choice best_of(const struct race *race, int m)
{
    struct choice blocked = { .variant.knob = { [CVL_WINO_M] = m } }, staged = blocked;
    staged.variant.knob[CVL_WINO_STAGED] = 1;
    blocked.seconds = race->pass->estimate(race->ctx, race->desc, &blocked.variant);
    staged.seconds = race->pass->estimate(race->ctx, race->desc, &staged.variant);
    return staged.seconds < blocked.seconds ? staged : blocked;
}

enum { TILES_MAX = 64 };

static int insert(struct choice *ranked, int count, const struct choice *made)
{
    int at = count;
    for (; at > 0 && ranked[at - 1].seconds > made->seconds; at--)
        ranked[at] = ranked[at - 1];
    ranked[at] = *made;
    return count + 1;
}

/* Every tile there is, the fastest first, less those that fit as well turned; returns how many. */
static int rank(const struct race *race, struct choice ranked[TILES_MAX])
{
    int count = 0;
    for (int low = 1; low <= 7; low++)
        for (int high = cvl_max(2, low); high <= 7; high++) {
            const struct choice wide = best_of(race, low == high ? low : 10 * low + high);
            const struct choice tall = best_of(race, low == high ? low : 10 * high + low);
            if ((race->desc->r == 1 || race->desc->s == 1) && low != high)
                continue;
            if (isfinite(wide.seconds))
                count = insert(ranked, count, &wide);
            if (isfinite(tall.seconds) && low != high && fabs(tall.seconds - wide.seconds) > 0.02 * wide.seconds)
                count = insert(ranked, count, &tall);
        }
    return count;
}

static int add(struct cvl_variant *variants, int count, int max, const struct cvl_variant *variant)
{
    for (int i = 0; i < count; i++)
        if (memcmp(variants[i].knob, variant->knob, sizeof variant->knob) == 0)
            return count;
    if (count < max)
        variants[count++] = *variant;
    return count;
}

/* The same tile with the other schedule, and with smaller blocks. */
static int add_neighbours(const struct race *race, const struct cvl_variant *best, struct cvl_variant *variants,
                          int count, int max)
{
    struct cvl_variant other = *best;
    other.knob[CVL_WINO_STAGED] = !best->knob[CVL_WINO_STAGED];
    count = add(variants, count, max, &other);
    other = *best;
    other.knob[CVL_WINO_TILES] = race->pass->fewer(race->ctx, race->desc, best);
    return add(variants, count, max, &other);
}

/* The best guesses, neighbours of the first two, and squares with smaller errors for queries that bound them. */
int cvl_wino_variants(const struct cvl_wino_pass *pass, const cvl_ctx *ctx, const cvl_conv_desc *desc,
                      struct cvl_variant *variants, int max)
{
    enum { GUESSES = 5 };
    static const int small[] = { 4, 2, 6 };
    const struct race race = { pass, ctx, desc };
    struct choice ranked[TILES_MAX];
    const int tiles = rank(&race, ranked);
    int count = 0;
    for (int i = 0; i < tiles && i < GUESSES; i++)
        count = add(variants, count, max, &ranked[i].variant);
    for (size_t i = 0; i < sizeof small / sizeof *small; i++)
        for (int j = 0; j < tiles; j++)
            if (ranked[j].variant.knob[CVL_WINO_M] == small[i])
                count = add(variants, count, max, &ranked[j].variant);
    for (int i = 0; i < tiles && i < 2; i++)
        count = add_neighbours(&race, &ranked[i].variant, variants, count, max);
    return count;
}
