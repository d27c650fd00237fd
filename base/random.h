/* SPDX-License-Identifier: Apache-2.0
 * A small seeded generator (splitmix64; Steele, Lea, Flood 2014), the same numbers on every machine. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

struct cvl_random { uint64_t state; };

static inline uint64_t cvl_random_next(struct cvl_random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Uniform in [0, bound); bound > 0. */
static inline int cvl_random_below(struct cvl_random *random, int bound)
{
    return (int)((cvl_random_next(random) >> 32) * (uint64_t)bound >> 32);
}

/* Uniform in [0, 1). */
static inline double cvl_random_unit(struct cvl_random *random)
{
    return (double)(cvl_random_next(random) >> 11) * 0x1p-53;
}

#endif
