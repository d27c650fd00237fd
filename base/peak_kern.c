/* SPDX-License-Identifier: Apache-2.0
 * What the arithmetic units can do at most. A multiply-add has a latency of four or five cycles and two may start in
 * one, so ten independent sums keep the units busy; twelve fit the 16 registers of narrow levels beside operands. */
#include "base/cpu.h"
#include "base/peak.h"
#include "base/vec.h"

#define SUMS 12
#define DOT_ROWS 2
#define DOT_COLUMNS 6

/* sum = sum * a + b converges to b / (1 - a) = 1: neither overflow nor denormals. No sum starts there: a compiler sees
 * that 1 stays 1, and leaves its multiply-add out. */
static float fma_rounds(long rounds)
{
    const vf a = vf_set(0.75f), b = vf_set(0.25f);
    vf sum[SUMS];
    for (int i = 0; i < SUMS; i++)
        sum[i] = vf_set((float)(i + 2));
    for (long round = 0; round < rounds; round++)
        for (int i = 0; i < SUMS; i++)
            sum[i] = sum[i] * a + b;
    for (int i = 1; i < SUMS; i++)
        sum[0] += sum[i];
    return vf_sum(sum[0]);
}

/* An outer product of bytes as in a GEMM kernel. The operands are volatile: at levels that build the dot product of
 * several instructions, all but the last addition could otherwise leave the loop. */
static int dot_rounds(long rounds)
{
    const volatile vi a[DOT_ROWS] = { (vi){ 0 } + 0x01020304, (vi){ 0 } + 0x04030201 };
    vi b[DOT_COLUMNS], sum[DOT_ROWS][DOT_COLUMNS];
    for (int j = 0; j < DOT_COLUMNS; j++)
        b[j] = (vi){ 0 } + (0x01ff01ff + j);
    for (int i = 0; i < DOT_ROWS; i++)
        for (int j = 0; j < DOT_COLUMNS; j++)
            sum[i][j] = (vi){ 0 };
    for (long round = 0; round < rounds; round++)
        for (int i = 0; i < DOT_ROWS; i++) {
            const vi row = a[i];
            for (int j = 0; j < DOT_COLUMNS; j++)
                sum[i][j] = vi_dot_u8s8(sum[i][j], row, b[j]);
        }
    vi all = { 0 };
    for (int i = 0; i < DOT_ROWS; i++)
        for (int j = 0; j < DOT_COLUMNS; j++)
            all ^= sum[i][j];
    return all[0];
}

/* Plain loads and stores, as the kernels use them: a store first reads the line it writes to. A block is loaded before
 * it is stored, so that no compiler turns the loop into a call of memcpy, which streams past the caches. */
static void copy(void *to, const void *from, size_t bytes)
{
    enum { VECTORS = 4 };
    float *out = to;
    const float *in = from;
    for (size_t at = 0; at < bytes / sizeof(float); at += VECTORS * VF_LANES) {
        vf block[VECTORS];
        for (int i = 0; i < VECTORS; i++)
            block[i] = vf_load(in + at + i * VF_LANES);
        for (int i = 0; i < VECTORS; i++)
            vf_store(out + at + i * VF_LANES, block[i]);
    }
}

extern const struct cvl_peak_kern CVL_KERN(cvl_peak_kern);
const struct cvl_peak_kern CVL_KERN(cvl_peak_kern) = {
    .fma = fma_rounds,
    .dot = dot_rounds,
    .fma_flops = 2.0 * VF_LANES * SUMS,
    .dot_ops = 2.0 * CVL_VEC_BYTES * DOT_ROWS * DOT_COLUMNS,
    .copy = copy,
};
