/* SPDX-License-Identifier: Apache-2.0 */
#include "base/device.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

static cvl_status copy(void *to, const void *from, size_t bytes)
{
    if (bytes)
        memcpy(to, from, bytes);
    return CVL_OK;
}

static cvl_status nothing_pending(void *stream)
{
    return CVL_OK;
}

const struct cvl_device cvl_device_cpu = {
    .name = "cpu", .kind = CVL_CPU, .alloc = cvl_alloc, .free = cvl_free, .upload = copy, .download = copy,
    .synchronize = nothing_pending,
};

cvl_status cvl_device_get(cvl_device_kind kind, int index, const struct cvl_device **device)
{
    *device = NULL;
    if (kind == CVL_CUDA)
        return cvl_fail(CVL_EDEVICE, "device cuda:%d was asked for, and this build has no CUDA backend", index);
    if (kind != CVL_CPU)
        return cvl_fail(CVL_EINVAL, "device kind is %d, expected CVL_CPU or CVL_CUDA", (int)kind);
    if (index != 0)
        return cvl_fail(CVL_EDEVICE, "device index is %d, and there is one CPU device, 0", index);
    *device = &cvl_device_cpu;
    return CVL_OK;
}
