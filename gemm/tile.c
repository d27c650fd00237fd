/* SPDX-License-Identifier: Apache-2.0 */
#include "gemm/tile.h"

#include <math.h>

#define DECLARE(level) extern const struct cvl_gemm_kern cvl_gemm_kern_##level;
CVL_ISA_LIST(DECLARE)
#define ENTRY(level) &cvl_gemm_kern_##level,
static const struct cvl_gemm_kern *const kerns[] = { CVL_ISA_LIST(ENTRY) };

const struct cvl_gemm_kern *cvl_gemm_kern(enum cvl_isa isa)
{
    return kerns[isa];
}

static void drop(struct cvl_tile *t, int loop)
{
    for (int i = loop; i < 2; i++) {
        t->count[i] = t->count[i + 1];
        t->a_step[i] = t->a_step[i + 1];
        t->b_step[i] = t->b_step[i + 1];
    }
    t->count[2] = 1;
}

void cvl_tile_join(struct cvl_tile *t)
{
    for (int loop = 1, seen = 1; seen < 3; seen++) {
        const int inner = t->count[loop - 1];
        if (t->count[loop] == 1) {
            drop(t, loop);
        } else if (inner == 1) {
            drop(t, loop - 1);
        } else if (t->a_step[loop] == inner * t->a_step[loop - 1] && t->b_step[loop] == inner * t->b_step[loop - 1]) {
            t->count[loop - 1] *= t->count[loop];
            drop(t, loop);
        } else {
            loop++;
        }
    }
}

/* ---- the shape of tiles ---- */

static int min(int a, int b) { return a < b ? a : b; }
static int divide(int a, int b) { return a / b + (a % b != 0); }   /* upwards */

void cvl_tile_skip(struct cvl_tile *t, int rows)
{
    t->a += rows * t->a_row;
    t->out += rows * t->out_row;
    t->add += t->add ? rows * t->out_row : 0;
    t->bias += t->bias ? rows * t->bias_row : 0;
}

void cvl_tile_rows(const struct cvl_gemm_kern *kern, struct cvl_tile *t, int rows)
{
    const int tiles = divide(rows, kern->rows_max[t->vectors]);
    for (int done = 0; done < tiles; done += t->repeat) {
        const int higher = rows % tiles - done;
        t->rows = rows / tiles + (higher > 0);
        t->repeat = t->b_next ? 1 : higher > 0 ? higher : tiles - done;
        kern->tile[t->vectors](t);
        cvl_tile_skip(t, t->rows * t->repeat);
        t->b_next = t->b_next_vector = 0;
    }
}

static double larger(double a, double b) { return a > b ? a : b; }

/* What a tile takes, in multiply-adds of a vector: one for each sum in each step, or the loads that feed them. */
static double tile_slots(const struct cvl_gemm_kern *kern, int rows, int vectors, int steps)
{
    return kern->begin_slots + steps * larger(rows * vectors, larger(vectors + kern->load_slots * (rows + 1), 5));
}

double cvl_tile_slots(const struct cvl_gemm_kern *kern, int rows, int vectors, int steps, int widest)
{
    double slots = 0;
    for (int left = vectors; left > 0;) {
        int take = min(left, widest);
        while (!kern->rows_max[take])
            take--;
        const int tiles = divide(rows, kern->rows_max[take]), low = rows / tiles, high = rows % tiles;
        const double lower = (tiles - high) * tile_slots(kern, low, take, steps);
        slots += left / take * (high ? lower + high * tile_slots(kern, low + 1, take, steps) : lower);
        left %= take;
    }
    return slots;
}

int cvl_tile_shape(const struct cvl_gemm_kern *kern, int rows, int vectors, int steps, double *slots)
{
    int best = 1;
    double least = INFINITY;
    for (int width = 1; width <= CVL_TILE_VECTORS; width++) {
        if (!kern->rows_max[width] || (width > vectors && width > 1))
            continue;
        const double took = cvl_tile_slots(kern, rows, vectors, steps, width);
        if (took < 0.999 * least) {
            least = took;
            best = width;
        }
    }
    if (slots)
        *slots = least;
    return best;
}
