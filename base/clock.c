/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <time.h>

double cvl_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

double cvl_clock_resolution(void)
{
    double smallest = 1;
    for (int i = 0; i < 64; i++) {
        const double start = cvl_now();
        double end = start;
        while (end == start)
            end = cvl_now();
        if (end - start < smallest)
            smallest = end - start;
    }
    return smallest;
}
