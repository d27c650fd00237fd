/* SPDX-License-Identifier: Apache-2.0
 * Hashes: a fast one for tables in memory, and the CRC-32 that guards lines of a cache file. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* One round of 128-bit multiply and fold (Wang Yi, "wyhash", 2019: the idea); good for tables, not for secrets. */
static inline uint64_t cvl_hash_mix(uint64_t a, uint64_t b)
{
    const __uint128_t product = (__uint128_t)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xd1b54a32d192ed03u);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t cvl_hash_bytes(const void *bytes, size_t count);   /* stable for ever: packed ids and environment ids use it */
uint32_t cvl_crc32(const void *bytes, size_t count);        /* the CRC of ISO 3309, as in zip and PNG */

#endif
