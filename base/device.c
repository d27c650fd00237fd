/* SPDX-License-Identifier: Apache-2.0 */
#include "base/device.h"

#include "base/alloc.h"
#include "base/error.h"
#include "cvl_device_list.h"

#include <string.h>

static void *cpu_alloc(const struct cvl_device *device, size_t bytes)
{
    return cvl_alloc(bytes);
}

static void cpu_free(const struct cvl_device *device, void *memory)
{
    cvl_free(memory);
}

static cvl_status cpu_copy(const struct cvl_device *device, void *to, const void *from, size_t bytes)
{
    if (bytes)
        memcpy(to, from, bytes);
    return CVL_OK;
}

static cvl_status cpu_fill(const struct cvl_device *device, void *memory, int byte, size_t bytes)
{
    if (bytes)
        memset(memory, byte, bytes);
    return CVL_OK;
}

static cvl_status nothing_pending(const struct cvl_device *device, void *stream)
{
    return CVL_OK;
}

static const struct cvl_device cpu = {
    .name = "cpu", .kind = CVL_CPU, .alloc = cpu_alloc, .free = cpu_free, .upload = cpu_copy, .download = cpu_copy,
    .fill = cpu_fill, .synchronize = nothing_pending,
};

static cvl_status get_cpu(int index, const struct cvl_device **device)
{
    if (index != 0)
        return cvl_fail(CVL_EDEVICE, "device index is %d, and there is one CPU device, 0", index);
    *device = &cpu;
    return CVL_OK;
}

extern const struct cvl_device_family cvl_device_family_cpu;
const struct cvl_device_family cvl_device_family_cpu = { CVL_CPU, get_cpu };

#define DECLARE(name) extern const struct cvl_device_family cvl_device_family_##name;
CVL_DEVICE_LIST(DECLARE)
#define ENTRY(name) &cvl_device_family_##name,
static const struct cvl_device_family *const families[] = { CVL_DEVICE_LIST(ENTRY) NULL };

cvl_status cvl_device_get(cvl_device_kind kind, int index, const struct cvl_device **device)
{
    *device = NULL;
    for (const struct cvl_device_family *const *family = families; *family; family++)
        if ((*family)->kind == kind)
            return (*family)->get(index, device);
    if (kind == CVL_CUDA)
        return cvl_fail(CVL_EDEVICE, "device cuda:%d was asked for, and this build has no CUDA backend", index);
    return cvl_fail(CVL_EINVAL, "device kind is %d, expected CVL_CPU or CVL_CUDA", (int)kind);
}
