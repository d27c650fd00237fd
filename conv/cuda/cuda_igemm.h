/* SPDX-License-Identifier: Apache-2.0
 * The implicit GEMM of the GPU: what the host hands to the kernels, all of it by value.
 *
 * out[m][n] = sum over k of a[m][k] * b[n][k], for each group and each part. Parts are the residue classes of BWD_DATA
 * with a stride; the other passes have one. */
#ifndef CONV_CUDA_CUDA_IGEMM_H
#define CONV_CUDA_CUDA_IGEMM_H

#include "conv/cuda/cuda_finish.h"
#include "conv/cuda/cuda_gather.h"
#include "cvl/conv.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CVL_GEMM_PARTS = 4 };

/* How a tile is brought: 16 bytes along the reduction, which has up to 32 taps, 16 bytes along the rows (16-bit types),
 * or single elements, with neighbouring threads along the one or the other. */
enum cvl_bring { CVL_BRING_ALONG_K, CVL_BRING_ALONG_ROWS, CVL_BRING_ONE_ALONG_K, CVL_BRING_ONE_ALONG_ROWS };

struct cvl_gemm_operand {
    const void    *data;
    int            group;              /* elements from group to group */
    int            image, height, width;   /* is there one that sites are points of? Else it is of 1 x 1 */
    enum cvl_bring bring;
};

/* One residue class. Lists are of m and k for a, of n and k for b, of m and n for the output. */
struct cvl_gemm_part {
    struct cvl_list a_rows, a_columns, b_columns, out_rows;
    int             first_tile;        /* of this launch, one group and split */
    int             m_tiles, steps;    /* of the reduction */
    int64_t         first_row;         /* of this part in the partial sums */
};

struct cvl_gemm {
    struct cvl_gemm_operand a, b;
    struct cvl_list         b_rows, out_columns;
    struct cvl_gemm_part    part[CVL_GEMM_PARTS];
    int                     parts, tiles, n_tiles, groups, splits;
    cvl_dtype               type;      /* of what is read */
    struct cvl_finish       finish;
    int                     out_group;
    int                     out_by_rows;       /* 1: the output's neighbours are of one row; 0: of one column */
    int                     wide_out;          /* 4 or 8: so many columns may be stored as one vector; else 1 */
    float                  *partial;           /* sums when splits > 1: (splits, groups, m, n), or ... n, m) */
    int64_t                 partial_rows;      /* m of all parts */
};

/* Tiles and threads of one kernel: X(index, m, n, warps along m, along n). Largest first. */
struct cvl_gemm_tile { int m, n, warps_m, warps_n; };
#define CVL_CORES_TILES(X)  X(0, 128, 128, 4, 2) X(1, 128, 64, 4, 2) X(2, 64, 64, 2, 2)
#define CVL_TENSOR_TILES(X) X(0, 128, 128, 2, 4) X(1, 128, 64, 2, 2) X(2, 64, 64, 2, 2)
enum { CVL_GEMM_TILES = 3, CVL_STAGES_MIN = 2, CVL_STAGES_MAX = 4 };

/* Where this block works. */
struct cvl_gemm_place { int part, group, split, m, n, first, last; };   /* first row, column, steps [first, last) */

CVL_HD struct cvl_gemm_place cvl_gemm_place_of(const struct cvl_gemm *g, struct cvl_gemm_tile tile, int block)
{
    struct cvl_gemm_place place = { 0, 0, 0, 0, 0, 0, 0 };
    const int at = block % g->tiles, slice = block / g->tiles;
    while (place.part + 1 < g->parts && at >= g->part[place.part + 1].first_tile)
        place.part++;
    const struct cvl_gemm_part *part = &g->part[place.part];
    const int in_part = at - part->first_tile;
    place.group = slice % g->groups;
    place.split = slice / g->groups;
    place.n = in_part % g->n_tiles * tile.n;   /* neighbours share rows of the image */
    place.m = in_part / g->n_tiles * tile.m;
    place.last = part->steps;
    if (g->splits > 1) {
        place.first = cvl_split_first(part->steps, g->splits, place.split);
        place.last = cvl_split_first(part->steps, g->splits, place.split + 1);
    }
    return place;
}

CVL_HD int64_t cvl_gemm_partial_at(const struct cvl_gemm *g, int split, int group, int64_t row, int column)
{
    const int64_t columns = g->out_columns.count, slice = (int64_t)split * g->groups + group;
    return slice * g->partial_rows * columns
         + (g->out_by_rows ? row * columns + column : column * g->partial_rows + row);
}

/* ---- split reductions ---- */

/* Sums element `index` of this launch over the splits, in their order, and stores it. */
CVL_HD void cvl_gemm_sum_one(const struct cvl_gemm *g, int index)
{
    const int rows = (int)g->partial_rows, columns = g->out_columns.count;
    const int group = index / (rows * columns), rest = index % (rows * columns);
    const int row = g->out_by_rows ? rest / columns : rest % rows;
    const int column = g->out_by_rows ? rest % columns : rest / rows;
    int part = 0;
    while (part + 1 < g->parts && row >= g->part[part + 1].first_row)
        part++;
    float sum = 0, bias;
    for (int split = 0; split < g->splits; split++)
        sum += g->partial[cvl_gemm_partial_at(g, split, group, row, column)];
    const struct cvl_site to_row = cvl_list_site(&g->part[part].out_rows, row - (int)g->part[part].first_row);
    const struct cvl_site to_column = cvl_list_site(&g->out_columns, column);
    cvl_finish_bias(&g->finish, group * columns + column, 1, &bias);
    cvl_finish_store(&g->finish, to_row.at + to_column.at + group * g->out_group, 1, &sum, &bias);
}

/* The kernels, one launcher for each unit: 0 or a cudaError_t. `tile` is an index of the tables above. */
enum cvl_gemm_unit { CVL_UNIT_CORES, CVL_UNIT_TENSOR };
int cvl_cuda_igemm_cores(const struct cvl_gemm *gemm, int tile, int stages, void *stream);
int cvl_cuda_igemm_tf32(const struct cvl_gemm *gemm, int tile, int stages, void *stream);
int cvl_cuda_igemm_bf16(const struct cvl_gemm *gemm, int tile, int stages, void *stream);
int cvl_cuda_igemm_f16(const struct cvl_gemm *gemm, int tile, int stages, void *stream);
int cvl_cuda_igemm_sum(const struct cvl_gemm *gemm, void *stream);

/* Filters as (g, n, r, s, k): to[index] = from[list(index)] of each group. */
struct cvl_repack { const void *from; void *to; struct cvl_list list; int groups, from_group, size; };
int cvl_cuda_repack(const struct cvl_repack *repack, void *stream);

#ifdef __cplusplus
}
#endif
#endif
