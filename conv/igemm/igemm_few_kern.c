/* SPDX-License-Identifier: Apache-2.0
 * The micro-kernel of igemm_few.c. A vector of dy meets the filter's columns of all residue classes that see it, so it
 * is loaded once for sides * channels multiply-adds; where only one class sees it, only that one is computed. */
#include "base/vec_math.h"
#include "base/vec_weave.h"
#include "conv/igemm/igemm_few.h"

#if defined(__AVX512F__) || defined(__aarch64__)
#define SUMS 24                  /* of 32 registers; the rest hold what is multiplied */
#else
#define SUMS 12                  /* of 16 */
#endif

CVL_INLINE int at_most(int value, int limit) { return value < limit ? value : limit; }

/* Some channels of dy at one tap, as the sums of one side or both. */
struct part {
    const float *b, *w[CVL_FEW_SIDES], *fetch;
    int          steps;
};

CVL_INLINE void accumulate(const struct cvl_few_tile *t, struct part part, const int lo, const int hi,
                           const int channels, const int vectors, vf *sums)
{
    const ptrdiff_t step = t->band_step, fetch_step = t->fetch_step;
    const float *b = part.b, *w0 = part.w[lo], *w1 = part.w[hi - 1], *fetch = part.fetch;
    for (int k = part.steps; k > 0; k--) {
        CVL_UNROLL(32)
        for (int v = 0; v < vectors; v++) {
            const vf lanes = vf_keep(vf_load(b + v * VF_LANES));
            CVL_UNROLL(32)
            for (int i = lo * channels; i < hi * channels; i++)
                sums[i * vectors + v] += (i < (lo + 1) * channels ? w0 : w1)[i % channels] * lanes;
        }
        __builtin_prefetch(fetch, 0, 2);
        fetch += fetch_step;
        b += step;
        w0 += channels;
        w1 += channels;
    }
}

/* A chunk of channels at a time, so that all columns of the filter find it in the first-level cache. */
CVL_INLINE void multiply(const struct cvl_few_tile *t, const int sides, const int channels, const int vectors, vf *sums)
{
    int line = t->fetch_first;
    for (int tap = 0; tap < t->taps; tap++) {
        const float *row = t->band + (t->row + tap * t->row_step) % t->ring * t->band_row;
        for (int first = 0; first < t->steps; first += CVL_FEW_CHUNK)
            for (int offset = 0; offset < t->offsets; offset++, line++) {
                struct part part = { .b = row + first * t->band_step + offset,
                                     .steps = at_most(t->steps - first, CVL_FEW_CHUNK) };
                const float *w = t->w + tap * t->w_row + first * channels;
                for (int i = 0; i < sides; i++) {
                    const int nth = offset - t->side[i].first;
                    if (nth >= 0 && nth < t->side[i].taps)
                        part.w[i] = w + (t->side[i].w + nth * t->side[i].w_step) * t->w_column;
                }
                part.fetch = t->fetch + line / t->fetch_lines * CVL_FEW_CHUNK * t->fetch_step
                           + line % t->fetch_lines * 16;
                if (sides == 1 || !part.w[1])
                    accumulate(t, part, 0, 1, channels, vectors, sums);
                else if (!part.w[0])
                    accumulate(t, part, 1, 2, channels, vectors, sums);
                else
                    accumulate(t, part, 0, 2, channels, vectors, sums);
            }
    }
}

/* One vector of run `run`, i elements from its begin. */
CVL_INLINE void store_vector(const struct cvl_few_tile *t, int run, int i, vf sum)
{
    const ptrdiff_t at = run * t->out_channel + i;
    const int part = at_most(t->limit - i, VF_LANES);
    if (part <= 0)
        return;
    if (t->add)
        sum += vf_load_part(t->add + at, part);
    if (t->bias)
        sum += t->by_channel ? vf_set(t->bias[run]) : vf_load(t->bias + i % t->channels);
    sum = vf_activate(sum, t->act, t->lo, t->hi);
    if (part == VF_LANES)
        vf_store(t->out + at, sum);
    else
        vf_store_part(t->out + at, sum, part);
}

