/* SPDX-License-Identifier: Apache-2.0
 * The loops whose speed is this machine's peak, one table per ISA level (base/peak_kern.c). */
#ifndef BASE_PEAK_H
#define BASE_PEAK_H

#include <stddef.h>

struct cvl_peak_kern {
    /* Run `rounds` rounds on registers alone; what they return keeps the arithmetic alive. A round is exactly so many
     * operations: a multiply-add counts as two. */
    float  (*fma)(long rounds);
    int    (*dot)(long rounds);
    double fma_flops, dot_ops;
    /* Copies `bytes`, a multiple of CVL_PEAK_COPY_BLOCK, between 64-byte aligned buffers that do not overlap. */
    void (*copy)(void *to, const void *from, size_t bytes);
};

#define CVL_PEAK_COPY_BLOCK 256

#endif
