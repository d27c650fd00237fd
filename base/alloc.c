/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *cvl_alloc(size_t bytes)
{
    if (bytes > SIZE_MAX - CVL_ALIGN)
        return NULL;
    return aligned_alloc(CVL_ALIGN, cvl_round_up(bytes ? bytes : 1, CVL_ALIGN));
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
