/* SPDX-License-Identifier: Apache-2.0
 * How fast this machine is: the arithmetic peaks and memory bandwidths that results are compared with. */
#ifndef BASE_MACHINE_H
#define BASE_MACHINE_H

#include "base/cpu.h"
#include "cvl/base.h"

/* Per second, of all threads together; an FMA counts as two operations, an 8-bit multiply-add likewise. */
struct cvl_rates {
    double f32_flops;
    double tf32_flops, bf16_flops;        /* of a GPU's tensor cores, f16 like bf16; 0 on a CPU */
    double s8_ops;
    double copy_l2, copy_l3, copy_dram;   /* bytes copied per second: 1 byte read and written counts once */
    bool   measured;
};

/* A guess from ISA level, thread count and a clock of 3 GHz; for a context that nobody measured. */
struct cvl_rates cvl_rates_nominal(enum cvl_isa isa, int threads);

/* The same for what the ctx runs on, a CPU or a GPU. */
struct cvl_rates cvl_rates_of(const cvl_ctx *ctx);

/* Best of several runs; `seconds` is what it may take in all, about. Fills bandwidths only if asked. */
struct cvl_rates cvl_rates_measure(const cvl_ctx *ctx, double seconds, bool bandwidths);

#endif
