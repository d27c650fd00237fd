/* SPDX-License-Identifier: Apache-2.0
 * What a warp's instructions do, on the host, from the tables of the PTX ISA (9.7.14, warp-level matrix
 * instructions). */
#ifndef TESTS_CUDA_WARP_H
#define TESTS_CUDA_WARP_H

#include "base/dtype.h"

#include <string.h>

enum { WARP = 32 };

/* ldmatrix.x4: lanes 8i to 8i+7 give the addresses of the rows of matrix i; register i of a lane is two 16-bit elements
 * of row lane/4, from column lane%4*2 on; with .trans of column lane/4, from row lane%4*2 on. */
static inline void warp_ldmatrix(const char *const from[WARP], bool trans, uint32_t r[WARP][4])
{
    for (int lane = 0; lane < WARP; lane++)
        for (int i = 0; i < 4; i++)
            for (int half = 0; half < 2; half++) {
                const int row = trans ? lane % 4 * 2 + half : lane / 4, column = trans ? lane / 4 : lane % 4 * 2 + half;
                memcpy((char *)&r[lane][i] + half * 2, from[i * 8 + row] + column * 2, 2);
            }
}

/* cvt.rna.tf32.f32: ten bits of mantissa, ties away from zero. */
static inline float tf32_of(uint32_t bits)
{
    float value;
    if ((bits & 0x7f800000) != 0x7f800000)
        bits = (bits + 0x1000) & ~UINT32_C(0x1fff);
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float half_of(cvl_dtype type, uint32_t bits, int half)
{
    const uint16_t element = (uint16_t)(bits >> half * 16);
    return type == CVL_BF16 ? cvl_bf16_to_float(element) : cvl_f16_to_float(element);
}

/* mma.m16n8k8 (.tf32: a register is an element) and .m16n8k16 (.bf16, .f16: two): sums are c0 to c3 of each lane. */
static inline void warp_mma(cvl_dtype type, uint32_t a[WARP][4], uint32_t b[WARP][2], float sums[WARP][4])
{
    float rows[16][16], columns[16][8];
    const int each = type == CVL_F32 ? 1 : 2, depth = 8 * each;
    for (int lane = 0; lane < WARP; lane++)
        for (int e = 0; e < each; e++) {
            const int group = lane / 4, in_group = lane % 4;
            for (int i = 0; i < 4; i++)
                rows[group + i % 2 * 8][in_group * each + e + i / 2 * 4 * each]
                    = type == CVL_F32 ? tf32_of(a[lane][i]) : half_of(type, a[lane][i], e);
            for (int i = 0; i < 2; i++)
                columns[in_group * each + e + i * 4 * each][group]
                    = type == CVL_F32 ? tf32_of(b[lane][i]) : half_of(type, b[lane][i], e);
        }
    for (int lane = 0; lane < WARP; lane++)
        for (int i = 0; i < 4; i++) {
            const float *row = rows[lane / 4 + i / 2 * 8];
            for (int k = 0; k < depth; k++)
                sums[lane][i] += row[k] * columns[k][lane % 4 * 2 + i % 2];
        }
}

#endif
