/* SPDX-License-Identifier: Apache-2.0
 * Buffers that end, or begin, flush against an unreadable page, so that the first byte read or written past them stops
 * the program; the bytes on the other side hold a pattern, and a write there is found afterwards. Single-threaded. */
#ifndef TESTS_GUARD_H
#define TESTS_GUARD_H

#include <stdbool.h>
#include <stddef.h>

enum guard_side { GUARD_END, GUARD_START, GUARD_SIDES };   /* where the unreadable page is */

/* Never NULL. GUARD_END: the buffer ends at the page when bytes is a multiple of alignment, else less than alignment
 * before it. GUARD_START: it begins right after the page. */
void *guard_alloc(enum guard_side side, size_t bytes, size_t alignment);
bool  guard_intact(const void *memory);   /* nobody wrote beside the buffer */
void  guard_freeze(void *memory);         /* read-only until it is freed */
void  guard_free(void *memory);           /* NULL is allowed */

#endif