/* Runs of `streams` woven rows each: row s of run r is row s*runs + r of the sums. */
CVL_INLINE void store(const struct cvl_few_tile *t, const int streams, int runs, const float *sums)
{
    const bool plain = !t->add && !t->bias && t->act == CVL_ACT_NONE;
    const ptrdiff_t row = t->vectors * VF_LANES;
    for (int run = 0; run < runs; run++)
        for (int v = 0; v < t->vectors; v++) {
            vf rows[CVL_FEW_VECTORS];
            CVL_UNROLL(32)
            for (int s = 0; s < streams; s++)
                rows[s] = vf_load(sums + (s * runs + run) * row + v * VF_LANES);
            vf_weave(streams, rows);
            const int first = v * streams * VF_LANES;
            if (plain && t->limit >= first + streams * VF_LANES) {
                CVL_UNROLL(32)
                for (int i = 0; i < streams; i++)
                    vf_store(t->out + run * t->out_channel + first + i * VF_LANES, rows[i]);
            } else {
                for (int i = 0; i < streams; i++)
                    store_vector(t, run, first + i * VF_LANES, rows[i]);
            }
        }
}

static void store_sums(const struct cvl_few_tile *t, const float *sums)
{
    switch (t->by_channel ? t->sides : t->sides * t->channels) {
    case 1: store(t, 1, t->by_channel ? t->channels : 1, sums); break;
    case 2: store(t, 2, t->by_channel ? t->channels : 1, sums); break;
    case 3: store(t, 3, 1, sums); break;
    case 4: store(t, 4, 1, sums); break;
    case 6: store(t, 6, 1, sums); break;
    case 8: store(t, 8, 1, sums); break;
    }
}

CVL_INLINE void tile(const struct cvl_few_tile *t, const int sides, const int channels, const int vectors)
{
    vf sums[SUMS];
    float scratch[SUMS * VF_LANES];
    CVL_UNROLL(32)
    for (int i = 0; i < sides * channels * vectors; i++)
        sums[i] = vf_zero();
    multiply(t, sides, channels, vectors, sums);
    CVL_UNROLL(32)
    for (int i = 0; i < sides * channels * vectors; i++)
        vf_store(scratch + i * VF_LANES, sums[i]);
    store_sums(t, scratch);
}

#define KEY(sides, channels, vectors) ((sides) * 100 + (channels) * 10 + (vectors))
#define TILE(sides, channels, vectors) \
    case KEY(sides, channels, vectors): \
        if (sides * channels * vectors <= SUMS) tile(t, sides, channels, vectors); \
        break;
#define TILES_TO_3(sides, channels) TILE(sides, channels, 1) TILE(sides, channels, 2) TILE(sides, channels, 3)
#define TILES_TO_4(sides, channels) TILES_TO_3(sides, channels) TILE(sides, channels, 4)
#define TILES_TO_6(sides, channels) TILES_TO_4(sides, channels) TILE(sides, channels, 5) TILE(sides, channels, 6)
#define TILES_TO_8(sides, channels) TILES_TO_6(sides, channels) TILE(sides, channels, 7) TILE(sides, channels, 8)

static void few(const struct cvl_few_tile *t)
{
    switch (KEY(t->sides, t->channels, t->vectors)) {
        TILES_TO_8(1, 1)
        TILES_TO_8(1, 2)
        TILES_TO_8(1, 3)
        TILES_TO_6(1, 4)
        TILES_TO_8(2, 1)
        TILES_TO_6(2, 2)
        TILES_TO_4(2, 3)
        TILES_TO_3(2, 4)
    }
}

extern const struct cvl_few_kern CVL_KERN(cvl_few_kern);
const struct cvl_few_kern CVL_KERN(cvl_few_kern) = {
#if SUMS == 24
    .vectors_max = { [1] = { 0, 8, 8, 8, 6 }, [2] = { 0, 8, 6, 4, 3 } },
#else
    .vectors_max = { [1] = { 0, 8, 5, 4, 3 }, [2] = { 0, 5, 3, 2, 1 } },
#endif
    .tile = few,
};
