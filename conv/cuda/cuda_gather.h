/* SPDX-License-Identifier: Apache-2.0
 * Which element of a tensor an index of a matrix means: the maps of the implicit GEMM, the same code on the device
 * and in the tests on the host.
 *
 * Each of the three matrices is seen through two index lists, one for its rows and one for its columns, and element
 * (i, j) lies at offset rows[i].at + columns[j].at, if the point (rows[i].y + columns[j].y, rows[i].x + columns[j].x)
 * is inside of the image; padding and the ends of the matrix are the points outside. So one kernel serves all passes,
 * layouts and groups: the host only writes other lists (cuda_igemm_lists.c). */
#ifndef CONV_CUDA_CUDA_GATHER_H
#define CONV_CUDA_CUDA_GATHER_H

#include <stdint.h>

#ifdef __CUDACC__
#define CVL_HD static __host__ __device__ __forceinline__
#else
#define CVL_HD static inline
#endif

/* nvcc unrolls by these; without it they are nothing. */
#ifdef __CUDACC__
#define CVL_UNROLL_ALL _Pragma("unroll")
#define CVL_UNROLL_1 _Pragma("unroll 1")
#define CVL_UNROLL_2 _Pragma("unroll 2")
#else
#define CVL_UNROLL_ALL
#define CVL_UNROLL_1
#define CVL_UNROLL_2
#endif

/* Division of numbers below 2^31 by a constant, as a multiplication (Granlund, Montgomery 1994, fig. 4.1). */
struct cvl_divisor { uint32_t divisor, multiplier, shift; };

CVL_HD struct cvl_divisor cvl_divisor_of(int divisor)
{
    struct cvl_divisor d = { (uint32_t)divisor, 0, 0 };
    while (((uint64_t)1 << d.shift) < d.divisor)
        d.shift++;
    d.multiplier = (uint32_t)((((uint64_t)1 << 32) * (((uint64_t)1 << d.shift) - d.divisor)) / d.divisor + 1);
    return d;
}

CVL_HD int cvl_divide(struct cvl_divisor d, int number)
{
#ifdef __CUDA_ARCH__
    const uint32_t high = __umulhi((uint32_t)number, d.multiplier);
#else
    const uint32_t high = (uint32_t)((uint64_t)(uint32_t)number * d.multiplier >> 32);
#endif
    return (int)((high + (uint32_t)number) >> d.shift);
}

/* Keeps the compiler from working out once more, wherever it is used, what is at hand. */
#ifdef __CUDA_ARCH__
#define CVL_KEEP(pointer) asm("" : "+l"(pointer))
#else
#define CVL_KEEP(pointer) (void)(pointer)
#endif

/* One entry of an index list. Sums wrap, as offsets of points outside may. taps: for an entry that is one of up to 32
 * taps (the digits a and b of its index), its bit; for one that is seen through taps, may hold the bits of those that
 * are inside of the image (cvl_list_taps). */
struct cvl_site { int at, y, x; uint32_t taps; };   /* 16 bytes: one load */

#define CVL_NOWHERE (-(1 << 30))           /* outside of every image, also when two are added */

/* An index list by formula: index -> (a, b, c), c fastest; count is the product of the three extents. */
struct cvl_list {
    int                count, a;           /* extents of a, */
    struct cvl_divisor b, c;               /* b and c */
    int                at, at_a, at_b, at_c;
    int                y, y_a, y_b;
    int                x, x_b, x_c;
};

CVL_HD struct cvl_site cvl_list_site(const struct cvl_list *list, int index)
{
    struct cvl_site site = { 0, CVL_NOWHERE, 0, 0 };
    if (index >= list->count)
        return site;
    const int ab = cvl_divide(list->c, index), c = index - ab * (int)list->c.divisor;
    const int a = cvl_divide(list->b, ab), b = ab - a * (int)list->b.divisor;
    site.at = (int)((uint32_t)list->at + (uint32_t)a * (uint32_t)list->at_a + (uint32_t)b * (uint32_t)list->at_b
                    + (uint32_t)c * (uint32_t)list->at_c);
    site.y = list->y + a * list->y_a + b * list->y_b;
    site.x = list->x + b * list->x_b + c * list->x_c;
    site.taps = 1u << (ab & 31);
    return site;
}

/* The taps of a list at which a row meets the image; all or none where there is no image. */
CVL_HD uint32_t cvl_list_taps(const struct cvl_list *list, const struct cvl_site *row, int image, int height, int width)
{
    uint32_t taps = 0, bit = 1;
    if (!image)
        return row->y == CVL_NOWHERE ? 0 : ~0u;
    CVL_UNROLL_1
    for (int a = 0; a < list->a; a++) {
        const int inside = (uint32_t)(row->y + list->y + a * list->y_a) < (uint32_t)height;
        int x = row->x + list->x;
        CVL_UNROLL_1
        for (int b = 0; b < (int)list->b.divisor; b++, bit <<= 1, x += list->x_b)
            taps |= inside && (uint32_t)x < (uint32_t)width ? bit : 0;
    }
    return taps;
}

/* The offset of (row, column), or -1: nothing there. */
CVL_HD int cvl_site_meet(const struct cvl_site *row, const struct cvl_site *column, int height, int width)
{
    const uint32_t y = (uint32_t)row->y + (uint32_t)column->y, x = (uint32_t)row->x + (uint32_t)column->x;
    return y < (uint32_t)height && x < (uint32_t)width ? (int)((uint32_t)row->at + (uint32_t)column->at) : -1;
}

/* ---- tiles in shared memory ---- */

/* A tile holds `rows` indices of a matrix (of m or n) by 128 bytes of the reduction. By rows: 128 bytes a row, in
 * chunks of 16 whose place is XORed with the row, so that eight rows' chunks of one column, which ldmatrix and the
 * vectors of the CUDA cores read at once, lie in eight different groups of banks. By columns (16-bit types, for
 * ldmatrix.trans): rows are contiguous, and chunks of eight of them are XORed with the column. */
enum { CVL_TILE_DEPTH_BYTES = 128, CVL_CHUNK_BYTES = 16, CVL_TILE_CHUNKS = 8 };

CVL_HD int cvl_tile_by_rows(int row, int chunk)
{
    return row * CVL_TILE_DEPTH_BYTES + ((chunk ^ (row & 7)) * CVL_CHUNK_BYTES);
}

/* chunk counts along the rows, column along the reduction; rows is a multiple of 64. */
CVL_HD int cvl_tile_by_columns(int rows, int chunk, int column)
{
    return column * rows * 2 + ((chunk ^ (column & 7)) * CVL_CHUNK_BYTES);
}

/* Slices [first, last) of `steps` steps of the reduction, in order, their lengths at most one apart. */
CVL_HD int cvl_split_first(int steps, int splits, int split)
{
    return (int)((int64_t)steps * split / splits);
}

#endif
