/* SPDX-License-Identifier: Apache-2.0
 * Areas between two unreadable pages are mapped once and used again and again: a test makes millions of buffers. */
#include "guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define AREAS_MAX     64
#define PATTERN       0xc3
#define PATTERN_BYTES 512          /* on the side without a page: more than any vector or tile overruns by */
#define SMALLEST_AREA ((size_t)64 << 10)

struct area {
    char  *base;                   /* first usable byte; an unreadable page lies before it and after the last */
    size_t capacity;
    char  *at;                     /* the buffer in it; NULL: free */
    size_t bytes;
    bool   frozen;
};

static struct area areas[AREAS_MAX];
static int area_count;

static void give_up(const char *what)
{
    perror(what);
    exit(1);
}

static struct area *map_area(size_t needed)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t capacity = SMALLEST_AREA;
    while (capacity < needed)
        capacity *= 2;
    if (area_count == AREAS_MAX)
        give_up("guard: more buffers at once than there are areas");
    char *map = mmap(NULL, capacity + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(map + page, capacity, PROT_READ | PROT_WRITE) != 0)
        give_up("guard: mmap");
    areas[area_count] = (struct area){ .base = map + page, .capacity = capacity };
    return &areas[area_count++];
}

static struct area *free_area(size_t needed)
{
    struct area *best = NULL;
    for (int i = 0; i < area_count; i++)
        if (!areas[i].at && areas[i].capacity >= needed && (!best || areas[i].capacity < best->capacity))
            best = &areas[i];
    return best ? best : map_area(needed);
}

static struct area *area_of(const void *memory)
{
    for (int i = 0; i < area_count; i++)
        if (areas[i].at == memory)
            return &areas[i];
    return NULL;
}

/* The patterned bytes before and after the buffer. */
struct beside { unsigned char *from, *to; };

static void find_beside(const struct area *area, struct beside beside[2])
{
    char *end = area->at + area->bytes, *last = area->base + area->capacity;
    char *from = area->at - area->base > PATTERN_BYTES ? area->at - PATTERN_BYTES : area->base;
    char *to = last - end > PATTERN_BYTES ? end + PATTERN_BYTES : last;
    beside[0] = (struct beside){ (unsigned char *)from, (unsigned char *)area->at };
    beside[1] = (struct beside){ (unsigned char *)end, (unsigned char *)to };
}

void *guard_alloc(enum guard_side side, size_t bytes, size_t alignment)
{
    struct area *area = free_area(bytes + alignment + PATTERN_BYTES);
    struct beside beside[2];
    const size_t last = (area->capacity - bytes) / alignment * alignment;
    area->at = side == GUARD_START ? area->base : area->base + last;
    area->bytes = bytes;
    find_beside(area, beside);
    for (int i = 0; i < 2; i++)
        memset(beside[i].from, PATTERN, (size_t)(beside[i].to - beside[i].from));
    return area->at;
}

bool guard_intact(const void *memory)
{
    struct beside beside[2];
    find_beside(area_of(memory), beside);
    for (int i = 0; i < 2; i++)
        for (const unsigned char *byte = beside[i].from; byte < beside[i].to; byte++)
            if (*byte != PATTERN)
                return false;
    return true;
}

static void protect(struct area *area, bool frozen)
{
    if (area->frozen != frozen
        && mprotect(area->base, area->capacity, frozen ? PROT_READ : PROT_READ | PROT_WRITE) != 0)
        give_up("guard: mprotect");
    area->frozen = frozen;
}

void guard_freeze(void *memory)
{
    protect(area_of(memory), true);
}

void guard_free(void *memory)
{
    struct area *area = memory ? area_of(memory) : NULL;
    if (!area)
        return;
    protect(area, false);
    area->at = NULL;
}
