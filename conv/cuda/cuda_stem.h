/* SPDX-License-Identifier: Apache-2.0
 * A network's first layer on the tensor cores: what the host hands to the kernel, and what one thread does.
 *
 * A block computes 128 pixels, tile_q columns of 128/tile_q rows, for 64 of k. It brings the patch of the image that
 * they see into shared memory as it lies in NHWC: a row of taps is s*c neighbours there, so element j of tap row r of a
 * pixel is at pixel + r*pitch + j, and the reduction is (r, j), each row of taps made even and the whole a multiple
 * of 16. Pairs of elements are what a register of a fragment holds. Where a pixel may begin at an odd element there is
 * a second copy of the patch, one element earlier, so that every pair is read at once. */
#ifndef CONV_CUDA_CUDA_STEM_H
#define CONV_CUDA_CUDA_STEM_H

#include "conv/cuda/cuda_finish.h"
#include "conv/cuda/cuda_gather.h"
#include "conv/cuda/cuda_mma_lanes.h"

#include <assert.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    CVL_STEM_PIXELS = 128, CVL_STEM_K = 64, CVL_STEM_THREADS = 128, CVL_STEM_WARPS = 4,
    CVL_STEM_GAP = 8,                      /* elements after each k's filter: no bank conflicts */
    CVL_STEM_DEPTH_MOST = 512,
    CVL_STEM_M = 2, CVL_STEM_N = 8,        /* products of 16 x 8 that a warp has side by side: 32 pixels, 64 of k */
    CVL_STEM_LINE = CVL_STEM_K + 1,        /* of sums in shared memory */
};

struct cvl_stem {
    const void        *x, *filter;         /* (n,h,w*c); (blocks of 64 of k, 64, depth + gap), zeros past the ends */
    cvl_dtype          type;
    int                x_n, h, row;        /* elements of an image; its rows; elements of one */
    int                first, step;        /* element at which the first pixel begins; from one to the next */
    int                top, stride_h;
    int                p, q, k;
    struct cvl_divisor tile_q, p_tiles, q_tiles;
    int                tiles;
    int                rows, copies;       /* of the patch */
    struct cvl_divisor pitch;              /* elements of a row of the patch, even */
    int                depth, taps_pairs;  /* of the reduction; pairs that are not past its end */
    struct cvl_divisor row_pairs;          /* pairs of one row of taps */
    int                y_n, y_p, y_q, y_k; /* strides */
    int                wide;               /* 4 or 8: so many channels may be stored as one vector; else 1 */
    int                along_k;            /* neighbours in y are of k, not of q */
    struct cvl_finish  finish;
};

/* The filter as above from (k,c,r,s), one element for each index. */
struct cvl_stem_pack {
    const void        *from;
    void              *to;
    struct cvl_divisor line, row;          /* elements of one k; of one row of taps, even */
    struct cvl_divisor c;
    int                count, k, r, s;
    int                at_k, at_c, at_r, at_s;
};

/* 0 or a cudaError_t. blocks: how many share the tiles of 64 of k. */
int cvl_cuda_stem(const struct cvl_stem *stem, int blocks, void *stream);
int cvl_cuda_stem_pack(const struct cvl_stem_pack *pack, void *stream);

#ifdef __cplusplus
}
#endif

/* ---- shared memory: the filter of 64 of k, then the patch, in whose place the sums are put ---- */

CVL_HD int cvl_stem_line(const struct cvl_stem *g) { return g->depth + CVL_STEM_GAP; }
CVL_HD int cvl_stem_filter_bytes(const struct cvl_stem *g) { return CVL_STEM_K * cvl_stem_line(g) * 2; }
CVL_HD int cvl_stem_patch(const struct cvl_stem *g) { return g->rows * (int)g->pitch.divisor; }   /* elements */

CVL_HD int cvl_stem_shared_bytes(const struct cvl_stem *g)
{
    const int patch = cvl_stem_patch(g) * g->copies * 2, sums = CVL_STEM_PIXELS * CVL_STEM_LINE * 4;
    return cvl_stem_filter_bytes(g) + (patch > sums ? patch : sums);
}

/* ---- a tile ---- */

struct cvl_stem_place { int n, p, q; };

CVL_HD struct cvl_stem_place cvl_stem_place_of(const struct cvl_stem *g, int tile)
{
    const int rest = cvl_divide(g->q_tiles, tile), n = cvl_divide(g->p_tiles, rest);
    struct cvl_stem_place place;
    place.n = n;
    place.p = (rest - n * (int)g->p_tiles.divisor) * (CVL_STEM_PIXELS / (int)g->tile_q.divisor);
    place.q = (tile - rest * (int)g->q_tiles.divisor) * (int)g->tile_q.divisor;
    return place;
}

