/* SPDX-License-Identifier: Apache-2.0
 * Where tensors lie when an estimate asks how long they take to fetch. */
#ifndef CONV_TRAFFIC_H
#define CONV_TRAFFIC_H

#include <stdbool.h>
#include "base/cpu.h"

/* So many bytes together come from memory, being more than half of the third-level cache. */
static inline bool cvl_comes_from_memory(double bytes)
{
    const double l3 = (double)cvl_cpu_l3();
    return bytes > l3 / 2;
}

#endif
