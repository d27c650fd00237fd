/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LARGE_PAGE = 2 << 20 };

void *cvl_alloc(size_t bytes)
{
    if (bytes > SIZE_MAX - LARGE_PAGE)
        return NULL;
    const size_t align = bytes < 2 * LARGE_PAGE ? CVL_ALIGN : LARGE_PAGE;
    void *memory = aligned_alloc(align, cvl_round_up(bytes ? bytes : 1, align));
    if (memory)
        cvl_prefer_large_pages(memory, bytes);
    return memory;
}

void cvl_prefer_large_pages(void *memory, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    const size_t skipped = (size_t)(-(uintptr_t)memory % LARGE_PAGE);
    if (bytes >= skipped + LARGE_PAGE)
        madvise((char *)memory + skipped, (bytes - skipped) / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE);
#endif
}

void *cvl_calloc(size_t count, size_t bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total))
        return NULL;
    void *memory = cvl_alloc(total);
    if (memory)
        memset(memory, 0, total);
    return memory;
}

void cvl_free(void *memory)
{
    free(memory);
}
