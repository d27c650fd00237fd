/* SPDX-License-Identifier: Apache-2.0 */
#include "device_guard.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>

#define BUFFERS_MAX 64
#define PATTERN     0xc3
#define ZONE        1024           /* a multiple of every alignment */

static struct buffer { char *base, *at, *zone; } buffers[BUFFERS_MAX];

static struct buffer *find(const void *at)
{
    for (int i = 0; i < BUFFERS_MAX; i++)
        if (buffers[i].at == at)
            return &buffers[i];
    return NULL;
}

static void require(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "device_guard: %s: %s\n", what, cvl_last_error());
    exit(1);
}

void *device_guard_alloc(const struct cvl_device *device, enum guard_side side, size_t bytes, size_t alignment)
{
    if (device->kind == CVL_CPU)
        return guard_alloc(side, bytes, alignment);
    struct buffer *buffer = find(NULL);
    require(buffer, "more buffers at once than there are places");
    buffer->base = device->alloc(device, bytes + ZONE);
    require(buffer->base, "no memory");
    const bool first = side == GUARD_START;
    buffer->at = first ? buffer->base : buffer->base + ZONE;
    while (!first && alignment > 1 && (uintptr_t)buffer->at % alignment != 0)
        buffer->at--;
    buffer->zone = first ? buffer->base + bytes : buffer->base;
    const size_t zone = first ? ZONE : (size_t)(buffer->at - buffer->base);
    require(device->fill(device, buffer->zone, PATTERN, zone) == CVL_OK, "filling");
    return buffer->at;
}

bool device_guard_intact(const struct cvl_device *device, const void *memory)
{
    unsigned char zone[ZONE];
    if (device->kind == CVL_CPU)
        return guard_intact(memory);
    const struct buffer *buffer = find(memory);
    const size_t bytes = buffer->zone > buffer->at ? ZONE : (size_t)(buffer->at - buffer->base);
    require(device->download(device, zone, buffer->zone, bytes) == CVL_OK, "looking beside a buffer");
    for (size_t i = 0; i < bytes; i++)
        if (zone[i] != PATTERN)
            return false;
    return true;
}

void device_guard_free(const struct cvl_device *device, void *memory)
{
    if (device->kind == CVL_CPU) {
        guard_free(memory);
        return;
    }
    struct buffer *buffer = memory ? find(memory) : NULL;
    if (!buffer)
        return;
    device->free(device, buffer->base);
    *buffer = (struct buffer){ .at = NULL };
}
