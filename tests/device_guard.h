/* SPDX-License-Identifier: Apache-2.0
 * What guard.h does, in the memory of any device: on a GPU a buffer ends, or begins, flush with its allocation, where
 * compute-sanitizer sees an access past it, and a pattern lies on the other side. Single-threaded. */
#ifndef TESTS_DEVICE_GUARD_H
#define TESTS_DEVICE_GUARD_H

#include "base/device.h"
#include "guard.h"

/* Never NULL: without memory the program ends. */
void *device_guard_alloc(const struct cvl_device *device, enum guard_side side, size_t bytes, size_t alignment);
bool  device_guard_intact(const struct cvl_device *device, const void *memory);
void  device_guard_free(const struct cvl_device *device, void *memory);   /* NULL is allowed */

#endif