/* Zeros outside of the image. */
CVL_HD void cvl_stem_bring(const struct cvl_stem *g, const struct cvl_stem_place *place, int t, uint16_t *patch)
{
    const int pitch = (int)g->pitch.divisor, all = cvl_stem_patch(g);
    const uint16_t *image = (const uint16_t *)g->x + (int64_t)place->n * g->x_n;
    for (int i = t; i < all; i += CVL_STEM_THREADS) {
        const int row = cvl_divide(g->pitch, i), at = g->first + place->q * g->step + i - row * pitch;
        const int y = place->p * g->stride_h - g->top + row;
        const int inside = (uint32_t)y < (uint32_t)g->h && (uint32_t)at < (uint32_t)g->row;
        const uint16_t element = inside ? image[(int64_t)y * g->row + at] : (uint16_t)0;
        patch[i] = element;
        if (g->copies == 2)
            patch[all + (i == 0 ? all - 1 : i - 1)] = element;
    }
}

/* Where a pixel's taps begin in the patch: an even element. */
CVL_HD int cvl_stem_pixel_at(const struct cvl_stem *g, int pixel)
{
    const int row = cvl_divide(g->tile_q, pixel), column = pixel - row * (int)g->tile_q.divisor;
    const int at = row * g->stride_h * (int)g->pitch.divisor + column * g->step;
    return at % 2 ? cvl_stem_patch(g) + at - 1 : at;
}

/* From there on to a pair of the reduction; past its end, where the filter is 0, to its last. */
CVL_HD int cvl_stem_pair_at(const struct cvl_stem *g, int pair)
{
    const int here = pair < g->taps_pairs ? pair : g->taps_pairs - 1, r = cvl_divide(g->row_pairs, here);
    return r * (int)g->pitch.divisor + (here - r * (int)g->row_pairs.divisor) * 2;
}

CVL_HD uint32_t cvl_stem_pair(const uint16_t *from)
{
#ifdef __CUDA_ARCH__
    return *(const uint32_t *)from;
#else
    uint32_t pair;
    assert((uintptr_t)from % 4 == 0);
    memcpy(&pair, from, sizeof pair);
    return pair;
#endif
}

/* The registers of a lane for 16 of the reduction: of 16 pixels, and of 8 of k. */
CVL_HD void cvl_stem_pixels(const uint16_t *patch, int upper, int lower, int pair, int next, uint32_t a[4])
{
    a[0] = cvl_stem_pair(patch + upper + pair);
    a[1] = cvl_stem_pair(patch + lower + pair);
    a[2] = cvl_stem_pair(patch + upper + next);
    a[3] = cvl_stem_pair(patch + lower + next);
}

CVL_HD void cvl_stem_filters(const uint16_t *filter, int line, int k, int depth, int lane, uint32_t b[2])
{
    const uint16_t *from = filter + (k + lane / 4) * line + depth + lane % 4 * 2;
    b[0] = cvl_stem_pair(from);
    b[1] = cvl_stem_pair(from + 8);
}

/* Sums lie (pixel, k) in lines of 65 floats. */
CVL_HD void cvl_stem_store_wide(const struct cvl_stem *g, const struct cvl_stem_place *place, int k_block, int t,
                                const float *sums, int wide)
{
    const int across = CVL_STEM_K / wide;
    float bias[8];
    for (int i = t; i < CVL_STEM_PIXELS * across; i += CVL_STEM_THREADS) {
        const int pixel = g->along_k ? i / across : i % CVL_STEM_PIXELS;
        const int column = (g->along_k ? i % across : i / CVL_STEM_PIXELS) * wide;
        const int row = cvl_divide(g->tile_q, pixel), p = place->p + row, k = k_block * CVL_STEM_K + column;
        const int q = place->q + pixel - row * (int)g->tile_q.divisor;
        const float *sum = sums + pixel * CVL_STEM_LINE + column;
        if (p >= g->p || q >= g->q || k >= g->k)
            continue;
        const int to = place->n * g->y_n + p * g->y_p + q * g->y_q + k * g->y_k;
        cvl_finish_bias(&g->finish, k, wide, bias);
        cvl_finish_store(&g->finish, to, wide, sum, bias);
    }
}

CVL_HD void cvl_stem_store(const struct cvl_stem *g, const struct cvl_stem_place *place, int k_block, int t,
                           const float *sums)
{
    if (g->wide == 8)
        cvl_stem_store_wide(g, place, k_block, t, sums, 8);
    else if (g->wide == 4)
        cvl_stem_store_wide(g, place, k_block, t, sums, 4);
    else
        cvl_stem_store_wide(g, place, k_block, t, sums, 1);
}

/* ---- the filter ---- */

CVL_HD void cvl_stem_pack_one(const struct cvl_stem_pack *f, int index)
{
    const int k = cvl_divide(f->line, index), at = index - k * (int)f->line.divisor;
    const int r = cvl_divide(f->row, at), j = at - r * (int)f->row.divisor;
    const int s = cvl_divide(f->c, j), c = j - s * (int)f->c.divisor;
    const int inside = k < f->k && r < f->r && s < f->s;
    const int from = k * f->at_k + c * f->at_c + r * f->at_r + s * f->at_s;
    ((uint16_t *)f->to)[index] = inside ? ((const uint16_t *)f->from)[from] : (uint16_t)0;
}

#endif
