/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>

#define CVL_ALIGN 64   /* bytes: a cache line, and the widest vector */

/* 64-byte aligned, not cleared; NULL when there is no memory. Zero bytes give a pointer that may be freed. */
void *cvl_alloc(size_t bytes);
void *cvl_calloc(size_t count, size_t bytes);   /* cleared; NULL as well when the product overflows */
void  cvl_free(void *memory);

/* A hint about memory that is not yet written: streams of many megabytes run up to a third faster from large pages,
 * whose addresses the processor need not look up. cvl_alloc gives it for what is large enough. */
void  cvl_prefer_large_pages(void *memory, size_t bytes);

static inline size_t cvl_round_up(size_t value, size_t multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

#endif
